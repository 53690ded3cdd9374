"""Several runs in step04: their mean, and stacking on five folds, by the real scripts on a tiny data root."""

import re
import sys

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

import step01_preparation
import step02_train
import step04_make_submission
from data.cache import split_subjects
from data.wcpa import WcpaRoot
from tests.steps.conftest import TRAINING
from util.errors import run_step
from util.predictions import Predictions, predict_all


@pytest.fixture(scope="module")
def place(root_template, tmp_path_factory):
    """A folder with the caches of the five folds and a run on each, f0 to f4, and another method's on the first."""
    folder = tmp_path_factory.mktemp("folds")

    def step(module, *arguments):
        patch.setattr(sys, "argv", [f"{module.__name__}.py", "--data_root", str(root_template), *map(str, arguments)])
        run_step(module.main)

    with pytest.MonkeyPatch.context() as patch:
        runs = ["--checkpoints_dir", folder / "checkpoints", "--precision", "fp32", *TRAINING.split()]
        runs += ["--batch_size", 16]
        for fold in range(5):
            cache = ["--cache_dir", folder / f"cache_f{fold}"]
            pack = ["--pack", "--pack_margin", 10] if fold == 0 else []
            step(step01_preparation, *cache, "--fold", fold, "--num_workers", 0, *pack)
            step(step02_train, *cache, *runs, "--name", f"f{fold}", "--model", "direct", "--pooling", "average")
        cache = ["--cache_dir", folder / "cache_f0"]
        step(step02_train, *cache, *runs, "--name", "jmlr", "--model", "jmlr", "--backbone", "resnet18")
    for path in folder.glob("checkpoints/*/*.pt"):
        state = torch.load(path, weights_only=True)
        # without what is most of a checkpoint, and of the time to read it; the averaged weights are those that count
        torch.save({**state, "optimizer": {}, "model": {}}, path)
    return folder


@pytest.fixture
def submit(place, root_template, tmp_path, run_script):
    """Runs step04 with some runs; gives exit status, what was printed and the submission."""

    def run(names, *arguments):
        words = ["--data_root", root_template, "--checkpoints_dir", place / "checkpoints", "--gpu_ids", -1]
        words += ["--cache_dir", place / "cache_f0", "--num_workers", 0, "--output_dir", tmp_path / "output"]
        status, text = run_script(step04_make_submission, *words, "--name", names, *arguments)
        path = tmp_path / "output" / "my_submission.npy"
        submission = np.load(path) if path.exists() else None
        path.unlink(missing_ok=True)
        return status, text, submission

    return run


@pytest.fixture
def changed_runs(place, tmp_path):
    """Copies of the five runs whose checkpoints differ in something, in a folder of their own."""

    def make(**changes):
        for fold in range(5):
            folder = tmp_path / "checkpoints" / f"f{fold}"
            folder.mkdir(parents=True)
            state = torch.load(place / "checkpoints" / f"f{fold}" / "best.pt", weights_only=True)
            torch.save({**state, **changes}, folder / "best.pt")
        return ["--checkpoints_dir", tmp_path / "checkpoints"]

    return make


def best_score(place, name):
    return torch.load(place / "checkpoints" / name / "best.pt", weights_only=True)["best_score"]


def test_several_runs_are_averaged(submit, place):
    """Another method and another window among them, against each run's own submission."""
    names, rows, scores = ["f0", "f3", "jmlr"], [], []
    for name in names:
        status, text, submission = submit(name)
        assert status == 0, text
        assert "weight" not in text
        rows.append(submission.astype(np.float64))
        scores.append(best_score(place, name))
    weights = (1 / np.square(scores)) / np.sum(1 / np.square(scores))
    for how, chosen in (("validation", weights), ("equal", np.full(3, 1 / 3))):
        status, text, mean = submit(",".join(names), "--ensemble_weights", how)
        assert status == 0, text
        told = re.findall(r"^(\w+): weight (\S+), best validation score (\S+)$", text, re.MULTILINE)
        assert told == [(n, f"{w:.3f}", f"{s:.2f}") for n, w, s in zip(names, chosen, scores, strict=True)]
        wanted = sum(weight * row for weight, row in zip(chosen, rows, strict=True))
        linear = [*range(mean.shape[1] - 12), -3, -2, -1]
        np.testing.assert_allclose(mean[:, linear], wanted[:, linear], atol=1e-6)  # float32
        for image, row in enumerate(mean):
            turns = Rotation.from_matrix(np.stack([each[image, -12:-3].reshape(3, 3) for each in rows]))
            np.testing.assert_allclose(row[-12:-3].reshape(3, 3), turns.mean(chosen).as_matrix(), atol=1e-5)


