"""The face model of the generator: from coefficients to the vertices of a whole head.

`FaceModel` is what the rest of the generator wants of any face model; `ProceduralFace` is the project's own, made
of formulas alone.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import Protocol

import numpy as np

from data.synthetic import body
from data.synthetic.expression import (
    EXPRESSIONS,
    JAW_FORWARD_SLIDE,
    JAW_HINGE,
    JAW_OPEN,
    JAW_SIDEWAYS,
    LID_CLOSING,
    LID_FOLLOWS_GAZE,
    LID_WIDE,
)
from data.synthetic.fields import evaluate
from data.synthetic.folds import LidSystem, MouthSystem
from data.synthetic.geometry import smooth_step
from data.synthetic.head import FineHead, build_head
from data.synthetic.identity import IDENTITY
from data.synthetic.regions import build_regions, neck_weight, unwrap
from data.synthetic.sculpture import EYE_CENTRE, EYE_RADIUS
from data.synthetic.template import NUM_FACE_VERTICES, build_template
from util.checks import check_array
from util.mesh import Topology, make_topology


@dataclass(frozen=True)
class Part:
    """One surface of a face model.

    name: "skin", "eye_left", "eye_right", "teeth_upper", "teeth_lower", "mouth" or "clothes"
    triangles: (F, 3) int32, counter-clockwise from outside (the mouth: from inside, where it is seen from)
    uv: (V, 2) float32 in 0..1, u right (+x), v down like picture rows. Skin: one-to-one, mirrored about u = 0.5.
        Eyes: the same for both, the middle of the pupil at (0.5, 0.5); how large the iris is, appearance draws.
    """

    name: str
    triangles: np.ndarray
    uv: np.ndarray


class FaceModel(Protocol):
    """What the generator wants of a face model. Canonical metres: +x the face's left, +y up, +z out of
    the face.

    topology: of the labelled points; its template is the mean face
    parts: the surfaces: skin first, both eyes and clothes; teeth and mouth may be missing
    regions: soft masks (V_skin,) float32 in 0..1: "face", "scalp", "brows", "lash_line", "beard" and "moustache",
        which hair and exposure need; and for the skin's colours "nose", "cheeks", "lips", "eyelids", "ears",
        "nostrils", "inner_lid" and "inner_mouth", any of which may be missing
    identity_names: of the coefficients, each of which is standard normal in the population
    expression_names: of the coefficients; what data.synthetic.sweep names and is not here is left out
    neck_weight: (V_skin,) float32, 0 on the head .. 1 at the base of the neck, where skin follows the body
    frame: (4, 4) float64 from the topology's canonical frame to the face model's, `[verts, 1] @ frame`; None where
        they are the same
    """

    topology: Topology
    parts: tuple[Part, ...]
    regions: dict[str, np.ndarray]
    identity_names: tuple[str, ...]
    expression_names: tuple[str, ...]
    neck_weight: np.ndarray
    frame: np.ndarray | None

    def vertices(
        self, identity: np.ndarray, expression: np.ndarray, gaze: tuple[float, float] = (0.0, 0.0)
    ) -> dict[str, np.ndarray]:
        """Vertices (V, 3) float32 of each part.

        identity: (I,) standard-normal coefficients; expression: (E,) in 0..1; gaze: radians to the face's left, up.
        """
        ...

    def face_vertices(self, skin_vertices: np.ndarray) -> np.ndarray:
        """The labelled points (N, 3) on skin vertices (V, 3)."""
        ...


def skin_of(face: FaceModel) -> Part:
    """The skin of a face model."""
    return face.parts[0]


@dataclass(frozen=True)
class _Basis:
    """Mean places and linear displacements of all points that fields move, stacked: `slices` says whose."""

    mean: np.ndarray  # (P, 3) float32
    identity: np.ndarray  # (I, P * 3) float32
    expression: np.ndarray  # (E, P * 3) float32
    slices: dict[str, slice]


@dataclass(frozen=True)
class ProceduralFace:
    """See `FaceModel`. Get it from `procedural_face`, which builds it once."""

    topology: Topology
    parts: tuple[Part, ...]
    regions: dict[str, np.ndarray]
    identity_names: tuple[str, ...]
    expression_names: tuple[str, ...]
    neck_weight: np.ndarray
    _basis: _Basis = field(repr=False)
    _jaw_weight: np.ndarray = field(repr=False)
    _lids: tuple[LidSystem, LidSystem] = field(repr=False)
    _mouth: MouthSystem = field(repr=False)
    _eye_scale: np.ndarray = field(repr=False)
    _eyeball: np.ndarray = field(repr=False)
    frame: None = None

    def vertices(
        self, identity: np.ndarray, expression: np.ndarray, gaze: tuple[float, float] = (0.0, 0.0)
    ) -> dict[str, np.ndarray]:
        """See `FaceModel.vertices`."""
        identity = check_array("identity coefficients", identity, (len(self.identity_names),)).astype(np.float32)
        amounts = check_array("expression coefficients", expression, (len(self.expression_names),)).astype(np.float32)
        points = self._linear(identity, amounts)
        named = dict(zip(self.expression_names, amounts.tolist(), strict=True))
        pieces = {name: points[where] for name, where in self._basis.slices.items()}
        self._turn_jaw(pieces, named)
        radius = EYE_RADIUS * (1.0 + identity @ self._eye_scale)
        skin = pieces["skin"]
        for side, lids in zip(("left", "right"), self._lids, strict=True):
            lids.close(skin, pieces["eyes"][lids.index], radius[lids.index], lid_closing(named, side, gaze[1]))
        self._mouth.part_lips(skin)
        folds = [lids.folds(skin, pieces["eyes"][lids.index], radius[lids.index]) for lids in self._lids]
        pitch = named["jaw_open"] * JAW_OPEN * self._jaw_weight[self._mouth.loop]
        inner, bag = self._mouth.folds(skin, pitch.astype(np.float32))
        eyes = [
            pieces["eyes"][i] + radius[i] * self._eyeball @ _gaze_rotation(*gaze).astype(np.float32).T for i in (0, 1)
        ]
        return {
            "skin": np.concatenate([skin, *folds, inner]).astype(np.float32),
            "eye_left": eyes[0].astype(np.float32),
            "eye_right": eyes[1].astype(np.float32),
            "teeth_upper": pieces["teeth_upper"],
            "teeth_lower": pieces["teeth_lower"],
            "mouth": bag.astype(np.float32),
            "clothes": pieces["clothes"],
        }

    def face_vertices(self, skin_vertices: np.ndarray) -> np.ndarray:
        """See `FaceModel.face_vertices`. The labelled points of this model are skin vertices."""
        return np.ascontiguousarray(skin_vertices[: self.topology.num_vertices])

    def _linear(self, identity: np.ndarray, amounts: np.ndarray) -> np.ndarray:
        basis = self._basis
        points = basis.mean.ravel().copy()
        step = np.empty_like(points)
        # one direction after the other: a matrix product's rounding would depend on the number of threads
        for coefficients, directions in ((identity, basis.identity), (amounts, basis.expression)):
            for i in np.nonzero(coefficients)[0]:
                points += np.multiply(directions[i], coefficients[i], out=step)
        return points.reshape(-1, 3)

    def _turn_jaw(self, pieces: dict[str, np.ndarray], named: dict[str, float]) -> None:
        opening, sideways = named["jaw_open"], named["jaw_left"] - named["jaw_right"]
        if not opening and not sideways:
            return
        moved = np.nonzero(self._jaw_weight > 0)[0]
        pieces["skin"][moved] = turn_jaw(pieces["skin"][moved], self._jaw_weight[moved], opening, sideways)
        teeth = pieces["teeth_lower"]
        pieces["teeth_lower"] = turn_jaw(teeth, np.ones(len(teeth), np.float32), opening, sideways)


def turn_jaw(points: np.ndarray, weight: np.ndarray, opening: float, sideways: float) -> np.ndarray:
    """Points (N, 3) turned with the jaw by their weight (N,) in 0..1; opening 0..1, sideways -1..1 (+: to the left)."""
    local = points - JAW_HINGE.astype(np.float32)
    yaw = sideways * JAW_SIDEWAYS * weight
    c, s = np.cos(yaw), np.sin(yaw)
    x, z = c * local[:, 0] + s * local[:, 2], c * local[:, 2] - s * local[:, 0]
    pitch = opening * JAW_OPEN * weight
    c, s = np.cos(pitch), np.sin(pitch)
    y, z = c * local[:, 1] - s * z, s * local[:, 1] + c * z
    z = z + opening * JAW_FORWARD_SLIDE * weight
    return (np.stack([x, y, z], axis=1) + JAW_HINGE).astype(np.float32)


def lid_closing(named: dict[str, float], side: str, gaze_up: float) -> float:
    """How far the lids of a side are closed: 0 neutral, 1 shut, below 0 wide open."""
    closing = sum(share * named[name if name in named else f"{name}_{side}"] for name, share in LID_CLOSING.items())
    closing -= LID_WIDE * named["wide_eyes"]
    closing -= LID_FOLLOWS_GAZE * np.clip(gaze_up, -0.6, 0.35)  # the fissure is about one radian high
    closing = min(closing, 0.72)
    blink = min(max(named[f"blink_{side}"], 0.0), 1.0)
    return closing + (1.0 - closing) * blink


def _gaze_rotation(left: float, up: float) -> np.ndarray:
    """(3, 3) matrix, for column vectors, that turns +z by radians towards +x (left) and +y (up)."""
    cl, sl, cu, su = np.cos(left), np.sin(left), np.cos(up), np.sin(up)
    yaw = np.array([[cl, 0, sl], [0, 1, 0], [-sl, 0, cl]])
    pitch = np.array([[1, 0, 0], [0, cu, su], [0, -su, cu]])
    return yaw @ pitch


def below_mouth(head: FineHead) -> np.ndarray:
    """(V,) 0 above the line of the mouth .. 1 below it.

    A sharp step at the middle of the lips that goes towards a half at their corners, so that the opened mouth is an
    oval; a soft step out on the cheeks.
    """
    x = np.abs(head.vertices[:, 0])
    width = np.interp(x, [0.019, 0.026, 0.040, 0.060], [0.0030, 0.012, 0.034, 0.060])
    far = smooth_step(-head.lip_side / width, -0.5, 0.5)
    oval = np.sqrt(np.clip(1.0 - (x / 0.0232) ** 2, 0.0, 1.0))
    near = 0.5 + (smooth_step(-head.lip_side, -0.0010, 0.0010) - 0.5) * oval
    weight = np.exp(-((head.lip_side / 0.008) ** 2)) * (1.0 - smooth_step(x, 0.026, 0.040))
    return far + weight * (near - far)


def _jaw_weight(head: FineHead, below: np.ndarray) -> np.ndarray:
    points = head.vertices
    behind = smooth_step(points[:, 2], -0.034, 0.004)
    throat = smooth_step(points[:, 1] + 0.25 * points[:, 2], -0.150, -0.090)
    return below * behind * throat


def _build_basis(head: FineHead, below: np.ndarray) -> _Basis:
    eyes = EYE_CENTRE * np.array([[1, 1, 1], [-1, 1, 1]])
    groups = {
        "skin": head.vertices,
        "teeth_upper": body.teeth(upper=True).vertices,
        "teeth_lower": body.teeth(upper=False).vertices,
        "clothes": body.clothes().vertices,
        "eyes": eyes,
    }
    slices, start = {}, 0
    for name, points in groups.items():
        slices[name] = slice(start, start + len(points))
        start += len(points)
    mean = np.concatenate(list(groups.values()))
    identity = np.stack([evaluate(pushes, mean, None) for pushes in IDENTITY.values()])
    for i, pushes in enumerate(IDENTITY.values()):
        if any(push.part != "all" for push in pushes):
            identity[i, slices["skin"]] = evaluate(pushes, head.vertices, below)
    moves = np.zeros((len(EXPRESSIONS), *mean.shape))
    for i, pushes in enumerate(EXPRESSIONS.values()):
        moves[i, slices["skin"]] = evaluate(pushes, head.vertices, below)
    moves[list(EXPRESSIONS).index("jaw_forward"), slices["teeth_lower"], 2] = 0.0045
    return _Basis(
        mean.astype(np.float32),
        identity.reshape(len(identity), -1).astype(np.float32),
        moves.reshape(len(moves), -1).astype(np.float32),
        slices,
    )


def _eye_scale() -> np.ndarray:
    """(I, 2) relative growth of each eyeball's radius by each identity direction."""
    sphere = body.eyeball(13, 16).vertices
    sphere = sphere / np.linalg.norm(sphere, axis=1, keepdims=True)
    scale = []
    for sign in (1, -1):
        centre = EYE_CENTRE * [sign, 1, 1]
        fields = [evaluate(pushes, centre + EYE_RADIUS * sphere) for pushes in IDENTITY.values()]
        scale.append([np.mean(np.sum((f - f.mean(axis=0)) * sphere, axis=1)) / EYE_RADIUS for f in fields])
    return 0.5 * np.array(scale, dtype=np.float32).T  # eyeballs differ less than what is around them


