"""step05 --method 3ddfa with a made-up network, statistics and bases: every file, read back and compared."""

import csv
import json
import shutil

import cv2
import numpy as np
import pytest
import torch
from scipy.io import loadmat

import step01_preparation
import step02_train
import step05_predict
from data.photos import read_photo
from models.loading import read_run
from models.mobilenet import load_mobilenet
from models.scaled_orthography import crop_points
from models.threeddfa import RunRegressor
from tests.made_up_threeddfa import (
    DEVIATIONS,
    EXPRESSION,
    IDENTITY,
    KEYPOINTS,
    MEAN,
    TRIANGLES,
    USUAL,
    write_bases,
    write_facekit,
    write_point_bases,
    write_statistics,
    write_weights,
)
from tests.steps.conftest import BrightDetector, names_in
from util.crops import square_of_landmarks
from util.threeddfa_predictor import ThreeddfaPredictor

EACH = [".mat", ".obj", ".ply", ".roibox", ".txt", "_crop.jpg", "_paf.jpg"]
WHOLE = ["3DDFA.jpg", "depth.png", "overlay.jpg", "pncc.png", "pose.jpg", "pose.json"]
COMMON = ["contact_sheet.jpg", "faces.csv"]


@pytest.fixture
def files(tmp_path):
    """What --method 3ddfa needs, by the option's name."""
    return {
        "weights": write_weights(tmp_path),
        "statistics": write_statistics(tmp_path),
        "bases": write_bases(tmp_path),
    }


@pytest.fixture
def predict(files, tmp_path, run_script, monkeypatch):
    """Runs step05 --method 3ddfa with the made-up files; results go to out/."""
    monkeypatch.setattr("util.threeddfa_predictor.get_detector", lambda *_: BrightDetector())

    def run(source, *arguments, **changed):
        paths = [part for name, path in (files | changed).items() for part in (f"--{name}", path)]
        common = ["--method", "3ddfa", "--gpu_ids", -1, "--output_dir", tmp_path / "out"]
        return run_script(step05_predict, "--input", source, *paths, *common, *arguments)

    return run


def faces_in(path):
    return json.loads(path.read_text())["faces"]


