"""What the parsers of all steps share: strictness, value types, common groups, and the record of what was told."""

import argparse
import difflib
import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from data import DATASETS
from options.config_file import BASED_ON, ConfigError, Setting, Value, read_config


class TeamParser(argparse.ArgumentParser):
    """An argument parser of which one process of a team (util/distributed.py) tells mistakes: all are told the same."""

    def error(self, message: str) -> NoReturn:
        if os.environ.get("RANK", "0") != "0":
            sys.exit(2)
        super().error(message)


class StepParser(TeamParser):
    """An argument parser without abbreviations that shows defaults, reads a config file, and tells what an unknown
    option may have meant.

    told: what the config file says, as its flags would give it
    """

    def __init__(self, description: str, example: str):
        super().__init__(
            description=description,
            epilog=f"example: {example}",
            allow_abbrev=False,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        self.told: dict[str, Setting] = {}
        self.add_argument(
            "--config",
            type=Path,
            default=argparse.SUPPRESS,
            metavar="FILE",
            help="YAML or JSON file with options of this step and no others, as in 'batch_size: 16' and 'debug: true'; "
            f"'{BASED_ON}: other.yml' (or a list, the last wins) starts from files beside it. Flags win over the file, "
            "the file over defaults and presets; the options.json of a run is such a file for step02",
        )

    def parse_args(
        self, args: Sequence[str] | None = None, settings: dict[str, Setting] | None = None
    ) -> argparse.Namespace:
        """The options. settings: what the config file says, where it was read before."""
        settings = read_settings(args) if settings is None else settings
        self._refuse_unknown_settings(settings)
        self.told = settings_of(self, settings)
        parsed, unknown = parse_known(self, args, self.told)
        if unknown:
            known = sorted(self._option_string_actions)
            meant = hint([word.split("=")[0] for word in unknown], known)
            self.error(f"unknown option {' '.join(unknown)}; {meant}")
        # What the file said is among the options now, and their record shall be one that can be given back.
        vars(parsed).pop("config", None)
        return parsed

    def _refuse_unknown_settings(self, settings: dict[str, Setting]) -> None:
        known = sorted({action.dest for action in self._actions} - {"help", "config"})
        unknown = {name: setting.path for name, setting in settings.items() if name not in known}
        if unknown:
            paths = " ".join(map(str, dict.fromkeys(unknown.values())))
            # many are not misspelt but another step's
            meant = hint(list(unknown) if len(unknown) < 4 else [], [BASED_ON, *known])
            self.error(f"config {paths}: unknown {' '.join(unknown)}; {meant}")


def hint(unknown: Sequence[str], known: Sequence[str]) -> str:
    """What somebody may have meant who said something unknown."""
    close = [name for word in unknown for name in difflib.get_close_matches(word, known, n=2)]
    return f"did you mean {' or '.join(close)}?" if close else f"known are {' '.join(known)}"


def first_parser() -> TeamParser:
    """A parser for what must be known before the rest can be parsed."""
    return TeamParser(add_help=False, allow_abbrev=False, usage="%(prog)s [options], see --help")


def read_settings(arguments: Sequence[str] | None) -> dict[str, Setting]:
    """What the file says that --config names; nothing without one. Read once, as it may be a pipe."""
    first = first_parser()
    first.add_argument("--config", type=Path)
    path = first.parse_known_args(arguments)[0].config
    try:
        return {} if path is None else read_config(path)
    except ConfigError as error:
        first.error(str(error))


def settings_of(parser: argparse.ArgumentParser, settings: dict[str, Setting]) -> dict[str, Setting]:
    """The settings that are options of the parser, as their flags would give them; mistakes are usage errors."""
    told = {}
    for action in parser._actions:
        if action.dest in settings:
            value, path = settings[action.dest]
            try:
                told[action.dest] = Setting(flag_value(parser, action, value), path)
            except argparse.ArgumentError as error:
                parser.error(f"config {path}: {action.dest}: {error.message}")
    return told


def flag_value(parser: argparse.ArgumentParser, action: argparse.Action, value: Value) -> Any:
    """What an option's flag would give for a value from a file. Raises ArgumentError that says what was wanted."""
    if action.nargs == 0:
        if not isinstance(value, bool):
            raise argparse.ArgumentError(action, f"wanted true or false, got {value!r}")
        return value
    if isinstance(value, bool):
        message = f"wanted a value, got {str(value).lower()}; the words yes, no, on, off need quotes to be text"
        raise argparse.ArgumentError(action, message)
    if isinstance(value, list) and action.type in NO_NUMBERS:
        value = ",".join(map(str, value)) or NO_NUMBERS[action.type]
    if not isinstance(value, str):
        raise argparse.ArgumentError(action, f"wanted one value, got {'none' if value is None else value}")
    result = parser._get_value(action, value)
    parser._check_value(action, result)
    return result


def parse_known(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None, told: dict[str, Setting]
) -> tuple[argparse.Namespace, list[str]]:
    """The options and the words that the parser does not know; what a file told stands in for defaults."""
    for action in parser._actions:
        action.required = action.required and action.dest not in told
    values = argparse.Namespace(**{name: setting.value for name, setting in told.items()})
    return parser.parse_known_args(arguments, values)


def choose_first(
    name: str, known: Sequence[str], default: str, arguments: Sequence[str], settings: dict[str, Setting]
) -> str:
    """What is said of an option that decides which other options there are."""
    first = first_parser()
    first.add_argument(f"--{name}", choices=known, default=default)
    return getattr(parse_known(first, arguments, settings_of(first, settings))[0], name)


def number(kind: type, low: float | None = None, high: float | None = None) -> Callable[[str], float]:
    """An argparse type: a number of that kind in low..high, both included."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise argparse.ArgumentTypeError(f"wanted {kind.__name__}, got {text!r}")
        if not (low is None or value >= low) or not (high is None or value <= high):
            bounds = f"{'' if low is None else low}..{'' if high is None else high}"
            raise argparse.ArgumentTypeError(f"wanted {kind.__name__} in {bounds}, got {text}")
        return value

    return parse


def parse_gpu_ids(text: str) -> list[int]:
    """An argparse type: "0" is the first GPU, "0,1" the first two, "-1" the CPU (an empty list)."""
    if text.strip() == "-1":
        return []
    words = text.split(",")
    if not all(word.strip().isdecimal() for word in words):
        raise argparse.ArgumentTypeError(f"wanted numbers of GPUs, as in 0 or 0,1, or -1 for the CPU, got {text!r}")
    ids = [int(word) for word in words]
    if len(set(ids)) < len(ids):
        raise argparse.ArgumentTypeError(f"wanted each GPU once, got {text}")
    return ids


def parse_epochs(text: str) -> list[int]:
    """An argparse type: "15,25" is after the epochs 15 and 25, "" never."""
    words = [word for word in text.split(",") if text.strip()]
    if not all(word.strip().isdecimal() for word in words):
        raise argparse.ArgumentTypeError(f"wanted numbers of epochs, as in 15 or 15,25, got {text!r}")
    epochs = [int(word) for word in words]
    if epochs != sorted(set(epochs)) or 0 in epochs:
        raise argparse.ArgumentTypeError(f"wanted epochs from 1 up, each later than the one before, got {text}")
    return epochs


# What these types read for an empty list: options.json holds what they give as lists.
NO_NUMBERS = {parse_gpu_ids: "-1", parse_epochs: ""}


def parse_run_name(text: str) -> str:
    """An argparse type: the name of a run, which is also its folder's."""
    if not text or text in (".", "..") or any(character in text for character in "/\\:"):
        raise argparse.ArgumentTypeError(f"wanted a name that can be a folder's, got {text!r}")
    return text


def parse_run_names(text: str) -> list[str]:
    """An argparse type: names of runs with commas between them, each once."""
    names = [parse_run_name(name.strip()) for name in text.split(",")]
    if len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"wanted each run once, got {text}")
    return names


