"""The camera of a photo, and views of the photo through the camera that a model was trained with.

A model has learnt one camera: one field of view, faces at some distances and near the middle. Photos come from any
camera. What a camera sees when it is turned about its centre, or zoomed, is a homography of what it saw: a view. Photo
and view pixels are both measured from the top left corner; camera space is OpenGL's, as in util/camera.py.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from util.camera import WCPA_PROJECTION, project, transform
from util.errors import InputError
from util.pose import pose_from_6dof

# The diagonal of 35 mm film's picture, to which EXIF's 35 mm equivalent refers (CIPA DCG-001), in mm.
FILM_DIAGONAL = 43.267
# Beyond so many deviations of the training poses a face is looked at through a turned and zoomed camera. At 3, meshes
# slide off faces near the edge of the picture; at 2 they do not, and distances are a millimetre or two worse.
USUAL_DEVIATIONS = 2.0
# Least distance of a face from the camera, in metres, for its pose to be refined.
NEAREST = 0.02
# OpenGL's axes to OpenCV's, which has y down and looks along +z.
FLIP = np.diag([1.0, -1.0, -1.0])


@dataclass(frozen=True)
class PhotoCamera:
    """A pinhole camera with its centre in the middle of the picture. focal: pixels; width, height: of the picture."""

    focal: float
    width: int
    height: int

    @property
    def projection(self) -> np.ndarray:
        """(4, 4) M_proj of the picture."""
        projection = WCPA_PROJECTION.copy()
        projection[0, 0], projection[1, 1] = 2 * self.focal / self.width, 2 * self.focal / self.height
        return projection

    @property
    def matrix(self) -> np.ndarray:
        """(3, 3) OpenCV's camera matrix, for pixels from the corner and column vectors."""
        return np.array([[self.focal, 0, self.width / 2], [0, self.focal, self.height / 2], [0, 0, 1]])

    @property
    def fov(self) -> float:
        """Degrees of view along the longer side."""
        return float(np.degrees(2 * np.arctan(max(self.width, self.height) / 2 / self.focal)))


def camera_from_fov(fov: float, width: int, height: int) -> PhotoCamera:
    """fov: degrees of view along the longer side of the picture. Raises InputError where it is not in 1..170."""
    if not 1 <= fov <= 170:
        raise InputError(f"field of view: wanted 1..170 degrees, got {fov}")
    return PhotoCamera(max(width, height) / 2 / np.tan(np.radians(fov) / 2), width, height)


def camera_from_35mm(focal_35mm: float, width: int, height: int) -> PhotoCamera:
    """focal_35mm: EXIF's 35 mm equivalent of the focal length, mm, which compares diagonals."""
    return PhotoCamera(focal_35mm * np.hypot(width, height) / FILM_DIAGONAL, width, height)


@dataclass(frozen=True)
class View:
    """A photo as the training camera would show it after being turned by `rotation` and zoomed.

    homography: (3, 3), photo pixels to view pixels, column vectors; rotation: (3, 3), camera space of the photo to
    that of the view, row vectors; camera: the view's, with the zoom in it; zoom: its focal length in the training's.
    """

    homography: np.ndarray
    rotation: np.ndarray
    camera: PhotoCamera
    zoom: float

    def points(self, points: np.ndarray) -> np.ndarray:
        """(n, 2) view pixels of photo pixels."""
        return cv2.perspectiveTransform(np.float64(points)[None], self.homography)[0]

    def draw(self, photo: np.ndarray) -> np.ndarray:
        """(height, width, 3) uint8: the photo (h, w, 3) uint8 in the view, black where it shows nothing."""
        width, height = self.camera.width, self.camera.height
        seen = self._seen(photo.shape[1], photo.shape[0])
        left, top = np.clip(np.floor(seen.min(axis=0)) - 2, 0, None).astype(int)
        right, bottom = np.minimum(np.ceil(seen.max(axis=0)) + 2, photo.shape[1::-1]).astype(int)
        if right <= left or bottom <= top:
            return np.zeros((height, width, 3), np.uint8)
        part = photo[top:bottom, left:right]
        # The pixels of the view are points of the photo: where those are finer, areas are averaged first.
        scale = min(1.0, width / max(np.ptp(seen, axis=0).min(), 1.0))
        size = [max(1, round(side * scale)) for side in part.shape[1::-1]]
        if scale < 1:
            part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
        (across, down), (w, h) = size, (right - left, bottom - top)
        # pixels of the part, centres at integers, to photo pixels from the corner
        place = np.array([[w / across, 0, left + w / across / 2], [0, h / down, top + h / down / 2], [0, 0, 1]])
        matrix = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]]) @ self.homography @ place
        return cv2.warpPerspective(part, matrix, (width, height))

    def _seen(self, width: int, height: int) -> np.ndarray:
        """(4, 2) where the view's corners lie in a photo of that size; the photo's corners where one lies behind it."""
        columns, rows = [0, 0, 1, 1], [0, 1, 1, 0]
        corners = np.float64([columns, rows, [1] * 4]) * [[self.camera.width], [self.camera.height], [1]]
        x, y, w = np.linalg.inv(self.homography) @ corners
        if (w <= 1e-3 * np.abs(w).max()).any():
            return np.float64([columns, rows]).T * [width, height]
        return np.column_stack([x / w, y / w])

    def photo_pose(self, verts: np.ndarray, R_t: np.ndarray) -> np.ndarray:
        """(4, 4) float64 pose in front of the photo's camera of verts (N, 3), whose pose in the view is R_t (4, 4) as
        the model has it, who takes the view for its own camera's.

        Turning the camera changes the pose by the same turn. Zooming does not: a face that is zoomed to look near is
        not as foreshortened as a near one. So the pose is the one whose image points, seen through the zoomed camera,
        are those of the prediction, by least squares over all vertices (Levenberg-Marquardt, OpenCV).
        """
        pose = np.array(R_t, dtype=np.float64)
        if self.zoom != 1:
            pose = self._zoomed_pose(np.float64(verts), pose)
        pose[:, :3] = pose[:, :3] @ self.rotation.T
        return pose

    def _zoomed_pose(self, verts: np.ndarray, R_t: np.ndarray) -> np.ndarray:
        unzoomed = PhotoCamera(self.camera.focal / self.zoom, self.camera.width, self.camera.height)
        points, _ = project(transform(verts, R_t), unzoomed.projection, unzoomed.width, unzoomed.height)
        start = R_t.copy()
        start[3, 2] *= self.zoom
        return refine_pose(verts, points, self.camera, start)


