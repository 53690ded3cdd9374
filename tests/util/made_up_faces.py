"""A made-up space of faces of 200 vertices, of which 68 are seen, and what a camera sees of faces in it."""

import numpy as np
import torch

from util.camera import WCPA_PROJECTION, project, transform
from util.face_space import FaceSpace
from util.pose import pose_from_6dof

RANDOM = np.random.default_rng(0)
NUM_VERTICES, COMPONENTS, IMAGE_SIZE = 200, 8, 800
PROJECTION = torch.tensor(WCPA_PROJECTION)
WORLD = PROJECTION, IMAGE_SIZE, IMAGE_SIZE
VERTICES = torch.tensor(RANDOM.permutation(NUM_VERTICES)[:68])


def make_space() -> FaceSpace:
    """A bowl, and components of 6 to 1 mm a vertex across it."""
    x, y = RANDOM.uniform(-1, 1, (2, NUM_VERTICES)) * [[0.07], [0.09]]
    mean = np.stack([x, y, 0.06 - 8 * x**2 - 4 * y**2 + RANDOM.normal(0, 0.005, NUM_VERTICES)], axis=1)
    numbers = np.column_stack([mean.ravel(), RANDOM.normal(0, 1, (mean.size, COMPONENTS))])
    directions = np.linalg.qr(numbers)[0].T[1:] * np.sqrt(NUM_VERTICES)
    basis = (np.linspace(0.006, 0.001, COMPONENTS)[:, None] * directions).reshape(COMPONENTS, NUM_VERTICES, 3)
    slope, expressions = RANDOM.normal(0, 0.02, COMPONENTS), np.diag(np.linspace(0.1, 0.9, COMPONENTS))
    return FaceSpace(*(torch.tensor(array, dtype=torch.float32) for array in (mean, basis, slope, expressions)))


SPACE = make_space()


def some_faces(count, noise=0.0, seed=1, yaw=None, vertices=VERTICES):
    """Coefficients (B, K), poses (B, 4, 4) and points (B, n, 2) with noise in pixels: float64 tensors."""
    random = np.random.default_rng(seed)
    coefficients = random.normal(0, 1, (count, COMPONENTS))
    # about as the challenge's training images
    six = random.normal([0, 0, 0, 0, 0, -0.53], [0.3, 0.3, 0.1, 0.02, 0.05, 0.07], (count, 6))
    if yaw is not None:
        six[:, 1] = np.radians(yaw)
    R_t = pose_from_6dof(six)
    points = seen(coefficients, R_t, vertices) + random.normal(0, noise, (count, len(vertices), 2))
    return tuple(torch.tensor(array) for array in (coefficients, R_t, points))


def seen(coefficients, R_t, vertices=VERTICES):
    """(..., n, 2) pixels of faces of size 1."""
    mean, basis = SPACE.mean[vertices].double().numpy(), SPACE.basis[:, vertices].double().numpy()
    return project(
        transform(mean + np.tensordot(coefficients, basis, 1), R_t), WCPA_PROJECTION, IMAGE_SIZE, IMAGE_SIZE
    )[0]
