"""What people wear, on the mean head of ICT-FaceKit: it covers what it has to cover, and leaves faces visible."""

from pathlib import Path

import numpy as np
import pytest

from data.synthetic.hair import Strands
from data.synthetic.portraits import hands, wear
from data.synthetic.portraits.bust import rim_of
from data.synthetic.portraits.cloth import draw_cloth, printed, weave
from data.synthetic.portraits.clothes import GARMENTS
from data.synthetic.portraits.face_masks import draw_mask
from data.synthetic.portraits.fitting import make_fitting
from data.synthetic.portraits.glasses import draw_glasses
from data.synthetic.portraits.hats import EVERYTHING, HATS, NOTHING, Cover
from data.synthetic.portraits.objects import draw_object
from Sim3DR import get_normal, rasterize_buffers

COMPACT = Path(__file__).parents[5] / "shared" / "ict_facekit" / "ict_facekit_compact.npz"
needs_model = pytest.mark.skipif(not COMPACT.is_file(), reason=f"no {COMPACT}")
SKIN = np.float32([0.5, 0.35, 0.28])
SIDE = 160  # pixels of test pictures


@pytest.fixture(scope="module")
def fit(head):
    return make_fitting(head)


def seen(meshes, yaw: float, pitch: float = 0.0, width: float = 0.45) -> tuple[np.ndarray, np.ndarray]:
    """(SIDE, SIDE) the mesh, -1 for none, and its triangle, in each pixel of a parallel view of (vertices, triangles);
    degrees: the head turned to its left, and bent forward."""
    turn, bend = np.radians([yaw, pitch])
    rotation = np.array([[np.cos(turn), 0, -np.sin(turn)], [0, 1, 0], [np.sin(turn), 0, np.cos(turn)]])
    rotation = rotation @ np.array([[1, 0, 0], [0, np.cos(bend), np.sin(bend)], [0, -np.sin(bend), np.cos(bend)]])
    points = np.concatenate([vertices for vertices, _ in meshes]) @ rotation
    screen = points * [SIDE / width, -SIDE / width, 1.0] + [SIDE / 2, SIDE / 2 - 0.04 * SIDE / width, 0.0]
    starts = np.cumsum([0, *(len(vertices) for vertices, _ in meshes)])
    faces = np.concatenate([triangles + start for (_, triangles), start in zip(meshes, starts, strict=False)])
    triangle = rasterize_buffers(screen.astype(np.float32), faces.astype(np.int32), SIDE, SIDE).triangle
    ends = np.cumsum([len(triangles) for _, triangles in meshes])
    mesh = np.where(triangle >= 0, np.searchsorted(ends, triangle, side="right"), -1)
    return mesh, np.where(triangle >= 0, triangle - np.concatenate([[0], ends])[mesh], -1)


def surfaces(pieces):
    return [(piece.vertices, piece.triangles) for piece in pieces]


def check_piece(piece, most: int):
    assert len(piece.triangles) <= most
    assert piece.triangles.dtype == np.int32
    assert piece.triangles.min() >= 0
    assert piece.triangles.max() < len(piece.vertices)
    for name, columns in (("vertices", 3), ("uv", 2), ("albedo", 3)):
        values = getattr(piece, name)
        assert values.shape == (len(piece.vertices), columns)
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
    assert piece.gloss.shape == (len(piece.vertices),)
    assert piece.albedo.min() >= 0
    assert piece.gloss.min() >= 0
    assert piece.gloss.max() <= 1
    if piece.texture is not None:
        assert piece.texture.dtype == np.uint8
        assert piece.texture.shape[2] == 4


