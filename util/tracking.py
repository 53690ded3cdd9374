"""Faces followed through a video: each frame's window is cut from the last frame's mesh."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from util.pose import pose_from_6dof, pose_to_6dof
from util.prediction import FacePrediction
from util.smoothing import OneEuroFilter

# The detector looks for further faces, and again for the known ones, every so many frames.
DETECT_EVERY = 15
# A face is lost where its 68 points seem to have moved by so many sides of their box from one frame to the next, ...
FARTHEST_MOVE = 0.35
# ... or where the detector has not seen it for so many frames (profiles are often missed, so many), ...
LONGEST_UNSEEN = 90
# ... and forgotten after so many frames without one that could be it.
LONGEST_LOST = 30
# Boxes that overlap by so much of their union are one face's; and two faces that do are one.
SAME_FACE, SAME_PLACE = 0.25, 0.6

# (min_cutoff Hz, beta Hz per unit a second). Standing still, both pass little above 1.5 Hz. A head that turns by a
# radian a second, or moves by a tenth of a metre, is followed at some 8 Hz; so are lips that move 0.1 m/s.
ANGLE_FILTER, PLACE_FILTER, SHAPE_FILTER = (1.5, 7.0), (1.5, 70.0), (1.5, 70.0)


@dataclass(eq=False)
class Track:
    """One face of a video. face: as last seen, unsmoothed; unseen: frames since the detector saw it; lost: frames since
    anybody did."""

    number: int
    face: FacePrediction
    unseen: int = 0
    lost: int = 0
    filters: list[OneEuroFilter] = field(default_factory=list)


class Tracker:
    """Follows the faces of a video.

    look(image, places): predicts the faces at places [(68, 2)] once; find(image): detects and predicts afresh, the
    largest first; seconds: between two frames.
    """

    def __init__(
        self,
        look: Callable[[np.ndarray, Sequence[np.ndarray]], list[FacePrediction | None]],
        find: Callable[[np.ndarray], list[FacePrediction]],
        max_faces: int,
        seconds: float,
        smooth: bool = False,
    ):
        self.look, self.find, self.max_faces = look, find, max_faces
        self.seconds, self.smooth = seconds, smooth
        self.tracks: list[Track] = []
        self.frame, self.count, self.times_lost = 0, 0, 0

    def __call__(self, image: np.ndarray) -> dict[int, FacePrediction]:
        """The faces of the next frame (h, w, 3) uint8 RGB by their numbers, which stay with them."""
        followed = [track for track in self.tracks if not track.lost]
        faces = self.look(image, [track.face.landmarks2d for track in followed])
        for track, face in zip(followed, faces, strict=True):
            track.unseen += 1
            if face is None or moved(track.face, face) > FARTHEST_MOVE or track.unseen > LONGEST_UNSEEN:
                track.lost = 1
                self.times_lost += 1
            else:
                track.face = face
        if self.frame % DETECT_EVERY == 0 or any(track.lost for track in self.tracks) or not self.tracks:
            self.match(self.find(image))
        self.frame += 1
        self.tracks = [track for track in self.tracks if track.lost <= LONGEST_LOST]
        for track in self.tracks:
            track.lost += track.lost > 0
        return {track.number: self.smoothed(track) for track in self.tracks if not track.lost}

    def match(self, found: list[FacePrediction]) -> None:
        """Gives what was detected to the faces that it is; the rest are others."""
        free = list(self.tracks)
        for face in found:
            box = points_box(face)
            overlaps = [overlap(box, points_box(track.face)) for track in free]
            if overlaps and max(overlaps) >= SAME_FACE:
                track = free.pop(int(np.argmax(overlaps)))
                track.unseen = 0
                if track.lost:
                    track.face, track.lost, track.filters = face, 0, []
                # another one that was followed to the same face
                self.tracks = [other for other in self.tracks if other not in free or not same_place(other, track)]
                free = [other for other in free if other in self.tracks]
            elif sum(not track.lost for track in self.tracks) < self.max_faces:
                self.tracks.append(Track(self.count, face))
                self.count += 1

    def smoothed(self, track: Track) -> FacePrediction:
        """The face of a track, smoothed in time where that was asked for."""
        if not self.smooth:
            return track.face
        if not track.filters:
            track.filters = [OneEuroFilter(*kind) for kind in (ANGLE_FILTER, PLACE_FILTER, SHAPE_FILTER)]
        six = pose_to_6dof(track.face.R_t)
        parts = six[:3], six[3:], track.face.verts
        angles, place, verts = (smooth(part, self.seconds) for smooth, part in zip(track.filters, parts, strict=True))
        return replace(track.face, R_t=pose_from_6dof(np.concatenate([angles, place])), verts=np.float32(verts))


def same_place(first: Track, second: Track) -> bool:
    """Whether two faces lie on each other."""
    return overlap(points_box(first.face), points_box(second.face)) > SAME_PLACE


def points_box(face: FacePrediction) -> np.ndarray:
    """(4,) the tight box of a face's 68 points."""
    points = face.landmarks2d
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


def moved(before: FacePrediction, after: FacePrediction) -> float:
    """Mean distance between the 68 points of two frames, in sides of their box."""
    box = points_box(before)
    side = np.sqrt(np.prod(box[2:] - box[:2]))
    return float(np.linalg.norm(after.landmarks2d - before.landmarks2d, axis=1).mean() / side)


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Intersection of two boxes (4,) over their union."""
    sides = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    shared = np.prod(np.maximum(sides, 0))
    return float(shared / (np.prod(first[2:] - first[:2]) + np.prod(second[2:] - second[:2]) - shared))
