"""Five-point error of predictions on photographs, normalised by the distance between the eyes.

    python -m benchmarks.photo_points --photos PHOTOS --name run01

PHOTOS has detections/NAME.txt beside NAME.jpg or .png: the two eyes, the tip of the nose and the corners of the mouth,
"x y" a line, pixels. The five points also say where to look, as with step05's --points.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from data.photos import read_photo
from options.base_options import StepParser, parse_gpu_ids
from util.alignment import five_points
from util.errors import InputError, run_step
from util.pictures import mosaic, overlay_mesh
from util.prediction import FacePrediction
from util.predictor import Predictor

# A tile of the contact sheet shows so many times the box of the five points, and is so many pixels large.
TILE_REACH, TILE = 2.2, 240


class FivePointPhoto(NamedTuple):
    """A photograph (h, w, 3) uint8 RGB with its five points (5, 2)."""

    name: str
    pixels: np.ndarray
    points: np.ndarray


class PhotoResult(NamedTuple):
    """error: the mean distance of the five points over that between the eyes."""

    photo: FivePointPhoto
    face: FacePrediction
    error: float


def read_five_point_photos(folder: Path) -> list[FivePointPhoto]:
    """All that have five points. Raises InputError where none has, or where a file has not five rows of two numbers."""
    found = []
    for path in sorted((folder / "detections").glob("*.txt")):
        pictures = [picture for picture in folder.glob(f"{path.stem}.*") if picture.is_file()]
        points = np.loadtxt(path, ndmin=2)
        if points.shape != (5, 2) or len(pictures) != 1:
            raise InputError(f"{path}: wanted five points and one photo of that name, got {points.shape}, {pictures}")
        found.append(FivePointPhoto(path.stem, read_photo(pictures[0]).pixels, points))
    if not found:
        raise InputError(f"{folder}: wanted photos with detections/NAME.txt, got none")
    return found


def score_photos(predictor: Predictor, photos: list[FivePointPhoto]) -> list[PhotoResult]:
    """What the network makes of the face in each photo."""
    results = []
    for photo in tqdm(photos, desc="photos", unit="photo", leave=False):
        (face,) = predictor(photo.pixels, points=photo.points)
        distances = np.linalg.norm(five_points(face.landmarks2d) - photo.points, axis=1)
        results.append(PhotoResult(photo, face, distances.mean() / np.linalg.norm(photo.points[1] - photo.points[0])))
    return results


def tile(result: PhotoResult) -> np.ndarray:
    """(TILE, TILE, 3) uint8: the photo about the face, with the mesh and the five points."""
    face, photo = result.face, result.photo
    picture = overlay_mesh(photo.pixels, face.verts, face.R_t, face.topology.triangles, face.projection)
    centre = photo.points.mean(axis=0)
    half = TILE_REACH * np.abs(photo.points - centre).max()
    scale = TILE / (2 * half)
    affine = np.array([[scale, 0, scale * (half - centre[0])], [0, scale, scale * (half - centre[1])]])
    shown = cv2.warpAffine(picture, affine, (TILE, TILE), flags=cv2.INTER_AREA)
    for x, y in photo.points @ affine[:, :2].T + affine[:, 2]:
        cv2.circle(shown, (round(x), round(y)), 3, (255, 0, 0), -1, cv2.LINE_AA)
    text = f"{result.error:.3f}"
    cv2.putText(shown, text, (6, TILE - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 2, cv2.LINE_AA)
    return shown


def parse_options() -> argparse.Namespace:
    parser = StepParser(
        "Five-point error of a run on photographs.",
        "python -m benchmarks.photo_points --photos PHOTOS --name run01 --picture sheet.png",
    )
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR", help="photos with detections/NAME.txt")
    parser.add_argument("--name", required=True, metavar="NAME", help="the run")
    parser.add_argument(
        "--checkpoints_dir", type=Path, default=Path("checkpoints"), metavar="DIR", help="where runs are kept"
    )
    parser.add_argument("--gpu_ids", type=parse_gpu_ids, default="-1", metavar="IDS", help="as in step05; -1: the CPU")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="contact sheet to write: meshes and five points")
    return parser.parse_args()


def main() -> None:
    options = parse_options()
    predictor = Predictor(options.name, options.checkpoints_dir, gpu_ids=options.gpu_ids)
    results = score_photos(predictor, read_five_point_photos(options.photos))
    for result in results:
        print(f"{result.photo.name:<20}{result.error:8.4f}")
    errors = [result.error for result in results]
    print(
        f"{'median':<20}{np.median(errors):8.4f}\n{'mean':<20}{np.mean(errors):8.4f}\n{'worst':<20}{max(errors):8.4f}"
    )
    if options.picture:
        sheet = mosaic([tile(result) for result in results], columns=6, tile=TILE)
        cv2.imwrite(str(options.picture), sheet[..., ::-1])


if __name__ == "__main__":
    run_step(main)
