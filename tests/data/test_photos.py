"""Photos of every kind that people have, made by OpenCV and Pillow, against the arrays that they were made from."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image

from data.photos import find_photos, is_video, read_boxes, read_given_points, read_photo
from util.errors import InputError

PHOTOS = Path(__file__).parents[3] / "shared" / "photos"


def picture(height=24, width=40, channels=3):
    """A smooth picture without any symmetry."""
    noise = np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)
    return cv2.GaussianBlur(noise, (9, 9), 0).reshape(noise.shape)


def quarters():
    """(32, 48, 3) in four even colours, in blocks that JPEG and its subsampled colours keep."""
    image = np.zeros((32, 48, 3), np.uint8)
    image[:16, :32], image[:16, 32:], image[16:, :32], image[16:, 32:] = (
        (200, 40, 40),
        (40, 200, 40),
        (40, 40, 200),
        (200, 200, 200),
    )
    return image


def exif_of(orientation=1, focal=None):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    if focal is not None:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLengthIn35mmFilm] = focal
        exif[ExifTags.IFD.Exif] = 0  # some place, so that Pillow writes it to a TIFF, too
    return exif


def saved(image, path, **options):
    Image.fromarray(image).save(path, **options)
    return path


def written(image, path):
    assert cv2.imwrite(str(path), image)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tiff", "a.TIF", "ümläut.PNG"])
def test_lossless_kinds_come_back_to_the_bit(tmp_path, name):
    photo = read_photo(saved(picture(), tmp_path / name))
    np.testing.assert_array_equal(photo.pixels, picture())
    assert photo.pixels.dtype == np.uint8
    assert photo.pixels.flags.c_contiguous
    assert photo.pixels.flags.writeable
    assert (photo.path, photo.focal_35mm) == (tmp_path / name, None)


def test_lossless_webp(tmp_path):
    path = saved(picture(), tmp_path / "a.webp", lossless=True)
    np.testing.assert_array_equal(read_photo(path).pixels, picture())


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_gives_the_pixels_that_opencv_gives(tmp_path, progressive):
    path = saved(picture(), tmp_path / "a.jpg", progressive=progressive)
    np.testing.assert_array_equal(read_photo(path).pixels, cv2.imread(str(path), cv2.IMREAD_COLOR_RGB))


def shown(stored, orientation):
    """The picture that is shown, by the EXIF standard's words: where the stored row 0 and column 0 are seen."""
    rows, columns = {
        1: ("top", "left"),
        2: ("top", "right"),
        3: ("bottom", "right"),
        4: ("bottom", "left"),
        5: ("left", "top"),
        6: ("right", "top"),
        7: ("right", "bottom"),
        8: ("left", "bottom"),
    }[orientation]
    image = stored if rows in ("top", "bottom") else stored.swapaxes(0, 1)
    sides = (rows, columns)
    return image[:: -1 if "bottom" in sides else 1, :: -1 if "right" in sides else 1]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("ending", "options"),
    [
        ("jpg", {"quality": 100}),
        ("png", {}),
        ("webp", {"quality": 100}),
        ("tiff", {}),
        ("tiff", {"compression": "tiff_lzw"}),
    ],
)
def test_turned_once_as_exif_says(tmp_path, orientation, ending, options):
    focal = None if "compression" in options else 28  # Pillow cannot write it to a TIFF of that kind
    path = saved(quarters(), tmp_path / f"a.{ending}", exif=exif_of(orientation, focal), **options)
    photo = read_photo(path)
    wanted = shown(quarters(), orientation)
    assert photo.pixels.shape == wanted.shape
    assert photo.focal_35mm == focal
    # lossy kinds keep even colours to a few levels, but where they meet
    assert np.median(np.abs(photo.pixels.astype(int) - wanted), axis=(0, 1)).max() <= 3
    centres = np.s_[4::8, 4::8]
    assert np.abs(photo.pixels[centres].astype(int) - wanted[centres]).max() < 60


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_turns_nothing(tmp_path, orientation):
    path = saved(picture(), tmp_path / "a.png", exif=exif_of(orientation))
    np.testing.assert_array_equal(read_photo(path).pixels, picture())


@pytest.mark.parametrize(("focal", "wanted"), [(26, 26.0), (0, None), (None, None)])
def test_focal_length_of_35mm_film(tmp_path, focal, wanted):
    assert read_photo(saved(picture(), tmp_path / "a.jpg", exif=exif_of(1, focal))).focal_35mm == wanted


