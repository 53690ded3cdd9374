"""People's own photos: finding them, reading their pixels and focal length, and what is given beside them.

Coordinates are pixels from the top left corner of the photo as it is shown, y down; pixel i covers [i, i + 1).
"""

import csv
import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import simplejpeg
from PIL import ExifTags, Image

from data.jpeg import PLAIN_COLORS
from util.errors import InputError

PHOTO_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")
VIDEO_ENDINGS = (".mp4", ".m4v", ".avi", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv", ".3gp")
# Pictures that are not read; a folder's are told.
OTHER_ENDINGS = (".heic", ".heif", ".avif", ".gif", ".jxl", ".jp2", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf")
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
# Pillow refuses a photo of more than twice the pixels that it warns of, because a small file may claim any size.
MOST_PIXELS = 2 * Image.MAX_IMAGE_PIXELS
# Overlays are drawn and written up to this side (JPEG's own limit is near).
MOST_SIDE = 65_500
# Focal lengths that lenses have, as equivalents in mm; others are mistakes of the camera's.
FOCAL_LENGTHS = (4, 4000)
# A photo whose sides' ratio differs by more from that of the picture that was taken is a part of it.
CROPPED = 0.02
# What shows through transparent pixels: mid grey, from which skin and hair differ less than from black or white.
BACKDROP = (128, 128, 128)
# EXIF orientation -> what turns the stored picture into the one that is shown.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
BOX_COLUMNS = ("image", "left", "top", "right", "bottom")


class Photo(NamedTuple):
    """A photo as it is shown.

    pixels: (h, w, 3) uint8 RGB; focal_35mm: the focal length in millimetres that gives the same view, along the
    diagonal, on 36 x 24 mm film, or None where the photo does not say.
    """

    path: Path
    pixels: np.ndarray
    focal_35mm: float | None


def find_photos(path: str | Path) -> list[Path]:
    """The photo itself, or all photos in a folder and the folders below it, sorted; told by their endings. What is
    hidden, or lies in a hidden folder, is left out.

    Raises FileNotFoundError where there is no such file or folder, InputError where a folder has no photo.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such file or folder")
    photos = sorted(file for file in visible_files(path) if file.suffix.lower() in PHOTO_ENDINGS)
    if not photos:
        raise InputError(f"{path}: wanted a folder with photos ({', '.join(PHOTO_ENDINGS)}), got none in it")
    return photos


def other_pictures(path: str | Path) -> list[Path]:
    """The pictures and videos in a folder and below it that `find_photos` leaves out for their kind, sorted."""
    endings = (*OTHER_ENDINGS, *VIDEO_ENDINGS)
    files = visible_files(Path(path)) if Path(path).is_dir() else ()
    return sorted(file for file in files if file.suffix.lower() in endings)


def visible_files(folder: Path) -> Iterator[Path]:
    """All files in a folder and below it that are not hidden. Raises OSError where a folder cannot be read."""

    def refuse(error: OSError) -> None:
        raise error

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(parent, name) for name in files if not name.startswith("."))


def is_video(path: str | Path) -> bool:
    """Whether a file's ending is a video's."""
    return Path(path).suffix.lower() in VIDEO_ENDINGS


def read_photo(path: str | Path) -> Photo:
    """Reads a JPEG, PNG, WebP, TIFF or BMP, whatever its ending says, turned as its EXIF says; of several pictures in
    a file the first. 16 bits become the 8 upper ones, floats are from 0 to 1, colour profiles are not applied.

    Raises OSError where the file cannot be read; InputError where it is no photo, is damaged, cut short or larger than
    MOST_PIXELS. WebP and BMP carry no checksums: damage to their pixels cannot be told.
    """
    path = Path(path)
    data = path.read_bytes()
    if not data:
        raise InputError(f"{path}: wanted a photo, got an empty file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sizes below MOST_PIXELS, and of broken EXIF
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                pixels = decode_pixels(image, data)
                # EXIF after the pixels: it may lie behind them, and of a TIFF that Pillow has turned it says no more.
                orientation, focal = read_exif(image)
        except Image.UnidentifiedImageError:
            wanted = "a JPEG, PNG, WebP, TIFF or BMP of 8 or 16 bits"
            raise InputError(f"{path}: wanted {wanted}, got {len(data)} bytes of another or a damaged kind") from None
        except Image.DecompressionBombError:
            raise InputError(f"{path}: wanted at most {MOST_PIXELS} pixels, got more") from None
        except Exception as error:  # on damaged files, decoders raise errors of any type
            told = " ".join(str(error).split())
            raise InputError(f"{path}: wanted a whole photo, cannot decode it ({told})") from None
    if max(pixels.shape) > MOST_SIDE:
        raise InputError(f"{path}: wanted sides of at most {MOST_SIDE} pixels, got {pixels.shape[1]}x{pixels.shape[0]}")
    if orientation in TURNS:
        pixels = np.array(Image.fromarray(pixels).transpose(TURNS[orientation]))
    return Photo(path, pixels, focal)


def decode_pixels(image: Image.Image, data: bytes) -> np.ndarray:
    """(h, w, 3) uint8 RGB of a picture that was opened from the data, as they lie in the file; but Pillow turns a
    TIFF's as its EXIF says."""
    # MPO: a JPEG that is followed by others, as some cameras write it
    if image.format in ("JPEG", "MPO") and simplejpeg.decode_jpeg_header(data)[2] in PLAIN_COLORS:
        return simplejpeg.decode_jpeg(data, "RGB", strict=True)  # finds damage that Pillow passes over
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode == "F":
        image = Image.fromarray(bytes_of_floats(np.asarray(image)))
    elif image.mode == "LAB":
        raise ValueError("its colours are LAB")
    elif image.mode == "I":
        raise ValueError("its pixels are integers of 32 bits")
    if image.has_transparency_data:
        backdrop = Image.new("RGBA", image.size, BACKDROP)
        image = Image.alpha_composite(backdrop, image.convert("RGBA"))
    return np.array(image.convert("RGB"))


def bytes_of_floats(values: np.ndarray) -> np.ndarray:
    """Floats from 0 to 1 as uint8 from 0 to 255. Raises ValueError where they are others."""
    if not (values.min() >= 0.0 and values.max() <= 1.0):  # false for NaN, too
        raise ValueError(f"its pixels are floats from {values.min():.6g} to {values.max():.6g}, wanted 0 to 1")
    return np.rint(values * 255.0).astype(np.uint8)


def read_exif(image: Image.Image) -> tuple[int, float | None]:
    """The orientation (1 to 8) and the focal length that 35 mm film would need, in millimetres, None where it is not
    known; EXIF that cannot be read says nothing. Nor is it known of a photo of another shape than the one that EXIF
    tells of: it was cropped, and shows less than the lens did."""
    try:
        exif = image.getexif()
        orientation, details = exif.get(ExifTags.Base.Orientation, 1), exif.get_ifd(ExifTags.IFD.Exif)
        focal = details.get(ExifTags.Base.FocalLengthIn35mmFilm)
        taken = details.get(ExifTags.Base.ExifImageWidth), details.get(ExifTags.Base.ExifImageHeight)
    except Exception:  # Pillow raises errors of any type on broken EXIF; the pixels are as good
        return 1, None
    known = isinstance(focal, int) and FOCAL_LENGTHS[0] <= focal <= FOCAL_LENGTHS[1]  # zero means unknown
    return orientation, float(focal) if known and not is_cropped(taken, image.size) else None


def is_cropped(taken: tuple[Any, Any], size: tuple[int, int]) -> bool:
    """Whether a photo of that size, two sides in pixels, is of another shape than the picture that was taken, whose
    sides may be anything where that is not known. Both may be turned, and smaller than they were."""
    if not all(isinstance(side, int) and side > 0 for side in taken):
        return False
    (short, long), (least, most) = sorted(taken), sorted(size)
    return abs(short * most - long * least) > CROPPED * long * most


def read_given_points(photo_path: str | Path) -> np.ndarray | None:
    """The points that are given for the face of a photo, float64, or None.

    The first of these files that exists:
    <stem>_68landmarks.txt                 beside the photo: (68, 2), iBUG order
    68landmarks/<s>/<a>/<id>_68landmarks.txt  for image/<s>/<a>/<id>_ar.jpg, the WCPA layout: (68, 2)
    landmarks/<stem>.txt                   beside the photo, Deep3DFaceReconstruction's training data: (68, 2)
    detections/<stem>.txt                  beside the photo, Deep3DFaceReconstruction's test data: (5, 2), the eye to
                                           the left in the image, the one to the right, nose tip, left and right
                                           mouth corner
    Each has one point a row, "x y" or "x, y". Raises InputError that names the file and the line.
    """
    photo = Path(photo_path).absolute()
    candidates = [(photo.with_name(f"{photo.stem}_68landmarks.txt"), 68)]
    if photo.stem.endswith("_ar") and len(photo.parents) > 3 and photo.parents[2].name == "image":
        subject, action = photo.parts[-3:-1]
        name = photo.stem.removesuffix("_ar") + "_68landmarks.txt"
        candidates.append((photo.parents[3] / "68landmarks" / subject / action / name, 68))
    candidates += [(photo.parent / "landmarks" / f"{photo.stem}.txt", 68)]
    candidates += [(photo.parent / "detections" / f"{photo.stem}.txt", 5)]
    for path, count in candidates:
        if path.exists():
            return read_points(path, count)
    return None


def read_points(path: Path, count: int) -> np.ndarray:
    """(count, 2) float64 from a text file with one point a row. Raises InputError that names the file and the line."""
    points = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), 1):
        if line.strip():
            points.append(parse_numbers(line.replace(",", " ").split(), 2, f"{path}, line {number}"))
    if len(points) != count:
        raise InputError(f"{path}: wanted {count} rows of two numbers, got {len(points)} rows")
    return np.array(points)


