"""Pictures of what is predicted in a photo, all its faces in one of the photo's size, and the PAF of one face.

photo: (h, w, 3) uint8 RGB, not changed; faces: those of the photo; scene: the same as one mesh, see util.scene. What is
nearer hides what is farther; of a mesh that reaches behind the camera the part in front is drawn.
"""

from collections.abc import Iterator

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

from Sim3DR import RasterBuffers, coordinate_colors, get_normal, normal_picture, rasterize, rasterize_buffers
from util.camera import project, transform
from util.mesh import Topology
from util.pictures import MESH_OPACITY, color_map, draw_landmarks, draw_scale
from util.prediction import FacePrediction
from util.scene import Scene

# Shares of the light and the exponent of the highlight: those of the published overlays.
AMBIENT, DIFFUSE, SPECULAR, EXPONENT = 0.3, 0.6, 0.1, 5
# So many pixels are worked on at a time, which bounds the memory.
BAND = 1 << 20
DEPTH_STEPS = 10_000  # a metre
BACKGROUND = 32
BOX_COLOR = (0, 255, 40)
# A box's corners: rear, then front; and which two make an edge.
CORNERS = np.array([(x, y, z) for z in (0, 1) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))])
EDGES = [(i, 4 * (i // 4) + (i + 1) % 4) for i in range(8)] + [(i, i + 4) for i in range(4)]
# Lines end where they come nearer to the camera than this many metres.
NEAREST = 0.01
# Of the PAF: anchors along each side, pixels along the side of each one's patch, side of the crop.
ANCHORS, PATCH, CROP = 64, 3, 120


def overlay_picture(photo: np.ndarray, scene: Scene, faces: list[FacePrediction]) -> np.ndarray:
    """The meshes over the photo, lit from where the camera is: (h, w, 3) uint8 RGB."""
    light = [_headlight(face) for face in faces]
    colors = np.concatenate([np.zeros(0, np.float32), *light])[:, None].repeat(3, axis=1)
    return rasterize(scene.screen, scene.triangles, colors, photo, w=scene.distance, alpha=MESH_OPACITY)


def _headlight(face: FacePrediction) -> np.ndarray:
    """(N,) float32 light on each vertex, 0..1."""
    points = face.camera_verts
    to_camera = -points / np.linalg.norm(points, axis=1, keepdims=True)
    cosine = np.maximum((get_normal(points, face.topology.triangles) * to_camera).sum(axis=1), 0)
    highlight = np.maximum(2 * cosine**2 - 1, 0) ** EXPONENT
    return (AMBIENT + DIFFUSE * cosine + SPECULAR * highlight).astype(np.float32)


def landmarks_picture(photo: np.ndarray, scene: Scene, faces: list[FacePrediction]) -> np.ndarray:
    """The 68 points of the faces that are wholly in front of the camera, in lines as thick as suits each face."""
    picture = photo.copy()
    for face, rows in zip(faces, scene.vertex_slices, strict=True):
        if scene.distance[rows][face.topology.keypoints].min() <= 0:
            continue
        points = face.landmarks2d
        low, high = points.min(axis=0), points.max(axis=0)
        limits = np.clip([low - 0.2 * (high - low), high + 0.2 * (high - low) + 1], 0, face.image_size)
        (left, top), (right, bottom) = limits.astype(int)
        if left < right and top < bottom:
            part = picture[top:bottom, left:right]
            part[...] = draw_landmarks(part, points - [left, top])
    return picture


def pose_picture(photo: np.ndarray, faces: list[FacePrediction]) -> np.ndarray:
    """A box for each face, as the camera sees it; its large end is before the face.

    The box is 3DDFA's, but in canonical metres and in perspective: with L = sqrt(2) / 3 of the larger side of the 68
    points, the rear square has the side 2 L and its middle in the mean of the points of jaw and brows; the front one
    has the side 8/3 L and is 4/3 L before it.
    """
    picture = photo.copy()
    for face in faces:
        box = pose_box(face)
        corners = transform(box, face.R_t)
        pixels_per_metre = face.projection[0, 0] * face.image_size[0] / 2 / max(-float(face.R_t[3, 2]), NEAREST)
        thickness = int(np.clip(np.ptp(box[:, 0]) * pixels_per_metre / 120, 1, 100))
        for edge in EDGES:
            ends = _in_front(corners[list(edge)], face.projection)
            if ends is not None:
                pixels, _ = project(ends, face.projection, *face.image_size)
                # OpenCV draws with pixel centres at integers, in sixteenths of a pixel here.
                start, end = np.rint((np.clip(pixels, -1e6, 1e6) - 0.5) * 16).astype(int).tolist()
                cv2.line(picture, start, end, BOX_COLOR, thickness, cv2.LINE_AA, shift=4)
    return picture


def pose_box(face: FacePrediction) -> np.ndarray:
    """(8, 3) canonical metres: the corners of `pose_picture`'s box, rear, then front, each from -x, -y on
    counter-clockwise."""
    points = face.verts[face.topology.keypoints].astype(np.float64)
    half = np.sqrt(2) / 3 * np.ptp(points[:, :2], axis=0).max()
    front = CORNERS[:, 2:] * half * 4 / 3
    sideways = CORNERS[:, :2] * np.where(CORNERS[:, 2:], 4 / 3, 1) * half
    return points[:27].mean(axis=0) + np.concatenate([sideways, front], axis=1)


def _in_front(ends: np.ndarray, projection: np.ndarray) -> np.ndarray | None:
    """The part of a line (2, 3) in camera space that is in front of the camera, or None."""
    distance = ends @ projection[:3, 3] + projection[3, 3]
    if distance.max() <= NEAREST:
        return None
    if distance.min() < NEAREST:
        share = (NEAREST - distance[0]) / (distance[1] - distance[0])
        ends = ends.copy()
        ends[distance.argmin()] = ends[0] + share * (ends[1] - ends[0])
    return ends


def depth_map(photo: np.ndarray, scene: Scene) -> np.ndarray:
    """(h, w) uint16 distance along the view direction in tenths of a millimetre; 0 where there is no face, 65,535 for
    6.5535 m and whatever is farther."""
    depth = np.zeros(photo.shape[:2], np.uint16)
    for part, buffers in _bands(scene, *photo.shape[:2]):
        shown = buffers.triangle >= 0
        depth[part][shown] = np.clip(np.rint(-DEPTH_STEPS * buffers.depth[shown]), 1, np.iinfo(np.uint16).max)
    return depth


def colored_depth(depth: np.ndarray) -> np.ndarray:
    """A depth map (h, w) in colours, (h, w, 3) uint8 RGB: from red, the nearest, to blue, with a scale in metres."""
    shown = depth[depth > 0]
    nearest, farthest = (int(shown.min()), int(shown.max())) if shown.size else (0, 0)
    steps = np.arange(1 << 16, dtype=np.float64)
    table = np.rint(255 * color_map(farthest - steps, max(farthest - nearest, 1))).astype(np.uint8)
    table[0] = BACKGROUND
    picture = table[depth]
    if shown.size:
        draw_scale(picture, [f"{value / DEPTH_STEPS:.3f} m" for value in np.linspace(nearest, farthest, 3)])
    return picture


def normals_picture(photo: np.ndarray, scene: Scene, faces: list[FacePrediction]) -> np.ndarray:
    """(h, w, 3) uint8 RGB: 255 (n + 1) / 2 of the unit normals n in camera space, x to the right, y up, z to the
    camera, as normal maps have them; black where there is no face."""
    normals = [get_normal(face.camera_verts, face.topology.triangles) for face in faces]
    normals = np.concatenate([np.zeros((0, 3), np.float32), *normals])
    picture = np.zeros_like(photo)
    for part, buffers in _bands(scene, *photo.shape[:2]):
        picture[part] = normal_picture(normals, buffers, scene.triangles)
    return picture


def pncc_picture(photo: np.ndarray, scene: Scene, faces: list[FacePrediction]) -> np.ndarray:
    """(h, w, 3) uint8 RGB: the projected normalised coordinate code of 3DDFA: at each pixel, where on the template it
    is, x, y and z scaled to 0..255; black where there is no face."""
    codes = [coordinate_colors(face.topology.template) for face in faces]
    codes = np.concatenate([np.zeros((0, 3), np.float32), *codes])
    return rasterize(scene.screen, scene.triangles, codes, np.zeros_like(photo), w=scene.distance)


def _bands(scene: Scene, height: int, width: int) -> Iterator[tuple[tuple[slice, slice], RasterBuffers]]:
    """What the part of a photo around the meshes shows, rows by rows: where, and the buffers there."""
    low, high = np.array([0, 0]), np.array([width, height])
    if scene.distance.min(initial=np.inf) > 0:  # otherwise they may be anywhere
        ends = scene.screen[:, :2].min(axis=0, initial=np.inf), scene.screen[:, :2].max(axis=0, initial=-np.inf)
        low, high = np.clip(np.floor(ends[0]), low, high), np.clip(np.floor(ends[1]) + 1, low, high)
    (left, top), (right, bottom) = low.astype(int).tolist(), high.astype(int).tolist()
    if left >= right:
        return
    rows = max(1, BAND // (right - left))
    for start in range(top, bottom, rows):
        end = min(start + rows, bottom)
        shifted = scene.screen - np.float32([left, start, 0])
        buffers = rasterize_buffers(shifted, scene.triangles, end - start, right - left, scene.distance)
        yield (slice(start, end), slice(left, right)), buffers


def pose_adaptive_feature(photo: np.ndarray, face: FacePrediction) -> np.ndarray:
    """(192, 192, 3) uint8 RGB: 3DDFA's PAF of one face: the 3x3 pixels of the face's crop round each of 64x64 anchors.

    The anchors are where rays from the head's axis through a regular grid of angles and heights leave the template; for
    rays that miss it, the nearest ones that do not. The crop is of 120x120 pixels, sqrt(2) times the box's larger side,
    black outside the photo. Anchors are drawn whether they are hidden or not, black if they are behind the camera, and
    moved to the crop's border if they are outside.
    """
    triangle, weights = paf_anchors(face.topology)
    points = (weights[..., None] * face.camera_verts[face.topology.triangles[triangle]]).sum(axis=1)
    pixels, distance = project(points, face.projection, *face.image_size)
    crop, corner, scale = _crop(photo, face.box)
    places = np.where(distance[:, None] > 0, np.floor((pixels - corner) * scale), 0)
    return paf_picture(crop, places, distance > 0)


def paf_picture(crop: np.ndarray, places: np.ndarray, shown: np.ndarray | bool = True) -> np.ndarray:
    """(192, 192, 3) uint8, the 3x3 pixels of a crop (120, 120, 3) round each of places (4096, 2), column and row of the
    anchors row by row, which are moved into the crop; black where they are not shown (4096,)."""
    column, row = np.clip(places, PATCH // 2, CROP - 1 - PATCH // 2).astype(int).T
    steps = np.arange(PATCH) - PATCH // 2
    patches = crop[row[:, None, None] + steps[:, None], column[:, None, None] + steps]
    patches = np.where(np.reshape(shown, (-1, 1, 1, 1)), patches, 0).astype(np.uint8)
    patches = patches.reshape(ANCHORS, ANCHORS, PATCH, PATCH, 3)
    return patches.transpose(0, 2, 1, 3, 4).reshape(ANCHORS * PATCH, ANCHORS * PATCH, 3)


def paf_anchors(topology: Topology) -> tuple[np.ndarray, np.ndarray]:
    """(4096,) triangles and (4096, 3) weights of their corners: the anchors, row by row from the top."""
    x, y, z = topology.template.astype(np.float64).T
    places = np.stack([np.arctan2(x, z), -y], axis=1)
    low, high = places.min(axis=0), places.max(axis=0)
    grid = (places - low) / (high - low) * ANCHORS - 0.5
    flat = np.column_stack([grid, np.hypot(x, z)])
    # behind the head the angle jumps, and a triangle there would reach all the way round
    whole = np.flatnonzero(np.ptp(places[topology.triangles, 0], axis=1) < np.pi)
    buffers = rasterize_buffers(flat, topology.triangles[whole], ANCHORS, ANCHORS)
    nearest = distance_transform_edt(buffers.triangle < 0, return_distances=False, return_indices=True)
    return whole[buffers.triangle[tuple(nearest)].ravel()], buffers.barycentric[tuple(nearest)].reshape(-1, 3)


def _crop(photo: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """The crop (120, 120, 3) round a box, its upper left corner in the photo, and crop pixels to a photo pixel."""
    low, high = np.asarray(box, dtype=np.float64).reshape(2, 2)
    side = max(1, round(np.sqrt(2) * float((high - low).max())))
    corner, scale = np.rint((low + high - side) / 2), CROP / side
    # only what lies in the photo is touched, however large the box is
    (left, top), (right, bottom) = np.clip([corner, corner + side], 0, photo.shape[1::-1]).astype(int).tolist()
    if left >= right or top >= bottom:
        return np.zeros((CROP, CROP, 3), np.uint8), corner, scale
    part = photo[top:bottom, left:right]
    if side >= 2 * CROP:
        size = [max(1, length * CROP // side) for length in (right - left, bottom - top)]
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    steps = scale * np.array([right - left, bottom - top]) / part.shape[1::-1]  # crop pixels to a pixel of the part
    # OpenCV has pixel centres at integers
    offset = (np.array([left, top]) - corner) * scale + 0.5 * steps - 0.5
    return cv2.warpAffine(part, np.column_stack([np.diag(steps), offset]), (CROP, CROP)), corner, scale
