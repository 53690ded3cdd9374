"""--aggregate through the steps, with the tiny root, whose subjects have one shape each."""

import csv
import json
import shutil

import numpy as np
import pytest

import step03_eval
import step04_make_submission
from data.wcpa import WcpaRoot, read_sample_list, write_sample_list
from options.predict_options import parse_predict_options
from util.camera import WCPA_PROJECTION, project


@pytest.fixture
def trained(checkpoints, root_template, tmp_path):
    """Options for the run "tiny", the untouched data root, and a folder of one's own for results."""
    run = ["--data_root", root_template, "--cache_dir", checkpoints.parent / "cache", "--name", "tiny", "--gpu_ids", -1]
    run += ["--epoch", "latest"]  # the best is the untrained one, for which all shapes are one
    return [*run, "--checkpoints_dir", checkpoints, "--num_workers", 0, "--output_dir", tmp_path / "output"]


def submission(run_script, trained, tmp_path, *arguments):
    """verts (4, N, 3), rotations (4, 3, 3), and pixels (4, N, 2) where the vertices are seen, of the two images of two
    actions of one subject."""
    status, text = run_script(step04_make_submission, *trained, *arguments)
    assert status == 0, text
    rows = np.load(tmp_path / "output/my_submission.npy")
    verts, R, t = rows[:, :-12].reshape(4, -1, 3), rows[:, -12:-3].reshape(4, 3, 3), rows[:, -3:]
    return verts, R, project(verts @ R + t[:, None], WCPA_PROJECTION, 96, 96)[0]


def test_submissions_share_identities_in_the_order_of_the_list(trained, tmp_path, run_script, data_root):
    alone, _, _ = submission(run_script, trained, tmp_path)
    by_action, _, _ = submission(run_script, trained, tmp_path, "--aggregate", "action")
    verts, R, seen = submission(run_script, trained, tmp_path, "--aggregate", "subject", "--flip_test")
    flipped, _, seen_alone = submission(run_script, trained, tmp_path, "--flip_test")
    for one, other in ((0, 1), (2, 3)):
        assert not np.array_equal(alone[one], alone[other])
        np.testing.assert_array_equal(by_action[one], by_action[other])
        # the shapes hardly differ, and so do robust and plain mean, aligned or not
        np.testing.assert_allclose(by_action[one], alone[[one, other]].mean(axis=0), atol=2e-4)
    assert not np.array_equal(by_action[0], by_action[2])
    np.testing.assert_array_equal(verts, verts[:1].repeat(4, 0))
    np.testing.assert_allclose(verts[0], flipped.mean(axis=0), atol=5e-4)
    # poses stay apart, and each with its image
    distances = np.linalg.norm(seen_alone[:, None] - seen, axis=3).mean(axis=2)
    assert distances.argmin(axis=0).tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(R @ R.transpose(0, 2, 1), np.eye(3)[None].repeat(4, 0), atol=1e-5)  # float32

    root, order = WcpaRoot(data_root), [2, 0, 3, 1]
    samples = root.samples("test")
    write_sample_list(root.list_path("test"), [samples[place] for place in order])
    again = submission(run_script, [*trained, "--data_root", data_root], tmp_path, "--aggregate", "action")[0]
    np.testing.assert_array_equal(again, by_action[order])


