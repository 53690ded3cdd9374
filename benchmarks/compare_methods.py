"""One table of all methods: trained on one data root for as many samples each, scored on people that none has seen.

    python -m benchmarks.compare_methods --work_dir DIR     # 16,000 samples each at 112 pixels; hours on two cores
    python -m benchmarks.compare_methods --work_dir DIR --second_root ../shared/wcpa_sample

Calls the step scripts as a user does, and reads the image files, which a training of small windows hardly waits for.
What is there already is not made again, so that it can be stopped at any time and started again:

    root/, heldout/            data roots (step00); others may be put in their place
    cache_f0/ .. cache_f4/     of root/, for each fold that is needed (step01)
    checkpoints/<method>_f<k>/ runs without the people of fold k (step02); the table is of latest.pt
    comparison.json, .md       the figures, with all options, and the tables
"""

import argparse
import json
import platform
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from benchmarks.comparison import (
    BOTH,
    MESH_COLUMNS,
    POINT_COLUMNS,
    VARIANTS,
    LabelledImages,
    ResizedRoot,
    Row,
    markdown_table,
    mesh_figures,
    milliseconds_per_image,
    parameters_millions,
    point_figures,
    predict_images,
    predict_variants,
    read_labelled_images,
)
from data.cache import read_cache
from data.wcpa import WcpaRoot
from models import get_model_class
from models.folds import NUM_FOLDS
from models.loading import TrainedRun, read_run
from models.mean_face import MeanFace
from options.base_options import StepParser, number, parse_gpu_ids, plain
from options.train_options import FREE_OPTIONS, parse_train_options
from util.checkpoint import write_whole
from util.device import choose_device
from util.ensembles import PredictionSum
from util.errors import InputError, run_step
from util.landmarks import NUM_VIEWS
from util.report import write_json
from util.run_log import read_metrics

HOUSE = Path(__file__).parents[1]
# What step02 is told of each method, the model first, beside what is common to all.
METHODS = {
    "direct": "--model direct",
    "dual_resnet": "--model dual_resnet",
    "dual_resnet_images": "--model dual_resnet --no-read_landmarks",
    "dual_resnet_published": "--model dual_resnet --preset published",
    "jmlr": "--model jmlr",
    "multiview": "--model multiview",
    "perspective": "--model perspective",
    "radan": "--model radan",
    "deep3d": "--model deep3d",
    "pixel2mesh": "--model pixel2mesh",
    "pixel2mesh_points": "--model pixel2mesh --supervision points",
    "pixel2mesh_sphere": "--model pixel2mesh --template semisphere",
    "pixel2mesh_sphere_points": "--model pixel2mesh --template semisphere --supervision points",
}
# Those that have seen the 68 points, or another mesh than the mean face, before they learn anything.
STARTS = ("perspective", "pixel2mesh", "pixel2mesh_sphere")
# What the names do not say.
NOTES = """\
- `dual_resnet_images` does not read the 68 points, as published; `dual_resnet_published` has the published recipe, too,
  but for the size of windows and batches and for the number of epochs, of which the last half decay; `multiview` sees
  three pictures at a time; `radan` is with 3DDFA_V2's MobileNet; `deep3d` sees pictures and 68 points, no true shape or
  pose, but its bases, as `radan`'s, are the training people's. Neither reads the 68 points of a new picture, but for
  its window.
- `pixel2mesh` deforms the mean face, `..._sphere` half an ellipsoid; both are told true vertices, `..._points` points
  of true surfaces instead, of which nobody says which vertex they are.
- Chamfer and F1 need no correspondence either: the mesh's vertices beside the true ones, both canonical; flipped: the
  triangles that are turned away from the true ones.
- flips: the mean with what is made of the mirror image, in twice the time; subject: one identity for all images of a
  subject; ensemble: the mean of the runs of five folds.
- size told: the score if each face had its true size and were as much farther away, which no picture tells: a twice as
  large face at twice the distance looks the same.
- ±: half the 95 % interval, by bootstrap over subjects. min: of training, without validation."""
SEED, HELDOUT_SEED = 0, 1


