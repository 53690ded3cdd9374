"""Image data to pixels."""

import cv2
import numpy as np
import simplejpeg

from util.errors import InputError

START, SCAN, END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
# What simplejpeg turns into plain RGB.
PLAIN_COLORS = ("YCbCr", "RGB", "Gray")


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
