"""Finds the faces of photos or a video and writes their meshes, poses and pictures.

    python step05_predict.py --input PATH --name run01
    python step05_predict.py --input PATH --method 3ddfa --weights FILE --statistics FILE --bases PATH
    python step05_predict.py --input PATH --method deep3d --weights FILE --bases PATH

PATH is a photo, a folder of photos, a video, or the number of a webcam. Writes to output/predict/: for each photo what
--want asks for (util/prediction_files.py), faces.csv with a row a face, and contact_sheet.jpg; for a video the overlay
as .mp4 and all frames' faces as .npz (util/video_output.py). --method 3ddfa and deep3d write 3DDFA's and Deep3D's files
of photos instead (util/threeddfa_files.py, util/deep3d_outputs.py).
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
from tqdm import tqdm

from data.photos import (
    PHOTO_ENDINGS,
    find_photos,
    is_video,
    other_pictures,
    read_boxes,
    read_given_points,
    read_photo,
)
from data.videos import Video, is_webcam
from models import MODELS
from models.exported import export_network
from models.loading import read_run
from options.predict_options import USUAL_WANTS, WANTS, parse_predict_options
from util.deep3d_outputs import DEEP3D_ENDINGS, write_deep3d
from util.deep3d_predictor import Deep3dPredictor
from util.errors import InputError, run_step, told
from util.photo_predictor import PhotoPredictor, Start
from util.pictures import fit_square, label, mosaic, save_picture
from util.prediction import FacePrediction
from util.prediction_files import Prediction, write_faces_table, write_prediction
from util.prediction_pictures import overlay_picture
from util.predictor import Predictor
from util.scene import join_faces
from util.stages import Stages
from util.threeddfa_files import DENSE_FILES, points_picture, write_threeddfa
from util.threeddfa_predictor import ThreeddfaPredictor
from util.tracking import Tracker
from util.uv import uv_layout
from util.video_output import VideoOutput, Window
from util.views import PhotoCamera

TABLE, SHEET = "faces.csv", "contact_sheet.jpg"
SHEET_TILES, SHEET_COLUMNS, SHEET_TILE = 100, 6, 320
TEXTURE_SIZE = 512
# How many names a message lists.
SHOWN = 10


class Found(NamedTuple):
    """A photo's faces. path: the photo's; target: folder and stem of its results."""

    path: Path
    target: Path
    faces: list[FacePrediction]


def main() -> None:
    options = parse_predict_options()
    refuse_for_method(options)
    if options.export:
        export_run(options)
        return
    if is_webcam(options.input) or is_video(options.input):
        refuse(options, "a video", method="run", boxes=None, same_person=False, aggregate="none")
        video = Video(options.input)
        predict_video(open_predictor(options), video, options)
    else:
        refuse(options, "photos", smooth=False, max_frames=None)
        photos = list_photos(options)
        if options.aggregate != "none":
            for path in photos:
                sample_of(path, options)
        check_nothing_is_lost(photos, options)
        predict_photos(open_predictor(options), photos, options)


def refuse_for_method(options: argparse.Namespace) -> None:
    """Raises InputError for options that are another method's."""
    of_threeddfa = {"convention": "v2", "box_rule": "landmarks"}
    if options.method == "run":
        refuse(options, "--method run", weights=None, statistics=None, bases=None, **of_threeddfa)
        return
    of_runs = {"name": "experiment_name", "want": USUAL_WANTS.split(","), "frame": "camera", "export": None}
    if options.method == "deep3d":
        of_runs |= {"statistics": None, **of_threeddfa}
    refuse(options, f"--method {options.method}", **of_runs, same_person=False, aggregate="none")
    if options.statistics is None:
        refuse(options, "a run's --weights", convention="v2")


def open_predictor(options: argparse.Namespace) -> PhotoPredictor:
    """What predicts, and a folder for what it finds."""
    predictor = METHODS[options.method].open(options)
    print(predictor.device_line)
    options.output_dir.mkdir(parents=True, exist_ok=True)
    return predictor


