"""Finds the faces of photos or a video and writes their meshes, poses and pictures.

    python step05_predict.py --input PATH --name run01

PATH is a photo, a folder of photos, a video, or the number of a webcam. Writes to output/predict/: for each photo what
--want asks for (util/prediction_files.py), faces.csv with a row a face, and contact_sheet.jpg; for a video the overlay
as .mp4 and all frames' faces as .npz (util/video_output.py).
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from data.photos import find_photos, is_video, read_boxes, read_given_points, read_photo
from data.videos import Video
from models.exported import export_network
from models.loading import read_run
from options.predict_options import parse_predict_options
from util.errors import InputError, run_step
from util.pictures import fit_square, label, mosaic, save_picture
from util.prediction import FacePrediction
from util.prediction_files import Prediction, write_faces_table, write_prediction
from util.prediction_pictures import overlay_picture
from util.predictor import Predictor, Start
from util.scene import join_faces
from util.stages import Stages
from util.tracking import Tracker
from util.uv import uv_layout
from util.video_output import VideoOutput, Window
from util.views import PhotoCamera

SHEET_TILES, SHEET_COLUMNS, SHEET_TILE = 100, 6, 320
TEXTURE_SIZE = 512


class Found(NamedTuple):
    """A photo's faces. path: the photo's; target: folder and stem of its results."""

    path: Path
    target: Path
    faces: list[FacePrediction]


def main() -> None:
    options = parse_predict_options()
    if options.export:
        export_run(options)
        return
    predictor = Predictor(
        options.name, options.checkpoints_dir, options.epoch, options.gpu_ids, options.detector, options.steps
    )
    print(predictor.device_line)
    options.output_dir.mkdir(parents=True, exist_ok=True)
    if options.input.isdecimal() or is_video(Path(options.input)):
        predict_video(predictor, options)
    else:
        predict_photos(predictor, options)


def export_run(options: argparse.Namespace) -> None:
    """Writes a run's network as ONNX."""
    run = read_run(options.checkpoints_dir / options.name / f"{options.epoch}.pt")
    options.output_dir.mkdir(parents=True, exist_ok=True)
    target = options.output_dir / f"{options.name}.onnx"
    export_network(run, target)
    print(f"network: {target}, which --name takes in place of a run; from {run.path}")


def predict_photos(predictor: Predictor, options: argparse.Namespace) -> None:
    """Predicts and writes every photo that can be read; says which could not, and where no face was found."""
    source, stages = Path(options.input), Stages()
    paths = find_photos(source)
    output = PhotoOutput(options, uv_layout(predictor.network.constants.topology), stages)
    found = []
    for item, photo in predict_each(predictor, options, source, paths, stages):
        found.append(item)
        if not options.same_person:
            output.add(item, photo)
    if options.same_person:
        found = one_person(found, predictor)
        for item in tqdm(found, desc="write", unit="photo"):
            output.add(item, read_photo(item.path).pixels)
    without = [str(item.path) for item in found if not item.faces]
    if without:
        print(f"no face found in {len(without)}: {', '.join(without[:20])}{', ...' if len(without) > 20 else ''}")
    if len(without) == len(found):
        raise InputError(f"--input {source}: wanted photos with faces, found none; --boxes says where they are")
    write_faces_table(options.output_dir / "faces.csv", [(item.path, item.faces) for item in found])
    output.write_sheet(options.output_dir / "contact_sheet.jpg")
    print(
        f"{sum(len(item.faces) for item in found)} faces in {len(found)} of {len(paths)} photos: {options.output_dir}"
    )
    print(f"a photo: {stages.line(len(found))}")


def predict_each(
    predictor: Predictor, options: argparse.Namespace, source: Path, paths: list[Path], stages: Stages
) -> Iterator[tuple[Found, np.ndarray]]:
    """Yields each photo's faces with its pixels; photos that cannot be read are passed over with a message."""
    boxes = read_boxes(options.boxes) if options.boxes else {}
    base = source if source.is_dir() else source.parent
    unknown = sorted(boxes.keys() - {path.relative_to(base).as_posix() for path in paths})
    if unknown:
        raise InputError(f"--boxes {options.boxes}: wanted photos of {base}, got {', '.join(unknown[:5])}")
    names = result_names([path.relative_to(base) for path in paths])
    for path, name in zip(tqdm(paths, desc="photos", unit="photo"), names, strict=True):
        try:
            with stages("read"):
                photo = read_photo(path)
                given = read_given_points(path) if options.faces == "given" else None
        except (InputError, OSError) as error:
            tqdm.write(f"passed over: {error}")
            continue
        camera = predictor.camera(photo.pixels, options.fov, photo.focal_35mm)
        with stages("find faces"):
            places = predictor.find(photo.pixels, boxes.get(path.relative_to(base).as_posix()), given)
        with stages("predict"):
            faces = predictor.predict(photo.pixels, camera, places[: options.max_faces])
        yield Found(path, options.output_dir / name, faces), photo.pixels


