"""Detectors on faces that the generator draws, on noise and on real photos; boxes from points by known cameras."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from data.detectors import (
    CASCADES,
    TURNED_SHIFT,
    Detection,
    HaarDetector,
    YuNetDetector,
    box_from_points,
    get_detector,
    groups,
    leave_out_parts,
    merge,
    parse_yunet,
    shrink,
)
from data.photos import find_photos, read_given_points, read_photo
from data.synthetic import scene
from data.synthetic.shape import procedural_face
from data.synthetic.subject import make_subject
from data.wcpa import WcpaRoot
from util.alignment import five_points
from util.camera import WCPA_PROJECTION, project, transform
from util.errors import InputError
from util.pose import pose_from_6dof, pose_to_6dof

SHARED = Path(__file__).parents[3] / "shared"
SIZE = 300


def tight_box(points):
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def misplaced(box, true_box):
    """How far a box's centre is off, and how much larger it is, in sides of the true one."""
    side = (true_box[2:] - true_box[:2]).max()
    off = (box[:2] + box[2:] - true_box[:2] - true_box[2:]) / 2 / side
    return np.abs(off).max(), abs((box[2:] - box[:2]).max() / side - 1)


@pytest.fixture(scope="module")
def model():
    return procedural_face()


@pytest.fixture(scope="module")
def face(model):
    """A generated face from the front: the picture (300, 300, 3) and its 68 points."""
    identity = np.random.default_rng(8).normal(0, 0.7, len(model.identity_names)).astype(np.float32)
    subject = make_subject(model, identity, np.random.default_rng(8))
    neutral = np.zeros(len(model.expression_names), np.float32)
    R_t = pose_from_6dof(np.array([0.0, 0.1, 0.0, 0.01, 0.0, -0.5]))
    rng = np.random.default_rng(3)
    picture = scene.render(subject, R_t, neutral, (0.0, 0.0), scene.draw_setting(rng, SIZE), rng)
    verts = model.face_vertices(model.vertices(identity, neutral)["skin"])
    points, _ = project(transform(verts, R_t), WCPA_PROJECTION, SIZE, SIZE)
    return picture, points[model.topology.keypoints]


@pytest.fixture(scope="module")
def haar():
    return HaarDetector()


@pytest.fixture(scope="module")
def mean_points(model):
    """(68, 3) metres of the generator's mean face."""
    return model.topology.template[model.topology.keypoints].astype(np.float64)


def test_a_generated_face_is_found(haar, face):
    picture, points = face
    (found,) = haar.detect(picture)
    off, larger = misplaced(found.box, tight_box(points))
    # measured on 200 of the generator's: 19 in 20 are off by less than 0.13, nine in ten 0.85 to 1.16 times as large
    assert off < 0.13
    assert larger < 0.2
    assert found.points is None


def test_the_mirrored_face_has_the_mirrored_box(haar, face):
    picture, points = face
    (found,), (mirrored,) = haar.detect(picture), haar.detect(np.ascontiguousarray(picture[:, ::-1]))
    back = np.array([SIZE - mirrored.box[2], mirrored.box[1], SIZE - mirrored.box[0], mirrored.box[3]])
    side = np.ptp(points, axis=0).max()
    # The frontal cascades have no mirror symmetry and look at every second pixel.
    assert np.abs(back - found.box).max() < 0.06 * side


@pytest.mark.parametrize("factor", [0.6, 2.5, 6.0])
def test_box_grows_with_the_photo(haar, face, factor):
    picture, points = face
    larger = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    (found,) = haar.detect(larger)
    off, size = misplaced(found.box, factor * tight_box(points))
    assert off < 0.13
    assert size < 0.2


def test_a_face_that_fills_the_photo_is_found(haar, face):
    picture, points = face
    left, top, right, bottom = (tight_box(points) + [-4, -4, 4, 4]).astype(int)
    (found,) = haar.detect(np.ascontiguousarray(picture[top:bottom, left:right]))
    off, larger = misplaced(found.box + [left, top, left, top], tight_box(points))
    assert off < 0.13
    assert larger < 0.2


