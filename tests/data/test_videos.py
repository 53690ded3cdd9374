"""Videos that OpenCV wrote, raw streams of pictures, and what is no video."""

import cv2
import numpy as np
import pytest

from data.videos import USUAL_RATE, Video, is_webcam
from util.errors import InputError


def pictures(count=6, height=48, width=64):
    """Plain colours that differ from frame to frame: red grows, blue falls."""
    levels = np.linspace(0, 250, count).astype(np.uint8)
    return [np.full((height, width, 3), [level, 100, 250 - level], np.uint8) for level in levels]


def write(path, code, rate, images, color=True):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), rate, images[0].shape[1::-1], color)
    for image in images:
        writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if color else image[:, :, 0].copy())
    writer.release()
    return str(path)


@pytest.mark.parametrize(("name", "code"), [("a.avi", "MJPG"), ("a.mp4", "mp4v"), ("film", "MJPG")])
def test_frames_come_in_order_as_rgb(tmp_path, name, code):
    images = pictures()
    path = write(tmp_path / ("a.avi" if name == "film" else name), code, 12.5, images)
    if name == "film":
        (tmp_path / "a.avi").rename(tmp_path / name)  # what it is, its content says
    video = Video(str(tmp_path / name))
    assert (video.rate, video.length, video.webcam) == (12.5, 6, False)
    frames = list(video.frames())
    assert len(frames) == 6, path
    for frame, image in zip(frames, images, strict=True):
        assert (frame.shape, frame.dtype) == (image.shape, np.uint8)
        # plain colours lose a few levels on their way through YCbCr and the codec
        np.testing.assert_allclose(frame.mean(axis=(0, 1)), image[0, 0], atol=6)


def test_a_grey_video_has_three_channels(tmp_path):
    frames = list(Video(write(tmp_path / "grey.avi", "MJPG", 25, pictures(), color=False)).frames())
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 6
    assert np.ptp(frames[3], axis=2).max() == 0


def test_frames_of_another_size_are_scaled_to_the_first(tmp_path):
    stream = [cv2.imencode(".jpg", np.full((side, side + 16, 3), 90, np.uint8))[1] for side in (48, 48, 96, 32)]
    (tmp_path / "raw.avi").write_bytes(b"".join(map(bytes, stream)))
    video = Video(str(tmp_path / "raw.avi"))
    assert video.length is None  # a raw stream does not say
    assert [frame.shape for frame in video.frames()] == [(48, 64, 3)] * 4


def test_what_is_no_video_is_told_in_one_line(tmp_path, capfd):
    path = tmp_path / "whole.mp4"
    write(path, "mp4v", 25, pictures())
    whole = path.read_bytes()
    broken = {"text.mp4": b"no video", "empty.mp4": b"", "cut.mp4": whole[: len(whole) // 2]}
    for name, content in broken.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=rf"video .*{name}: cannot be opened"):
            Video(str(tmp_path / name))
    with pytest.raises(FileNotFoundError, match=r"video .*none.mp4: no such file"):
        Video(str(tmp_path / "none.mp4"))
    assert capfd.readouterr() == ("", "")


def test_what_is_left_of_a_damaged_video_is_read(tmp_path, capfd):
    noise = np.random.default_rng(0).integers(0, 256, (20, 48, 64, 3), np.uint8)
    path = tmp_path / "cut.avi"
    write(path, "MJPG", 25, list(noise))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    video = Video(str(path))
    # the frames are of one size but for a few bytes, so that half the file has half of them, and index and header
    assert 8 <= len(list(video.frames())) <= 10
    assert video.length == 20
    assert capfd.readouterr() == ("", "")


class FakeCapture:
    """A webcam that is there, does not know how fast it is, and fails."""

    def __init__(self, source):
        assert source == 7

    def isOpened(self):  # noqa: N802
        return True

    def get(self, what):
        return {cv2.CAP_PROP_FPS: 0.0, cv2.CAP_PROP_FRAME_COUNT: -1.0}[what]

    def read(self):
        return False, None


def test_a_webcam_without_pictures(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    video = Video("7")
    assert (video.webcam, video.rate, video.length) == (True, USUAL_RATE, None)
    with pytest.raises(InputError, match="webcam 7: wanted frames, cannot read one"):
        next(video.frames())


@pytest.mark.parametrize(("number", "message"), [("63", "cannot be opened"), ("9" * 12, "wanted a number up to 999")])
def test_a_webcam_that_is_not_there(number, message, capfd):
    with pytest.raises(InputError, match=f"webcam {number}: {message}"):
        Video(number)
    assert capfd.readouterr() == ("", "")


def test_numbers_are_webcams_unless_something_is_called_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_webcam("2024")
    (tmp_path / "2024").mkdir()
    assert not is_webcam("2024")
    assert not is_webcam("./0")
    assert not is_webcam("-1")
