"""The faces of a photo as a data set: what models look at where there is a photo and no data root."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from data.wcpa_dataset import WcpaDataset
from data.windows import Picture
from util.mesh import Topology


class Face(NamedTuple):
    """draw: makes the picture (h, w, 3) uint8 RGB that the face is in; points: (68, 2) its pixels; known: whether they
    are the face's, and no guess from a box."""

    draw: Callable[[], np.ndarray]
    points: np.ndarray
    known: bool


class PhotoDataset(WcpaDataset):
    """One item a face, as in WcpaDataset but without labels; landmarks_known bool () says whose points are known."""

    def __init__(self, faces: Sequence[Face], topology: Topology, windows: Sequence[str], size: int):
        super().__init__(None, faces, topology, windows, size, labelled=False)

    def picture(self, index: int) -> Picture:
        image = self.samples[index].draw()
        return Picture(image, width=image.shape[1], height=image.shape[0])

    def label(self, index: int) -> dict[str, np.ndarray]:
        _, points, known = self.samples[index]
        return {"landmarks": np.float32(points), "landmarks_known": np.array(known)}
