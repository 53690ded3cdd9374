"""All faces of a photo as one mesh, so that what is nearer hides what is farther."""

from typing import NamedTuple

import numpy as np

from util.camera import screen_vertices
from util.errors import InputError
from util.prediction import FacePrediction


class Scene(NamedTuple):
    """The meshes of k faces, one after another, on Sim3DR's screen."""

    screen: np.ndarray  # (M, 3) float32: x and y with pixel centres at whole numbers, y down, and -distance
    triangles: np.ndarray  # (G, 3) int32, rows of screen
    vertex_slices: list[slice]  # which rows of screen are each face's
    triangle_slices: list[slice]  # which rows of triangles are each face's

    @property
    def distance(self) -> np.ndarray:
        """(M,) metres along the view direction; negative behind the camera."""
        return -self.screen[:, 2]


def join_faces(photo: np.ndarray, faces: list[FacePrediction]) -> Scene:
    """The scene of a photo (h, w, 3) and its faces. Raises InputError where a face is of a photo of another size."""
    height, width = photo.shape[:2]
    screens, triangles = [np.zeros((0, 3), np.float32)], [np.zeros((0, 3), np.int32)]
    for index, face in enumerate(faces):
        if tuple(face.image_size) != (width, height):
            raise InputError(f"face {index}: wanted one of a photo of {width}x{height}, got {face.image_size}")
        triangles.append(face.topology.triangles + np.int32(sum(map(len, screens))))
        screens.append(screen_vertices(face.camera_verts, face.projection, width, height))
    return Scene(np.concatenate(screens), np.concatenate(triangles), _slices(screens[1:]), _slices(triangles[1:]))


def _slices(arrays: list[np.ndarray]) -> list[slice]:
    ends = np.cumsum([len(array) for array in arrays], dtype=int).tolist()
    return [slice(end - len(array), end) for end, array in zip(ends, arrays, strict=True)]
