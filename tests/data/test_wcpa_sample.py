"""A data root with the real topology, where one lies beside the project; users do not have it."""

from pathlib import Path

import numpy as np
import pytest

from data.check import Expected, check_samples, usual_image_size
from data.wcpa import WcpaRoot
from util.camera import project, transform
from util.landmarks import MIRROR_68

SAMPLE = Path(__file__).parents[3] / "shared" / "wcpa_sample"
pytestmark = pytest.mark.skipif(not SAMPLE.is_dir(), reason="no sample of the WCPA layout beside the project")


def test_real_topology():
    topology = WcpaRoot(SAMPLE).topology()
    assert (topology.num_vertices, len(topology.triangles)) == (1220, 2304)
    np.testing.assert_array_equal(topology.mirror[topology.mirror], np.arange(1220))
    mirrored_keypoints = topology.mirror[topology.keypoints]
    # the real key points are mirror images but for one pair on the jaw
    assert (mirrored_keypoints == topology.keypoints[MIRROR_68]).sum() >= 64


def test_projected_key_points_are_the_landmarks():
    root = WcpaRoot(SAMPLE)
    topology, projection = root.topology(), root.projection()
    distances = []
    for sample in root.samples("train")[::12]:
        record = root.read(sample, topology.num_vertices, labelled=True)
        points, _ = project(transform(record.verts, record.R_t), projection, 800, 800)
        distances.append(np.linalg.norm(points[topology.keypoints] - record.landmarks, axis=1))
    # the landmarks are whole pixels with a pixel or so of noise
    assert np.mean(distances) < 2.5


def test_no_sample_is_rejected():
    root = WcpaRoot(SAMPLE)
    samples = root.samples("train")[::10]
    expected = Expected(1220, usual_image_size(root, samples), labelled=True)
    assert expected.image_size == (800, 800)
    assert not [finding.reason for finding in check_samples(root, samples, expected, 0) if finding.reason]
