"""--config: what a file may say, what wins, what is refused, and that the files in configs/ say what they claim."""

import json
import os
import threading
from pathlib import Path

import pytest

from models import MODELS
from options.base_options import plain
from options.config_file import BASED_ON, read_config
from options.eval_options import parse_eval_options
from options.preparation_options import parse_preparation_options
from options.submission_options import parse_submission_options
from options.synthesize_options import parse_synthesize_options
from options.train_options import parse_train_options

CONFIGS = Path(__file__).parents[2] / "configs"
# The one that goes on top of any method's preset.
STRONG = CONFIGS / "strong_augmentation.yml"
PARSERS = {
    "synthesize": parse_synthesize_options,
    "preparation": parse_preparation_options,
    "train": lambda arguments: parse_train_options(arguments)[0],
    "eval": parse_eval_options,
    "submission": parse_submission_options,
}


@pytest.fixture
def write(tmp_path):
    """Writes a config file and returns its path as a word."""

    def write_config(content: str | bytes, name: str = "run.yml") -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write_config


@pytest.fixture
def train(write):
    """The options of step02 with a file of that content."""

    def parse(content: str, *arguments: str):
        return parse_train_options(["--config", write(content), "--data_root", "D", *arguments])[0]

    return parse


@pytest.fixture
def refuse(write, capsys):
    """The last line of the usage error that a file leads to; "run.yml" stands for its path."""

    def parse(content: str | bytes, *arguments: str, parser=PARSERS["train"]) -> str:
        path = write(content)
        with pytest.raises(SystemExit) as end:
            parser(["--config", path, "--data_root", "D", *arguments])
        assert end.value.code == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        usage, _, message = printed.err.partition("error: ")
        assert usage.startswith("usage: ")
        assert message.count("\n") == 1
        return message.replace(str(Path(path).parent) + os.sep, "").strip()

    return parse


@pytest.mark.parametrize("parse", PARSERS.values(), ids=PARSERS)
def test_every_step_reads_a_file_and_flags_win(parse, write):
    path = write("data_root: from_file\nnum_workers: 3\n")
    options = parse(["--config", path])
    assert (options.data_root, options.num_workers) == (Path("from_file"), 3)
    for arguments in (["--config", path, "--num_workers", "4"], ["--num_workers", "4", f"--config={path}"]):
        assert parse(arguments).num_workers == 4
    # a step passes its options on; the file is not one of them
    assert vars(options).keys() == vars(parse(["--data_root", "D"])).keys()


@pytest.mark.parametrize("parse", PARSERS.values(), ids=PARSERS)
@pytest.mark.parametrize("content", ["", "\n# lr: 5\n", "---\n", "{}", "\ufeff# a byte order mark\n"])
def test_an_empty_file_says_nothing(parse, write, content):
    assert parse(["--config", write(content), "--data_root", "D"]) == parse(["--data_root", "D"])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("lr: 1e-5", 1e-5),  # text for YAML 1.1
        ("lr: '1e-5'", 1e-5),
        ("beta1: 0", 0.0),
        ("epochs: 010", 10),  # 8 for YAML 1.1
        ("gpu_ids: 0", [0]),
        ("gpu_ids: -1", []),
        ("gpu_ids: [1]", [1]),
        ("gpu_ids: 0,1", [0, 1]),
        ("gpu_ids: [2, 0]", [2, 0]),
        ("gpu_ids: []", []),
        ("lr_milestones: 15,25", [15, 25]),
        ("lr_milestones: [15, 25]", [15, 25]),
        ("lr_milestones: []", []),
        ("name: 007", "007"),  # 7
        ("name: 2024-01-31", "2024-01-31"),  # a date
        ("name: '12'", "12"),
        ("memo: 12:30", "12:30"),  # 750
        ("memo: 1.10", "1.10"),
        ("memo: 'no'", "no"),
        ("memo: ''", ""),
        ("memo: --lr 5", "--lr 5"),
        ("memo: first trial, 50% é 🙂", "first trial, 50% é 🙂"),
        ('{"memo": "\\ud83d\\ude42 \\u00e9\\n\\/"}', "🙂 é\n/"),
        ("memo: |\n  two\n  lines\n", "two\nlines\n"),
        ("cache_dir: a b", Path("a b")),
        ("resume: true", True),
        ("debug: on", True),
        ("read_landmarks: false", False),
        ("read_landmarks: No", False),
    ],
)
def test_values_are_what_the_flags_would_give(train, content, expected):
    name = content.lstrip('{"').split(":")[0].rstrip('"')
    value = getattr(train(content), name)
    assert value == expected
    assert type(value) is type(expected) or isinstance(value, Path)


