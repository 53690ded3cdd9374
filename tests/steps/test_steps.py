"""The real scripts, one after the other, on a tiny data root; and what they answer to mistakes."""

import csv
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import step00_synthesize
import step01_preparation
import step02_train
import step03_eval
import step04_make_submission
from data.wcpa import WcpaRoot
from util.metrics import score_parts
from util.training import TrainingState

HOUSE = Path(__file__).parents[2]
TINY = ["--img_size", 32, "--batch_size", 4, "--epochs", 2, "--num_workers", 0, "--gpu_ids", -1]
TINY += ["--warmup_steps", 0, "--num_pictures", 2, "--precision", "fp32"]


@pytest.fixture
def prepared(data_root, tmp_path, run_script):
    """A data root with its cache; returns the options that say where everything is."""
    status, text = run_script(
        step01_preparation, "--data_root", data_root, "--cache_dir", tmp_path / "cache", "--num_workers", 0
    )
    assert status == 0, text
    return ["--data_root", data_root, "--cache_dir", tmp_path / "cache"]


@pytest.fixture
def trained(prepared, tmp_path, run_script):
    run = [*prepared, "--checkpoints_dir", tmp_path / "checkpoints", "--name", "tiny"]
    status, text = run_script(step02_train, *run, *TINY)
    assert status == 0, text
    return run


def test_synthetic_root_is_one_that_preparation_takes(tmp_path, run_script):
    root = tmp_path / "synthetic"
    numbers = ["--num_subjects", 5, "--num_test_subjects", 1, "--num_actions", 1, "--frames", 1, "--image_size", 96]
    status, text = run_script(step00_synthesize, "--data_root", root, *numbers, "--num_workers", 0)
    assert status == 0, text
    arguments = ["--data_root", root, "--cache_dir", tmp_path / "cache", "--num_workers", 0]
    status, text = run_script(step01_preparation, *arguments)
    assert status == 0, text
    assert "rejected: 0" in text
    assert "1220 vertices" in text
    status, text = run_script(step00_synthesize, "--data_root", root, *numbers)
    assert (status, "wanted a new or empty folder" in text) == (1, True)
    assert "Traceback" not in text


def test_preparation_writes_the_cache(prepared, tmp_path, wcpa_root):
    cache = tmp_path / "cache"
    with np.load(cache / "label_mean_std.npz") as labels:
        assert labels["label_6dof_mean"].shape == labels["label_6dof_std"].shape == (6,)
        assert labels["verts_mean"].shape == labels["verts_basis"].shape[1:] == (99, 3)
    with np.load(cache / "topology.npz") as arrays:
        assert arrays["template"].shape == (99, 3)
    rows = [row for name in ("train", "val") for row in csv.DictReader(open_text(cache / f"{name}_list.csv"))]
    assert len(rows) == 20
    assert {row["subject_id"] for row in rows} == {sample.subject for sample in wcpa_root.samples("train")}
    assert open_text(cache / "rejected.csv").read() == "subject_id,facial_action,img_id,reason\n"
    assert cv2.imread(str(cache / "check.jpg")).shape[1] == 1600


def open_text(path):
    import io

    return io.StringIO(path.read_text())