def test_evaluation_scores_and_draws_what_is_aggregated(trained, tmp_path, run_script, checkpoints):
    figures = {}
    for how in ("none", "action", "subject"):
        status, text = run_script(
            step03_eval, *trained, "--split", "val", "--references", "--num_mosaics", 1, "--aggregate", how
        )
        assert status == 0, text
        content = json.loads((tmp_path / "output/tiny/metrics.json").read_text())
        with open(tmp_path / "output/tiny/metrics.csv") as file:
            rows = list(csv.DictReader(file))
        names = [tuple(row[key] for key in ("subject_id", "facial_action", "img_id")) for row in rows]
        assert names == read_sample_list(checkpoints.parent / "cache" / "val_list.csv")
        figures[how] = content["references"], np.float64([row["vertex_error_mm"] for row in rows])
        assert ("tiny (latest)" in text) == (how == "none")
        assert (f"tiny (latest, one identity for each {how})" in text) == (how != "none")
        page = (tmp_path / "output/tiny/index.html").read_text()
        assert (f"one identity for each {how}" in page) == (how != "none")
    references, errors = zip(*figures.values(), strict=True)
    assert references[0] == references[1] == references[2]
    # one true shape, and one predicted shape: one error
    alone, by_action, by_subject = errors
    assert len(set(alone)) == 4
    assert by_action[0] == by_action[1]
    assert by_action[2] == by_action[3]
    assert abs(by_action[0] - by_action[2]) > 1e-4  # mm; they are written with five decimals
    np.testing.assert_allclose(by_subject, by_subject[0], rtol=1e-6)


def test_compared_runs_and_test_images_are_aggregated(trained, tmp_path, run_script, checkpoints):
    shutil.copytree(checkpoints / "tiny", tmp_path / "runs/tiny")
    shutil.copytree(checkpoints / "tiny", tmp_path / "runs/copy")
    arguments = [*trained, "--checkpoints_dir", tmp_path / "runs", "--num_mosaics", 1, "--aggregate", "subject"]
    status, text = run_script(step03_eval, *arguments, "--split", "val", "--compare", "copy")
    assert status == 0, text
    content = json.loads((tmp_path / "output/tiny/metrics.json").read_text())
    assert content["compared"]["copy (latest, one identity for each subject)"] == content["metrics"]
    status, text = run_script(step03_eval, *arguments)
    assert status == 0, text
    assert (tmp_path / "output/tiny/0.jpg").exists()


def shapes_in(folder):
    shapes = {}
    for path in sorted(folder.rglob("*.npz")):
        with np.load(path) as arrays:
            shapes[path.relative_to(folder).as_posix()] = arrays["verts"]
    return shapes


def test_photos_in_folders_share_identities(predict, tmp_path, root_template):
    for subject in ("000101", "000102"):
        shutil.copytree(root_template / "image" / subject, tmp_path / "photos" / subject)
    for how in ("none", "action", "subject"):
        arguments = ["--want", "npz", "--steps", 1, "--epoch", "latest", "--aggregate", how]
        status, text = predict(tmp_path / "photos", *arguments, output=tmp_path / how)
        assert status == 0, text
    alone, by_action, by_subject = (shapes_in(tmp_path / how) for how in ("none", "action", "subject"))
    assert len(alone) == 8
    assert alone.keys() == by_action.keys() == by_subject.keys()
    assert len({verts.tobytes() for verts in alone.values()}) == 8
    for shapes, keys in ((by_action, 2), (by_subject, 1)):
        people = {}
        for name, verts in shapes.items():
            people.setdefault(tuple(name.split("/")[:keys]), set()).add(verts.tobytes())
        assert [len(different) for different in people.values()] == [1] * 2 * keys
        assert len(set.union(*people.values())) == 2 * keys


def test_photos_without_folders_are_refused(predict, photos, tmp_path):
    for source, name in ((photos, "more/two.jpg"), (photos / "one.jpg", "one.jpg")):
        status, text = predict(source, "--aggregate", "action")
        assert status == 1
        told = f"error: --aggregate action: wanted photos in folders <subject>/<action>/ below --input {source}, got "
        assert text.startswith(told)
        assert text.endswith(name)
    assert not (tmp_path / "out").exists()


def test_mistakes_are_refused(trained, run_script, capsys):
    for step in (step03_eval, step04_make_submission):
        status, text = run_script(step, *trained, "--aggregate", "set")
        assert (status, "--aggregate: invalid choice: 'set'" in text) == (2, True)
    with pytest.raises(SystemExit):
        parse_predict_options(["--input", "photos", "--same_person", "--aggregate", "subject"])
    assert "--aggregate: wanted --same_person or --aggregate subject, got both" in capsys.readouterr().err