def parse_numbers(fields: list[str], count: int, where: str) -> list[float]:
    """Text to `count` finite numbers. Raises InputError that begins with `where`."""
    try:
        numbers = [float(field) for field in fields]
    except ValueError:
        numbers = []
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise InputError(f"{where}: wanted {count} finite numbers, got {' '.join(fields)!r}")
    return numbers


def read_boxes(path: str | Path) -> dict[str, np.ndarray]:
    """The faces' boxes of a csv with the columns image, left, top, right, bottom: name -> (k, 4) float64 pixels.

    A row is a face; an image's name is as in the file, a path with forward slashes from the folder of the photos or a
    file's name. Raises FileNotFoundError, or InputError that names the file and the line.
    """
    boxes: dict[str, list[list[float]]] = {}
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, skipinitialspace=True)
            header = [name.strip() for name in next(reader, [])]
            if tuple(header) != BOX_COLUMNS:
                raise InputError(f"{path}: wanted the header {','.join(BOX_COLUMNS)}, got {','.join(header)!r}")
            for row in reader:
                if row:
                    name, box = parse_box(row, f"{path}, line {reader.line_num}")
                    boxes.setdefault(name, []).append(box)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: wanted a csv in UTF-8 ({error})") from None
    if not boxes:
        raise InputError(f"{path}: wanted at least one box, got none")
    return {name: np.array(rows) for name, rows in boxes.items()}


def parse_box(row: list[str], where: str) -> tuple[str, list[float]]:
    """An image's name and its box from a row of a csv. Raises InputError that begins with `where`."""
    name = row[0].strip()
    if not name:
        raise InputError(f"{where}: wanted an image's name in the first column, got none")
    left, top, right, bottom = parse_numbers(row[1:], 4, where)
    if left >= right or top >= bottom:
        raise InputError(f"{where}: wanted left < right and top < bottom, got {left:g},{top:g},{right:g},{bottom:g}")
    return name, [left, top, right, bottom]
