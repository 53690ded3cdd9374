"""The coarse mesh of the whole head, whose first 1,220 vertices are the labelled face, and its key points.

Half of the head (x >= 0) is triangulated in the disc of `chart`: curves and rings at lids, lips, brows, nose, jaw
and ears are laid down exactly, the rest is filled with well-spaced points; then it is mirrored. The back midline is
a seam: its vertices are there twice, so that a picture can be wrapped around the head.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial import Delaunay, cKDTree

from data.synthetic import chart
from data.synthetic.geometry import inside_polygon
from data.synthetic.sculpture import EYE_CENTRE, cast_rays

NUM_FACE_VERTICES = 1220

# Margins of the left eye's lids, front view, millimetres from the centre of the eyeball, inner to outer corner
_UPPER_LID = ((-14.6, -1.6), (-11.2, 1.7), (-5.5, 4.6), (-0.5, 5.2), (5.0, 4.5), (9.3, 2.9), (12.3, 0.9))
_LOWER_LID = ((-14.6, -1.6), (-10.5, -3.6), (-4.5, -5.0), (1.5, -5.1), (6.5, -3.9), (10.0, -1.6), (12.3, 0.9))
_LID_SEGMENTS = 9  # of each lid; the key points are at thirds
_LID_RINGS = (1.7, 3.6, 6.0, 8.8)  # millimetres outside the margins
# Left half of the lips, front view, millimetres: from the corner to the midline
_LIP_CORNER = (25.0, -44.6)
_LIP_CURVES = {
    "upper": (_LIP_CORNER, (19.5, -41.4), (12.5, -38.4), (6.0, -36.2), (0.0, -37.3)),
    "lower": (_LIP_CORNER, (20.0, -48.6), (13.5, -52.0), (7.0, -53.4), (0.0, -53.7)),
    "upper_inner": ((23.0, -44.6), (15.0, -43.7), (7.0, -43.3), (0.0, -43.7)),
    "lower_inner": ((23.0, -44.6), (15.0, -45.9), (7.0, -46.2), (0.0, -46.2)),
}
_LIP_SEGMENTS = 6  # of each half lip; the outer key points are every second, the inner ones at the middle
_LIP_RINGS = (2.6, 5.8)  # millimetres outside the lips
# Key points of the left half, front view, millimetres
_BROW = ((14.5, 40.5), (25.5, 44.8), (36.5, 46.0), (46.0, 42.5), (53.0, 35.0))
_RIDGE = (30.0, 16.5, 3.0, -11.5)
_NOSTRIL_BASE = ((0.0, -21.6), (5.6, -21.0), (11.4, -19.0))
# Jaw from chin to ear, metres
_JAW = (
    (0.0000, -0.0868, 0.0440),
    (0.0160, -0.0850, 0.0410),
    (0.0300, -0.0800, 0.0310),
    (0.0420, -0.0720, 0.0170),
    (0.0510, -0.0610, 0.0030),
    (0.0575, -0.0455, -0.0080),
    (0.0625, -0.0265, -0.0130),
    (0.0665, -0.0060, -0.0135),
    (0.0690, 0.0150, -0.0125),
)
# Border of the face mesh from the hairline down past the ear to the throat, metres
_BORDER = (
    (0.0000, 0.0960, 0.0480),
    (0.0200, 0.0950, 0.0460),
    (0.0390, 0.0890, 0.0370),
    (0.0540, 0.0770, 0.0210),
    (0.0640, 0.0580, 0.0020),
    (0.0690, 0.0380, -0.0120),
    (0.0715, 0.0180, -0.0165),
    (0.0700, -0.0080, -0.0190),
    (0.0660, -0.0300, -0.0190),
    (0.0600, -0.0520, -0.0160),
    (0.0520, -0.0710, -0.0060),
    (0.0420, -0.0830, 0.0070),
    (0.0300, -0.0900, 0.0190),
    (0.0160, -0.0940, 0.0280),
    (0.0000, -0.0950, 0.0310),
)
_BORDER_SEGMENTS = 44
_BORDER_CLEARANCE = 0.0034  # metres about the border in which no filling point lies, so that its edges are kept
# Spacing of the filling, metres: face, near its features, skull, neck
_FACE_SPACING, _FEATURE_SPACING, _SKULL_SPACING, _NECK_SPACING = 0.0072, 0.0030, 0.0150, 0.0120
_EAR_RINGS = (1.0, 0.77, 0.68, 0.59, 0.49, 0.38, 0.26, 0.13)
_EAR_SPOKES = 22


# Middle of the left brow's hairs, millimetres
BROW_LINE = np.array([(12.5, 38.0), (18.0, 40.5), (27.0, 43.2), (36.5, 44.3), (46.0, 41.2), (53.5, 35.2)])


@dataclass(frozen=True)
class Template:
    """The coarse head. Vertices are chart directions; the first 1,220 and the triangles among them are the face.

    directions: (V, 3) unit chart directions; pairs differ in the sign of x alone
    triangles: (F, 3) int32, counter-clockwise from outside; the face's come first
    mirror: (V,) int64
    keypoints: (68,) int64, iBUG order
    num_face_triangles: how many of the triangles are the face's
    loops: vertex indices of "left_eye", "right_eye" (from the inner corner over the upper lid), "mouth" (from the
        right corner over the upper lip), each closed
    """

    directions: np.ndarray
    triangles: np.ndarray
    mirror: np.ndarray
    keypoints: np.ndarray
    num_face_triangles: int
    loops: dict[str, np.ndarray]


def front_points(front: np.ndarray) -> np.ndarray:
    """(N, 3) metres: where the sculpture lies behind front-view points (N, 2) in millimetres."""
    origins = np.concatenate([np.asarray(front) / 1000, np.zeros((len(front), 1))], axis=1)
    return cast_rays(origins, np.broadcast_to([0.0, 0.0, 1.0], origins.shape), reach=0.12)


def _sample(curve, segments: int, dense_start: float = 1.0) -> np.ndarray:
    """Points along the spline through a curve's points: (segments + 1, D).

    The steps are equal or, with `dense_start` above 1, grow from the start on.
    """
    points = np.asarray(curve, dtype=float)
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    spline = CubicSpline(length, points)
    dense = np.linspace(0.0, length[-1], 400)
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(spline(dense), axis=0), axis=1))])
    return spline(np.interp(arc[-1] * np.linspace(0.0, 1.0, segments + 1) ** dense_start, arc, dense))


def lid_margin() -> np.ndarray:
    """(18, 2) millimetres about the eyeball's centre: inner corner, upper lid, outer corner, lower lid back."""
    upper, lower = _sample(_UPPER_LID, _LID_SEGMENTS), _sample(_LOWER_LID, _LID_SEGMENTS)
    return np.concatenate([upper[:-1], lower[:0:-1]])


