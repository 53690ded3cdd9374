import numpy as np
from scipy.sparse.csgraph import shortest_path

from tests.util.faces import make_face
from util.camera import project
from util.scene import join_faces
from util.textures import face_texture, vertex_colors
from util.uv import uv_layout

SIZE = 240, 180


def gradient_photo(width=SIZE[0], height=SIZE[1]):
    """Red is the column, green the row; blue is 50."""
    photo = np.full((height, width, 3), 50, np.uint8)
    photo[..., 0], photo[..., 1] = np.arange(width), np.arange(height)[:, None]
    return photo


def texture_of(photo, faces, size=128):
    return face_texture(photo, join_faces(photo, faces), faces, 0, uv_layout(faces[0].topology), size)


def colors_of(photo, faces):
    return vertex_colors(photo, join_faces(photo, faces), faces)


def test_a_seen_vertex_has_the_photo_s_colour():
    face = make_face((0.1, -0.2, 0.05, 0.02, 0.01, -0.5), SIZE)
    ((colors, seen),) = colors_of(gradient_photo(), [face])
    assert seen.all()
    # pixel i has its centre, and the value i, at i + 0.5; levels are whole numbers. At the bowl's far rim, which turns
    # away, colours come from elsewhere.
    middle = np.abs(face.verts[:, 0]) < 0.04
    np.testing.assert_allclose(colors[middle, :2], face.points2d[middle] - 0.5, atol=0.501)
    assert (colors[:, 2] == 50).all()


def test_a_hidden_vertex_has_its_mirror_vertex_s_colour():
    face = make_face((0, 1.1, 0, 0, 0, -0.5), SIZE)
    ((colors, seen),) = colors_of(gradient_photo(), [face])
    mirror = face.topology.mirror
    hidden = ~seen & seen[mirror]
    assert 20 < hidden.sum() < 60
    np.testing.assert_array_equal(colors[hidden], colors[mirror[hidden]])


def test_what_neither_side_shows_has_the_colour_of_the_nearest_seen_vertex():
    face = make_face((0, 0, 0, 0, 0.3, -0.5), SIZE)  # its upper part is above the photo
    ((colors, seen),) = colors_of(gradient_photo(), [face])
    np.testing.assert_array_equal(seen, face.points2d[:, 1] >= 0)
    assert 10 < (~seen).sum() < 80
    a, b, c = face.topology.triangles.T
    lengths = np.full((len(seen), len(seen)), np.inf)
    for start, end in ((a, b), (b, c), (c, a)):
        lengths[start, end] = np.linalg.norm(face.verts[start] - face.verts[end], axis=1)
    lengths = shortest_path(np.minimum(lengths, lengths.T), method="FW")
    # all that is seen here is seen well but for the corners of the rim
    nearest = lengths[:, seen].min(axis=1)
    for vertex in np.flatnonzero(~seen & (np.abs(face.verts[:, 0]) < 0.03)):
        candidates = np.flatnonzero(seen & (lengths[vertex] < nearest[vertex] + 1e-7))  # float32 lengths
        assert (colors[candidates] == colors[vertex]).all(axis=1).any()


def test_a_nearer_face_hides_a_farther_one():
    far, near = make_face((0, 0, 0, 0, 0, -0.8), SIZE), make_face((0, 0, 0, 0.07, 0, -0.4), SIZE)
    photo = gradient_photo()
    (_, seen_far), (_, seen_near) = colors_of(photo, [far, near])
    assert seen_near.all()
    limits = near.points2d.min(axis=0), near.points2d.max(axis=0)  # the bowl's outline is nearly a rectangle
    margin = 3
    inside = ((far.points2d > limits[0] + margin) & (far.points2d < limits[1] - margin)).all(axis=1)
    outside = ((far.points2d < limits[0] - margin) | (far.points2d > limits[1] + margin)).any(axis=1)
    assert inside.sum() > 20
    assert outside.sum() > 20
    assert not seen_far[inside].any()
    assert seen_far[outside].all()
    assert texture_of(photo, [far, near]).seen.mean() < 0.6 * texture_of(photo, [far]).seen.mean()


def test_a_texture_shows_the_photo_at_the_vertices():
    face = make_face((0, 0.2, 0, 0, 0, -0.4), SIZE)
    texture = texture_of(gradient_photo(), [face])
    uv = uv_layout(face.topology)
    middle = np.abs(face.topology.template[:, :2]).max(axis=1) < 0.04
    column, row = (uv[middle] * [128, -128] + [0, 128]).astype(int).T
    assert texture.seen[row, column].all()
    # the texel's centre is up to half a texel from the vertex, and a texel is about a pixel wide; 0.5 for rounding
    pixels = project(face.camera_verts[middle], face.projection, *SIZE)[0] - 0.5
    np.testing.assert_allclose(texture.texels[row, column, :2], pixels, atol=1.5)


def test_hidden_texels_are_those_of_the_mirror_side():
    face = make_face((0, 1.1, 0, 0, 0, -0.5), SIZE)
    texels, seen = texture_of(gradient_photo(), [face])
    hidden, shown = ~seen, seen[:, ::-1]
    # well inside the side that is shown its mirror side has its very colours
    inside = np.zeros_like(seen)
    inside[40:88, 16:40] = True
    inside |= inside[:, ::-1]
    copied = inside & hidden & shown
    assert copied.sum() > 500
    np.testing.assert_array_equal(texels[copied], texels[:, ::-1][copied])


def test_texels_are_filled_everywhere():
    photo = np.full((SIZE[1], SIZE[0], 3), (10, 200, 30), np.uint8)
    texture = texture_of(photo, [make_face((0.2, 0.9, 0, 0.1, 0, -0.5), SIZE)])
    assert 0.1 < texture.seen.mean() < 0.9
    np.testing.assert_array_equal(texture.texels, np.broadcast_to(np.uint8([10, 200, 30]), (128, 128, 3)))


def test_a_face_that_is_not_seen_is_grey():
    for six in (0, 0, 0, 0, 0, 0.5), (0, 0, 0, 3, 0, -0.5):
        faces = [make_face(six, SIZE)]
        ((colors, seen),) = colors_of(gradient_photo(), faces)
        texture = texture_of(gradient_photo(), faces)
        assert not seen.any()
        assert not texture.seen.any()
        assert (colors == 128).all()
        assert (texture.texels == 128).all()