@needs_model
@pytest.mark.parametrize("garment", list(GARMENTS), ids=lambda garment: garment.__name__)
def test_clothes_meet_the_skin_without_gaps(head, fit, garment):
    """Nobody sees the inside of the skin below the chin, nor through the body, from anywhere level or above; its rim
    only where more skin lies below."""
    inside_out = (head.mean, head.skin_triangles)
    corners = head.mean[head.skin_triangles]
    low = corners[:, :, 1].max(axis=1) < fit.marks[8, 1] - 0.03
    at_rim = np.isin(head.skin_triangles, rim_of(head)).any(axis=1)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        pieces = garment(rng, fit.bust, SKIN, draw_cloth(rng))
        for piece in pieces:
            check_piece(piece, 6000)
            assert piece.on_body
        assert sum(len(piece.triangles) for piece in pieces) <= 6000
        for yaw, pitch in ((0, 0), (50, 10), (-90, 20), (180, 10), (0, 45)):
            mesh, triangle = seen([inside_out, *surfaces(pieces)], yaw, pitch)
            turn, bend = np.radians([yaw, pitch])
            eye = np.array([-np.sin(turn) * np.cos(bend), np.sin(bend), np.cos(turn) * np.cos(bend)])
            away = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) @ eye < 0
            shown = triangle[mesh == 0]
            assert not at_rim[shown].any() or (pieces[0].albedo == SKIN).all()
            # single pixels at outlines, where a triangle is seen on edge
            assert np.count_nonzero((away & low)[shown]) <= 3
            columns = mesh[:, SIDE // 2]
            first = np.flatnonzero(columns >= 0)[0]
            assert (columns[first:] >= 0).all()  # from the head down to the lower edge of the picture


@needs_model
@pytest.mark.parametrize("hat", list(HATS), ids=lambda hat: hat.__name__)
def test_hats_hide_the_skin_where_they_take_the_hair_away(head, fit, hat):
    centres = head.mean[head.triangles].mean(axis=1)
    skin = (head.triangles < head.skin.stop).all(axis=1)
    for seed in range(3):
        pieces, cover = hat(np.random.default_rng(seed), fit)
        assert sum(len(piece.triangles) for piece in pieces) <= 3500
        for piece in pieces:
            check_piece(piece, 3000)
        hidden = skin & (cover.depth(centres) > 0.012)
        if cover.normals[0, 1] < 0.5:  # hood and headscarf leave the face free
            hidden &= (centres[:, 1] > fit.eye[1] + 0.055) & (centres[:, 2] < fit.ear[2])
        for yaw in (0, 60, 180):
            mesh, triangle = seen([(head.mean, head.triangles), *surfaces(pieces)], yaw)
            assert not hidden[triangle[mesh == 0]].any()


@needs_model
def test_glasses_stand_before_the_eyes(head, fit):
    eyes = head.mean[np.r_[head.regions["sclera_l"], head.regions["sclera_r"]]]
    for seed in range(20):
        piece = draw_glasses(np.random.default_rng(seed), fit, sunny=seed % 2 == 0)
        check_piece(piece, 3000)
        vertices = piece.vertices
        before = np.hypot(*(vertices[:, None, :2] - eyes[None, ::20, :2]).transpose(2, 0, 1)) < 0.004
        assert (np.where(before, eyes[None, ::20, 2], -1).max(axis=1) < vertices[:, 2]).all()
        mirror = np.abs(vertices[:, None] - vertices[None] * [-1, 1, 1]).sum(axis=2).min(axis=1)
        assert mirror.max() < 1e-6  # the right side is the left one mirrored


@needs_model
def test_a_third_of_the_face_stays_visible(head, fit):
    """Behind everything that can lie before a face, in the view from the front; the face goes from the chin as far
    above the brows as they are above the nose's tip."""
    skin = (head.mean, head.skin_triangles)
    centres = head.mean[head.skin_triangles].mean(axis=1)
    top = 2 * fit.marks[19, 1] - fit.marks[30, 1]
    face = (centres[:, 1] > fit.marks[8, 1]) & (centres[:, 1] < top) & (centres[:, 2] > fit.marks[0, 2])
    mesh, triangle = seen([skin], 0)
    whole = np.count_nonzero(face[triangle[mesh == 0]])
    draws = {
        "sunglasses": lambda rng: [draw_glasses(rng, fit, True)],
        "glasses and mask": lambda rng: [draw_glasses(rng, fit, False), draw_mask(rng, fit)[0]],
        "thing": lambda rng: [draw_object(rng, fit)],
        "hand": lambda rng: hands.draw_hand(rng, fit, SKIN, draw_cloth(rng)),
    }
    for name, draw in draws.items():
        for seed in range(32):
            pieces = draw(np.random.default_rng(seed))
            for piece in pieces:
                check_piece(piece, 2600)
            mesh, triangle = seen([skin, *surfaces(pieces)], 0)
            assert np.count_nonzero(face[triangle[mesh == 0]]) > whole / 3, (name, seed)


@needs_model
def test_hands_touch_the_head_and_stay_outside(fit):
    for grip in hands.GRIPS:
        for seed in range(2):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(hands, "GRIPS", (grip,))
                rng = np.random.default_rng(seed)
                skin, sleeve = hands.draw_hand(rng, fit, SKIN, draw_cloth(rng))
            depth = np.where(skin.vertices[:, 1] > fit.marks[8, 1], fit.skull.depth(skin.vertices), -1.0)
            # what is held and what lies below the chin counts in SINKS, but is not counted here
            assert np.mean(depth > hands.GIVES + 0.002) < 2 * hands.SINKS
            assert depth.max() > -0.12  # beside the face at the farthest
            assert not skin.on_body
            assert not sleeve.on_body


@needs_model
def test_the_same_generator_gives_the_same_outfit(fit):
    one, two = (wear.draw_wear(np.random.default_rng(5), fit, SKIN, SKIN, True) for _ in range(2))
    assert len(one.pieces) == len(two.pieces)
    for first, second in zip(one.pieces, two.pieces, strict=True):
        np.testing.assert_array_equal(first.vertices, second.vertices)
        np.testing.assert_array_equal(first.albedo, second.albedo)
        np.testing.assert_array_equal(first.texture, second.texture)


@needs_model
def test_hair_is_flat_under_a_hat(fit):
    """Straight strands of 6 cm all over the head, under a plane at the height of the skull's middle plus 3 cm."""
    azimuth, elevation = np.meshgrid(np.linspace(-3, 3, 12), np.radians([-30, 0, 15, 30, 60, 85]))
    lengths = np.linspace(0.001, 0.06, 8)
    points = np.stack([fit.skull.place(azimuth, elevation, length) for length in lengths], axis=2).reshape(-1, 8, 3)
    count = len(points)
    strands = Strands(
        points.astype(np.float32), np.full((count, 8), 0.001, np.float32), np.ones((count, 3)), np.zeros(count, int),
        np.full((count, 3), 1 / 3), False,
    )  # fmt: skip
    height = fit.skull.centre[1] + 0.03
    cover = Cover(np.array([[0.0, 1.0, 0.0]]), np.array([height]))
    pressed = wear.Worn(fit, (), cover).press(strands)
    above = points[..., 1] - height
    assert (pressed.widths[above > wear.ROOM] == 0).all()
    assert (pressed.widths[above < wear.ROOM] > 0).all()
    edge = (above > wear.PRESSED[1]) & (above < wear.ROOM - 1e-5)
    assert edge.any()
    off = -fit.skull.depth(pressed.points)
    np.testing.assert_array_less(off[edge], wear.UNDER + 1e-4)
    far = above < wear.PRESSED[0]
    np.testing.assert_allclose(pressed.points[far], strands.points[far], atol=1e-7)
    bare = wear.Worn(fit, ()).press(strands)
    np.testing.assert_allclose(bare.points, strands.points, atol=1e-7)
    assert (wear.Worn(fit, (), EVERYTHING).press(strands).widths == 0).all()
    assert (wear.Worn(fit, (), beard=cover).trim(strands).widths[above > 0] == 0).all()


@needs_model
def test_shares_are_those_stated(fit, monkeypatch):
    """What is drawn is counted, not made: 3,000 people of all ages."""
    counts = dict.fromkeys(("glasses", "sunglasses", "hat", "mask", "hand", "object"), 0)

    def count(name, result):
        counts[name] += 1
        return result

    monkeypatch.setattr(wear, "draw_clothes", lambda *_, flat: ((), None))
    monkeypatch.setattr(wear, "draw_glasses", lambda *_, sunny: count("sunglasses" if sunny else "glasses", None))
    monkeypatch.setattr(wear, "HATS", {lambda *_: count("hat", ((), NOTHING)): 1.0})
    monkeypatch.setattr(wear, "draw_mask", lambda *_: count("mask", (None, NOTHING)))
    monkeypatch.setattr(wear, "draw_hand", lambda *_: count("hand", ()))
    monkeypatch.setattr(wear, "draw_object", lambda *_: count("object", None))
    rng = np.random.default_rng(0)
    for _ in range(3000):
        wear.draw_wear(rng, fit, SKIN, SKIN, True, float(rng.random()))
    wanted = {"glasses": 0.18, "sunglasses": 0.03, "hat": 0.10, "mask": 0.02, "hand": 0.09, "object": 0.03}
    for name, share in wanted.items():  # within four standard deviations
        assert abs(counts[name] / 3000 - share) < 4 * np.sqrt(share / 3000), name


def test_a_cover_is_where_all_its_planes_agree():
    cover = Cover(np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), np.array([0.5, 0.0]))
    depth = cover.depth(np.float32([[0, 0.8, 1.0], [0, 0.8, -1.0], [9, 0.4, 1.0]]))
    np.testing.assert_allclose(depth, [0.3, -1.0, -0.1], atol=1e-6)


def test_textures_repeat_without_a_seam():
    """The step across the border is no larger than steps within; and all are as their numbers say, always."""
    for texture in (printed(3), weave(0), weave(1)):
        values = texture[..., :3].astype(int)
        inner = np.abs(np.diff(values, axis=1)).mean(axis=(0, 2)).max()
        assert np.abs(values[:, 0] - values[:, -1]).mean() <= inner
        assert (texture[..., 3] == 255).all()
    np.testing.assert_array_equal(printed.__wrapped__(3), printed(3))


@needs_model
def test_normals_of_clothes_point_out(fit):
    rng = np.random.default_rng(1)
    for piece in next(iter(GARMENTS))(rng, fit.bust, SKIN, draw_cloth(rng)):
        if len(piece.vertices) < 500:
            continue
        normal = get_normal(piece.vertices, piece.triangles)
        outward = piece.vertices * [1.0, 0.0, 1.0] - [0.0, 0.0, fit.marks[0, 2] - 0.06]
        low = piece.vertices[:, 1] < -0.25
        assert ((normal * outward).sum(axis=1)[low] > 0).mean() > 0.97
