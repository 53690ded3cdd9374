"""deep3d from the morphable model to the submission, by the real scripts on a tiny data root."""

import json

import numpy as np
import pytest
import torch

import step01_preparation
import step02_train
import step03_eval
import step04_make_submission
from tests.steps.test_steps import TINY, stop_after_six, weights


@pytest.fixture
def where(data_root, tmp_path, run_script):
    """A data root with a morphable model; returns the options that say where everything is."""
    words = ["--data_root", data_root, "--cache_dir", tmp_path / "cache"]
    assert run_script(step01_preparation, *words, "--num_workers", 0, "--build_morphable")[0] == 0
    return [*words, "--checkpoints_dir", tmp_path / "checkpoints", "--gpu_ids", -1, "--num_workers", 0]


def train(run_script, where, name, *more):
    status, text = run_script(step02_train, *where, *TINY, "--model", "deep3d", "--name", name, *more)
    assert status == 0, text
    return text


def test_deep3d_is_trained_scored_and_submitted(where, tmp_path, run_script):
    text = train(run_script, where, "tiny")
    assert text.count("perceptual loss: left out, there are no --recognition_weights") == 1
    lines = [json.loads(line) for line in (tmp_path / "checkpoints/tiny/metrics.jsonl").read_text().splitlines()]
    losses = {f"val/loss_{name}" for name in ("color", "landmarks", "coefficients", "albedo", "light", "total")}
    assert losses == {name for name in lines[0] if name.startswith("val/loss")}
    # the bowl's landmarks are those of no face: they lie a window apart at first, and any step brings them nearer
    assert lines[2]["val/loss_total"] < lines[0]["val/loss_total"]
    look = [*where, "--name", "tiny", "--output_dir", tmp_path / "output"]
    status, text = run_script(step03_eval, *look, "--split", "val", "--num_mosaics", 1, "--flip_test")
    assert status == 0, text
    status, text = run_script(step04_make_submission, *look)
    assert status == 0, text  # which checks rotations
    assert np.isfinite(np.load(tmp_path / "output" / "my_submission.npy")).all()


def test_a_stopped_and_resumed_run_equals_one_that_was_not(where, tmp_path, run_script, monkeypatch):
    """Although each step moves the windows by draws of its own."""
    train(run_script, where, "whole")
    calls = stop_after_six(monkeypatch)
    train(run_script, where, "stopped")
    train(run_script, where, "stopped", "--resume")
    assert len(calls) == 8
    whole, resumed = (weights(tmp_path / "checkpoints" / name)["model"] for name in ("whole", "stopped"))
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_missing_files_are_told(where, tmp_path, run_script):
    words = [*where, *TINY, "--model", "deep3d", "--name", "tiny"]
    for option in ("imagenet_weights", "recognition_weights"):
        status, text = run_script(step02_train, *words, f"--{option}", tmp_path / "none.pth")
        assert (status, "weights" in text, "none.pth: no such file" in text) == (1, True, True)
    (tmp_path / "cache" / "morphable.npz").unlink()
    status, text = run_script(step02_train, *words)
    assert (status, "run step01_preparation.py --build_morphable" in text) == (1, True)
