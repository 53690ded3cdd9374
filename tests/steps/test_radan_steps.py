"""radan from the bases to photos, by the real scripts on a tiny data root."""

import json

import numpy as np

import step01_preparation
import step02_train
import step03_eval
import step04_make_submission
import step05_predict
from tests.steps.conftest import BrightDetector
from tests.steps.test_steps import TINY

RADAN = [*TINY, "--model", "radan", "--backbone", "mobilenet_v1_050", "--crop_and_paste"]
RADAN += ["--loss_landmarks_weight", 1, "--loss_vdc_weight", 0.01]


def test_radan_is_trained_scored_submitted_and_used(data_root, photos, tmp_path, run_script, monkeypatch):
    data = ["--data_root", data_root, "--cache_dir", tmp_path / "cache", "--num_workers", 0]
    run = [*data, "--checkpoints_dir", tmp_path / "checkpoints", "--gpu_ids", -1, "--name", "tiny"]
    assert run_script(step01_preparation, *data)[0] == 0
    status, text = run_script(step02_train, *run, *RADAN)
    assert (status, "run step01_preparation.py --build_morphable" in text) == (1, True)
    status, text = run_script(step01_preparation, *data, "--build_morphable")
    assert status == 0, text
    status, text = run_script(step02_train, *run, *RADAN)
    assert status == 0, text
    lines = [json.loads(line) for line in (tmp_path / "checkpoints/tiny/metrics.jsonl").read_text().splitlines()]
    assert {f"train/loss_{name}" for name in ("wpdc", "wing", "vdc", "landmarks")} <= lines[-1].keys()
    look = [*run, "--output_dir", tmp_path / "output"]
    status, text = run_script(step03_eval, *look, "--split", "val", "--num_mosaics", 1, "--flip_test")
    assert status == 0, text
    assert json.loads((tmp_path / "output" / "tiny" / "metrics.json").read_text())["metrics"]["score"] > 0
    status, text = run_script(step04_make_submission, *look)
    assert status == 0, text  # which checks rotations
    assert np.isfinite(np.load(tmp_path / "output" / "my_submission.npy")).all()

    # photos of which only a box is known: the second look is where the first one has found the face
    monkeypatch.setattr("util.predictor.get_detector", lambda *_: BrightDetector())
    folder = ["--checkpoints_dir", tmp_path / "checkpoints", "--gpu_ids", -1, "--name", "tiny", "--input", photos]
    found = {}
    for steps in (1, 2):
        output = tmp_path / f"photos{steps}"
        status, text = run_script(step05_predict, *folder, "--output_dir", output, "--steps", steps)
        assert status == 0, text
        found[steps] = {path.name: path.read_bytes() for path in output.rglob("*.obj")}
    assert len(found[1]) == 2
    assert found[1] != found[2]
