"""Faces followed through a video: each frame's window is cut from the last frame's mesh."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from util.boxes import box_areas, overlaps, tight_box
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

    look(image, places): predicts the faces at places [(68, 2)] once, None where there is nothing to see; find(image):
    detects and predicts afresh, the largest first. times_lost: how often a face was.
    """

    def __init__(
        self,
        look: Callable[[np.ndarray, Sequence[np.ndarray]], list[FacePrediction | None]],
        find: Callable[[np.ndarray], list[FacePrediction]],
        max_faces: int,
        smooth: bool = False,
    ):
        self.look, self.find, self.max_faces, self.smooth = look, find, max_faces, smooth
        self.tracks: list[Track] = []
        self.frame, self.count, self.times_lost = 0, 0, 0

    def __call__(self, image: np.ndarray, seconds: float) -> dict[int, FacePrediction]:
        """The faces of the next frame (h, w, 3) uint8 RGB by their numbers, which stay with them. seconds: since the
        frame before."""
        followed = [track for track in self.tracks if not track.lost]
        faces = self.look(image, [track.face.landmarks2d for track in followed])
        for track, face in zip(followed, faces, strict=True):
            track.unseen += 1
            # written so that what is not a number is lost, too
            if face is None or not moved(track.face, face) <= FARTHEST_MOVE or track.unseen > LONGEST_UNSEEN:
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
        return {track.number: self.smoothed(track, seconds) for track in self.tracks if not track.lost}

    def match(self, found: list[FacePrediction]) -> None:
        """Gives what was detected to the faces that it is; the rest are others."""
        taken: list[Track] = []
        for face in found:
            free = [track for track in self.tracks if track not in taken]
            shares = overlap_with(face, free)
            if len(shares) and shares.max() >= SAME_FACE:
                track = free[int(np.argmax(shares))]
                track.unseen = 0
                if track.lost:
                    track.face, track.lost, track.filters = face, 0, []
            elif (overlap_with(face, taken) > SAME_PLACE).any():
                continue  # a second detection of a face
            elif sum(not track.lost for track in self.tracks) < self.max_faces:
                track = Track(self.count, face)
                self.tracks.append(track)
                self.count += 1
            else:
                continue
            taken.append(track)
            # others that were followed to the same face
            self.tracks = [
                other
                for other in self.tracks
                if other in taken or not overlap_with(track.face, [other])[0] > SAME_PLACE
            ]

    def smoothed(self, track: Track, seconds: float) -> FacePrediction:
        """The face of a track, smoothed in time where that was asked for."""
        if not self.smooth:
            return track.face
        if not track.filters:
            track.filters = [OneEuroFilter(*kind) for kind in (ANGLE_FILTER, PLACE_FILTER, SHAPE_FILTER)]
        six = pose_to_6dof(track.face.R_t)
        parts = six[:3], six[3:], track.face.verts
        angles, place, verts = (smooth(part, seconds) for smooth, part in zip(track.filters, parts, strict=True))
        return replace(track.face, R_t=pose_from_6dof(np.concatenate([angles, place])), verts=np.float32(verts))


def overlap_with(face: FacePrediction, tracks: list[Track]) -> np.ndarray:
    """(n,) how far the box of a face's 68 points overlaps those of tracks."""
    boxes = np.array([tight_box(track.face.landmarks2d) for track in tracks]).reshape(-1, 4)
    return overlaps(tight_box(face.landmarks2d), boxes)


def moved(before: FacePrediction, after: FacePrediction) -> float:
    """Mean distance between the 68 points of two frames, in sides of their box."""
    side = np.sqrt(box_areas(tight_box(before.landmarks2d)[None])[0])
    return float(np.linalg.norm(after.landmarks2d - before.landmarks2d, axis=1).mean() / side)
