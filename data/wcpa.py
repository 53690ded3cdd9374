"""A data root in the WCPA layout, as it lies on disk: lists, resources, and one record an image.

image/<subject>/<action>/<id>_ar.jpg                 JPEG
68landmarks/<subject>/<action>/<id>_68landmarks.txt  68 rows "x y", pixels, y down
info/<subject>/<action>/<id>_info.npz                verts (N, 3), R_t (4, 4); labelled subjects only
list/WCPA_track2_{train,test}.csv                    subject_id, facial_action, img_id
resources/                                           example.obj, kpt_ind.npy, projection_matrix.txt, ...
"""

import csv
import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data.jpeg import decode_rgb
from util.checks import BROKEN_ARRAYS, check_array
from util.errors import InputError
from util.mesh import Topology, read_topology
from util.pose import check_pose

LIST_COLUMNS = ("subject_id", "facial_action", "img_id")


class SampleId(NamedTuple):
    """The three keys of an image. Always text: leading zeros count."""

    subject: str
    action: str
    image: str

    def __str__(self) -> str:
        return "/".join(self)


@dataclass
class Record:
    """One image with what is known of it.

    image: (h, w, 3) uint8 RGB; landmarks: (68, 2) float32 pixels from the top left corner, y down;
    verts: (N, 3) float32 canonical metres and R_t: (4, 4) float32, or both None where there is no label.
    """

    image: np.ndarray
    landmarks: np.ndarray
    verts: np.ndarray | None = None
    R_t: np.ndarray | None = None


class WcpaRoot:
    """Reads a data root. Every method raises InputError or FileNotFoundError that names the file.

    symmetric: whether the template must be its own mirror image
    """

    symmetric = True

    def __init__(self, root: str | Path):
        self.root = Path(root)
        if not self.root.is_dir():
            raise FileNotFoundError(f"data root {self.root}: no such folder")
        for folder in ("image", "68landmarks", "list", "resources"):
            if not (self.root / folder).is_dir():
                raise FileNotFoundError(f"data root {self.root}: no folder {folder}/ (is this a WCPA data root?)")

    def list_path(self, split: str) -> Path:
        return self.root / "list" / f"WCPA_track2_{split}.csv"

    def samples(self, split: str) -> list[SampleId]:
        """The images of the "train" or the "test" list, in the order of the file."""
        return read_sample_list(self.list_path(split))

    def topology(self) -> Topology:
        return read_topology(self.root / "resources", self.symmetric)

    def projection(self) -> np.ndarray:
        """(4, 4) float64 projection matrix M_proj."""
        return read_matrix(self.root / "resources" / "projection_matrix.txt", (4, 4))

    def example_submission(self) -> np.ndarray:
        """resources/example_submission.npy, left on disk: only its shape and type are of interest."""
        path = self.root / "resources" / "example_submission.npy"
        try:
            return np.load(path, mmap_mode="r")
        except BROKEN_ARRAYS as error:
            raise InputError(f"{path}: {error}") from None

    def fingerprint(self) -> str:
        """A digest of the lists, the topology files and the first landmarks: the same for a copy of the root, another
        for another root."""
        resources = self.root / "resources"
        files = [resources / name for name in ("example.obj", "kpt_ind.npy", "projection_matrix.txt")]
        for split in ("train", "test"):
            first = next(iterate_sample_list(self.list_path(split)))
            files += [self.list_path(split), self.landmarks_path(first)]
        digest = hashlib.sha256()
        for path in files:
            digest.update(path.read_bytes() if path.exists() else b"absent")
        return digest.hexdigest()

    def image_path(self, sample: SampleId) -> Path:
        return self.root / "image" / sample.subject / sample.action / f"{sample.image}_ar.jpg"

    def landmarks_path(self, sample: SampleId) -> Path:
        return self.root / "68landmarks" / sample.subject / sample.action / f"{sample.image}_68landmarks.txt"

    def label_path(self, sample: SampleId) -> Path:
        return self.root / "info" / sample.subject / sample.action / f"{sample.image}_info.npz"

    def read_image(self, sample: SampleId) -> np.ndarray:
        path = self.image_path(sample)
        return decode_rgb(path.read_bytes(), path)

    def read_landmarks(self, sample: SampleId) -> np.ndarray:
        return read_matrix(self.landmarks_path(sample), (68, 2)).astype(np.float32)

    def read_label(self, sample: SampleId, num_vertices: int) -> tuple[np.ndarray, np.ndarray]:
        """verts (N, 3) and R_t (4, 4), float32, checked: finite, a rotation, in front of the camera."""
        path = self.label_path(sample)
        try:
            # from memory, because NumPy leaves a file open that turns out to be cut short
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as label:
                missing = [key for key in ("verts", "R_t") if key not in label]
                if missing:
                    raise InputError(f"wanted the keys verts and R_t, got {', '.join(label.keys()) or 'none'}")
                verts = check_array("verts", label["verts"], (num_vertices, 3))
                R_t = check_pose("R_t", label["R_t"])
        except BROKEN_ARRAYS as error:
            raise InputError(f"{path}: {error}") from None
        return verts.astype(np.float32), R_t.astype(np.float32)

    def read_arrays(self, sample: SampleId, num_vertices: int, labelled: bool) -> dict[str, np.ndarray]:
        """landmarks (68, 2) and, where labelled, verts and R_t, by these names."""
        arrays = {"landmarks": self.read_landmarks(sample)}
        if labelled:
            arrays["verts"], arrays["R_t"] = self.read_label(sample, num_vertices)
        return arrays

    def read(self, sample: SampleId, num_vertices: int, labelled: bool) -> Record:
        return Record(self.read_image(sample), **self.read_arrays(sample, num_vertices, labelled))