def test_two_faces_the_larger_first(haar, face):
    picture, points = face
    half = cv2.resize(picture, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
    both = np.full((SIZE, 2 * SIZE, 3), 128, np.uint8)
    both[-len(half) :, : len(half)], both[:, SIZE:] = half, picture
    large, small = haar.detect(both)
    assert misplaced(large.box, tight_box(points + [SIZE, 0]))[0] < 0.13
    assert misplaced(small.box, tight_box(0.7 * points + [0, SIZE - len(half)]))[0] < 0.13


def test_no_face_in_noise_nor_in_nothing(haar):
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    assert haar.detect(noise) == []
    assert haar.detect(cv2.GaussianBlur(noise, (15, 15), 0)) == []
    for shape in ((1, 1, 3), (3, 2000, 3), (100, 80, 3)):
        assert haar.detect(np.zeros(shape, np.uint8)) == []


def test_groups_and_their_means_by_hand():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [50, 0, 60, 10], [2, 0, 12, 10.0]])
    scores = np.array([2.0, 1.0, 3.0, 1.0])
    first, second = groups(boxes, scores)
    assert first.tolist() == [False, False, True, False]
    assert second.tolist() == [True, True, False, True]
    assert groups(boxes[:0], scores[:0]) == []

    frontal = merge(boxes[[0, 3]], np.array([2.0, 1.0]), np.array([0, 0]))
    np.testing.assert_allclose(frontal.box, [2 / 3, 0, 10 + 2 / 3, 10])
    assert frontal.score == 2.0  # one cascade counts once
    left, right = (place for place, cascade in enumerate(CASCADES) if cascade.turned)
    turned = merge(boxes[[0, 0]], np.array([2.0, 1.0]), np.array([0, left]))
    # a third of what was seen is a profile that looks to the left: the box moves to the right
    np.testing.assert_allclose(turned.box, [TURNED_SHIFT * 10 / 3, 0, 10 + TURNED_SHIFT * 10 / 3, 10])
    assert turned.score == 3.0
    opposed = merge(boxes[[0, 0]], np.array([1.0, 1.0]), np.array([left, right]))
    np.testing.assert_allclose(opposed.box, boxes[0])


def test_parts_of_surer_faces_are_left_out():
    face, nose, whole, other = (
        Detection(np.array(box), score)
        for box, score in (
            ([0, 0, 100, 100.0], 9.0),
            ([40, 40, 60, 60.0], 5.0),
            ([-90, -90, 190, 190.0], 6.0),
            ([80, 0, 180, 100.0], 5.0),
        )
    )
    kept = leave_out_parts([nose, other, whole, face])
    assert [one.score for one in kept] == [9.0, 5.0]
    assert kept[1] is other


def test_shrink():
    picture = np.arange(40 * 20 * 3, dtype=np.uint8).reshape(20, 40, 3)
    assert shrink(picture, 40) is picture
    assert shrink(picture, 10).shape == (5, 10, 3)
    assert shrink(picture[:1], 10).shape == (1, 10, 3)


def write_onnx(path, nodes, constants, outputs):
    onnx = pytest.importorskip("onnx")
    make = onnx.helper
    graph = make.make_graph(
        [make.make_node(*node[:3], **node[3]) for node in nodes],
        "graph",
        [make.make_tensor_value_info("input", onnx.TensorProto.FLOAT, [1, 3, 640, 640])],
        [make.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["a", "b", "c"]) for name in outputs],
        [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 11)], ir_version=8), path)
    return path


# The eye to the left, the other, nose tip, left and right mouth corner, in cells of 16 pixels from a cell's corner.
OFFSETS = np.float32([[-2, -2], [2, -2], [0, 0.5], [-1.5, 2], [1.5, 2]])


@pytest.fixture(scope="module")
def white_cell_network(tmp_path_factory):
    """A network with YuNet's outputs that takes every all-white cell of 16 x 16 pixels for a face."""
    nodes, constants = [], {}
    biases = {"cls": np.float32([0]), "obj": np.float32([0]), "bbox": np.float32([0, 0, 2, 2]), "kps": OFFSETS.ravel()}
    for kind, bias in biases.items():
        for stride in (8, 16, 32):
            name = f"{kind}_{stride}"
            weight = np.zeros((len(bias), 3, stride, stride), np.float32)
            if kind in ("cls", "obj") and stride == 16:
                weight[:] = 1 / (3 * 255 * stride**2)
            shape = np.array([1, -1, len(bias)])
            constants |= {f"{name}_weight": weight, f"{name}_bias": bias, f"{name}_shape": shape}
            window = {"kernel_shape": [stride, stride], "strides": [stride, stride]}
            nodes += [
                ("Conv", ["input", f"{name}_weight", f"{name}_bias"], [f"{name}_map"], window),
                ("Transpose", [f"{name}_map"], [f"{name}_last"], {"perm": [0, 2, 3, 1]}),
                ("Reshape", [f"{name}_last", f"{name}_shape"], [name], {}),
            ]
    outputs = [f"{kind}_{stride}" for kind in biases for stride in (8, 16, 32)]
    return write_onnx(tmp_path_factory.mktemp("models") / "white.onnx", nodes, constants, outputs)


