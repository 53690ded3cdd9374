from dataclasses import replace

import numpy as np
import pytest

from tests.util.faces import bowl_topology, make_face
from util import prediction_pictures
from util.camera import project, transform
from util.mesh import make_topology
from util.prediction_pictures import (
    _crop,
    colored_depth,
    depth_map,
    landmarks_picture,
    normals_picture,
    overlay_picture,
    paf_anchors,
    pncc_picture,
    pose_adaptive_feature,
    pose_box,
    pose_picture,
)
from util.scene import join_faces

WIDTH, HEIGHT = 240, 180
FOCAL = 1.57443701 * HEIGHT / 2
BEHIND = (0, 0.3, 0, 0, 0, 0.5)
REACHING_BEHIND = (0, 0.3, 0, 0, 0, -0.04)


def photo_of(level=90, width=WIDTH, height=HEIGHT):
    return np.full((height, width, 3), level, np.uint8)


def face_at(*six):
    return make_face(six, (WIDTH, HEIGHT))


def plane_at(*six):
    topology = bowl_topology()
    return make_face(six, (WIDTH, HEIGHT), topology, topology.template * np.float32([1, 1, 0]))


def draw_all(photo, faces):
    scene = join_faces(photo, faces)
    return {
        "overlay": overlay_picture(photo, scene, faces),
        "landmarks": landmarks_picture(photo, scene, faces),
        "pose": pose_picture(photo, faces),
        "depth": colored_depth(depth_map(photo, scene)),
        "normal": normals_picture(photo, scene, faces),
        "pncc": pncc_picture(photo, scene, faces),
    }


def rays():
    """(h, w, 3) directions through the pixels' centres, of length 1 along the view direction."""
    x, y = np.meshgrid(np.arange(WIDTH) + 0.5 - WIDTH / 2, np.arange(HEIGHT) + 0.5 - HEIGHT / 2)
    return np.stack([x / FOCAL, -y / FOCAL, -np.ones_like(x)], axis=-1)


def test_depth_of_a_plane():
    face = plane_at(0.2, 0.6, 0.1, 0.01, 0.02, -0.4)
    depth = depth_map(photo_of(), join_faces(photo_of(), [face]))
    normal = face.R_t[2, :3]  # where the canonical z axis points to
    expected = 10_000 * (face.R_t[3, :3] @ normal) / (rays() @ normal)
    shown = depth > 0
    # the corners of the plane lie where they are projected
    (left, top), (right, bottom) = face.points2d.min(axis=0), face.points2d.max(axis=0)
    rows, columns = np.nonzero(shown)
    # an outermost pixel centre is up to half a pixel inside, or a few pixels where a corner is sharp
    np.testing.assert_allclose([columns.min(), columns.max() + 1], [left, right], atol=3)
    np.testing.assert_allclose([rows.min(), rows.max() + 1], [top, bottom], atol=3)
    # rounded to whole steps, and coordinates and weights are float32: 1e-6 of 4,000 steps
    np.testing.assert_allclose(depth[shown], expected[shown], atol=0.51)


def test_far_faces_stay_within_sixteen_bits():
    depth = depth_map(photo_of(), join_faces(photo_of(), [face_at(0, 0, 0, 0, 0, -7)]))
    assert set(np.unique(depth)) == {0, 65535}


def test_bands_do_not_show(monkeypatch):
    faces = [face_at(0.1, 0.2, 0, 0, 0, -0.3), face_at(0, -0.5, 0.2, 0.05, 0, -0.4)]
    whole = draw_all(photo_of(), faces)
    monkeypatch.setattr(prediction_pictures, "BAND", 1000)
    bands = draw_all(photo_of(), faces)
    for name in ("depth", "normal"):
        # float32 coordinates round otherwise once rows are taken off: a level here and there
        np.testing.assert_allclose(whole[name], bands[name].astype(float), atol=1)


def test_colored_depth_goes_from_red_to_blue():
    depth = np.zeros((200, 300), np.uint16)
    depth[50:60, 50:60], depth[50:60, 100:110] = 4000, 9000
    picture = colored_depth(depth).astype(int)
    near, far = picture[55, 55], picture[55, 105]
    assert near.tolist() == [122, 4, 3]  # the two ends of turbo
    assert far.tolist() == [48, 18, 59]
    assert (picture[150, 100] == 32).all()
    assert (colored_depth(depth * 0) == 32).all()