def test_all_files_of_a_folder(predict, photos, tmp_path):
    status, text = predict(photos)
    assert status == 0, text
    names = [f"{stem}_0{end}" for stem in ("more/two", "one") for end in EACH]
    names += [f"{stem}_{end}" for stem in ("more/two", "one") for end in WHOLE]
    assert names_in(tmp_path / "out") == sorted(names + COMMON)
    assert "faces: 2, in 2 of 2 photos" in text
    assert "left out" not in text
    with open(tmp_path / "out" / "faces.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["source"] for row in rows] == ["detected", "detected"]
    pose = faces_in(tmp_path / "out" / "one_pose.json")[0]
    assert float(rows[1]["tz_mm"]) == pytest.approx(pose["translation_mm"][2], rel=1e-5)


def test_one_look_by_hand(predict, files, photos, tmp_path):
    """From the given points to the files, worked out with numpy."""
    points = np.random.default_rng(0).uniform(20, 70, (68, 2))
    np.savetxt(photos / "one_68landmarks.txt", points)
    status, text = predict(photos / "one.jpg", "--convention", "v1")
    assert status == 0, text
    out = tmp_path / "out"
    photo = read_photo(photos / "one.jpg").pixels[:, :, ::-1]  # blue first, as 3DDFA reads
    low, high = np.loadtxt(photos / "one_68landmarks.txt").min(axis=0), points.max(axis=0)
    half = (high - low).max() * np.sqrt(2) / 2
    square = np.concatenate([(low + high) / 2 - half, (low + high) / 2 + half])
    np.testing.assert_allclose(np.loadtxt(out / "one_0.roibox"), square, atol=5.1e-4)
    left, top, right, bottom = (round(edge) for edge in square)
    whole = np.pad(photo, ((100, 100), (100, 100), (0, 0)))
    crop = cv2.resize(whole[top + 100 : bottom + 100, left + 100 : right + 100], (120, 120))
    image = (torch.from_numpy(crop.transpose(2, 0, 1)[None]).float() - 127.5) / 128
    with torch.inference_mode():
        numbers = load_mobilenet(files["weights"])(image)[0].numpy() * DEVIATIONS + USUAL
    face = faces_in(out / "one_pose.json")[0]
    difference = (face["threeddfa"]["parameters"] - numbers) / DEVIATIONS
    assert np.abs(difference).max() < 1e-5  # the same in float32
    numbers = np.array(face["threeddfa"]["parameters"])
    matrix = numbers[:12].reshape(3, 4)
    shape = (MEAN.reshape(-1) + IDENTITY @ numbers[12:52] + EXPRESSION @ numbers[52:]).reshape(-1, 3)
    x, y, z = matrix[:, :3] @ shape.T + matrix[:, 3:]
    side = (square[2] - square[0]) / 120
    wanted = np.stack([x * side + square[0], (121 - y) * side + square[1], z * side])
    vertex = loadmat(out / "one_0.mat")["vertex"]
    np.testing.assert_allclose(vertex, wanted, atol=1e-4)  # float32 bases
    np.testing.assert_allclose(np.loadtxt(out / "one_0.txt"), wanted[:, KEYPOINTS], atol=6e-4)
    lines = (out / "one_0.ply").read_text().splitlines()
    np.testing.assert_allclose([float(n) for n in lines[9].split()], wanted[:, 0], atol=2e-4)
    assert lines[9 + len(MEAN)] == "3 " + " ".join(map(str, TRIANGLES[0]))
    shown = cv2.imread(str(out / "one_0_crop.jpg")).astype(float)
    assert np.abs(shown - crop).mean() < 4  # JPEG
    # the perspective pose sees the same face in the same places, as well as that can be
    canonical = np.column_stack([shape * 1e-6, np.ones(len(shape))]) @ np.array(face["R_t"])
    focal, center = np.array(face["focal_length_px"]), np.array(face["principal_point_px"])
    seen = center + focal * canonical[:, :2] / -canonical[:, 2:3] * [1, -1]
    # half a pixel of the crop is where its centre is; perspective moves the outermost points of so near a face
    assert np.abs(seen - (wanted[:2].T + side / 2)).max() < 0.05 * (square[2] - square[0])
    scale = np.linalg.norm(matrix[:2, :3], axis=1).mean()
    assert face["threeddfa"]["scale"] == pytest.approx(scale)
    # a face so many pixels wide is so many focal lengths away, to the perspective within it
    assert face["translation_mm"][2] == pytest.approx(-focal[0] * 1e-3 / (scale * side), rel=0.15)


def test_two_looks_and_what_the_second_is_made_from(predict, photos, tmp_path):
    out = tmp_path / "out"
    predict(photos / "one.jpg", "--steps", "1")
    first = np.loadtxt(out / "one_0.txt")[:2]
    predict(photos / "one.jpg")
    low, high = first.min(axis=1), first.max(axis=1)
    half = (high - low).max() * np.sqrt(2) / 2
    wanted = np.concatenate([(low + high) / 2 - half, (low + high) / 2 + half])
    np.testing.assert_allclose(np.loadtxt(out / "one_0.roibox"), wanted, atol=2e-3)  # three decimals of the points


def test_conventions_are_a_pixel_of_the_crop_apart(predict, photos, tmp_path):
    points = {}
    for convention in ("v1", "v2"):
        predict(photos / "one.jpg", "--steps", "1", "--convention", convention)
        points[convention] = np.loadtxt(tmp_path / "out" / "one_0.txt")
    left, _, right, _ = np.loadtxt(tmp_path / "out" / "one_0.roibox")
    np.testing.assert_allclose(points["v1"][:2] - points["v2"][:2], (right - left) / 120, atol=1.1e-3)


def test_bases_of_68_points_give_no_meshes_and_say_so(predict, photos, tmp_path):
    (tmp_path / "points").mkdir()
    status, text = predict(photos / "one.jpg", bases=write_point_bases(tmp_path / "points"))
    assert status == 0, text
    each, whole = (".roibox", ".txt", "_crop.jpg"), ("3DDFA.jpg", "pose.jpg", "pose.json")
    names = [f"one_0{end}" for end in each] + [f"one_{end}" for end in whole]
    assert names_in(tmp_path / "out") == sorted(names + COMMON)
    assert text.count("has no triangles, so left out are X_<face>.ply") == 1
    assert "bfm_noneck_v3.pkl with tri.pkl" in text


def test_boxes_of_several_faces(predict, photos, tmp_path):
    (tmp_path / "boxes.csv").write_text("image,left,top,right,bottom\none.jpg,5,5,40,45\none.jpg,50,50,90,92\n")
    status, text = predict(photos / "one.jpg", "--boxes", tmp_path / "boxes.csv")
    assert status == 0, text
    first, second = faces_in(tmp_path / "out" / "one_pose.json")
    assert (first["source"], second["source"]) == ("box", "box")
    assert {f"one_{i}{end}" for i in (0, 1) for end in EACH} < set(names_in(tmp_path / "out"))


def test_boxes_of_a_detector(predict, photos, tmp_path):
    """3DDFA's rule for boxes in the first look, worked out by hand; that for points in the second."""
    box = [10.1, 20.3, 70.1, 92.3]
    (tmp_path / "boxes.csv").write_text(f"image,left,top,right,bottom\none.jpg,{','.join(map(str, box))}\n")
    arguments = "--boxes", tmp_path / "boxes.csv", "--box_rule", "detector"
    status, text = predict(photos / "one.jpg", *arguments, "--steps", 1)
    assert status == 0, text
    out = tmp_path / "out"
    # sides of 60 and 72, 66 on average: 104 of 104.28 around (40.1, 56.3), 9.24 down
    wanted = [40.1 - 52, 65.54 - 52, 40.1 + 52, 65.54 + 52]
    first = faces_in(out / "one_pose.json")[0]
    np.testing.assert_allclose(first["threeddfa"]["square"], wanted, rtol=1e-12)
    np.testing.assert_allclose(np.loadtxt(out / "one_0.roibox"), wanted, rtol=1e-12)
    points = np.loadtxt(out / "one_0.txt")[:2].T
    status, text = predict(photos / "one.jpg", *arguments)
    assert status == 0, text
    second = np.loadtxt(out / "one_0.roibox")
    np.testing.assert_allclose(second, square_of_landmarks(points), atol=2e-3)  # three decimals of the points
    assert np.abs(second - wanted).max() > 1
    status, text = predict(photos / "one.jpg", *arguments[:2], "--steps", 1)
    assert status == 0, text
    half = 36 * np.sqrt(2)
    centre = np.array([40.1, 56.3])
    usual = np.loadtxt(out / "one_0.roibox")
    np.testing.assert_allclose(usual, [*(centre - half), *(centre + half)], atol=5.1e-4)  # its decimals


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--want", "mesh"], "--want: means nothing for --method 3ddfa"),
        (["--frame", "canonical"], "--frame: means nothing for --method 3ddfa"),
        (["--same_person"], "--same_person: means nothing for --method 3ddfa"),
        (["--aggregate", "subject"], "--aggregate: means nothing for --method 3ddfa"),
        (["--name", "run01"], "--name: means nothing for --method 3ddfa"),
        (["--smooth"], "--smooth: means nothing for photos"),
    ],
)
def test_options_of_runs_are_refused(predict, photos, arguments, message):
    status, text = predict(photos, *arguments)
    assert (status, message in text) == (1, True), text


