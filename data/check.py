"""The check of a whole data root: every sample is read once, bad ones are told apart with their reason."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from data.wcpa import SampleId, WcpaRoot
from util.errors import InputError
from util.landmarks import landmark_numbers, whitening_matrix
from util.pose import pose_to_6dof
from util.processes import map_in_order
from util.statistics import LabelStatistics, principal_components

MOST_MESHES = 4000
MOST_COMPONENTS = 200
MOST_EXPRESSIONS = 50


@dataclass(frozen=True)
class Expected:
    """What every sample of a data root must have: vertices, image size (width, height) and, or not, a label."""

    num_vertices: int
    image_size: tuple[int, int]
    labelled: bool


@dataclass(frozen=True)
class Finding:
    """The check of one sample. reason: why it is bad, or empty. landmarks (68, 2) and numbers (139,), which say the
    same; verts (N, 3), R_t (4, 4) and six (6,): its label, if it has one; image_checksum: of the image file."""

    sample: SampleId
    reason: str = ""
    landmarks: np.ndarray | None = None
    numbers: np.ndarray | None = None
    verts: np.ndarray | None = None
    R_t: np.ndarray | None = None
    six: np.ndarray | None = None
    image_checksum: int = 0

    def fingerprint(self) -> bytes:
        """The same for the same image with the same landmarks: what must not change after images were packed."""
        return f"{self.sample} {self.image_checksum} ".encode() + self.landmarks.tobytes()


def usual_image_size(root: WcpaRoot, samples: list[SampleId], probes: int = 25) -> tuple[int, int]:
    """Width and height of most of a few images spread over the list. Raises InputError where none can be read."""
    sizes = []
    for sample in samples[:: max(1, len(samples) // probes)]:
        try:
            height, width = root.read_image(sample).shape[:2]
        except (InputError, OSError):
            continue  # the check of all samples, which comes next, names it
        sizes.append((width, height))
    if not sizes:
        raise InputError(f"data root {root.root}: none of the images that were tried can be read")
    return max(dict.fromkeys(sizes), key=sizes.count)


def check_sample(root: WcpaRoot, expected: Expected, sample: SampleId) -> Finding:
    """Reads one sample whole and says what is wrong with it, if anything is."""
    try:
        record = root.read(sample, expected.num_vertices, expected.labelled)
    except OSError as error:
        return Finding(sample, f"{error.filename}: {error.strerror}")
    except InputError as error:
        return Finding(sample, str(error))
    height, width = record.image.shape[:2]
    low, high = record.landmarks.min(axis=0), record.landmarks.max(axis=0)
    if (width, height) != expected.image_size:
        wanted = "{}x{}".format(*expected.image_size)
        return Finding(sample, f"{root.image_path(sample)}: wanted {wanted} like the others, got {width}x{height}")
    if (low == high).any():
        return Finding(sample, f"{root.landmarks_path(sample)}: wanted a face, got 68 points on one line")
    if low[0] >= width or low[1] >= height or (high <= 0).any():
        return Finding(sample, f"{root.landmarks_path(sample)}: all 68 points lie outside the {width}x{height} image")
    six = pose_to_6dof(record.R_t) if expected.labelled else None
    points = torch.from_numpy(record.landmarks.astype(np.float64) * 2 / (width, height) - 1)
    numbers = landmark_numbers(points[None])[0].numpy()
    checksum = zlib.crc32(root.image_path(sample).read_bytes())
    return Finding(sample, "", record.landmarks, numbers, record.verts, record.R_t, six, checksum)


def check_samples(root: WcpaRoot, samples: list[SampleId], expected: Expected, num_workers: int) -> Iterator[Finding]:
    """The findings of all samples in the order of the list; read by `num_workers` processes, or in this one for 0."""
    return map_in_order(partial(check_sample, root, expected), samples, num_workers)


class StatisticsAccumulator:
    """Label statistics of the training fold, one finding after the other.

    The components come from at most MOST_MESHES meshes spread evenly over the `expected` findings; all
    else from all of them.
    """

    def __init__(self, expected: int) -> None:
        self.stride = -(-expected // MOST_MESHES)
        self.sixes: list[np.ndarray] = []
        self.meshes: list[np.ndarray] = []
        self.subjects: list[str] = []
        self.verts_sum: np.ndarray | float = 0.0
        self.landmarks_sum: np.ndarray | float = 0.0
        self.landmarks_products: np.ndarray | float = 0.0

    def add(self, finding: Finding) -> None:
        self.sixes.append(finding.six)
        self.verts_sum = self.verts_sum + finding.verts.astype(np.float64)
        self.landmarks_sum = self.landmarks_sum + finding.numbers
        self.landmarks_products = self.landmarks_products + np.outer(finding.numbers, finding.numbers)
        if (len(self.sixes) - 1) % self.stride == 0:
            self.meshes.append(finding.verts)
            self.subjects.append(finding.sample.subject)

    def result(self) -> LabelStatistics:
        """Means, and standard deviations with n in the denominator. Raises InputError where nothing varies."""
        sixes = np.array(self.sixes)
        deviations = sixes.std(axis=0) if len(sixes) else np.zeros(6)
        if not (deviations > 0).all():
            raise InputError(f"labels: wanted poses that vary, got {len(sixes)} with deviations {deviations.tolist()}")
        verts_mean = self.verts_sum / len(sixes)
        meshes = np.array(self.meshes)
        basis = principal_components(meshes, verts_mean, MOST_COMPONENTS)
        _, subjects = np.unique(self.subjects, return_inverse=True)
        means = np.array([meshes[subjects == subject].mean(axis=0) for subject in range(subjects.max() + 1)])
        moves = meshes - means[subjects]
        expressions = principal_components(moves, np.zeros_like(verts_mean), MOST_EXPRESSIONS)
        landmark_mean = self.landmarks_sum / len(sixes)
        covariance = self.landmarks_products / len(sixes) - np.outer(landmark_mean, landmark_mean)
        whitening = whitening_matrix(covariance)
        results = sixes.mean(axis=0), deviations, verts_mean, basis, expressions, landmark_mean, whitening
        return LabelStatistics(*(array.astype(np.float32) for array in results))