def test_every_flag_of_a_file_can_be_taken_back(train, write):
    switched = train("debug: true\nread_landmarks: false", "--no-debug", "--read_landmarks")
    assert (switched.debug, switched.read_landmarks) == (False, True)
    arguments = ["--config", write("references: true\ndata_root: D")]
    assert parse_eval_options(arguments).references
    assert not parse_eval_options([*arguments, "--no-references"]).references


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("lr: fast", "lr: wanted float, got 'fast'"),
        ("lr: true", "lr: wanted a value, got true"),
        ("lr:", "lr: wanted one value, got none"),
        ("lr: .nan", "lr: wanted float, got '.nan'"),
        ("lr: [1, 2]", "lr: wanted one value, got ['1', '2']"),
        ("lr: {a: 1}", "lr: wanted a plain value, got !!map in line 1"),
        ("lr: [[1]]", "lr: wanted a plain value, got !!seq in line 1"),
        ("lr: &a [*a]", "lr: wanted a plain value, got !!seq in line 1"),
        ("memo: !!python/name:os.system", "memo: wanted a plain value, got !!python/name:os.system in line 1"),
        ("memo: no", "memo: wanted a value, got false; the words yes, no, on, off need quotes"),
        ("memo: ~", "memo: wanted one value, got none"),
        ("mirror: 1.5", "mirror: wanted float in 0..1, got 1.5"),
        ("epochs: 2.5", "epochs: wanted int, got '2.5'"),
        ("shape_components: few", "shape_components: invalid int value: 'few'"),
        ("lr_policy: stairs", "lr_policy: invalid choice: 'stairs' (choose from"),
        ("name: a/b", "name: wanted a name that can be a folder's, got 'a/b'"),
        ("gpu_ids: one", "gpu_ids: wanted numbers of GPUs, as in 0 or 0,1, or -1 for the CPU, got 'one'"),
        ("gpu_ids: [0, 0]", "gpu_ids: wanted each GPU once, got 0,0"),
        ("read_landmarks: 0", "read_landmarks: wanted true or false, got '0'"),
        ("resume: 'true'", "resume: wanted true or false, got 'true'"),
        ("resume:", "resume: wanted true or false, got None"),
        ("debug: [true]", "debug: wanted true or false, got [True]"),
        ("model: vgg", "model: invalid choice: 'vgg' (choose from"),
        ("preset: quick", "preset: invalid choice: 'quick' (choose from"),
        ("lrr: 1", "unknown lrr; did you mean lr"),
        ("data-root: D", "unknown data-root; did you mean data_root"),
        ("zzz: 1\n1: 2", "unknown zzz 1; known are based_on accumulation averaging"),
        ("config: a.yml", "unknown config; "),
        ("help: true", "unknown help; "),
        ("<<: {lr: 1}", "<<: wanted a plain value, got !!map in line 1"),
        ("lr: 1\nmemo: a\nlr: 1", "lr: wanted once, got another in line 3"),
        ('{"lr": 1, "lr": 2}', "lr: wanted once, got another in line 1"),
        ("? [lr]\n: 1", "line 1: wanted a name, got !!seq"),
        ("- lr: 1", "wanted lines 'name: value', got !!seq"),
        ("lr 1", "wanted lines 'name: value', got !!str"),
        ("lr: [1", "wanted YAML, got something else: "),
        ("lr: 1\n\tmemo: a", "wanted YAML, got something else: "),
        ("lr: *a", "wanted YAML, got something else: found undefined alias 'a' in line 1"),
        ("lr: 1\n---\nlr: 2", "wanted YAML, got something else: but found another document in line 2"),
        ("lr: \x00", "wanted YAML, got something else: "),
        ("[" * 5000, "wanted YAML, got something else: maximum recursion depth"),
        ("memo: é".encode("latin-1"), "wanted UTF-8, got another byte at 6"),
        ("lr: 1".encode("utf-16"), "wanted UTF-8, got another byte at 0"),
        ("based_on: none.yml", "based_on: wanted a file, got none.yml, which is none"),
        ('based_on: "\\0"', "based_on: wanted a file, got "),
        ("based_on: .", "based_on: wanted a file, got "),
        ("based_on:", "based_on: wanted a path or a list of paths, got [None]"),
        ("based_on: [a.yml, true]", "based_on: wanted a path or a list of paths, got ['a.yml', True]"),
        ("based_on: run.yml", "based_on: wanted an end, got the circle run.yml -> run.yml"),
    ],
)
def test_mistakes_in_a_file_are_one_line_that_names_it(refuse, content, message):
    assert refuse(content).startswith(f"config run.yml: {message}")