@pytest.mark.parametrize("scale", [1, 2])
def test_yunet_gives_points_of_the_photo(white_cell_network, mean_points, scale):
    photo = np.zeros((320 * scale, 640 * scale, 3), np.uint8)
    photo[64 * scale : 80 * scale, 160 * scale : 176 * scale] = 255
    (found,) = get_detector(f"yunet={white_cell_network}", mean_points).detect(photo)
    points = (np.array([160, 64]) + 16 * OFFSETS) * scale
    np.testing.assert_allclose(found.points, points, atol=1e-3)
    np.testing.assert_allclose(found.box, box_from_points(points, mean_points), atol=1e-2)
    assert found.score == pytest.approx(1.0, abs=1e-4)
    assert get_detector(f"yunet={white_cell_network}", mean_points).detect(np.zeros_like(photo)) == []


def test_yunet_rows_by_hand(mean_points):
    small = np.concatenate([[1, 2, 3, 4], OFFSETS.ravel(), [0.9]])
    large = np.concatenate([[1, 2, 3, 4], 10 * OFFSETS.ravel() + 50, [0.7]])
    nothing = np.concatenate([[1, 2, 3, 4], np.ones(10), [0.8]])
    faces = parse_yunet(np.float32([small, large, nothing]), np.array([2.0, 3.0]), mean_points)
    assert [face.score for face in faces] == pytest.approx([0.7, 0.9])
    np.testing.assert_allclose(faces[1].points, OFFSETS * [2, 3])
    assert parse_yunet(None, np.ones(2), mean_points) == []


def test_files_that_are_no_yunet_are_told(tmp_path, mean_points, capfd):
    other = write_onnx(tmp_path / "other.onnx", [("Relu", ["input"], ["y"], {})], {}, ["y"])
    (tmp_path / "text.onnx").write_text("no model\n")
    (tmp_path / "empty.onnx").touch()
    for path in (other, tmp_path / "text.onnx", tmp_path / "empty.onnx"):
        with pytest.raises(InputError, match=rf"{path.name}: wanted YuNet's model"):
            YuNetDetector(path, mean_points).detect(np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(FileNotFoundError, match=r"missing.onnx: no such file"):
        YuNetDetector(tmp_path / "missing.onnx", mean_points)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("text", ["", "hog", "yunet", "yunet=", "haar=a.xml"])
def test_unknown_detectors_list_the_known(mean_points, text):
    with pytest.raises(InputError, match=rf"detector: unknown '{text}'; known are haar, yunet=FILE.onnx"):
        get_detector(text, mean_points)


def test_haar_by_its_name(mean_points):
    assert isinstance(get_detector("haar", mean_points), HaarDetector)


@pytest.mark.parametrize("yaw", [0.0, 0.6, -1.0])
def test_five_points_of_an_affine_camera_give_the_box(mean_points, yaw):
    turned = mean_points @ Rotation.from_euler("yxz", [yaw, 0.3, 0.2]).as_matrix().T
    points = turned[:, :2] * [900, -900] + [320, 200]
    # exact but for rounding, whatever the turn
    np.testing.assert_allclose(box_from_points(five_points(points), mean_points), tight_box(points), atol=1e-6)
    np.testing.assert_array_equal(box_from_points(points, mean_points), tight_box(points))


def test_wrong_points_are_told(mean_points):
    for wrong in (np.zeros((4, 2)), np.zeros((5, 3)), np.full((5, 2), np.nan), np.full((68, 2), np.inf)):
        with pytest.raises(InputError, match="points: wanted"):
            box_from_points(wrong, mean_points)
    with pytest.raises(InputError, match="mean points: wanted shape"):
        box_from_points(OFFSETS, mean_points[:, :2])
    with pytest.raises(InputError, match="points: wanted points that are apart"):
        box_from_points(np.ones((5, 2)), mean_points)


@pytest.mark.skipif(not SHARED.is_dir(), reason="no sample of the WCPA layout beside the project")
def test_five_points_of_near_heads():
    root = WcpaRoot(SHARED / "wcpa_sample")
    topology = root.topology()
    mean = topology.template[topology.keypoints]
    off, larger, turned = [], [], []
    for sample in root.samples("train")[::3]:
        points = root.read_landmarks(sample)
        of_box = misplaced(box_from_points(five_points(points), mean), tight_box(points))
        off.append(of_box[0])
        larger.append(of_box[1])
        turned.append(abs(pose_to_6dof(root.read_label(sample, 1220)[1][None])[0, 1]) > np.radians(15))
    # measured on all: 0.03 on average, 5 % too large as the camera is near; the turned heads are as good
    assert np.mean(off) < 0.035
    assert np.mean(np.array(off)[turned]) < 0.04
    assert np.mean(larger) < 0.08


@pytest.mark.skipif(not SHARED.is_dir(), reason="no photos beside the project")
def test_faces_of_real_photos(haar):
    given = [(path, read_given_points(path)) for path in find_photos(SHARED / "photos")]
    given = [(path, points) for path, points in given if points is not None][::4]
    for path, points in given:
        (found,) = haar.detect(read_photo(path).pixels)
        assert (points > found.box[:2]).all(), path
        assert (points < found.box[2:]).all(), path
