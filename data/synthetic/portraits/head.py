"""A scan-based head, ready to be drawn: what of ICT-FaceKit is seen, in the canonical frame of a data root.

Two numberings. `vertices` are those of the model, without what is never drawn; a drawn vertex is one of these with a
place in a texture, so that along the texture's seams some are drawn twice: `source` says which vertex each is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from Sim3DR import get_normal
from util.ict_files import IctModel

FACE, SCALP, GUMS, TEETH, EYES = range(5)  # surfaces, each with a texture of its own
# Which regions of the model are drawn, and as what. The sockets lie in the texture of the back of the head.
SURFACES = {
    "face": FACE,
    "head_neck": SCALP,
    "mouth_socket": SCALP,
    "eye_socket_l": SCALP,
    "eye_socket_r": SCALP,
    "gums_tongue": GUMS,
    "teeth": TEETH,
    "sclera_l": EYES,
    "sclera_r": EYES,
}
SKIN_REGIONS = ("face", "head_neck")
# Faces are not symmetric: this many smooth random fields come on top of the model's identities, each this strong.
ASYMMETRIES, ASYMMETRY_REACH, ASYMMETRY = 12, 0.035, 0.0008  # metres: reach of a field, and its standard deviation


@dataclass(frozen=True)
class Head:
    """See `make_head`. Canonical metres: +x the face's left, +y up, +z out of the face.

    mean: (V, 3) float32; identity (I, V, 3) and expression (E, V, 3) float32 offsets, identities being standard normal
    triangles: (T, 3) int32, counter-clockwise from outside; surface: (T,) uint8, one of FACE, SCALP, ...
    normals: (V, 3) of the mean; landmarks68: (68,) vertices
    regions: name in SURFACES -> slice of the vertices; skin: slice of those of SKIN_REGIONS
    source: (M,) vertex of each drawn vertex; drawn_triangles: (T, 3) int32; uv: (M, 2) float32, u right, v down
    """

    mean: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    expression_names: tuple[str, ...]
    triangles: np.ndarray
    surface: np.ndarray
    normals: np.ndarray
    landmarks68: np.ndarray
    regions: dict[str, slice]
    source: np.ndarray
    drawn_triangles: np.ndarray
    uv: np.ndarray

    @property
    def skin(self) -> slice:
        return slice(self.regions[SKIN_REGIONS[0]].start, self.regions[SKIN_REGIONS[-1]].stop)

    @cached_property
    def face_triangles(self) -> np.ndarray:
        """(T', 3) int32: of the front of the head with the ears, where face meshes lie."""
        return self.triangles[self.surface == FACE]

    @cached_property
    def skin_triangles(self) -> np.ndarray:
        """(T', 3) int32: of the regions in `skin`."""
        return self.triangles[(self.triangles < self.skin.stop).all(axis=1)]

    def neutral(self, identity: np.ndarray) -> np.ndarray:
        """(V, 3) float32 vertices of a person with weights (I,)."""
        return weighted_sum(self.mean, identity, self.identity)

    def express(
        self, neutral: np.ndarray, weights: Mapping[str, float], gaze: tuple[float, float] = (0.0, 0.0)
    ) -> np.ndarray:
        """(V, 3) float32: a person's vertices with expressions, name -> 0..1, of which those that the model lacks are
        passed over, and eyes turned by radians to the face's left and up."""
        amounts = np.array([weights.get(name, 0.0) for name in self.expression_names], np.float32)
        vertices = weighted_sum(neutral, amounts, self.expression)
        for name, rest in self.resting_gaze.items():
            eye = vertices[self.regions[name]]
            centre = sphere_centre(eye)
            turn = Rotation.from_euler("yx", [gaze[0] - rest, -gaze[1]]).as_matrix().T.astype(np.float32)
            vertices[self.regions[name]] = (eye - centre) @ turn + centre
        return vertices

    @cached_property
    def resting_gaze(self) -> dict[str, float]:
        """Radians that each eye of the mean head looks to the left, eyes' name -> by where its cornea stands out."""
        found = {}
        for name in ("sclera_l", "sclera_r"):
            eye = self.mean[self.regions[name]]
            off = eye - sphere_centre(eye)
            height = np.linalg.norm(off, axis=1)
            x, _, z = off[height > np.quantile(height, 0.98)].mean(axis=0)
            found[name] = float(np.arctan2(x, z))
        return found


def weighted_sum(start: np.ndarray, weights: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """start (V, 3) plus the sum of weights (K,) times directions (K, V, 3); float32.

    One direction after the other: a matrix product's rounding would depend on the number of threads.
    """
    total, step = start.copy(), np.empty_like(start)
    for index in np.flatnonzero(weights):
        total += np.multiply(directions[index], np.float32(weights[index]), out=step)
    return total


def sphere_centre(points: np.ndarray) -> np.ndarray:
    """(3,) float32 centre of the sphere that lies nearest to points (P, 3), by least squares of |p|^2 - 2pc = const."""
    middle = points.mean(axis=0, dtype=np.float64)
    local = points - middle
    system = np.concatenate([2.0 * local, np.ones((len(local), 1))], axis=1)
    solved = np.linalg.solve(system.T @ system, system.T @ np.square(local).sum(axis=1))
    return (middle + solved[:3]).astype(np.float32)


def make_head(model: IctModel, rotation: np.ndarray, translation: np.ndarray) -> Head:
    """Takes what is drawn out of the model and moves it into the canonical frame: x @ rotation + translation."""
    kept = np.concatenate([np.arange(model.regions[name][0].start, model.regions[name][0].stop) for name in SURFACES])
    renumbered = np.full(len(model.neutral), -1, np.int32)
    renumbered[kept] = np.arange(len(kept), dtype=np.int32)
    regions, triangles, corners, surface, start = {}, [], [], [], 0
    for name, number in SURFACES.items():
        vertices, polygons = model.regions[name]
        regions[name] = slice(start, start := start + vertices.stop - vertices.start)
        own = (model.triangle_polygon >= polygons.start) & (model.triangle_polygon < polygons.stop)
        triangles.append(renumbered[model.triangles[own]])
        corners.append(model.triangle_uv[own])
        surface.append(np.full(int(own.sum()), number, np.uint8))
    triangles = np.concatenate(triangles)
    source, places, drawn = split_seams(triangles, np.concatenate(corners))
    rotation = rotation.astype(np.float32)
    mean = model.neutral[kept] @ rotation + translation.astype(np.float32)
    uv = model.uv[places] % 1.0
    moves = asymmetries(mean, regions)
    return Head(
        mean=mean,
        identity=np.concatenate([model.identity[:, kept] @ rotation, moves]),
        expression=model.expression[:, kept] @ rotation,
        expression_names=model.expression_names,
        triangles=triangles,
        surface=np.concatenate(surface),
        normals=get_normal(mean, triangles),
        landmarks68=renumbered[model.landmarks68].astype(np.int64),
        regions=regions,
        source=source,
        drawn_triangles=drawn,
        uv=np.stack([uv[:, 0], 1.0 - uv[:, 1]], axis=1).astype(np.float32),
    )


def split_seams(triangles: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices that have one place in a texture each, from triangles (T, 3) and the texture places of their corners
    (T, 3): the vertex (M,) and the place (M,) of each, and the triangles (T, 3) int32 of these."""
    pairs = np.stack([triangles.ravel(), corners.ravel()], axis=1)
    unique, inverse = np.unique(pairs, axis=0, return_inverse=True)
    return unique[:, 0], unique[:, 1], inverse.reshape(-1, 3).astype(np.int32)


def asymmetries(mean: np.ndarray, regions: dict[str, slice]) -> np.ndarray:
    """(ASYMMETRIES, V, 3) float32 smooth fields of displacement about places on the face, the same in every process.

    Eyes, teeth and the mouth move as a whole, by the mean of their field.
    """
    rng = np.random.default_rng(0xA5)
    face = regions["face"]
    front = np.flatnonzero(mean[face, 2] > np.quantile(mean[face, 2], 0.4)) + face.start
    centres = mean[rng.choice(front, ASYMMETRIES, replace=False)]
    directions = rng.standard_normal((ASYMMETRIES, 3))
    squares = np.square(mean[None] - centres[:, None]).sum(axis=2)
    fields = np.exp(-squares / (2 * ASYMMETRY_REACH**2))[..., None] * (ASYMMETRY * directions[:, None])
    for name in ("eye_socket_l", "eye_socket_r", "gums_tongue", "teeth", "sclera_l", "sclera_r"):
        fields[:, regions[name]] = fields[:, regions[name]].mean(axis=1, keepdims=True)
    return fields.astype(np.float32)


def nearest_weights(points: np.ndarray, places: np.ndarray, count: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """The `count` nearest of places (K, 3) to each of points (P, 3), and weights that fall with the distance and sum to
    1: (P, count) int64 and (P, count) float32."""
    distance, nearest = cKDTree(places).query(points, k=count)
    weights = 1.0 / (distance + 0.004)
    return nearest, (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
