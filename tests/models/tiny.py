"""Models of a tiny topology, and a batch for them."""

import numpy as np
import torch

from models import MODELS
from models.morphable import FaceBases, FittingStatistics, MorphableModel
from options.train_options import build_parser
from util.camera import WCPA_PROJECTION
from util.mesh import Topology
from util.pose import pose_from_6dof
from util.statistics import LabelStatistics

NUM_VERTICES, BATCH, SIZE, IMAGE_SIZE = 30, 2, 32, (96, 96)
RANDOM = np.random.default_rng(0)


def bumpy_grid() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(30, 3) vertices in metres, 5 beside 6 below each other, mirror-symmetric; (40, 3) triangles; mirror (30,)."""
    index = np.arange(NUM_VERTICES).reshape(6, 5)
    x, y = np.meshgrid(np.linspace(-0.07, 0.07, 5), np.linspace(0.09, -0.09, 6))
    depth = RANDOM.normal(0, 0.05, (6, 5))
    vertices = np.stack([x, y, depth + depth[:, ::-1]], axis=2).reshape(-1, 3)
    a, b, c, d = (corner.ravel() for corner in (index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]))
    triangles = np.concatenate([np.stack([a, c, b], axis=1), np.stack([b, c, d], axis=1)])
    return np.float32(vertices), np.int32(triangles), index[:, ::-1].ravel()


VERTICES, TRIANGLES, MIRROR = bumpy_grid()
STATISTICS = LabelStatistics(
    np.float32([0.1, -0.1, 0.05, 0.01, -0.02, -0.5]),
    np.float32([0.3, 0.3, 0.1, 0.02, 0.05, 0.06]),
    VERTICES,
    RANDOM.normal(0, 0.002, (10, NUM_VERTICES, 3)).astype(np.float32),
    np.zeros((0, NUM_VERTICES, 3), np.float32),
    np.zeros(139, np.float32),
    np.eye(139, dtype=np.float32),
)
TOPOLOGY = Topology(VERTICES, TRIANGLES, np.arange(68) % NUM_VERTICES, MIRROR)
BASES = FaceBases(
    MorphableModel(
        STATISTICS.verts_mean,
        STATISTICS.verts_basis[:4],
        STATISTICS.verts_basis[4:7],
        np.ones(4, np.float32),
        np.ones(3, np.float32),
        RANDOM.uniform(0.3, 0.7, (NUM_VERTICES, 3)).astype(np.float32),
        RANDOM.normal(0, 0.05, (5, NUM_VERTICES, 3)).astype(np.float32),
        TOPOLOGY.triangles,
        TOPOLOGY.keypoints,
        np.arange(NUM_VERTICES) % 2 == 0,
        np.int64([0]),
        np.float64(1.0),
    ),
    FittingStatistics(
        # of faces half a metre away, in pixels of 120: the windows of `make_batch` show a corner of the image
        np.float32([566, 0, 0, 180, 0, 566, 0, -60, 0, 0, 566, 0]),
        np.float32([150, 150, 150, 60, 150, 150, 150, 60, 150, 150, 150, 1]),
        np.float32([[0.5, 0.5], [0.5, 0.5]]),
        RANDOM.uniform(50, 200, (2, 2, 3)).astype(np.float32),
        np.tile(400 * np.eye(3, dtype=np.float32), (2, 2, 1, 1)),
    ),
)


def build(name, preset="standard"):
    options = vars(build_parser(name, preset).parse_args(["--data_root", "x"]))
    torch.manual_seed(0)
    world = TOPOLOGY, STATISTICS, WCPA_PROJECTION, IMAGE_SIZE
    return MODELS[name].build(options, *world, *([BASES] if MODELS[name].needs_bases else []))


def make_batch(model):
    random = np.random.default_rng(1)
    windows = {
        name: torch.from_numpy(random.integers(0, 256, (BATCH, 3, SIZE, SIZE), dtype=np.uint8))
        for name in model.windows
    }
    affines = {f"{name}_affine": torch.eye(3)[:2].repeat(BATCH, 1, 1) for name in model.windows}
    poses = pose_from_6dof(STATISTICS.six_mean + random.normal(0, 0.1, (BATCH, 6))).astype(np.float32)
    verts = STATISTICS.verts_mean + random.normal(0, 0.01, (BATCH, NUM_VERTICES, 3)).astype(np.float32)
    labels = {"verts": torch.from_numpy(verts.astype(np.float32)), "R_t": torch.from_numpy(poses)}
    labels["landmarks68"] = torch.from_numpy(random.uniform(0, SIZE, (BATCH, 68, 2)).astype(np.float32))
    return {**windows, **affines, **labels, "index": torch.arange(BATCH)}
