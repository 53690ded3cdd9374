"""A generated data root: its layout, its labels, and the same bytes from the same seed."""

import csv
import hashlib
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from data.synthetic import generate, procedural_world, sweep
from data.synthetic.generate import generate_data_root
from data.synthetic.shape import procedural_face
from util.camera import WCPA_PROJECTION, project, transform
from util.errors import InputError
from util.mesh import make_topology, read_obj
from util.pose import check_pose, pose_to_6dof
from util.views import camera_from_fov

SIZE = 96
SMALL = {"num_subjects": 2, "num_test_subjects": 1, "num_actions": 2, "frames": 1, "image_size": SIZE, "seed": 11}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("synthetic") / "root"
    generate_data_root(folder, **SMALL, num_workers=0)
    return folder


def fingerprints(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def read_rows(root: Path, split: str) -> list[list[str]]:
    with open(root / "list" / f"WCPA_track2_{split}.csv", encoding="ascii", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["subject_id", "facial_action", "img_id"]
    return rows


def test_same_bytes_here_and_with_two_workers(root, tmp_path):
    generate_data_root(tmp_path / "again", **SMALL, num_workers=2)
    assert fingerprints(tmp_path / "again") == fingerprints(root)


def test_another_seed_makes_other_people(root, tmp_path):
    settings = SMALL | {"seed": 12, "num_subjects": 1, "num_test_subjects": 0}
    generate_data_root(tmp_path / "other", **settings, num_workers=0)
    assert {path.name for path in (root / "image").iterdir()}.isdisjoint(
        path.name for path in (tmp_path / "other" / "image").iterdir()
    )
    assert read_rows(tmp_path / "other", "test") == []
    assert np.load(tmp_path / "other/resources/example_submission.npy").shape[0] == 0


def test_layout_is_that_of_the_wcpa_data(root):
    assert {path.name for path in root.iterdir()} == {
        "image",
        "68landmarks",
        "info",
        "test_info",
        "list",
        "resources",
    }
    assert len(read_rows(root, "train")) == 4
    assert len(read_rows(root, "test")) == 2
    for split, labels in (("train", "info"), ("test", "test_info")):
        rows = read_rows(root, split)
        ids = (root / "list" / f"WCPA_track2_{split}_subject_id_list.txt").read_text(encoding="ascii").split("\n")
        assert ids == [*sorted({row[0] for row in rows}), ""]
        assert rows == sorted(rows, key=lambda row: (row[0], row[1], int(row[2])))
        for subject, action, image in rows:
            assert re.fullmatch(r"\d{6}", subject)
            assert re.fullmatch(r"\d\d_\w+", action)
            assert re.fullmatch(r"0|[1-9]\d*", image)
            assert int(image) < 240
            assert (root / "image" / subject / action / f"{image}_ar.jpg").is_file()
            assert (root / "68landmarks" / subject / action / f"{image}_68landmarks.txt").is_file()
            assert (root / labels / subject / action / f"{image}_info.npz").is_file()
    train = {row[0] for row in read_rows(root, "train")}
    assert train.isdisjoint(row[0] for row in read_rows(root, "test"))
    assert {path.name for path in (root / "info").iterdir()} == train
    assert len(list(root.rglob("*_ar.jpg"))) == 6


def test_pictures_and_labels_read_back(root):
    keypoints = np.load(root / "resources/kpt_ind.npy")
    topology = make_topology(*read_obj(root / "resources/example.obj"), keypoints)
    for subject, action, image in read_rows(root, "train"):
        picture = cv2.imread(str(root / "image" / subject / action / f"{image}_ar.jpg"))
        assert picture.shape == (SIZE, SIZE, 3)
        with np.load(root / "info" / subject / action / f"{image}_info.npz") as info:
            assert set(info.files) == {"verts", "R_t"}
            verts, R_t = info["verts"], info["R_t"]
        assert verts.dtype == np.float32
        assert verts.shape == (topology.num_vertices, 3)
        assert R_t.dtype == np.float32
        check_pose("R_t", R_t)
        text = (root / "68landmarks" / subject / action / f"{image}_68landmarks.txt").read_text(encoding="ascii")
        assert re.fullmatch(r"(-?\d+ -?\d+\n){68}", text)
        landmarks = np.array([line.split() for line in text.splitlines()], float)
        points, _ = project(transform(verts, R_t.astype(np.float64)), WCPA_PROJECTION, SIZE, SIZE)
        np.testing.assert_allclose(landmarks, points[keypoints], atol=0.5 + 1e-3)  # they are whole numbers
        assert points.min() > -0.05 * SIZE
        assert points.max() < 1.05 * SIZE


def test_resources_read_back(root):
    face = procedural_face()
    template, triangles = read_obj(root / "resources/example.obj")
    np.testing.assert_allclose(template, face.topology.template, atol=1e-6)
    np.testing.assert_array_equal(triangles, face.topology.triangles)
    np.testing.assert_array_equal(np.loadtxt(root / "resources/projection_matrix.txt"), WCPA_PROJECTION)
    submission = np.load(root / "resources/example_submission.npy")
    count = face.topology.num_vertices
    assert submission.dtype == np.float32
    assert submission.shape == (2, 3 * count + 12)
    np.testing.assert_array_equal(submission, np.tile(submission[0], (2, 1)))
    np.testing.assert_allclose(submission[0, : 3 * count].reshape(-1, 3), template, atol=1e-6)
    pose = np.eye(4)
    pose[:3, :3], pose[3, :3] = submission[0, 3 * count : -3].reshape(3, 3), submission[0, -3:]
    check_pose("example pose", pose)
    labels = [np.load(path)["R_t"] for path in sorted((root / "info").rglob("*.npz"))]
    np.testing.assert_allclose(pose_to_6dof(pose), pose_to_6dof(np.array(labels)).mean(axis=0), atol=1e-5)


def test_subject_ids_differ_and_some_begin_with_a_zero():
    ids = generate.draw_subject_ids(50, seed=1)
    assert len(set(ids)) == 50
    assert all(re.fullmatch(r"\d{6}", one) for one in ids)
    assert 5 <= sum(one.startswith("0") for one in ids) <= 15
    assert generate.draw_subject_ids(1, seed=2)[0].startswith("0")


def test_a_folder_with_contents_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="wanted a new or empty folder"):
        generate_data_root(tmp_path, **SMALL, num_workers=0)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "root").mkdir()
    settings = {"num_subjects": 1, "num_test_subjects": 0, "num_actions": 1, "frames": 1, "image_size": 64, "seed": 0}
    generate_data_root(tmp_path / "root", **settings, num_workers=0)
    assert len(list((tmp_path / "root").rglob("*_ar.jpg"))) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_subjects", 0),
        ("num_test_subjects", -1),
        ("num_actions", 0),
        ("num_actions", 13),
        ("frames", 0),
        ("frames", 241),
        ("image_size", 63),
        ("image_size", 4097),
        ("seed", -1),
        ("num_workers", -1),
    ],
)
def test_a_bad_argument_is_named(tmp_path, name, value):
    with pytest.raises(InputError, match=rf"^{name}: wanted .*got {value}$"):
        generate_data_root(tmp_path / "root", **{**SMALL, "num_workers": 0, name: value})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch, error):
    real, calls = procedural_world.render, []

    def stop_at_second(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise error
        return real(*args, **kwargs)

    monkeypatch.setattr(procedural_world, "render", stop_at_second)
    with pytest.raises(error):
        generate_data_root(tmp_path / "root", **SMALL, num_workers=0)
    assert list(tmp_path.iterdir()) == []


def test_a_face_near_the_border_is_pulled_inside():
    verts = procedural_face().topology.template
    R_t = np.eye(4)
    R_t[3, :3] = [0.3, -0.25, -0.5]
    points, _ = project(transform(verts, sweep.keep_inside(R_t, verts)), WCPA_PROJECTION, 800, 800)
    assert points.min() > -8  # the shift is that of a point at the mean distance
    assert points.max() < 808
    R_t[3, :3] = [0.0, 0.0, -0.5]
    np.testing.assert_array_equal(sweep.keep_inside(R_t, verts), R_t)


def test_a_face_that_a_camera_does_not_hold_moves_away():
    verts = procedural_face().topology.template
    R_t = np.eye(4)
    R_t[3, :3] = [0.0, 0.0, -0.5]
    projection = camera_from_fov(10.0, 800, 800).projection
    moved = sweep.keep_inside(R_t, verts, projection)
    points, distance = project(transform(verts, moved), projection, 800, 800)
    assert points.min() > -8
    assert points.max() < 808
    assert distance.mean() > 1.0  # half the view is 9 cm at 1 m, and a face some 20 high
