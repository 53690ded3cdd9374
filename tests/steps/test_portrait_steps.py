"""Scan-based worlds by the steps: a data root, its check, and training on what is drawn meanwhile."""

import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

import step00_synthesize
import step01_preparation
import step02_train
from data.synthetic import generate
from data.synthetic.generate import generate_data_root
from data.synthetic.recipe import read_recipe
from data.wcpa import WcpaRoot
from tests.portraits import FACEKIT, RECIPE, portrait_world
from tests.steps.test_steps import TINY, stop_after_six
from util.camera import project, transform
from util.errors import run_step
from util.ict_files import read_ict

NUMBERS = {"num_subjects": 5, "num_test_subjects": 1, "num_actions": 1, "frames": 1, "image_size": 96}
ARGUMENTS = [word for name, number in NUMBERS.items() for word in (f"--{name}", number)] + ["--num_workers", 0]
PORTRAITS = ["--face_model", RECIPE.face_model, "--poses", "wide", "--fov", 50]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A data root of the world that all tests share, and what step01 makes of it beside it, in cache/."""
    portrait_world()
    folder = tmp_path_factory.mktemp("portraits") / "root"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", list(map(str, ["step00", "--data_root", folder, *ARGUMENTS, *PORTRAITS])))
        run_step(step00_synthesize.main)
    return folder


@pytest.fixture(scope="module")
def prepared(root) -> list:
    """The options that say where the data root and its cache are."""
    where = ["--data_root", root, "--cache_dir", root.parent / "cache"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", list(map(str, ["step01", *where, "--num_workers", 0])))
        run_step(step01_preparation.main)
    return where


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_root_says_how_it_was_made(root):
    assert read_recipe(root) == RECIPE
    assert sorted(path.name for path in root.parent.iterdir() if not path.name.startswith("cache")) == ["root"]
    focal = 1 / np.tan(np.radians(25))
    projection = WcpaRoot(root).projection()
    assert projection[0, 0] == pytest.approx(focal, rel=1e-6)
    assert projection[1, 1] == pytest.approx(focal, rel=1e-6)


def test_landmarks_are_projections_of_the_labels(root):
    data, world = WcpaRoot(root), portrait_world()
    topology = data.topology()
    np.testing.assert_array_equal(topology.keypoints, world.topology.keypoints)
    for sample in data.samples("train"):
        record = data.read(sample, topology.num_vertices, True)
        assert record.image.shape == (96, 96, 3)
        points, _ = project(transform(record.verts, record.R_t.astype(float)), data.projection(), 96, 96)
        # whole numbers, of labels rounded to float32
        np.testing.assert_allclose(record.landmarks, points[topology.keypoints], atol=0.5 + 1e-3)
        assert points.min() > -1
        assert points.max() < 97


def test_two_workers_write_the_same_bytes(root, tmp_path):
    look = {"face_model": Path(RECIPE.face_model), "poses": "wide", "fov": 50.0}
    generate_data_root(tmp_path / "again", **NUMBERS, **look, seed=0, num_workers=2)
    assert contents(tmp_path / "again") == contents(root)


def test_step01_accepts_it(root, prepared, run_script):
    status, text = run_script(step01_preparation, *prepared, "--num_workers", 0)
    assert (status, "rejected: 0" in text) == (0, True), text


def test_a_clone_is_kept_as_one_file_and_need_not_be_whole(tmp_path, run_script):
    portrait_world()
    (tmp_path / "clone").mkdir()
    for path in (*FACEKIT.glob("*.obj"), FACEKIT / "vertex_indices.json"):
        (tmp_path / "clone" / path.name).symlink_to(path.resolve())
    where = tmp_path / "new" / "root"
    status, text = run_script(step00_synthesize, "--data_root", where, *ARGUMENTS, "--face_model", tmp_path / "clone")
    assert status == 0, text
    kept = tmp_path / "new" / "face_model.npz"
    assert f"face model: {kept}" in text
    assert read_recipe(where).face_model == str(kept)
    assert len(read_ict(kept).identity) == len(list((tmp_path / "clone").glob("identity*.obj")))
    assert len(list(where.rglob("*_ar.jpg"))) == 6
    again = ["--data_root", tmp_path / "new" / "other", *ARGUMENTS, "--face_model", tmp_path / "clone"]
    status, text = run_script(step00_synthesize, *again)
    assert (status, f"{kept}: there is one already" in text) == (1, True), text


def one_world(recipe):
    """In place of worlds.world_of: any recipe's, of the head that is there already."""
    return portrait_world(**asdict(recipe))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--face_model", "nothing"], "face model nothing: no such file or folder"),
        (["--face_model", "empty"], "face model empty: wanted a folder with generic_neutral_mesh.obj"),
        (["--face_model", "broken.npz"], "broken.npz"),
        ([*PORTRAITS, "--topology", "nothing"], "No such file"),
        ([*PORTRAITS, "--topology", "empty"], "empty"),
        ([*PORTRAITS, "--backgrounds", "nothing"], "backdrops nothing: no such folder"),
        ([*PORTRAITS, "--backgrounds", "empty"], "backdrops empty: wanted pictures"),
        ([*PORTRAITS, "--backgrounds", "unreadable"], "one.png: wanted a picture, got 3 bytes that OpenCV"),
    ],
)
def test_files_that_are_wrong(root, tmp_path, run_script, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    for folder in ("empty", "unreadable"):
        (tmp_path / folder).mkdir()
    (tmp_path / "broken.npz").write_bytes(b"no archive")
    (tmp_path / "unreadable" / "one.png").write_bytes(b"png")
    before = sorted(tmp_path.rglob("*"))
    if "--backgrounds" in arguments:
        monkeypatch.setattr(generate, "world_of", one_world)
    status, text = run_script(step00_synthesize, "--data_root", tmp_path / "root", *ARGUMENTS, *arguments)
    assert status == 1
    assert message in text
    assert "Traceback" not in text
    told = [line for line in text.strip().splitlines() if not line.startswith("synthesizing:")]  # the bar's lines
    assert len(told) == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--poses", "wide"], "--poses wide: wanted --face_model with it"),
        (["--backgrounds", "x"], "--backgrounds: wanted --face_model with it"),
        (["--save_face_model", "x"], "--save_face_model: wanted --face_model with it"),
        (["--poses", "narrow"], "--poses"),
        (["--fov", 5], "--fov"),
        (["--fov", "nan"], "--fov"),
    ],
)
def test_options_that_do_not_go_together(tmp_path, run_script, arguments, message):
    status, text = run_script(step00_synthesize, "--data_root", tmp_path / "root", *arguments)
    assert (status, message in text) == (2, True), text
    assert list(tmp_path.iterdir()) == []


