"""What training data is worth: the same models trained on several synthetic worlds, scored on data of neither.

    python -m benchmarks.compare_worlds --work_dir worlds --face_model FILE --second_root ROOT --photos PHOTOS

The worlds have as many images, in the topology of the second root; each model is trained on as many samples of each,
with the same options. Scored are all labelled images of the second root, and the five points of photographs (see
benchmarks/photo_points.py). What is there already is not made again.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.compare_methods import call, is_finished, words
from benchmarks.comparison import ResizedRoot, Row, markdown_table, mesh_figures, predict_images, read_labelled_images
from benchmarks.photo_points import TILE, read_five_point_photos, score_photos, tile
from models import MODELS
from models.loading import read_run
from options.base_options import StepParser, number, parse_gpu_ids
from util.checkpoint import write_whole
from util.device import choose_device
from util.errors import InputError, run_step
from util.pictures import mosaic
from util.predictor import Predictor

# What step00 is told of each world beside what is common to all, and step02 of training on it.
WORLDS = {
    "procedural": ("", ""),
    "scans": ("--face_model {face_model}", ""),
    "scans, streamed": ("--face_model {face_model}", "--dataset synthetic"),
}
# The columns of the table: title -> key of a figure, and its decimals.
COLUMNS = {
    "score": ("score", 1),
    "±": ("interval", 1),
    "all": ("score_all", 1),
    "pose": ("score_pose", 1),
    "shape": ("score_shape", 1),
    "rotation, °": ("rotation_error_deg", 2),
    "68 points, %": ("nme68_percent", 2),
    "photos, median": ("photos_median", 4),
    "photos, mean": ("photos_mean", 4),
    "photos, worst": ("photos_worst", 4),
}
SEED = 0


def parse_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = StepParser(
        "Train models on several synthetic worlds and score them on a second data root and on photographs.",
        "python -m benchmarks.compare_worlds --work_dir worlds --face_model FILE --second_root ROOT --photos PHOTOS",
    )
    parser.add_argument("--work_dir", type=Path, required=True, metavar="DIR", help="folder for all that is made")
    parser.add_argument("--face_model", type=Path, required=True, metavar="PATH", help="as in step00")
    parser.add_argument("--second_root", type=Path, required=True, metavar="DIR", help="labelled images to be scored")
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR", help="photos with detections/NAME.txt")
    parser.add_argument(
        "--models", type=parse_models, default="dual_resnet", metavar="NAMES", help="which to train on each world"
    )
    parser.add_argument("--num_subjects", type=number(int, 5), default=500, metavar="N", help="subjects of a world")
    parser.add_argument("--num_actions", type=number(int, 1, 12), default=4, metavar="N", help="actions of each")
    parser.add_argument("--frames", type=number(int, 1), default=2, metavar="N", help="images of each action")
    parser.add_argument("--image_size", type=number(int, 64, 4096), default=400, metavar="PIXELS", help="of images")
    parser.add_argument("--img_size", type=number(int, 32), default=112, metavar="PIXELS", help="side of a window")
    parser.add_argument("--batch_size", type=number(int, 1), default=32, metavar="N", help="images a step")
    parser.add_argument("--epochs", type=number(int, 1), default=8, metavar="N", help="passes over the images")
    parser.add_argument("--gpu_ids", type=parse_gpu_ids, default="-1", metavar="IDS", help="as in step02; -1: the CPU")
    parser.add_argument("--num_workers", type=number(int, 0), default=2, metavar="N", help="that draw and read data")
    return parser.parse_args(arguments)


def parse_models(text: str) -> list[str]:
    """An argparse type: names of MODELS with commas between them."""
    names = text.split(",")
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown {', '.join(unknown)}; known are {', '.join(sorted(MODELS))}")
    return names


def main() -> None:
    options = parse_options()
    for world in WORLDS:
        make_world(options, world)
    for world in WORLDS:
        for model in options.models:
            train(options, world, model)
    rows = [row(options, world, model) for model in options.models for world in WORLDS]
    text = markdown_table(rows, COLUMNS, "figures") + "\n"
    write_whole(options.work_dir / "worlds.md", lambda file: file.write(text.encode()))
    print(text)


def folder_name(world: str) -> str:
    """Of a world's data root; worlds that differ in training alone share it."""
    return world.split(",")[0]


def make_world(options: argparse.Namespace, world: str) -> None:
    """The data root of a world and its cache, where they are not there."""
    root, cache = options.work_dir / folder_name(world), options.work_dir / f"cache_{folder_name(world)}"
    if not root.exists():
        told = {"data_root": root, "num_test_subjects": 1, "seed": SEED, "topology": options.second_root}
        told |= {name: getattr(options, name) for name in ("num_subjects", "num_actions", "frames", "image_size")}
        told["num_workers"] = max(1, options.num_workers)
        own = [word.format(face_model=options.face_model) for word in WORLDS[world][0].split()]
        call("step00_synthesize.py", [*words(told), *own])
    if not (cache / "source.json").exists():
        told = {"data_root": root, "cache_dir": cache, "num_workers": options.num_workers}
        call("step01_preparation.py", words(told))


def run_folder(options: argparse.Namespace, world: str, model: str) -> Path:
    return options.work_dir / "checkpoints" / f"{model}_{world.replace(', ', '_')}"


def train(options: argparse.Namespace, world: str, model: str) -> None:
    """Trains a run, or its rest, unless it has all of its epochs."""
    folder = run_folder(options, world, model)
    told = {
        "model": model,
        "data_root": options.work_dir / folder_name(world),
        "cache_dir": options.work_dir / f"cache_{folder_name(world)}",
        "checkpoints_dir": folder.parent,
        "name": folder.name,
        "img_size": options.img_size,
        "batch_size": options.batch_size,
        "epochs": options.epochs,
        "epochs_decay": options.epochs // 2,
        "seed": SEED,
        "num_pictures": 0,
        "num_workers": options.num_workers,
        "gpu_ids": ",".join(map(str, options.gpu_ids)) or -1,
    }
    command = [*words(told), *WORLDS[world][1].split()]
    if is_finished(folder, command):
        print(f"{folder}: is there")
        return
    call("step02_train.py", [*command, *(["--resume"] if folder.exists() else [])])
    if not is_finished(folder, command):
        raise InputError(f"{folder} was stopped before its last epoch; the same command goes on from there")


def row(options: argparse.Namespace, world: str, model: str) -> Row:
    """The figures of a run after its last epoch, on the second root and on the photos, of which a sheet is drawn."""
    folder = run_folder(options, world, model)
    run = read_run(folder / "latest.pt")
    device, _ = choose_device(options.gpu_ids)
    cv2.setNumThreads(0)
    root = ResizedRoot(options.second_root, run.image_size)
    run.check_fits(root.root, root.topology(), root.projection())
    images = read_labelled_images(root, mesh_figures)
    figures = images.figures(predict_images(run, run.model(), images, device, options.num_workers), run)
    predictor = Predictor(folder.name, folder.parent, "latest", options.gpu_ids)
    results = score_photos(predictor, read_five_point_photos(options.photos))
    sheet = mosaic([tile(result) for result in results], columns=6, tile=TILE)
    cv2.imwrite(str(options.work_dir / f"{folder.name}.jpg"), sheet[..., ::-1])
    errors = np.array([result.error for result in results])
    photos = {"photos_median": np.median(errors), "photos_mean": errors.mean(), "photos_worst": errors.max()}
    return {"title": f"{model}, {world}", "figures": figures | photos}


if __name__ == "__main__":
    run_step(main)
