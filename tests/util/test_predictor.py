"""Photos in, faces out: with a network that reads a drawn face's coordinates off its colours, so that all that can go
wrong is the way from the photo to the window and back."""

import cv2
import numpy as np
import pytest

from models.network import NetworkConstants
from Sim3DR import rasterize
from tests.conftest import bowl
from util.camera import WCPA_PROJECTION, project, screen_vertices, transform
from util.mesh import make_topology
from util.photo_predictor import Start, check_image
from util.pose import pose_from_6dof
from util.prediction import FacePrediction
from util.predictor import Predictor
from util.views import FLIP, PhotoCamera, camera_from_fov

TEMPLATE, TRIANGLES = bowl()
TOPOLOGY = make_topology(TEMPLATE, TRIANGLES, np.random.default_rng(0).permutation(len(TEMPLATE))[:68])
LOW, SPAN = TEMPLATE.min(axis=0), np.ptp(TEMPLATE, axis=0)
TRAINING_SIDE, WINDOW = 600, 300
SIX_MEAN, SIX_STD = np.array([0.0, 0, 0, 0, 0, -0.53]), np.array([0.3, 0.3, 0.1, 0.02, 0.05, 0.065])


class ColorReader:
    """A network that knows its own camera, and sees in the window the canonical place of every pixel of the face."""

    constants = NetworkConstants(
        windows=("local",),
        window_size=WINDOW,
        topology=TOPOLOGY,
        projection=WCPA_PROJECTION,
        image_size=(TRAINING_SIDE, TRAINING_SIDE),
        six_mean=SIX_MEAN,
        six_std=SIX_STD,
        verts_mean=TEMPLATE,
        expression_basis=TEMPLATE[:0, None],
    )
    deforms = False

    def __init__(self):
        self.calls = []

    def __call__(self, batch):
        self.calls.append({name: tensor.numpy() for name, tensor in batch.items()})
        return np.repeat(TEMPLATE[None], len(batch["index"]), 0), np.stack(
            [self.pose(*pair) for pair in zip(batch["local"].numpy(), batch["local_affine"].numpy(), strict=True)]
        )

    def pose(self, window, affine):
        pixels = window.transpose(1, 2, 0).astype(np.float64)
        drawn = (pixels.min(axis=2) > 30).astype(np.uint8)
        inside = cv2.erode(drawn, np.ones((7, 7), np.uint8)) > 0  # away from edges, which mix with the background
        rows, columns = np.nonzero(inside)
        if len(rows) < 50:
            return pose_from_6dof(SIX_MEAN).astype(np.float32)
        coordinates = LOW + (pixels[inside] - 50) / 200 * SPAN
        places = (np.column_stack([columns, rows]) + 0.5 - affine[:, 2]) / affine[[0, 1], [0, 1]]
        focal = WCPA_PROJECTION[0, 0] * TRAINING_SIDE / 2
        matrix = PhotoCamera(focal, TRAINING_SIDE, TRAINING_SIDE).matrix
        _, turn, shift = cv2.solvePnP(coordinates, places, matrix, None)
        pose = np.eye(4)
        pose[:3, :3], pose[3, :3] = (FLIP @ cv2.Rodrigues(turn)[0]).T, FLIP @ shift.ravel()
        return pose.astype(np.float32)


@pytest.fixture
def predictor(monkeypatch):
    network = ColorReader()
    monkeypatch.setattr("util.predictor.open_network", lambda *_: network)
    return Predictor("made up")


def draw(camera, *poses):
    """A photo of faces, coloured by their canonical coordinates: levels 50 to 250."""
    photo = np.zeros((camera.height, camera.width, 3), np.uint8)
    colors = ((TEMPLATE - LOW) / SPAN * 200 / 255 + 50 / 255).astype(np.float32)
    for pose in poses:
        screen = screen_vertices(transform(TEMPLATE, pose), camera.projection, camera.width, camera.height)
        photo = rasterize(screen, TRIANGLES, colors, bg=photo, w=-screen[:, 2])
    return photo


def true_points(camera, pose):
    return project(transform(TEMPLATE, pose), camera.projection, camera.width, camera.height)[0]


def true_box(camera, pose):
    points = true_points(camera, pose)[TOPOLOGY.keypoints]
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def translation_error(face, pose):
    return np.linalg.norm(face.R_t[3, :3] - pose[3, :3])


@pytest.mark.parametrize("fov", [40, 52.5, 64.843, 77.5, 90])
def test_the_right_field_of_view_gives_the_right_place_and_a_wrong_one_the_wrong_distance(predictor, fov):
    camera = camera_from_fov(fov, 900, 700)
    pose = pose_from_6dof([0.1, -0.3, 0.05, 0.03, -0.02, -0.5])
    photo, boxes = draw(camera, pose), true_box(camera, pose)[None]
    (right,) = predictor(photo, fov=fov, boxes=boxes)
    # levels are steps of 0.8 mm and pixels of 1 mm, over thousands of pixels
    assert translation_error(right, pose) < 0.003
    assert np.abs(right.points2d - true_points(camera, pose)).max() < 2.0
    (wrong,) = predictor(photo, boxes=boxes)  # takes it for the training camera's
    # The same pixels at another focal length: as many times farther, but for the face's own depth.
    ratio = np.tan(np.radians(fov) / 2) / np.tan(np.radians(64.843) / 2)
    assert wrong.R_t[3, 2] == pytest.approx(pose[3, 2] * ratio, rel=0.08)
    if abs(ratio - 1) > 0.01:
        assert translation_error(wrong, pose) > 5 * translation_error(right, pose)


