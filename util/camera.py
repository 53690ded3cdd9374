"""The perspective camera: from canonical vertices and a pose to image points, and to what Sim3DR draws.

Row vectors throughout. Camera space is OpenGL's: the camera sits at the origin and looks down -z, so what it
sees has z < 0. Image points are pixels from the picture's top left corner, y down; pixel i covers [i, i + 1).
"""

from typing import Any

import numpy as np

# resources/projection_matrix.txt of the WCPA data: 64.84 degrees of view both ways.
WCPA_PROJECTION = np.array(
    [
        [1.57443701, 0.0, 0.0, 0.0],
        [0.0, 1.57443701, 0.0, 0.0],
        [0.0, 0.0, -0.99999976, -1.0],
        [0.0, 0.0, -0.001, 0.0],
    ]
)


def transform(verts: Any, R_t: Any) -> Any:
    """Canonical vertices to camera space. verts (..., N, 3) metres, R_t (..., 4, 4); NumPy arrays or tensors."""
    return verts @ R_t[..., :3, :3] + R_t[..., 3:, :3]


def project(points: Any, projection: Any, width: int, height: int) -> tuple[Any, Any]:
    """Camera-space points to the image.

    points: (..., N, 3) metres, a NumPy array or a tensor; projection: (4, 4) M_proj, of the same kind.
    Returns the image points (..., N, 2) in pixels, y down, and the distance along the view direction (..., N) in
    metres. A point behind the camera has a negative distance; its image point means nothing.
    """
    viewport = projection.new_tensor if hasattr(projection, "new_tensor") else np.array
    clip = points @ projection[:3] + projection[3]
    distance = clip[..., 3]
    image = clip[..., :2] / clip[..., 3:]  # normalised device coordinates, y up
    image = image * viewport([width / 2, -height / 2]) + viewport([width / 2, height / 2])
    return image, distance


def screen_vertices(points: np.ndarray, projection: np.ndarray, width: int, height: int) -> np.ndarray:
    """Camera-space points (N, 3) to Sim3DR's screen: (N, 3) float32 of x, y and -distance (larger is nearer).

    Sim3DR has pixel centres at integers where image points are measured from the corner; this is the one place
    that takes the half pixel off. Pass -z of the result as `w` for perspective-correct interpolation.
    """
    image, distance = project(points, projection, width, height)
    return np.concatenate([image - 0.5, -distance[:, None]], axis=1).astype(np.float32)