def lip_outline() -> np.ndarray:
    """(P, 2) millimetres, front view: the left half of the lips' outer border, closed across the midline."""
    upper, lower = (_sample(_LIP_CURVES[side], 2 * _LIP_SEGMENTS) for side in ("upper", "lower"))
    inner = np.array([(-8.0, lower[-1, 1]), (-8.0, upper[-1, 1])])
    return np.concatenate([upper[::-1], lower[1:], inner])


def _eye_rings() -> list[np.ndarray]:
    margin = lid_margin()
    centre = np.array([-0.8, 0.0])
    turn = np.arctan2((margin[:, 1] - centre[1]) / 5.2, (margin[:, 0] - centre[0]) / 13.6)
    rings = [front_points(EYE_CENTRE[:2] * 1000 + margin)]
    for i, offset in enumerate(_LID_RINGS):
        oval = centre + np.stack([(13.6 + 0.8 * offset) * np.cos(turn), (5.2 + 1.05 * offset) * np.sin(turn)], axis=1)
        radial = margin + offset * np.array([0.75, 1.0]) * (oval - centre) / np.linalg.norm(
            oval - centre, axis=1, keepdims=True
        )
        weight = (i + 1) / len(_LID_RINGS)
        rings.append(front_points(EYE_CENTRE[:2] * 1000 + weight * oval + (1 - weight) * radial))
    return rings


