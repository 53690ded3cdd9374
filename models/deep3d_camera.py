"""Deep3D's camera: a perspective one at a fixed place before the face, whatever camera took the picture.

It stands at (0, 0, DISTANCE) and looks down -z; the face is about the origin and looks at it. Lengths are decimetres, x
to the right, y up; row vectors. Where points are seen is told from -1 to 1 across the window, y down.
"""

import torch
from torch.nn import functional

from util.camera import project as project_by
from util.camera import transform
from util.pnp import solve_pnp

DISTANCE = 10.0
# In half sides of the window: 1015 pixels of 224.
FOCAL = 1015 / 112
# Nothing is seen from nearer than this (the published near plane, less one).
NEAREST, BEND = 4.0, 5.0
# How often a pose is solved again; a second time changes scores by less than 0.01 mm.
PERSPECTIVE_ROUNDS = 1


def rotations(angles: torch.Tensor) -> torch.Tensor:
    """(B, 3, 3) for row vectors: turned by angles (B, 3), radians, about x, then y, then z. In column form it is
    Rz Ry Rx, of which this is the transposed matrix."""
    (sin_x, sin_y, sin_z), (cos_x, cos_y, cos_z) = torch.sin(angles).T, torch.cos(angles).T
    columns = [
        torch.stack([cos_z * cos_y, sin_z * cos_y, -sin_y], dim=1),
        torch.stack(
            [cos_z * sin_y * sin_x - sin_z * cos_x, sin_z * sin_y * sin_x + cos_z * cos_x, cos_y * sin_x], dim=1
        ),
        torch.stack(
            [cos_z * sin_y * cos_x + sin_z * sin_x, sin_z * sin_y * cos_x - cos_z * sin_x, cos_y * cos_x], dim=1
        ),
    ]
    return torch.stack(columns, dim=1)


def project(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where points (B, n, 3) are seen, (B, n, 2), and how far they are along the view direction, (B, n).

    From BEND on towards the camera distances are drawn out, so that they never reach NEAREST: no point is behind the
    camera, whatever the network gives, and gradients still tell the way back.
    """
    distance = BEND + functional.elu(DISTANCE - points[..., 2] - BEND)
    seen = points[..., :2] * points.new_tensor([FOCAL, -FOCAL]) / distance[..., None]
    return seen, distance


def perspective_pose(
    verts: torch.Tensor,
    seen: torch.Tensor,
    affines: torch.Tensor,
    projection: torch.Tensor,
    width: int,
    height: int,
) -> torch.Tensor:
    """(B, 4, 4) the poses before a real camera of faces verts (B, n, 3), in metres, that Deep3D's camera sees at seen
    (B, n, 2), from -1 to 1 across windows, to which affines (B, 2, 3) take the real picture's pixels; projection,
    width, height and what is raised: as in util.pnp.solve_pnp.

    The pose is the one under which they are seen nearest to there, but for what a nearer camera does to a picture that
    a farther one cannot: that is added, and the pose solved again.
    """
    linear, shift = affines[:, :, :2], affines[:, None, :, 2]
    back = torch.linalg.inv(linear).mT
    R_t = solve_pnp(verts, (seen - shift) @ back, projection, width, height)
    for _ in range(PERSPECTIVE_ROUNDS):
        image, _ = project_by(transform(verts, R_t), projection, width, height)
        perspective = image @ linear.mT + shift
        points = seen + perspective - nearest_image(verts, perspective)
        R_t = solve_pnp(verts, (points - shift) @ back, projection, width, height)
    return R_t


def nearest_image(verts: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """(B, n, 2) how the camera sees shapes (B, n, 3), in any unit and frame, under the poses, near or far, in which
    that is nearest to points (B, n, 2)."""
    camera = torch.zeros(4, 4, dtype=verts.dtype, device=verts.device)
    camera[0, 0] = camera[1, 1] = FOCAL
    camera[2, 3] = -1
    # a picture of 2 x 2, whose corner is at -1, -1
    poses = solve_pnp(verts, points + 1, camera, 2, 2)
    return project_by(transform(verts, poses), camera, 2, 2)[0] - 1
