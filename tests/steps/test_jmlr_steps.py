"""jmlr from training to the submission, with the flip test, by the real scripts on a tiny data root."""

import json

import numpy as np

import step01_preparation
import step02_train
import step03_eval
import step04_make_submission
from tests.steps.test_steps import TINY


def test_jmlr_is_trained_scored_and_submitted(data_root, tmp_path, run_script):
    data = ["--data_root", data_root, "--cache_dir", tmp_path / "cache", "--num_workers", 0]
    run = [*data, "--checkpoints_dir", tmp_path / "checkpoints", "--name", "tiny", "--gpu_ids", -1]
    look = [*run, "--output_dir", tmp_path / "output"]
    assert run_script(step01_preparation, *data)[0] == 0
    status, text = run_script(step02_train, *run, *TINY, "--model", "jmlr", "--backbone", "resnet18")
    assert status == 0, text
    scores = {}
    for flip in ("--no-flip_test", "--flip_test"):
        status, text = run_script(step03_eval, *look, "--split", "val", "--num_mosaics", 1, flip)
        assert status == 0, text
        scores[flip] = json.loads((tmp_path / "output" / "tiny" / "metrics.json").read_text())["metrics"]["score"]
    assert "tiny (best, flip test)" in text
    assert 0 < scores["--flip_test"] != scores["--no-flip_test"]
    submissions = []
    for flip in ("--no-flip_test", "--flip_test"):
        status, text = run_script(step04_make_submission, *look, flip)
        assert status == 0, text  # which checks rotations
        submissions.append(np.load(tmp_path / "output" / "my_submission.npy"))
    assert not np.array_equal(*submissions)