def _mouth_rings() -> dict[str, np.ndarray]:
    curves = {
        name: _sample(curve, _LIP_SEGMENTS, 1.3 if "inner" in name else 1.0) for name, curve in _LIP_CURVES.items()
    }
    for side in ("upper", "lower"):
        outer, inner = curves[side], curves[side + "_inner"]
        share = np.array([1.0, 0.85, 0.6, 0.5, 0.5, 0.5, 0.5])[:, None]  # away from the inner line at the corner
        curves[side + "_middle"] = (share * outer + (1 - share) * inner)[1:]
        away = np.array([1.0, 1.0 if side == "upper" else -1.0])
        fan = np.linspace(0.0, np.pi / 2, _LIP_SEGMENTS + 1) ** 0.8 * (np.pi / 2) ** 0.2
        for i, offset in enumerate(_LIP_RINGS):
            ring = outer + offset * away * np.stack([np.cos(fan), np.sin(fan)], axis=1)
            ring[-1, 0] = 0.0
            curves[f"{side}_ring{i}"] = ring if side == "upper" else ring[1:]
    return {name: front_points(curve) for name, curve in curves.items()}


class _HalfPoints:
    """The growing list of points of the left half: chart directions, 3D places, what each is."""

    def __init__(self):
        self.directions: list[np.ndarray] = []
        self.names: dict[str, np.ndarray] = {}
        self.count = 0

    def add(self, name: str, directions: np.ndarray) -> np.ndarray:
        indices = np.arange(self.count, self.count + len(directions))
        self.directions.append(directions)
        self.names[name] = indices
        self.count += len(directions)
        return indices

    def add_points(self, name: str, points: np.ndarray) -> np.ndarray:
        points = np.array(points, dtype=float)
        points[np.abs(points[:, 0]) < 1e-6, 0] = 0.0
        return self.add(name, chart.directions_of(points))

    def all(self) -> np.ndarray:
        return np.concatenate(self.directions)


def _midline(start: float, end: float, spacing: float = 1.0, segments: int = 0) -> np.ndarray:
    """Chart directions along the midline between two angles (radians from +z, up), ends left out.

    Evenly spaced in 3D, about `spacing` metres apart or, where given, in so many segments.
    """
    angles = np.linspace(start, end, 240)
    directions = np.stack([np.zeros(240), np.sin(angles), np.cos(angles)], axis=1)
    places = cast_rays(*chart.rays(directions))
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(places, axis=0), axis=1))])
    count = segments or max(1, round(arc[-1] / spacing))
    inner = np.interp(np.linspace(0, arc[-1], count + 1)[1:-1], arc, angles)
    return np.stack([np.zeros(len(inner)), np.sin(inner), np.cos(inner)], axis=1)


def _angle(direction: np.ndarray) -> float:
    return float(np.arctan2(direction[1], direction[2]))


def _face_features(points: _HalfPoints) -> None:
    for i, ring in enumerate(_eye_rings()):
        points.add_points(f"eye{i}", ring)
    for name, curve in _mouth_rings().items():
        shares_corner = name in ("lower", "lower_inner")  # with the upper lip, whose curves come first
        points.add_points(name, curve[1:] if shares_corner else curve)
    points.add_points("brow", front_points(np.array(_BROW)))
    points.add_points("ridge", front_points(np.stack([np.zeros(4), _RIDGE], axis=1)))
    points.add_points("nostril_base", front_points(np.array(_NOSTRIL_BASE)))
    points.add_points("jaw", np.array(_JAW))
    border = _sample(_BORDER, _BORDER_SEGMENTS)
    points.add_points("border", border)


def _face_midline(points: _HalfPoints) -> None:
    """Midline vertices between the features that lie on it, from the hairline to the throat."""
    named = points.names
    directions = points.all()
    stops = [  # from, to, segments between them; in all the face must have an even number of midline vertices
        (named["border"][0], named["ridge"][0], 9),
        (named["ridge"][0], named["ridge"][1], 3),
        (named["ridge"][1], named["ridge"][2], 3),
        (named["ridge"][2], named["ridge"][3], 4),
        (named["ridge"][3], named["nostril_base"][0], 5),
        (named["nostril_base"][0], named["upper_ring1"][-1], 3),
        (named["lower_ring1"][-1], named["jaw"][0], 6),
        (named["jaw"][0], named["border"][-1], 3),
    ]
    pieces = [_midline(_angle(directions[a]), _angle(directions[b]), segments=n) for a, b, n in stops]
    points.add("face_midline", np.concatenate(pieces))