def refine_pose(verts: np.ndarray, points: np.ndarray, camera: PhotoCamera, start: np.ndarray) -> np.ndarray:
    """(4, 4) float64 pose whose image points of verts (N, 3) are nearest to points (N, 2) pixels, from a start (4, 4);
    least squares by Levenberg and Marquardt (OpenCV). A start that reaches behind the camera comes back as it is."""
    if transform(verts, start)[:, 2].max() > -NEAREST:
        return start
    turn, shift = cv2.Rodrigues(FLIP @ start[:3, :3].T)[0], FLIP @ start[3, :3]
    turn, shift = cv2.solvePnPRefineLM(np.float64(verts), np.float64(points), camera.matrix, None, turn, shift)
    pose = np.eye(4)
    pose[:3, :3] = (FLIP @ cv2.Rodrigues(turn)[0]).T
    pose[3, :3] = FLIP @ shift.ravel()
    return pose


@dataclass(frozen=True)
class TrainingView:
    """The camera that a model was trained with, and where it saw faces.

    camera: its own; mean_points: (68, 2) pixels, the mean face's 68 points at the mean pose; distance: mean and
    deviation of that from the camera in metres; offset: (2,) deviation of the place across, in metres
    """

    camera: PhotoCamera
    mean_points: np.ndarray
    distance: tuple[float, float]
    offset: np.ndarray

    def plain(self, camera: PhotoCamera) -> View:
        """The view of a photo without turn or zoom: scaled about the centre from one field of view to the other."""
        return self._view(camera, np.eye(3), 1.0)

    def look_at(self, camera: PhotoCamera, points: np.ndarray) -> View:
        """The view of a photo for the face whose 68 points (68, 2) lie there: the plain one where training saw faces as
        near and as central, else one that is turned and zoomed until the face is where the mean face was."""
        plain = self.plain(camera)
        center, side = middle_and_side(plain.points(points))
        mean_center, mean_side = middle_and_side(self.mean_points)
        distance = self.distance[0] * mean_side / side
        offset = (center - mean_center) * distance / self.camera.focal
        near_enough = abs(distance - self.distance[0]) <= USUAL_DEVIATIONS * self.distance[1]
        if near_enough and (np.abs(offset) <= USUAL_DEVIATIONS * self.offset).all():
            return plain
        turned = self._view(camera, turn_between(self.camera, center, mean_center), 1.0)
        if near_enough:
            return turned
        return self._view(camera, turned.rotation, mean_side / middle_and_side(turned.points(points))[1])

    def _view(self, camera: PhotoCamera, rotation: np.ndarray, zoom: float) -> View:
        own = PhotoCamera(self.camera.focal * zoom, self.camera.width, self.camera.height)
        homography = own.matrix @ FLIP @ rotation.T @ FLIP @ np.linalg.inv(camera.matrix)
        return View(homography, rotation, own, float(zoom))


def training_view(
    projection: np.ndarray,
    image_size: tuple[int, int],
    six_mean: np.ndarray,
    six_std: np.ndarray,
    mean_landmarks: np.ndarray,
) -> TrainingView:
    """From what a run remembers of its training data: the camera (4, 4) and its picture's width and height, mean and
    deviation (6,) of the 6DoF, and the mean face's 68 points (68, 3) in canonical metres.

    Raises InputError for a camera with different focal lengths across and down.
    """
    width, height = image_size
    across, down = projection[0, 0] * width / 2, projection[1, 1] * height / 2
    if abs(down / across - 1) > 1e-6:
        raise InputError(f"projection: wanted one focal length, got {across} pixels across and {down} down")
    points, _ = project(transform(mean_landmarks, pose_from_6dof(six_mean)), projection, width, height)
    distance = -float(six_mean[5]), float(six_std[5])
    return TrainingView(PhotoCamera(float(across), width, height), points, distance, np.float64(six_std[3:5]))


def middle_and_side(points: np.ndarray) -> tuple[np.ndarray, float]:
    """The middle (2,) of the points' tight box, and the root of its area."""
    low, high = points.min(axis=0), points.max(axis=0)
    return (low + high) / 2, float(np.sqrt(np.prod(high - low)))


def turn_between(camera: PhotoCamera, point: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(3, 3) row-vector rotation, the smallest that takes what is seen at a pixel (2,) to another one."""
    rays = np.column_stack([np.stack([point, target]) - [camera.width / 2, camera.height / 2], [camera.focal] * 2])
    first, second = rays / np.linalg.norm(rays, axis=1, keepdims=True) @ FLIP
    axis = np.cross(first, second)
    angle = np.arctan2(np.linalg.norm(axis), first @ second)
    turn = axis / max(np.linalg.norm(axis), 1e-12) * angle
    return cv2.Rodrigues(turn)[0].T
