"""The NoW benchmark's error: distances from a scan to a predicted mesh that is laid onto it.

    python -m util.scan_metrics --prediction mesh.obj --landmarks seven.txt --scan scan.obj --scan_landmarks seven.pp
    python -m util.scan_metrics --pairs pairs.csv --metrical --prediction_unit m

pairs.csv has the columns prediction, landmarks, scan and scan_landmarks, its paths as seen from its folder. Meshes are
.obj or .ply; landmarks .npy, .txt or .pp: the four corners of the eyes (outer, inner, inner, outer), the bottom of the
nose and the corners of the mouth, or all 68 points.

The prediction is brought to the seven landmarks of the scan by a similarity transform; then rotation, translation and
scale are refined to the least sum of squared distances from the scan, cropped to a sphere around the face, to the
mesh. The metrical variant leaves the scale as it is.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation
from tqdm import tqdm

from util.checks import check_array
from util.errors import InputError, run_step
from util.landmark_metrics import Similarity, cumulative_curve, fit_similarity
from util.metrics import MILLIMETRES
from util.report import write_json
from util.scan_files import Pair, check_pairs_exist, read_landmarks, read_mesh, read_pairs
from util.surface import Surface

UNITS = {"mm": 1e-3, "cm": 1e-2, "m": 1.0}
# Metres between the outer corners of anybody's eyes, far beyond what is possible: only a wrong unit is outside.
OUTER_EYES = (0.03, 0.3)
# Of the cumulative curve, mm; NoW draws it up to 8.
CURVE_MM = np.linspace(0.0, 8.0, 161)
MAX_EVALUATIONS = 200


@dataclass(frozen=True)
class ScanScore:
    """distances_mm: (P,) from each vertex of the scan in the region to the mesh; transform: what laid the prediction
    onto the scan, one row, metres."""

    distances_mm: np.ndarray
    transform: Similarity


def scan_region(landmarks: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre (3,) and radius of the sphere within which a scan counts, from its seven landmarks (7, 3).

    The centre is a bit above the bottom of the nose, the radius 0.7 times the sum of the distance of the outer corners
    of the eyes and the length of the nose, as in NoW's code.
    """
    outer_eyes = np.linalg.norm(landmarks[0] - landmarks[3])
    nose = (landmarks[1] + landmarks[2]) / 2 - landmarks[4]
    return landmarks[4] + 0.3 * nose, 1.4 * float(outer_eyes + np.linalg.norm(nose)) / 2


def score_scan(
    vertices: np.ndarray,
    triangles: np.ndarray,
    landmarks: np.ndarray,
    scan: np.ndarray,
    scan_landmarks: np.ndarray,
    metrical: bool = False,
) -> ScanScore:
    """The distances of a scan (M, 3) from a predicted mesh, vertices (N, 3) and triangles (F, 3), all in metres.

    landmarks and scan_landmarks: (7, 3), in the order of `scan_files.read_landmarks`. The frames of prediction and
    scan may be any two; without `metrical`, so may the prediction's unit. Raises InputError or TypeError for arrays of
    the wrong kind, eyes of an impossible distance, a region without a scan, and an alignment that does not settle.
    """
    vertices, scan = check_array("prediction", vertices, (None, 3)), check_array("scan", scan, (None, 3))
    landmarks = check_array("landmarks", landmarks, (7, 3))
    scan_landmarks = check_array("scan landmarks", scan_landmarks, (7, 3))
    if len(check_array("triangles", triangles, (None, 3))) == 0:
        raise InputError("prediction: wanted a mesh with triangles, got points only")
    check_unit("scan landmarks", scan_landmarks)
    if metrical:
        check_unit("landmarks", landmarks)
    centre, radius = scan_region(scan_landmarks)
    region = scan[np.linalg.norm(scan - centre, axis=1) <= radius]
    if len(region) == 0:
        raise InputError(f"scan: wanted points within {radius:.3f} m of the face's centre {centre}, got none")
    first = fit_similarity(landmarks[None], scan_landmarks[None], "none" if metrical else "least_squares")
    alignment = ScanAlignment(Surface(first.apply(vertices[None])[0], triangles), region, centre, radius)
    refined = alignment.solve(metrical)
    turn = first.rotation @ refined.rotation
    shift = refined.apply(first.translation[:, None])[:, 0]
    return ScanScore(MILLIMETRES * alignment.distances, Similarity(first.scale * refined.scale, turn, shift))


