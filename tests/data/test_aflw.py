"""AFLW2000-3D and 300W-LP on made-up files, against what SciPy makes of their parameters."""

import re
import shutil

import numpy as np
import pytest
import torch
from scipy.io import loadmat, savemat
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from data import get_dataset_class
from data.aflw import AflwRoot, FaceModel, orthographic_points, read_point_labels, write_resources
from data.augment import PIXEL_CHANGES, augment_batch, check_rotation
from data.check import Expected, check_sample
from data.wcpa import SampleId
from models.flip_test import FlipTest
from models.morphable_files import read_morphable
from tests.made_up_aflw import MEAN, SIZE, write_300w, write_aflw, write_face_model
from tests.made_up_threeddfa import COUNT, KEYPOINTS
from util.camera import project, transform
from util.errors import InputError


def open_with_model(folder, tmp):
    """The data root of a folder, with resources/ from a made-up Basel model."""
    model = read_morphable(write_face_model(tmp))
    metres = FaceModel(*(np.float32(1e-6) * part for part in (model.mean, model.identity, model.expression)))
    write_resources(folder, metres, model.triangles, model.keypoints)
    return AflwRoot(folder)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """AFLW2000-3D with a face model, and its faces."""
    folder = tmp_path_factory.mktemp("aflw")
    faces = write_aflw(folder / "data")
    open_with_model(folder / "data", folder)
    return folder / "data", faces


@pytest.fixture
def root(template):
    return AflwRoot(template[0])


@pytest.fixture
def broken(template, tmp_path):
    """A copy of a few images that a test may break."""
    folder = tmp_path / "data"
    shutil.copytree(template[0], folder)
    return folder


@pytest.fixture(scope="module")
def large_set(tmp_path_factory):
    folder = tmp_path_factory.mktemp("300w")
    return folder / "data", write_300w(folder / "data")


def of(name):
    return SampleId(name, "AFLW2000", name)


def rewrite(path, **changes):
    """Writes a .mat again with other arrays; None leaves one out."""
    arrays = {name: array for name, array in loadmat(path).items() if not name.startswith("__")} | changes
    savemat(path, {name: array for name, array in arrays.items() if array is not None})


def test_an_image_is_its_own_subject(root, template):
    samples = root.all_samples()
    assert samples == [of(name) for name in template[1]]
    train, test = root.samples("train"), root.samples("test")
    assert sorted(train + test) == samples
    assert test == [samples[0], samples[10]]  # every tenth of 15


def test_points_are_measured_from_the_corner(root, template):
    for name, face in template[1].items():
        true = face.seen[KEYPOINTS] - [0.5, 0.5, 0]
        # .mat files keep double precision; the landmarks of records are float32
        np.testing.assert_allclose(root.read_points(of(name)), true, rtol=0, atol=1e-12)
        np.testing.assert_allclose(root.read_landmarks(of(name)), true[:, :2], rtol=0, atol=1e-5)


def test_orthography_is_that_of_matlab(template):
    """By hand: a point without any turn, then SciPy's turns of the made-up faces."""
    pose = np.array([0, 0, 0, 10.0, 20.0, -5.0, 1e-3])
    (point,) = orthographic_points(np.array([[0.002, 0.003, 0.004]]), pose, height=450)
    # 2,000 micrometres are 2 pixels: column 12, and row 451 - 23 from 1, whose centres are half a pixel nearer to 0
    np.testing.assert_allclose(point, [11.5, 427.5, -1], rtol=0, atol=1e-12)
    for face in template[1].values():
        points = orthographic_points(1e-6 * face.verts, face.pose, SIZE)
        np.testing.assert_allclose(points, face.seen - [0.5, 0.5, 0], rtol=0, atol=1e-9)


def test_a_positive_yaw_turns_the_nose_to_the_left_of_the_picture():
    """As DESIGN.md's frame has it, +x the face's left, which a frontal picture shows on the right."""
    pose = np.array([0, 0.5, 0, 0, 0, 0, 1e-3])
    nose, behind = orthographic_points(np.array([[0, 0, 0.1], [0, 0, 0.0]]), pose, height=450)
    assert nose[0] < behind[0] - 40  # 100 * sin(0.5) = 48 pixels


