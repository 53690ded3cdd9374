"""Made-up predictions: a bowl of 99 vertices for a face, in front of a camera with square pixels."""

import numpy as np

from tests.conftest import bowl
from util.camera import WCPA_PROJECTION
from util.mesh import Topology, make_topology
from util.pose import pose_from_6dof
from util.prediction import FacePrediction


def bowl_topology() -> Topology:
    template, triangles = bowl()
    return make_topology(template, triangles, np.arange(0, 99)[:68])


def square_pixels(width: int, height: int) -> np.ndarray:
    """(4, 4) M_proj with the WCPA camera's focal length, in heights, for a photo of any sides."""
    projection = WCPA_PROJECTION.copy()
    projection[0, 0] *= height / width
    return projection


def make_face(six=(0, 0, 0, 0, 0, -0.5), size=(120, 90), topology=None, verts=None) -> FacePrediction:
    """A face at a pose of pitch, yaw, roll, tx, ty, tz in a photo of size (width, height)."""
    topology = topology or bowl_topology()
    verts = topology.template if verts is None else verts
    R_t = pose_from_6dof(np.array(six, dtype=float))
    face = FacePrediction(verts, R_t, topology, square_pixels(*size), size, np.zeros(4), "detected", 0.75)
    points = face.landmarks2d
    box = np.concatenate([points.min(axis=0), points.max(axis=0)])
    return FacePrediction(verts, R_t, topology, square_pixels(*size), size, box, "detected", 0.75)