def _outside_features(points: _HalfPoints) -> None:
    directions = points.all()
    top, throat = _angle(directions[points.names["border"][0]]), _angle(directions[points.names["border"][-1]])
    end = chart.NECK_END
    points.add("skull_midline", _midline(top, np.pi / 2, _SKULL_SPACING))
    points.add("crown", np.array([[0.0, 1.0, 0.0]]))
    points.add("seam", _midline(np.pi / 2, 1.5 * np.pi - end, _SKULL_SPACING))
    points.add("throat_midline", _midline(throat, -np.pi / 2 + end, _NECK_SPACING))
    azimuth = np.linspace(0.0, np.pi, 17)
    base = np.stack([np.sin(end) * np.sin(azimuth), np.full(17, -np.cos(end)), np.sin(end) * np.cos(azimuth)], axis=1)
    base[[0, -1], 0] = 0.0
    points.add("neck_base", base)
    for i, radius in enumerate(_EAR_RINGS):
        spokes = _EAR_SPOKES // 2 if radius < 0.2 else _EAR_SPOKES
        turn = np.arange(spokes) * (2 * np.pi / spokes)
        points.add(f"ear{i}", chart.ear_directions(np.full(spokes, radius), turn))
    points.add("ear_middle", chart.ear_directions(np.zeros(1), np.zeros(1)))


def _rim(start: float, end: float) -> np.ndarray:
    """Points of the disc's rim, slightly outside it, between two midline angles."""
    angles = np.linspace(start, end, 60)
    return 1.001 * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _polygons(points: _HalfPoints) -> dict[str, np.ndarray]:
    """Regions of the disc: face (within its border), eye and mouth openings, ear patch, beyond the neck's end."""
    named, directions = points.names, points.all()
    disc = chart.to_disc(directions)
    border = disc[named["border"]]
    start, end = (_angle(directions[named["border"][i]]) for i in (-1, 0))
    lips = np.concatenate([named["upper_inner"][::-1], named["lower_inner"]])
    gap = _rim(_angle(directions[lips[-1]]), _angle(directions[lips[0]]))
    neck = disc[named["neck_base"]]
    return {
        "face": np.concatenate([border, _rim(start, end)]),
        "eye": disc[named["eye0"]],
        "mouth": np.concatenate([disc[lips], gap]),
        "ear": disc[named["ear0"]],
        "neck": np.concatenate([neck, _rim(1.5 * np.pi - chart.NECK_END, 1.5 * np.pi + chart.NECK_END)]),
        "eye_rings": disc[named[f"eye{len(_LID_RINGS)}"]],
        "lip_rings": np.concatenate(
            [
                disc[np.concatenate([named["upper_ring1"][::-1], named["lower_ring1"]])],
                _rim(_angle(directions[named["lower_ring1"][-1]]), _angle(directions[named["upper_ring1"][-1]])),
            ]
        ),
    }


def _candidates(step: float) -> tuple[np.ndarray, np.ndarray]:
    """A fine, even grid of chart directions of the left half (K, 3) off the midline, and their 3D places (K, 3)."""
    axis = np.arange(-1.0, 1.0, step)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1)
    grid[1::2, :, 0] += step / 2
    grid = grid.reshape(-1, 2)
    directions = chart.from_disc(grid[np.linalg.norm(grid, axis=1) < 0.993])
    return directions, cast_rays(*chart.rays(directions), steps=24)


def _spacing(places: np.ndarray, features: np.ndarray, in_face: np.ndarray) -> np.ndarray:
    """Wanted distance (K,) between neighbours at places (K, 3), metres."""
    near, _ = cKDTree(features).query(places)
    face = np.clip(_FEATURE_SPACING + 0.16 * np.maximum(near - 0.002, 0.0), _FEATURE_SPACING, _FACE_SPACING)
    skull = np.where(places[:, 1] < -0.07, _NECK_SPACING, _SKULL_SPACING)
    return np.where(in_face, face, np.minimum(skull, 0.008 + 0.35 * np.maximum(near - 0.02, 0.0)))