def test_bad_samples_are_listed_and_the_rest_goes_on(data_root, tmp_path, run_script):
    root = WcpaRoot(data_root)
    bad = root.samples("train")[6]
    root.landmarks_path(bad).write_text("1 2\n" * 67)
    arguments = ["--data_root", data_root, "--cache_dir", tmp_path / "cache", "--num_workers", 0]
    status, text = run_script(step01_preparation, *arguments)
    assert status == 0
    assert "rejected: 1" in text
    rows = list(csv.DictReader(open_text(tmp_path / "cache" / "rejected.csv")))
    assert [tuple(row.values())[:3] for row in rows] == [bad]
    assert "67 rows" in rows[0]["reason"]
    lists = (tmp_path / "cache" / "train_list.csv").read_text() + (tmp_path / "cache" / "val_list.csv").read_text()
    assert ",".join(bad) + "\n" not in lists
    status, text = run_script(step01_preparation, *arguments, "--max_rejected", 0.01)
    assert status == 1
    assert "1 of 24 samples are bad, more than --max_rejected 0.01" in text


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda root: (root / "resources/example.obj").write_text("v 0 0 0\nf 1 1 1 1\n"), "wanted a triangle"),
        (lambda root: np.save(root / "resources/kpt_ind.npy", np.arange(68) + 60), "key points: wanted vertex indices"),
        (lambda root: (root / "resources/kpt_ind.npy").write_bytes(b""), "resources: "),
        (
            lambda root: (root / "resources/projection_matrix.txt").write_text("1 0\n"),
            "projection_matrix.txt: wanted 4",
        ),
        (lambda root: (root / "list/WCPA_track2_train.csv").write_text("a,b\n"), "wanted the columns"),
        (lambda root: (root / "list/WCPA_track2_test.csv").unlink(), "WCPA_track2_test.csv"),
        (lambda root: (root / "image").rename(root / "images"), "no folder image"),
    ],
)
def test_broken_roots_end_in_one_message(data_root, tmp_path, run_script, break_it, message):
    break_it(data_root)
    status, text = run_script(step01_preparation, "--data_root", data_root, "--cache_dir", tmp_path / "cache")
    assert status == 1
    assert message in text
    assert text.startswith("error: ")
    assert "Traceback" not in text
    assert not (tmp_path / "cache" / "source.json").exists()


def test_an_obj_with_another_vertex_count_rejects_every_label(data_root, tmp_path, run_script):
    with open(data_root / "resources/example.obj", "a") as file:
        file.write("v 0 0.2 0\n")
    status, text = run_script(
        step01_preparation, "--data_root", data_root, "--cache_dir", tmp_path / "cache", "--num_workers", 0
    )
    assert status == 1
    assert "20 of 24 samples are bad" in text
    assert "wanted shape (100, 3), got (99, 3)" in text


def test_training_leaves_a_whole_run(trained, tmp_path):
    folder = tmp_path / "checkpoints" / "tiny"
    options = json.loads((folder / "options.json").read_text())
    assert options["img_size"] == 32
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [0, 1, 2]
    parts = [lines[2][f"val/{name}"] for name in ("score_all", "score_pose", "score_shape")]
    assert lines[2]["val/score"] == pytest.approx(sum(parts))
    assert {"latest.pt", "best.pt", "log.txt"} <= {path.name for path in folder.iterdir()}
    assert "epoch   2: loss" in (folder / "log.txt").read_text()


def test_the_options_of_a_run_repeat_it(trained, tmp_path, run_script):
    folder = tmp_path / "checkpoints"
    status, text = run_script(step02_train, "--config", folder / "tiny" / "options.json", "--name", "again")
    assert status == 0, text
    assert f"epochs: 2   [from {folder / 'tiny' / 'options.json'}; default: 20]" in text
    first, again = (json.loads((folder / name / "options.json").read_text()) for name in ("tiny", "again"))
    assert again == {**first, "name": "again"}
    first, again = (weights(folder / name)["model"] for name in ("tiny", "again"))
    assert all(torch.equal(value, again[name]) for name, value in first.items())


def test_steps_take_their_options_from_a_file(data_root, tmp_path, run_script):
    config = tmp_path / "run.yml"
    config.write_text(f"data_root: {data_root}\ncache_dir: {tmp_path / 'cache'}\nnum_workers: 0\n")
    status, text = run_script(step01_preparation, "--config", config)
    assert status == 0, text
    assert "config" not in json.loads((tmp_path / "cache" / "source.json").read_text())
    (tmp_path / "root.yml").write_text(
        f"data_root: {tmp_path / 'synthetic'}\nnum_subjects: 5\nnum_test_subjects: 1\nnum_actions: 1\nframes: 1\n"
        "image_size: 96\n"
    )
    status, text = run_script(step00_synthesize, "--config", tmp_path / "root.yml", "--num_workers", 0)
    assert status == 0, text
    config.write_text("data_root: D\nnum_worker: 0\n")
    status, text = run_script(step04_make_submission, "--config", config)
    assert status == 2
    assert f"error: config {config}: unknown num_worker; did you mean num_workers?\n" in text