def open_run(options: argparse.Namespace) -> Predictor:
    """A run of --name. Raises InputError, or where all is wanted says and leaves out, that it has no deformation."""
    predictor = Predictor(
        options.name,
        options.checkpoints_dir,
        options.epoch,
        options.gpu_ids,
        options.detector,
        options.steps,
        "deformation" in options.want,
    )
    if "deformation" in options.want and not predictor.network.deforms:
        able = ", ".join(name for name, model in MODELS.items() if model.deforms())
        if options.want != list(WANTS):
            wanted = f"wanted a run of a method that deforms a template (--model {able})"
            raise InputError(f"--want deformation: {wanted}, got {options.name}")
        options.want.remove("deformation")
        print(f"--want all: left out is deformation, which {options.name} has not; runs of --model {able} have it")
    return predictor


def open_threeddfa(options: argparse.Namespace) -> ThreeddfaPredictor:
    """A network of 3DDFA's; says what it cannot make."""
    predictor = ThreeddfaPredictor(
        options.weights,
        options.statistics,
        options.bases,
        options.convention,
        options.gpu_ids,
        options.detector,
        options.steps,
        options.box_rule,
    )
    if not len(predictor.topology.triangles):
        dense = "bfm_noneck_v3.pkl with tri.pkl, or 3DDFA's train.configs with tri.mat"
        print(f"--bases {options.bases}: has no triangles, so left out are {DENSE_FILES}; they need {dense}")
    return predictor


def open_deep3d(options: argparse.Namespace) -> Deep3dPredictor:
    """A network of Deep3D's."""
    return Deep3dPredictor(options.weights, options.bases, options.gpu_ids, options.detector, options.steps)


def export_run(options: argparse.Namespace) -> None:
    """Writes a run's network as ONNX."""
    run = read_run(options.checkpoints_dir / options.name / f"{options.epoch}.pt")
    options.output_dir.mkdir(parents=True, exist_ok=True)
    target = options.output_dir / f"{options.name}.onnx"
    export_network(run, target)
    print(f"network: {target}, which --name takes in place of a run; from {run.path}")


def list_photos(options: argparse.Namespace) -> list[Path]:
    """The photos of --input without earlier results; says which pictures are of another kind."""
    source, results = Path(options.input), options.output_dir.resolve()
    photos, others = find_photos(source), other_pictures(source)
    if source.resolve() in results.parents:  # earlier results are no photos
        photos, others = ([p for p in paths if results not in p.resolve().parents] for paths in (photos, others))
    if others:
        kinds = f"photos are {', '.join(PHOTO_ENDINGS)}; videos are taken one by one"
        print(f"left out: {some([path.name for path in others])}: {kinds}")
    return photos


def check_nothing_is_lost(photos: list[Path], options: argparse.Namespace) -> None:
    """Raises InputError where a result would take the place of a photo or of the boxes, wherever links lead, or, where
    results are called as photos may be, of a file that is no earlier result."""
    names, endings = result_names(below_input(photos, options)), METHODS[options.method].output.own_names
    folders = {(options.output_dir / name).parent.resolve() for name in names}
    if Path(options.input).is_dir() and not folders.isdisjoint(path.resolve() for path in {p.parent for p in photos}):
        raise InputError(f"--output_dir: wanted another folder than that of the photos, got {options.output_dir}")
    inputs = {file_number(path) for path in [*photos, options.boxes] if path is not None and path.exists()}
    for files in [[TABLE], [SHEET], *([f"{name}{ending}" for ending in endings] for name in names)]:
        there = [path for path in (options.output_dir / file for file in files) if path.exists()]
        # an earlier run left all of them
        if 0 < len(there) < len(files) or not inputs.isdisjoint(map(file_number, there)):
            wanted = "a folder where nothing but earlier results would be replaced"
            raise InputError(f"--output_dir: wanted {wanted}, got one with {some([str(path) for path in there])}")


