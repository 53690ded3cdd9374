"""The steps with --data packed: the same results as from the files, which are then not needed."""

import cv2
import numpy as np
import pytest
import torch

import step01_preparation
import step02_train
import step03_eval
import step04_make_submission
from data.wcpa import WcpaRoot
from tests.steps.test_steps import TINY, stop_after_six

AUGMENTED = [*TINY, "--box_jitter", 0.1, "--mirror", 0.5, "--light", 0.5, "--rotation", 20, "--box_scale", 0.1]
AUGMENTED += [word for name in ("color", "blur", "noise", "jpeg", "cut_out", "shuffle") for word in (f"--{name}", 0.5)]


@pytest.fixture
def prepare(data_root, tmp_path, run_script):
    """Runs step01 with these options; returns those that say where everything is."""

    def run(*arguments):
        where = ["--data_root", data_root, "--cache_dir", tmp_path / "cache"]
        status, text = run_script(step01_preparation, *where, "--num_workers", 0, *arguments)
        assert status == 0, text
        return where, text

    return run


def test_packed_images_train_the_same_weights_and_replace_the_files(prepare, tmp_path, run_script):
    where, text = prepare("--pack", "--pack_margin", 1)
    assert "packed train: " in text
    assert "kB an image" in text
    checkpoints = [*where, "--checkpoints_dir", tmp_path / "checkpoints"]
    status, text = run_script(step02_train, *checkpoints, "--name", "files", *AUGMENTED)
    assert status == 0, text
    for path in (where[1] / "image").rglob("*.jpg"):
        path.unlink()
    status, text = run_script(step02_train, *checkpoints, "--name", "packed", *AUGMENTED, "--data", "packed")
    assert status == 0, text
    files, packed = (
        torch.load(tmp_path / f"checkpoints/{name}/latest.pt", weights_only=True)["model"]
        for name in ("files", "packed")
    )
    assert all(torch.equal(value, packed[name]) for name, value in files.items())

    run = [*checkpoints, "--name", "packed", "--output_dir", tmp_path / "output", "--num_workers", 0]
    for arguments in (["--split", "val"], ["--split", "test"]):
        status, text = run_script(step03_eval, *run, *arguments, "--data", "packed")
        assert status == 0, text
    for name in ("0.jpg", "val_0.jpg", "cases.jpg"):
        assert cv2.imread(str(tmp_path / "output/packed" / name)) is not None
    status, text = run_script(step04_make_submission, *run, "--data", "packed")
    assert status == 0, text
    status, text = run_script(step04_make_submission, *run)
    assert (status, "_ar.jpg" in text) == (1, True)


def test_a_camera_that_looks_aside_does_not_roll_about_the_middle(data_root, prepare, tmp_path, run_script):
    path = data_root / "resources" / "projection_matrix.txt"
    projection = np.loadtxt(path)
    projection[2, 1] = 0.2
    np.savetxt(path, projection)
    where, _ = prepare()
    run = [*where, "--checkpoints_dir", tmp_path / "checkpoints", "--name", "tiny", *TINY]
    status, text = run_script(step02_train, *run, "--rotation", 5)
    assert (status, "--rotation: wanted 0, or a camera of one focal length" in text) == (1, True)


def test_reencoded_images_say_how_exact_they_are(prepare, tmp_path, run_script):
    where, text = prepare("--pack", "reencoded", "--pack_size", 32)
    assert "reencoded windows are not exact: at 32 pixels they differ by " in text
    run = [*where, "--checkpoints_dir", tmp_path / "checkpoints", "--name", "tiny"]
    status, text = run_script(step02_train, *run, *TINY, "--data", "packed")
    assert status == 0, text


