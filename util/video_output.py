"""What step05 makes of a video: the overlay as .mp4, and the faces of all frames in one .npz.

<name>_faces.npz: a row for each face of each frame: frame, seconds (since the first), face (its number, which stays
with it), verts (M, N, 3) canonical metres, R_t (M, 4, 4), box (M, 4), confidence (M,); and for all: triangles,
keypoints, projection (4, 4), image_size. It is written at the end; until then each face of a frame takes 15 kB of
memory.
"""

import os
from pathlib import Path

import cv2
import numpy as np

from util.checkpoint import write_whole
from util.errors import InputError
from util.prediction import FacePrediction


class VideoOutput:
    """Writes <path>_overlay.mp4 frame by frame, under a temporary name until `close`, and <path>_faces.npz then.

    path: folder and stem; rate: frames a second.
    """

    def __init__(self, path: Path, rate: float):
        self.overlay, self.arrays = (path.with_name(path.name + ending) for ending in ("_overlay.mp4", "_faces.npz"))
        self.temporary = path.with_name(f".{path.name}.{os.getpid()}.part.mp4")
        # MPEG-4 has no finer clock than 65,535 to the second.
        self.rate = rate if rate <= 60 else float(round(rate))
        self.writer: cv2.VideoWriter | None = None
        self.last: np.ndarray | None = None
        self.rows: list[tuple[int, float, int, FacePrediction]] = []
        self.count, self.written = 0, 0

    def add(self, picture: np.ndarray, faces: dict[int, FacePrediction], seconds: float) -> None:
        """One frame: its overlay (h, w, 3) uint8 RGB, its faces, and when it was seen. It is shown until the next one:
        where a webcam's frames come slower than the rate, they are repeated. Raises InputError where the overlay cannot
        be written."""
        # the codec wants even sides
        picture = np.pad(picture, [(0, picture.shape[0] % 2), (0, picture.shape[1] % 2), (0, 0)], mode="edge")
        if self.writer is None:
            self.writer = self.open(picture.shape[1::-1])
        while self.written < round(seconds * self.rate):
            self.write(picture if self.last is None else self.last)
        self.write(picture)
        self.last = picture
        self.rows += [(self.count, seconds, number, face) for number, face in faces.items()]
        self.count += 1

    def write(self, picture: np.ndarray) -> None:
        self.writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        self.written += 1

    def open(self, size: tuple[int, int]) -> cv2.VideoWriter:
        """A writer of pictures of that width and height. Raises OSError or InputError that names the overlay."""
        try:
            self.temporary.touch()  # OpenCV would not say that it cannot
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.overlay)) from None
        # MPEG-4 part 2, which every build of OpenCV writes; browsers want H.264 and do not play it.
        writer = cv2.VideoWriter(str(self.temporary), cv2.VideoWriter.fourcc(*"mp4v"), self.rate, size)
        if not writer.isOpened():
            self.temporary.unlink()
            raise InputError(f"{self.overlay}: cannot be written")
        return writer

    def close(self) -> None:
        """Finishes both files; without a frame there are none, without a face only the .mp4. Raises InputError or
        OSError where one cannot be written; the other one is there then, and of that one what was there before."""
        if self.writer is None:
            return
        self.writer.release()
        try:
            self.keep_overlay()
        finally:
            if self.rows:
                self.write_arrays()

    def keep_overlay(self) -> None:
        """Gives the overlay its name, if all frames are in it: on a full disk OpenCV goes on without a word."""
        try:
            if frames_in(self.temporary) != self.written:
                raise InputError(f"{self.overlay}: cannot be written whole; is the disk full?")
            os.replace(self.temporary, self.overlay)
        finally:
            self.temporary.unlink(missing_ok=True)

    def write_arrays(self) -> None:
        frames, seconds, numbers, faces = zip(*self.rows, strict=True)
        first = faces[0]
        arrays = {
            "frame": np.array(frames),
            "seconds": np.array(seconds),
            "face": np.array(numbers),
            "verts": np.stack([face.verts for face in faces]),
            "R_t": np.stack([face.R_t for face in faces]),
            "box": np.stack([face.box for face in faces]),
            "confidence": np.array([face.confidence for face in faces]),
            "triangles": first.topology.triangles,
            "keypoints": first.topology.keypoints,
            "projection": first.projection,
            "image_size": np.array(first.image_size),
        }
        write_whole(self.arrays, lambda file: np.savez_compressed(file, **arrays))


def frames_in(path: Path) -> int:
    """How many frames the index of a video counts, 0 where it has none."""
    capture = cv2.VideoCapture(str(path))
    return int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0


class Window:
    """A window on the screen. OpenCV's headless wheel has none, so it is Tk's."""

    def __init__(self, title: str):
        """Raises InputError where there is no display, or no Tk."""
        try:
            import tkinter

            self.tkinter, self.root = tkinter, tkinter.Tk()
        except Exception as error:  # ImportError without Tk, TclError without a display
            raise InputError(f"no window ({error})") from None
        self.root.title(title)
        self.label = tkinter.Label(self.root)
        self.label.pack()

    def show(self, picture: np.ndarray) -> bool:
        """Shows (h, w, 3) uint8 RGB; whether the window is still open."""
        header = f"P6 {picture.shape[1]} {picture.shape[0]} 255\n".encode()
        try:
            self.image = self.tkinter.PhotoImage(data=header + picture.tobytes())
            self.label.configure(image=self.image)
            self.root.update()
        except self.tkinter.TclError:
            return False
        return True
