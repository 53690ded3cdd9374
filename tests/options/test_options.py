import pytest

from models import MODELS
from options.base_options import plain
from options.eval_options import parse_eval_options
from options.preparation_options import parse_preparation_options
from options.submission_options import parse_submission_options
from options.synthesize_options import parse_synthesize_options
from options.train_options import build_parser, parse_train_options

ROOT = ["--data_root", "x"]
PARSERS = {
    "synthesize": parse_synthesize_options,
    "preparation": parse_preparation_options,
    "train": parse_train_options,
    "eval": parse_eval_options,
    "submission": parse_submission_options,
}


def refuse(capsys, parse, arguments) -> str:
    """The message of a usage error, which must end with status 2."""
    with pytest.raises(SystemExit) as end:
        parse(arguments)
    assert end.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("parse", PARSERS.values(), ids=PARSERS)
def test_mistakes_are_refused(parse, capsys):
    assert "--data_root" in refuse(capsys, parse, [])
    assert "did you mean --data_root" in refuse(capsys, parse, [*ROOT, "--data_rot", "y"])
    assert "known are" in refuse(capsys, parse, [*ROOT, "--zzz"])
    assert "unknown option --data_r" in refuse(capsys, parse, ["--data_root", "x", "--data_r", "y"])  # no abbreviations
    assert "wanted int in " in refuse(capsys, parse, [*ROOT, "--num_workers", "-1"])


@pytest.mark.parametrize("parse", PARSERS.values(), ids=PARSERS)
def test_help_is_complete(parse, capsys):
    with pytest.raises(SystemExit) as end:
        parse(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert "example:" in text
    assert "default:" in text


def test_fixed_command_lines_parse():
    numbers = {"num_subjects": 5, "num_test_subjects": 1, "num_actions": 2, "frames": 1, "image_size": 800, "seed": 0}
    words = [word for name, value in numbers.items() for word in (f"--{name}", str(value))]
    assert vars(parse_synthesize_options(["--data_root", "D", "--num_workers", "1", *words])).items() >= numbers.items()
    parse_preparation_options(["--data_root", "D", "--fold", "4"])
    parse_train_options(["--data_root", "D", "--name", "run01", "--gpu_ids", "0", "--memo", "first trial"])
    parse_eval_options(["--data_root", "D", "--name", "run01", "--gpu_ids", "0"])
    assert parse_submission_options(["--data_root", "D", "--name", "run01", "--gpu_ids", "-1"]).gpu_ids == []


def test_runs_to_compare(capsys):
    words = [*ROOT, "--split", "val", "--name", "run01", "--compare"]
    assert parse_eval_options([*words, "run02, run03"]).compare == ["run02", "run03"]
    assert parse_eval_options(words[:-1]).compare == []
    assert "wanted each run once, got run02,run02" in refuse(capsys, parse_eval_options, [*words, "run02,run02"])
    assert "wanted a name that can be a folder's, got ''" in refuse(capsys, parse_eval_options, [*words, "run02,"])
    assert "wanted runs other than --name run01" in refuse(capsys, parse_eval_options, [*words, "run02,run01"])
    assert "wanted --split val" in refuse(capsys, parse_eval_options, [*ROOT, "--compare", "run02"])


def test_the_published_preset_is_the_published_baseline():
    options, _ = parse_train_options([*ROOT, "--preset", "published"])
    published = {
        "img_size": 256,
        "batch_size": 128,
        "lr": 1e-5,
        "beta1": 0.5,
        "beta2": 0.999,
        "epochs": 10,
        "epochs_decay": 5,
        "lr_policy": "linear",
        "weight_decay": 0.0,
        "backbone": "resnet18",
        "initialisation": "normal",
        "start": "random",
        "pooling": "average",
        "shape_components": 0,
        "read_landmarks": False,
        "landmark_noise": 0.0,
        "loss_verts_weight": 5.0,
        "loss_6dof_weight": 1.0,
        "mirror": 0.0,
        "light": 0.0,
        "box_jitter": 0.0,
        "averaging": 0.0,
        "precision": "fp32",
    }
    assert {name: getattr(options, name) for name in published} == published


def test_presets_fill_in_and_the_command_line_wins():
    options, text = parse_train_options([*ROOT, "--preset", "standard", "--lr", "0.5", "--model", "direct"])
    assert (options.lr, options.model, options.start) == (0.5, "direct", "mean")
    assert "lr: 0.5   [default: 0.002]" in text
    assert "beta1: 0.9\n" in text


@pytest.mark.parametrize("name", sorted(MODELS))
def test_presets_name_options_that_exist(name):
    for preset in MODELS[name].presets:
        build_parser(name, preset)


def test_unknown_model_and_preset_list_the_known_ones(capsys):
    assert "direct, dual_resnet" in refuse(capsys, parse_train_options, [*ROOT, "--model", "vgg"]).replace("'", "")
    message = refuse(capsys, parse_train_options, [*ROOT, "--preset", "quick"]).replace("'", "")
    assert "published, standard" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "3", "--preset", "published"], "--epochs_decay: wanted at most --epochs 3, got 5"),
        (["--gpu_ids", "one"], "wanted numbers of GPUs, as in 0 or 0,1, or -1 for the CPU, got 'one'"),
        (["--gpu_ids", "0,-1"], "wanted numbers of GPUs"),
        (["--gpu_ids", "0,1,0"], "wanted each GPU once, got 0,1,0"),
        (["--name", "a/b"], "wanted a name that can be a folder's"),
        (["--lr", "fast"], "wanted float, got 'fast'"),
        (["--mirror", "1.5"], "wanted float in 0..1, got 1.5"),
        (["--lr", "nan"], "wanted float, got 'nan'"),
        (["--lr_policy", "step"], "--lr_policy step: wanted --lr_milestones, after which the rate goes down, got none"),
        (["--lr_milestones", "5,x"], "wanted numbers of epochs, as in 15 or 15,25, got '5,x'"),
        (["--lr_milestones", "5,3"], "wanted epochs from 1 up, each later than the one before, got 5,3"),
        (["--nesterov"], "--nesterov: wanted --optimizer sgd and a momentum --beta1 above 0, got --optimizer adam"),
    ],
)
def test_wrong_values_are_told(capsys, arguments, message):
    assert message in refuse(capsys, parse_train_options, [*ROOT, *arguments])


def test_plain_options_are_plain():
    options, _ = parse_train_options(ROOT)
    assert all(isinstance(value, str | int | float | bool | list) for value in plain(options).values())