def test_evaluation_and_submission(trained, tmp_path, run_script, data_root):
    out = ["--output_dir", tmp_path / "output", "--num_workers", 0]
    status, text = run_script(step03_eval, *trained, *out, "--split", "val", "--references")
    assert status == 0, text
    assert "mean face at mean pose" in text
    content = json.loads((tmp_path / "output/tiny/metrics.json").read_text())
    rows = list(csv.DictReader(open_text(tmp_path / "output/tiny/metrics.csv")))
    assert float(rows[0]["chamfer_mm2"]) > 0
    assert 0 <= float(rows[0]["flipped_percent"]) <= 100
    actions = {row["facial_action"] for row in rows}
    means = [np.mean([float(row["chamfer_p2m"]) for row in rows if row["facial_action"] == each]) for each in actions]
    assert content["metrics"]["chamfer_p2m_group_mean"] == pytest.approx(np.mean(means), rel=1e-5)
    assert f"{np.mean(means):.3f}" in text
    assert len(rows) == content["images"] == 4
    assert content["metrics"]["score"] == pytest.approx(np.mean([float(row["score"]) for row in rows]), rel=1e-5)
    assert set(content["references"]) == {"the same, untrained", "mean face at mean pose"}
    # the mean face's score, computed another way
    root, cache = WcpaRoot(data_root), tmp_path / "cache"
    with np.load(cache / "label_mean_std.npz") as labels:
        from util.pose import pose_from_6dof

        verts, R_t = labels["verts_mean"][None], pose_from_6dof(labels["label_6dof_mean"])[None]
    keys = [[row[key] for key in ("subject_id", "facial_action", "img_id")] for row in rows]
    truth = [np.load(data_root / "info" / key[0] / key[1] / f"{key[2]}_info.npz") for key in keys]
    scores = [score_parts(verts, R_t, t["verts"][None], t["R_t"][None])["score"][0] for t in truth]
    for file in truth:
        file.close()
    assert content["references"]["mean face at mean pose"]["score"] == pytest.approx(np.mean(scores), rel=1e-4)  # f32

    status, text = run_script(step03_eval, *trained, *out)
    assert status == 0, text
    for name in ("0.jpg", "val_0.jpg", "cases.jpg", "error_map.jpg"):
        assert cv2.imread(str(tmp_path / "output/tiny" / name)) is not None

    status, text = run_script(step04_make_submission, *trained, *out)
    assert status == 0, text
    submission = np.load(tmp_path / "output/my_submission.npy")
    assert (submission.shape, submission.dtype) == ((4, 3 * 99 + 12), np.float32)
    rotations = submission[:, -12:-3].reshape(-1, 3, 3)
    np.testing.assert_allclose(rotations @ rotations.transpose(0, 2, 1), np.eye(3)[None].repeat(4, 0), atol=1e-5)
    assert (submission[:, -1] < 0).all()
    assert sorted(path.name for path in (tmp_path / "output").iterdir()) == ["my_submission.npy", "tiny"]

    (root.root / "resources/example_submission.npy").write_bytes(b"short")
    status, text = run_script(step04_make_submission, *trained, *out)
    assert (status, "example_submission.npy: " in text) == (1, True)
    np.save(root.root / "resources/example_submission.npy", np.zeros((5, 309), np.float32))
    status, text = run_script(step04_make_submission, *trained, *out)
    assert status == 1
    assert "wanted float32 (5, 309)" in text