def parse_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = StepParser(
        "Train all methods on one synthetic data root and score them on people that none has seen.",
        "python -m benchmarks.compare_methods --work_dir comparison",
    )
    parser.add_argument("--work_dir", type=Path, required=True, metavar="DIR", help="folder for all that is made")
    parser.add_argument(
        "--second_root", type=Path, metavar="DIR", help="a labelled data root of any topology, to be scored, too"
    )
    known = ",".join(METHODS)
    parser.add_argument("--methods", type=parse_methods, default=known, metavar="NAMES", help="which to compare")
    parser.add_argument(
        "--ensemble",
        type=parse_methods,
        default="perspective",
        metavar="NAMES",
        help="those of --methods that are trained on all five folds, for their mean; '' for none",
    )
    parser.add_argument("--num_subjects", type=number(int, 5), default=417, metavar="N", help="subjects of root/")
    parser.add_argument("--num_heldout", type=number(int, 5), default=60, metavar="N", help="subjects of heldout/")
    parser.add_argument("--num_actions", type=number(int, 1, 12), default=4, metavar="N", help="actions of each")
    parser.add_argument("--frames", type=number(int, 1), default=3, metavar="N", help="images of each action")
    parser.add_argument("--image_size", type=number(int, 64, 4096), default=400, metavar="PIXELS", help="of images")
    parser.add_argument("--img_size", type=number(int, 32), default=112, metavar="PIXELS", help="side of a window")
    parser.add_argument("--batch_size", type=number(int, NUM_VIEWS), default=32, metavar="N", help="images a step")
    parser.add_argument("--epochs", type=number(int, 1), default=4, metavar="N", help="passes over the images")
    parser.add_argument("--gpu_ids", type=parse_gpu_ids, default="0", metavar="IDS", help="as in step02; -1: the CPU")
    parser.add_argument("--num_workers", type=number(int, 0), default=2, metavar="N", help="that draw and read data")
    return parser.parse_args(arguments)


def parse_methods(text: str) -> list[str]:
    """An argparse type: names of METHODS with commas between them."""
    names = [name for name in text.split(",") if name]
    unknown = [name for name in names if name not in METHODS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown {', '.join(unknown)}; known are {', '.join(METHODS)}")
    return names


def main() -> None:
    options = parse_options()
    folds = {name: range(NUM_FOLDS if name in options.ensemble else 1) for name in options.methods}
    if not folds:
        raise InputError(f"--methods: wanted one or more of {', '.join(METHODS)}, got none")
    make_data(options, folds)
    for name, own in folds.items():
        for fold in own:
            train(options, name, fold)
    write_comparison(options, folds)


def call(script: str, arguments: Sequence[object]) -> None:
    """Runs a step script as a user does. One that is interrupted with us may save before it ends. Raises InputError
    where it fails, which has said why."""
    print(f"{script} {' '.join(map(str, arguments))}", flush=True)
    process = subprocess.Popen([sys.executable, str(HOUSE / script), *map(str, arguments)])
    try:
        status = process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGTERM)
        process.wait()
        raise
    if status:
        raise InputError(f"{script} ended with status {status}; the same command goes on from there")


def make_data(options: argparse.Namespace, folds: dict[str, range]) -> None:
    """The two data roots, and the caches of the folds of all methods, where they are not there."""
    size = {"num_actions": options.num_actions, "frames": options.frames, "image_size": options.image_size}
    size |= {"num_test_subjects": 1, "num_workers": max(1, options.num_workers)}
    for name, count, seed in (("root", options.num_subjects, SEED), ("heldout", options.num_heldout, HELDOUT_SEED)):
        if not (options.work_dir / name).exists():
            told = {"data_root": options.work_dir / name, "num_subjects": count, "seed": seed, **size}
            call("step00_synthesize.py", words(told))
    for fold in range(max(map(len, folds.values()))):
        methods = [METHODS[name].split()[1] for name, own in folds.items() if fold in own]
        bases = any(get_model_class(method).needs_bases for method in methods)
        cache = options.work_dir / f"cache_f{fold}"
        if not (cache / ("morphable.npz" if bases else "source.json")).exists():
            told = {"data_root": options.work_dir / "root", "cache_dir": cache, "fold": fold}
            told = words({**told, "num_workers": options.num_workers})
            call("step01_preparation.py", [*told, "--build_morphable"] if bases else told)


