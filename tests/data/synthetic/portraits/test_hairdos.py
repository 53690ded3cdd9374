"""Hair of a scan-based head, on the real model where it is at hand."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from data.synthetic import hair
from data.synthetic.portraits import hair_ribbons
from data.synthetic.portraits.facial_hair import grow_beard
from data.synthetic.portraits.hair_colours import DyedStrands, draw_colours
from data.synthetic.portraits.hair_cuts import CUTS
from data.synthetic.portraits.hair_laying import LOWEST, make_bed, spread_roots
from data.synthetic.portraits.hairdos import grow, thin

BROWN = np.float32([0.09, 0.045, 0.022])


@pytest.fixture(scope="module")
def bed(head):
    return make_bed(head)


def cut_of(name):
    return next(cut for cut in CUTS if cut.name == name)


def grown(bed, name, seed=0, masculine=True):
    return grow(np.random.default_rng(seed), bed, BROWN, 0.4, masculine, 30.0, cut_of(name))


def made_up_strands(count=1100, size=4):
    """Strands before a camera at the origin, on triangles of a random skin (50, 3)."""
    rng = np.random.default_rng(0)
    points = (0.02 * rng.standard_normal((count, size, 3)) - [0.0, 0.0, 0.6]).astype(np.float32)
    widths = rng.uniform(0.0005, 0.002, (count, size)).astype(np.float32)
    colours, tips = rng.random((2, count, 3), np.float32)
    barycentric = rng.dirichlet(np.ones(3), count).astype(np.float32)
    strands = DyedStrands(points, widths, colours, rng.integers(0, 40, count), barycentric, True, tips)
    triangles = np.stack([rng.permutation(50)[:3] for _ in range(40)]).astype(np.int32)
    return strands, triangles, rng.standard_normal((50, 3)).astype(np.float32)


def test_masks_lie_where_the_landmarks_say(head, bed):
    skin, points = bed.surface.vertices, bed.landmarks

    def mean_of(name):
        return np.average(skin, axis=0, weights=bed.masks[name])

    assert mean_of("scalp")[1] > points[17:27, 1].mean()
    assert mean_of("scalp")[2] < points[0, 2]
    assert points[51, 1] < mean_of("moustache")[1] < points[33, 1]
    assert points[8, 1] - 0.02 < mean_of("beard")[1] < points[48, 1]
    upper, lower = mean_of("upper_lash")[1], mean_of("lower_lash")[1]
    # 3 mm: the landmarks are the highest points, the corners are 5 mm lower
    assert upper == pytest.approx(points[[37, 38, 43, 44], 1].mean(), abs=3e-3)
    assert lower < upper - 0.004
    for name in bed.masks:
        side = skin[:, 0] * bed.masks[name]
        assert abs(side.sum()) < 0.02 * np.abs(side).sum(), name  # the mean head is symmetric, its mesh nearly
        assert bed.masks[name].min() >= 0.0
        assert bed.masks[name].max() <= 1.0
    # the farthest place out to the side at the height of the nose is an ear
    level = np.abs(skin[:, 1] - points[30, 1]) < 0.02
    assert bed.masks["ears"][level][np.argmax(np.abs(skin[level, 0]))] > 0.5
    assert bed.masks["scalp"][bed.masks["ears"] > 0.9].max() < 0.11


def test_ground_is_the_distance_to_the_skin(bed):
    rng = np.random.default_rng(1)
    scalp = np.flatnonzero((bed.masks["scalp"] > 0.9) & (bed.surface.vertices[:, 1] > bed.brow))  # no ears about
    for height in (0.0, 0.005, 0.02):
        picked = rng.choice(scalp, 300)
        points = bed.surface.vertices[picked] + np.float32(height) * bed.surface.normals[picked]
        measured, normals = bed.ground.under(points)
        # 1 mm: half a cell's diagonal, 6 mm, squared and halved over a radius of curvature of 30 mm at the least
        assert np.abs(measured - height).max() < 1e-3
        assert np.einsum("pi,pi->p", normals, bed.surface.normals[picked]).min() > 0.95


def test_roots_are_spread_in_proportion_to_area(bed):
    mask = (bed.surface.vertices[:, 1] > bed.brow).astype(np.float32)
    triangle, barycentric = spread_roots(np.random.default_rng(2), bed, mask, 4000)
    weight = bed.area * mask[bed.surface.triangles].mean(axis=1)
    left = bed.surface.vertices[bed.surface.triangles].mean(axis=1)[:, 0] > 0.02
    # each stretch of the running sum holds its share to one strand; 200 stretches at most cross the border
    assert left[triangle].mean() == pytest.approx(weight[left].sum() / weight.sum(), abs=0.02)
    np.testing.assert_allclose(barycentric.sum(axis=1), 1.0, rtol=1e-6)
    assert len(spread_roots(np.random.default_rng(2), bed, np.zeros_like(mask), 10)[0]) == 0


@pytest.mark.parametrize("cut", CUTS, ids=lambda cut: cut.name)
def test_every_cut_grows_out_of_the_skin_and_not_into_it(bed, cut):
    hairdo = grow(np.random.default_rng(3), bed, BROWN, 0.4, False, 30.0, cut)
    points = hairdo.scalp.points
    assert points.dtype == np.float32
    assert np.isfinite(points).all()
    assert points.shape[1] == cut.steps + 1
    corners = bed.surface.vertices[bed.surface.triangles[hairdo.scalp.triangle]]
    roots = np.einsum("sk,skc->sc", hairdo.scalp.barycentric, corners)
    grown = slice(0, cut.count)  # what follows them is a tail, that begins where the hair is tied
    assert np.linalg.norm(points[grown, 0] - roots[grown], axis=1).max() < 1e-3
    scalp = bed.surface.vertices[bed.masks["ears"] < 0.1]
    normals = bed.surface.normals[bed.masks["ears"] < 0.1]
    places = points[::7, 1:].reshape(-1, 3)
    distance, nearest = cKDTree(scalp).query(places)
    depth = np.einsum("pi,pi->p", places - scalp[nearest], normals[nearest])
    # 2 mm: the ground is made of cells of 7 mm; one strand in a hundred may dip deeper behind an ear
    assert np.quantile(depth[distance < 0.02], 0.01) > -0.002
    assert points[..., 1].min() > LOWEST - 0.03  # a step below


def test_a_straight_fringe_ends_at_the_brows_and_leaves_the_eyes_free(bed):
    hairdo = grown(bed, "bob with fringe", seed=4, masculine=False)
    points = hairdo.scalp.points
    front = (points[..., 2] > bed.front + 0.03) & (np.abs(points[..., 0]) < 0.02)
    heights = points[front][:, 1]
    assert heights.min() > bed.landmarks[33, 1]
    assert np.quantile(heights, 0.1) < bed.brow + 0.03


def test_tied_hair_meets_where_it_is_tied(bed):
    hairdo = grown(bed, "bun", masculine=False)
    tied = hairdo.scalp.points[: cut_of("bun").count, -1]
    middle = np.median(tied, axis=0)
    near = np.linalg.norm(tied - middle, axis=1) < 0.03
    assert near.mean() > 0.9
    assert middle[2] < bed.front - bed.third


def test_same_generator_same_hair_and_another_another(bed):
    first, same, other = (grow(np.random.default_rng(seed), bed, BROWN, 0.4, True, 20.0) for seed in (9, 9, 6))
    np.testing.assert_array_equal(first.paint, same.paint)
    for one, two in zip(first.others, same.others, strict=True):
        np.testing.assert_array_equal(one.points, two.points)
    np.testing.assert_array_equal(first.scalp.points, same.scalp.points)
    assert not np.array_equal(first.paint, other.paint)


def test_people_differ(bed):
    rng = np.random.default_rng(7)
    hairdos = [grow(rng, bed, BROWN, rng.uniform(0.1, 1.8), bool(index % 2), 20.0 + index) for index in range(40)]
    assert len({hairdo.cut for hairdo in hairdos}) > 12
    assert {hairdo.scalp is None for hairdo in hairdos} == {True, False}
    face = (bed.behind < -0.03) & (bed.masks["beard"] + bed.masks["moustache"] > 0.9)
    beards = [np.any(hairdo.paint[face, 3] > 0.1) for hairdo in hairdos[1::2]]
    assert 0.1 < np.mean(beards) < 0.8
    for hairdo in hairdos:
        assert hairdo.paint.dtype == np.float32
        assert hairdo.paint.min() >= 0.0
        assert hairdo.paint[:, 3].max() <= 1.0
        assert all(strands.points.dtype == np.float32 for strands in hairdo.others)


def test_age_makes_grey_and_bald(bed):
    def saturation_and_cover(age):
        colours, covers = [], []
        for seed in range(12):
            hairdo = grow(np.random.default_rng(seed), bed, BROWN, 0.4, True, age, cut_of("buzz"))
            colours.append(hairdo.paint[0, 0] / hairdo.paint[0, 2])
            covers.append(hairdo.paint[bed.masks["scalp"] > 0.9, 3].mean())
        return np.mean(colours), np.mean(covers)

    young, old = saturation_and_cover(20.0), saturation_and_cover(75.0)
    assert young[0] > 1.5 * old[0]
    assert young[1] > 1.1 * old[1]


def test_only_men_have_beards_and_moustaches_hang_over_the_lip(bed):
    rng = np.random.default_rng(8)
    colours = draw_colours(rng, BROWN, True, 30.0)
    assert not any(len(strands.points) for _ in range(10) for strands in grow_beard(rng, bed, colours, False))
    grown = [strands for _ in range(30) for strands in grow_beard(rng, bed, colours, True) if len(strands.points)]
    assert grown
    # no beard grows above the nose but in front of the ears
    roots = np.concatenate([strands.points[:, 0] for strands in grown])
    assert roots[np.abs(roots[:, 0]) < 0.05, 1].max() < bed.landmarks[33, 1] + 0.005


def test_thin_keeps_every_so_manieth_and_widens_it(bed):
    strands = grown(bed, "bob").scalp
    fewer = thin(strands, 0.14)
    assert len(fewer.points) == 700
    np.testing.assert_array_equal(fewer.points[1], strands.points[7])
    np.testing.assert_array_equal(fewer.tips[1], strands.tips[7])
    ratio = fewer.widths / strands.widths[(np.arange(700) / 0.14).astype(int)]
    assert np.median(ratio) == pytest.approx(0.14**-0.75, rel=1e-4)
    assert ratio.min() >= 0.999
    stubby = thin(grown(bed, "buzz").scalp, 0.15)
    assert stubby.widths.max() < 0.002  # not blots
    assert len(thin(replace(strands, **{name: getattr(strands, name)[:0] for name in vars(strands) if name != "turns"}),
                    0.5).points) == 0  # fmt: skip


def test_blocks_are_what_the_whole_is():
    strands, triangles, rest = made_up_strands()
    moved = rest + np.random.default_rng(1).standard_normal(rest.shape).astype(np.float32)
    points = hair_ribbons.move_strands(strands, triangles, rest, moved)
    # float32 of numbers about 3: sums in another order
    np.testing.assert_allclose(points, hair.move_strands(strands, triangles, rest, moved), atol=3e-6)
    for got, wanted in zip(
        hair_ribbons.ribbons(strands.points, strands.widths), hair.ribbons(strands.points, strands.widths), strict=True
    ):
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, wanted, atol=1e-6)
