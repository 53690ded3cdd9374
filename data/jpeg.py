"""Image data to pixels, and JPEG data to that of a part, without loss."""

import cv2
import numpy as np
import simplejpeg
import turbojpeg

from util.errors import InputError

START, SCAN, END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
# What simplejpeg turns into plain RGB.
PLAIN_COLORS = ("YCbCr", "RGB", "Gray")
# Width and height of the blocks that a JPEG consists of, by its subsampling of colours: it can be cut between them.
BLOCKS = {
    "444": (8, 8),
    "422": (16, 8),
    "420": (16, 16),
    "440": (8, 16),
    "411": (32, 8),
    "441": (8, 32),
    "Gray": (8, 8),
}


def decode_rgb(data: bytes, name: object) -> np.ndarray:
    """(h, w, 3) uint8 RGB of a picture's data, any kind that OpenCV knows, turned as its EXIF says.

    name: what the data came from, for the message. Raises InputError where it is no image, damaged or cut short.
    """
    # Pictures with EXIF, which may say that they lie on their side, are left to OpenCV, which turns them.
    if data[:2] == START and data.find(b"Exif\0\0", 0, data.find(SCAN)) < 0:
        try:
            if simplejpeg.decode_jpeg_header(data)[2] in PLAIN_COLORS:
                return simplejpeg.decode_jpeg(data, "RGB", strict=True)
        except ValueError as error:
            raise InputError(f"{name}: wanted a whole JPEG, cannot decode its {len(data)} bytes ({error})") from None
    # OpenCV fills up a JPEG that is cut short and says nothing. The end marker cannot stand inside coded data, so a
    # whole picture has one behind the start of its last scan.
    if data[:2] == START and data.rfind(END) <= data.rfind(SCAN):
        raise InputError(f"{name}: wanted a whole JPEG, got one that is cut short ({len(data)} bytes)")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB) if data else None
    except cv2.error:  # an image larger than OpenCV admits
        image = None
    if image is None:
        raise InputError(f"{name}: wanted an image, got {len(data)} bytes that OpenCV cannot decode")
    return image


def crop_jpeg(data: bytes, part: np.ndarray, name: object) -> tuple[bytes, int, int]:
    """JPEG data of the part (left, top, right, bottom) of a JPEG's image, grown to whole blocks and clipped to the
    image, and where it begins: left and top. Its pixels are those of the whole, but for one pixel along a cut edge
    where colours are subsampled: these are interpolated.

    name: what the data came from, for the message. Raises InputError where data is no JPEG that can be cut: damaged,
    another kind of picture, CMYK, or turned by EXIF.
    """
    try:
        height, width, color, subsampling = simplejpeg.decode_jpeg_header(data)
        if color not in PLAIN_COLORS or subsampling not in BLOCKS:
            raise ValueError(f"its colours are {color}, {subsampling}")
        if is_turned(data):
            raise ValueError("its EXIF says that it lies on its side or is mirrored")
        block = np.array(BLOCKS[subsampling])
        left, top = (np.maximum(part[:2], 0) // block * block).tolist()
        right, bottom = np.minimum(-(-part[2:] // block) * block, (width, height)).tolist()
        cut = {"x": left, "y": top, "w": right - left, "h": bottom - top}
        cropped = turbojpeg.transform(data, crop=True, perfect=False, copynone=True, optimize=True, **cut)
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"{name}: wanted a JPEG that can be cut without loss ({error}); --pack reencoded takes every image"
        ) from None
    return cropped, left, top


def is_turned(data: bytes) -> bool:
    """Whether an image is not shown as its pixels lie, because EXIF says so."""
    if b"Exif\0\0" not in data:
        return False
    flags = (cv2.IMREAD_COLOR, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    shown, stored = (cv2.imdecode(np.frombuffer(data, np.uint8), flag) for flag in flags)
    return not np.array_equal(shown, stored)
