"""3DDFA's files of made-up faces, read back and compared with numbers worked out here."""

import json

import cv2
import numpy as np
import pytest
import trimesh
from scipy.io import loadmat
from scipy.spatial.transform import Rotation

from tests.made_up_threeddfa import COUNT, KEYPOINTS, MEAN, TRIANGLES
from util.camera import WCPA_PROJECTION
from util.mesh import Topology
from util.pose import pose_from_6dof
from util.prediction_pictures import BOX_COLOR
from util.threeddfa_files import ThreeddfaFace, points_picture, pose_box, pose_picture, write_threeddfa

WIDTH, HEIGHT = 300, 200
SQUARE = np.array([60.0, 10.0, 300.0, 250.0])  # two pixels of the photo to one of the crop
RANDOM = np.random.default_rng(3)
PHOTO = RANDOM.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def make_face(middle=(180, 130), size=1e-3, angles=(0, 0, 0), dense=True, depth=0.0, image_size=(WIDTH, HEIGHT)):
    """A bowl of 160 by 180 pixels times size / 1e-3, whose middle lies there, turned by yaw, pitch, roll in degrees."""
    yaw, pitch, roll = angles
    rotation = Rotation.from_euler("xyz", [pitch, -yaw, roll], degrees=True).as_matrix()
    points = size * (MEAN @ rotation.T) * [1, -1, 1] + [*middle, depth]
    keypoints, triangles = KEYPOINTS, np.int32(TRIANGLES[:, [0, 2, 1]])
    if not dense:
        points, keypoints, triangles = points[KEYPOINTS], np.arange(68), np.zeros((0, 3), np.int32)
    template = np.float32((MEAN if dense else MEAN[KEYPOINTS]) * 1e-6)
    return ThreeddfaFace(
        template,
        pose_from_6dof([0, 0, 0, 0, 0, -0.5]),
        Topology(template, triangles, keypoints, np.arange(len(template))),
        WCPA_PROJECTION,
        image_size,
        np.array([1.0, 2.0, 3.0, 4.0]),
        "box",
        0.5,
        "v2",
        SQUARE,
        RANDOM.integers(0, 256, (120, 120, 3), dtype=np.uint8),
        np.arange(62.0),
        points,
        size,
        np.column_stack([rotation, [7.0, 8.0, 9.0]]),
        np.radians(angles),
    )


def write(folder, *faces):
    """The names of the files of faces in PHOTO."""
    return {path.name for path in write_threeddfa(folder, "X", PHOTO, list(faces))}


def test_files_of_a_face_with_triangles(tmp_path):
    each = {f"X_0{end}" for end in (".txt", ".roibox", "_crop.jpg", ".ply", ".obj", ".mat", "_paf.jpg")}
    whole = {f"X_{end}" for end in ("pose.json", "pose.jpg", "3DDFA.jpg", "depth.png", "pncc.png", "overlay.jpg")}
    assert write(tmp_path, make_face()) == each | whole
    assert {path.name for path in tmp_path.iterdir()} == each | whole


def test_files_of_a_face_without_triangles(tmp_path):
    each = {"X_0.txt", "X_0.roibox", "X_0_crop.jpg", "X_1.txt", "X_1.roibox", "X_1_crop.jpg"}
    faces = make_face(dense=False), make_face(dense=False)
    assert write(tmp_path, *faces) == each | {"X_pose.json", "X_pose.jpg", "X_3DDFA.jpg"}


def test_points_and_square_are_text_of_three_decimals(tmp_path):
    face = make_face(angles=(20, 5, -3))
    write(tmp_path, face)
    rows = [line.split() for line in (tmp_path / "X_0.txt").read_text().splitlines()]
    assert [len(row) for row in rows] == [68, 68, 68]
    assert all(len(number.split(".")[1]) == 3 for row in rows for number in row)
    np.testing.assert_allclose(np.float64(rows).T, face.points[KEYPOINTS], atol=5.1e-4)
    assert (tmp_path / "X_0.roibox").read_text() == "60.000\n10.000\n300.000\n250.000\n"


def test_the_ply(tmp_path):
    face = make_face(angles=(20, 5, -3))
    write(tmp_path, face)
    lines = (tmp_path / "X_0.ply").read_text().splitlines()
    header = ["ply", "format ascii 1.0", "element vertex 200", "property float x", "property float y"]
    header += ["property float z", "element face 342", "property list uchar int vertex_indices", "end_header"]
    assert lines[:9] == header
    x, y, z = face.points[17]
    assert lines[9 + 17] == f"{x:.4f} {y:.4f} {z:.4f}"
    # as they stood in 3DDFA's own file, from 0
    assert lines[9 + COUNT] == "3 " + " ".join(str(corner) for corner in TRIANGLES[0])
    assert len(lines) == 9 + 200 + 342
    mesh = trimesh.load(tmp_path / "X_0.ply", process=False)
    np.testing.assert_allclose(mesh.vertices, face.points, atol=6e-5)  # four decimals