def test_what_is_not_packed_says_how_to_pack(prepare, data_root, tmp_path, run_script):
    where, _ = prepare()
    run = [*where, "--checkpoints_dir", tmp_path / "checkpoints", "--name", "tiny", "--data", "packed", *TINY]
    status, text = run_script(step02_train, *run)
    assert (status, "run step01_preparation.py --pack lossless" in text) == (1, True)
    prepare("--pack")
    status, text = run_script(step02_train, *run, "--box_jitter", 0.2)
    assert (status, "--pack_margin 0.3" in text) == (1, True)
    prepare("--fold", 1)
    status, text = run_script(step02_train, *run)
    assert (status, "was packed from other" in text) == (1, True)
    # the same list of other images
    prepare()
    root = WcpaRoot(data_root)
    path = root.image_path(root.samples("train")[5])
    cv2.imwrite(str(path), np.full((96, 96, 3), 90, np.uint8))
    prepare()
    status, text = run_script(step02_train, *run)
    assert (status, "was packed from other" in text) == (1, True)
    # not all of the test list
    prepare("--pack")
    root.landmarks_path(root.samples("test")[0]).write_text("")
    prepare("--pack")
    assert run_script(step02_train, *run)[0] == 0
    status, text = run_script(step04_make_submission, *run[:8], "--data", "packed")
    assert (status, "wanted all 4 samples of" in text, "use --data files" in text) == (1, True, True)


def test_an_image_that_cannot_be_cut_is_named(data_root, tmp_path, run_script):
    root = WcpaRoot(data_root)
    path = root.image_path(root.samples("test")[1])
    path.write_bytes(cv2.imencode(".png", root.read_image(root.samples("test")[1]))[1].tobytes())
    arguments = ["--data_root", data_root, "--cache_dir", tmp_path / "cache", "--num_workers", 0]
    status, text = run_script(step01_preparation, *arguments, "--pack")
    assert status == 1
    assert "error: " in text.splitlines()[-1]
    assert f"{path}: wanted a JPEG that can be cut without loss" in text
    assert run_script(step01_preparation, *arguments, "--pack", "reencoded")[0] == 0


def test_a_folder_that_cannot_be_written_is_one_message(data_root, tmp_path, run_script):
    (tmp_path / "cache" / "train_images.a.index").mkdir(parents=True)
    arguments = ["--data_root", data_root, "--cache_dir", tmp_path / "cache", "--num_workers", 0]
    status, text = run_script(step01_preparation, *arguments, "--pack")
    assert status == 1
    assert text.splitlines()[-1].startswith("error: ")
    assert "train_images.a.index" in text.splitlines()[-1]
    assert "Traceback" not in text


def test_streamed_training_goes_on_where_it_was_stopped(prepare, data_root, tmp_path, run_script, monkeypatch):
    where, text = prepare("--pack", "--pack_margin", 1, "--shards", 3)
    assert f"shards: {tmp_path / 'cache' / 'shards'}, 3" in text
    for path in (data_root / "image").rglob("*.jpg"):
        path.unlink()
    run = [*where, "--checkpoints_dir", tmp_path / "checkpoints", *AUGMENTED]
    run += ["--data", "stream", "--stream", tmp_path / "cache" / "shards"]
    status, text = run_script(step02_train, *run, "--name", "whole")
    assert status == 0, text
    calls = stop_after_six(monkeypatch)
    status, text = run_script(step02_train, *run, "--name", "stopped")
    assert (status, "stopped in epoch 2" in text) == (0, True)
    status, text = run_script(step02_train, *run, "--name", "stopped", "--resume")
    assert (status, len(calls)) == (0, 8), text
    latest = (tmp_path / "checkpoints" / name / "latest.pt" for name in ("whole", "stopped"))
    whole, stopped = (torch.load(path, weights_only=True)["model"] for path in latest)
    assert all(torch.equal(value, stopped[name]) for name, value in whole.items())
    status, text = run_script(step02_train, *run, "--name", "short", "--debug")
    assert (status, "--debug: wanted --data files or packed" in text) == (2, True)
    assert run_script(step01_preparation, *where, "--shards", 3)[0] == 2
