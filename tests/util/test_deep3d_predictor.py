"""Photos through Deep3D's network and back, with one that says nothing, so that all can be told by hand: the mean face,
seen from the front by a camera 1 m away."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import loadmat

from data.detectors import Detection
from tests.models.published_deep3d import COUNT, SIZES, bowl, write_bases, write_weights
from util.alignment import five_points
from util.camera import project, transform
from util.crops import FIVE_POINTS, aligned_crop
from util.deep3d_outputs import BLUE, RED, write_deep3d
from util.deep3d_predictor import Deep3dPredictor, face_around

# Of the published camera, across 224 pixels.
FOV = float(np.degrees(2 * np.arctan(112 / 1015)))
PHOTO = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
# A hair less than 102 pixels a decimetre, which is cut to the very size of the photo, about a pixel above its middle,
# where published crops have it: the crop is the photo.
POINTS = FIVE_POINTS[:, :2] * [101.99, -101.99] + [112, 111]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deep3d")
    bases, arrays = write_bases(folder)
    return write_weights(folder, scale=0.0)[0], bases, arrays


@pytest.fixture(scope="module")
def predictor(files):
    return Deep3dPredictor(*files[:2], gpu_ids=[])


def mean_face():
    mean, _ = bowl()
    return mean - mean.mean(axis=0)


def seen_by_hand():
    """(N, 2) pixels of the window, y down, of the mean face."""
    x, y, z = mean_face().T
    return np.column_stack([112 + 1015 * x / (10 - z), 112 - 1015 * y / (10 - z)])


def test_a_face_is_where_the_published_camera_sees_it(predictor, files):
    (face,) = predictor(PHOTO, fov=FOV, points=POINTS)
    np.testing.assert_array_equal(face.window, PHOTO)
    keypoints = files[2]["keypoints"][0] - 1
    np.testing.assert_allclose(face.found, seen_by_hand()[keypoints], atol=1e-3)  # float32 of 224
    np.testing.assert_allclose(face.verts, 0.1 * mean_face(), atol=1e-7)
    # the photo's camera is the published one: a metre away, straight on
    np.testing.assert_allclose(face.R_t[:3, :3], np.eye(3), atol=1e-4)
    np.testing.assert_allclose(face.R_t[3, :3], [0, 0, -1], atol=1e-3)
    assert (face.source, face.image_size) == ("5 points", (224, 224))
    assert {name: len(row) for name, row in face.coefficients.items()} == dict(
        zip(("id", "exp", "tex", "angle", "gamma", "trans"), (*SIZES[:5], 3), strict=True)
    )


def test_results_go_back_into_a_larger_photo(predictor):
    """The same face, three times as large, elsewhere in a wide photo of a camera of the same kind."""
    photo = np.zeros((900, 1500, 3), np.uint8)
    points = (POINTS - 112) * 3 + [430, 610]
    (face,) = predictor(photo, fov=40, points=points)
    _, affine = aligned_crop(photo, points)
    expected = (seen_by_hand() - affine[:, 2]) / affine.diagonal()
    seen, distance = project(transform(face.verts, face.R_t), face.projection, 1500, 900)
    # a nearer camera sees the nose larger: some pixels of the 400 that the face is wide
    assert np.linalg.norm(seen - expected, axis=1).mean() < 6
    # 40 degrees across 1500 pixels is a focal length of 2060.6: 306 pixels a decimetre are 0.674 m away
    assert distance.mean() == pytest.approx(0.673, abs=0.015)


def test_what_is_drawn_and_written(predictor, files, tmp_path):
    (face,) = predictor(PHOTO, fov=FOV, points=POINTS)
    paths = write_deep3d(tmp_path, "photo", face)
    assert sorted(path.name for path in paths) == ["photo.mat", "photo.obj", "photo.png"]
    mat = {name: array for name, array in loadmat(tmp_path / "photo.mat").items() if not name.startswith("__")}
    shapes = {"id": (1, 6), "exp": (1, 4), "tex": (1, 5), "angle": (1, 3), "gamma": (1, 27), "trans": (1, 3)}
    assert {name: array.shape for name, array in mat.items()} == {**shapes, "lm68": (1, 68, 2)}
    assert {array.dtype for array in mat.values()} == {np.dtype(np.float32)}
    x, y, z = mean_face()[files[2]["keypoints"][0] - 1].T
    # y upwards from 0 as published, then 224 - 1 - y
    published = np.column_stack([1015 * x / (10 - z) + 112, 223 - (1015 * y / (10 - z) + 112)])
    np.testing.assert_allclose(mat["lm68"][0], published, atol=1e-3)

    lines = [line.split() for line in (tmp_path / "photo.obj").read_text().splitlines()]
    rows = np.float64([line[1:] for line in lines if line[0] == "v"])
    corners = np.int64([line[1:] for line in lines if line[0] == "f"])
    np.testing.assert_allclose(rows[:, :3], mean_face(), atol=2e-6)  # six decimals
    np.testing.assert_array_equal(corners, files[2]["tri"])
    # light from everywhere of 0.8, under the first harmonic's pi / sqrt(4 pi)
    colors = files[2]["meantex"].reshape(COUNT, 3) / 255 * 0.8 * np.pi / np.sqrt(4 * np.pi)
    np.testing.assert_allclose(rows[:, 3:], colors, atol=0.003)  # levels of 1 / 255, four decimals


def test_the_three_panels(predictor, tmp_path):
    (face,) = predictor(PHOTO, fov=FOV, points=POINTS)
    write_deep3d(tmp_path, "photo", face)
    picture = np.asarray(Image.open(tmp_path / "photo.png").convert("RGB"))
    assert picture.shape == (224, 672, 3)
    window, drawn, marked = np.split(picture, 3, axis=1)
    np.testing.assert_array_equal(window, PHOTO)
    face_pixels = (drawn != PHOTO).any(axis=2)
    rows, columns = np.nonzero(face_pixels)
    by_hand = seen_by_hand()
    # pixels whose centres lie on the face
    assert abs(columns.min() - (by_hand[:, 0].min() - 0.5)) <= 1
    assert abs(columns.max() - (by_hand[:, 0].max() - 0.5)) <= 1
    assert abs(rows.min() - (by_hand[:, 1].min() - 0.5)) <= 1
    assert abs(rows.max() - (by_hand[:, 1].max() - 0.5)) <= 1
    for points, color in ((face.found, RED), (POINTS + [0, 1], BLUE)):
        places = np.floor(points).astype(int)
        inside = places[((places >= 0) & (places < 224)).all(axis=1)]
        got = marked[inside[:, 1], inside[:, 0]]
        # red is drawn over blue
        assert ((got == color).all(axis=1) | (got == RED).all(axis=1)).all()
    untouched = (marked == drawn).all(axis=2)
    assert untouched.mean() > 0.9


def test_five_points_lie_in_the_68_that_stand_for_them():
    random = np.random.default_rng(5)
    mean = random.normal(0, 1, (68, 3))
    points = random.uniform(0, 100, (5, 2))
    found = face_around(points, mean)
    np.testing.assert_allclose(five_points(found), points, atol=1e-9)
    camera = random.normal(0, 1, (4, 2))
    exact = np.column_stack([mean, np.ones(68)]) @ camera
    np.testing.assert_allclose(face_around(five_points(exact), mean), exact, atol=1e-9)


def test_where_points_come_from(predictor, monkeypatch):
    class Found:
        def detect(self, pixels):
            return [Detection(np.float64([60, 50, 170, 190]), 1.0)]

    monkeypatch.setattr(predictor, "detector", Found())
    looks = []
    monkeypatch.setattr(type(predictor), "window", counted(type(predictor).window, looks))
    sources = {}
    for arguments in ({"points": POINTS}, {"points": face_around(POINTS, predictor.mean_points)}, {}):
        (face,) = predictor(PHOTO, fov=FOV, **arguments)
        sources[face.source] = len(looks)
        looks.clear()
    (face,) = predictor(PHOTO, fov=FOV, boxes=np.float64([[60, 50, 170, 190]]))
    sources[face.source] = len(looks)
    # guesses get a second look at the points that the first one finds
    assert sources == {"5 points": 1, "68 points": 1, "detected": 2, "box": 2}


def counted(function, calls):
    def call(*arguments):
        calls.append(arguments)
        return function(*arguments)

    return call


def test_turned_faces_are_put_back_turned(files, tmp_path):
    """The network says yaw and shift: the pose in the photo's camera has them."""
    weights, network = write_weights(tmp_path, scale=0.0)
    with torch.no_grad():
        network.final_layers[3].bias.copy_(torch.tensor([0.0, 0.4, 0.0]))
        network.final_layers[5].bias.copy_(torch.tensor([0.3, -0.2]))
    torch.save({"net_recon": network.state_dict()}, weights)
    (face,) = Deep3dPredictor(weights, files[1], gpu_ids=[])(PHOTO, fov=FOV, points=POINTS)
    # column form about +y, as row vectors transposed
    turn = np.array([[np.cos(0.4), 0, -np.sin(0.4)], [0, 1, 0], [np.sin(0.4), 0, np.cos(0.4)]])
    np.testing.assert_allclose(face.R_t[:3, :3], turn, atol=1e-3)
    np.testing.assert_allclose(face.R_t[3, :3], [0.03, -0.02, -1], atol=1e-3)
    np.testing.assert_allclose(face.vertices, mean_face() @ turn + [0.3, -0.2, 0], atol=1e-5)


def test_panels_are_whole_pictures_where_points_lie_outside(predictor, tmp_path):
    (face,) = predictor(PHOTO, fov=FOV, points=POINTS * 4 - 300)
    write_deep3d(tmp_path, "outside", face)
    assert face.window.shape == (224, 224, 3)