def test_the_obj_has_x_and_y_swapped_and_vertices_in_the_photo(tmp_path):
    face = make_face(middle=(WIDTH - 40, 30))  # reaches over the right and the upper edge
    write(tmp_path, face)
    lines = (tmp_path / "X_0.obj").read_text().splitlines()
    vertices, colors = np.zeros((COUNT, 3)), np.zeros((COUNT, 3), int)
    outside = 0
    for index, line in enumerate(lines[:COUNT]):
        kind, *numbers = line.split()
        assert kind == "v"
        vertices[index], colors[index] = [float(n) for n in numbers[:3]], [int(n) for n in numbers[3:]]
        x, y, z = face.points[index]
        inside = min(max(x, 0), WIDTH - 1), min(max(y, 0), HEIGHT - 1)
        outside += inside != (x, y)
        np.testing.assert_allclose(vertices[index], [inside[1], inside[0], z], atol=5.1e-5)
        column, row = (round(number) for number in inside)
        assert colors[index].tolist() == PHOTO[row, column].tolist()
    assert outside > 20
    assert lines[COUNT] == "f " + " ".join(str(corner + 1) for corner in TRIANGLES[0])
    assert len(lines) == COUNT + len(TRIANGLES)


def test_the_mat(tmp_path):
    face = make_face()
    write(tmp_path, face)
    vertex = loadmat(tmp_path / "X_0.mat")["vertex"]
    assert (vertex.shape, vertex.dtype) == ((3, COUNT), np.float32)
    np.testing.assert_array_equal(vertex, np.float32(face.points.T))


def test_the_crop(tmp_path):
    face = make_face()
    write(tmp_path, face)
    crop = cv2.imread(str(tmp_path / "X_0_crop.jpg"))[:, :, ::-1]
    # JPEG of noise keeps means
    np.testing.assert_allclose(crop.mean(axis=(0, 1)), face.crop.mean(axis=(0, 1)), atol=1.0)
    assert crop.shape == (120, 120, 3)


def test_the_paf_shows_the_crop_from_one_end_of_the_face_to_the_other(tmp_path):
    # the crop's red is twice its column; the face fills columns 10 to 110, being 200 pixels wide round 180
    face = make_face(middle=(180, 130), size=1.25e-3)
    columns = np.arange(120, dtype=np.uint8)
    face.crop[:] = np.stack([*np.meshgrid(2 * columns, 2 * columns), np.zeros((120, 120), np.uint8)], axis=-1)
    write(tmp_path, face)
    paf = cv2.imread(str(tmp_path / "X_0_paf.jpg"))[:, :, ::-1].astype(int)
    assert paf.shape == (192, 192, 3)
    middle = paf[96, :, 0]
    # the anchors of both ends lie half an anchor, 0.8 columns, within; JPEG and rounding are a column or two
    assert middle[1] == pytest.approx(2 * 10, abs=8)
    assert middle[190] == pytest.approx(2 * 110, abs=8)
    assert (np.diff(middle[1::3]) > -6).all()