def test_latest_and_the_flip_test_are_of_all(submit):
    usual = submit("f0,f1")[2]
    for more in (["--flip_test"], ["--data", "packed"]):
        status, text, submission = submit("f0,f1", "--epoch", "latest", *more)
        assert status == 0, text
        # a lossless pack changes nothing; one epoch is both best and latest, or the state before it is best
        assert submission.shape == usual.shape
        assert not np.array_equal(submission, usual) or more[0] == "--data"


def test_stacking_corrects_the_mean(submit, place):
    names = "f3,f0,f4,f1,f2"
    status, text, submission = submit(names, "--combine", "stack")
    assert status == 0, text
    assert "20 images kept from the runs, lower is better:" in text
    table = {line.split("  ")[0]: float(line.split()[-8]) for line in text.splitlines() if line.count(".") >= 8}
    assert table.keys() == {"f0 .. f4", "mean", "stack"}
    # one base is its own mean, and its scores are those of training's validation: 4 images in each fold
    scores = [best_score(place, f"f{fold}") for fold in range(5)]
    assert table["f0 .. f4"] == table["mean"] == pytest.approx(np.mean(scores), abs=0.006)  # two digits
    assert re.search(r"^regularisation: shape \S+, pose \S+ ", text, re.MULTILINE)
    # from any fold's cache, and from packs; the basis and whitening are the cache's, the predictions the same
    again = submit(names, "--combine", "stack", "--data", "packed")
    assert again[0] == 0, again[1]
    np.testing.assert_array_equal(again[2], submission)
    other = submit(names, "--combine", "stack", "--cache_dir", place / "cache_f2")
    assert other[0] == 0, other[1]
    assert "f0 .. f4" in other[1]


def test_infinite_regularisation_submits_the_mean(submit, monkeypatch):
    monkeypatch.setattr("util.stacking.STRENGTHS", (np.inf,))
    status, text, submission = submit("f0,f1,f2,f3,f4", "--combine", "stack")
    assert status == 0, text
    assert "regularisation: shape inf, pose inf" in text
    np.testing.assert_allclose(submission, submit("f0,f1,f2,f3,f4")[2], atol=2e-6)  # angles and back, float32


def test_the_test_list_is_corrected_as_the_images_kept_from_the_runs(submit, monkeypatch, root_template):
    """Whatever is wrong with all predictions in the same way is taken away: here the truth of the labelled images, and
    what the runs make of the others, both moved along the way in which the shapes of the tiny root differ most."""
    root = WcpaRoot(root_template)
    bias = 0.05 * np.float32([0, 1, 0]) * root.topology().template  # the subjects differ in width, height and depth
    turn = np.float32(Rotation.from_euler("z", 0.1).as_matrix())  # roll comes last: it is the last factor

    def biased(model, dataset, *others, **options):
        found = predict_all(model, dataset, *others, **options)
        verts, R_t = found.verts, found.R_t
        if dataset.labelled:
            labels = [root.read_label(sample, 99) for sample in dataset.samples]
            verts, R_t = (np.stack(part) for part in zip(*labels, strict=True))
        R_t = R_t.copy()
        R_t[:, :3, :3] = R_t[:, :3, :3] @ turn
        return Predictions(verts + bias, R_t, found.confidence)

    right = submit("f0,f1,f2,f3,f4")[2]
    monkeypatch.setattr(step04_make_submission, "predict_all", biased)
    status, text, wrong = submit("f0,f1,f2,f3,f4")
    assert status == 0, text
    status, text, submission = submit("f0,f1,f2,f3,f4", "--combine", "stack")
    assert status == 0, text
    for part in (slice(0, -12), slice(-12, -3)):
        left = np.linalg.norm(submission[:, part] - right[:, part], axis=1)
        assert (left < 0.5 * np.linalg.norm(wrong[:, part] - right[:, part], axis=1)).all(), (part, left)