def file_number(path: Path) -> tuple[int, int]:
    """The same for all names of a file that exists."""
    status = path.stat()
    return status.st_dev, status.st_ino


def below_input(photos: list[Path], options: argparse.Namespace) -> list[Path]:
    """The photos as they are called below --input."""
    source = Path(options.input)
    return [path.relative_to(source if source.is_dir() else source.parent) for path in photos]


def predict_photos(predictor: PhotoPredictor, photos: list[Path], options: argparse.Namespace) -> None:
    """Predicts and writes every photo that can be read; says which could not, and where no face was found."""
    source, stages = Path(options.input), Stages()
    output = METHODS[options.method].output(options, predictor, stages)
    try:
        if options.same_person or options.aggregate != "none":
            found = [item for item, _ in predict_each(predictor, options, source, photos, stages)]
            for item in tqdm(fuse_faces(found, predictor, options), desc="write", unit="photo"):
                output.add(item, read_photo(item.path).pixels)
        else:
            for item, photo in predict_each(predictor, options, source, photos, stages):
                output.add(item, photo)
    finally:
        output.close()
    read, without = len(output.found), [str(item.path) for item in output.found if not item.faces]
    if read == len(without):
        told = " and found no face; --boxes says where they are" if read else ""
        if read and options.boxes:
            told = " and saw no face in --boxes that is large enough, at the second look, too; --steps 1 has but one"
        raise InputError(f"--input {source}: wanted photos with faces, could read {read} of {len(photos)}{told}")
    if without:
        print(f"no face found in {some(without)}")
    faces = sum(len(item.faces) for item in output.found)
    print(f"faces: {faces}, in {read - len(without)} of {len(photos)} photos: {options.output_dir}")
    print(f"a photo: {stages.line(read)}")


def refuse(options: argparse.Namespace, what: str, **unset: object) -> None:
    """Raises InputError where an option is set that means nothing for what is predicted. unset: what they are else."""
    given = [name for name, value in unset.items() if getattr(options, name) != value]
    if given:
        raise InputError(f"--{given[0]}: means nothing for {what}, got {getattr(options, given[0])}")


def some(names: list[str]) -> str:
    """How many there are, and the first of them."""
    return f"{len(names)}: {', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''}"


def predict_each(
    predictor: PhotoPredictor, options: argparse.Namespace, source: Path, photos: list[Path], stages: Stages
) -> Iterator[tuple[Found, np.ndarray]]:
    """Yields each photo's faces with its pixels; those with something wrong are passed over, with a message."""
    boxes = read_boxes(options.boxes) if options.boxes else {}
    relative = below_input(photos, options)
    unknown = sorted(boxes.keys() - {path.as_posix() for path in relative})
    if unknown:
        base = source if source.is_dir() else source.parent
        raise InputError(f"--boxes {options.boxes}: wanted photos of {base}, got {some(unknown)}")
    bar = tqdm(zip(photos, relative, result_names(relative), strict=True), "photos", len(photos), unit="photo")
    for path, short, name in bar:
        own_boxes = boxes.get(short.as_posix())
        try:
            with stages("read"):
                photo = read_photo(path)
                given = read_given_points(path) if options.faces == "given" and own_boxes is None else None
            with stages("find faces"):
                places = predictor.find(photo.pixels, own_boxes, given)
        except (InputError, OSError) as error:
            line = told(error)
            tqdm.write(f"passed over: {line if str(path) in line else f'{path}: {line}'}")
            continue
        if len(places) > options.max_faces:
            tqdm.write(f"{path}: {len(places)} faces, of which the {options.max_faces} largest count (--max_faces)")
        camera = predictor.camera(photo.pixels, options.fov, photo.focal_35mm)
        with stages("predict"):
            faces = predictor.predict(photo.pixels, camera, places[: options.max_faces])
        yield Found(path, options.output_dir / name, faces), photo.pixels