@pytest.mark.parametrize("parse", PARSERS.values(), ids=PARSERS)
def test_every_step_refuses_what_is_not_its_own(parse, refuse):
    assert refuse("num_worker: 1", parser=parse).startswith("config run.yml: unknown num_worker; did you mean num_wor")
    assert refuse("num_workers: -1", parser=parse).startswith("config run.yml: num_workers: wanted int in ")
    assert refuse("{}", "--data_rot", "D", parser=parse).startswith("unknown option --data_rot")


@pytest.mark.parametrize("path", ["none.yml", "."])
def test_files_that_cannot_be_read_are_told(tmp_path, capsys, path):
    for parse in PARSERS.values():
        with pytest.raises(SystemExit) as end:
            parse(["--config", str(tmp_path / path), "--data_root", "D"])
        assert end.value.code == 2
        message = capsys.readouterr().err.splitlines()[-1]
        assert message.endswith((f"config {tmp_path / path}: No such file or directory", ": Is a directory"))


def test_a_flag_that_wins_does_not_hide_a_mistake(refuse):
    assert "lr: wanted float, got 'fast'" in refuse("lr: fast", "--lr", "1")


def test_a_required_option_is_still_required(write, capsys):
    with pytest.raises(SystemExit):
        parse_train_options(["--config", write("lr: 1")])
    assert "required: --data_root" in capsys.readouterr().err


def test_files_start_from_others(train, write):
    write("epochs: 7\nlr: 1\nbeta1: 0.1\nmemo: base\n", "parts/base.yml")
    write("based_on: base.yml\nlr: 2\nbeta1: 0.2\n", "parts/middle.yml")
    write("beta1: 0.3\nbeta2: 0.3\n", "other.yml")
    options = train("based_on: [parts/middle.yml, other.yml]\nbeta2: 0.4\n", "--memo", "told")
    assert (options.epochs, options.lr, options.beta1, options.beta2) == (7, 2.0, 0.3, 0.4)
    assert options.memo == "told"
    assert train("based_on: [other.yml, parts/middle.yml]\nbeta2: 0.4\n").beta1 == 0.2
    # twice the same is no circle
    assert train("based_on: [parts/base.yml, parts/middle.yml, other.yml]").lr == 2.0


def test_mistakes_name_the_file_that_makes_them(refuse, write):
    write("lr: fast\nlrr: 1\n", "base.yml")
    assert refuse("based_on: base.yml\n").startswith("config base.yml: unknown lrr")
    write("lr: fast\n", "base.yml")
    assert refuse("based_on: base.yml\nmemo: a\n").startswith("config base.yml: lr: wanted float")
    write("based_on: run.yml\n", "base.yml")
    circle = "based_on: wanted an end, got the circle run.yml -> base.yml -> run.yml"
    assert refuse("based_on: base.yml\n") == f"config run.yml: {circle}"
    write("based_on: none.yml\n", "base.yml")
    assert refuse("based_on: base.yml\n").startswith("config base.yml: based_on: wanted a file, got none.yml")


def test_model_and_preset_of_a_file_decide_the_rest(train):
    options = train("model: direct\npreset: published\nlr: 0.5\n")
    assert (options.model, options.preset, options.start, options.lr) == ("direct", "published", "random", 0.5)
    assert train("model: direct", "--model", "dual_resnet").model == "dual_resnet"
    assert train("preset: published", "--preset", "standard").lr == 2e-3
    assert train("lr: 0.5", "--preset", "published").lr == 0.5