def test_options_of_3ddfa_are_refused_for_runs(run_script, photos, tmp_path):
    status, text = run_script(step05_predict, "--input", photos, "--weights", "x.pth", "--output_dir", tmp_path / "out")
    assert (status, "--weights: means nothing for --method run" in text) == (1, True), text


@pytest.mark.parametrize("method", [[], ["--method", "deep3d", "--weights", "x.pth"]])
def test_boxes_of_a_detector_are_refused_elsewhere(run_script, photos, method):
    arguments = [*method, "--boxes", "boxes.csv", "--box_rule", "detector"]
    status, text = run_script(step05_predict, "--input", photos, *arguments)
    name = method[1] if method else "run"
    assert (status, f"--box_rule: means nothing for --method {name}, got detector" in text) == (1, True), text


def test_a_video_is_refused(predict, tmp_path):
    (tmp_path / "film.mp4").write_bytes(b"x")
    status, text = predict(tmp_path / "film.mp4")
    assert (status, "--method: means nothing for a video, got 3ddfa" in text) == (1, True), text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: {"weights": folder / "no.pth"}, "no.pth: no such file"),
        (lambda folder: {"weights": write_statistics(folder)}, "statistics.pkl: wanted a MobileNet of 3DDFA"),
        (
            lambda folder: {"weights": write_weights(folder, 60)},
            "--weights: wanted a network of 62 or 72 or 141 outputs",
        ),
        (lambda folder: {"statistics": write_statistics(folder, 61)}, "the network's 62 parameters, got 61"),
        (lambda folder: {"bases": write_bases(folder, 30)}, "--bases: wanted 40 of identity, got 30"),
        (lambda folder: {"bases": folder / "no.pkl"}, "no.pkl: no such file"),
        (
            lambda folder: {"bases": write_facekit(folder)},
            "--bases: wanted 3DDFA's, bfm_noneck_v3.pkl, the folder train.configs, or the folder of the 68-point "
            "bases, got a model in units of 0.01 metres",
        ),
    ],
)
def test_files_that_do_not_fit_are_told(predict, photos, tmp_path, change, message):
    status, text = predict(photos, **change(tmp_path))
    assert (status, message in text) == (1, True), text
    assert "Traceback" not in text
    assert not (tmp_path / "out").exists()


def test_a_missing_option_is_told(run_script, photos, capsys):
    status, text = run_script(step05_predict, "--input", photos, "--method", "3ddfa")
    assert (status, "--weights: wanted a path, for --method 3ddfa, got none" in text) == (2, True), text


