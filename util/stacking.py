"""Stacking: a linear second level, fitted to predictions of images that their runs have not seen, corrects a mean.

It is a ridge regression from what several bases predict, and from the 68 points, to the error of their weighted mean;
with infinite regularisation it leaves the mean as it is. (Wolpert, Stacked generalization, 1992; as in the rank-3
solution of WCPA Track 2, with a linear second level in place of a network.)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from util.ensembles import PredictionSum
from util.landmarks import landmark_numbers
from util.loader import in_order
from util.mesh import Topology
from util.metrics import image_metrics
from util.pose import pose_from_6dof, pose_to_6dof
from util.predictions import Predictions
from util.statistics import LabelStatistics

# So many principal components of the training shapes are told, and corrected.
MOST_COMPONENTS = 60
# What is tried, the strongest first: how much is added to each feature's mean square, which is about 1.
STRENGTHS = (np.inf, *np.logspace(2, -6, 17))
# Images whose figures are computed at once.
SCORED_AT_ONCE = 256


class Coordinates:
    """Meshes and poses as the numbers that the second level reads and writes.

    It reads K principal coefficients in deviations of the training shapes, and the whitened 6DoF; it writes K lengths
    along the components and the 6DoF, in metres, with angles as the ways of a vertex at the usual distance from the
    axis, so that sums of squares are what counts. The components say how shapes vary and nothing of any image.

    image_size: width and height in pixels
    """

    def __init__(self, statistics: LabelStatistics, image_size: tuple[int, int]):
        basis = statistics.verts_basis[:MOST_COMPONENTS].reshape(-1, statistics.verts_mean.size).astype(np.float64)
        self.deviations = np.linalg.norm(basis, axis=1)
        self.directions = (basis / self.deviations[:, None]).astype(np.float32)
        self.statistics, self.image_size = statistics, image_size
        # two thirds of a squared distance are across any axis
        reach = np.sqrt((statistics.verts_mean.astype(np.float64) ** 2).sum(axis=1).mean() * 2 / 3)
        self.ways = np.array([reach] * 3 + [1.0] * 3)

    @property
    def num_components(self) -> int:
        return len(self.deviations)

    def along(self, verts: np.ndarray) -> np.ndarray:
        """(M, K) float64 lengths of meshes or differences (M, N, 3) along the components."""
        return (verts.reshape(len(verts), -1) @ self.directions.T).astype(np.float64)

    def read(self, predictions: Predictions) -> np.ndarray:
        """(M, K + 6) what is told of a base's predictions."""
        coefficients = self.along(predictions.verts) - self.along(self.statistics.verts_mean[None])
        six = (pose_to_6dof(predictions.R_t) - self.statistics.six_mean) / self.statistics.six_std
        return np.concatenate([coefficients / self.deviations, six], axis=1)

    def features(self, bases: Sequence[np.ndarray], landmarks: np.ndarray) -> np.ndarray:
        """(M, F) a one, what `read` gives of each base, and the whitened numbers of the points (M, 68, 2), pixels."""
        points = torch.from_numpy(landmarks.astype(np.float64) * 2 / self.image_size - 1)
        numbers = landmark_numbers(points).numpy() - self.statistics.landmark_mean
        whitened = numbers @ self.statistics.landmark_whitening.astype(np.float64)
        return np.concatenate([np.ones((len(landmarks), 1)), *bases, whitened], axis=1)

    def errors(self, predictions: Predictions, verts: np.ndarray, R_t: np.ndarray) -> np.ndarray:
        """(M, K + 6) metres from the predictions to the truth, verts (M, N, 3) and R_t (M, 4, 4)."""
        six = pose_to_6dof(R_t) - pose_to_6dof(predictions.R_t)
        six[:, :3] = (six[:, :3] + np.pi) % (2 * np.pi) - np.pi
        return np.concatenate([self.along(verts - predictions.verts), six * self.ways], axis=1)

    def corrected(self, predictions: Predictions, errors: np.ndarray) -> Predictions:
        """The predictions less their errors (M, K + 6) as `errors` gives them."""
        count = self.num_components
        moves = errors[:, :count].astype(np.float32) @ self.directions
        R_t = pose_from_6dof(pose_to_6dof(predictions.R_t) + errors[:, count:] / self.ways)
        verts = predictions.verts + moves.reshape(predictions.verts.shape)
        return Predictions(verts, R_t.astype(np.float32), predictions.confidence)