def test_the_report_compares_runs(trained, prepared, tmp_path, run_script):
    run = [*prepared, "--checkpoints_dir", tmp_path / "checkpoints", "--name", "other"]
    status, text = run_script(step02_train, *run, *TINY, "--model", "direct", "--epochs", 1)
    assert status == 0, text
    evaluation = [*trained, "--output_dir", tmp_path / "output", "--num_workers", 0, "--split", "val"]
    evaluation += ["--num_mosaics", 0, "--compare", "other"]
    status, text = run_script(step03_eval, *evaluation, "--references")
    assert status == 0, text
    assert not torch.is_inference_mode_enabled()
    page = tmp_path / "output/tiny/index.html"
    assert re.search(rf"^page: {page}, \d\.\d MB, to be opened in a browser$", text, re.MULTILINE)
    data = json.loads(re.search(r'<script type="application/json" id="page-data">(.*?)</script>', page.read_text())[1])
    assert data["models"] == ["tiny (best)", "other (best)"]
    rows = list(csv.DictReader(open_text(tmp_path / "output/tiny/metrics.csv")))
    # four digits in the page
    assert data["metrics"]["score"]["points"][0] == pytest.approx([float(row["score"]) for row in rows], rel=1e-3)
    content = json.loads((tmp_path / "output/tiny/metrics.json").read_text())
    assert set(content["compared"]) == {"other (best)"}
    mean = np.mean(data["metrics"]["score"]["points"][1])
    assert content["compared"]["other (best)"]["score"] == pytest.approx(mean, rel=1e-3)
    assert [len(case["predictions"]) for case in data["cases"]] == [2] * len(data["cases"])
    assert [history["epoch"] for history in data["history"]] == [[0, 1, 2], [0, 1]]

    status, text = run_script(step03_eval, *evaluation[:-1], "nobody")
    assert (status, "nobody/best.pt: no such file" in text) == (1, True)
    change_checkpoint(tmp_path / "checkpoints/other", split_digest="another")
    status, text = run_script(step03_eval, *evaluation)
    assert (status, "other/best.pt was trained on another split" in text) == (1, True)
    topology = weights(tmp_path / "checkpoints/other")["topology"]
    change_checkpoint(tmp_path / "checkpoints/other", topology={**topology, "keypoints": torch.arange(68)})
    status, text = run_script(step03_eval, *evaluation)
    assert (status, "other/best.pt and data root" in text, "different keypoints" in text) == (1, True, True)


def change_checkpoint(folder, **changes):
    (folder / "best.pt").unlink()
    torch.save({**weights(folder), **changes}, folder / "best.pt")


def test_a_run_without_its_history_is_reported(trained, tmp_path, run_script):
    (tmp_path / "checkpoints/tiny/metrics.jsonl").unlink()
    evaluation = [*trained, "--output_dir", tmp_path / "output", "--num_workers", 0, "--split", "val"]
    status, text = run_script(step03_eval, *evaluation, "--num_mosaics", 0)
    assert status == 0, text
    assert "There is no metrics.jsonl beside the checkpoint." in (tmp_path / "output/tiny/index.html").read_text()


def weights(folder):
    return torch.load(folder / "latest.pt", weights_only=True)


def stop_after_six(monkeypatch) -> list[int]:
    """Training is asked to stop at its sixth step, in the middle of the second epoch of four steps; gives a list with
    an entry a step."""
    train_step, calls = TrainingState.train_step, []

    def step(state, batch):
        calls.append(1)
        if len(calls) == 6:
            os.kill(os.getpid(), signal.SIGTERM)
        return train_step(state, batch)

    monkeypatch.setattr(TrainingState, "train_step", step)
    return calls