@pytest.mark.parametrize("place", [(0.0, 0.0, -3.0), (1.2, 0.5, -3.0), (-0.2, 0.12, -0.6), (0.0, 0.0, -0.25)])
def test_faces_that_training_never_saw_are_brought_where_it_did(predictor, place):
    camera = camera_from_fov(60, 2000, 1500)
    pose = pose_from_6dof([0.1, 0.2, 0.0, *place])
    (face,) = predictor(draw(camera, pose), fov=60, boxes=true_box(camera, pose)[None])
    # A zoomed face is read as a near one, whose foreshortening its pixels do not have: 4 % of the distance.
    assert translation_error(face, pose) < 0.04 * np.linalg.norm(place)
    wanted = true_points(camera, pose)
    assert np.abs(face.points2d - wanted).max() < 0.03 * np.ptp(wanted, axis=0).max()


def test_all_faces_the_largest_first_and_no_more_than_wanted(predictor):
    camera = camera_from_fov(64.843, 1000, 800)
    poses = [pose_from_6dof([0, 0, 0, x, 0, z]) for x, z in ((-0.2, -0.9), (0.1, -0.6))]
    photo, boxes = draw(camera, *poses), np.stack([true_box(camera, pose) for pose in poses])
    near, far = predictor(photo, boxes=boxes)
    assert near.R_t[3, 2] > far.R_t[3, 2]
    assert len(predictor(photo, boxes=boxes, max_faces=1)) == 1
    # each face is read in its own view, although the other one is in the picture, too
    assert near.image_size == (1000, 800)


def test_two_boxes_of_one_face_are_one_face(predictor):
    camera = camera_from_fov(64.843, 600, 600)
    pose = pose_from_6dof([0, 0, 0, 0, 0, -0.55])
    box = true_box(camera, pose)
    assert len(predictor(draw(camera, pose), boxes=np.stack([box, box + 8]))) == 1


def test_two_looks_and_what_is_told_about_points(predictor):
    camera = camera_from_fov(64.843, 600, 600)
    pose = pose_from_6dof([0, 0.2, 0, 0, 0, -0.55])
    photo, network = draw(camera, pose), predictor.network
    predictor(photo, boxes=true_box(camera, pose)[None])
    assert len(network.calls) == 2
    assert not any(call["landmarks_known"].any() for call in network.calls)
    # the second looks at where the first one saw the points
    wanted = true_points(camera, pose)[TOPOLOGY.keypoints]
    assert np.abs(network.calls[1]["landmarks68"][0] - wanted).max() < 1.0
    network.calls.clear()
    (face,) = predictor(photo, points=wanted)
    assert len(network.calls) == 1  # known points need no second look
    assert network.calls[0]["landmarks_known"].all()
    np.testing.assert_allclose(network.calls[0]["landmarks68"][0], wanted, atol=1e-3)
    assert face.source == "68 points"
    assert face.confidence > 0.9


class DeformingReader(ColorReader):
    """Its deformation says which look it is of."""

    deforms = True

    def with_deformation(self, batch):
        verts, R_t = self(batch)
        numbers = np.float32(len(self.calls) + 10 * np.arange(len(verts)))[:, None, None]
        return verts, R_t, [(np.zeros((len(verts), 3, 3)) + numbers, TRIANGLES[:1]), (verts, TRIANGLES)]


@pytest.mark.parametrize("wanted", [True, False])
def test_faces_carry_the_deformation_of_the_last_look_where_it_is_wanted(monkeypatch, wanted):
    monkeypatch.setattr("util.predictor.open_network", lambda *_: DeformingReader())
    predictor = Predictor("made up", deformation=wanted)
    camera = camera_from_fov(64.843, 1000, 800)
    poses = [pose_from_6dof([0, 0, 0, x, 0, z]) for x, z in ((-0.2, -0.9), (0.1, -0.6))]
    faces = predictor(draw(camera, *poses), boxes=np.stack([true_box(camera, pose) for pose in poses]))
    assert len(faces) == 2
    for index, face in enumerate(faces):
        if not wanted:
            assert face.deformation == ()
            continue
        (start, first), (verts, triangles) = face.deformation
        np.testing.assert_array_equal(start, np.full((3, 3), 2 + 10 * index))
        np.testing.assert_array_equal(verts, face.verts)
        assert (len(first), len(triangles)) == (1, len(TRIANGLES))
    # fusing changes the shape and not how the network came to its own
    for face, fused in zip(faces, predictor.fuse(faces), strict=True):
        assert fused.deformation is face.deformation


