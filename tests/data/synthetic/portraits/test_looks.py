"""Masks, skin, eyes and mouth of a scan-based head, on the real model where it is at hand."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from data.synthetic.appearance import IRIS_COLOURS, pigment_colour
from data.synthetic.noise import to_linear
from data.synthetic.portraits.head import EYES, FACE, GUMS, SCALP, TEETH
from data.synthetic.portraits.looks import Looks
from data.synthetic.portraits.masks import border, colour_masks, outline
from data.synthetic.portraits.texels import DETAIL_MEAN
from data.synthetic.portraits.traits import NO_MAKE_UP, draw_traits
from data.synthetic.portraits.wrinkles import draw_wrinkles

PLAIN = {  # nothing but one even tone
    "blotches": 0.0, "flush": 0.0, "tan": 0.0, "rings": 0.0, "freckles": 0.0, "moles": 0, "wrinkles": 0.0, "pores": 0.0,
    "stubble": 0.0, "brows": 0.0, "vitiligo": 0.0, "birthmark": 0.0, "age": 0.0, "make_up": NO_MAKE_UP,
}  # fmt: skip


@pytest.fixture(scope="module")
def masks(head):
    return colour_masks(head)


@pytest.fixture(scope="module")
def looks(head):
    return Looks(head)


@pytest.fixture(scope="module")
def plain():
    """Traits without marks on the skin, of a person with light brown skin."""
    return replace(draw_traits(np.random.default_rng(0)), melanin=0.6, haemoglobin=0.4, carotene=0.2, **PLAIN)


def albedo_of(head, look, mask):
    """(3,) mean linear albedo of the drawn vertices where the mask is nearly 1, without the texture's detail."""
    return DETAIL_MEAN * look.albedo[mask[head.source] > 0.9].mean(axis=0)


def test_masks_lie_where_their_landmarks_say(head, masks):
    marks = head.landmarks68
    assert all(mask.dtype == np.float32 and mask.shape == (len(head.mean),) for mask in masks.values())
    assert all(mask.min() >= 0.0 and mask.max() <= 1.0 and mask.max() > 0.9 for mask in masks.values())
    inside = {"nose": [28, 29, 30], "nose_tip": [30], "lid_line": [37, 38, 43, 44], "mouth_line": [60, 62, 64, 66]}
    for name, places in inside.items():
        assert masks[name][marks[places]].min() > 0.5, name
    outside = {"nose": [8, 48, 36], "lips": [8, 30, 33], "forehead": [30, 8], "chin": [30, 27], "eyelids": [30, 8, 0]}
    for name, places in outside.items():
        assert masks[name][marks[places]].max() < 0.01, name
    # the outer lip points lie on the lips' edge, halfway down the mask
    assert np.all(np.abs(masks["lips"][marks[[49, 50, 51, 52, 53, 55, 56, 57, 58, 59]]] - 0.35) < 0.35)


def test_masks_are_as_symmetric_as_the_mean(head, masks):
    face = slice(0, head.regions["face"].stop)
    distance, mirrored = cKDTree(head.mean[face]).query(head.mean[face] * [-1, 1, 1])
    there = distance < 1e-4  # metres
    assert there.mean() > 0.95
    for name, mask in masks.items():
        # a tenth of a millimetre moves the narrowest step, 1.6 mm wide, by a tenth
        np.testing.assert_allclose(mask[face][there], mask[face][mirrored[there]], atol=0.12, err_msg=name)


def test_masks_are_empty_off_the_skin(head, masks):
    for name, mask in masks.items():
        skin_only = mask[head.skin.stop :] if name != "inner_mouth" else mask[head.regions["mouth_socket"].stop :]
        assert skin_only.max() == 0.0, name


def test_a_border_is_shared_by_both_sides(head):
    rim = border(head, "eye_socket_l")
    assert 20 < len(rim) < 200
    assert rim.max() < head.regions["face"].stop
    assert (head.mean[rim, 0] > 0).all()  # the face's left


def test_an_outline_goes_through_its_points_and_keeps_corners():
    marks = np.array([[-2.0, 0.0], [-1.0, 1.0], [1.0, 1.0], [2.0, 0.0], [1.0, -1.0], [-1.0, -1.0]])
    line = outline(marks, count=5)
    np.testing.assert_allclose(line[::5], marks, atol=1e-12)
    assert line[:16, 1].max() <= 1.0  # no overshoot
    assert (line[:16, 1] >= 0.0).all()