def words(told: dict[str, object]) -> list[str]:
    """Options as a command line has them."""
    return [word for name, value in told.items() for word in (f"--{name}", str(value))]


def run_folder(options: argparse.Namespace, name: str, fold: int) -> Path:
    return options.work_dir / "checkpoints" / f"{name}_f{fold}"


def train(options: argparse.Namespace, name: str, fold: int) -> None:
    """Trains a run, or its rest, unless it has all of its epochs."""
    folder = run_folder(options, name, fold)
    whole_sets = options.batch_size - (options.batch_size % NUM_VIEWS if name == "multiview" else 0)
    told = {
        "data_root": options.work_dir / "root",
        "cache_dir": options.work_dir / f"cache_f{fold}",
        "checkpoints_dir": folder.parent,
        "name": folder.name,
        "img_size": options.img_size,
        "batch_size": whole_sets,
        "epochs": options.epochs,
        "epochs_decay": options.epochs // 2,  # half of them, as published; the other presets do not look at it
        "seed": SEED,
        "num_pictures": 0,
        "num_workers": options.num_workers,
        "gpu_ids": ",".join(map(str, options.gpu_ids)) or -1,
    }
    command = [*METHODS[name].split(), *words(told)]
    if is_finished(folder, command):
        print(f"{folder}: is there")
        return
    call("step02_train.py", [*command, *(["--resume"] if folder.exists() else [])])
    if not is_finished(folder, command):
        raise InputError(f"{folder} was stopped before its last epoch; the same command goes on from there")


def is_finished(folder: Path, command: Sequence[str]) -> bool:
    """Whether a run has all of its epochs. Raises InputError where it had other options than this command gives."""
    if not (folder / "latest.pt").exists():
        return False
    run, wanted = read_run(folder / "latest.pt"), plain(parse_train_options(command)[0])
    changed = [
        f"--{name} {run.options[name]} (now {value})"
        for name, value in wanted.items()
        if name not in FREE_OPTIONS and name in run.options and run.options[name] != value
    ]
    if changed:
        raise InputError(f"{folder} was trained with {', '.join(changed)}: choose another --work_dir, or remove it")
    return run.state["epoch"] >= wanted["epochs"]


def write_comparison(options: argparse.Namespace, folds: dict[str, range]) -> None:
    """Scores all runs, writes the two files and prints the tables."""
    device, line = choose_device(options.gpu_ids)
    print(line)
    cv2.setNumThreads(0)
    first = read_run(run_folder(options, next(iter(folds)), 0) / "latest.pt")
    root = ResizedRoot(options.work_dir / "heldout", first.image_size)
    first.check_fits(root.root, root.topology(), root.projection())
    judged = {"heldout": read_labelled_images(root, mesh_figures)}
    if options.second_root:
        root = ResizedRoot(options.second_root, first.image_size)
        first.check_camera(root.root, root.projection())
        judged["second"] = read_labelled_images(root, point_figures)
    loading = device, options.num_workers
    rows = reference_rows(options, first, judged, *loading)
    for name, own in folds.items():
        rows += method_rows(options, name, own, judged, *loading)
    folder = options.work_dir
    content = {
        "options": plain(options),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
        "machine": f"{platform.machine()}, {line}",
        "images": {kind: describe(images.root) for kind, images in judged.items()},
        "runs": {f"{name}_f{fold}": told_options(options, name, fold) for name, own in folds.items() for fold in own},
        "rows": rows,
    }
    write_json(folder / "comparison.json", content)
    text = describe_tables(options, judged, rows)
    write_whole(folder / "comparison.md", lambda file: file.write(text.encode()))
    print(f"{text}figures: {folder / 'comparison.json'}, {folder / 'comparison.md'}")


def told_options(options: argparse.Namespace, name: str, fold: int) -> dict[str, Any]:
    """What a run was told, as plain types."""
    return json.loads((run_folder(options, name, fold) / "options.json").read_text())