def read_matrix(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """A matrix of numbers from a text file as float64 of `shape`; the error names the file and what it holds."""
    rows = [line.split() for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    widths = {len(row) for row in rows}
    if len(rows) != shape[0] or widths != {shape[1]}:
        got = " or ".join(str(width) for width in sorted(widths)) or "no"
        raise InputError(f"{path}: wanted {shape[0]} rows of {shape[1]} numbers, got {len(rows)} rows of {got}")
    try:
        return check_array(str(path), np.array(rows, dtype=np.float64), shape)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None


def read_sample_list(path: str | Path) -> list[SampleId]:
    """Reads a csv with the columns subject_id, facial_action, img_id (others are passed over), all as text."""
    samples = list(iterate_sample_list(path))
    if not samples:
        raise InputError(f"{path}: wanted at least one image, got an empty list")
    repeated = len(samples) - len(set(samples))
    if repeated:
        raise InputError(f"{path}: wanted each image once, got {repeated} repeated lines")
    return samples


def iterate_sample_list(path: str | Path) -> Iterator[SampleId]:
    """The samples of a csv, as they are read."""
    good: dict[str, str] = {}  # the keys that have been seen: few, and each kept once
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            columns = next(reader, [])
            missing = [column for column in LIST_COLUMNS if column not in columns]
            if missing:
                raise InputError(f"{path}: wanted the columns {', '.join(LIST_COLUMNS)}, missing {', '.join(missing)}")
            places = [columns.index(column) for column in LIST_COLUMNS]
            for row in reader:
                try:
                    yield SampleId(*[good[row[place]] for place in places])
                except (KeyError, IndexError):
                    if row:
                        keys = [row[place] if place < len(row) else "" for place in places]
                        check_keys(keys, f"{path}, line {reader.line_num}")
                        good |= {key: key for key in keys}
                        yield SampleId(*keys)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: wanted a csv in UTF-8 ({error})") from None


def check_keys(keys: Sequence[str], where: str) -> None:
    """Raises InputError where one of a sample's three keys cannot be a file's name."""
    if not all(keys):
        raise InputError(f"{where}: wanted three non-empty fields, got {tuple(keys)}")
    if any("/" in key or "\\" in key or key in (".", "..") for key in keys):
        raise InputError(f"{where}: wanted names without path separators, got {tuple(keys)}")


def write_sample_list(path: str | Path, samples: list[SampleId]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(LIST_COLUMNS)
        writer.writerows(samples)