@pytest.mark.parametrize(
    ("taken", "wanted"),
    [
        ((4000, 3000), 26.0),  # made smaller
        ((3000, 4000), 26.0),  # turned without a word in EXIF
        ((4000, 2250), None),  # cropped
        ((4032, 3000), 26.0),  # 0.8 % narrower: an edge that was lost
        ((0, 0), 26.0),  # says nothing
        ((4000, None), 26.0),
        (("wide", "high"), 26.0),
    ],
)
def test_focal_length_of_a_cropped_photo_is_not_known(tmp_path, taken, wanted):
    exif = exif_of(1, 26)
    sizes = ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight
    exif.get_ifd(ExifTags.IFD.Exif).update(
        {name: side for name, side in zip(sizes, taken, strict=True) if side is not None}
    )
    image = np.zeros((120, 160, 3), np.uint8)
    assert read_photo(saved(image, tmp_path / "a.jpg", exif=exif)).focal_35mm == wanted


def test_broken_exif_leaves_the_pixels(tmp_path):
    path = saved(picture(), tmp_path / "a.png", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    photo = read_photo(path)
    np.testing.assert_array_equal(photo.pixels, picture())
    assert photo.focal_35mm is None


@pytest.mark.parametrize("ending", ["png", "tiff"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_become_eight(tmp_path, ending, channels):
    deep = np.random.default_rng(0).integers(0, 65536, (24, 40, channels), np.uint16)
    if channels == 4:
        deep[..., 3] = 65535
    path = written(deep, tmp_path / f"a.{ending}")
    wanted = (deep[..., :3] // 256).astype(np.uint8)
    wanted = np.repeat(wanted, 3, axis=2) if channels == 1 else wanted[..., ::-1]  # OpenCV writes blue first
    np.testing.assert_array_equal(read_photo(path).pixels, wanted)


def test_grey_palette_and_black_and_white(tmp_path):
    grey = picture(channels=1)[..., 0]
    np.testing.assert_array_equal(read_photo(saved(grey, tmp_path / "g.png")).pixels, np.dstack([grey] * 3))
    bits = Image.fromarray(grey > 128)
    bits.save(tmp_path / "b.png")
    np.testing.assert_array_equal(read_photo(tmp_path / "b.png").pixels, np.dstack([(grey > 128) * np.uint8(255)] * 3))
    Image.fromarray(quarters()).quantize(4).save(tmp_path / "p.png")
    np.testing.assert_array_equal(read_photo(tmp_path / "p.png").pixels, quarters())


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P"])
def test_transparent_pixels_are_mid_grey(tmp_path, mode):
    image = quarters()[:, :, : 1 if mode == "LA" else 3]
    opacity = np.zeros((32, 48, 1), np.uint8)
    opacity[:16], opacity[16:, :32] = 255, 51  # the fourth quarter is transparent, the third one fifth opaque
    if mode == "P":
        image, opacity[16:, :32] = quarters(), 255
        paletted = Image.fromarray(image).quantize(4)
        paletted.save(tmp_path / "a.png", transparency=paletted.getpixel((47, 31)))
    else:
        saved(np.dstack([image, opacity]), tmp_path / "a.png")
    share = opacity / 255
    wanted = np.broadcast_to(share * image + (1 - share) * 128, (32, 48, 3))
    # Pillow rounds each of three products
    np.testing.assert_allclose(read_photo(tmp_path / "a.png").pixels, wanted, atol=1)


def test_cmyk_jpeg(tmp_path):
    Image.fromarray(quarters()).convert("CMYK").save(tmp_path / "a.jpg", quality=100)
    pixels = read_photo(tmp_path / "a.jpg").pixels
    # four channels of JPEG, a level or two each
    assert np.median(np.abs(pixels.astype(int) - quarters())) <= 3
    assert np.abs(pixels[4::8, 4::8].astype(int) - quarters()[4::8, 4::8]).max() < 20


def test_the_first_of_several_pictures(tmp_path):
    for name in ("a.mpo", "a.tiff", "a.webp", "a.png"):
        options = {} if name == "a.tiff" else {"quality": 100}
        first, second = Image.fromarray(quarters()), Image.fromarray(quarters()[::-1].copy())
        first.save(tmp_path / name, save_all=True, append_images=[second], **options)
        path = (tmp_path / name).rename(tmp_path / f"{name}.jpg")  # the ending does not count
        difference = np.abs(read_photo(path).pixels[4::8, 4::8].astype(int) - quarters()[4::8, 4::8])
        assert np.median(difference) <= 3, name


def test_floats_from_0_to_1(tmp_path):
    grey = picture(channels=1)[..., 0]
    path = written((grey / 255).astype(np.float32), tmp_path / "a.tiff")
    np.testing.assert_array_equal(read_photo(path).pixels, np.dstack([grey] * 3))
    for wrong in (2.0, np.nan):
        path = written(np.full((4, 4), wrong, np.float32), tmp_path / "wrong.tiff")
        with pytest.raises(InputError, match=r"wrong.tiff: .*floats from"):
            read_photo(path)


def test_kinds_that_are_not_read_are_told(tmp_path):
    path = written(picture().astype(np.float32) / 255, tmp_path / "colour.tiff")
    with pytest.raises(InputError, match=r"colour.tiff: wanted a JPEG, PNG, WebP, TIFF or BMP of 8 or 16 bits"):
        read_photo(path)


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tiff", "bmp"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.97])
def test_cut_short(tmp_path, capfd, ending, share):
    data = saved(picture(100, 100), tmp_path / f"whole.{ending}").read_bytes()
    path = tmp_path / f"cut.{ending}"
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(InputError) as told:
        read_photo(path)
    assert str(told.value).startswith(f"{path}: wanted ")
    assert "\n" not in str(told.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("ending", ["jpg", "png"])
@pytest.mark.parametrize("exif", [False, True])
def test_damaged_in_the_middle(tmp_path, capfd, ending, exif):
    options = {"exif": exif_of(6)} if exif else {}
    path = saved(picture(100, 100), tmp_path / f"a.{ending}", **options)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
    path.write_bytes(data)
    with pytest.raises(InputError, match=f"a.{ending}: wanted a whole photo"):
        read_photo(path)
    assert capfd.readouterr() == ("", "")


def test_whatever_is_damaged_the_error_names_the_file(tmp_path):
    random = np.random.default_rng(1)
    path = tmp_path / "broken"
    for ending in ("jpg", "png", "webp", "bmp"):
        whole = saved(picture(), tmp_path / f"a.{ending}", **({} if ending == "bmp" else {"exif": exif_of(3, 30)}))
        for _ in range(60):
            data = bytearray(whole.read_bytes())
            for place in random.integers(0, len(data), 4):
                data[place] = random.integers(256)
            path.write_bytes(data)
            try:
                assert read_photo(path).pixels.shape[2] == 3  # damage may lie where it cannot be told
            except InputError as error:
                assert str(error).startswith(f"{path}: ")  # noqa: PT017


def test_what_is_no_photo(tmp_path):
    for name, data in {"empty.jpg": b"", "text.jpg": b"not a photo at all\n" * 9, "text.png": b"\x89PNG\r\n"}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=f"{name}: wanted a"):
            read_photo(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"missing.jpg"):
        read_photo(tmp_path / "missing.jpg")


def png_of_size(width, height):
    """A PNG that claims a size and has no pixels."""
    chunks = b""
    for kind, body in (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", b""), (b"IEND", b""):
        chunks += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return b"\x89PNG\r\n\x1a\n" + chunks


def test_large_and_small(tmp_path):
    assert read_photo(saved(picture(1, 1), tmp_path / "one.jpg")).pixels.shape == (1, 1, 3)
    panorama = np.broadcast_to(np.arange(20_000, dtype=np.uint8)[None, :, None], (16, 20_000, 3))
    pixels = read_photo(saved(np.ascontiguousarray(panorama), tmp_path / "wide.png", compress_level=1)).pixels
    np.testing.assert_array_equal(pixels, panorama)
    (tmp_path / "bomb.png").write_bytes(png_of_size(100_000, 100_000))
    with pytest.raises(InputError, match=r"bomb.png: wanted at most 178956970 pixels, got more"):
        read_photo(tmp_path / "bomb.png")


def test_photos_of_a_folder(tmp_path):
    names = ["b.JPG", "a.png", "deep/er/c.webp", "deep/d.tiff"]
    others = [".hidden.jpg", ".cache/e.jpg", "deep/.f/g.jpg", "notes.txt", "detections/a.txt", "clip.mp4", "h.jpg.part"]
    for name in names + others:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert find_photos(str(tmp_path)) == [tmp_path / name for name in ("a.png", "b.JPG", "deep/d.tiff", names[2])]
    assert find_photos(tmp_path / "b.JPG") == [tmp_path / "b.JPG"]
    # the folder itself may be hidden
    assert find_photos(tmp_path / ".cache") == [tmp_path / ".cache" / "e.jpg"]
    with pytest.raises(InputError, match="detections: wanted a folder with photos"):
        find_photos(tmp_path / "detections")
    with pytest.raises(FileNotFoundError, match="nowhere: no such file or folder"):
        find_photos(tmp_path / "nowhere")


def test_videos_by_their_ending():
    assert all(is_video(name) for name in ("a.mp4", "b.MOV", Path("c/d.webm"), "e.mkv", "f.avi", "g.m4v"))
    assert not any(is_video(name) for name in ("a.jpg", "mp4", ".mp4", "a.mp4.txt"))


def points_text(count, separator=" "):
    return "".join(f"{i}.5{separator}{-i}\n" for i in range(count))


def test_given_points(tmp_path):
    wanted = np.array([[i + 0.5, -i] for i in range(68)])
    photo = tmp_path / "image" / "7" / "01_a" / "042_ar.jpg"
    folder = photo.parent
    assert read_given_points(photo) is None
    # from the last to be asked to the first
    places = {
        folder / "detections" / "042_ar.txt": (5, "\t"),
        folder / "landmarks" / "042_ar.txt": (68, ", "),
        tmp_path / "68landmarks" / "7" / "01_a" / "042_68landmarks.txt": (68, " "),
        folder / "042_ar_68landmarks.txt": (68, ","),
    }
    for number, (path, (count, separator)) in enumerate(places.items()):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{1000 + number}{separator}0\n" + points_text(count, separator).split("\n", 1)[1] + "\n")
        points = read_given_points(photo)
        np.testing.assert_array_equal(points[0], [1000 + number, 0])
        np.testing.assert_array_equal(points[1:], wanted[1:count])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (points_text(4), r"a.txt: wanted 5 rows of two numbers, got 4 rows"),
        (points_text(6), r"a.txt: wanted 5 rows of two numbers, got 6 rows"),
        ("1 2\n3\n4 5\n", r"a.txt, line 2: wanted 2 finite numbers, got '3'"),
        ("1 2\n\n3 x\n", r"a.txt, line 3: wanted 2 finite numbers, got '3 x'"),
        ("nan 2\n", r"a.txt, line 1: wanted 2 finite numbers, got 'nan 2'"),
        ("", r"a.txt: wanted 5 rows of two numbers, got 0 rows"),
    ],
)
def test_wrong_points_are_told(tmp_path, text, told):
    (tmp_path / "detections").mkdir()
    (tmp_path / "detections" / "a.txt").write_text(text)
    with pytest.raises(InputError, match=told):
        read_given_points(tmp_path / "a.jpg")


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="no photos beside the project")
def test_real_photos_and_their_points():
    photos = find_photos(PHOTOS)
    given = {photo.stem: read_given_points(photo) for photo in photos}
    assert sum(points is not None for points in given.values()) == 16
    for photo in photos[::5]:
        height, width = read_photo(photo).pixels.shape[:2]
        if given[photo.stem] is not None:
            eye, other_eye, nose, left, right = given[photo.stem]
            assert eye[0] < other_eye[0]
            assert left[0] < right[0]
            assert max(eye[1], other_eye[1]) < nose[1] < min(left[1], right[1])
            assert (given[photo.stem] < [width, height]).all()


def test_boxes(tmp_path):
    path = tmp_path / "boxes.csv"
    path.write_text("image, left, top, right, bottom\na.jpg,1,2,3,4.5\n\nb/c.jpg,-1,0,10,10\na.jpg, 5,6,7,8\n")
    boxes = read_boxes(path)
    assert list(boxes) == ["a.jpg", "b/c.jpg"]
    np.testing.assert_array_equal(boxes["a.jpg"], [[1, 2, 3, 4.5], [5, 6, 7, 8]])
    np.testing.assert_array_equal(boxes["b/c.jpg"], [[-1, 0, 10, 10]])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "wanted the header image,left,top,right,bottom, got ''"),
        ("a.jpg,1,2,3,4\n", "wanted the header"),
        ("image,left,top,right,bottom\n", "wanted at least one box"),
        ("image,left,top,right,bottom\na.jpg,1,2,3\n", "line 2: wanted 4 finite numbers, got '1 2 3'"),
        ("image,left,top,right,bottom\na.jpg,1,2,3,4,5\n", "line 2: wanted 4 finite numbers"),
        ("image,left,top,right,bottom\na.jpg,1,2,inf,4\n", "line 2: wanted 4 finite numbers"),
        ("image,left,top,right,bottom\na.jpg,1,2,3,4\nb.jpg,5,2,3,4\n", "line 3: wanted left < right"),
        ("image,left,top,right,bottom\n,1,2,3,4\n", "line 2: wanted an image's name"),
    ],
)
def test_wrong_boxes_are_told(tmp_path, text, told):
    (tmp_path / "boxes.csv").write_text(text)
    with pytest.raises(InputError, match=f"boxes.csv.*{told}"):
        read_boxes(tmp_path / "boxes.csv")
