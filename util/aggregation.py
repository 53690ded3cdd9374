"""Image sets: what the images of one subject, or of one facial action, say together.

Lists name the subject and the facial action of each image, so that at test time, too, several images are known to show
one face. Its identity is a mean over them (util/identity.py); expressions are smoothed over the frames of an action,
as far as these are so near in time that the face can have changed little.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from tqdm import tqdm

from util.camera import project, transform
from util.errors import InputError
from util.evidence import CoefficientSpace, ImageEvidence
from util.face_space import FaceSpace
from util.identity import mean_identity, split_shapes
from util.loader import in_order
from util.pnp import solve_pnp
from util.predictions import Predictions
from util.statistics import LabelStatistics

# How many of a sample's keys (subject, action, image) those have in common that get one identity.
SHARED_KEYS = {"subject": 1, "action": 2}
# Deviation of the Gaussian that weighs neighbours in time, in frames: a tenth of a second. Measured on synthetic
# expressions with noise of a quarter, a half and the whole of their deviation, errors become 1.03, 0.58 and 0.39 of
# what they were on all frames, 0.95 of it on every eighth, and stay as they are on every twentieth. Twice the width
# gains more from much noise (0.34), but loses from little (1.07). Lines in place of means gain nothing.
FRAME_WIDTH = 3.0
# Poses that are solved at once.
POSE_BATCH = 256

SampleKeys = tuple[str, str, str]


def aggregate(
    predictions: Predictions,
    samples: Sequence[SampleKeys],
    how: str,
    statistics: LabelStatistics,
    keypoints: np.ndarray,
    projection: np.ndarray,
    image_size: tuple[int, int],
    solve_poses: bool = True,
) -> Predictions:
    """The predictions with aggregated shapes: those of the evidence where there is some (util.evidence), else of
    `aggregate_shapes`; see there for what is raised.

    samples: subject, action and image of each; how: "action", "subject", or "none" for the predictions as they are;
    keypoints (68,): their vertices; projection (4, 4), image_size (width, height): of the camera that all images share.
    solve_poses: another shape has another place where it looks the same, so each image gets the pose under which its
    new shape is seen where its own prediction was, by the 68 points where evidence comes from these; without it, the
    pose that was predicted stays. Raises InputError for another `how`.
    """
    if how == "none":
        return predictions
    if how not in SHARED_KEYS:
        raise InputError(f"aggregate: wanted none, {', '.join(SHARED_KEYS)}, got {how!r}")
    if predictions.evidence is not None:
        verts = evident_shapes(predictions.evidence, samples, how, predictions.space)
    else:
        verts = aggregate_shapes(
            predictions.verts,
            predictions.confidence,
            samples,
            how,
            statistics.verts_mean,
            statistics.expression_basis,
        )
    aggregated = replace(predictions, verts=verts, evidence=None, space=None)
    if not solve_poses:
        return aggregated
    of_landmarks = predictions.evidence is not None and predictions.evidence.of_landmarks
    vertices = keypoints if of_landmarks else np.arange(verts.shape[1])
    return refit_poses(aggregated, predictions, vertices, projection, image_size)


def aggregate_shapes(
    verts: np.ndarray,
    confidence: np.ndarray,
    samples: Sequence[SampleKeys],
    how: str,
    verts_mean: np.ndarray,
    expression_basis: np.ndarray,
) -> np.ndarray:
    """(M, N, 3) float32 shapes, canonical metres: one identity for all images of an "action" of a subject, or of a
    "subject", and expressions smoothed over the frames of each action. A shape that is alone stays as it is.

    verts: (M, N, 3); confidence: (M,) how far each is to be trusted, any positive scale; samples: subject, action and
    image of each, in any order; verts_mean (N, 3), expression_basis (E, N, 3): see util.statistics.LabelStatistics.
    Raises InputError for confidences that are not finite and above 0.
    """
    if not (np.isfinite(confidence) & (confidence > 0)).all():
        raise InputError(f"confidence: wanted finite numbers above 0, got {confidence.min()}..{confidence.max()}")
    groups = defaultdict(list)
    for keys, sequence in sequences(samples).items():
        groups[keys[: SHARED_KEYS[how]]].append(sequence)
    shapes = np.array(verts, np.float32)
    for group in tqdm(groups.values(), desc="aggregate", unit=how, leave=False):
        rows = np.concatenate([own for own, _ in group])
        weights = confidence[rows].astype(np.float64)
        identities, expressions = split_shapes(verts[rows], weights, verts_mean, expression_basis)
        identity, start = mean_identity(identities, weights), 0
        for own, frames in group:
            part = slice(start, start + len(own))
            shapes[own] = identity + smooth_frames(expressions[part], frames, weights[part])
            start = part.stop
    return shapes


def evident_shapes(
    evidence: ImageEvidence, samples: Sequence[SampleKeys], how: str, space: FaceSpace | CoefficientSpace
) -> np.ndarray:
    """What `aggregate_shapes` gives, from evidence: see util.evidence. Expressions are each image's own."""
    groups = defaultdict(list)
    for place, keys in enumerate(samples):
        groups[keys[: SHARED_KEYS[how]]].append(place)
    shapes = np.empty((len(samples), *space.mean.shape), np.float32)
    for rows in tqdm(groups.values(), desc="aggregate", unit=how, leave=False):
        shapes[rows] = evidence.joint_shapes(rows, space)
    return shapes


