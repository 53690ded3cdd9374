"""A run that has hardly learnt, a detector that sees what is bright, and step05 with both."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import step01_preparation
import step02_train
import step05_predict
from data.detectors import Detection
from models.backbones import RESNETS
from tests.small_networks import SMALL
from util.errors import run_step

TRAINING = "--img_size 32 --batch_size 4 --epochs 1 --num_workers 0 --gpu_ids -1 --warmup_steps 0 --num_pictures 0"
# at the usual rate the first steps throw faces about
TRAINING += " --lr 1e-5"
# Everything that changes training images.
STRONG = ["--config", Path(__file__).parents[2] / "configs" / "strong_augmentation.yml"]


class BrightDetector:
    """Finds what is brighter than the tiny root's backgrounds."""

    def detect(self, pixels):
        rows, columns = np.nonzero(pixels.max(axis=2) > 120)
        if len(rows) < 100:
            return []
        return [Detection(np.float64([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]), 1.0)]


@pytest.fixture(scope="module", autouse=True)
def small_networks():
    """The steps train small networks here; the script of a step in a process of its own trains the real ones."""
    with pytest.MonkeyPatch.context() as patch:
        put_small_networks(patch)
        yield


def put_small_networks(patch: pytest.MonkeyPatch) -> None:
    for name, network in SMALL.items():
        patch.setitem(RESNETS, name, network)


@pytest.fixture(scope="session")
def checkpoints(root_template, tmp_path_factory):
    """A folder with the run "tiny"."""
    folder = tmp_path_factory.mktemp("run")
    common = ["--data_root", str(root_template), "--cache_dir", str(folder / "cache")]
    training = ["--checkpoints_dir", str(folder / "checkpoints"), "--name", "tiny", "--precision", "fp32"]
    with pytest.MonkeyPatch.context() as patch:
        put_small_networks(patch)  # this fixture is made before those of a module
        patch.setattr(sys, "argv", ["step01_preparation.py", *common, "--num_workers", "0"])
        run_step(step01_preparation.main)
        patch.setattr(sys, "argv", ["step02_train.py", *common, *training, *TRAINING.split()])
        run_step(step02_train.main)
    return folder / "checkpoints"


@pytest.fixture
def photos(root_template, tmp_path):
    """A folder with two photos, one of them in a folder of its own."""
    images = sorted(root_template.glob("image/*/*/*.jpg"))
    (tmp_path / "photos" / "more").mkdir(parents=True)
    shutil.copy(images[0], tmp_path / "photos" / "one.jpg")
    shutil.copy(images[5], tmp_path / "photos" / "more" / "two.jpg")
    return tmp_path / "photos"


@pytest.fixture
def predict(checkpoints, tmp_path, run_script, monkeypatch):
    """Runs step05 with the tiny run; results go to out/."""
    monkeypatch.setattr("util.predictor.get_detector", lambda *_: BrightDetector())

    def run(source, *arguments, name="tiny", output=tmp_path / "out"):
        common = ["--name", name, "--checkpoints_dir", checkpoints, "--gpu_ids", -1, "--output_dir", output]
        inputs = [] if source is None else ["--input", source]
        return run_script(step05_predict, *inputs, *common, *arguments)

    return run


def names_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