def sample_of(path: Path, options: argparse.Namespace) -> tuple[str, str, str]:
    """Subject, action and name of a photo. Raises InputError where it does not lie in folders of them."""
    relative = path.relative_to(options.input)
    if len(relative.parts) < 3:
        raise InputError(
            f"--aggregate {options.aggregate}: wanted photos in folders <subject>/<action>/ below --input "
            f"{options.input}, got {path}"
        )
    subject, action, *rest = relative.with_suffix("").parts
    return subject, action, "/".join(rest)


def fuse_faces(found: list[Found], predictor: Predictor, options: argparse.Namespace) -> list[Found]:
    """The largest face of each photo, where it is one person's with the shape that its predictions agree on."""
    seen = [item for item in found if item.faces]
    faces = [item.faces[0] for item in seen]
    if options.same_person:
        fused = iter(predictor.fuse(faces))
    else:
        fused = iter(predictor.aggregate(faces, [sample_of(item.path, options) for item in seen], options.aggregate))
    return [item._replace(faces=[next(fused)] if item.faces else []) for item in found]


class PhotoOutput:
    """Writes what is wanted of photos, and at the end their table and contact sheet.

    own_names: endings of the results whose names have nothing else beside that of the photo
    """

    own_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, options: argparse.Namespace, predictor: PhotoPredictor, stages: Stages):
        self.options, self.predictor, self.stages = options, predictor, stages
        self.found: list[Found] = []
        self.sheet: list[np.ndarray] = []

    def add(self, item: Found, photo: np.ndarray) -> None:
        """Writes a photo (h, w, 3) with its faces."""
        with self.stages("write"):
            if item.faces:
                item.target.parent.mkdir(parents=True, exist_ok=True)
            overlay = self.write(item, photo)
            if len(self.sheet) < SHEET_TILES:
                self.sheet.append(label(fit_square(overlay(), SHEET_TILE), item.path.name))
        self.found.append(item)

    def write(self, item: Found, photo: np.ndarray) -> Callable[[], np.ndarray]:
        """Writes a photo's files, if it has faces, into a folder that exists; gives back what draws its overlay."""
        raise NotImplementedError

    def close(self) -> None:
        """Writes the table of all faces, and the overlays of the first SHEET_TILES photos in one picture."""
        if self.found:
            write_faces_table(self.options.output_dir / TABLE, [(item.path, item.faces) for item in self.found])
            sheet = mosaic(self.sheet, min(SHEET_COLUMNS, len(self.sheet)), SHEET_TILE)
            save_picture(self.options.output_dir / SHEET, sheet)


class RunOutput(PhotoOutput):
    """Of a run: what --want asks for."""

    def __init__(self, options: argparse.Namespace, predictor: Predictor, stages: Stages):
        super().__init__(options, predictor, stages)
        self.chart = uv_layout(predictor.network.constants.topology)

    def write(self, item: Found, photo: np.ndarray) -> Callable[[], np.ndarray]:
        prediction = Prediction(photo, item.faces, self.chart, self.options.frame, TEXTURE_SIZE)
        if item.faces:
            write_prediction(item.target.parent, item.target.name, prediction, set(self.options.want))
        return lambda: overlay_picture(photo, prediction.scene, item.faces)


class ThreeddfaOutput(PhotoOutput):
    """Of 3DDFA's networks: all files that can be made."""

    def write(self, item: Found, photo: np.ndarray) -> Callable[[], np.ndarray]:
        if item.faces:
            write_threeddfa(item.target.parent, item.target.name, photo, item.faces)
        return lambda: points_picture(photo, item.faces)


