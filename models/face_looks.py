"""What pictures of faces whose meshes and poses are known say of colours: at vertices, of skin, of what is not."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from Sim3DR import rasterize_buffers, vertex_visibility
from util.camera import screen_vertices, transform
from util.mesh import Topology
from util.textures import colors_at, facing

# At most so many pictures of a subject, and in all.
PICTURES_EACH, MOST_PICTURES = 24, 4000
# A vertex whose normal has a smaller cosine to the direction to the camera may show what lies behind.
GRAZING = 0.35
# Levels from here on are cut off by the camera.
SATURATED = 252
# Pixels of skin, and of what is not, that are taken from a picture.
PIXELS_EACH = 100
# What is not skin lies beyond the box of the mesh grown by so many of its widths to the sides and upwards, where hair
# is, and never below its top grown by so much to the sides, where neck and shoulders are.
HEAD_ASIDE, HEAD_ABOVE, BODY_ASIDE = 0.35, 0.6, 1.2
# Eyes, brows and mouth of the 68 points, and how far around them skin begins, in widths of the face.
HOLES = range(36, 42), range(42, 48), range(17, 22), range(22, 27), range(48, 60)
HOLE_RIM = 0.04


class Sample(Protocol):
    """The keys of an image."""

    subject: str
    action: str


class Labelled(Protocol):
    """An image (h, w, 3) uint8 RGB with its 68 points (68, 2) in pixels, vertices (N, 3) and pose (4, 4)."""

    image: np.ndarray
    landmarks: np.ndarray
    verts: np.ndarray
    R_t: np.ndarray


class FaceLook(NamedTuple):
    """What one picture says."""

    colors: np.ndarray  # (N, 3) float32 RGB from 0 to 1 where the vertices are
    normals: np.ndarray  # (N, 3) float32, in camera space
    seen: np.ndarray  # (N,) bool: seen well, and not cut off
    skin: np.ndarray  # (n, 3) float32 RGB from 0 to 1 of pixels on the face beside eyes, brows and mouth
    other: np.ndarray  # (m, 3) float32, of pixels beside the head


def choose_pictures(samples: Sequence[Sample], random: np.random.Generator) -> list[int]:
    """The places of some pictures of each subject, as many for each, spread over its facial actions, in order."""
    places: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, sample in enumerate(samples):
        places[sample.subject][sample.action].append(place)
    subjects = list(places)
    if len(subjects) > MOST_PICTURES:
        subjects = [subjects[i] for i in random.choice(len(subjects), MOST_PICTURES, replace=False)]
    each = min(PICTURES_EACH, MOST_PICTURES // len(subjects))
    chosen = []
    for subject in subjects:
        actions = [random.permutation(own) for own in places[subject].values()]
        random.shuffle(actions)
        in_turn = chain.from_iterable(zip_longest(*actions))
        chosen += [int(place) for place in in_turn if place is not None][:each]
    return sorted(chosen)


def look_at(record: Labelled, topology: Topology, projection: np.ndarray) -> FaceLook:
    """What a labelled picture says of its face's colours."""
    height, width = record.image.shape[:2]
    points = transform(record.verts, record.R_t)
    screen = screen_vertices(points, projection, width, height)
    distance = -screen[:, 2]
    cosine, normals = facing(points, topology.triangles)
    levels = colors_at(record.image, screen[:, 0], screen[:, 1])
    seen = vertex_visibility(screen, topology.triangles, height, width, distance)
    seen &= (cosine > GRAZING) & (levels.max(axis=1) < SATURATED)
    covered = rasterize_buffers(screen, topology.triangles, height, width, distance).triangle >= 0
    random = np.random.default_rng(0)
    pixels = [
        record.image.reshape(-1, 3)[random.permutation(np.flatnonzero(mask))[:PIXELS_EACH]].astype(np.float32) / 255
        for mask in (skin_mask(record.landmarks, covered), far_mask(screen, height, width))
    ]
    return FaceLook(levels / 255, normals, seen, *pixels)


def skin_mask(landmarks: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """(h, w) bool: where a face is seen that covers those pixels (h, w), within its 68 points (68, 2) in pixels but
    not near eyes, brows and mouth."""
    mask = np.zeros(covered.shape, np.uint8)
    points = np.rint(landmarks - 0.5).astype(np.int32)
    cv2.fillConvexPoly(mask, cv2.convexHull(points), 1)
    rim = max(1, round(2 * HOLE_RIM * float(np.ptp(landmarks[:, 0]))))
    for hole in HOLES:
        hull = cv2.convexHull(points[list(hole)])
        cv2.fillConvexPoly(mask, hull, 0)
        cv2.polylines(mask, [hull], True, 0, rim)
    return covered & (mask > 0)


def far_mask(screen: np.ndarray, height: int, width: int) -> np.ndarray:
    """(height, width) bool: where the head and the body are not, of which the face is the vertices screen (N, 3)."""
    (left, top), (right, bottom) = screen[:, :2].min(axis=0), screen[:, :2].max(axis=0)
    size, middle = right - left, (top + bottom) / 2
    x, y = np.arange(width), np.arange(height)[:, None]
    head = (x > left - HEAD_ASIDE * size) & (x < right + HEAD_ASIDE * size) & (y > top - HEAD_ABOVE * size)
    body = (x > left - BODY_ASIDE * size) & (x < right + BODY_ASIDE * size) & (y > middle)
    return ~(head | body)