def test_depth_is_relative_and_later_faces_lie_over_earlier(tmp_path):
    face = make_face()
    write(tmp_path, face)
    depth = cv2.imread(str(tmp_path / "X_depth.png"), cv2.IMREAD_UNCHANGED)
    assert (depth.shape, depth.dtype) == ((HEIGHT, WIDTH), np.uint8)
    assert depth.max() >= 250  # the nearest vertex is between pixels
    assert depth[5, 5] == 0
    # at a vertex well inside: its share of the depth
    z = face.points[:, 2]
    index = 5 * 20 + 6
    column, row = np.rint(face.points[index, :2]).astype(int)
    wanted = 255 * (z[index] - z.min()) / np.ptp(z)
    assert depth[row, column] == pytest.approx(wanted, abs=4)  # half a pixel off, where the bowl is not steep
    farther = make_face(middle=(150, 120), depth=-1000.0)
    write(tmp_path, face, farther)
    both = cv2.imread(str(tmp_path / "X_depth.png"), cv2.IMREAD_UNCHANGED)
    write(tmp_path, farther)
    alone = cv2.imread(str(tmp_path / "X_depth.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(both[alone > 0], alone[alone > 0])
    np.testing.assert_array_equal(both[(alone == 0) & (both > 0)], depth[(alone == 0) & (both > 0)])


def test_pncc_is_the_place_on_the_mean_face(tmp_path):
    face = make_face(angles=(25, 0, 0))
    write(tmp_path, face)
    pncc = cv2.imread(str(tmp_path / "X_pncc.png"))[:, :, ::-1]
    code = (MEAN - MEAN.min(axis=0)) / np.ptp(MEAN, axis=0)
    for index in (4 * 20 + 8, 5 * 20 + 11, 3 * 20 + 9):
        column, row = np.rint(face.points[index, :2]).astype(int)
        np.testing.assert_allclose(pncc[row, column], 255 * code[index], atol=4)  # half a pixel of 160
    assert pncc[2, 2].tolist() == [0, 0, 0]


def test_the_overlay_covers_the_face_alone(tmp_path):
    write(tmp_path, make_face())
    overlay = cv2.imread(str(tmp_path / "X_overlay.jpg"))[:, :, ::-1].astype(float)
    depth = cv2.imread(str(tmp_path / "X_depth.png"), cv2.IMREAD_UNCHANGED)
    # JPEG of noise: means. Of the photo 0.4 is left under 0.6 of a lit, nearly white mesh
    assert overlay[depth > 128].mean() > 0.4 * 127 + 0.6 * 200
    assert overlay[:40].mean() == pytest.approx(PHOTO[:40].mean(), abs=3)


def test_the_pose_box_by_hand():
    face = make_face(size=1e-3)
    points = face.points[KEYPOINTS, :2]
    box = pose_box(face)
    half = np.sqrt(2) * max(np.ptp(points[:, 0]), np.ptp(points[:, 1])) / 3
    middle = points[:27].mean(axis=0)
    # seen from the front; the mean is taken of the four rear corners
    np.testing.assert_allclose(box[:4] - middle, half * np.array([[-1, 1], [-1, -1], [1, -1], [1, 1]]), atol=1e-9)
    front = int(4 / 3 * half)
    np.testing.assert_allclose(box[5:9] - middle, front * np.array([[-1, 1], [-1, -1], [1, -1], [1, 1]]), atol=1e-9)
    np.testing.assert_array_equal(box[[0, 5]], box[[4, 9]])
    # a nose to the left of the image takes the front with it, by its depth times the sine
    turned = make_face(angles=(30, 0, 0))
    size = np.sqrt(2) * np.ptp(turned.points[KEYPOINTS, :2], axis=0).max() / 3
    box = pose_box(turned)
    moved = box[5:9].mean(axis=0) - box[:4].mean(axis=0)
    np.testing.assert_allclose(moved, [-int(4 / 3 * size) * 0.5, 0], atol=1e-9)


def test_the_pose_picture_has_the_boxs_edges():
    face = make_face(middle=(200, 200), size=6e-4)
    picture = pose_picture(np.zeros((400, 400, 3), np.uint8), [face])
    box = pose_box(face).astype(int)
    pairs = [(i, i + 1) for i in range(9)] + [(9, 0), (1, 6), (2, 7), (3, 8)]
    for start, end in pairs:
        column, row = (box[start] + box[end]) // 2
        np.testing.assert_array_equal(picture[row - 1 : row + 2, column - 1 : column + 2].max(axis=(0, 1)), BOX_COLOR)
    assert picture[200, 200].max() == 0  # nothing is drawn within


def test_the_68_points_are_drawn_where_they_are():
    face = make_face(middle=(150, 150), image_size=(300, 300))
    picture = points_picture(np.zeros((300, 300, 3), np.uint8), [face])
    # half a pixel of the crop, which is one of the photo, from 3DDFA's, in pixels with centres at whole numbers
    column, row = np.rint(face.points[KEYPOINTS, :2] + 1 - 0.5).astype(int).T
    assert (picture[row, column, 1] > 100).all()
    assert (picture[:20] == 0).all()


def test_the_json(tmp_path):
    faces = make_face(), make_face(angles=(30, -10, 5), size=2e-3)
    write(tmp_path, *faces)
    content = json.loads((tmp_path / "X_pose.json").read_text())
    assert content["image_size"] == [WIDTH, HEIGHT]
    second = content["faces"][1]
    assert second["translation_mm"] == pytest.approx([0, 0, -500])
    assert (second["box"], second["source"], second["confidence"]) == ([1, 2, 3, 4], "box", 0.5)
    own = second["threeddfa"]
    assert own["degrees"] == pytest.approx({"yaw": 30, "pitch": -10, "roll": 5})
    assert own["parameters"] == list(range(62))
    assert (own["version"], own["square"], own["scale"]) == ("v2", SQUARE.tolist(), 2e-3)
    np.testing.assert_allclose(own["matrix"], faces[1].matrix)


def test_image_points_in_pixels_from_the_corner():
    face = make_face()
    # half a pixel of the crop, two of the photo's
    np.testing.assert_allclose(face.points2d, face.points[:, :2] + 1.0)
