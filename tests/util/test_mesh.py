import numpy as np
import pytest
import trimesh

from util.mesh import find_mirror, make_topology, obj_text, read_obj, write_obj

VERTICES = np.float32([[-1, 0, 0], [1, 0, 0], [0, 1, 0.5], [0, -1, 0]])
TRIANGLES = np.int32([[0, 1, 2], [0, 3, 1]])
KEYPOINTS = np.arange(68) % 4


def test_obj_comes_back_and_other_readers_agree(tmp_path):
    write_obj(tmp_path / "mesh.obj", VERTICES, TRIANGLES)
    vertices, triangles = read_obj(tmp_path / "mesh.obj")
    np.testing.assert_array_equal(vertices, VERTICES)
    np.testing.assert_array_equal(triangles, TRIANGLES)
    other = trimesh.load(tmp_path / "mesh.obj", process=False)
    np.testing.assert_array_equal(other.faces, TRIANGLES)
    np.testing.assert_array_equal(other.vertices, VERTICES)


def test_obj_with_colours(tmp_path):
    colors = np.uint8([[0, 1, 127], [128, 254, 255], [3, 5, 7], [200, 100, 50]])
    (tmp_path / "mesh.obj").write_text(obj_text(VERTICES, TRIANGLES, colors))
    np.testing.assert_array_equal(read_obj(tmp_path / "mesh.obj")[0], VERTICES)
    other = trimesh.load(tmp_path / "mesh.obj", process=False)
    np.testing.assert_array_equal(other.visual.vertex_colors[:, :3], colors)


def test_obj_with_texture_and_normal_indices(tmp_path):
    (tmp_path / "mesh.obj").write_text("# c\nv 0 0 0 1 1 1\nv 1 0 0\nv 0 1 0\nvt 0 0\nvn 0 0 1\ng a\nf 1/1/1 2//1 3\n")
    vertices, triangles = read_obj(tmp_path / "mesh.obj")
    assert vertices.shape == (3, 3)
    assert triangles.tolist() == [[0, 1, 2]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("v 0 0 0\nv 1 0 0\nv 0 1 0\nv 1 1 0\nf 1 2 4 3\n", "line 5: wanted a triangle, got a face with 4 corners"),
        ("v 0 0 zero\n", "line 1: cannot read"),
        ("v 0 0 0\n", "wanted vertices and faces, got 1 and 0"),
        ("v 0 0 nan\nf 1 1 1\n", "finite"),
    ],
)
def test_bad_obj_is_told(tmp_path, text, message):
    (tmp_path / "mesh.obj").write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_obj(tmp_path / "mesh.obj")
    assert "mesh.obj" in str(error.value)


def test_mirror_pairs_vertices():
    assert find_mirror(VERTICES).tolist() == [1, 0, 2, 3]
    with pytest.raises(ValueError, match="symmetric"):
        find_mirror(VERTICES + np.float32([0.9, 0, 0]))


@pytest.mark.parametrize("wrong", [KEYPOINTS + 1, KEYPOINTS - 1, KEYPOINTS[:67], KEYPOINTS.astype(float)])
def test_bad_key_points_are_told(wrong):
    make_topology(VERTICES, TRIANGLES, KEYPOINTS)
    with pytest.raises((ValueError, TypeError), match="key points"):
        make_topology(VERTICES, TRIANGLES, wrong)


def test_triangles_out_of_range_are_told():
    with pytest.raises(ValueError, match=r"triangles: wanted vertex indices 0..3, got 0..4"):
        make_topology(VERTICES, TRIANGLES + np.int32([[0, 0, 2], [0, 0, 0]]), KEYPOINTS)