def check_unit(name: str, landmarks: np.ndarray) -> None:
    """Raises InputError where the outer corners of the eyes of (7, 3) landmarks in metres cannot be a person's."""
    low, high = OUTER_EYES
    if not low <= (apart := np.linalg.norm(landmarks[0] - landmarks[3])) <= high:
        raise InputError(
            f"{name}: wanted outer corners of the eyes {low}..{high} m apart, got {apart:.4g}: which unit?"
        )


class ScanAlignment:
    """Moves a surface until the squared distances from points to it are least, by a trust-region Gauss-Newton search.

    surface: already near the points; points: (P, 3). Its motion is a turn about `centre`, a shift and a scale from
    there. `distances` are those of the latest motion.
    """

    def __init__(self, surface: Surface, points: np.ndarray, centre: np.ndarray, radius: float):
        self.surface, self.points, self.centre, self.radius = surface, points, centre, radius
        self.latest = self.distances = self.slopes = np.zeros(0)

    def solve(self, keep_scale: bool) -> Similarity:
        """The best motion; leaves its distances behind. Raises InputError where the search does not settle."""
        start = np.zeros(6 if keep_scale else 7)
        found = least_squares(self.measure, start, jac=self.slopes_at, max_nfev=MAX_EVALUATIONS)
        if not found.success:
            raise InputError(f"prediction: wanted one that can be laid onto the scan, got none in {found.nfev} tries")
        self.measure(found.x)
        turn, shift, scale = self.motion(found.x)
        rotation = turn.as_matrix().T
        translation = self.centre + shift - scale * self.centre @ rotation
        return Similarity(np.array([scale]), rotation[None], translation[None])

    def motion(self, parameters: np.ndarray) -> tuple[Rotation, np.ndarray, float]:
        """Turn, shift and scale for (6,) or (7,) parameters: rotation vector, shift in radii of the region so that all
        are of one order, and the logarithm of the scale, 0 if left out."""
        scale = float(np.exp(parameters[6])) if len(parameters) > 6 else 1.0
        return Rotation.from_rotvec(parameters[:3]), self.radius * parameters[3:6], scale

    def measure(self, parameters: np.ndarray) -> np.ndarray:
        """(P,) distances from the points to the moved surface, and as `slopes` their exact derivatives.

        The points are moved back instead of the surface, whose search trees stay. A distance grows as fast as its
        point moves away from the nearest place; on the surface, where that is undefined, along the normal.
        """
        turn, shift, scale = self.motion(parameters)
        arms = self.points - self.centre - shift
        local = turn.apply(arms, inverse=True) / scale + self.centre
        places, triangles = self.surface.closest(local)
        offsets = local - places
        distances = np.linalg.norm(offsets, axis=1)
        touching = (distances < 1e-9 * self.radius)[:, None]
        away = np.where(touching, self.surface.normals[triangles], offsets / np.maximum(distances, 1e-300)[:, None])
        away = turn.apply(away)
        self.distances = scale * distances
        slopes = [np.cross(away, arms) @ left_jacobian(parameters[:3]), -self.radius * away]
        if len(parameters) > 6:
            slopes.append((self.distances - (away * arms).sum(axis=1))[:, None])
        self.latest, self.slopes = parameters.copy(), np.concatenate(slopes, axis=1)
        return self.distances

    def slopes_at(self, parameters: np.ndarray) -> np.ndarray:
        """(P, 6 or 7) the derivatives of the distances just measured."""
        assert np.array_equal(parameters, self.latest), "the search asks for slopes where it has just measured"
        return self.slopes


def left_jacobian(vector: np.ndarray) -> np.ndarray:
    """(3, 3) J of a rotation vector (3,): exp(v + d) = exp(J d) exp(v) for small d."""
    angle = np.linalg.norm(vector)
    cross = np.cross(np.eye(3), vector)
    if angle < 1e-4:  # the next terms are of the order of its square
        return np.eye(3) + cross / 2 + cross @ cross / 6
    return np.eye(3) + (1 - np.cos(angle)) / angle**2 * cross + (angle - np.sin(angle)) / angle**3 * cross @ cross


