"""Frames of videos and webcams."""

import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from data.detectors import quiet_opencv
from util.errors import InputError

# Frames a second of a video or webcam that does not say.
USUAL_RATE = 30.0
# Webcams have numbers up to this one; OpenCV refuses larger ones than 2^31 with an error of another type.
LAST_WEBCAM = 999
# FFmpeg, by which OpenCV reads videos, tells of damage on stderr; OpenCV asks for this once, at its first video.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


def is_webcam(source: str) -> bool:
    """Whether that is the number of a webcam, and no file or folder."""
    return source.isdecimal() and not Path(source).exists()


class Video:
    """A video file or a webcam. rate: frames a second; length: frames, as the file says, None for a webcam or where it
    does not say; webcam: whether it is one."""

    def __init__(self, source: str):
        """source: path, or else the number of a webcam. Raises FileNotFoundError, or InputError where it cannot be
        read."""
        self.webcam = is_webcam(source)
        if not self.webcam and not Path(source).is_file():
            raise FileNotFoundError(f"video {source}: no such file")
        if self.webcam and int(source) > LAST_WEBCAM:
            raise InputError(f"webcam {source}: wanted a number up to {LAST_WEBCAM}")
        self.name = f"webcam {source}" if self.webcam else f"video {source}"
        with quiet_opencv():
            self.capture = cv2.VideoCapture(int(source) if self.webcam else source)
        if not self.capture.isOpened():
            raise InputError(f"{self.name}: cannot be opened; is it there, and of a kind that OpenCV reads?")
        rate = self.capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0 < rate < 1000 else USUAL_RATE
        length = int(self.capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.length = length if length > 0 and not self.webcam else None

    def frames(self) -> Iterator[np.ndarray]:
        """Yields the frames (h, w, 3) uint8 RGB until there is none, of one size: FFmpeg scales others to the first.
        Raises InputError where there is not even one."""
        read, frame = self.capture.read()
        if not read:
            raise InputError(f"{self.name}: wanted frames, cannot read one")
        while read:
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            read, frame = self.capture.read()
