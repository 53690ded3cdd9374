"""deep3d and deep3d_sets from training to submission and photos, and published files, by the real scripts."""

import json
import shutil

import cv2
import numpy as np
import pytest
import torch
import torchvision
from scipy.io import loadmat

import step01_preparation
import step02_train
import step03_eval
import step04_make_submission
import step05_predict
from data.wcpa import SampleId, WcpaRoot
from data.wcpa_dataset import WcpaDataset
from models.backbones import RESNETS
from models.loading import read_run
from tests.models.published_deep3d import write_bases, write_weights
from tests.steps.test_steps import stop_after_six, weights
from util.camera import project, transform
from util.errors import run_step

TINY = "--img_size 64 --num_workers 0 --gpu_ids -1 --warmup_steps 0 --num_pictures 0 --precision fp32"


def add_smiles(root):
    """Moves the labels of one of the two actions, so that there is an expression to be learnt."""
    for number, path in enumerate(sorted(root.glob("info/*/02_Smile/*.npz"))):
        with np.load(path) as arrays:
            verts, R_t = arrays["verts"], arrays["R_t"]
        verts[:, 2] += (0.002 + 0.001 * (number % 3)) * np.cos(30 * verts[:, 0])
        np.savez(path, verts=verts, R_t=R_t)


@pytest.fixture(scope="module")
def trained(root_template, tmp_path_factory):
    """A folder with a cache with a morphable model, and the run "single" and the run "sets" from it."""
    folder = tmp_path_factory.mktemp("deep3d_steps")
    shutil.copytree(root_template, folder / "data")
    add_smiles(folder / "data")
    data = ["--data_root", folder / "data", "--cache_dir", folder / "cache", "--num_workers", 0]
    runs = ["--checkpoints_dir", folder / "checkpoints", *TINY.split()]
    single = ["--name", "single", "--model", "deep3d", "--batch_size", 6, "--epochs", 2]
    sets = ["--name", "sets", "--model", "deep3d_sets", "--batch_size", 6, "--epochs", 1, "--lr", 1e-2]
    sets += ["--single_run", folder / "checkpoints/single/latest.pt"]
    with pytest.MonkeyPatch.context() as patch:
        for script, arguments in (
            (step01_preparation, [*data, "--build_morphable"]),
            (step02_train, [*data, *runs, *single]),
            (step02_train, [*data, *runs, *sets]),
        ):
            patch.setattr("sys.argv", [script.__name__, *map(str, arguments)])
            run_step(script.main)
    # evaluation needs no other file than a run's own
    shutil.move(folder / "checkpoints/single/best.pt", folder / "best.pt")
    return folder


def options_of(trained, tmp_path, name):
    options = ["--data_root", trained / "data", "--cache_dir", trained / "cache", "--num_workers", 0, "--gpu_ids", -1]
    options += ["--checkpoints_dir", trained / "checkpoints", "--name", name, "--epoch", "latest"]
    return [*options, "--output_dir", tmp_path / "output"]


def test_sets_keep_the_single_network(trained):
    single, sets = (read_run(trained / f"checkpoints/{name}/latest.pt").model() for name in ("single", "sets"))
    for name, tensor in single.network.state_dict().items():
        assert torch.equal(tensor, sets.network.state_dict()[name]), name
    # it has learnt to tell images apart
    assert any(parameter.any() for parameter in sets.confidence_network.final_layers.parameters())
    assert "R-Net: that of" in (trained / "checkpoints/sets/log.txt").read_text()


def test_a_stopped_run_goes_on_without_its_single_run(trained, tmp_path, run_script, monkeypatch):
    single = tmp_path / "single.pt"
    shutil.copy(trained / "checkpoints/single/latest.pt", single)
    words = ["--data_root", trained / "data", "--cache_dir", trained / "cache", *TINY.split(), "--model", "deep3d_sets"]
    words += ["--checkpoints_dir", tmp_path / "checkpoints", "--single_run", single, "--batch_size", 6, "--epochs", 4]
    assert run_script(step02_train, *words, "--name", "whole")[0] == 0
    calls = stop_after_six(monkeypatch)
    status, text = run_script(step02_train, *words, "--name", "stopped")
    assert (status, len(calls), f"R-Net: that of {single}" in text) == (0, 6, True), text
    single.unlink()
    status, text = run_script(step02_train, *words, "--name", "stopped", "--resume")
    assert (status, "perceptual loss: left out" in text, "R-Net: that of" in text) == (0, True, False), text
    assert len(calls) > 6
    whole, resumed = (weights(tmp_path / "checkpoints" / name) for name in ("whole", "stopped"))
    for part in ("model", "averaged"):
        assert all(torch.equal(value, resumed[part][name]) for name, value in whole[part].items())


