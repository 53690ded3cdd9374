"""step05 on videos and webcams of the tiny root's faces: what it finds is nonsense, but everything else has to hold."""

import cv2
import numpy as np
import pytest

import step05_predict
from tests.steps.conftest import names_in
from util.errors import InputError
from util.tracking import Tracker


def write_video(path, images, code="mp4v", rate=25.0):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), rate, images[0].shape[1::-1])
    for image in images:
        writer.write(image)
    writer.release()


@pytest.fixture
def frames(root_template):
    """A face that moves across the picture, 12 frames of 160 x 120."""
    face = cv2.imread(str(next(root_template.glob("image/*/*/*.jpg"))))[20:76, 20:76]
    images = []
    for step in range(12):
        image = np.zeros((120, 160, 3), np.uint8)
        image[30:86, 20 + 4 * step : 76 + 4 * step] = face
        images.append(image)
    return images


def frame_count(path):
    capture, count = cv2.VideoCapture(str(path)), 0
    while capture.read()[0]:
        count += 1
    return count


@pytest.mark.parametrize("options", [[], ["--smooth"]])
def test_a_video(predict, frames, tmp_path, options):
    write_video(tmp_path / "clip.mp4", frames)
    before = (tmp_path / "clip.mp4").read_bytes()
    status, text = predict(tmp_path / "clip.mp4", *options, output=tmp_path)
    assert status == 0, text
    assert (tmp_path / "clip.mp4").read_bytes() == before
    assert frame_count(tmp_path / "clip_overlay.mp4") == 12
    with np.load(tmp_path / "clip_faces.npz") as arrays:
        assert arrays["verts"].shape == (len(arrays["frame"]), 99, 3)
        assert set(arrays["frame"]) == set(range(12))
        np.testing.assert_allclose(arrays["seconds"], arrays["frame"] / 25)
    assert "12 frames" in text
    assert "frames a second" in text
    assert not list(tmp_path.glob(".*part*"))


def test_the_first_frames_of_a_video(predict, frames, tmp_path):
    write_video(tmp_path / "clip.mp4", frames)
    status, text = predict(tmp_path / "clip.mp4", "--max_frames", 5)
    assert (status, "5 frames" in text) == (0, True)
    assert frame_count(tmp_path / "out" / "clip_overlay.mp4") == 5


def test_videos_cut_short(predict, frames, tmp_path):
    write_video(tmp_path / "clip.avi", frames, "MJPG")
    whole = (tmp_path / "clip.avi").read_bytes()
    (tmp_path / "clip.avi").write_bytes(whole[: len(whole) // 2])
    status, text = predict(tmp_path / "clip.avi")
    assert status == 0, text
    assert "it is cut short or damaged" in text
    (tmp_path / "clip.avi").write_bytes(whole[:100])
    status, text = predict(tmp_path / "clip.avi")
    assert (status, "clip.avi: cannot be opened" in text or "cannot read one" in text) == (1, True), text
    status, text = predict(tmp_path / "none.mp4")
    assert (status, "none.mp4: no such file" in text) == (1, True)


def test_a_video_without_faces(predict, tmp_path):
    write_video(tmp_path / "clip.mp4", [np.zeros((64, 64, 3), np.uint8)] * 3)
    status, text = predict(tmp_path / "clip.mp4")
    assert (status, "wanted faces, found none in 3 frames" in text) == (1, True)
    status, text = predict(tmp_path / "clip.mp4", "--aggregate", "subject")
    assert (status, "--aggregate: means nothing for a video, got subject" in text) == (1, True)
    status, text = predict(tmp_path / "clip.mp4", "--same_person")
    assert (status, "--same_person: means nothing for a video" in text) == (1, True)


def test_ctrl_c_keeps_what_was_seen_of_a_video(predict, frames, tmp_path, monkeypatch):
    write_video(tmp_path / "clip.mp4", frames)
    follow, seen = Tracker.__call__, []

    def interrupted(self, image, seconds):
        seen.append(seconds)
        if len(seen) == 7:
            raise KeyboardInterrupt
        return follow(self, image, seconds)

    monkeypatch.setattr(Tracker, "__call__", interrupted)
    status, text = predict(tmp_path / "clip.mp4")
    assert status == 0, text
    assert "stopped; what was seen so far is kept" in text
    assert frame_count(tmp_path / "out" / "clip_overlay.mp4") == 6
    assert seen == pytest.approx([1 / 25] * 7)


def test_a_webcam_that_is_not_there(predict):
    status, text = predict(63)
    assert (status, "webcam 63: cannot be opened" in text) == (1, True)


def test_ctrl_c_before_the_first_frame_leaves_nothing(predict, frames, tmp_path, monkeypatch):
    def interrupted(self, image, seconds):
        raise KeyboardInterrupt

    write_video(tmp_path / "clip.mp4", frames)
    monkeypatch.setattr(Tracker, "__call__", interrupted)
    status, text = predict(tmp_path / "clip.mp4")
    assert (status, text.endswith("interrupted")) == (1, True)
    assert names_in(tmp_path / "out") == []


class FakeWebcam:
    """A webcam that shows the frames, forever."""

    def __init__(self, frames):
        self.frames, self.count = frames, 0

    def isOpened(self):  # noqa: N802
        return True

    def get(self, what):
        return 0.0

    def read(self):
        self.count += 1
        return True, self.frames[self.count % len(self.frames)]


class FakeWindow:
    """A window that is closed at the fourth picture."""

    def __init__(self, title):
        self.title, self.pictures = title, []

    def show(self, picture):
        self.pictures.append(picture)
        return len(self.pictures) < 4


def no_window(title):
    raise InputError("no window (no display)")


@pytest.mark.parametrize(("window", "options", "count"), [(FakeWindow, [], 4), (no_window, ["--max_frames", 3], 3)])
def test_a_webcam_until_its_window_is_closed(predict, frames, tmp_path, monkeypatch, window, options, count):
    files = cv2.VideoCapture
    monkeypatch.setattr(cv2, "VideoCapture", lambda source: FakeWebcam(frames) if source == 7 else files(source))
    monkeypatch.setattr(step05_predict, "Window", window)
    status, text = predict(7, *options)
    assert status == 0, text
    assert f"{count} frames, " in text
    assert ("the overlay goes to the .mp4 alone; Ctrl-C ends" in text) == (window is no_window)
    with np.load(tmp_path / "out" / "webcam_7_faces.npz") as arrays:
        assert set(arrays["frame"]) == set(range(count))
        assert (np.diff(arrays["seconds"]) >= 0).all()


def test_a_grey_video(predict, frames, tmp_path):
    grey = cv2.VideoWriter(str(tmp_path / "grey.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (160, 120), False)
    for frame in frames[:3]:
        grey.write(frame[:, :, 1].copy())
    grey.release()
    status, text = predict(tmp_path / "grey.avi")
    assert (status, "3 frames, 1 faces" in text) == (0, True), text
