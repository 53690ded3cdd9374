"""Checkpoints, reports and pictures on disk."""

import csv
import json

import cv2
import numpy as np
import pytest
import torch

from util.checkpoint import keep_as, load_checkpoint, pack_arrays, save_checkpoint, unpack_arrays, write_whole
from util.report import format_table, write_image_metrics, write_json
from util.run_log import RunLog
from util.statistics import LabelStatistics

STATE = {"model": {"weight": torch.arange(1000.0)}, "options": {"a": 1}, "topology": {}, "statistics": {}}


def test_checkpoint_comes_back(tmp_path):
    save_checkpoint(tmp_path / "latest.pt", STATE)
    state = load_checkpoint(tmp_path / "latest.pt")
    assert torch.equal(state["model"]["weight"], STATE["model"]["weight"])
    assert [path.name for path in tmp_path.iterdir()] == ["latest.pt"]


@pytest.mark.parametrize("links", [True, False])
def test_a_kept_checkpoint_stays_when_the_latest_is_replaced(tmp_path, monkeypatch, links):
    if not links:

        def refuse(*_):
            raise OSError

        monkeypatch.setattr("util.checkpoint.os.link", refuse)
    path = tmp_path / "latest.pt"
    for epoch in (1, 2):
        save_checkpoint(path, {**STATE, "epoch": epoch})
        keep_as(path, "best.pt")
    save_checkpoint(path, {**STATE, "epoch": 3})
    assert load_checkpoint(tmp_path / "best.pt")["epoch"] == 2
    assert sorted(file.name for file in tmp_path.iterdir()) == ["best.pt", "latest.pt"]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.99])
def test_checkpoint_that_is_cut_short_is_told(tmp_path, share):
    path = tmp_path / "latest.pt"
    save_checkpoint(path, STATE)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ValueError, match=r"latest\.pt: wanted a whole checkpoint"):
        load_checkpoint(path)


def test_other_files_and_no_file_are_told(tmp_path):
    torch.save({"weights": 1}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match="wanted one of this project's"):
        load_checkpoint(tmp_path / "other.pt")
    with pytest.raises(FileNotFoundError, match="--name"):
        load_checkpoint(tmp_path / "none.pt")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(file):
        file.write(b"half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_whole(path, fail)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_arrays_pack_and_unpack():
    components = np.ones((2, 1, 3)), np.ones((1, 1, 3))
    arrays = (np.ones(6), np.zeros(6), np.float32([[1, 2, 3]]), *components, np.ones(139), np.eye(139))
    statistics = LabelStatistics(*arrays)
    back = unpack_arrays(LabelStatistics, pack_arrays(statistics))
    np.testing.assert_array_equal(back.verts_mean, statistics.verts_mean)


def test_arrays_of_another_version_are_told():
    packed = {"six_mean": torch.zeros(6)}
    with pytest.raises(ValueError, match=r"wanted .*landmark_mean.*, got six_mean"):
        unpack_arrays(LabelStatistics, packed)


def test_reports_come_back(tmp_path):
    write_json(tmp_path / "a.json", {"score": 1.5})
    assert json.loads((tmp_path / "a.json").read_text()) == {"score": 1.5}
    metrics = {"score": np.array([1.0, 2.0]), "nme": np.array([0.25, 0.5])}
    write_image_metrics(tmp_path / "a.csv", [("007", "a", "1"), ("008", "b", "02")], metrics)
    with open(tmp_path / "a.csv") as file:
        assert list(csv.reader(file)) == [
            ["subject_id", "facial_action", "img_id", "score", "nme"],
            ["007", "a", "1", "1", "0.25"],
            ["008", "b", "02", "2", "0.5"],
        ]


def test_table_has_a_line_a_row():
    from util.report import TABLE

    figures = dict.fromkeys(TABLE.values(), 1.234)
    lines = format_table({"run": figures, "reference": figures}).splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("run ")
    assert lines[1].count("1.23") == len(TABLE)


def test_log_appends(tmp_path, capsys):
    for epoch in (0, 1):
        with RunLog(tmp_path) as log:
            log.say(f"epoch {epoch}")
            log.metrics({"score": 2.0}, epoch)
            log.picture("overlay", np.zeros((8, 8, 3), np.uint8), epoch)
    assert (tmp_path / "log.txt").read_text() == "epoch 0\nepoch 1\n"
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == [{"step": 0, "score": 2.0}, {"step": 1, "score": 2.0}]
    assert any(path.name.startswith("events") for path in tmp_path.iterdir())


def test_picture_comes_back_in_rgb(tmp_path):
    from util.pictures import save_picture

    image = np.zeros((16, 16, 3), np.uint8)
    image[..., 0] = 255
    save_picture(tmp_path / "red.png", image)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "red.png"))[0, 0], [0, 0, 255])