def test_the_same_state_gives_the_same_look(looks):
    first, again = (looks.draw(np.random.default_rng(11)) for _ in range(2))
    np.testing.assert_array_equal(first.albedo, again.albedo)
    np.testing.assert_array_equal(first.gloss, again.gloss)
    for surface in first.textures:
        np.testing.assert_array_equal(first.textures[surface], again.textures[surface])
    other = looks.draw(np.random.default_rng(12))
    assert np.abs(other.albedo - first.albedo).mean() > 0.01


def test_looks_are_in_range(head, looks):
    tones = []
    for seed in range(40):
        look = looks.draw(np.random.default_rng(seed))
        assert look.albedo.dtype == look.gloss.dtype == np.float32
        assert look.albedo.shape == (len(head.source), 3)
        assert np.isfinite(look.albedo).all()
        assert look.albedo.min() >= 0.0
        assert look.albedo.max() < 1.0 / DETAIL_MEAN
        assert look.gloss.min() >= 0.0
        assert look.gloss.max() <= 1.0
        assert set(look.textures) == {FACE, SCALP, GUMS, TEETH, EYES}
        for texture in look.textures.values():
            assert texture.dtype == np.uint8
            assert (texture[..., 3] == 255).all()
        tones.append(DETAIL_MEAN * np.median(look.albedo[head.source < head.skin.stop], axis=0))
    red = np.array(tones)[:, 0]
    assert red.min() < 0.2  # dark brown
    assert red.max() > 0.55  # pale


def test_even_skin_has_the_colour_of_its_pigments(head, looks, plain):
    look = looks.paint(np.random.default_rng(0), plain)
    back = (head.mean[head.source, 2] < -0.05) & (head.source < head.skin.stop)
    wanted = pigment_colour(np.float32(0.6), np.float32(0.4), 0.2)
    # patches of deviation 0.08 in melanin remain: exp(0.08 * 0.6 * 1.45) - 1 = 7 per cent, less over the whole head
    np.testing.assert_allclose(DETAIL_MEAN * look.albedo[back].mean(axis=0), wanted, rtol=0.07)
    texels = to_linear(look.textures[FACE][..., :3] / np.float32(255)) / DETAIL_MEAN
    assert texels.mean() == pytest.approx(1.0, abs=0.05)  # folds and pores darken a little


def test_patches_run_over_the_seam(head, looks):
    """Colours at the border of face and back of the head change no more than elsewhere."""
    look = looks.draw(np.random.default_rng(4))
    colour = np.zeros((len(head.mean), 3), np.float32)
    colour[head.source] = look.albedo
    skin = head.skin_triangles
    regions = (skin < head.regions["face"].stop).sum(axis=1)
    crossing = skin[(regions > 0) & (regions < 3)]
    away = np.abs(head.mean[crossing[:, 0], 2] - head.mean[crossing[:, 1], 2]).max()
    assert away < 0.05
    change = np.abs(colour[crossing[:, 0]] - colour[crossing[:, 1]]).max()
    assert change < 0.25 * colour[crossing].mean()


def test_traits_show_where_they_should(head, looks, masks, plain):
    def mean(mask, **changes):
        return albedo_of(head, looks.paint(np.random.default_rng(1), replace(plain, **changes)), mask)

    assert mean(masks["lips"], lips=1.2)[1] < 0.7 * mean(masks["lips"], lips=0.1)[1]
    assert mean(masks["cheeks"], flush=1.0)[1] < 0.95 * mean(masks["cheeks"])[1]
    assert mean(masks["rings"], rings=1.0)[0] < 0.95 * mean(masks["rings"])[0]
    red = replace(NO_MAKE_UP, lips=0.95, lipstick=np.float32([0.6, 0.0, 0.0]))
    painted = mean(masks["lips"] * (1 - masks["inner_mouth"]), make_up=red)
    assert painted[1] < 0.2 * painted[0]
    shadow = replace(NO_MAKE_UP, lids=0.8, shadow=np.float32([0.0, 0.3, 0.0]))
    green = mean(masks["eyelids"] * (1 - masks["lid_line"]), make_up=shadow)
    assert green[1] > green[0]
    np.testing.assert_array_equal(mean(masks["chin"], make_up=shadow), mean(masks["chin"]))