@cache
def procedural_face() -> ProceduralFace:
    """Builds the procedural face model; deterministic, kept for the process."""
    template, head = build_template(), build_head()
    below = below_mouth(head)
    count = len(head.vertices)
    lids, start = [], count
    for index, name in enumerate(("left_eye", "right_eye")):
        lids.append(LidSystem.build(head, name, index, start))
        start += lids[-1].fold_count
    mouth = MouthSystem.build(head, start)
    sources = np.concatenate([np.arange(count), lids[0].fold_sources, lids[1].fold_sources, mouth.fold_sources])
    triangles = np.concatenate([head.triangles, lids[0].triangles, lids[1].triangles, mouth.triangles])

    # seam vertices lie on the midline, but on the side of their triangles
    across = np.repeat(head.directions[head.triangles, 0].sum(axis=1), 3)
    side = np.sign(np.bincount(head.triangles.ravel(), across, count))
    side[(head.directions[:, 0] == 0) & (head.mirror == np.arange(count))] = 0.0
    uv = unwrap(head.directions, side)
    uv = np.concatenate([uv, *[fold.fold_uv(uv) for fold in (*lids, mouth)]])
    regions = {name: mask[sources] for name, mask in build_regions(head).items()}
    inner_lid, inner_mouth = np.zeros(len(sources), np.float32), np.zeros(len(sources), np.float32)
    inner_lid[count : mouth.start] = 1.0
    inner_mouth[mouth.start :] = mouth.depth_share
    regions |= {"inner_lid": inner_lid, "inner_mouth": inner_mouth}
    eyeball, upper, lower, wear = body.eyeball(), body.teeth(True), body.teeth(False), body.clothes()
    parts = (
        Part("skin", triangles.astype(np.int32), uv.astype(np.float32)),
        Part("eye_left", eyeball.triangles, eyeball.uv),
        Part("eye_right", eyeball.triangles, eyeball.uv),
        Part("teeth_upper", upper.triangles, upper.uv),
        Part("teeth_lower", lower.triangles, lower.uv),
        Part("mouth", mouth.bag_triangles, mouth.bag_uv),
        Part("clothes", wear.triangles, wear.uv),
    )
    return ProceduralFace(
        topology=make_topology(
            head.vertices[:NUM_FACE_VERTICES], template.triangles[: template.num_face_triangles], template.keypoints
        ),
        parts=parts,
        regions=regions,
        identity_names=tuple(IDENTITY),
        expression_names=tuple(EXPRESSIONS),
        neck_weight=neck_weight(head.vertices)[sources].astype(np.float32),
        _basis=_build_basis(head, below),
        _jaw_weight=_jaw_weight(head, below).astype(np.float32),
        _lids=tuple(lids),
        _mouth=mouth,
        _eye_scale=_eye_scale(),
        _eyeball=eyeball.vertices.astype(np.float32),
    )
