"""What is found out about one face of a photo, whichever method found it."""

from dataclasses import dataclass, field

import numpy as np

from util.camera import project, transform
from util.mesh import Topology


@dataclass(frozen=True)
class FacePrediction:
    """One face of a photo, in front of that photo's own camera.

    verts: (N, 3) float32 canonical metres; R_t: (4, 4) float64 pose; topology: what verts are vertices of
    projection: (4, 4) the photo's M_proj; image_size: its width and height in pixels
    box: (4,) left, top, right, bottom of the tight box of the 68 points that the last windows were cut from, pixels
    source: where the first box came from, as in "detected" or "68 points"
    confidence: from 0 to 1, how far the prediction can be trusted beside others
    deformation: the meshes on the way to verts, the one that it starts from first: vertices (n, 3) canonical metres and
        triangles (F, 3); none where nothing is deformed or they are not wanted
    """

    verts: np.ndarray
    R_t: np.ndarray
    topology: Topology
    projection: np.ndarray
    image_size: tuple[int, int]
    box: np.ndarray
    source: str
    confidence: float
    deformation: tuple[tuple[np.ndarray, np.ndarray], ...] = field(default=(), kw_only=True)

    @property
    def camera_verts(self) -> np.ndarray:
        """(N, 3) metres in camera space: OpenGL's, the camera at the origin looking down -z."""
        return transform(self.verts, self.R_t)

    @property
    def points2d(self) -> np.ndarray:
        """(N, 2) pixels of the photo, from its top left corner, y down."""
        return project(self.camera_verts, self.projection, *self.image_size)[0]

    @property
    def landmarks2d(self) -> np.ndarray:
        """(68, 2) pixels of the photo."""
        return self.points2d[self.topology.keypoints]