def sequences(samples: Sequence[SampleKeys]) -> dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]:
    """For each subject and action, the places of its images among the samples, and their frame numbers: (n,) each. All
    are sorted by their keys, so that sums are rounded alike whichever order the samples come in."""
    places = defaultdict(list)
    for place in sorted(range(len(samples)), key=samples.__getitem__):
        subject, action, _ = samples[place]
        places[subject, action].append(place)
    return {keys: (np.array(own), frame_numbers([samples[place][2] for place in own])) for keys, own in places.items()}


def frame_numbers(images: Sequence[str]) -> np.ndarray:
    """(n,) float64: when the images of an action were taken, in frames.

    Where their names differ in their last number alone, as "00032" and "7" do, that number; else their places in
    natural order, in which "a9" comes before "a10".
    """
    parts = [re.fullmatch(r"(.*?)(\d+)(\D*)", image) for image in images]
    if all(parts) and len({(part[1], part[3]) for part in parts}) == 1:
        return np.array([float(part[2]) for part in parts])
    order = sorted(range(len(images)), key=lambda number: natural_key(images[number]))
    return np.argsort(order).astype(np.float64)


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """What sorts texts in natural order: numbers by their value and before other text."""
    words = re.findall(r"\d+|\D+", text)
    return [(0, int(word), word) if word.isdecimal() else (1, 0, word) for word in words]


def smooth_frames(values: np.ndarray, frames: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted means of values (n, ...) with a Gaussian of FRAME_WIDTH over the distance in time. frames, weights:
    (n,)."""
    shares = weights * np.exp(-0.5 * ((frames[:, None] - frames) / FRAME_WIDTH) ** 2)
    return np.tensordot(shares / shares.sum(axis=1, keepdims=True), values, 1)


def refit_poses(
    aggregated: Predictions,
    predictions: Predictions,
    vertices: np.ndarray,
    projection: np.ndarray,
    image_size: tuple[int, int],
) -> Predictions:
    """The aggregated predictions, with poses under which these vertices (n,) of shapes that are new are seen where
    the predictions' are."""
    R_t = predictions.R_t.copy()
    camera = torch.tensor(projection, dtype=torch.float64)
    changed = np.flatnonzero((aggregated.verts != predictions.verts).any(axis=(1, 2)))
    for rows in tqdm(in_order(changed, POSE_BATCH), desc="poses", unit="batch", leave=False):
        shapes, old_shapes = (
            torch.from_numpy(each.verts[rows][:, vertices]).double() for each in (aggregated, predictions)
        )
        old_poses = torch.from_numpy(predictions.R_t[rows]).double()
        points, _ = project(transform(old_shapes, old_poses), camera, *image_size)
        R_t[rows] = solve_pnp(shapes, points, camera, *image_size).numpy()
    return replace(aggregated, R_t=R_t)