def add_data_options(parser: argparse.ArgumentParser, num_workers: int = 2) -> None:
    """--data_root and how it is read."""
    group = parser.add_argument_group("data")
    group.add_argument(
        "--data_root",
        type=Path,
        required=True,
        metavar="DIR",
        help="data root, in the WCPA layout if nothing else is said",
    )
    group.add_argument("--cache_dir", type=Path, default=Path("cache"), metavar="DIR", help="what step01 writes")
    group.add_argument(
        "--num_workers",
        type=number(int, 0),
        default=num_workers,
        metavar="N",
        help="how many threads, in steps 00 and 01 processes, read data; 0 for none but the main one",
    )


def add_dataset_option(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--dataset",
        choices=sorted(DATASETS),
        default="wcpa",
        help="how the data root is read; aflw2000: a folder of AFLW2000-3D or 300W-LP; synthetic: one that step00 "
        "--face_model made, for training with people drawn anew in each epoch",
    )


def add_image_source_option(parser: argparse.ArgumentParser, *more: str, more_help: str = "") -> None:
    """For the steps that look at images again and again. more: choices beside the common ones, with their help."""
    parser.add_argument(
        "--data",
        choices=["files", "packed", *more],
        default="files",
        help="where images come from: the data root's files, or what step01 --pack has made of them, which is faster"
        + more_help,
    )


