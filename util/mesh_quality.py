"""Whether meshes are sound: triangles that have turned over."""

import numpy as np


def triangle_normals(verts: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(B, F, 3) normals of meshes (B, N, 3), twice as long as the triangles' areas."""
    a, b, c = np.moveaxis(np.asarray(verts, dtype=np.float64)[:, triangles], 2, 0)
    return np.cross(b - a, c - a)


def flipped_percent(verts: np.ndarray, reference: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(B,) percent of the triangles of each mesh that face away from the same triangle of the reference.

    verts: (B, N, 3); reference: (B, N, 3), or (1, N, 3) for all, in the same frame, as canonical meshes are: no motion
    is taken out; triangles: (F, 3). Facing away: the normals' dot product is negative, so that a triangle without area
    in either mesh does not count. NaN for a mesh with a number that is not finite.
    """
    facing = (triangle_normals(verts, triangles) * triangle_normals(reference, triangles)).sum(axis=2)
    return np.where(np.isfinite(facing).all(axis=1), 100.0 * (facing < 0).mean(axis=1), np.nan)
