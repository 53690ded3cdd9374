"""Overlays and faces of a video: what is in the files, and what is left where they cannot be written."""

import resource
from contextlib import contextmanager

import cv2
import numpy as np
import pytest

from tests.util.faces import make_face
from util.errors import InputError
from util.video_output import VideoOutput

RATE = 10.0
FACES = {0: make_face((0, 0.1, 0, 0, 0, -0.5)), 3: make_face((0, 0.2, 0, 0.1, 0, -0.6))}


def plain(level, height=90, width=120):
    return np.full((height, width, 3), [level, 128, 0], np.uint8)


def pictures_in(path):
    capture, pictures = cv2.VideoCapture(str(path)), []
    while (picture := capture.read())[0]:
        pictures.append(cv2.cvtColor(picture[1], cv2.COLOR_BGR2RGB))
    return pictures


def test_pictures_and_faces_come_back(tmp_path):
    output = VideoOutput(tmp_path / "a.b", RATE)
    for index, level in enumerate((40, 120, 200)):
        output.add(plain(level), dict(list(FACES.items())[:index]), index / RATE)
    assert not (tmp_path / "a.b_overlay.mp4").exists()  # it has its name when it is whole
    output.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.b_faces.npz", "a.b_overlay.mp4"]
    pictures = pictures_in(tmp_path / "a.b_overlay.mp4")
    # plain colours lose a few levels in the codec
    np.testing.assert_allclose([picture.mean(axis=(0, 1))[0] for picture in pictures], [40, 120, 200], atol=6)
    with np.load(tmp_path / "a.b_faces.npz") as arrays:
        assert arrays["frame"].tolist() == [1, 2, 2]
        assert arrays["face"].tolist() == [0, 0, 3]
        np.testing.assert_allclose(arrays["seconds"], [0.1, 0.2, 0.2])
        np.testing.assert_array_equal(arrays["verts"][2], FACES[3].verts)
        np.testing.assert_array_equal(arrays["R_t"][2], FACES[3].R_t)
        np.testing.assert_array_equal(arrays["projection"], FACES[0].projection)
        assert arrays["image_size"].tolist() == [120, 90]


def test_odd_sides_grow_by_a_pixel(tmp_path):
    output = VideoOutput(tmp_path / "odd", RATE)
    output.add(plain(40, 47, 63), {}, 0.0)
    output.close()
    assert [picture.shape for picture in pictures_in(tmp_path / "odd_overlay.mp4")] == [(48, 64, 3)]
    assert not (tmp_path / "odd_faces.npz").exists()  # there was none


def test_slow_webcams_pictures_are_repeated(tmp_path):
    output = VideoOutput(tmp_path / "slow", RATE)
    for level, seconds in ((40, 0.0), (120, 0.31), (200, 0.38)):
        output.add(plain(level), FACES, seconds)
    output.close()
    levels = [picture.mean(axis=(0, 1))[0] for picture in pictures_in(tmp_path / "slow_overlay.mp4")]
    # a tenth of a second each: the second picture comes at 0.3 s, and until then the first one stands
    np.testing.assert_allclose(levels, [40, 40, 40, 120, 200], atol=6)
    with np.load(tmp_path / "slow_faces.npz") as arrays:
        np.testing.assert_allclose(arrays["seconds"][::2], [0.0, 0.31, 0.38])


def test_without_a_frame_there_is_no_file(tmp_path):
    VideoOutput(tmp_path / "none", RATE).close()
    assert list(tmp_path.iterdir()) == []


@contextmanager
def room_for(size):
    """Files may have so many bytes: what writes more gets an error, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_an_overlay_that_is_not_whole_is_told_and_the_faces_are_kept(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    (tmp_path / "full_overlay.mp4").write_bytes(b"before")
    output = VideoOutput(tmp_path / "full", RATE)
    with room_for(60_000):
        for index in range(30):
            output.add(np.roll(noise, index, 1), FACES if index == 0 else {}, index / RATE)
        with pytest.raises(InputError, match=r"full_overlay.mp4: cannot be written whole; is the disk full\?"):
            output.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full_faces.npz", "full_overlay.mp4"]
    assert (tmp_path / "full_overlay.mp4").read_bytes() == b"before"
    with np.load(tmp_path / "full_faces.npz") as arrays:
        assert len(arrays["frame"]) == 2


def test_no_room_for_the_faces_keeps_the_overlay(tmp_path):
    output = VideoOutput(tmp_path / "full", RATE)
    output.add(plain(40), FACES, 0.0)
    with room_for(3_000), pytest.raises(OSError, match="cannot write it") as error:
        output.close()
    assert error.value.filename == str(tmp_path / "full_faces.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["full_overlay.mp4"]
    assert len(pictures_in(tmp_path / "full_overlay.mp4")) == 1


def test_a_folder_that_cannot_be_written_to_is_told_at_the_first_frame(tmp_path):
    output = VideoOutput(tmp_path / "missing" / "a", RATE)
    with pytest.raises(FileNotFoundError) as error:
        output.add(plain(40), FACES, 0.0)
    assert error.value.filename == str(tmp_path / "missing" / "a_overlay.mp4")
    output.close()