def test_labels_are_the_face_in_metres_and_the_nearest_pose(root, template):
    projection = root.projection()
    for name, face in list(template[1].items())[::5]:
        verts, R_t = root.read_label(of(name), COUNT)
        np.testing.assert_allclose(verts, 1e-6 * face.verts, rtol=0, atol=1e-7)  # float32 of a tenth of a metre
        seen = face.seen[:, :2] - 0.5
        image, distance = project(transform(verts.astype(np.float64), R_t), projection, SIZE, SIZE)
        assert (distance > 0).all()
        error = np.linalg.norm(image - seen, axis=1).mean() / np.sqrt(np.ptp(seen, axis=0).prod())
        assert error < 0.02  # the real 68 points leave 0.7 to 1.1 % (see FIELD_OF_VIEW); this bowl is a bit deeper

        def misses(six, verts=verts, R_t=R_t, seen=seen):
            """Of another pose: turned and moved by six numbers."""
            turned = np.eye(4)
            turned[:3, :3], turned[3, :3] = Rotation.from_rotvec(six[:3]).as_matrix().T, six[3:]
            return (project(transform(verts, R_t @ turned), projection, SIZE, SIZE)[0] - seen).ravel()

        best = least_squares(misses, np.zeros(6))
        # nothing is better but by what float32 rounds off a pose about a metre away
        assert best.cost > np.square(misses(np.zeros(6))).sum() / 2 * (1 - 1e-5)
        # and the angles are those of the label, but for where the camera sees the face from: it looks 10 degrees far
        # to each side, and the bowl's depth makes up for some of them
        turn = Rotation.from_matrix(R_t[:3, :3].T) * Rotation.from_euler("XYZ", -face.pose[:3]).inv()
        assert np.degrees(turn.magnitude()) < 6


def test_a_record_is_read_whole(root):
    record = root.read(root.all_samples()[3], COUNT, labelled=True)
    assert record.image.shape == (SIZE, SIZE, 3)
    # the points are among the vertices: one pose shows both at the same places, but for perspective
    points = project(transform(record.verts[KEYPOINTS], record.R_t), root.projection(), SIZE, SIZE)[0]
    assert np.abs(points - record.landmarks).mean() < 1
    finding = check_sample(root, Expected(COUNT, (SIZE, SIZE), labelled=True), root.all_samples()[3])
    assert finding.reason == ""


def test_nobody_mirrors_a_face_whose_mirror_image_is_not_known(root):
    topology = root.topology()
    np.testing.assert_array_equal(topology.mirror, np.arange(COUNT))
    arguments = root, root.samples("train"), topology, ("local",), 32, True
    dataset_class = get_dataset_class("aflw2000")
    assert dataset_class.root_class is AflwRoot
    with pytest.raises(InputError, match="--mirror: wanted 0, or vertices that are each other's mirror images"):
        dataset_class(*arguments, augmentation={"mirror": 0.5})
    with pytest.raises(InputError, match="--flip_test: wanted vertices"):
        FlipTest(torch.nn.Identity(), topology, SIZE)
    others = dict.fromkeys(["light", "shuffle", *PIXEL_CHANGES], 1.0) | {"rotation": 40.0, "box": 0.1, "scale": 0.1}
    batch = dataset_class(*arguments, augmentation=others).read_batch([0, 1])
    assert batch["verts"].shape == (2, COUNT, 3)
    batch = augment_batch(batch, torch.from_numpy(topology.mirror), SIZE)  # does without
    check_rotation(root.projection(), (SIZE, SIZE))
    for place in range(2):
        seen = transform(batch["verts"][place].numpy(), batch["R_t"][place].numpy())
        points = project(seen, root.projection(), SIZE, SIZE)[0][KEYPOINTS]
        # labels' points are but near the vertices', as above, and turned as they are
        assert np.abs(points - batch["landmarks68"][place].numpy()).mean() < 1


def test_a_symmetric_model_is_mirrored(tmp_path, template):
    folder = tmp_path / "data"
    shutil.copytree(template[0], folder)
    verts = np.float32([[0.05, 0, 0], [-0.05, 0, 0], [0, 0.05, 0.02], [0, -0.05, 0.01]])
    zeros = np.zeros((1, 4, 3), np.float32)
    write_resources(folder, FaceModel(verts, zeros, zeros), np.array([[0, 2, 1], [0, 1, 3]]), np.zeros(68, np.int64))
    np.testing.assert_array_equal(AflwRoot(folder).topology().mirror, [1, 0, 2, 3])


def test_all_views_of_a_photo_are_of_one_subject(large_set):
    root = AflwRoot(large_set[0])
    samples = root.all_samples()
    assert {f"{sample.action}/{sample.image}" for sample in samples} == large_set[1].keys()
    assert len(samples) == 16
    assert SampleId("AFW_134212_1", "AFW_Flip", "AFW_134212_1_0") in samples
    assert {sample.subject for sample in samples} == {
        "AFW_134212_1",
        "AFW_134212_2",
        "HELEN_100032540_1",
        "LFPW_image_test_0001",
    }
    assert {sample.subject for sample in root.samples("test")} == {"AFW_134212_1"}
    assert len(root.samples("test")) == 4


def test_points_of_300w_lp(large_set):
    """Those of the 3D faces where they have a file, those of the .mat, which are others, where not."""
    root = AflwRoot(large_set[0])
    for sample in root.all_samples():
        true = large_set[1][f"{sample.action}/{sample.image}"].seen[KEYPOINTS, :2] - 0.5
        moved = 5 if sample.action.endswith("_Flip") else 0
        np.testing.assert_allclose(root.read_points(sample), true + moved, rtol=0, atol=1e-12)