def reference_rows(
    options: argparse.Namespace,
    first: TrainedRun,
    judged: dict[str, LabelledImages],
    device: torch.device,
    num_workers: int,
) -> list[Row]:
    """What learning nothing gets: the mean face, and what some of the methods start from."""
    models = {"mean face at mean pose": (first, MeanFace(first.statistics))}
    for name in STARTS:
        if name in options.methods:
            run = read_run(run_folder(options, name, 0) / "latest.pt")
            models[f"{name}, untrained"] = run, run.untrained_model()
    return [
        {"title": title}
        | {
            kind: images.figures(predict_images(run, model, images, device, num_workers), run)
            for kind, images in judged.items()
        }
        for title, (run, model) in models.items()
    ]


def method_rows(
    options: argparse.Namespace,
    name: str,
    folds: Sequence[int],
    judged: dict[str, LabelledImages],
    device: torch.device,
    num_workers: int,
) -> list[Row]:
    """The variants of the run of fold 0, and of the mean of all folds where there are several. Each run's predictions
    are aggregated before they are averaged, as in step04."""
    rows = {variant: {"title": title_of(name, variant)} for variant in VARIANTS}
    several = {variant: {"title": title_of(f"{name}, ensemble", variant)} for variant in ("", BOTH)}
    sums = {(kind, variant): PredictionSum() for kind in judged for variant in several}
    cost: Row = {}
    for fold in folds:
        run = read_run(run_folder(options, name, fold) / "latest.pt")
        model = run.model()
        own = {
            "parameters_millions": parameters_millions(model),
            "milliseconds": milliseconds_per_image(run, model, judged["heldout"], device),
            "minutes": training_minutes(options, run),
        }
        cost = {key: cost.get(key, 0.0) + value for key, value in own.items()}
        for kind, images in judged.items():
            found = predict_variants(run, several if fold else VARIANTS, images, device, num_workers)
            for variant in several:
                sums[kind, variant].add(found[variant], 1.0)
            if fold == 0:
                for variant, predictions in found.items():
                    rows[variant][kind] = images.figures(predictions, run)
        if fold == 0:
            rows[""] |= own
    if len(folds) == 1:
        return list(rows.values())
    for (kind, variant), total in sums.items():
        several[variant][kind] = judged[kind].figures(total.mean(), run)
    several[""] |= cost
    return [*rows.values(), *several.values()]


def title_of(name: str, variant: str) -> str:
    return f"{name}, {variant}" if variant else name


def training_minutes(options: argparse.Namespace, run: TrainedRun) -> float:
    """From the rate of each epoch, so that validation and interruptions do not count."""
    cache = read_cache(options.work_dir / f"cache_f{run.fold}", WcpaRoot(options.work_dir / "root"))
    rates = [line["train/images_per_second"] for line in read_metrics(run.path.parent) if "train/rate" in line]
    return sum(len(cache.train) / rate for rate in rates) / 60


def describe(root: WcpaRoot) -> str:
    """How many labelled images and subjects a data root has."""
    samples = root.samples("train")
    return f"{len(samples):,} images of {len({sample.subject for sample in samples})} subjects"


def describe_tables(options: argparse.Namespace, judged: dict[str, LabelledImages], rows: Sequence[Row]) -> str:
    """comparison.md."""
    trained = f"Trained on four fifths of {describe(WcpaRoot(options.work_dir / 'root'))}, {options.epochs} epochs"
    trained += f" of windows of {options.img_size} pixels, {options.batch_size} images a step."
    parts = [trained, f"{describe(judged['heldout'].root)} that none has seen:"]
    parts += [markdown_table(rows, MESH_COLUMNS, "heldout")]
    if "second" in judged:
        root = judged["second"].root
        parts += [f"{describe(root)} of {root.root.name}, by the 68 points:"]
        parts += [markdown_table(rows, POINT_COLUMNS, "second")]
    return "\n\n".join([*parts, NOTES]) + "\n"


if __name__ == "__main__":
    run_step(main)
