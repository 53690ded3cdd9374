"""What drawing synthetic people costs one core: data roots, and samples that are drawn while training.

    python -m benchmarks.bench_synthesis [--face_model PATH] [--image_size 800] [--img_size 256]

Data roots have 18 images of a subject, as with step00's defaults, and streamed samples are those of whole casts, so
that the characters' share is in both. What is done once a process is left out. All is processor time of one thread.
"""

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.comparison import Row, markdown_table
from data.synthetic.generate import generate_data_root, limited_threads
from data.synthetic.portraits import portrait, world
from data.synthetic.portraits.backdrop import STORE, Backdrops, painted
from data.synthetic.portraits.people import Studio
from data.synthetic_dataset import CAST, LANES, USES, SyntheticDataset, start_process, wanted_batch
from data.wcpa import WcpaRoot
from options.base_options import StepParser, number
from util.errors import run_step

SUBJECTS, ACTIONS, FRAMES = 7, 6, 3
CASTS, BATCH = 2, 32
SEED = 0
# The parts of a picture: where the function lies that does each. Others that it calls are not counted twice.
PARTS = (
    ("characters", Studio, "draw_character"),
    ("persons", Studio, "person"),
    ("faces and poses", world.PortraitWorld, "draw_shot"),
    ("backdrops", Backdrops, "draw"),
    ("light and geometry", world, "draw_lights"),
    ("light and geometry", world, "draw_portrait"),
    ("rasterizer", portrait, "draw_lit"),
    ("development", world, "develop"),
)
TITLES = tuple(dict.fromkeys(title for title, _, _ in PARTS))
COLUMNS = {"images/s": ("rate", 1), "ms an image": ("all", 1)} | {title: (title, 1) for title in TITLES}
COLUMNS |= {"the rest": ("rest", 1)}


class Clock:
    """Processor seconds by the names of what took them."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def watch(self, title: str, owner: Any, name: str) -> None:
        """From now on counts a function, without those in it that are counted, too. owner: its module or class."""
        setattr(owner, name, self.timed(title, getattr(owner, name)))

    def timed(self, title: str, function: Callable) -> Callable:
        """The function, counted."""

        def counted(*arguments: Any, **keywords: Any) -> Any:
            start, before = time.process_time(), sum(self.seconds.values())
            result = function(*arguments, **keywords)
            within = sum(self.seconds.values()) - before
            self.seconds[title] += time.process_time() - start - within
            return result

        return counted

    def figures(self, images: int) -> dict[str, float]:
        """Milliseconds of each part that an image took, of all, and of what is in no part, which is counted as "rest";
        and images a second."""
        seconds = sum(self.seconds.values())
        parts = {title: 1000 * value / images for title, value in self.seconds.items()}
        return parts | {"all": 1000 * seconds / images, "rate": images / seconds}


def make_root(folder: Path, num_subjects: int, image_size: int, face_model: Path | None) -> WcpaRoot:
    """A data root of training subjects, made in this process; of scan-based heads with wide poses."""
    poses = "challenge" if face_model is None else "wide"
    told = num_subjects, 0, ACTIONS, FRAMES, image_size, SEED, 0
    generate_data_root(folder, *told, face_model=face_model, poses=poses)
    return WcpaRoot(folder)


def measure(image_size: int, img_size: int, face_model: Path | None) -> dict[str, dict[str, float]]:
    """Figures by title: of a data root and, with a face model, of streamed samples. Changes the process it runs in."""
    clock, figures = Clock(), {}
    with tempfile.TemporaryDirectory() as folder:
        root = make_root(Path(folder) / "first", 1, image_size, face_model)
        if face_model is not None:
            for index in tqdm(range(STORE), desc="backdrops", leave=False):
                painted(index)
            for part in PARTS:
                clock.watch(*part)
        clock.timed("rest", make_root)(Path(folder) / "second", SUBJECTS, image_size, face_model)
        name = "procedural" if face_model is None else "scans"
        figures[f"{name}, data root of {image_size}x{image_size}"] = clock.figures(SUBJECTS * ACTIONS * FRAMES)
        if face_model is not None:
            count = CASTS * USES * BATCH
            look = root, root.samples("train"), root.topology(), ["local"], img_size, True
            data = SyntheticDataset(*look, epoch_samples=LANES * count, seed=SEED)
            data.read_batch([len(data) - 1])  # makes ready what draws them; its character is in none of the casts
            clock.seconds.clear()
            for turn in tqdm(range(CASTS * USES), desc="streaming", leave=False):
                clock.timed("rest", data.read_batch)(wanted_batch(turn * LANES, BATCH))
            figures[f"scans, streamed crops of {img_size}x{img_size}"] = clock.figures(count)
    return figures


def parse_options() -> argparse.Namespace:
    parser = StepParser(
        "What drawing synthetic people costs one core.",
        "python -m benchmarks.bench_synthesis --face_model ICT-FaceKit",
    )
    parser.add_argument(
        "--face_model", type=Path, metavar="PATH", help="as in step00; default: the procedural people alone"
    )
    parser.add_argument(
        "--image_size", type=number(int, 64, 4096), default=800, metavar="PIXELS", help="of the data roots' images"
    )
    parser.add_argument(
        "--img_size", type=number(int, 32), default=256, metavar="PIXELS", help="side of a streamed sample's window"
    )
    return parser.parse_args()


def main() -> None:
    options = parse_options()
    rows: list[Row] = []
    for face_model in dict.fromkeys((None, options.face_model)):
        with limited_threads(), start_process() as process:
            figures = process.submit(measure, options.image_size, options.img_size, face_model).result()
        rows += [{"title": title, "figures": values} for title, values in figures.items()]
    print(markdown_table(rows, COLUMNS, "figures"))
    print(
        f"\nA streamed character is in {USES * BATCH // CAST} samples; step00's subject in {ACTIONS * FRAMES} images."
    )


if __name__ == "__main__":
    run_step(main)
