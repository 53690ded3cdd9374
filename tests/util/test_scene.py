import numpy as np
import pytest

from tests.util.faces import make_face
from util.scene import join_faces


def test_faces_lie_one_after_another():
    photo = np.zeros((90, 120, 3), np.uint8)
    faces = [make_face((0, 0, 0, 0.1 * i, 0, -0.5 - i)) for i in range(3)]
    scene = join_faces(photo, faces)
    assert scene.screen.shape == (297, 3)
    for face, rows, own in zip(faces, scene.vertex_slices, scene.triangle_slices, strict=True):
        # float32, and pixel centres at whole numbers
        np.testing.assert_allclose(scene.screen[rows, :2], face.points2d - 0.5, atol=1e-4)
        np.testing.assert_allclose(scene.distance[rows], -face.camera_verts[:, 2], atol=1e-6)
        np.testing.assert_array_equal(scene.triangles[own] - rows.start, face.topology.triangles)


def test_no_face_is_an_empty_scene():
    scene = join_faces(np.zeros((90, 120, 3), np.uint8), [])
    assert (len(scene.screen), len(scene.triangles), scene.vertex_slices) == (0, 0, [])


def test_a_face_of_another_photo_is_told():
    with pytest.raises(ValueError, match=r"face 1: wanted one of a photo of 120x90, got \(90, 120\)"):
        join_faces(np.zeros((90, 120, 3), np.uint8), [make_face(), make_face(size=(90, 120))])
