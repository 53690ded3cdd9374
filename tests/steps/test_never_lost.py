"""A run that is killed at any moment, or that cannot write, loses nothing: it goes on as if nothing had happened."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import step01_preparation
import step02_train

HOUSE = Path(__file__).parents[2]
OPTIONS = ["--img_size", 32, "--batch_size", 4, "--epochs", 2, "--num_workers", 0, "--gpu_ids", -1, "--num_pictures", 0]
# 4 steps an epoch, of which every second one is followed by a checkpoint
OPTIONS += ["--warmup_steps", 0, "--precision", "fp32", "--save_latest_freq", 8]

# Each before such a call, counted from the start of the process, which goes on from the latest checkpoint.
KILLS = [
    "util.training:TrainingState.train_step:2",  # before there is anything to go on from but the untrained weights
    "os:fsync:2",  # the checkpoint in the middle of the first epoch lies half-written beside the last one
    "step02_train:keep_as:1",  # the first epoch is saved, but not yet as the best
    "util.training:TrainingState.train_step:2",
    "step02_train:score_share:1",  # the second epoch is trained, but not validated
]


@pytest.fixture(scope="module")
def prepared(root_template, tmp_path_factory):
    """The options that say where everything is, for many runs of this file."""
    folder = tmp_path_factory.mktemp("never_lost")
    words = ["--data_root", root_template, "--cache_dir", folder / "cache"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["step01_preparation.py", *map(str, words), "--num_workers", "0"])
        step01_preparation.main()
    yield [*words, "--checkpoints_dir", folder / "checkpoints"], folder / "checkpoints"
    shutil.rmtree(folder)  # gigabytes of checkpoints


def train(prepared, name, *more, at="util.errors:run_step:0"):
    """Runs step02 in a process of its own. Returns its status and what it printed."""
    words = [*prepared[0], "--name", name, *OPTIONS, *more]
    command = [sys.executable, HOUSE / "tests/steps/killed.py", at, *map(str, words)]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return result.returncode, result.stdout


def assert_same(one, other):
    """The same structure of the same values, to the bit."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            assert_same(*pair)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other


def load(folder, name):
    state = torch.load(folder / f"{name}.pt", weights_only=True)
    for option in ("name", "resume"):
        state["options"].pop(option)
    return state


def metrics(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    # Means and times of the part of an epoch that was trained after the last start.
    return [{key: value for key, value in line.items() if not key.startswith("train/")} for line in lines]


@pytest.fixture(scope="module")
def undisturbed(prepared):
    with pytest.MonkeyPatch.context() as patch:
        words = [*prepared[0], "--name", "undisturbed", *OPTIONS]
        patch.setattr(sys, "argv", ["step02_train.py", *map(str, words)])
        step02_train.main()
    return prepared[1] / "undisturbed"


def test_a_run_that_is_killed_again_and_again_ends_as_one_that_was_not(prepared, undisturbed):
    folder = prepared[1] / "killed"
    for number, kill in enumerate(KILLS):
        status, text = train(prepared, "killed", *(["--resume"] if number else []), at=kill)
        assert status == -signal.SIGKILL, f"{kill}: {text}"
        assert torch.load(folder / "latest.pt", weights_only=True)["model"]
    (folder / "metrics.jsonl").write_bytes((folder / "metrics.jsonl").read_bytes() + b'{"step": 2, "epo')
    status, text = train(prepared, "killed", "--resume")
    assert status == 0, text
    for name in ("latest", "best"):
        assert_same(load(folder, name), load(undisturbed, name))
    assert metrics(folder) == metrics(undisturbed)
    assert not [path.name for path in folder.iterdir() if path.name.endswith(".part")]


def test_a_run_that_is_killed_before_its_first_checkpoint_starts_anew(prepared, undisturbed):
    # the second file to be written, after options.json, is the first checkpoint
    status, text = train(prepared, "early", at="os:fsync:2")
    assert status == -signal.SIGKILL, text
    assert list((prepared[1] / "early").glob(".latest.pt.*.part"))
    status, text = train(prepared, "early")
    assert status == 0, text
    assert_same(load(prepared[1] / "early", "latest"), load(undisturbed, "latest"))


def test_a_full_disk_is_one_message_and_the_last_checkpoint_stays(prepared, undisturbed):
    status, text = train(prepared, "full", at="util.training:TrainingState.train_step:4")
    assert status == -signal.SIGKILL, text
    before = (prepared[1] / "full/latest.pt").read_bytes()
    status, text = train(prepared, "full", "--resume", at=f"limit:bytes:{len(before) // 2}")
    assert status == 1
    last = text.splitlines()[-1]
    assert "latest.pt" in last
    assert "cannot write it, what was there before is kept" in last
    assert "Traceback" not in text
    assert (prepared[1] / "full/latest.pt").read_bytes() == before
    assert sorted(path.suffix for path in (prepared[1] / "full").glob("*.p*t")) == [".pt", ".pt"]
    status, text = train(prepared, "full", "--resume")
    assert status == 0, text
    assert_same(load(prepared[1] / "full", "latest"), load(undisturbed, "latest"))


def test_a_folder_that_cannot_be_written_is_one_message(prepared, tmp_path, run_script):
    (tmp_path / "file").write_text("")
    words = [*prepared[0][:4], "--checkpoints_dir", tmp_path / "file" / "checkpoints", *OPTIONS]
    status, text = run_script(step02_train, *words)
    assert status == 1
    assert str(tmp_path / "file") in text
    assert "Traceback" not in text


def test_a_name_that_is_missing_and_a_folder_of_something_else_are_told(prepared, run_script, tmp_path):
    words = [*prepared[0][:4], "--checkpoints_dir", tmp_path, *OPTIONS]
    status, text = run_script(step02_train, *words, "--name", "nobody", "--resume")
    assert (status, "--resume: no run" in text) == (1, True)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/a.jpg").write_text("")
    status, text = run_script(step02_train, *words, "--name", "photos")
    assert (status, "exists: choose another --name" in text) == (1, True)
