"""What is packed of an image: the part around the face, cut out of the JPEG without loss, or smaller and coded anew."""

import math
from collections.abc import Iterator, Sequence
from functools import partial

import cv2
import numpy as np
import simplejpeg

from data.jpeg import crop_jpeg, decode_rgb
from data.packed_images import PackedImage, PackHeader
from data.wcpa import SampleId, WcpaRoot
from data.windows import face_box
from util.processes import map_in_order

# Pixels around what is looked at: one for the interpolation, one for the chroma at a cut edge, one to spare.
RIM = 3
# Of reencoded images. At 95 they take half as much room again for a seventh less error, most of which is not JPEG's but
# comes from reducing in two steps.
JPEG_QUALITY = 90


def seen_part(landmarks: np.ndarray, margin: float) -> np.ndarray:
    """(4,) left, top, right, bottom in whole pixels, perhaps outside the image: the face box grown by `margin` of its
    side, and the rim."""
    box = face_box(landmarks)
    grow = margin * (box[2] - box[0]) + RIM
    return np.concatenate([np.floor(box[:2] - grow), np.ceil(box[2:] + grow)]).astype(int)


def cut_out(data: bytes, part: np.ndarray, name: object) -> PackedImage:
    """The part of the JPEG without loss, clipped to the image."""
    cropped, left, top = crop_jpeg(data, part, name)
    return PackedImage(cropped, left, top, 1.0)


def shrink(image: np.ndarray, part: np.ndarray, side: float, size: int) -> PackedImage:
    """The part of the image, black beyond it, reduced as far as takes `side` pixels to `size`; never enlarged."""
    left, top, right, bottom = part.tolist()
    length = max(right - left, bottom - top)
    reduced = min(length, math.ceil(length * size / side))
    x, y = max(left, 0), max(top, 0)
    inside = image[y : max(bottom, 0), x : max(right, 0)]
    if reduced == length:
        return PackedImage(encode(inside), x, y, 1.0)
    # One scale for both axes: a square is reduced, however much of it lies in the image.
    square = np.zeros((length, length, 3), np.uint8)
    square[y - top : y - top + inside.shape[0], x - left : x - left + inside.shape[1]] = inside
    square = cv2.resize(square, (reduced, reduced), interpolation=cv2.INTER_AREA)
    return PackedImage(encode(square), left, top, reduced / length)


def encode(image: np.ndarray) -> bytes:
    return simplejpeg.encode_jpeg(np.ascontiguousarray(image), JPEG_QUALITY, "RGB", colorsubsampling="420")


def pack_image(root: WcpaRoot, header: PackHeader, sample: SampleId) -> PackedImage:
    """What is packed of one sample's image. Raises InputError with the file's name where that cannot be had."""
    landmarks, path = root.read_landmarks(sample), root.image_path(sample)
    part, data = seen_part(landmarks, header.margin), path.read_bytes()
    if header.mode == "lossless":
        return cut_out(data, part, path)
    box = face_box(landmarks)
    return shrink(decode_rgb(data, path), part, box[2] - box[0], header.size)


def pack_images(
    root: WcpaRoot, header: PackHeader, samples: Sequence[SampleId], num_workers: int
) -> Iterator[PackedImage]:
    """What is packed of all samples, in their order; made by `num_workers` processes, or in this one for 0."""
    return map_in_order(partial(pack_image, root, header), samples, num_workers)
