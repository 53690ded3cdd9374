"""Scaled orthography of faces that a perspective camera saw: their poses before that camera."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from models import scaled_orthography
from models.scaled_orthography import crop_points, fit_numbers, perspective_pose
from tests.made_up_threeddfa import MEAN
from util.camera import WCPA_PROJECTION, project, transform
from util.pose import pose_from_6dof

SIZE = 800
VERTS = torch.tensor(MEAN * 1e-6)
VERTS = (VERTS - VERTS.mean(dim=0))[None].repeat(20, 1, 1)
PROJECTION = torch.tensor(WCPA_PROJECTION)


@pytest.fixture
def poses():
    """Of heads 35 to 80 cm away."""
    random = np.random.default_rng(0)
    places = np.column_stack([random.normal(0, 0.04, (20, 2)), -random.uniform(0.35, 0.8, 20)])
    return torch.tensor(pose_from_6dof(np.column_stack([random.normal(0, 0.3, (20, 3)), places])))


def errors(found, true):
    """Mean angle in degrees, mean distance in millimetres."""
    turns = found[:, :3, :3].mT @ true[:, :3, :3]
    cosine = (turns.diagonal(dim1=1, dim2=2).sum(dim=1) - 1) / 2
    distance = (found - true)[:, 3, :3].norm(dim=1)
    return torch.rad2deg(cosine.clamp(-1, 1).arccos()).mean().item(), 1000 * distance.mean().item()


def test_poses_that_scaled_orthography_has_seen(poses, monkeypatch):
    image, _ = project(transform(VERTS, poses), PROJECTION, SIZE, SIZE)
    seen = crop_points(fit_numbers(VERTS, image), VERTS)
    off = []
    for rounds in range(4):
        monkeypatch.setattr(scaled_orthography, "ROUNDS", rounds)
        off.append(errors(perspective_pose(VERTS, seen, PROJECTION, SIZE, SIZE), poses))
    angles, distances = zip(*off, strict=True)
    # a degree and three millimetres without, less than a hundredth and two hundredths with two rounds
    assert angles[0] > 0.5
    assert distances[0] > 2
    assert angles[2] < 0.02
    assert distances[2] < 0.05
    # each round leaves a tenth or so
    assert all(later < earlier / 4 for earlier, later in pairwise(angles))


def test_nothing_is_to_be_put_back_where_all_is_far(poses):
    """From 50 metres, where a face is 2 pixels wide, perspective is gone."""
    poses[:, 3, 2] *= 100
    image, _ = project(transform(VERTS, poses), PROJECTION, SIZE, SIZE)
    seen = crop_points(fit_numbers(VERTS, image), VERTS)
    np.testing.assert_allclose(seen, image, atol=5e-3)  # pixels
    angle, _ = errors(perspective_pose(VERTS, seen, PROJECTION, SIZE, SIZE), poses)
    assert angle < 0.05


def test_the_points_that_fit_best_are_least_squares(poses):
    """crop_points of fit_numbers, in pixels, against NumPy's."""
    image, _ = project(transform(VERTS, poses), PROJECTION, SIZE, SIZE)
    seen = crop_points(fit_numbers(VERTS, image), VERTS)
    for verts, points, fitted in zip(VERTS.numpy(), image.numpy(), seen.numpy(), strict=True):
        system = np.column_stack([verts, np.ones(len(verts))])
        np.testing.assert_allclose(fitted, system @ np.linalg.lstsq(system, points, rcond=None)[0], atol=1e-8)