def test_a_stopped_and_resumed_run_equals_one_that_was_not(trained, prepared, tmp_path, run_script, monkeypatch):
    run = [*prepared, "--checkpoints_dir", tmp_path / "checkpoints", "--name", "stopped"]
    calls = stop_after_six(monkeypatch)
    status, text = run_script(step02_train, *run, *TINY)
    assert status == 0
    assert "stopped in epoch 2" in text
    assert (weights(tmp_path / "checkpoints/stopped")["epoch"], len(calls)) == (1, 6)
    status, text = run_script(step02_train, *run, *TINY, "--resume")
    assert status == 0, text
    assert len(calls) == 8
    whole, resumed = weights(tmp_path / "checkpoints/tiny"), weights(tmp_path / "checkpoints/stopped")
    for part in ("model", "averaged"):
        assert all(torch.equal(value, resumed[part][name]) for name, value in whole[part].items())
    assert whole["best_score"] == resumed["best_score"]


def test_a_signal_to_the_whole_process_group_saves_and_ends(prepared, tmp_path):
    """As a batch system or a terminal sends it: to the loader's workers too."""
    run = [*prepared, "--checkpoints_dir", tmp_path / "checkpoints", "--name", "group", *TINY]
    words = [*run, "--num_workers", 2, "--epochs", 500]
    folder = tmp_path / "checkpoints" / "group"
    process = subprocess.Popen(
        [sys.executable, HOUSE / "step02_train.py", *map(str, words)],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while "epoch   1" not in (text_of(folder / "log.txt")) and time.monotonic() < deadline:
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, output
    assert "go on with --resume" in output
    assert "Traceback" not in output
    assert weights(folder)["epoch"] >= 1


def text_of(path):
    return path.read_text() if path.exists() else ""


def test_runs_are_never_overwritten_and_resumed_only_as_they_were(trained, run_script):
    status, text = run_script(step02_train, *trained, *TINY)
    assert status == 1
    assert "exists: choose another --name, or go on with it by --resume" in text
    status, text = run_script(step02_train, *trained, *TINY, "--resume", "--lr", 0.5)
    assert status == 1
    assert "which had --lr 0.002 (now 0.5)" in text
    # a run from before an option had its default, whatever that is called now
    path = Path(trained[trained.index("--checkpoints_dir") + 1]) / "tiny" / "latest.pt"
    state = torch.load(path, weights_only=True)
    for name in ("nesterov", "lr_milestones", "lr_factor"):
        del state["options"][name]
    torch.save(state, path)
    status, text = run_script(step02_train, *trained, *TINY, "--resume", "--lr_factor", 0.5)
    assert (status, "which had --lr_factor 0.2 (now 0.5)" in text) == (1, True)
    status, text = run_script(step02_train, *trained, *TINY, "--resume")
    assert status == 0, text


def test_a_loss_that_is_not_finite_names_its_images(prepared, tmp_path, run_script):
    run = [*prepared, "--checkpoints_dir", tmp_path / "checkpoints", "--name", "wild"]
    status, text = run_script(step02_train, *run, *TINY, "--lr", 1e30)
    assert status == 1
    assert "the loss is" in text
    assert "/01_Neutral/" in text or "/02_Smile/" in text
    batch = torch.load(tmp_path / "checkpoints/wild/broken_batch.pt", weights_only=True)
    assert {"local", "global", "landmarks68", "verts", "R_t"} <= batch.keys()


def test_profiling_tells_where_the_time_goes_and_leaves_nothing(prepared, tmp_path, run_script):
    words = [*prepared, "--checkpoints_dir", tmp_path / "checkpoints", "--name", "profiled", *TINY]
    status, text = run_script(step02_train, *words, "--profile")
    assert status == 0, text
    assert "50 steps of 4 images" in text
    for phase in ("waiting for data", "copy", "forward", "backward", "optimizer"):
        assert phase in text
    assert "- --precision auto" in text
    assert not (tmp_path / "checkpoints").exists()


def test_batches_too_small_for_batch_normalisation_are_told(prepared, tmp_path, run_script):
    run = [*prepared, "--checkpoints_dir", tmp_path / "checkpoints", "--name", "small", *TINY]
    status, text = run_script(step02_train, *run, "--batch_size", 3, "--accumulation", 2)
    assert (status, "--batch_size: wanted two images or more at a time, for batch norm" in text) == (1, True)


def test_no_memory_says_what_to_try(prepared, tmp_path, run_script, monkeypatch):
    def run_out(state, batch):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(TrainingState, "train_step", run_out)
    run = [*prepared, "--checkpoints_dir", tmp_path / "checkpoints", "--name", "large"]
    status, text = run_script(step02_train, *run, *TINY)
    assert (
        status,
        "no memory on cpu for 4 images: try --accumulation 2, --batch_size 2 or a smaller --img_size" in text,
    ) == (1, True)


def test_another_split_is_neither_scored_nor_resumed(trained, tmp_path, run_script, data_root):
    arguments = ["--data_root", data_root, "--cache_dir", tmp_path / "cache", "--num_workers", 0]
    assert run_script(step01_preparation, *arguments, "--fold", 1)[0] == 0
    status, text = run_script(step03_eval, *trained, "--output_dir", tmp_path / "output", "--split", "val")
    assert (status, "was trained on another split" in text) == (1, True)
    status, text = run_script(step02_train, *trained, *TINY, "--resume")
    assert (status, "got another split in the cache" in text) == (1, True)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_sample_that_breaks_later_is_one_message_from_any_process(prepared, tmp_path, run_script, num_workers):
    root = WcpaRoot(prepared[1])
    for sample in root.samples("train")[1:]:  # the first one tells the cache which root it is
        root.image_path(sample).unlink()
    run = [*prepared, "--checkpoints_dir", tmp_path / "checkpoints", "--name", "broken"]
    status, text = run_script(step02_train, *run, *TINY, "--num_workers", num_workers)
    assert status == 1
    assert "Traceback" not in text
    assert "_ar.jpg" in text.splitlines()[-1]


def test_a_damaged_cache_is_told(prepared, tmp_path, run_script):
    (tmp_path / "cache" / "topology.npz").write_bytes(b"PK")
    run = [*prepared, "--checkpoints_dir", tmp_path / "checkpoints", "--name", "tiny"]
    status, text = run_script(step02_train, *run, *TINY)
    assert (status, "is damaged" in text) == (1, True)


def test_mistakes_after_preparation_end_in_one_message(trained, tmp_path, run_script, data_root):
    folder = tmp_path / "checkpoints" / "tiny"
    status, text = run_script(step04_make_submission, *trained[:-1], "nobody", "--output_dir", tmp_path / "output")
    assert (status, "no such file; is --name right" in text) == (1, True)

    whole = (folder / "best.pt").read_bytes()
    (folder / "best.pt").write_bytes(whole[: len(whole) // 2])
    status, text = run_script(step03_eval, *trained, "--output_dir", tmp_path / "output")
    assert (status, "wanted a whole checkpoint" in text) == (1, True)
    (folder / "best.pt").write_bytes(whole)

    matrix = data_root / "resources/projection_matrix.txt"
    camera = matrix.read_text()
    np.savetxt(matrix, np.loadtxt(matrix) * [2, 1, 1, 1])
    status, text = run_script(step04_make_submission, *trained, "--output_dir", tmp_path / "output")
    assert (status, "wanted the camera of checkpoint" in text) == (1, True)
    matrix.write_text(camera)

    np.save(data_root / "resources/kpt_ind.npy", np.arange(68))
    status, text = run_script(step03_eval, *trained, "--output_dir", tmp_path / "output")
    assert (status, "different keypoints" in text) == (1, True)
    status, text = run_script(step02_train, *trained[:-1], "other", *TINY)
    assert (status, "belongs to another data root" in text) == (1, True)
    status, text = run_script(step02_train, *trained[:-1], "other", *TINY, "--cache_dir", tmp_path / "none")
    assert (status, "run step01_preparation.py first" in text) == (1, True)


@pytest.mark.parametrize("script", sorted(HOUSE.glob("step0*.py")), ids=lambda path: path.stem)
def test_usage_errors_end_with_status_two(script, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [script.name, "--nonsense"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(script), run_name="__main__")
    assert end.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