def test_networks_that_deform_nothing_give_none(monkeypatch):
    network = ColorReader()
    monkeypatch.setattr("util.predictor.open_network", lambda *_: network)
    camera = camera_from_fov(64.843, 600, 600)
    pose = pose_from_6dof([0, 0, 0, 0, 0, -0.55])
    predictor = Predictor("made up", deformation=True)
    (face,) = predictor(draw(camera, pose), boxes=true_box(camera, pose)[None])
    assert face.deformation == ()


def test_one_look_where_one_was_asked_for(monkeypatch):
    network = ColorReader()
    monkeypatch.setattr("util.predictor.open_network", lambda *_: network)
    camera = camera_from_fov(64.843, 600, 600)
    pose = pose_from_6dof([0, 0, 0, 0, 0, -0.55])
    Predictor("made up", steps=1)(draw(camera, pose), boxes=true_box(camera, pose)[None])
    assert len(network.calls) == 1


def test_a_prediction_far_from_where_it_was_sought_is_not_trusted(predictor):
    camera = camera_from_fov(64.843, 600, 600)
    pose = pose_from_6dof([0, 0, 0, 0, 0, -0.55])
    points = true_points(camera, pose)[TOPOLOGY.keypoints]
    photo = draw(camera, pose)
    (close,) = predictor.step(photo, camera, [Start(points, True, "x")])
    (off,) = predictor.step(photo, camera, [Start(points + 60, True, "x")])
    assert close.confidence > 0.95 > 0.5 > off.confidence


def test_faces_too_small_to_see_are_left_out(predictor):
    photo = np.zeros((100, 100, 3), np.uint8)
    assert predictor(photo, boxes=np.array([[10.0, 10, 15, 15]])) == []
    assert predictor(np.zeros((1, 1, 3), np.uint8)) == []


def test_cameras_come_from_fov_then_exif_then_the_usual(predictor):
    image = np.zeros((300, 400, 3), np.uint8)
    assert predictor.camera(image, 90, 50.0).focal == pytest.approx(200)
    assert predictor.camera(image, None, 43.267).focal == pytest.approx(500)
    assert predictor.camera(image).fov == pytest.approx(64.843, abs=1e-3)


def test_one_person_has_one_shape_and_stays_in_the_pictures(predictor):
    camera = camera_from_fov(64.843, 600, 600)
    faces = []
    for yaw, size in ((-0.2, 0.97), (0.3, 1.03)):
        pose = pose_from_6dof([0, yaw, 0, 0, 0, -0.55])
        verts = TEMPLATE * np.float32(size)
        faces.append(FacePrediction(verts, pose, TOPOLOGY, camera.projection, (600, 600), np.zeros(4), "x", 1.0))
    first, second = predictor.fuse(faces)
    np.testing.assert_array_equal(first.verts, second.verts)
    np.testing.assert_allclose(first.verts, TEMPLATE, atol=1e-6)  # the mean of 0.97 and 1.03
    for face, fused in zip(faces, (first, second), strict=True):
        assert np.abs(face.points2d - fused.points2d).max() < 0.3
    assert first.R_t[3, 2] == pytest.approx(-0.55 / 0.97, rel=1e-2)  # a larger face is farther


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros((4, 4, 3)), TypeError, "wanted uint8, got float64"),
        (np.zeros((4, 4), np.uint8), ValueError, r"wanted shape \(h, w, 3\), got \(4, 4\)"),
        (np.zeros((0, 4, 3), np.uint8), ValueError, "got \\(0, 4, 3\\)"),
    ],
)
def test_bad_images_are_told(image, error, message):
    with pytest.raises(error, match=message):
        check_image(image)


def test_bad_arguments_are_told(predictor):
    image = np.zeros((100, 100, 3), np.uint8)
    with pytest.raises(ValueError, match=r"points: wanted shape \(5, 2\), got \(6, 2\)"):
        predictor(image, points=np.zeros((6, 2)))
    with pytest.raises(ValueError, match=r"boxes: wanted shape \(any, 4\)"):
        predictor(image, boxes=np.zeros((1, 3)))
    with pytest.raises(ValueError, match="wanted points or boxes, got both"):
        predictor(image, points=np.eye(5)[:, :2], boxes=np.zeros((1, 4)))
    with pytest.raises(ValueError, match="wanted left < right and top < bottom"):
        predictor(image, boxes=np.array([[90.0, 90, 20, 20]]))
    with pytest.raises(ValueError, match="points that are apart"):
        predictor(image, points=np.ones((68, 2)))
    with pytest.raises(ValueError, match="max_faces: wanted 1 or more, got 0"):
        predictor(image, max_faces=0)
    with pytest.raises(ValueError, match="got 0"):
        predictor(image, fov=0)
    with pytest.raises(ValueError, match="steps: wanted 1 or 2, got 3"):
        Predictor("x", steps=3)


def test_a_run_that_is_not_there_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"run01.best\.pt: no such file"):
        Predictor("run01", tmp_path)
