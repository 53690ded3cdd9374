"""The comparison of all methods, end to end on a tiny data root, and its stages."""

import importlib
import json
import shutil
import signal
import sys

import numpy as np
import pytest

from benchmarks import compare_methods
from options.preparation_options import parse_preparation_options
from options.synthesize_options import parse_synthesize_options
from options.train_options import parse_train_options
from tests import conftest
from util.errors import InputError

NAMES = ["dual_resnet_images", "perspective"]
TINY = f"--methods {','.join(NAMES)} --epochs 1 --img_size 32 --batch_size 8 --num_workers 0 --gpu_ids -1"


def call_here(script, arguments):
    """What compare_methods.call does, in this process, in which all is imported already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [script, *map(str, arguments)])
        importlib.import_module(script.removesuffix(".py")).main()


def call_until_the_last(script, arguments):
    """The same, but for the last training, at which somebody gets impatient."""
    if "perspective_f1" in arguments:
        raise KeyboardInterrupt
    call_here(script, arguments)


def times(work_dir):
    """When the last checkpoint of each run was written."""
    paths = sorted(work_dir.glob("checkpoints/*/latest.pt"))
    return {path.parent.name: path.stat().st_mtime_ns for path in paths}


@pytest.fixture
def work_dir(root_template, tmp_path, monkeypatch):
    """A folder with the two data roots; two folds stand for five."""
    for name in ("root", "heldout"):
        shutil.copytree(root_template, tmp_path / "work" / name)
    monkeypatch.setattr(compare_methods, "NUM_FOLDS", 2)
    monkeypatch.setattr(compare_methods, "call", call_here)
    return tmp_path / "work"


@pytest.fixture
def second_root(tmp_path, monkeypatch):
    """One of larger pictures and another topology."""
    for name, value in (("COLUMNS", 11), ("IMAGE_SIZE", 128)):
        monkeypatch.setattr(conftest, name, value)
    conftest.write_root(tmp_path / "second")
    return tmp_path / "second"


def test_methods_are_trained_once_and_compared(work_dir, second_root, run_script, monkeypatch):
    told = ["--work_dir", work_dir, "--second_root", second_root, *TINY.split()]
    monkeypatch.setattr(compare_methods, "call", call_until_the_last)
    status, text = run_script(compare_methods, *told)
    assert (status, "interrupted" in text) == (1, True)
    assert not (work_dir / "comparison.json").exists()
    cut_short = times(work_dir)
    assert list(cut_short) == ["dual_resnet_images_f0", "perspective_f0"]
    monkeypatch.setattr(compare_methods, "call", call_here)
    status, text = run_script(compare_methods, *told)
    assert status == 0, text
    trained = times(work_dir)
    assert trained.items() > cut_short.items()

    content = json.loads((work_dir / "comparison.json").read_text())
    assert sorted(content["runs"]) == ["dual_resnet_images_f0", "perspective_f0", "perspective_f1"]
    assert content["runs"]["perspective_f1"]["cache_dir"] == str(work_dir / "cache_f1")
    assert not content["runs"]["dual_resnet_images_f0"]["read_landmarks"]
    rows = {row["title"]: row for row in content["rows"]}
    variants = ["", ", flips", ", subject", ", flips, subject"]
    assert list(rows) == [
        *("mean face at mean pose", "perspective, untrained"),
        *(f"{name}{variant}" for name in NAMES for variant in variants),
        *("perspective, ensemble", "perspective, ensemble, flips, subject"),
    ]
    for row in rows.values():
        figures = row["heldout"]
        # float32 meshes, float64 figures
        assert figures["score"] == pytest.approx(sum(figures[f"score_{part}"] for part in ("all", "pose", "shape")))
        assert figures["interval"] > 0
        assert all(np.isfinite(value) for kind in ("heldout", "second") for value in row[kind].values())
    one, all_folds = rows["perspective"], rows["perspective, ensemble"]
    # runs of two folds, of one size
    assert all_folds["parameters_millions"] == pytest.approx(2 * one["parameters_millions"])
    assert all_folds["minutes"] > one["minutes"] > 0
    assert (work_dir / "comparison.md").read_text() in text

    status, text = run_script(compare_methods, *told)
    assert status == 0, text
    assert times(work_dir) == trained
    assert "step0" not in text
    again = json.loads((work_dir / "comparison.json").read_text())["rows"]
    assert [row["heldout"] for row in again] == [row["heldout"] for row in content["rows"]]

    status, text = run_script(compare_methods, *told, "--img_size", 48)
    assert status == 1
    assert "was trained with --img_size 32 (now 48)" in text


def test_every_method_is_told_what_step02_understands(tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr(compare_methods, "call", lambda *command: commands.append(command))
    options = compare_methods.parse_options(["--work_dir", str(tmp_path)])
    compare_methods.make_data(options, {"perspective": range(5), "radan": range(1)})
    roots = [parse_synthesize_options(arguments) for script, arguments in commands if script.startswith("step00")]
    # a seed of its own: none of the people is in both
    assert [(one.data_root.name, one.num_subjects, one.seed) for one in roots] == [("root", 417, 0), ("heldout", 60, 1)]
    caches = [parse_preparation_options(arguments) for script, arguments in commands if script.startswith("step01")]
    assert [(one.cache_dir.name, one.fold) for one in caches] == [(f"cache_f{fold}", fold) for fold in range(5)]
    assert [one.build_morphable for one in caches] == [True, False, False, False, False]
    for name in options.methods:
        commands.clear()
        for start in range(2):
            # nobody trains here
            with pytest.raises(InputError, match=f"{name}_f0 was stopped"):
                compare_methods.train(options, name, 0)
            script, arguments = commands[-1]
            parsed, _ = parse_train_options(arguments)
            assert parsed.resume == bool(start)
            (tmp_path / "checkpoints" / f"{name}_f0").mkdir(parents=True, exist_ok=True)
        assert (script, parsed.name, parsed.img_size, parsed.epochs) == ("step02_train.py", f"{name}_f0", 112, 4)
        # sets of three pictures
        assert parsed.batch_size == (30 if name == "multiview" else 32)


def test_mistakes_are_told(tmp_path, run_script):
    for arguments, status, message in (
        (["--methods", "direct,indirect"], 2, "unknown indirect; known are direct, dual_resnet"),
        (["--methods", ""], 1, "--methods: wanted one or more of direct, dual_resnet"),
        (["--batch_size", 2], 2, "wanted int in 3.., got 2"),
    ):
        assert run_script(compare_methods, "--work_dir", tmp_path, *arguments)[0] == status
        assert message in run_script(compare_methods, "--work_dir", tmp_path, *arguments)[1]


def test_a_step_that_fails_ends_the_comparison(tmp_path, capfd):
    with pytest.raises(InputError, match=r"step01_preparation.py ended with status 2; the same command goes on"):
        compare_methods.call("step01_preparation.py", ["--fold", 7])
    assert "wanted int in 0..4, got 7" in capfd.readouterr().err


def test_a_step_that_is_interrupted_may_save(monkeypatch):
    happened = []

    class Training:
        def wait(self):
            happened.append("wait")
            if len(happened) == 1:
                raise KeyboardInterrupt

        def send_signal(self, number):
            happened.append(number)

    monkeypatch.setattr(compare_methods.subprocess, "Popen", lambda command: Training())
    with pytest.raises(KeyboardInterrupt):
        compare_methods.call("step02_train.py", [])
    assert happened == ["wait", signal.SIGTERM, "wait"]