def test_a_preset_whose_values_a_file_spells_out_is_not_just_renamed(refuse):
    message = refuse("preset: published\nlr: 1e-5", "--preset", "standard")
    assert message == "--preset: wanted published, which config run.yml comes with the values of, got standard"


def test_the_description_says_which_file(write):
    path = write("lr: 0.5\nbeta1: 0.9\nepochs: 3\n")
    _, text = parse_train_options(["--config", path, "--data_root", "D", "--epochs", "4"])
    assert f"lr: 0.5   [from {path}; default: 0.002]\n" in text
    assert f"beta1: 0.9   [from {path}]\n" in text
    assert "epochs: 4   [default: 20]\n" in text


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_read_once(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("model: direct\nlr: 0.5\n",), daemon=True)
    writer.start()
    options, _ = parse_train_options(["--config", str(pipe), "--data_root", "D"])
    writer.join(timeout=10)
    assert (options.model, options.lr) == ("direct", 0.5)


@pytest.mark.parametrize("gpu", ["0", "3", "-1"])
def test_the_options_of_a_run_give_the_run_again(write, gpu):
    words = [
        "--data_root",
        "a b",
        "--name",
        "first",
        "--gpu_ids",
        gpu,
        "--memo",
        "no: 50% # 'é' \"🙂\"\n--lr",
        "--debug",
    ]
    words += [
        "--model",
        "direct",
        "--preset",
        "published",
        "--lr",
        "3e-7",
        "--no-read_landmarks",
        "--cache_dir",
        "null",
    ]
    options, _ = parse_train_options(words)
    path = write(json.dumps(plain(options), indent=1), "options.json")
    again, _ = parse_train_options(["--config", path, "--name", "other"])
    assert vars(again) == {**vars(options), "name": "other"}
    assert plain(parse_train_options(["--config", path])[0]) == plain(options)


def test_the_options_of_a_run_are_for_training_alone(refuse):
    options, _ = parse_train_options(["--data_root", "D"])
    message = refuse(json.dumps(plain(options)), parser=parse_eval_options)
    assert message.startswith("config run.yml: unknown stream dataset memo resume img_size epoch_samples epochs ")
    assert "; known are based_on aggregate batch_size cache_dir " in message


def test_configs_hold_every_method_and_preset():
    names = {f"{model}_{preset}.yml" for model, model_class in MODELS.items() for preset in model_class.presets}
    assert {path.name for path in CONFIGS.iterdir()} == {*names, STRONG.name}


@pytest.mark.parametrize("path", sorted({*CONFIGS.glob("*.yml")} - {STRONG}), ids=lambda path: path.stem)
def test_configs_are_the_presets(path):
    options, _ = parse_train_options(["--config", str(path), "--data_root", "D"])
    model, preset = options.model, options.preset
    assert path.stem == f"{model}_{preset}"
    expected, _ = parse_train_options(["--model", model, "--preset", preset, "--data_root", "D"])
    assert options == expected
    # the whole recipe, so that it can be read there, and nothing that no preset has
    assert read_config(path).keys() == {"model", "preset", *MODELS[model].presets[preset]}
    first, command = path.read_text().splitlines()[:2]
    assert first.startswith("# ")
    assert command == f"#   python step02_train.py --config configs/{path.name} --data_root DIR --name run01"
    assert BASED_ON in path.read_text() or path.stem in (
        "deep3d_published",
        "dual_resnet_published",
        "jmlr_published",
        "perspective_standard",
        "pixel2mesh_published",
        "radan_published",
        "radan_standard",
    )


@pytest.mark.parametrize("model", sorted(MODELS))
def test_strong_augmentation_goes_on_top_of_a_preset(model):
    words = ["--model", model, "--preset", "standard", "--data_root", "D"]
    words += ["--dataset", MODELS[model].dataset] if MODELS[model].dataset else []
    alone, strong = (vars(parse_train_options(more)[0]) for more in (words, [*words, "--config", str(STRONG)]))
    changed = {name for name in strong if strong[name] != alone[name]}
    assert changed <= read_config(STRONG).keys()
    assert {"rotation", "color", "blur", "noise", "jpeg", "cut_out", "box_scale"} <= changed