def _fill(
    candidates: np.ndarray, places: np.ndarray, spacing: np.ndarray, fixed: np.ndarray, count: int | None
) -> np.ndarray:
    """Chart directions of well-spaced new points among candidates.

    candidates: (K, 3) directions; places: (K, 3) metres; spacing: (K,) wanted distance; fixed: (M, 3) places of
    points already there. Takes the candidate that is farthest from all others in units of its spacing, `count`
    times or, without count, until none is farther than 1; then evens them out.
    """
    gap = cKDTree(fixed).query(places)[0] / spacing
    taken = []
    while len(taken) < count if count is not None else gap.max() > 0.86:
        best = int(np.argmax(gap))
        taken.append(best)
        distance = np.linalg.norm(places - places[best], axis=1) / spacing
        gap = np.minimum(gap, distance)
    sites = places[taken]
    directions = candidates[taken]
    weight = spacing**-3
    for _ in range(8):
        _, owner = cKDTree(np.concatenate([sites, fixed])).query(places)
        mass = np.bincount(owner, weight, len(sites) + len(fixed))[: len(sites)]
        kept = mass > 0
        for target, source in ((sites, places), (directions, candidates)):
            for axis in range(3):
                total = np.bincount(owner, weight * source[:, axis], len(sites) + len(fixed))[: len(sites)]
                target[kept, axis] = total[kept] / mass[kept]
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def _fill_half(points: _HalfPoints) -> None:
    polygons = _polygons(points)
    candidates, places = _candidates(0.011)
    disc = chart.to_disc(candidates)
    in_face = inside_polygon(disc, polygons["face"])
    ringed = np.zeros(len(disc), dtype=bool)
    for name in ("eye_rings", "lip_rings", "ear", "neck"):
        # the lids, lips and ears have rings of their own
        ringed |= inside_polygon(disc, polygons[name])
    fixed = cast_rays(*chart.rays(points.all()), steps=24)
    dense = [points.names[name] for name in ("nostril_base", f"eye{len(_LID_RINGS)}", "upper_ring1", "lower_ring1")]
    dense = fixed[np.concatenate([*dense, points.names["ridge"][2:]])]
    wing = front_points(np.array([(13.5, -15.0), (9.0, -20.0), (12.0, -9.0), (7.0, -12.0)]))
    spacing = _spacing(places, np.concatenate([dense, wing]), in_face)
    face = sum(len(points.names[n]) for n in points.names if not n.startswith(_OUTSIDE))
    midline = int(np.count_nonzero(points.all()[:face, 0] == 0))
    wanted, odd = divmod(NUM_FACE_VERTICES - midline, 2)
    assert not odd, f"{midline} midline vertices: their number must be even"
    border = cast_rays(*chart.rays(chart.directions_of(_sample(_BORDER, 4 * _BORDER_SEGMENTS))), steps=24)
    ringed |= cKDTree(border).query(places)[0] < _BORDER_CLEARANCE
    free = in_face & ~ringed
    inner = _fill(candidates[free], places[free], spacing[free], fixed, wanted - (face - midline))
    free = ~in_face & ~ringed
    outer = _fill(candidates[free], places[free], spacing[free], fixed, None)
    points.add("face_fill", inner)
    points.add("outside_fill", outer)


_OUTSIDE = ("skull", "crown", "seam", "throat", "neck", "ear", "outside")


