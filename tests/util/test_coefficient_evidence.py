"""What images say of a morphable model's coefficients together, against a twin in loops."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from util.aggregation import aggregate
from util.camera import WCPA_PROJECTION, project, transform
from util.errors import InputError
from util.evidence import CoefficientEvidence, CoefficientSpace
from util.pose import pose_from_6dof
from util.predictions import Predictions
from util.statistics import LabelStatistics

VERTICES, IDENTITIES, EXPRESSIONS, IMAGES = 40, 4, 3, 5
RANDOM = np.random.default_rng(0)
SPACE = CoefficientSpace(
    torch.from_numpy(RANDOM.uniform(-0.1, 0.1, (VERTICES, 3)).astype(np.float32)),
    torch.from_numpy(RANDOM.normal(0, 0.004, (IDENTITIES, VERTICES, 3)).astype(np.float32)),
    torch.from_numpy(RANDOM.normal(0, 0.002, (EXPRESSIONS, VERTICES, 3)).astype(np.float32)),
)
IMAGE_SIZE = (800, 800)
SAMPLES = [("1", "a", "0"), ("2", "a", "0"), ("1", "a", "1"), ("1", "b", "0"), ("2", "a", "1")]


def drawn():
    """Evidence of five images of two faces."""
    random = np.random.default_rng(1)
    identity, confidence = random.normal(0, 1, (IMAGES, IDENTITIES)), random.uniform(0.2, 3, (IMAGES, IDENTITIES))
    return CoefficientEvidence(*map(np.float32, (identity, confidence, random.normal(0, 1, (IMAGES, EXPRESSIONS)))))


def twin(evidence, rows):
    """The shapes of the images in rows, number by number."""
    mean, identities, expressions = (tensor.double().numpy() for tensor in SPACE)
    shapes = np.empty((len(rows), VERTICES, 3))
    for place, row in enumerate(rows):
        for vertex in range(VERTICES):
            point = mean[vertex].copy()
            for k in range(IDENTITIES):
                total = sum(float(evidence.confidence[other, k]) for other in rows)
                parts = [float(evidence.confidence[o, k]) * float(evidence.identity[o, k]) for o in rows]
                point += sum(parts) / total * identities[k, vertex]
            for k in range(EXPRESSIONS):
                point += float(evidence.expression[row, k]) * expressions[k, vertex]
            shapes[place, vertex] = point
    return shapes


@pytest.mark.parametrize("rows", [[0], [3, 0], [0, 1, 2, 3, 4]])
def test_shapes_are_those_of_the_twin(rows):
    # tensordot of float64 with float32 arrays: rounding alone
    np.testing.assert_allclose(drawn().joint_shapes(rows, SPACE), twin(drawn(), rows), atol=1e-12)


def test_equal_confidences_are_the_plain_mean_on_any_scale():
    evidence = drawn()
    for scale in (1e-6, 1.0, 1e6):
        even = evidence._replace(confidence=np.full_like(evidence.confidence, scale))
        identity = evidence.identity[[0, 3]].mean(axis=0, dtype=np.float64)
        shapes = SPACE.mean.numpy() + np.tensordot(identity, SPACE.identity.numpy(), 1)
        shapes = shapes + np.tensordot(evidence.expression[[0, 3]], SPACE.expression.numpy(), 1)
        np.testing.assert_allclose(even.joint_shapes([0, 3], SPACE), shapes, atol=1e-8)  # float32 expressions


def test_confidences_that_are_none_are_told():
    evidence = drawn()
    for bad in (0.0, -1.0, np.nan, np.inf):
        confidence = evidence.confidence.copy()
        confidence[2, 1] = bad
        with pytest.raises(InputError, match="confidences: wanted finite numbers above 0, got"):
            evidence._replace(confidence=confidence).joint_shapes([0, 2], SPACE)


@pytest.mark.parametrize(("how", "groups"), [("action", [[0, 2], [3], [1, 4]]), ("subject", [[0, 2, 3], [1, 4]])])
def test_aggregated_faces_stay_where_they_were_seen(how, groups):
    evidence, random = drawn(), np.random.default_rng(2)
    alone = np.concatenate([evidence.joint_shapes([row], SPACE) for row in range(IMAGES)]).astype(np.float32)
    poses = pose_from_6dof(random.normal([0, 0, 0, 0, 0, -0.5], [0.3, 0.3, 0.1, 0.02, 0.02, 0.05], (IMAGES, 6)))
    predictions = Predictions(alone, poses.astype(np.float32), np.ones(IMAGES, np.float32), evidence, SPACE)
    nothing = np.zeros((0, VERTICES, 3), np.float32)
    statistics = LabelStatistics(*np.zeros((2, 6), np.float32), alone[0], nothing, nothing, *np.zeros((2, 1)))
    world = statistics, np.arange(68) % 9, WCPA_PROJECTION, IMAGE_SIZE
    found = aggregate(predictions, SAMPLES, how, *world)
    for rows in groups:
        np.testing.assert_allclose(found.verts[rows], twin(evidence, rows), atol=2e-8)  # float32 of 0.1 m
    assert found.evidence is None
    # What is alone stays as it is; the rest is seen nearer to where it was than under the old poses.
    same = [rows[0] for rows in groups if len(rows) == 1]
    np.testing.assert_array_equal(found.R_t[same], predictions.R_t[same])
    kept = replace(found, R_t=predictions.R_t)
    places = [project(transform(p.verts, p.R_t), WCPA_PROJECTION, *IMAGE_SIZE)[0] for p in (predictions, found, kept)]
    new, old = (((points - places[0]) ** 2).sum(axis=(1, 2)) for points in places[1:])
    others = [row for row in range(IMAGES) if row not in same]
    assert (new[others] < old[others]).all()
    # all vertices tell the pose, not the 68 points: no small turn or shift is better
    for row in others:
        for step in 1e-3 * np.concatenate([np.eye(6), -np.eye(6)]):
            pose = found.R_t[row].astype(np.float64)
            pose[:3, :3] = pose[:3, :3] @ Rotation.from_rotvec(step[:3]).as_matrix()
            pose[3, :3] += step[3:]
            moved = project(transform(found.verts[row], pose), WCPA_PROJECTION, *IMAGE_SIZE)[0]
            assert ((moved - places[0][row]) ** 2).sum() > new[row]