def test_only_portraits_can_be_drawn_while_training(checkpoints, root_template, tmp_path, run_script):
    where = ["--data_root", root_template, "--cache_dir", checkpoints.parent / "cache"]
    where += ["--checkpoints_dir", tmp_path, "--name", "run"]
    status, text = run_script(step02_train, *where, *TINY, "--dataset", "synthetic")
    assert status == 1
    assert f"{root_template}: wanted a data root of step00_synthesize.py --face_model, got another" in text
    status, text = run_script(step02_train, *where, *TINY, "--epoch_samples", 8)
    assert (status, "--epoch_samples: wanted --dataset synthetic" in text) == (2, True)
    assert list(tmp_path.iterdir()) == []


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "latest.pt", weights_only=True)["model"]


def test_training_goes_on_where_it_was_interrupted(prepared, tmp_path, run_script, monkeypatch):
    where = [*prepared, "--checkpoints_dir", tmp_path, *TINY, "--dataset", "synthetic"]
    where += ["--epoch_samples", 18, "--batch_size", 4, "--epochs", 2, "--mirror", 0.5, "--rotation", 20, "--name"]
    status, text = run_script(step02_train, *where, "straight")
    assert status == 0, text
    assert "18 training images" in text
    with monkeypatch.context() as patch:
        stop_after_six(patch)
        status, text = run_script(step02_train, *where, "interrupted")
    assert "stopped in epoch 2; go on with --resume" in text
    status, text = run_script(step02_train, *where, "interrupted", "--resume")
    assert status == 0, text
    one, other = weights(tmp_path / "straight"), weights(tmp_path / "interrupted")
    assert one.keys() == other.keys()
    assert all(torch.equal(values, other[name]) for name, values in one.items())


def test_a_loss_that_is_not_finite_names_the_samples(prepared, tmp_path, run_script):
    where = [*prepared, "--checkpoints_dir", tmp_path, "--name", "wild", *TINY, "--dataset", "synthetic"]
    status, text = run_script(step02_train, *where, "--epoch_samples", 60, "--lr", 1e30, "--epochs", 5)
    assert status == 1, text
    assert "drawn sample " in text
    assert "Traceback" not in text
