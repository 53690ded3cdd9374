"""Makes docs/synthetic.jpg, the contact sheet of docs/synthetic.md: what comes first for a fixed seed, nothing chosen.

python -m docs.synthetic_sheet --face_model ICT-FaceKit

Four rows of samples as training sees them that draws its own, then a row of pictures as data roots have them.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from data.synthetic.generate import generate_data_root
from data.synthetic_dataset import SyntheticDataset
from data.wcpa import WcpaRoot
from util.errors import run_step
from util.pictures import mosaic, save_picture

COLUMNS, ROWS = 6, 4
TILE = 160
SIZE = 800
SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--face_model", type=Path, required=True, metavar="PATH", help="as in step00")
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).with_name("synthetic.jpg"), metavar="FILE", help="picture to make"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        generate_data_root(Path(folder), COLUMNS, 0, 1, 1, SIZE, SEED, 0, face_model=options.face_model, poses="wide")
        root = WcpaRoot(folder)
        look = root, root.samples("train"), root.topology(), ["local"], TILE, False
        pictures = [root.read_image(sample) for sample in root.samples("train")]
        drawn = SyntheticDataset(*look, seed=SEED, epoch_samples=COLUMNS * ROWS).read_batch(range(COLUMNS * ROWS))
    windows = drawn["local"].numpy().transpose(0, 2, 3, 1)
    save_picture(options.output, mosaic([*np.ascontiguousarray(windows), *pictures], COLUMNS, TILE))


if __name__ == "__main__":
    run_step(main)
