"""Pictures of all kinds are decoded as OpenCV does, whichever library does it."""

import struct

import cv2
import numpy as np
import pytest
import turbojpeg

from data.jpeg import crop_jpeg, decode_rgb

SAMPLINGS = {
    "444": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    "422": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    "420": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    "440": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440,
    "411": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411,
}


def photo(height, width, channels=3):
    image = np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)
    return cv2.GaussianBlur(image, (5, 5), 0)


def encode(image, *parameters):
    return cv2.imencode(".jpg", image, parameters)[1].tobytes()


def by_opencv(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)


def with_exif(data, orientation):
    """The JPEG with an EXIF segment that says how it lies (1 to 8)."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + bytes(4)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize(("height", "width"), [(96, 128), (37, 51), (1, 1)])
def test_same_bytes_as_opencv(sampling, progressive, height, width):
    parameters = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SAMPLINGS[sampling], cv2.IMWRITE_JPEG_PROGRESSIVE, progressive]
    data = encode(photo(height, width), *parameters)
    np.testing.assert_array_equal(decode_rgb(data, "a.jpg"), by_opencv(data))


def test_grey_is_rgb():
    data = encode(photo(40, 50, 1))
    np.testing.assert_array_equal(decode_rgb(data, "a.jpg"), by_opencv(data))


def test_turned_as_exif_says():
    data = with_exif(encode(photo(40, 50)), orientation=6)
    assert decode_rgb(data, "a.jpg").shape == (50, 40, 3)
    np.testing.assert_array_equal(decode_rgb(data, "a.jpg"), by_opencv(data))


@pytest.mark.parametrize("kind", [".png", ".bmp"])
def test_other_kinds_are_rgb(kind):
    image = np.zeros((32, 32, 3), np.uint8)
    image[..., 2] = 255  # red in OpenCV's order
    data = cv2.imencode(kind, image)[1].tobytes()
    np.testing.assert_array_equal(decode_rgb(data, "a")[0, 0], [255, 0, 0])


@pytest.mark.parametrize("exif", [False, True])
@pytest.mark.parametrize("keep", [0, 1, 3, 40, 700, -300, -2, -1])
def test_cut_data_is_told(exif, keep):
    data = encode(photo(96, 96))
    data = with_exif(data, 1) if exif else data
    with pytest.raises(ValueError, match=r"face\.jpg: wanted"):
        decode_rgb(data[:keep], "face.jpg")


def test_damaged_data_is_told():
    data = bytearray(encode(photo(96, 96)))
    data[len(data) // 2 : len(data) // 2 + 2] = b"\xff\xc4"  # a table where coded pixels should be
    with pytest.raises(ValueError, match=r"face\.jpg: wanted a whole JPEG"):
        decode_rgb(bytes(data), "face.jpg")


@pytest.mark.parametrize("colors", [turbojpeg.CS.CMYK, turbojpeg.CS.YCCK])
def test_inks_are_as_opencv_sees_them(colors):
    data = turbojpeg.compress(photo(40, 50, 4), 90, turbojpeg.SAMP.Y444, colors, pixelformat=turbojpeg.PF.CMYK)
    np.testing.assert_array_equal(decode_rgb(data, "a.jpg"), by_opencv(data))
    with pytest.raises(ValueError, match=r"a\.jpg: wanted a JPEG that can be cut without loss \(its colours are"):
        crop_jpeg(data, np.array([10, 10, 40, 40]), "a.jpg")


def test_colours_that_are_stored_as_they_are():
    data = turbojpeg.compress(photo(64, 48), 90, turbojpeg.SAMP.Y444, turbojpeg.CS.RGB, pixelformat=turbojpeg.PF.RGB)
    whole = decode_rgb(data, "a.jpg")
    np.testing.assert_array_equal(whole, by_opencv(data))
    cropped, left, top = crop_jpeg(data, np.array([9, 8, 40, 40]), "a.jpg")
    np.testing.assert_array_equal(decode_rgb(cropped, "a.jpg"), whole[top:40, left:40])