def test_freckles_stubble_and_brows_are_in_the_texture(head, looks, plain):
    def texture(**changes):
        return looks.paint(np.random.default_rng(1), replace(plain, **changes)).textures[FACE][..., :3].astype(int)

    # one texel of the face in each place, from the uv of landmarks: a brow's middle, the nose's bridge
    first = {vertex: index for index, vertex in reversed(list(enumerate(head.source)))}
    brow, nose = (
        tuple((512 * head.uv[first[head.landmarks68[mark]]][::-1]).astype(int)) for mark in (19, 28)
    )  # fmt: skip
    plain_face, brows = texture(), texture(brows=0.9, roots=np.float32([0.01, 0.01, 0.01]))
    window = (slice(brow[0] - 3, brow[0] + 12), slice(brow[1] - 5, brow[1] + 5))
    assert brows[window].mean() < 0.8 * plain_face[window].mean()
    assert abs(brows[nose] - plain_face[nose]).max() == 0
    stubble = texture(stubble=1.0, roots=np.float32([0.01, 0.01, 0.01]))
    chin = tuple((512 * head.uv[first[head.landmarks68[8]]][::-1]).astype(int))
    around = (slice(chin[0] - 15, chin[0] - 5), slice(chin[1] - 5, chin[1] + 5))
    assert stubble[around].mean() < 0.95 * plain_face[around].mean()
    assert stubble[around].std() > 2 * plain_face[around].std()


def test_eye_has_pupil_iris_and_white(head, looks, plain):
    blue = replace(plain, iris="blue", iris_radius=0.0058, pupil_radius=0.0015, sclera=0.2)
    texture = looks.paint(np.random.default_rng(0), blue).textures[EYES]
    linear = to_linear(texture[..., :3] / np.float32(255))
    black = np.argwhere(linear[96:160, 96:160].max(axis=2) < 0.005) + 96.5
    np.testing.assert_allclose(black.mean(axis=0), 128.0, atol=1.0)  # texels, of 0.2 mm
    for name in ("sclera_l", "sclera_r"):
        region = head.regions[name]
        own = np.flatnonzero((head.source >= region.start) & (head.source < region.stop))
        places = head.mean[head.source[own]]
        # both eyes lie on one disc, the pupil in its middle
        tip = places[np.argmin(np.abs(head.uv[own] - 0.5).max(axis=1))]
        away = np.linalg.norm(places[:, :2] - tip[:2], axis=1)
        seen = linear[tuple((256 * head.uv[own]).astype(int).T[::-1])]
        front = places[:, 2] > tip[2] - 0.010
        assert seen[front & (away < 0.0010)].max() < 0.02  # the pupil is black
        iris = seen[front & (away > 0.0025) & (away < 0.0045)].mean(axis=0)
        assert iris[2] > 1.15 * iris[0]
        white = seen[front & (away > 0.0075)].mean(axis=0)
        assert 0.35 < white.mean() < 0.75
        assert white.min() > 0.6 * white.max()


def test_every_iris_has_its_colour(looks, plain):
    means = {}
    for name in IRIS_COLOURS:
        texture = looks.paint(np.random.default_rng(0), replace(plain, iris=name)).textures[EYES]
        means[name] = texture[128 + 15 : 128 + 22, 122:134, :3].mean()
    assert means["dark brown"] < means["brown"] < means["grey"]


def test_teeth_are_light_and_darker_behind(head, looks, plain):
    look = looks.paint(np.random.default_rng(0), replace(plain, teeth=0.0))
    region = head.regions["teeth"]
    drawn = (head.source >= region.start) & (head.source < region.stop)
    depth, colour = head.mean[head.source[drawn], 2], DETAIL_MEAN * look.albedo[drawn]
    front = depth > np.quantile(depth, 0.9)
    assert np.quantile(colour[front], 0.9) > 0.45
    assert colour[depth < np.quantile(depth, 0.2)].mean() < 0.5 * np.quantile(colour[front], 0.9)
    yellow = looks.paint(np.random.default_rng(0), replace(plain, teeth=1.0)).albedo[drawn] / look.albedo[drawn]
    assert (yellow[:, 2] < yellow[:, 0]).all()


def test_wrinkles_come_with_strength():
    marks = np.random.default_rng(0).uniform(60, 200, (68, 2))
    amounts = [draw_wrinkles(np.random.default_rng(2), marks, 256, strength).clip(0).sum() for strength in (0.0, 1.0)]
    assert 0 < amounts[0] < 0.5 * amounts[1]
    assert draw_wrinkles(np.random.default_rng(2), marks, 256, 1.0).dtype == np.float32


def test_age_greys_and_wrinkles():
    people = [draw_traits(np.random.default_rng(seed)) for seed in range(400)]
    old, young = ([p for p in people if lower <= p.age < upper] for lower, upper in ((0.7, 1.1), (0.0, 0.25)))
    assert min(len(old), len(young)) > 20
    assert max(p.wrinkles for p in young) == 0.0
    assert np.mean([p.wrinkles for p in old]) > 0.4
    assert np.mean([np.ptp(p.roots) < 0.05 * p.roots.max() + 0.02 for p in old]) > 0.4
    assert 0.02 < np.mean([p.melanin < 0.2 for p in people]) < 0.4
    assert 0.1 < np.mean([p.melanin > 1.5 for p in people]) < 0.4
