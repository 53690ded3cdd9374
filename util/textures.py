"""What a photo says about the colour of a face: at its vertices, and as a texture."""

from typing import NamedTuple

import cv2
import numpy as np
from scipy.ndimage import map_coordinates
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from Sim3DR import get_normal, interpolate, rasterize_buffers, unwrap_texture, vertex_visibility
from util.prediction import FacePrediction
from util.scene import Scene

GREY = 128
# Cosines between surface and camera: up to the first a texel is not trusted, from the second on wholly.
TURNED_AWAY, FULL_VIEW = 0.15, 0.45
# How wide the change from seen to unseen is, in sides of the texture.
SEAM = 0.02


class Texture(NamedTuple):
    """A face's texture, row 0 at v = 1."""

    texels: np.ndarray  # (size, size, 3) uint8 RGB, filled everywhere
    seen: np.ndarray  # (size, size) bool: those that the photo shows; the others are made up


def vertex_colors(photo: np.ndarray, scene: Scene, faces: list[FacePrediction]) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each face colors (N, 3) uint8 RGB and seen (N,) bool.

    seen: whether the photo (h, w, 3) shows the vertex, past all faces of the scene. One that it shows well has the
    bilinear colour there; one that is hidden, or whose surface turns so far away that the photo may show what lies
    behind, has that of its mirror vertex if that is shown well, else that of the well shown vertex nearest along the
    mesh's edges. A face that is not seen at all is grey.
    """
    seen_in_scene = vertex_visibility(scene.screen, scene.triangles, *photo.shape[:2], scene.distance)
    colored = []
    for face, rows in zip(faces, scene.vertex_slices, strict=True):
        seen, mirror = seen_in_scene[rows], face.topology.mirror
        x, y, _ = scene.screen[rows].T
        well = seen & (facing(face.camera_verts, face.topology.triangles)[0] > (TURNED_AWAY + FULL_VIEW) / 2)
        well = well if well.any() else seen
        colors = np.full((len(seen), 3), GREY, np.uint8)
        colors[well] = np.rint(colors_at(photo, x[well], y[well]))
        if well.any():
            sources = np.where(well, np.arange(len(well)), mirror)
            sources = np.where(well[sources], sources, _nearest_on_mesh(face, np.flatnonzero(well)))
            colors = colors[sources]
        colored.append((colors, seen))
    return colored


def colors_at(photo: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n, 3) float32 bilinear levels of a photo (h, w, 3) at x and y (n,), pixel centres at whole numbers; beyond its
    outermost ones, those of the border."""
    channels = [
        map_coordinates(photo[..., channel], [y, x], np.float32, order=1, mode="nearest") for channel in (0, 1, 2)
    ]
    return np.stack(channels, axis=1)


def facing(points: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N,) cosine of the angle between the normal at each vertex and the direction to the camera, and the unit normals
    (N, 3). points: (N, 3) in camera space."""
    normals = get_normal(points, triangles)
    return -(normals * points).sum(axis=1) / np.linalg.norm(points, axis=1), normals


def _nearest_on_mesh(face: FacePrediction, targets: np.ndarray) -> np.ndarray:
    """(N,) which target vertex is the nearest to each vertex along the edges; the first where none can be reached."""
    triangles, count = face.topology.triangles, len(face.verts)
    start, end = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]).T
    lengths = np.linalg.norm(face.verts[start] - face.verts[end], axis=1)
    graph = coo_matrix((lengths, (start, end)), (count, count)).tocsr()
    _, _, sources = dijkstra(graph, directed=False, indices=targets, min_only=True, return_predecessors=True)
    return np.where(sources >= 0, sources, targets[0])


def face_texture(
    photo: np.ndarray, scene: Scene, faces: list[FacePrediction], index: int, uv: np.ndarray, size: int
) -> Texture:
    """The photo as the texture of faces[index].

    photo: (h, w, 3) uint8 RGB; uv: (N, 2) chart of the face's topology, see util.uv; size: of the texture, in texels.
    Texels that the photo shows well have its bilinear colour. Those that it hides have the colour of their mirror place
    where that is seen, else one from around; beside hidden ones, and where the surface turns away, there is a smooth
    change between the two, because there the photo begins to show what lies behind.
    """
    own, rows = scene.triangle_slices[index], scene.vertex_slices[index]
    # The other faces are there to hide things; a chart of one point gives them no texel.
    uv_triangles = np.full_like(scene.triangles, len(uv))
    uv_triangles[own] = scene.triangles[own] - rows.start
    chart = np.concatenate([uv, np.zeros((1, 2), uv.dtype)])
    texels, seen = unwrap_texture(photo, scene.screen, scene.triangles, chart, size, size, scene.distance, uv_triangles)
    inside = cv2.distanceTransform(seen.astype(np.uint8), cv2.DIST_L2, 3) / (SEAM * size)
    triangles = faces[index].topology.triangles
    cosine = _on_chart(facing(faces[index].camera_verts, triangles)[0], triangles, uv, size)
    turned = (cosine - TURNED_AWAY) / (FULL_VIEW - TURNED_AWAY)
    trust = np.clip(turned, 0, 1) * np.clip(inside, 0, 1)
    from_mirror = (1 - trust) * trust[:, ::-1]
    weight = trust + from_mirror
    colors = trust[..., None] * texels + from_mirror[..., None] * texels[:, ::-1]
    filled = (
        _filled(colors.astype(np.float32), weight.astype(np.float32)) if weight.any() else np.full_like(colors, GREY)
    )
    return Texture(np.rint(filled).astype(np.uint8), seen)


def _on_chart(values: np.ndarray, triangles: np.ndarray, uv: np.ndarray, size: int) -> np.ndarray:
    """(size, size) values of vertices (N,) at each texel of a chart uv (N, 2), 0 outside."""
    flat = np.column_stack([uv[:, 0] * size - 0.5, (1 - uv[:, 1]) * size - 0.5, np.zeros(len(uv))])
    return interpolate(rasterize_buffers(flat, triangles, size, size), triangles, values[:, None])[..., 0]


def _filled(colors: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(h, w, 3) colors, which come multiplied by their weights (h, w) of 0..1, made up to a weight of 1 by what lies
    around: the mean of twice as large texels, themselves filled in this way. Some weight must not be 0."""
    if weight.min() >= 1 or weight.size == 1:
        return colors / weight[..., None]
    height, width = weight.shape
    half = -(-width // 2), -(-height // 2)
    coarse_colors, coarse_weight = (cv2.resize(array, half, interpolation=cv2.INTER_AREA) for array in (colors, weight))
    # Half of a large texel that is known is enough to know it.
    gain = 1 / np.maximum(coarse_weight, 0.5)
    around = _filled(coarse_colors * gain[..., None], coarse_weight * gain)
    return colors + (1 - weight[..., None]) * cv2.resize(around, (width, height), interpolation=cv2.INTER_LINEAR)
