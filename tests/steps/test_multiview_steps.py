"""multiview from training to the submission, by the real scripts, on a tiny data root with three images a set."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch

import step01_preparation
import step02_train
import step03_eval
import step04_make_submission
import step05_predict
from data.multiview_dataset import MultiviewDataset
from data.wcpa import WcpaRoot
from tests.steps.conftest import STRONG, BrightDetector
from util.evaluation import predict_chosen

TINY = "--model multiview --img_size 64 --batch_size 6 --epochs 1 --num_workers 0 --gpu_ids -1 --warmup_steps 0 "
TINY += "--num_pictures 2 --precision fp32 --accumulation 2 --fusion early"


def add_views(root) -> None:
    """A third image of each subject and action: the first one again."""
    for split in ("train", "test"):
        path = root / "list" / f"WCPA_track2_{split}.csv"
        rows = list(csv.reader(path.read_text().splitlines()))
        more = []
        for subject, action, image in rows[1:]:
            if image == "7":
                folder = (subject, action)
                for kind, end in (("image", "_ar.jpg"), ("68landmarks", "_68landmarks.txt"), ("info", "_info.npz")):
                    source = root.joinpath(kind, *folder, f"7{end}")
                    if source.exists():
                        shutil.copy(source, root.joinpath(kind, *folder, f"008{end}"))
                more.append([subject, action, "008"])
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([*rows, *more])
    example = root / "resources" / "example_submission.npy"
    np.save(example, np.zeros((6, np.load(example).shape[1]), np.float32))


@pytest.fixture
def place(data_root, tmp_path, run_script):
    """A data root of sets with its cache, images packed; the options that say where everything is."""
    add_views(data_root)
    data = ["--data_root", data_root, "--cache_dir", tmp_path / "cache", "--num_workers", 0]
    status, text = run_script(step01_preparation, *data, "--pack", "lossless", "--pack_margin", 1)
    assert status == 0, text
    return [*data, "--checkpoints_dir", tmp_path / "checkpoints", "--name", "tiny", "--gpu_ids", -1]


def test_multiview_is_trained_scored_and_submitted(place, data_root, tmp_path, run_script, monkeypatch):
    look = [*place, "--output_dir", tmp_path / "output", "--batch_size", 4, "--epoch", "latest"]
    status, text = run_script(step02_train, *place, *STRONG, *TINY.split(), "--data", "packed")
    assert status == 0, text
    root = WcpaRoot(data_root)
    samples = root.samples("train")
    status, text = run_script(step03_eval, *look, "--split", "val", "--num_mosaics", 1, "--flip_test")
    assert status == 0, text
    assert json.loads((tmp_path / "output" / "tiny" / "metrics.json").read_text())["metrics"]["score"] > 0
    # one line an image, in the order of the list
    with (tmp_path / "output" / "tiny" / "metrics.csv").open() as file:
        rows = [(row["subject_id"], row["facial_action"], row["img_id"]) for row in csv.DictReader(file)]
    validated = {row[0] for row in rows}
    assert rows == [tuple(sample) for sample in samples if sample.subject in validated]

    status, text = run_script(step04_make_submission, *look)
    assert status == 0, text  # which checks rotations
    submission = np.load(tmp_path / "output" / "my_submission.npy")
    # the images of one action have one mesh, in the order of the test list; of three images two are the same
    tests = root.samples("test")
    meshes = []
    for action in sorted({sample.action for sample in tests}):
        own = submission[[sample.action == action for sample in tests]]
        assert len(own) == 3
        assert (own[0, :-12] == own[:, :-12]).all()
        assert len(np.unique(own[:, -12:].round(4), axis=0)) == 2
        meshes.append(own[0, :-12])
    assert not np.array_equal(*meshes)

    monkeypatch.setattr("util.predictor.get_detector", lambda *_: BrightDetector())
    photos = ["--input", data_root / "image" / tests[0].subject, "--output_dir", tmp_path / "photos"]
    status, text = run_script(step05_predict, *photos, *place[-6:])
    assert status == 0, text


class Companions(torch.nn.Module):
    """Gives each image, as a mesh of one vertex, the sum of the indices of its set."""

    def forward(self, batch):
        return {}

    def reconstruct(self, outputs, batch):
        sums = torch.zeros(len(batch["set"])).index_add(0, batch["set"], batch["index"].float())
        return sums[batch["set"]].reshape(-1, 1, 1).expand(-1, 1, 3), torch.eye(4).repeat(len(batch["set"]), 1, 1)


def test_chosen_images_are_shown_as_predicted_in_their_sets(data_root):
    add_views(data_root)
    root = WcpaRoot(data_root)
    dataset = MultiviewDataset(root, root.samples("train"), root.topology(), (), 32, True)
    (everything,) = predict_chosen(Companions(), dataset, [range(30)], torch.device("cpu"))
    assert [index for index, _, _ in everything] == list(range(30))
    wanted = {index: float(verts[0, 0]) for index, verts, _ in everything}
    for index, total in wanted.items():
        own = [other for other, sample in enumerate(dataset.samples) if sample[:2] == dataset.samples[index][:2]]
        assert total == sum(own)
    chosen = [[7, 20, 3], [11]]
    shown = list(predict_chosen(Companions(), dataset, chosen, torch.device("cpu")))
    assert [[index for index, _, _ in batch] for batch in shown] == chosen
    assert all(float(verts[0, 0]) == wanted[index] for batch in shown for index, verts, _ in batch)


def test_mistakes_are_told(place, run_script):
    for arguments, message in (
        (["--dataset", "wcpa"], "--dataset: wanted multiview, which --model multiview learns from, got wcpa"),
        (["--data", "stream"], "--data stream: wanted --dataset wcpa, whose images come one by one, got multiview"),
        (["--sync_batch_norm"], "--sync_batch_norm: wanted a model of single images, got multiview"),
        (["--batch_size", 2], "--batch_size: wanted 3 or more, a set for each of 1 processes, got 2"),
        (["--view_dropout", 1], "wanted a number from 0 to below 1, got 1"),
        (["--fusion", "late"], "invalid choice: 'late'"),
    ):
        status, text = run_script(step02_train, *place, *TINY.split(), *arguments)
        assert status != 0
        assert message in text
        assert "Traceback" not in text
