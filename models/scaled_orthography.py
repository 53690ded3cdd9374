"""3DDFA's camera: a face is turned, scaled and shifted, and its depth does not make it smaller.

Twelve numbers (B, 12) are the rows of a (3, 4) matrix [scale * rotation | offset] to the crop, CROP pixels wide
whatever its real size: x from the left, y from the bottom, z towards the camera. The offset of z is never seen.
"""

import torch

from util.camera import project, transform
from util.pnp import solve_pnp

CROP = 120
# How often a pose is solved again, with the points put back into perspective.
ROUNDS = 2


def crop_vertices(numbers: torch.Tensor, shapes: torch.Tensor) -> torch.Tensor:
    """(B, n, 3) crop coordinates, y up, of shapes (B, n, 3) in the model's unit."""
    matrix = numbers.unflatten(1, (3, 4))
    return shapes @ matrix[:, :, :3].mT + matrix[:, None, :, 3]


def crop_points(numbers: torch.Tensor, shapes: torch.Tensor) -> torch.Tensor:
    """(B, n, 2) where shapes (B, n, 3) are seen, from -1 to 1 across the crop, y down."""
    seen = crop_vertices(numbers, shapes)[..., :2] * (2 / CROP) - 1
    return seen * seen.new_tensor([1, -1])


def fit_numbers(shapes: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """(B, 12) the numbers under which shapes (B, n, 3), in the model's unit, are seen nearest to points (B, n, 2), from
    -1 to 1 across the crop, y down: least squares for the first two rows; the third is square to them, with their mean
    length and no offset."""
    targets = (points * points.new_tensor([1, -1]) + 1) * (CROP / 2)
    centre, middle = shapes.mean(dim=1, keepdim=True), targets.mean(dim=1, keepdim=True)
    centred = shapes - centre
    rows = torch.linalg.solve(centred.mT @ centred, centred.mT @ (targets - middle)).mT
    offset = middle[:, 0] - (rows @ centre.mT)[..., 0]
    lengths = rows.norm(dim=2)
    across = torch.linalg.cross(rows[:, 0] / lengths[:, :1], rows[:, 1] / lengths[:, 1:])
    third = across * lengths.mean(dim=1, keepdim=True)
    matrix = torch.cat([torch.cat([rows, third[:, None]], dim=1), torch.zeros_like(rows[:, :1]).mT], dim=2)
    matrix[:, :2, 3] = offset
    return matrix.flatten(1)


def split_numbers(numbers: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Scale (B,), rotation (B, 3, 3), for columns, and offset (B, 3), as 3DDFA reads them: the scale is the mean length
    of the first two rows, which are not made square to each other; the third row is their product, whatever it was."""
    matrix = numbers.unflatten(1, (3, 4))
    first, second = matrix[:, 0, :3], matrix[:, 1, :3]
    lengths = first.norm(dim=1), second.norm(dim=1)
    first, second = first / lengths[0][:, None], second / lengths[1][:, None]
    rotation = torch.stack([first, second, torch.linalg.cross(first, second)], dim=1)
    return (lengths[0] + lengths[1]) / 2, rotation, matrix[:, :, 3]


def perspective_pose(
    verts: torch.Tensor, seen: torch.Tensor, projection: torch.Tensor, width: int, height: int
) -> torch.Tensor:
    """(B, 4, 4) the poses before a perspective camera of faces verts (B, N, 3), in metres, that scaled orthography saw
    at seen (B, N, 2) pixels; projection, width, height and what is raised: as in util.pnp.solve_pnp.

    The pose is the one under which they are seen nearest to there, but for what perspective does to a picture that no
    scaled orthography can: that is added, and the pose solved again.
    """
    R_t = solve_pnp(verts, seen, projection, width, height)
    for _ in range(ROUNDS):
        image, _ = project(transform(verts, R_t), projection, width, height)
        flat = crop_points(fit_numbers(verts, image), verts)  # in pixels, as what is fitted to
        R_t = solve_pnp(verts, seen + image - flat, projection, width, height)
    return R_t
