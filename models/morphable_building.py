"""A morphable model from a labelled data root, and what else its images tell: step01 --build_morphable."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from models.albedo import Pictures, find_albedos
from models.face_looks import FaceLook, Labelled, Sample, choose_pictures, look_at
from models.morphable import FaceBases, FittingStatistics, MorphableModel
from models.scaled_orthography import fit_numbers
from util.camera import project, transform
from util.crops import square_of_landmarks
from util.errors import InputError
from util.mesh import Topology
from util.processes import map_in_order
from util.skin import Mixtures, fit_mixtures, skin_probability
from util.statistics import principal_components

# The components come from at most so many meshes, drawn at random.
MOST_MESHES = 4000
# So many meshes are rebuilt to say how well that can be done.
NUM_REBUILT = 300
# Labels that are read at a time.
BATCH = 256
# A vertex is skin where its colours say so with this probability on average.
SKIN_FROM = 0.5


@dataclass(frozen=True)
class TrainingImages:
    """The labelled images of the training fold.

    samples: n keys; labels: n dicts of landmarks (68, 2), verts (N, 3) and R_t (4, 4), by place; read: one sample with
    its image, in any process; projection: (4, 4) M_proj; image_size: width and height
    """

    samples: Sequence[Sample]
    labels: Any
    read: Callable[[Sample], Labelled]
    topology: Topology
    projection: np.ndarray
    image_size: tuple[int, int]


class Shapes(NamedTuple):
    """mean (N, 3); identity (K, N, 3) and expression (E, N, 3), as long as their deviations, float32 metres; shares
    (K,) and (E,) of the variance of subject means and of residuals that each component explains; poses: (n, 12)."""

    mean: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    identity_shares: np.ndarray
    expression_shares: np.ndarray
    poses: np.ndarray


class Colors(NamedTuple):
    """mean (N, 3) and components (A, N, 3) of the albedo, float32 RGB, with their shares (A,); skin (N,) bool; the
    mixtures of util.skin."""

    mean: np.ndarray
    components: np.ndarray
    shares: np.ndarray
    skin: np.ndarray
    mixtures: Mixtures


def build_bases(
    images: TrainingImages, identity: int, expression: int, albedo: int, num_workers: int
) -> tuple[FaceBases, str]:
    """The model with at most so many components, what else is known of the images, and the figures in words.

    Identity is what subjects' mean shapes differ in, and expression what single shapes differ from these in. A
    subject's mean shape still carries its mean expression, so that the mean face is not a neutral one but one of a mean
    expression. The two bases are not orthogonal to each other: a wide face and a smile share some directions.

    All triangles are `front`, because meshes of this kind are the front of a face and nothing else.
    Raises InputError where the images have no two subjects, or too little skin is seen.
    """
    shapes = measure_shapes(images, identity, expression)
    looks, subjects = gather_looks(images, num_workers)
    colors = measure_colors(looks, subjects, images.topology, albedo)
    ones = np.ones(len(shapes.identity), np.float32), np.ones(len(shapes.expression), np.float32)
    topology = images.topology
    front = np.arange(len(topology.triangles))
    model = MorphableModel(
        shapes.mean, shapes.identity, shapes.expression, *ones, colors.mean, colors.components, topology.triangles,
        topology.keypoints, colors.skin, front, np.array(1.0),
    )  # fmt: skip
    deviations = shapes.poses.std(axis=0)
    # one that does not vary, as the depth's offset, which is never seen, must not be divided by
    deviations = np.where(deviations > 0, deviations, 1.0)
    poses = shapes.poses.mean(axis=0), deviations
    bases = FaceBases(model, FittingStatistics(*(np.float32(part) for part in poses), *colors.mixtures))
    return bases, describe(images, shapes, colors)


def measure_shapes(images: TrainingImages, identity: int, expression: int) -> Shapes:
    """Mean, bases and pose numbers. Labels are read twice, a batch at a time; only the subjects' means are held."""
    names = [sample.subject for sample in images.samples]
    subjects, owners = np.unique(names, return_inverse=True)
    if len(subjects) < 2:
        raise InputError(f"morphable model: wanted at least two subjects for training, got {len(subjects)}")
    sums = np.zeros((len(subjects), images.topology.num_vertices, 3))
    poses = []
    with tqdm(total=len(names), desc="shapes and poses", unit="image") as progress:
        for start in range(0, len(names), BATCH):
            rows = range(start, min(start + BATCH, len(names)))
            landmarks, verts, R_t = read_labels(images, rows)
            np.add.at(sums, owners[start : start + BATCH], verts)
            poses.append(pose_numbers(images, landmarks, verts, R_t))
            progress.update(len(rows))
    means = sums / np.bincount(owners)[:, None, None]
    random = np.random.default_rng(0)
    mean = means.mean(axis=0)
    some = means[np.sort(random.permutation(len(means))[:MOST_MESHES])]
    basis, shares = components_and_shares(some, mean, identity)
    chosen = np.sort(random.permutation(len(names))[:MOST_MESHES])
    moves = np.stack([images.labels[int(row)]["verts"] - means[owners[row]] for row in chosen])
    expressions, expression_shares = components_and_shares(moves, np.zeros_like(mean), expression)
    return Shapes(np.float32(mean), basis, expressions, shares, expression_shares, np.concatenate(poses))


def read_labels(images: TrainingImages, rows: Sequence[int]) -> tuple[np.ndarray, ...]:
    """landmarks (b, 68, 2), verts (b, N, 3) and R_t (b, 4, 4) float64 of some images."""
    labels = [images.labels[row] for row in rows]
    return tuple(
        np.stack([label[name] for label in labels]).astype(np.float64) for name in ("landmarks", "verts", "R_t")
    )