class Deep3dOutput(PhotoOutput):
    """Of Deep3D's networks: its own files of the largest face, and all faces' overlay and poses."""

    own_names = DEEP3D_ENDINGS
    WANTS: ClassVar = {"overlay", "pose"}

    def write(self, item: Found, photo: np.ndarray) -> Callable[[], np.ndarray]:
        nowhere = np.zeros((self.predictor.topology.num_vertices, 2), np.float32)  # nothing is written of the chart
        prediction = Prediction(photo, item.faces, nowhere, self.options.frame, TEXTURE_SIZE)
        if item.faces:
            write_prediction(item.target.parent, item.target.name, prediction, self.WANTS)
            write_deep3d(item.target.parent, item.target.name, item.faces[0])
        return lambda: overlay_picture(photo, prediction.scene, item.faces)

    def close(self) -> None:
        super().close()
        guessed = [str(item.path) for item in self.found if item.faces and not item.faces[0].source.endswith("points")]
        if guessed:
            print(f"five points guessed from the face's box, which is worse than given ones, in {some(guessed)}")


class Method(NamedTuple):
    """open: makes what predicts; output: writes what it finds in photos."""

    open: Callable[[argparse.Namespace], PhotoPredictor]
    output: type[PhotoOutput]


# What --method knows.
METHODS = {
    "run": Method(open_run, RunOutput),
    "3ddfa": Method(open_threeddfa, ThreeddfaOutput),
    "deep3d": Method(open_deep3d, Deep3dOutput),
}


def result_names(photos: list[Path]) -> list[Path]:
    """What the results of photos are called: as the photo without its ending, but with it where another photo is called
    the same."""
    names = {photo: photo.with_suffix("") for photo in photos}
    while shared := [photo for photo, name in names.items() if name != photo and list(names.values()).count(name) > 1]:
        names |= {photo: photo for photo in shared}
    return list(names.values())


def predict_video(predictor: Predictor, video: Video, options: argparse.Namespace) -> None:
    """Follows the faces of a video or webcam; Ctrl-C ends it and keeps what was seen so far."""
    stages = Stages()
    target = options.output_dir / (f"webcam_{options.input}" if video.webcam else Path(options.input).stem)
    output, window, tracker = VideoOutput(target, video.rate), webcam_window(video), None
    frames = tqdm(islice(video.frames(), options.max_frames), total=video.length, desc=video.name, unit="frame")
    stopped, start, seconds = False, time.perf_counter(), 0.0
    try:
        for frame in frames:
            tracker = tracker or follow(predictor, predictor.camera(frame, options.fov), options)
            before, seconds = seconds, time.perf_counter() - start if video.webcam else output.count / video.rate
            with stages("find and predict"):
                faces = tracker(frame, seconds - before or 1 / video.rate)
            with stages("draw"):
                picture = overlay_picture(frame, join_faces(frame, list(faces.values())), list(faces.values()))
            with stages("write"):
                output.add(picture, faces, seconds)
            if window is not None and not window.show(picture):
                break
    except KeyboardInterrupt:
        if not output.count:
            raise
        stopped = True
        print("stopped; what was seen so far is kept")
    finally:
        output.close()
    ended = not stopped and options.max_frames is None
    if ended and video.length is not None and output.count < video.length:
        print(f"{video.name}: wanted {video.length} frames, could read {output.count}: it is cut short or damaged")
    if not output.rows:
        raise InputError(f"{video.name}: wanted faces, found none in {output.count} frames")
    each = stages.seconds.total() / output.count
    seen = f"{output.count} frames, {tracker.count} faces, lost {tracker.times_lost} times"
    print(f"{seen}: {output.overlay}, {output.arrays}")
    print(f"{1 / each:.1f} frames a second; each frame: {stages.line(output.count)}")


def follow(predictor: Predictor, camera: PhotoCamera, options: argparse.Namespace) -> Tracker:
    """A tracker of the faces in front of that camera."""

    def look(image: np.ndarray, places: Sequence[np.ndarray]) -> list[FacePrediction | None]:
        return predictor.step(image, camera, [Start(points, False, "followed") for points in places])

    def find(image: np.ndarray) -> list[FacePrediction]:
        return predictor.predict(image, camera, predictor.find(image)[: options.max_faces])

    return Tracker(look, find, options.max_faces, options.smooth)


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
