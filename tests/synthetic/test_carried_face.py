"""Labels of another topology: the procedural one's own with its vertices in another order and another frame, of which
all is known."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import step00_synthesize
import step01_preparation
from data.synthetic.carried_face import face_with
from data.synthetic.generate import draw_subject_ids, generate_data_root
from data.synthetic.shape import procedural_face
from util.camera import transform
from util.mesh import read_obj, write_obj
from util.pose import check_pose

NUMBERS = {"num_subjects": 5, "num_test_subjects": 1, "num_actions": 1, "frames": 1, "image_size": 64, "num_workers": 0}
ARGUMENTS = [word for name, number in NUMBERS.items() for word in (f"--{name}", number)]


TURN = Rotation.from_euler("x", 0.3).as_matrix()


@pytest.fixture(scope="module")
def order() -> np.ndarray:
    return np.random.default_rng(3).permutation(procedural_face().topology.num_vertices)


@pytest.fixture(scope="module")
def resources(order, tmp_path_factory) -> Path:
    """A data root that has nothing but resources/. In another frame, symmetric as templates must be."""
    own = procedural_face().topology
    numbers = np.argsort(order)  # where each vertex went
    folder = tmp_path_factory.mktemp("topology") / "resources"
    folder.mkdir()
    write_obj(folder / "example.obj", (own.template[order] - [0, 0.02, 0.06]) @ TURN, numbers[own.triangles])
    np.save(folder / "kpt_ind.npy", numbers[own.keypoints])
    return folder


def test_step00_labels_another_topology(resources, order, tmp_path, run_script):
    status, text = run_script(
        step00_synthesize, "--data_root", tmp_path / "other", *ARGUMENTS, "--topology", resources.parent
    )
    assert status == 0, text
    # the first subject alone, who is the same person whatever comes after
    generate_data_root(tmp_path / "own", **NUMBERS | {"num_subjects": 1, "num_test_subjects": 0}, seed=0)
    first = draw_subject_ids(6, seed=0)[0]
    own = {path.name: path for path in (tmp_path / "own").rglob("*.*")}
    (name,) = [name for name in own if name.endswith("_info.npz")]
    (path,) = (tmp_path / "other" / "info" / first).rglob("*_info.npz")
    assert path.name == name
    assert path.parent.name == own[name].parent.name  # the action
    with np.load(own[name]) as truth, np.load(path) as arrays:
        verts, R_t, carried, pose = truth["verts"], truth["R_t"], arrays["verts"], arrays["R_t"]
    assert carried.dtype == pose.dtype == np.float32
    check_pose("R_t", pose)
    # the six decimals of the .obj put vertices up to a micrometre off theirs
    np.testing.assert_allclose(transform(carried, pose), transform(verts, R_t)[order], atol=2e-5)
    np.testing.assert_allclose(pose[:3, :3], TURN.T @ R_t[:3, :3], atol=1e-4)
    image, landmarks = name.replace("_info.npz", "_ar.jpg"), name.replace("_info.npz", "_68landmarks.txt")
    (path,) = (tmp_path / "other" / "image" / first).rglob(image)
    assert path.read_bytes() == own[image].read_bytes()
    (path,) = (tmp_path / "other" / "68landmarks" / first).rglob(landmarks)
    # whole pixels, which a micrometre may change by one
    np.testing.assert_allclose(np.loadtxt(path), np.loadtxt(own[landmarks]), atol=1)
    template, triangles = read_obj(tmp_path / "other" / "resources" / "example.obj")
    np.testing.assert_allclose(template, read_obj(resources / "example.obj")[0], atol=1e-6)
    np.testing.assert_array_equal(triangles, read_obj(resources / "example.obj")[1])
    written = np.load(tmp_path / "other" / "resources" / "kpt_ind.npy")
    np.testing.assert_array_equal(written, np.load(resources / "kpt_ind.npy"))
    arguments = ["--data_root", tmp_path / "other", "--cache_dir", tmp_path / "cache", "--num_workers", 0]
    status, text = run_script(step01_preparation, *arguments)
    assert (status, "rejected: 0" in text) == (0, True), text


def test_all_else_is_the_wrapped_face(resources):
    face, own = face_with(resources), procedural_face()
    assert face_with(resources) is face
    assert face_with(None) is own
    for name in ("parts", "regions", "identity_names", "expression_names", "neck_weight"):
        assert getattr(face, name) is getattr(own, name)
    identity, expression = np.linspace(-1, 1, len(own.identity_names)), np.linspace(0, 0.5, len(own.expression_names))
    want, got = own.vertices(identity, expression, (0.1, 0.2)), face.vertices(identity, expression, (0.1, 0.2))
    assert all((got[name] == want[name]).all() for name in want)


def test_topologies_that_do_not_fit(resources, tmp_path, run_script):
    def told(folder):
        status, text = run_script(step00_synthesize, "--data_root", tmp_path / "root", *ARGUMENTS, "--topology", folder)
        assert status == 1
        assert "Traceback" not in text
        assert sorted(path.name for path in tmp_path.iterdir()) == before
        return text

    before = ["bad"]
    bad = tmp_path / "bad"
    bad.mkdir()
    assert "No such file" in told(bad / "nothing")
    (bad / "example.obj").write_bytes((resources / "example.obj").read_bytes())
    assert f"{bad}/kpt_ind.npy: No such file" in told(bad)
    (bad / "kpt_ind.npy").write_bytes(b"no array")
    assert f"error: {bad}: " in told(bad)
    keypoints = np.load(resources / "kpt_ind.npy")
    np.save(bad / "kpt_ind.npy", keypoints[:5])
    assert "key points: wanted shape (68), got (5,)" in told(bad)
    np.save(bad / "kpt_ind.npy", keypoints[::-1])
    assert f"topology {bad}: key points: wanted the 68 of a face in the iBUG order" in told(bad)