def pose_numbers(images: TrainingImages, landmarks: np.ndarray, verts: np.ndarray, R_t: np.ndarray) -> np.ndarray:
    """(b, 12) models.scaled_orthography's numbers under which the shapes (b, N, 3) are seen nearest to where they are,
    in the window "square" of the images."""
    points, _ = project(transform(verts, R_t), images.projection, *images.image_size)
    squares = np.stack([square_of_landmarks(own) for own in landmarks])[:, None]
    low, high = squares[..., :2], squares[..., 2:]
    places = 2 * (points - low) / (high - low) - 1
    return fit_numbers(torch.from_numpy(verts), torch.from_numpy(places)).numpy()


def components_and_shares(samples: np.ndarray, mean: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """`principal_components`, and the share of the variance that each of them explains."""
    components = principal_components(samples, mean, most)
    total = max(float(((samples - mean) ** 2).sum() / len(samples)), 1e-30)
    return components, (components.astype(np.float64) ** 2).sum(axis=(1, 2)) / total


def gather_looks(images: TrainingImages, num_workers: int) -> tuple[list[FaceLook], np.ndarray]:
    """What some pictures of each subject say, and the number of its subject for each."""
    chosen = choose_pictures(images.samples, np.random.default_rng(0))
    samples = [images.samples[place] for place in chosen]
    look = partial(look_at_sample, images.read, images.topology, images.projection)
    found = map_in_order(look, samples, num_workers)
    looks = list(tqdm(found, total=len(samples), desc="colours", unit="image"))
    return looks, np.unique([sample.subject for sample in samples], return_inverse=True)[1]


def look_at_sample(
    read: Callable[[Sample], Labelled], topology: Topology, projection: np.ndarray, sample: Sample
) -> FaceLook:
    return look_at(read(sample), topology, projection)


def measure_colors(looks: list[FaceLook], subjects: np.ndarray, topology: Topology, most: int) -> Colors:
    """Albedo of each subject and its components over subjects, the skin's colours and where there is skin."""
    mixtures = fit_mixtures(*(np.concatenate([getattr(look, part) for look in looks]) for part in ("skin", "other")))
    subjects_pictures = []
    for subject in range(subjects.max() + 1):
        own = [looks[i] for i in np.flatnonzero(subjects == subject) if looks[i].seen.any()]
        if own:
            parts = list(zip(*own, strict=True))[: len(Pictures._fields)]
            subjects_pictures.append(Pictures(*(torch.from_numpy(np.stack(part)) for part in parts)))
    if len(subjects_pictures) < 2:
        shown = len(subjects_pictures)
        raise InputError(f"albedo: wanted pictures that show the faces of at least two subjects, got {shown}")
    whole = find_albedos(subjects_pictures, topology)
    mean = whole.mean(axis=0, dtype=np.float64)
    components, shares = components_and_shares(whole, mean, most)
    return Colors(np.float32(mean), components, shares, skin_vertices(subjects_pictures, mixtures), mixtures)


def skin_vertices(subjects: Sequence[Pictures], mixtures: Mixtures) -> np.ndarray:
    """(N,) bool: those whose colours are skin's with a probability of over `SKIN_FROM`, on average of where they are
    seen."""
    tensors = [torch.from_numpy(part) for part in mixtures]
    probable, shown = 0.0, 0.0
    for colors, _, seen in subjects:
        probable = probable + (skin_probability(colors.movedim(2, 0)[None], *tensors)[0] * seen).sum(dim=0)
        shown = shown + seen.sum(dim=0)
    return (probable > SKIN_FROM * shown).numpy()


def describe(images: TrainingImages, shapes: Shapes, colors: Colors) -> str:
    """The figures of a model, for people."""
    lines = [f"morphable model of {len(images.samples)} training images"]
    parts = [
        ("identity", shapes.identity_shares),
        ("expression", shapes.expression_shares),
        ("albedo", colors.shares),
    ]
    for name, shares in parts:
        summed = np.cumsum(shares)
        counts = sorted({min(count, len(shares)) for count in (1, 5, 10, 20, 40, len(shares))} - {0})
        told = ", ".join(f"{count}: {100 * summed[count - 1]:.1f} %" for count in counts)
        lines.append(f"  {name:>10}: {len(shares):3d} components; variance explained by the first {told or 'none'}")
    rows = np.random.default_rng(1).permutation(len(images.samples))[:NUM_REBUILT]
    verts = np.stack([images.labels[int(row)]["verts"] for row in rows])
    for name, basis in (
        ("identity", shapes.identity),
        ("identity and expression", np.concatenate([shapes.identity, shapes.expression])),
    ):
        lines.append(
            f"  training meshes rebuilt by {name}: {1000 * rebuilt_error(verts, shapes.mean, basis):.2f} mm off"
        )
    lines.append(f"  skin: {100 * colors.skin.mean():.0f} % of the vertices")
    return "\n".join(lines)


def rebuilt_error(verts: np.ndarray, mean: np.ndarray, basis: np.ndarray) -> float:
    """The mean distance of vertices (n, N, 3) from where mean and basis (K, N, 3) rebuild them by least squares."""
    centred, rows = (verts - mean).reshape(len(verts), -1), basis.reshape(len(basis), -1)
    coefficients = np.linalg.lstsq(rows.T, centred.T, rcond=None)[0].T
    misses = (centred - coefficients @ rows).reshape(verts.shape)
    return float(np.linalg.norm(misses, axis=2).mean())