@pytest.mark.parametrize("name", ["single", "sets"])
def test_aggregated_subjects_have_one_identity(trained, tmp_path, run_script, name):
    options = options_of(trained, tmp_path, name)
    status, text = run_script(step03_eval, *options, "--split", "val", "--aggregate", "subject", "--num_mosaics", 1)
    assert status == 0, text
    assert f"{name} (latest, one identity for each subject)" in text
    assert np.isfinite(json.loads((tmp_path / f"output/{name}/metrics.json").read_text())["metrics"]["score"])

    rows = {}
    for how in ("none", "subject"):
        status, text = run_script(step04_make_submission, *options, "--aggregate", how, "--batch_size", 4)
        assert status == 0, text
        rows[how] = np.load(tmp_path / "output/my_submission.npy")[:, :-12].reshape(4, -1, 3)
    # four images of one subject: with the identity fused they differ by expressions alone
    bases = read_run(trained / f"checkpoints/{name}/latest.pt").bases.model
    assert len(bases.expression) > 0
    expressions = bases.expression.reshape(len(bases.expression), -1).astype(np.float64)
    for how, differs in (("none", True), ("subject", False)):
        moves = (rows[how] - rows[how].mean(axis=0)).reshape(4, -1).astype(np.float64)
        left = moves - np.linalg.lstsq(expressions.T, moves.T, rcond=None)[0].T @ expressions
        assert bool(np.abs(left).max() > 1e-7) is differs, how  # float32 of 0.1 m


def test_photos_by_runs(trained, root_template, tmp_path, run_script):
    images = sorted(root_template.glob("image/*/*/*.jpg"))[:2]
    (tmp_path / "photos").mkdir()
    for number, image in enumerate(images):
        shutil.copy(image, tmp_path / f"photos/{number}.jpg")
        landmarks = root_template.joinpath("68landmarks", *image.parts[-3:-1], image.name.replace("_ar.jpg", ""))
        shutil.copy(f"{landmarks}_68landmarks.txt", tmp_path / f"photos/{number}_68landmarks.txt")
    for name in ("single", "sets"):
        weights, output = trained / f"checkpoints/{name}/latest.pt", tmp_path / name
        arguments = ["--input", tmp_path / "photos", "--method", "deep3d", "--weights", weights, "--gpu_ids", -1]
        status, text = run_script(step05_predict, *arguments, "--output_dir", output)
        assert status == 0, text
        assert "guessed" not in text
        names = {path.name for path in output.iterdir()}
        ends = (".png", ".obj", ".mat", "_overlay.jpg", "_pose.json", "_pose.jpg")
        assert names == {f"{n}{end}" for n in range(2) for end in ends} | {"faces.csv", "contact_sheet.jpg"}
        assert loadmat(output / "1.mat")["lm68"].shape == (1, 68, 2)
        # the photos' camera is taken for the root's: what evaluation makes of these images
        run = read_run(weights)
        model, root = run.model().eval(), WcpaRoot(root_template)
        samples = [SampleId(*image.parts[-3:-1], image.name.replace("_ar.jpg", "")) for image in images]
        batch = WcpaDataset(root, samples, run.topology, model.windows, 64, labelled=True).read_batch([0, 1])
        with torch.inference_mode():
            _, R_t = model.reconstruct(model(batch), batch)
        for number in range(2):
            (face,) = json.loads((output / f"{number}_pose.json").read_text())["faces"]
            np.testing.assert_allclose(face["R_t"], R_t[number], atol=1e-4)  # float32 of 100 pixels


@pytest.fixture
def published(tmp_path, monkeypatch):
    # published weights are those of the real network
    monkeypatch.setitem(RESNETS, "resnet18", torchvision.models.resnet18)
    (tmp_path / "photos/detections").mkdir(parents=True)
    weights, bases = write_weights(tmp_path)[0], write_bases(tmp_path)[0]
    return ["--method", "deep3d", "--weights", weights, "--bases", bases, "--gpu_ids", -1]


