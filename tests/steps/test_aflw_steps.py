"""AFLW2000-3D by the real scripts: as a data root with a face model, and as the benchmark of 68 points without."""

import csv
import json
import shutil

import cv2
import numpy as np
import pytest
from scipy.io import loadmat, savemat

import step01_preparation
import step02_train
import step03_eval
from tests.made_up_aflw import write_aflw, write_face_model
from tests.made_up_threeddfa import KEYPOINTS, write_facekit, write_point_bases
from tests.steps.conftest import STRONG, TRAINING
from util.predictor import Predictor

COUNT = 7


@pytest.fixture(scope="module")
def aflw(tmp_path_factory):
    """A folder of AFLW2000-3D without a face model, to be read only, and its faces."""
    folder = tmp_path_factory.mktemp("aflw") / "AFLW2000-3D"
    return folder, write_aflw(folder, COUNT)


@pytest.fixture
def where(aflw, tmp_path):
    """Options for a copy of it."""
    shutil.copytree(aflw[0], tmp_path / "data")
    return ["--data_root", tmp_path / "data", "--cache_dir", tmp_path / "cache"]


def test_a_run_is_trained_and_scored(where, tmp_path, run_script):
    words = [*where, "--num_workers", 1, "--dataset", "aflw2000", "--face_model", write_face_model(tmp_path)]
    status, text = run_script(step01_preparation, *words)
    assert status == 0, text
    assert "200 vertices; of the labels' coefficients count the first 40 of identity and 10 of expression" in text
    assert "rejected: 0" in text
    assert (tmp_path / "cache" / "check.jpg").exists()
    run = [*where, "--checkpoints_dir", tmp_path / "checkpoints"]
    training = [*run, *TRAINING.split(), "--precision", "fp32", "--dataset", "aflw2000", "--model", "direct"]
    status, text = run_script(step02_train, *training, "--name", "faces", *STRONG, "--mirror", 0)
    assert status == 0, text
    status, text = run_script(step02_train, *training, "--name", "mirrored", "--mirror", 0.5)
    assert status == 1
    assert "--mirror: wanted 0, or vertices that are each other's mirror images" in text
    look = [*run, "--name", "faces", "--gpu_ids", -1, "--num_workers", 0, "--output_dir", tmp_path / "output"]
    status, text = run_script(step03_eval, *look, "--split", "val", "--num_mosaics", 1)
    assert status == 0, text
    content = json.loads((tmp_path / "output" / "faces" / "metrics.json").read_text())
    assert content["images"] == 2  # a fold of the 6 that are not kept for the test
    assert 0 < content["metrics"]["nme68_percent"] < np.inf
    status, text = run_script(step03_eval, *look, "--split", "val", "--flip_test")
    assert status == 1
    assert "--flip_test: wanted vertices" in text


@pytest.mark.parametrize("steps", [1, 2])
def test_any_run_is_scored_by_the_points(aflw, checkpoints, tmp_path, run_script, steps):
    """A run of another topology; its figures are computed again here, from its predictions."""
    folder, faces = aflw
    look = ["--data_root", folder, "--name", "tiny", "--checkpoints_dir", checkpoints, "--gpu_ids", -1]
    words = [*look, "--output_dir", tmp_path, "--split", "points", "--steps", steps]
    status, text = run_script(step03_eval, *words)
    assert status == 0, text
    predictor, errors, bins = Predictor("tiny", checkpoints, steps=steps), [], {"0_30": [], "30_60": [], "60_90": []}
    for name, face in faces.items():
        true = face.seen[KEYPOINTS, :2] - 0.5
        low, high = true.min(axis=0), true.max(axis=0)
        image = cv2.cvtColor(cv2.imread(f"{folder / name}.jpg"), cv2.COLOR_BGR2RGB)
        (found,) = predictor(image, boxes=np.array([[*low, *high]]))
        width, height = high - low
        errors.append(100 * np.hypot(*(found.landmarks2d - true).T).mean() / np.sqrt(width * height))
        yaw = abs(np.degrees(face.pose[1]))
        bins["0_30" if yaw <= 30 else "30_60" if yaw <= 60 else "60_90"].append(errors[-1])
    content = json.loads((tmp_path / "tiny" / "points" / "metrics.json").read_text())
    means = [np.mean(values) for values in bins.values()]
    row = content["metrics"]
    # decoders of JPEG differ by a level of grey here and there, and networks compute in single precision
    close = {"rtol": 1e-3}
    np.testing.assert_allclose([row[f"nme_yaw_{name}"] for name in bins], means, **close)
    np.testing.assert_allclose([row["nme_yaw_mean"], row["nme_yaw_std"]], [np.mean(means), np.std(means)], **close)
    np.testing.assert_allclose(row["nme68_percent"], np.mean(errors), **close)
    assert [row[f"images_yaw_{name}"] for name in bins] == [len(values) for values in bins.values()]
    assert row["nme68_stretched_percent"] > 0
    assert (content["images"], content["steps"]) == (COUNT, steps)
    with open(tmp_path / "tiny" / "points" / "metrics.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["img_id"] for line in lines] == list(faces)
    np.testing.assert_allclose([float(line["nme68_percent"]) for line in lines], errors, **close)
    assert cv2.imread(str(tmp_path / "tiny" / "points" / "cases.jpg")).shape == (3 * 320, 5 * 320, 3)
    assert f"{COUNT} images" in text
    assert f"{means[0]:8.3f}"[:-1] in text


def test_a_benchmark_with_bad_labels_is_not_scored(where, checkpoints, tmp_path, run_script):
    path = tmp_path / "data" / "image00004.mat"
    arrays = {name: array for name, array in loadmat(path).items() if not name.startswith("__")}
    savemat(path, arrays | {"pt3d_68": np.full((3, 68), np.nan)})
    (tmp_path / "data" / "image00005.mat").unlink()
    look = [
        *where,
        "--name",
        "tiny",
        "--checkpoints_dir",
        checkpoints,
        "--gpu_ids",
        -1,
        "--output_dir",
        tmp_path / "out",
    ]
    status, text = run_script(step03_eval, *look, "--split", "points")
    assert status == 1
    assert "2 labels are bad" in text
    assert "image00004.mat: pt3d_68: wanted finite numbers" in text
    assert "image00005.mat" in text
    assert not (tmp_path / "out").exists()


def test_options_that_mean_nothing_are_refused(where, tmp_path, run_script):
    for words in (["--flip_test"], ["--aggregate", "subject"], ["--data", "packed"]):
        status, text = run_script(step03_eval, *where, "--split", "points", *words)
        assert status == 2
        assert f"{words[0]}: means nothing with --split points" in text
    status, text = run_script(step01_preparation, *where, "--face_model", tmp_path)
    assert status == 2
    assert "--face_model: wanted --dataset aflw2000" in text


def test_face_models_that_are_others_are_refused(where, tmp_path, run_script):
    """Labels are numbers of 3DDFA's, and its 68 points are no surface."""
    (tmp_path / "points").mkdir()
    for path in (write_facekit(tmp_path), write_point_bases(tmp_path / "points"), tmp_path / "none.pkl"):
        status, text = run_script(step01_preparation, *where, "--dataset", "aflw2000", "--face_model", path)
        assert status == 1
        assert str(path) in text
        assert not (tmp_path / "data" / "resources").exists()
    status, text = run_script(step01_preparation, *where, "--dataset", "aflw2000")
    assert status == 1
    assert "no resources/face_model.npz" in text