def _half_triangles(points: _HalfPoints) -> tuple[np.ndarray, np.ndarray]:
    """Triangles (F, 3) of the half and whether each is the face's (F,)."""
    disc = chart.to_disc(points.all())
    triangles = Delaunay(disc).simplices
    a, b, c = (disc[triangles[:, k]] for k in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    # the disc's axes are z and y: seen from +x, outside, z points left, so clockwise in the disc is outward
    triangles = np.where((area > 0)[:, None], triangles[:, [0, 2, 1]], triangles)
    middle = disc[triangles].mean(axis=1)
    polygons = _polygons(points)
    hole = np.abs(area) < 1e-9
    for name in ("eye", "mouth", "neck"):
        hole |= inside_polygon(middle, polygons[name])
    rim = (points.all()[triangles][..., 0] == 0).all(axis=1)  # slivers along the midline
    triangles, middle = triangles[~(hole | rim)], middle[~(hole | rim)]
    return triangles, inside_polygon(middle, polygons["face"])


@cache
def build_template() -> Template:
    """Builds the coarse head; deterministic, kept for the process."""
    points = _HalfPoints()
    _face_features(points)
    _face_midline(points)
    _outside_features(points)
    _fill_half(points)
    half, in_face = _half_triangles(points)
    template = _mirror_half(points, half, in_face)
    _check_loops(template)
    return template


def _check_loops(template: Template) -> None:
    edges = template.triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    keys = np.sort(edges, axis=1) @ [len(template.directions), 1]
    unique, uses = np.unique(keys, return_counts=True)
    border = set(unique[uses == 1].tolist())
    for name, loop in template.loops.items():
        sides = np.sort(np.stack([loop, np.roll(loop, -1)], axis=1), axis=1) @ [len(template.directions), 1]
        assert border.issuperset(sides.tolist()), f"{name}: the triangulation lost a side of the opening"


def _mirror_half(points: _HalfPoints, half: np.ndarray, in_face: np.ndarray) -> Template:
    """Joins the half with its mirror image: face vertices first, seam vertices twice."""
    directions, named = points.all(), points.names
    is_face = np.ones(points.count, dtype=bool)
    is_face[np.concatenate([named[n] for n in named if n.startswith(_OUTSIDE)])] = False
    shared = directions[:, 0] == 0
    shared[named["seam"]] = False
    shared[named["neck_base"][-1]] = False
    order = np.concatenate([np.nonzero(is_face)[0], np.nonzero(~is_face)[0]])
    left, right = np.full(points.count, -1), np.full(points.count, -1)
    rows, mirror = [], []
    for i in order:
        left[i] = len(rows)
        rows.append(directions[i])
        if shared[i]:
            right[i] = left[i]
            mirror.append(left[i])
        else:
            right[i] = len(rows)
            rows.append(directions[i] * [-1, 1, 1])
            mirror.extend([right[i], left[i]])
    triangles = np.concatenate([left[half], right[half[:, ::-1]]])
    face = np.concatenate([in_face, in_face])
    triangles = np.concatenate([triangles[face], triangles[~face]]).astype(np.int32)
    return Template(
        np.array(rows),
        triangles,
        np.array(mirror),
        _keypoints(named, left, right),
        int(np.count_nonzero(face)),
        _loops(named, left, right),
    )


def _keypoints(named: dict[str, np.ndarray], left: np.ndarray, right: np.ndarray) -> np.ndarray:
    jaw, brow, base, eye = named["jaw"], named["brow"], named["nostril_base"], named["eye0"]
    third = _LID_SEGMENTS // 3
    inner, upper = eye[0], eye[[third, 2 * third]]
    outer, lower = eye[_LID_SEGMENTS], eye[[_LID_SEGMENTS + third, _LID_SEGMENTS + 2 * third]]
    lip, low = named["upper"], np.concatenate([named["upper"][:1], named["lower"]])
    lip_in, low_in = named["upper_inner"], np.concatenate([named["upper_inner"][:1], named["lower_inner"]])
    right_lip = [lip[0], lip[2], lip[4], lip[6]]
    return np.array(
        [
            *right[jaw[:0:-1]], *left[jaw],
            *right[brow[::-1]], *left[brow],
            *left[named["ridge"]],
            *right[base[:0:-1]], *left[base],
            right[outer], *right[upper[::-1]], right[inner], *right[lower[::-1]],
            left[inner], *left[upper], left[outer], *left[lower],
            *right[right_lip], *left[[lip[4], lip[2], lip[0]]],
            *left[[low[2], low[4], low[6]]], *right[[low[4], low[2]]],
            *right[[lip_in[0], lip_in[3]]], *left[[lip_in[6], lip_in[3], lip_in[0]]],
            *left[[low_in[3], low_in[6]]], right[low_in[3]],
        ]
    )  # fmt: skip


def _loops(named: dict[str, np.ndarray], left: np.ndarray, right: np.ndarray) -> dict[str, np.ndarray]:
    upper, lower = named["upper_inner"], named["lower_inner"]
    mouth = [*right[upper], *left[upper[-2::-1]], *left[lower], *right[lower[-2::-1]]]
    return {"left_eye": left[named["eye0"]], "right_eye": right[named["eye0"]], "mouth": np.array(mouth)}