def one_person(found: list[Found], predictor: Predictor) -> list[Found]:
    """Keeps the largest face of each photo, all with the one shape that their predictions agree on."""
    found = [item for item in found if item.faces]
    fused = predictor.fuse([item.faces[0] for item in found]) if found else []
    return [item._replace(faces=[face]) for item, face in zip(found, fused, strict=True)]


class PhotoOutput:
    """Writes what is wanted of photos, and their contact sheet. chart: (N, 2) of the topology, see util.uv."""

    def __init__(self, options: argparse.Namespace, chart: np.ndarray, stages: Stages):
        self.options, self.chart, self.stages = options, chart, stages
        self.sheet: list[np.ndarray] = []

    def add(self, item: Found, photo: np.ndarray) -> None:
        """Writes a photo (h, w, 3) with its faces."""
        prediction = Prediction(photo, item.faces, self.chart, self.options.frame, TEXTURE_SIZE)
        with self.stages("write"):
            if item.faces:
                item.target.parent.mkdir(parents=True, exist_ok=True)
                write_prediction(item.target.parent, item.target.name, prediction, set(self.options.want))
            if len(self.sheet) < SHEET_TILES:
                picture = overlay_picture(photo, prediction.scene, item.faces)
                self.sheet.append(label(fit_square(picture, SHEET_TILE), item.path.name))

    def write_sheet(self, path: Path) -> None:
        """Writes the overlays of the first SHEET_TILES photos."""
        save_picture(path, mosaic(self.sheet, min(SHEET_COLUMNS, len(self.sheet)), SHEET_TILE))


def result_names(photos: list[Path]) -> list[Path]:
    """What the results of photos are called: as the photo without its ending, but with it where two photos of a folder
    differ in nothing else."""
    times = Counter(photo.with_suffix("") for photo in photos)
    return [photo if times[photo.with_suffix("")] > 1 else photo.with_suffix("") for photo in photos]


def predict_video(predictor: Predictor, options: argparse.Namespace) -> None:
    """Follows the faces of a video or webcam; Ctrl-C ends it and keeps what was seen so far."""
    video, stages = Video(options.input), Stages()
    target = options.output_dir / (f"webcam_{options.input}" if video.webcam else Path(options.input).stem)
    output, window, tracker = VideoOutput(target, video.rate), webcam_window(video), None
    frames = tqdm(islice(video.frames(), options.max_frames), total=video.length, desc=video.name, unit="frame")
    stopped = False
    try:
        for frame in frames:
            tracker = tracker or follow(predictor, predictor.camera(frame, options.fov), options, video.rate)
            with stages("find and predict"):
                faces = tracker(frame)
            with stages("draw"):
                picture = overlay_picture(frame, join_faces(frame, list(faces.values())), list(faces.values()))
            with stages("write"):
                output.add(picture, faces)
            if window is not None and not window.show(picture):
                break
    except KeyboardInterrupt:
        stopped = True
        print("stopped; what was seen so far is kept")
    finally:
        output.close()
    ended = not stopped and options.max_frames is None
    if ended and video.length is not None and output.count < video.length:
        print(f"{video.name}: wanted {video.length} frames, could read {output.count}: it is cut short or damaged")
    if not output.rows:
        raise InputError(f"{video.name}: wanted faces, found none in {output.count} frames; overlay: {target}.mp4")
    each = stages.seconds.total() / output.count
    print(f"{output.count} frames, {tracker.count} faces, lost {tracker.times_lost} times: {target}.mp4, {target}.npz")
    print(f"{1 / each:.1f} frames a second; each frame: {stages.line(output.count)}")


def follow(predictor: Predictor, camera: PhotoCamera, options: argparse.Namespace, rate: float) -> Tracker:
    """A tracker of the faces in front of that camera."""

    def look(image: np.ndarray, places: Sequence[np.ndarray]) -> list[FacePrediction | None]:
        return predictor.step(image, camera, [Start(points, False, "followed") for points in places])

    def find(image: np.ndarray) -> list[FacePrediction]:
        return predictor.predict(image, camera, predictor.find(image)[: options.max_faces])

    return Tracker(look, find, options.max_faces, 1 / rate, options.smooth)


def webcam_window(video: Video) -> Window | None:
    """A window for a webcam's pictures; none for a video, nor where there is no display, which is said."""
    if not video.webcam:
        return None
    try:
        return Window(video.name)
    except InputError as error:
        print(f"{error}: the overlay goes to the .mp4 alone; Ctrl-C ends")
        return None


if __name__ == "__main__":
    run_step(main)