def test_photos_by_published_files(published, root_template, tmp_path, run_script):
    image = sorted(root_template.glob("image/*/*/*.jpg"))[0]
    for name in ("given", "box"):
        shutil.copy(image, tmp_path / f"photos/{name}.jpg")
    points = np.float64([[35, 40], [60, 40], [48, 55], [38, 66], [58, 66]])
    np.savetxt(tmp_path / "photos/detections/given.txt", points)
    (tmp_path / "boxes.csv").write_text("image,left,top,right,bottom\nbox.jpg,25,25,75,80\n")
    arguments = ["--input", tmp_path / "photos", "--boxes", tmp_path / "boxes.csv", "--output_dir", tmp_path / "out"]
    status, text = run_script(step05_predict, *published, *arguments, "--fov", 14)
    assert status == 0, text
    assert f"five points guessed from the face's box, which is worse than given ones, in 1: {tmp_path}" in text
    for name in ("given", "box"):
        mat, pose = loadmat(tmp_path / f"out/{name}.mat"), json.loads((tmp_path / f"out/{name}_pose.json").read_text())
        lines = [line.split() for line in (tmp_path / f"out/{name}.obj").read_text().splitlines()]
        vertices = np.float64([line[1:4] for line in lines if line[0] == "v"])
        (face,) = pose["faces"]
        # The obj is turned as Deep3D's camera sees it; put back upright it is the mesh that the pose is of.
        angles = mat["angle"][0].astype(np.float64)
        upright = (vertices - mat["trans"][0]) @ column_rotation(angles)
        seen, _ = project(transform(0.1 * upright, np.array(face["R_t"])), np.array(face["projection"]), 96, 96)
        keypoints = loadmat(published[5])["keypoints"][0] - 1
        # the photo is as far away as the published camera is, but not straight before it
        crop = mat["lm68"][0] + [0, 1]
        moved = np.column_stack([crop, np.ones(68)])
        affine = np.linalg.lstsq(moved, seen[keypoints], rcond=None)[0]
        assert np.linalg.norm(moved @ affine - seen[keypoints], axis=1).max() < 0.5


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_nothing_but_earlier_results_is_replaced(published, root_template, tmp_path, run_script, monkeypatch):
    monkeypatch.chdir(tmp_path)
    photos, image = tmp_path / "photos", cv2.imread(str(sorted(root_template.glob("image/*/*/*.jpg"))[0]))
    (photos / "more").mkdir()
    for name in ("a.png", "b.jpg", "b.png", "c.jpg", "more/a.png", "contact_sheet.jpg"):
        cv2.imwrite(str(photos / name), image)
    (photos / "c.mat").write_text("labels")
    (tmp_path / "link").symlink_to("photos")
    (tmp_path / "linked.png").symlink_to("photos/a.png")
    (tmp_path / "a.png").symlink_to("photos/a.png")
    before = contents(photos)
    for source, output, lost in (
        ("photos/a.png", "photos", "a.png"),
        (photos / "a.png", "photos/../photos", "a.png"),
        ("photos/a.png", "link", "a.png"),
        ("link/a.png", photos, "a.png"),
        ("a.png", "photos", "a.png"),  # a link to what would be replaced
        ("photos/b.jpg", "photos", "b.png"),  # another photo
        ("photos/c.jpg", "photos", "c.mat"),
        ("photos/contact_sheet.jpg", "photos", "contact_sheet.jpg"),
        ("photos", "photos/more", "more/a.png"),
        ("photos/more", "photos", "a.png"),
    ):
        status, text = run_script(step05_predict, *published, "--input", source, "--output_dir", output)
        assert (status, "nothing but earlier results would be replaced, got one with 1: " in text) == (1, True), text
        assert text.strip().endswith(lost)
        assert contents(photos) == before


def test_results_go_beside_a_photo_and_are_replaced(published, root_template, tmp_path, run_script):
    photos = tmp_path / "photos"
    shutil.copy(sorted(root_template.glob("image/*/*/*.jpg"))[0], photos / "one.jpg")
    np.savetxt(photos / "detections/one.txt", np.float64([[35, 40], [60, 40], [48, 55], [38, 66], [58, 66]]))
    before = contents(photos)
    for _ in range(2):
        status, text = run_script(
            step05_predict, *published, "--input", photos / "one.jpg", "--output_dir", photos, "--fov", 14
        )
        assert status == 0, text
    after = contents(photos)
    assert {path: after[path] for path in before} == before
    assert {photos / f"one{ending}" for ending in (".png", ".obj", ".mat", "_pose.json")} < after.keys()


def column_rotation(angles):
    x, y, z = angles
    turn_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    turn_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    turn_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    return turn_z @ turn_y @ turn_x


def test_what_means_nothing_is_refused(published, trained, tmp_path, run_script):
    common = ["--input", tmp_path / "photos", "--output_dir", tmp_path / "out"]
    cases = [
        (["--method", "deep3d"], 2, "--weights: wanted a path, for --method deep3d, got none"),
        ([*published, "--want", "depth"], 1, "--want: means nothing for --method deep3d, got ['depth']"),
        ([*published, "--same_person"], 1, "--same_person: means nothing for --method deep3d, got True"),
        ([*published, "--statistics", "x.pkl"], 1, "--statistics: means nothing for --method deep3d, got x.pkl"),
        (published[:4], 1, "wanted --bases, the face model that they tell the numbers of, got None"),
        (
            [*published, "--weights", trained / "checkpoints/single/latest.pt"],
            1,
            "wanted no --bases, as a run has its own, got ",
        ),
    ]
    shutil.copy(__file__, tmp_path / "photos/one.jpg")  # a photo by its name
    for arguments, status, message in cases:
        got, text = run_script(step05_predict, *common, *arguments)
        assert (got, message in text) == (status, True), text


def test_new_runs_of_sets_want_a_single_run(trained, root_template, run_script):
    runs = [
        "--checkpoints_dir",
        trained / "checkpoints",
        "--data_root",
        root_template,
        "--cache_dir",
        trained / "cache",
    ]
    runs += [*TINY.split(), "--name", "other", "--model", "deep3d_sets", "--batch_size", 6]
    status, text = run_script(step02_train, *runs)
    assert status == 1
    assert "error: --single_run: wanted the checkpoint of a trained deep3d run" in text
    assert not (trained / "checkpoints/other").exists()
    status, text = run_script(step02_train, *runs, "--dataset", "wcpa")
    assert (status, "--dataset: wanted multiview, which --model deep3d_sets learns from, got wcpa" in text) == (2, True)