def test_the_nearer_face_is_on_top():
    near, far = face_at(0, 0.3, 0, 0.02, 0, -0.4), face_at(0, 0, 0, 0, 0, -0.6)
    alone = {name: depth_map(photo_of(), join_faces(photo_of(), [face])) for name, face in (("n", near), ("f", far))}
    both = (alone["n"] > 0) & (alone["f"] > 0)
    assert both.sum() > 200
    for order in ([near, far], [far, near]):
        pictures, only_near = draw_all(photo_of(), order), draw_all(photo_of(), [near])
        for name in ("overlay", "normal", "pncc"):
            np.testing.assert_array_equal(pictures[name][both], only_near[name][both])
        depth = depth_map(photo_of(), join_faces(photo_of(), order))
        np.testing.assert_array_equal(depth[both], np.minimum(alone["n"], alone["f"])[both])
        # the farther one is drawn where it alone is
        assert (pictures["overlay"] != 90).any(axis=2)[(alone["f"] > 0) & ~both].all()


def test_the_headlight_is_brightest_where_the_surface_faces_the_camera():
    # A plane before the camera, seen at right angles in its middle: 0.3 + 0.6 + 0.1 of white, 70 % of it over grey.
    picture = overlay_picture(
        photo_of(), join_faces(photo_of(), [plane_at(0, 0, 0, 0, 0, -0.4)]), [plane_at(0, 0, 0, 0, 0, -0.4)]
    )
    assert abs(int(picture[HEIGHT // 2, WIDTH // 2, 0]) - (0.7 * 255 + 0.3 * 90)) <= 1
    # Turned by 40 degrees: its cosine, and the highlight is cos(80 degrees)^5.
    face = plane_at(0, np.radians(40), 0, 0, 0, -0.4)
    picture = overlay_picture(photo_of(), join_faces(photo_of(), [face]), [face])
    light = 0.3 + 0.6 * np.cos(np.radians(40)) + 0.1 * np.cos(np.radians(80)) ** 5
    assert abs(int(picture[HEIGHT // 2, WIDTH // 2, 0]) - (0.7 * 255 * light + 0.3 * 90)) <= 2  # lit at the vertices


def test_normals_are_those_of_camera_space():
    for pitch, yaw in (0, 0), (0.3, 0), (0, 0.5):
        face = plane_at(pitch, yaw, 0, 0, 0, -0.4)
        picture = normals_picture(photo_of(), join_faces(photo_of(), [face]), [face])
        normal = face.R_t[2, :3]
        assert normal == pytest.approx([np.sin(yaw) * np.cos(pitch), -np.sin(pitch), np.cos(pitch) * np.cos(yaw)])
        np.testing.assert_allclose(picture[HEIGHT // 2, WIDTH // 2], 255 * (normal + 1) / 2, atol=0.51)  # rounded
        assert (picture[0, 0] == 0).all()


def test_pncc_tells_the_place_on_the_template():
    face = face_at(0.2, -0.4, 0.1, 0.01, 0.02, -0.3)
    picture = pncc_picture(photo_of(), join_faces(photo_of(), [face]), [face])
    rows, columns = np.nonzero(picture.any(axis=2))
    assert len(rows) > 1000
    low, extent = face.topology.template.min(axis=0), np.ptp(face.topology.template, axis=0)
    places = low + picture[rows, columns] / 255 * extent
    points, _ = project(transform(places, face.R_t), face.projection, WIDTH, HEIGHT)
    # half a level of 255 is 0.4 mm at most on each axis, which is 0.3 pixels at 0.25 m
    np.testing.assert_allclose(points, np.stack([columns, rows], axis=1) + 0.5, atol=0.4)


def test_the_pose_box_is_where_its_corners_are_projected():
    face = face_at(0.1, 0.3, -0.1, 0.01, 0.02, -0.6)
    points = face.verts[face.topology.keypoints]
    side = np.ptp(points[:, :2], axis=0).max()
    box = pose_box(face)
    rear, front = box[:4], box[4:]
    np.testing.assert_allclose(rear.mean(axis=0), points[:27].mean(axis=0), atol=1e-6)  # float32 vertices
    assert np.ptp(rear, axis=0) == pytest.approx([2 * np.sqrt(2) / 3 * side] * 2 + [0])
    assert np.ptp(front, axis=0) == pytest.approx([8 / 3 * np.sqrt(2) / 3 * side] * 2 + [0])
    assert front[0, 2] - rear[0, 2] == pytest.approx(4 / 3 * np.sqrt(2) / 3 * side)
    corners, _ = project(transform(box, face.R_t), face.projection, WIDTH, HEIGHT)
    drawn = (pose_picture(photo_of(), [face]) != photo_of()).any(axis=2)
    rows, columns = np.nonzero(drawn)
    # lines are a pixel or two wide, and smoothed
    np.testing.assert_allclose([columns.min(), rows.min()], corners.min(axis=0), atol=2.5)
    np.testing.assert_allclose([columns.max(), rows.max()], corners.max(axis=0), atol=2.5)
    middles = [(corners[i] + corners[k]) / 2 for i, k in ((0, 1), (2, 3), (0, 4), (2, 6), (4, 5), (7, 4))]
    assert all(drawn[int(y), int(x)] for x, y in middles)
    assert drawn.mean() < 0.1


def test_the_pose_box_ends_before_the_camera():
    # The front square is behind the camera, the rear one in front: only the part in front is drawn, which grows away
    # from the rear square and never comes back mirrored.
    face = face_at(0, 0, 0, 0, 0, -0.1)
    corners = transform(pose_box(face), face.R_t)
    assert (corners[:4, 2] < 0).all()
    assert (corners[4:, 2] > 0).all()
    wide = replace(face, projection=face.projection * np.array([0.1, 0.1, 1, 1]))  # so that the rear is in the photo
    drawn = (pose_picture(photo_of(), [wide]) != photo_of()).any(axis=2)
    rear, _ = project(corners[:4], wide.projection, WIDTH, HEIGHT)
    (left, top), (right, bottom) = rear.min(axis=0) + 3, rear.max(axis=0) - 3
    assert drawn.any()
    assert not drawn[int(np.ceil(top)) : int(bottom), int(np.ceil(left)) : int(right)].any()


def test_landmarks_are_drawn_on_every_face():
    faces = [face_at(0, 0.2, 0, -0.1, 0, -0.5), face_at(0, -0.2, 0, 0.12, 0.02, -0.6)]
    picture = landmarks_picture(photo_of(), join_faces(photo_of(), faces), faces)
    for face in faces:
        for x, y in face.landmarks2d:
            assert picture[int(y), int(x), 1] > 200
    assert (picture != photo_of()).any(axis=2).mean() < 0.3


@pytest.mark.parametrize(
    "six", [BEHIND, REACHING_BEHIND, (0, 0, 0, 0.3, 0, -0.5), (0, 0, 0, 5, 0, -0.5), (0, 0, 0, 0.2, 0.1, -0.001)]
)
def test_faces_behind_the_camera_and_outside_the_photo(six):
    photo = photo_of()
    pictures = draw_all(photo, [face_at(*six)])
    assert (photo == 90).all()
    assert all(picture.shape == photo.shape for picture in pictures.values())
    pose_adaptive_feature(photo, face_at(*six))
    if six in (BEHIND, (0, 0, 0, 5, 0, -0.5)):
        assert (pictures["overlay"] == 90).all()
        assert not pictures["pncc"].any()
        assert (pictures["landmarks"] == 90).all()


def test_a_photo_without_faces_is_left_as_it_is():
    pictures = draw_all(photo_of(), [])
    assert all((pictures[name] == 90).all() for name in ("overlay", "landmarks", "pose"))
    assert not any(pictures[name].any() for name in ("normal", "pncc"))


def gradient_face(**change):
    """A face whose crop is its photo's pixels, one to one, in a photo with red columns and green rows."""
    photo = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    photo[..., 0], photo[..., 1] = np.arange(WIDTH), np.arange(HEIGHT)[:, None]
    half = 120 / np.sqrt(2) / 2
    box = np.array([WIDTH / 2 - half, HEIGHT / 2 - half, WIDTH / 2 + half, HEIGHT / 2 + half])
    return photo, replace(face_at(0, 0, 0, 0, 0, -0.3), box=box, **change)


def test_paf_shows_the_photo_round_each_anchor():
    photo, face = gradient_face()
    patches = pose_adaptive_feature(photo, face).reshape(64, 3, 64, 3, 3).transpose(0, 2, 1, 3, 4).astype(int)
    centre = patches[:, :, 1, 1, :]
    steps = np.arange(3) - 1
    np.testing.assert_array_equal(patches[..., 0] - centre[:, :, None, None, 0], np.broadcast_to(steps, (64, 64, 3, 3)))
    np.testing.assert_array_equal(
        patches[..., 1] - centre[:, :, None, None, 1], np.broadcast_to(steps[:, None], (64, 64, 3, 3))
    )
    # An anchor is where the ray from the axis at its angle and height meets the bowl z = 0.06 - 8 x^2 - 4 y^2.
    template = face.topology.template.astype(float)
    angles = np.arctan2(template[:, 0], template[:, 2])
    angle = angles.min() + (np.arange(64) + 0.5) / 64 * np.ptp(angles)
    y = 0.09 - (np.arange(64) + 0.5) / 64 * 0.18
    angle, y = np.meshgrid(angle, y)
    a, b, c = 8 * np.sin(angle) ** 2, np.cos(angle), 4 * y**2 - 0.06
    radius = (-b + np.sqrt(b**2 - 4 * a * c)) / (2 * a)
    surface = np.stack([radius * np.sin(angle), y, radius * np.cos(angle)], axis=-1)
    expected, _ = project(transform(surface, face.R_t), face.projection, WIDTH, HEIGHT)
    # where the ray does not miss the mesh: its facets are up to 1.3 mm from the bowl, which is a pixel
    hits = (np.abs(surface[..., 0]) < 0.065) & (radius > 0.03)
    assert hits.mean() > 0.3
    np.testing.assert_allclose(centre[hits][:, :2] + 0.5, expected[hits], atol=2)


def test_paf_does_not_depend_on_the_size_of_the_photo():
    photo, face = gradient_face()
    large = photo.repeat(10, axis=0).repeat(10, axis=1)
    enlarged = replace(face, box=10 * face.box, image_size=(10 * WIDTH, 10 * HEIGHT))
    feature = pose_adaptive_feature(photo, face)
    # ten rows and columns that are alike are shrunk to what they came from
    np.testing.assert_array_equal(pose_adaptive_feature(large, enlarged), feature)


def test_the_crop_of_a_small_face_is_enlarged_in_place():
    photo = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    photo[:, 100:160, 0] = 4 * np.arange(60)
    half = 60 / np.sqrt(2) / 2
    crop, corner, scale = _crop(photo, np.array([130 - half, 90 - half, 130 + half, 90 + half]))
    assert (corner.tolist(), scale) == ([100, 60], 2)
    expected = 4 * ((np.arange(120) + 0.5) / 2 - 0.5)
    # OpenCV interpolates in 32nds of a pixel, here of 4 levels, and rounds; the ends blend with the black outside
    np.testing.assert_allclose(crop[60, 2:-2, 0], expected[2:-2], atol=0.63)


def test_anchors_go_round_a_head_and_lie_on_its_outside():
    angle = np.radians(np.arange(-170, 180, 20))
    rings = [(radius, y) for radius in (0.05, 0.08) for y in (-0.1, 0.1)]
    template = np.concatenate([np.stack([r * np.sin(angle), 0 * angle + y, r * np.cos(angle)], -1) for r, y in rings])
    start = np.arange(18)
    around = [
        np.stack([start, (start + 1) % 18, start + 18], -1),
        np.stack([(start + 1) % 18, (start + 1) % 18 + 18, start + 18], -1),
    ]
    triangles = np.concatenate([*around, *(part + 36 for part in around)])
    topology = make_topology(template, triangles, np.zeros(68, int))
    triangle, weights = paf_anchors(topology)
    places = (weights[..., None] * template[triangles[triangle]]).sum(axis=1).reshape(64, 64, 3)
    assert np.hypot(places[..., 0], places[..., 2]).min() > 0.078  # the flat sides' middles are at 0.0788
    expected = np.radians(-170 + (np.arange(64) + 0.5) / 64 * 340)
    # along a flat side the angle is not quite even
    np.testing.assert_allclose(np.arctan2(places[..., 0], places[..., 2]), np.tile(expected, (64, 1)), atol=0.01)
    np.testing.assert_allclose(places[:, 0, 1], 0.1 - (np.arange(64) + 0.5) / 64 * 0.2, atol=1e-6)


def test_paf_of_what_is_not_in_the_photo_is_black():
    photo, face = gradient_face()
    assert not pose_adaptive_feature(photo + np.uint8(50), face_at(*BEHIND)).any()
    for box in ([1e3, 1e3, 2e3, 2e3], [-1e7, -1e7, -1e6, -1e6]):
        assert not pose_adaptive_feature(photo + np.uint8(50), replace(face, box=np.array(box))).any()
    # an enormous box: the whole photo is less than a pixel of the crop
    assert pose_adaptive_feature(photo, replace(face, box=np.array([-1e7, -1e7, 1e7, 1e7]))).shape == (192, 192, 3)