@dataclass(frozen=True)
class Moments:
    """All that ridge regression has to know of some images: sums of products of their features (F, F), of features and
    targets (F, T), of squared targets (T,), and how many they are."""

    gram: np.ndarray
    cross: np.ndarray
    power: np.ndarray
    count: int

    def ridge(self, strength: float) -> np.ndarray:
        """(F, T) the weights that minimise the mean over the images of (features @ weights - targets)^2, plus strength
        times the sum of the squared weights; zeros for infinite strength."""
        if np.isinf(strength):
            return np.zeros_like(self.cross)
        return np.linalg.solve(self.gram + strength * self.count * np.eye(len(self.gram)), self.cross)

    def squared_errors(self, weights: np.ndarray) -> np.ndarray:
        """(T,) sum over the images of (features @ weights - targets)^2."""
        return self.power - 2 * (weights * self.cross).sum(axis=0) + (weights * (self.gram @ weights)).sum(axis=0)


def moments_of(features: np.ndarray, targets: np.ndarray) -> Moments:
    """Of features (M, F) and targets (M, T)."""
    return Moments(features.T @ features, features.T @ targets, (targets**2).sum(axis=0), len(features))


def total(groups: Sequence[Moments]) -> Moments:
    """The moments of several groups of images together."""
    parts = zip(*(vars(group).values() for group in groups), strict=True)
    return Moments(*(sum(part) for part in parts))


def without(items: Sequence, place: int) -> list:
    """All items but the one at that place."""
    return [*items[:place], *items[place + 1 :]]


@dataclass(frozen=True)
class SecondLevel:
    """weights: (F, K + 6); strengths: of the regularisation for shape and for pose."""

    weights: np.ndarray
    strengths: tuple[float, float]


def fit_second_level(groups: Sequence[Moments], num_components: int) -> SecondLevel:
    """The ridge regression on all groups, two or more. Its strength, for the shape (the first targets) and the pose
    (the others) each, is that with the smallest squared error on each group of a fit to the other groups, the strongest
    of several: at worst the infinite one, which leaves the mean."""
    rests = [total(without(groups, place)) for place in range(len(groups))]
    errors = np.array(
        [
            sum(group.squared_errors(rest.ridge(strength)) for group, rest in zip(groups, rests, strict=True))
            for strength in STRENGTHS
        ]
    )
    whole, weights, strengths = total(groups), [], []
    for part in (slice(num_components), slice(num_components, None)):
        strengths.append(float(STRENGTHS[errors[:, part].sum(axis=1).argmin()]))
        weights.append(whole.ridge(strengths[-1])[:, part])
    return SecondLevel(np.concatenate(weights, axis=1), tuple(strengths))


def fit_without_each(groups: Sequence[Moments], num_components: int) -> list[SecondLevel]:
    """For each of three or more groups the second level that all others give, its strengths included: what it makes of
    the group is by weights that have not seen it."""
    return [fit_second_level(without(groups, place), num_components) for place in range(len(groups))]


class HeldOut:
    """The labelled images of one fold, and what the runs that have not seen their subjects predict of them.

    labels: of each image landmarks (68, 2), verts (N, 3) and R_t (4, 4), read anew where they are wanted
    """

    def __init__(self, labels: Sequence[Mapping[str, np.ndarray]]):
        self.labels, self.bases, self.sum = labels, [], PredictionSum()

    def add(self, predictions: Predictions, weight: float, coordinates: Coordinates) -> None:
        """Adds a base's predictions of all images. The order of the bases must be the same in all folds."""
        self.bases.append(coordinates.read(predictions))
        self.sum.add(predictions, weight)

    def all_of(self, name: str) -> np.ndarray:
        """One part of all labels."""
        return np.stack([self.labels[index][name] for index in range(len(self.labels))])

    def features(self, coordinates: Coordinates) -> np.ndarray:
        return coordinates.features(self.bases, self.all_of("landmarks"))

    def moments(self, coordinates: Coordinates) -> Moments:
        """For the second level that corrects the mean of the bases."""
        errors = coordinates.errors(self.sum.mean(), self.all_of("verts"), self.all_of("R_t"))
        return moments_of(self.features(coordinates), errors)

    def corrected(self, second_level: SecondLevel, coordinates: Coordinates) -> Predictions:
        """The mean of the bases as the second level corrects it."""
        return coordinates.corrected(self.sum.mean(), self.features(coordinates) @ second_level.weights)

    def figures(
        self, predictions: Predictions, topology: Topology, projection: np.ndarray, image_size: tuple[int, int]
    ) -> dict[str, np.ndarray]:
        """The figures of predictions of these images, as of util.metrics.image_metrics."""
        parts = []
        for chosen in in_order(range(len(self.labels)), SCORED_AT_ONCE):
            labels, part = [self.labels[index] for index in chosen], slice(chosen[0], chosen[-1] + 1)
            truth = (np.stack([label[name] for label in labels]) for name in ("verts", "R_t"))
            world = topology.keypoints, projection, image_size
            parts.append(image_metrics(predictions.verts[part], predictions.R_t[part], *truth, *world))
        return join_figures(parts)


def join_figures(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The figures of several sets of images as those of one."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
