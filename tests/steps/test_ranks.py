"""The steps by two processes: the same weights, figures and files as by one, and an end to all when one has trouble."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch

import step01_preparation
import step02_train
from tests.steps import rank_script
from tests.synthetic.test_generate import fingerprints
from tests.util.test_distributed import OURS, TORCHRUN, finish
from util.distributed import Team

SCRIPT = Path(rank_script.__file__)
HOUSE = SCRIPT.parents[2]
ALONE = [sys.executable]
# Two shares of two; batch normalisation is frozen (rank_script.py), so that shares are as good as the whole.
TINY = "--img_size 32 --batch_size 4 --epochs 2 --num_workers 0 --gpu_ids -1 --warmup_steps 0 --num_pictures 2 "
TINY += "--precision fp32 --lr 1e-4"


def start(starter: list[str], scene: str, words: str) -> subprocess.Popen:
    threads = {"OMP_NUM_THREADS": "1"}  # of each process: another number adds up in another order
    return subprocess.Popen(
        [*starter, str(SCRIPT), scene, *words.split()],
        cwd=HOUSE,
        env={**os.environ, **threads, "PYTHONPATH": str(HOUSE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(starter: list[str], scene: str, words: str) -> tuple[int, str]:
    """The exit status and all that was printed."""
    return finish(start(starter, scene, words))


@pytest.fixture(scope="module")
def place(root_template, tmp_path_factory) -> Iterator[Path]:
    """A folder with a cache and the runs "one" and "two", trained by one process and by two."""
    place = tmp_path_factory.mktemp("ranks")
    (place / "data").symlink_to(root_template)
    status, text = run(ALONE, "", f"step01_preparation {roots(place)} --num_workers 0 and {training(place, 'one')}")
    assert status == 0, text
    status, text = run(TORCHRUN, "", f"{training(place, 'two')} --accumulation 2")
    assert status == 0, text
    assert text.count("run: ") == 1  # one process speaks
    yield place
    shutil.rmtree(place)  # gigabytes of checkpoints


def roots(place: Path) -> str:
    return f"--data_root {place}/data --cache_dir {place}/cache"


def training(place: Path, name: str) -> str:
    return f"step02_train {roots(place)} --checkpoints_dir {place}/checkpoints --name {name} {TINY}"


def checkpoint(place: Path, name: str) -> dict:
    return torch.load(place / "checkpoints" / name / "latest.pt", weights_only=True)


def check_same_training(place: Path, name: str) -> None:
    one, other = checkpoint(place, "one"), checkpoint(place, name)
    for part in ("model", "averaged"):
        for key, value in one[part].items():
            if not value.numel():  # the tiny root's faces do not move, so that there is no basis of expressions
                continue
            # Sums over the images in another order: float32 roundings, some 1e-7 of a gradient, in which Adam's first
            # steps can flip the sign of one that is nearly zero; 2 * 8 steps * rate 1e-4 bounds that, the mean is far
            # below it.
            difference = (value.double() - other[part][key].double()).abs()
            assert difference.max() <= 1.6e-3, key
            assert difference.mean() <= 1e-5, key
    assert other["epoch"] == one["epoch"] == 2
    assert other["best_score"] == pytest.approx(one["best_score"], rel=1e-3)


def test_two_train_as_one_does(place):
    check_same_training(place, "two")


def test_the_first_rank_alone_writes(place):
    one, two = (place / "checkpoints" / name for name in ("one", "two"))
    names = [sorted(path.name for path in run.iterdir() if not path.match("events*")) for run in (one, two)]
    assert names[0] == names[1]
    assert len(list(two.glob("events*"))) == 1
    lines = [[json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()] for run in (one, two)]
    assert [line["epoch"] for line in lines[1]] == [0, 1, 2]
    for first, second in zip(*lines, strict=True):
        assert first.keys() == second.keys()
        assert second["val/score"] == pytest.approx(first["val/score"], rel=1e-3)
        assert second.get("train/loss_total", 0.0) == pytest.approx(first.get("train/loss_total", 0.0), rel=1e-3)


def test_one_rank_is_asked_to_stop_and_one_process_goes_on(place):
    # in the middle of the second epoch of four steps
    status, text = run(OURS, "stop:1:5", training(place, "stopped"))
    assert status == 0, text
    assert "stopped in epoch 2; go on with --resume" in text
    assert (checkpoint(place, "stopped")["epoch"], checkpoint(place, "stopped")["step"]) == (1, 2)
    status, text = run(ALONE, "", f"{training(place, 'stopped')} --resume")
    assert status == 0, text
    check_same_training(place, "stopped")


def test_a_signal_to_torchrun_saves(place):
    process = start(TORCHRUN, "", f"{training(place, 'signal')} --epochs 500")
    log = place / "checkpoints/signal/log.txt"
    try:
        deadline = time.monotonic() + 60
        while not (log.exists() and "epoch   1" in log.read_text()) and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGTERM)
    _, text = finish(process)
    assert text.count("go on with --resume") == 1
    assert checkpoint(place, "signal")["epoch"] >= 1


def test_a_loss_that_is_not_finite_on_one_rank_names_its_images(place):
    status, text = run(OURS, "spoil:1:2", training(place, "spoiled"))
    assert status == 1
    # either rank tells it, perhaps before the first one's bar is wiped off
    (told,) = [line for line in text.splitlines() if line.startswith("error: ")]
    assert told.startswith("error: epoch 1/2, step 3: the loss is {'total': nan")
    assert told.count("_Neutral/") + told.count("_Smile/") == 2  # the share, of two, and not the batch
    assert "Traceback" not in text
    batch = torch.load(place / "checkpoints/spoiled/broken_batch.pt", weights_only=True)
    assert batch["verts"].isnan().any(dim=(1, 2)).tolist() == [True, False]


def test_a_rank_that_is_killed_ends_the_training(place):
    status, text = run(OURS, "kill:1:2", training(place, "killed"))
    assert status != 0
    assert "rank 0 lost another" in text or "rank 1 was ended by SIGKILL" in text
    assert "Traceback" not in text
    assert checkpoint(place, "killed")["epoch"] == 0  # as it began


def test_evaluation_submission_and_synthesis_are_the_same_by_two(place):
    used = f"{roots(place)} --checkpoints_dir {place}/checkpoints --name one"
    numbers = "--num_subjects 5 --num_test_subjects 2 --num_actions 1 --frames 1 --image_size 64 --num_workers 0"

    def everything(folder: str) -> str:
        out = f"--output_dir {place / folder} --num_workers 0 --batch_size 1 --gpu_ids -1"
        root = place / folder / "synthetic"
        return (
            f"step03_eval {used} {out} --split val --num_mosaics 1 and "
            f"step04_make_submission {used} {out} and "
            f"step04_make_submission {used} --name one,two {out} --output_dir {place / folder / 'mean'} and "
            f"step00_synthesize --data_root {root} {numbers}"
        )

    for starter, folder in ((ALONE, "by_one"), (TORCHRUN, "by_two")):
        (place / folder).mkdir()
        status, text = run(starter, "", everything(folder))
        assert status == 0, text
    one, two = fingerprints(place / "by_one"), fingerprints(place / "by_two")
    assert one == two
    assert {"one/metrics.csv", "one/val_0.jpg", "one/cases.jpg", "one/index.html"} <= one.keys()
    assert {"my_submission.npy", "mean/my_submission.npy"} <= one.keys()
    assert np.load(place / "by_two/my_submission.npy").shape == (4, 309)
    assert not list((place / "by_two").glob(".*"))


@pytest.mark.parametrize(
    ("module", "words", "message"),
    [
        (step02_train, "--batch_size 5", "--batch_size: wanted a multiple of the 2 processes, got 5"),
        (step02_train, "--sync_batch_norm", "--sync_batch_norm: wanted a GPU for each process, got the CPU"),
        (step01_preparation, "", "start it without torchrun"),
    ],
)
def test_what_a_team_cannot_do_is_told(place, run_script, monkeypatch, module, words, message):
    monkeypatch.setattr(module, "join_team", lambda: nullcontext(Team(size=2, local_size=2)))
    arguments = training(place, "odd") if module is step02_train else f"{module.__name__} {roots(place)}"
    status, text = run_script(module, *arguments.split()[1:], *words.split())
    assert (status, message in text) == (1, True)