def add_run_options(
    parser: argparse.ArgumentParser,
    name_type: Callable[[str], str | list[str]] = parse_run_name,
    name_help: str = "name of the run",
) -> None:
    """Which run, and where it computes."""
    group = parser.add_argument_group("run")
    group.add_argument("--name", type=name_type, default="experiment_name", metavar="NAME", help=name_help)
    group.add_argument(
        "--gpu_ids",
        type=parse_gpu_ids,
        default="0",
        metavar="IDS",
        help="GPU to use, or several, as in 0,1, with a process each; -1 for the CPU, which is used without a GPU too",
    )
    group.add_argument(
        "--checkpoints_dir", type=Path, default=Path("checkpoints"), metavar="DIR", help="where runs are kept"
    )


def add_checkpoint_options(parser: argparse.ArgumentParser) -> None:
    """For the steps that use a trained run."""
    group = parser.add_argument_group("checkpoint and output")
    group.add_argument("--epoch", choices=["best", "latest"], default="best", help="which checkpoint of the run")
    group.add_argument("--batch_size", type=number(int, 1), default=32, metavar="N", help="images computed at once")
    group.add_argument("--output_dir", type=Path, default=Path("output"), metavar="DIR", help="where results go")


def add_flip_test_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--flip_test",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="predict the mean of what the model makes of an image and of its mirror image: twice the time",
    )


def add_aggregate_option(parser: argparse._ActionsContainer, more_help: str = "") -> None:
    """--aggregate, for the steps that predict sets of images. more_help: what is special about the step's images."""
    parser.add_argument(
        "--aggregate",
        choices=["none", "action", "subject"],
        default="none",
        help="give all images of a facial action of a subject, or of a subject, one identity: a mean over their "
        "predictions, with expressions smoothed over the frames of each action, or, for methods that tell how sure "
        "they are, what all images say together; poses follow the new shapes" + more_help,
    )


def plain(options: argparse.Namespace) -> dict:
    """The options as a dict of plain types, as checkpoints and options.json hold them."""
    return json.loads(json.dumps(vars(options), default=str))


def describe(options: argparse.Namespace, parser: StepParser) -> str:
    """One line an option; marked are the file that it came from, and its default where it differs."""
    lines = []
    for name, value in sorted(vars(options).items()):
        default, told = parser.get_default(name), parser.told.get(name)
        marks = [f"from {told.path}"] if told and told.value == value else []
        if str(value) != str(default) and name != "gpu_ids":
            marks.append(f"default: {default}")
        lines.append(f"{name:>20}: {value}" + (f"   [{'; '.join(marks)}]" if marks else ""))
    return "\n".join(lines)