@pytest.fixture
def radan_run(root_template, tmp_path, run_script):
    """The checkpoint of a radan run of images of 40 pixels that has hardly learnt."""
    data = ["--data_root", root_template, "--cache_dir", tmp_path / "cache", "--num_workers", 0]
    status, text = run_script(step01_preparation, *data, "--build_morphable")
    assert status == 0, text
    run = ["--checkpoints_dir", tmp_path / "checkpoints", "--name", "tiny", "--gpu_ids", -1, "--model", "radan"]
    run += ["--backbone", "mobilenet_v1_050", "--img_size", 40, "--batch_size", 4, "--epochs", 1]
    status, text = run_script(step02_train, *data, *run, "--warmup_steps", 0, "--num_pictures", 0)
    assert status == 0, text
    return tmp_path / "checkpoints" / "tiny" / "best.pt"


def test_a_run_of_radan(radan_run, photos, tmp_path, run_script, monkeypatch):
    """Its points are where the model itself says, in pixels from the photo's corner."""
    monkeypatch.setattr("util.threeddfa_predictor.get_detector", lambda *_: BrightDetector())
    arguments = ["--input", photos, "--gpu_ids", -1, "--output_dir", tmp_path / "out", "--method", "3ddfa"]
    status, text = run_script(step05_predict, *arguments, "--weights", radan_run)
    assert status == 0, text
    assert {f"one_0{end}" for end in EACH} | {f"one_{end}" for end in WHOLE} < set(names_in(tmp_path / "out"))
    photo = read_photo(photos / "one.jpg").pixels
    told = faces_in(tmp_path / "out" / "one_pose.json")[0]["threeddfa"]
    square = np.array(told["square"])
    np.testing.assert_array_equal(square, np.rint(square))
    assert told["version"] == "run"
    looks, look = [], RunRegressor.__call__
    monkeypatch.setattr(RunRegressor, "__call__", lambda self, crops: looks.append(crops) or look(self, crops))
    (face,) = ThreeddfaPredictor(radan_run, steps=1)(photo, points=guess_around(square))
    np.testing.assert_array_equal(face.square, square)
    model = read_run(radan_run).model().eval()
    scale = 40 / (square[2] - square[0])
    affine = torch.tensor([[[scale, 0, -scale * square[0]], [0, scale, -scale * square[1]]]], dtype=torch.float32)
    left, top, right, bottom = square.astype(int)
    whole = np.pad(photo, ((200, 200), (200, 200), (0, 0)))
    crop = cv2.resize(whole[top + 200 : bottom + 200, left + 200 : right + 200], (40, 40))
    np.testing.assert_array_equal(looks[0][0], crop)
    batch = {"square": torch.from_numpy(crop.transpose(2, 0, 1)[None].copy()), "square_affine": affine}
    with torch.inference_mode():
        parameters = model.parameters_of(model(batch)["parameters"])
        points = model.image_points(crop_points(parameters[:, :12], model.shapes(parameters)), batch, "square")[0]
    np.testing.assert_allclose(face.points2d, points, atol=1e-3)  # float32
    deviations = (torch.tensor(told["parameters"]) - parameters[0]) / model.parameter_std
    assert deviations.abs().max() < 1e-3  # float32


def guess_around(square):
    """(68, 2) points round which 3DDFA cuts that square, of whole numbers."""
    half = (square[2] - square[0]) / 2 / np.sqrt(2)
    points = np.random.default_rng(0).uniform(-half, half, (68, 2))
    points[0], points[1] = -half, half
    return points + (square[:2] + square[2:]) / 2


def test_what_is_no_checkpoint_of_radan(checkpoints, files, photos, tmp_path, run_script):
    for path, message in (
        (checkpoints / "tiny" / "best.pt", "or of a run of --model radan, got one of dual_resnet"),
        (files["weights"], "; for a network of 3DDFA's give --statistics and --bases, too"),
    ):
        arguments = ["--input", photos, "--gpu_ids", -1, "--output_dir", tmp_path / "out", "--method", "3ddfa"]
        status, text = run_script(step05_predict, *arguments, "--weights", path)
        assert (status, message in text) == (1, True), text
    status, text = run_script(step05_predict, *arguments, "--weights", path, "--convention", "v1")
    assert (status, "--convention: means nothing for a run's --weights, got v1" in text) == (1, True), text
    status, text = run_script(step05_predict, *arguments, "--weights", path, "--bases", files["bases"])
    assert (status, "--statistics: wanted it and --bases, for a published network" in text) == (1, True), text


def test_photos_without_faces(predict, photos, tmp_path):
    grey = np.full((40, 60), 30, np.uint8)
    cv2.imwrite(str(photos / "grey.png"), grey)
    status, text = predict(photos)
    assert status == 0, text
    assert f"no face found in 1: {photos / 'grey.png'}" in text
    shutil.rmtree(photos)
    photos.mkdir()
    cv2.imwrite(str(photos / "grey.png"), grey)
    status, text = predict(photos)
    assert (status, "found no face; --boxes says where they are" in text) == (1, True), text
