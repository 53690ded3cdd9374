"""What the parsers of all steps share: strictness, value types, common groups, and the record of what was told."""

import argparse
import difflib
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path


class StepParser(argparse.ArgumentParser):
    """An argument parser without abbreviations that shows defaults and tells what an unknown option may have meant."""

    def __init__(self, description: str, example: str):
        super().__init__(
            description=description,
            epilog=f"example: {example}",
            allow_abbrev=False,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )

    def parse_args(self, args: Sequence[str] | None = None, namespace: None = None) -> argparse.Namespace:
        parsed, unknown = self.parse_known_args(args, namespace)
        if unknown:
            known = sorted(self._option_string_actions)
            close = [name for word in unknown for name in difflib.get_close_matches(word.split("=")[0], known, n=2)]
            hint = f"did you mean {' or '.join(close)}?" if close else f"known are {' '.join(known)}"
            self.error(f"unknown option {' '.join(unknown)}; {hint}")
        return parsed


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
    """An argparse type: "0" is the first GPU, "-1" the CPU (an empty list)."""
    try:
        gpu = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"wanted the number of one GPU, or -1 for the CPU, got {text!r}") from None
    return [gpu] if gpu >= 0 else []


def parse_run_name(text: str) -> str:
    """An argparse type: the name of a run, which is also its folder's."""
    if not text or text in (".", "..") or any(character in text for character in "/\\:"):
        raise argparse.ArgumentTypeError(f"wanted a name that can be a folder's, got {text!r}")
    return text


def add_data_options(parser: argparse.ArgumentParser, num_workers: int = 2) -> None:
    """--data_root and how it is read."""
    group = parser.add_argument_group("data")
    group.add_argument("--data_root", type=Path, required=True, metavar="DIR", help="data root in the WCPA layout")
    group.add_argument("--cache_dir", type=Path, default=Path("cache"), metavar="DIR", help="what step01 writes")
    group.add_argument(
        "--num_workers",
        type=number(int, 0),
        default=num_workers,
        metavar="N",
        help="processes that read data; 0 reads in the main one",
    )


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Which run, and where it computes."""
    group = parser.add_argument_group("run")
    group.add_argument("--name", type=parse_run_name, default="experiment_name", metavar="NAME", help="name of the run")
    group.add_argument(
        "--gpu_ids",
        type=parse_gpu_ids,
        default="0",
        metavar="ID",
        help="GPU to use, -1 for the CPU; without a GPU the CPU is used",
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


def plain(options: argparse.Namespace) -> dict:
    """The options as a dict of plain types, as checkpoints and options.json hold them."""
    return json.loads(json.dumps(vars(options), default=str))


def describe(options: argparse.Namespace, parser: argparse.ArgumentParser) -> str:
    """One line an option; those that differ from their default are marked with it."""
    lines = []
    for name, value in sorted(vars(options).items()):
        default = parser.get_default(name)
        mark = "" if str(value) == str(default) or name == "gpu_ids" else f"   [default: {default}]"
        lines.append(f"{name:>20}: {value}{mark}")
    return "\n".join(lines)