def test_labels_of_300w_lp(large_set, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(large_set[0], folder)
    root = open_with_model(folder, tmp_path)
    sample = SampleId("AFW_134212_2", "AFW", "AFW_134212_2_1")
    verts, _ = root.read_label(sample, COUNT)
    true = large_set[1]["AFW/AFW_134212_2_1"].verts
    np.testing.assert_allclose(verts, 1e-6 * true, rtol=0, atol=1e-7)


def test_a_fingerprint_is_that_of_the_content(template, broken):
    assert AflwRoot(broken).fingerprint() == AflwRoot(template[0]).fingerprint()
    (broken / "image00005.jpg").unlink()
    (broken / "image00005.mat").unlink()
    assert AflwRoot(broken).fingerprint() != AflwRoot(template[0]).fingerprint()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"pt3d_68": None}, "image00003.mat: wanted an array pt3d_68"),
        ({"pt3d_68": np.zeros((68, 3))}, r"image00003.mat: pt3d_68: wanted shape (3, 68), got (68, 3)"),
        ({"pt3d_68": np.full((3, 68), np.nan)}, "image00003.mat: pt3d_68: wanted finite numbers, got 204 NaN"),
        ({"Pose_Para": np.zeros((1, 6))}, "image00003.mat: Pose_Para: wanted shape (1, 7), got (1, 6)"),
        ({"Pose_Para": np.zeros((1, 7))}, "image00003.mat: Pose_Para: wanted a scale above 0, got 0"),
        ({"Shape_Para": None}, "image00003.mat: wanted an array Shape_Para"),
        ({"Exp_Para": np.full((29, 1), np.inf)}, "image00003.mat: Exp_Para: wanted finite numbers"),
        ({"Exp_Para": np.array([["words"]])}, "image00003.mat: Exp_Para: wanted numbers, got dtype"),
    ],
)
def test_a_bad_label_is_named(broken, changes, told):
    rewrite(broken / "image00003.mat", **changes)
    root = AflwRoot(broken)
    finding = check_sample(root, Expected(COUNT, (SIZE, SIZE), labelled=True), of("image00003"))
    assert told in finding.reason
    with pytest.raises(InputError, match=re.escape(told)) as error:
        read_point_labels(root)
    assert "1 labels are bad" in str(error.value)


def test_missing_and_damaged_files_are_named(broken):
    (broken / "image00003.mat").write_bytes(b"no file of Matlab" * 20)
    (broken / "image00004.mat").unlink()
    (broken / "image00006.jpg").unlink()
    root = AflwRoot(broken)
    expected = Expected(COUNT, (SIZE, SIZE), labelled=True)
    assert len(root.all_samples()) == 15
    for number, told in ((3, "image00003.mat: cannot read it"), (4, "image00004.mat"), (6, "image00006.jpg")):
        assert told in check_sample(root, expected, of(f"image{number:05d}")).reason
    with pytest.raises(InputError, match=r"2 labels are bad, (.|\n)*image00003.mat(.|\n)*image00004.mat: No such file"):
        read_point_labels(root)


def test_points_on_one_line_are_no_face(broken):
    rewrite(broken / "image00003.mat", pt3d_68=np.tile(np.arange(68.0), (3, 1)) * [[1], [0], [1]])
    with pytest.raises(InputError, match=r"image00003.mat: wanted a face, got 68 points on one line"):
        read_point_labels(AflwRoot(broken))


def test_folders_that_are_none_of_them(tmp_path, large_set):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        AflwRoot(tmp_path / "none")
    with pytest.raises(InputError, match="wanted AFLW2000-3D's images, or 300W-LP's folders AFW, HELEN, IBUG"):
        AflwRoot(tmp_path).samples("train")
    (tmp_path / "AFW").mkdir()
    for name in ("image00002.jpg", "AFW/AFW_1_0.jpg"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match="got both"):
        AflwRoot(tmp_path).all_samples()
    root = AflwRoot(large_set[0])
    for ask in (root.topology, root.projection, lambda: root.read_label(root.all_samples()[0], COUNT)):
        with pytest.raises(FileNotFoundError, match=r"no resources/face_model.npz: .*--face_model"):
            ask()


def test_a_face_model_of_other_meshes_or_damaged(broken):
    with pytest.raises(InputError, match=f"face_model.npz: wanted 99 vertices, got {len(MEAN)}"):
        AflwRoot(broken).read_label(of("image00002"), 99)
    path = broken / "resources" / "face_model.npz"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"face_model.npz: wanted a file of step01 --face_model"):
        AflwRoot(broken).read_label(of("image00002"), COUNT)