def summarise_distances(distances_mm: list[np.ndarray]) -> dict:
    """NoW's figures of the distances of all pairs, pooled: each scan point counts once, whatever scan it is of.

    The deviation is the population's. curve: the percentage of distances up to each of CURVE_MM.
    """
    pooled = np.concatenate(distances_mm)
    curve = 100.0 * cumulative_curve(pooled, CURVE_MM)
    return {
        "median_mm": float(np.median(pooled)),
        "mean_mm": float(pooled.mean()),
        "std_mm": float(pooled.std()),
        "points": len(pooled),
        "curve": {"mm": CURVE_MM.round(6).tolist(), "percent": curve.round(6).tolist()},
    }


def score_pairs(pairs: list[Pair], metrical: bool, scan_unit: str, prediction_unit: str) -> dict:
    """NoW's figures of pairs of files, as `summarise_distances`, and under "pairs" those of each with the scale that
    laid the prediction onto the scan. Units: keys of UNITS. Raises what reading and `score_scan` do, naming the files.
    """
    check_pairs_exist(pairs)
    distances, rows = [], []
    for pair in tqdm(pairs, desc="scans", unit="pair"):
        vertices, triangles = read_mesh(pair.prediction)
        landmarks, scan_landmarks = read_landmarks(pair.landmarks), read_landmarks(pair.scan_landmarks)
        to_metres, scan_to_metres = UNITS[prediction_unit], UNITS[scan_unit]
        scan = scan_to_metres * read_mesh(pair.scan)[0]
        prediction = (to_metres * vertices, triangles, to_metres * landmarks)
        try:
            score = score_scan(*prediction, scan, scan_to_metres * scan_landmarks, metrical)
        except InputError as error:
            raise InputError(f"{pair.prediction} and {pair.scan}: {error}") from None
        distances.append(score.distances_mm)
        figures = summarise_distances([score.distances_mm])
        del figures["curve"]
        files = {name: str(path) for name, path in pair._asdict().items()}
        rows.append({**files, **figures, "scale": float(score.transform.scale[0])})
    return {"metrical": metrical, **summarise_distances(distances), "pairs": rows}


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m util.scan_metrics",
        description=__doc__.splitlines()[0],
        epilog="landmarks: 7 or 68 rows x y z in .npy or .txt, or points picked in MeshLab, .pp; meshes: .obj or .ply",
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    several = parser.add_argument_group("many pairs")
    several.add_argument(
        "--pairs",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="FILE",
        help=f"csv with the columns {', '.join(Pair._fields)}: paths as seen from its folder",
    )
    one = parser.add_argument_group("or one")
    for name, text in (
        ("prediction", "predicted mesh"),
        ("landmarks", "landmarks of the predicted mesh"),
        ("scan", "scan; its vertices count, its faces do not"),
        ("scan_landmarks", "landmarks of the scan"),
    ):
        one.add_argument(f"--{name}", type=Path, default=argparse.SUPPRESS, metavar="FILE", help=text)
    parser.add_argument("--metrical", action="store_true", help="keep the scale of the prediction")
    parser.add_argument("--scan_unit", choices=UNITS, default="mm", help="of scans and their landmarks")
    parser.add_argument(
        "--prediction_unit", choices=UNITS, default="m", help="of predictions and their landmarks, for --metrical"
    )
    parser.add_argument("--output", type=Path, default=Path("scan_metrics.json"), metavar="FILE", help="the figures")
    options = parser.parse_args()
    missing = [f"--{name}" for name in Pair._fields if name not in options]
    if "pairs" not in options and missing:
        parser.error(f"wanted --pairs, or all four files of one pair; missing: {' '.join(missing)}")
    if "pairs" in options and len(missing) < len(Pair._fields):
        parser.error("wanted --pairs or the files of one pair, got both")
    return options


def main() -> None:
    options = parse_options()
    if not options.output.parent.is_dir():
        raise FileNotFoundError(f"--output {options.output}: no folder {options.output.parent}")
    if "pairs" in options:
        pairs = read_pairs(options.pairs)
    else:
        pairs = [Pair(*(getattr(options, name) for name in Pair._fields))]
    content = score_pairs(pairs, options.metrical, options.scan_unit, options.prediction_unit)
    write_json(options.output, content)
    variant = "metrical" if options.metrical else "scale fitted"
    print(f"{len(pairs)} pairs, {content['points']} scan points, {variant}; distance from the scan, mm:")
    print("median {median_mm:.3f}   mean {mean_mm:.3f}   std {std_mm:.3f}".format(**content))
    print(f"figures: {options.output}")


if __name__ == "__main__":
    run_step(main)