def test_a_base_that_knows_its_training_subjects_by_heart_gains_nothing(submit, monkeypatch, root_template):
    """Each run gives the truth of what it was trained on, and a far-off mesh of all else. Were any labelled image
    predicted by a run that has seen it, the second level would learn from the truth."""
    root, seen = WcpaRoot(root_template), []

    def by_heart(model, dataset, device, batch_size, num_workers, title, team, **options):
        found = predict_all(model, dataset, device, batch_size, num_workers, title, team, **options)
        if not dataset.labelled:
            return found
        fold = int(re.fullmatch(r"fold (\d) by f(\d)", title)[2])
        train, val = split_subjects(root.samples("train"), fold)
        assert not set(dataset.samples) & set(train)
        assert dataset.samples == val
        seen.extend(dataset.samples)
        labels = [root.read_label(sample, 99) for sample in dataset.samples]
        known = np.array([sample in train for sample in dataset.samples])[:, None, None]
        verts = np.where(known, np.stack([verts for verts, _ in labels]), found.verts + 0.1)
        R_t = np.where(known, np.stack([R_t for _, R_t in labels]), found.R_t)
        return Predictions(verts.astype(np.float32), R_t.astype(np.float32), found.confidence)

    monkeypatch.setattr(step04_make_submission, "predict_all", by_heart)
    status, text, _ = submit("f0,f1,f2,f3,f4", "--combine", "stack")
    assert status == 0, text
    assert sorted(seen) == sorted(root.samples("train"))  # each image once
    line = next(line for line in text.splitlines() if line.startswith("f0 .. f4"))
    assert float(line.split()[-8]) > 1000  # ten times 0.1 m and more


def test_two_methods_are_stacked(submit, changed_runs, place, tmp_path):
    """The second one is the first by another name: the mean is as good as each, and weights add up."""
    options = torch.load(place / "checkpoints/f0/best.pt", weights_only=True)["options"]
    where = changed_runs(options={**options, "seed": 1})
    for fold in range(5):
        (tmp_path / f"checkpoints/f{fold}").rename(tmp_path / f"checkpoints/g{fold}")
        (tmp_path / f"checkpoints/f{fold}").symlink_to(place / f"checkpoints/f{fold}")
    names = ",".join(f"{method}{fold}" for fold in range(5) for method in "fg")
    status, text, submission = submit(names, "--combine", "stack", *where)
    assert status == 0, text
    lines = {line.split("  ")[0]: line.split()[-8:] for line in text.splitlines() if line.count(".") >= 8}
    assert lines["f0 .. f4"] == lines["g0 .. g4"] == lines["mean"]
    assert np.isfinite(submission).all()


def test_bad_ensembles_are_told(submit, changed_runs):
    status, text, _ = submit("f0,f1,f0")
    assert (status, "wanted each run once, got f0,f1,f0" in text) == (2, True)
    status, text, _ = submit("f0,nobody")
    assert (status, "nobody/best.pt: no such file" in text) == (1, True)
    status, text, submission = submit("f0,f1,f2,f4", "--combine", "stack")
    assert (status, "got no fold 3 in f0, f1, f2, f4; a missing fold K is trained by" in text) == (1, True)
    assert len(text.splitlines()) == 6  # the device, four weights, one message
    assert submission is None
    status, text, _ = submit("f0", "--combine", "median")
    assert status == 2
    where = changed_runs(best_score=float("inf"))
    status, text, _ = submit("f0,f1", *where)
    assert (status, "wanted positive validation scores of all runs, got [inf, inf]" in text) == (1, True)
    status, text, submission = submit("f0,f1", *where, "--ensemble_weights", "equal")
    assert status == 0, text


def test_runs_that_may_have_seen_what_they_are_tried_on_are_refused(submit, changed_runs, tmp_path):
    where = changed_runs()

    def refused(message, **changes):
        for name, change in changes.items():
            path = tmp_path / "checkpoints" / name / "best.pt"
            torch.save({**torch.load(path, weights_only=True), **change}, path)
        status, text, submission = submit("f0,f1,f2,f3,f4", *where, "--combine", "stack")
        assert (status, message in text, submission) == (1, True, None), text

    # each fold is there once, and two checkpoints say the other's
    refused("f2/best.pt: wanted the images of fold 1 of data root", f1={"fold": 2}, f2={"fold": 1})
    refused("f0/best.pt: wanted the images of fold 0 of data root", f0={"split_digest": "another"})
    refused("f0/best.pt: of a version that did not note the fold", f0={"fold": None})


def test_a_run_of_another_root_is_refused(submit, data_root, tmp_path, place, run_script):
    """Whose camera and meshes are the same, but not its subjects."""
    root = WcpaRoot(data_root)
    path = root.list_path("train")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    data = ["--data_root", data_root, "--cache_dir", tmp_path / "cache"]
    status, text = run_script(step01_preparation, *data, "--num_workers", 0)
    assert status == 0, text
    status, text, _ = submit("f0,f1,f2,f3,f4", "--combine", "stack", *data)
    assert (status, "got another split than by the good samples of cache" in text) == (1, True)
    status, text, _ = submit("f0,f1", *data)
    assert status == 0, text
    np.savetxt(data_root / "resources/projection_matrix.txt", 2 * np.eye(4))
    status, text, _ = submit("f0,f1", *data)
    assert (status, "wanted the camera of checkpoint" in text) == (1, True)
