"""step05 on photos and videos of the tiny root's faces, with a run that has hardly learnt and a detector that sees what
is bright: what it finds is nonsense, but everything else has to hold."""

import csv
import json
import shutil
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
import trimesh
from PIL import Image
from scipy.io import loadmat

import step01_preparation
import step02_train
import step05_predict
from data.detectors import Detection
from util.errors import run_step
from util.predictor import Predictor
from util.tracking import Tracker

TRAINING = "--img_size 32 --batch_size 4 --epochs 1 --num_workers 0 --gpu_ids -1 --warmup_steps 0 --num_pictures 0"


class BrightDetector:
    """Finds what is brighter than the tiny root's backgrounds."""

    def detect(self, pixels):
        rows, columns = np.nonzero(pixels.max(axis=2) > 120)
        if len(rows) < 100:
            return []
        return [Detection(np.float64([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]), 1.0)]


@pytest.fixture(scope="module")
def checkpoints(root_template, tmp_path_factory):
    """A folder with the run "tiny"."""
    folder = tmp_path_factory.mktemp("run")
    common = ["--data_root", str(root_template), "--cache_dir", str(folder / "cache")]
    training = ["--checkpoints_dir", str(folder / "checkpoints"), "--name", "tiny", "--precision", "fp32"]
    with pytest.MonkeyPatch.context() as patch:
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


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_gives_files_a_table_and_a_sheet(predict, photos, tmp_path):
    status, text = predict(photos)
    assert status == 0, text
    files = names_in(tmp_path / "out")
    kinds = ["0.obj", "0.ply", "0_landmarks3d.txt", "landmarks.jpg", "landmarks.txt", "overlay.jpg", "pose.jpg"]
    kinds += ["pose.json"]
    wanted = ["contact_sheet.jpg", "faces.csv"] + [f"{stem}_{kind}" for stem in ("more/two", "one") for kind in kinds]
    assert files == sorted(wanted)
    rows = rows_of(tmp_path / "out" / "faces.csv")
    assert [row["photo"] for row in rows] == [str(photos / "more" / "two.jpg"), str(photos / "one.jpg")]
    assert {row["source"] for row in rows} == {"detected"}
    pose = json.loads((tmp_path / "out" / "one_pose.json").read_text())["faces"][0]
    assert float(rows[1]["tz_mm"]) == pytest.approx(pose["translation_mm"][2], rel=1e-5)
    assert cv2.imread(str(tmp_path / "out" / "contact_sheet.jpg")).shape == (320, 640, 3)
    assert "faces: 2, in 2 of 2 photos" in text
    assert "ms (read" in text


def test_everything_that_can_be_wanted_can_be_read(predict, photos, tmp_path):
    status, text = predict(photos / "one.jpg", "--want", "all")
    assert status == 0, text
    out = tmp_path / "out"
    mesh = trimesh.load(out / "one_0.obj", process=False)
    cloud = trimesh.load(out / "one_0.ply", process=False)
    np.testing.assert_allclose(mesh.vertices, cloud.vertices, atol=1e-6)  # six decimals
    with np.load(out / "one_0.npz") as arrays:
        np.testing.assert_allclose(arrays["camera_verts"], mesh.vertices, atol=1e-6)
        np.testing.assert_allclose(loadmat(out / "one_0.mat")["verts"], arrays["verts"])
        points = np.loadtxt(out / "one_0_landmarks3d.txt")
        np.testing.assert_allclose(points, arrays["camera_verts"][arrays["keypoints"]], atol=1e-6)
    assert len(trimesh.load(out / "one_0.glb").geometry) == 1
    assert cv2.imread(str(out / "one_depth.png"), cv2.IMREAD_UNCHANGED).dtype == np.uint16
    assert np.loadtxt(out / "one_landmarks.txt").shape == (68, 3)
    per_face = [
        ".obj",
        ".ply",
        ".glb",
        ".npz",
        ".mat",
        "_landmarks3d.txt",
        "_paf.png",
        "_uv_texture.png",
        "_uv_seen.png",
    ]
    assert {f"one_0{ending}" for ending in per_face} < set(names_in(out))


def test_canonical_meshes(predict, photos, tmp_path):
    predict(photos / "one.jpg", "--want", "mesh,npz", "--frame", "canonical")
    with np.load(tmp_path / "out" / "one_0.npz") as arrays:
        vertices = trimesh.load(tmp_path / "out" / "one_0.ply", process=False).vertices
        np.testing.assert_allclose(vertices, arrays["verts"], atol=1e-6)


def test_what_cannot_be_read_is_passed_over(predict, photos, tmp_path):
    (photos / "text.jpg").write_text("no photo")
    (photos / "cut.jpg").write_bytes((photos / "one.jpg").read_bytes()[:900])
    (photos / "empty.png").write_bytes(b"")
    (photos / "phone.heic").write_bytes(b"x")
    (photos / "detections").mkdir()
    (photos / "detections" / "one.txt").write_text("3 3\n" * 5)
    cv2.imwrite(str(photos / "grey.png"), np.full((40, 60), 30, np.uint8))
    status, text = predict(photos)
    assert status == 0, text
    for name in ("text.jpg", "cut.jpg", "empty.png", "one.jpg"):
        assert f"passed over: {photos / name}: " in text
    assert "points that are apart" in text
    assert "left out: 1: phone.heic" in text
    assert f"no face found in 1: {photos / 'grey.png'}" in text
    assert "faces: 1, in 1 of 6 photos" in text
    assert "Traceback" not in text
    assert [row["photo"] for row in rows_of(tmp_path / "out" / "faces.csv")] == [str(photos / "more" / "two.jpg")]


def test_photos_that_differ_in_their_ending_alone(predict, photos, tmp_path):
    image = cv2.imread(str(photos / "one.jpg"))
    cv2.imwrite(str(photos / "one.png"), image)
    shutil.copy(photos / "one.jpg", photos / "one.png.jpg")
    status, text = predict(photos, "--want", "overlay")
    assert status == 0, text
    overlays = [name for name in names_in(tmp_path / "out") if name.endswith("overlay.jpg")]
    wanted = ["more/two_overlay.jpg", "one.jpg_overlay.jpg", "one.png.jpg_overlay.jpg", "one.png_overlay.jpg"]
    assert overlays == wanted


def test_results_are_never_photos(predict, photos):
    status, text = predict(photos, output=photos)
    assert (status, "wanted another folder than that of the photos" in text) == (1, True)
    for _ in range(2):
        status, text = predict(photos, output=photos / "out")
        assert "faces: 2, in 2 of 2 photos" in text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "no such file or folder"),
        (lambda folder: folder.mkdir(), "wanted a folder with photos"),
        (lambda folder: folder.with_suffix(".jpg").write_text("x"), "could read 0 of 1"),
        (lambda folder: cv2.imwrite(f"{folder}.png", np.full((1, 1, 3), 255, np.uint8)), "found no face"),
    ],
)
def test_nothing_to_predict_is_an_error(predict, tmp_path, make, message):
    make(tmp_path / "input")
    source = next((path for path in tmp_path.glob("input*")), tmp_path / "input")
    status, text = predict(source)
    assert status == 1
    assert message in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--smooth"], "--smooth: means nothing for photos"),
        (["--boxes", "missing.csv"], "missing.csv"),
        (["--name", "other"], "no such file; is --name right"),
    ],
)
def test_wrong_options_are_told(predict, photos, arguments, message):
    status, text = predict(photos, *arguments)
    assert (status, message in text) == (1, True), text
    assert "Traceback" not in text


def test_an_output_that_cannot_be(predict, photos, tmp_path):
    (tmp_path / "file").write_text("x")
    status, text = predict(photos, output=tmp_path / "file")
    assert (status, "file" in text) == (1, True)
    assert "Traceback" not in text


def test_boxes_from_a_file(predict, photos, tmp_path):
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("image,left,top,right,bottom\nmore/two.jpg,10,10,60,70\nmore/two.jpg,50,5,80,40\n")
    status, text = predict(photos, "--boxes", boxes, "--want", "mesh")
    assert status == 0, text
    sources = [row["source"] for row in rows_of(tmp_path / "out" / "faces.csv")]
    assert sorted(sources) in (["box", "box", "detected"], ["box", "detected"])  # two boxes may become one face
    status, text = predict(photos, "--boxes", boxes, "--max_faces", 1, "--want", "mesh")
    assert "2 faces, of which the 1 largest count" in text
    boxes.write_text("image,left,top,right,bottom\nthree.jpg,10,10,60,70\n")
    status, text = predict(photos, "--boxes", boxes)
    assert (status, "got 1: three.jpg" in text) == (1, True)


def test_given_points_or_detected(predict, photos, tmp_path):
    points = np.random.default_rng(0).uniform(20, 80, (68, 2))
    np.savetxt(photos / "one_68landmarks.txt", points)
    for faces, source in (("given", "68 points"), ("detected", "detected")):
        predict(photos / "one.jpg", "--faces", faces, "--want", "json")
        face = json.loads((tmp_path / "out" / "one_faces.json").read_text())["faces"][0]
        assert face["source"] == source


def test_the_field_of_view_comes_from_the_option_then_exif_then_training(predict, photos, tmp_path):
    image = Image.open(photos / "one.jpg")
    exif = image.getexif()
    exif.get_ifd(0x8769)[0xA405] = 50
    image.save(photos / "exif.jpg", exif=exif)
    focal = {}
    for name, arguments in (("one", []), ("exif", []), ("exif", ["--fov", "90"])):
        status, text = predict(photos / f"{name}.jpg", "--want", "pose", *arguments)
        assert status == 0, text
        entry = json.loads((tmp_path / "out" / f"{name}_pose.json").read_text())["faces"][0]
        focal[name, len(arguments)] = entry["focal_length_px"][0]
    assert focal["one", 0] == pytest.approx(1.57443701 * 48, rel=1e-6)
    assert focal["exif", 0] == pytest.approx(50 * np.hypot(96, 96) / 43.267, rel=1e-6)
    assert focal["exif", 2] == pytest.approx(48, rel=1e-6)


def test_one_person(predict, photos, tmp_path, monkeypatch):
    cv2.imwrite(str(photos / "grey.png"), np.full((40, 60), 30, np.uint8))

    def fuse(self, faces):
        return [replace(face, verts=face.verts + np.float32(len(faces))) for face in faces]

    monkeypatch.setattr(Predictor, "fuse", fuse)
    predict(photos, "--want", "npz", output=tmp_path / "apart")
    status, text = predict(photos, "--want", "npz", "--same_person")
    assert status == 0, text
    assert "no face found in 1" in text
    assert "faces: 2, in 2 of 3 photos" in text
    for stem in ("one", "more/two"):
        shapes = []
        for folder in ("apart", "out"):
            with np.load(tmp_path / folder / f"{stem}_0.npz") as arrays:
                shapes.append(arrays["verts"])
        np.testing.assert_array_equal(shapes[1], shapes[0] + np.float32(2))


def test_a_panorama(predict, tmp_path, root_template):
    panorama = np.zeros((200, 20_000, 3), np.uint8)
    panorama[50:146, 15_000:15_096] = cv2.imread(str(next(root_template.glob("image/*/*/*.jpg"))))
    cv2.imwrite(str(tmp_path / "wide.png"), panorama)
    status, text = predict(tmp_path / "wide.png", "--want", "overlay,npz")
    assert status == 0, text
    with np.load(tmp_path / "out" / "wide_0.npz") as arrays:
        assert 14_900 < arrays["landmarks"][:, 0].mean() < 15_400  # the network has hardly learnt where faces are


def test_ctrl_c_keeps_the_table(predict, photos, tmp_path, monkeypatch):
    read = step05_predict.read_photo

    def interrupted(path):
        if path.name == "one.jpg":
            raise KeyboardInterrupt
        return read(path)

    monkeypatch.setattr(step05_predict, "read_photo", interrupted)
    status, text = predict(photos)
    assert (status, text.endswith("interrupted")) == (1, True)
    assert len(rows_of(tmp_path / "out" / "faces.csv")) == 1


def test_an_exported_network_predicts_the_same(predict, photos, tmp_path):
    status, text = predict(None, "--export", "onnx")
    assert status == 0, text
    network = tmp_path / "out" / "tiny.onnx"
    assert str(network) in text
    results = {}
    for name in ("tiny", str(network)):
        status, text = predict(photos / "one.jpg", "--want", "npz", name=name)
        assert status == 0, text
        with np.load(tmp_path / "out" / "one_0.npz") as arrays:
            results[name] = arrays["verts"], arrays["R_t"]
    for own, exported in zip(*results.values(), strict=True):
        np.testing.assert_allclose(exported, own, atol=1e-4)  # what users are told


def write_video(path, images, code="mp4v", rate=25.0):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), rate, images[0].shape[1::-1])
    for image in images:
        writer.write(image)
    writer.release()


@pytest.fixture
def frames(root_template):
    """A face that moves across the picture, 12 frames of 120 x 97 (odd on purpose)."""
    face = cv2.imread(str(next(root_template.glob("image/*/*/*.jpg"))))[20:76, 20:76]
    images = []
    for step in range(12):
        image = np.zeros((120, 160, 3), np.uint8)
        image[30:86, 20 + 4 * step : 76 + 4 * step] = face
        images.append(image)
    return images


def frame_count(path):
    capture, count = cv2.VideoCapture(str(path)), 0
    while capture.read()[0]:
        count += 1
    return count


@pytest.mark.parametrize("options", [[], ["--smooth"]])
def test_a_video(predict, frames, tmp_path, options):
    write_video(tmp_path / "clip.mp4", frames)
    before = (tmp_path / "clip.mp4").read_bytes()
    status, text = predict(tmp_path / "clip.mp4", *options, output=tmp_path)
    assert status == 0, text
    assert (tmp_path / "clip.mp4").read_bytes() == before
    assert frame_count(tmp_path / "clip_overlay.mp4") == 12
    with np.load(tmp_path / "clip_faces.npz") as arrays:
        assert arrays["verts"].shape == (len(arrays["frame"]), 99, 3)
        assert set(arrays["frame"]) == set(range(12))
        np.testing.assert_allclose(arrays["seconds"], arrays["frame"] / 25)
    assert "12 frames" in text
    assert "frames a second" in text
    assert not list(tmp_path.glob(".*part*"))


def test_the_first_frames_of_a_video(predict, frames, tmp_path):
    write_video(tmp_path / "clip.mp4", frames)
    status, text = predict(tmp_path / "clip.mp4", "--max_frames", 5)
    assert (status, "5 frames" in text) == (0, True)
    assert frame_count(tmp_path / "out" / "clip_overlay.mp4") == 5


def test_videos_cut_short(predict, frames, tmp_path):
    write_video(tmp_path / "clip.avi", frames, "MJPG")
    whole = (tmp_path / "clip.avi").read_bytes()
    (tmp_path / "clip.avi").write_bytes(whole[: len(whole) // 2])
    status, text = predict(tmp_path / "clip.avi")
    assert status == 0, text
    assert "it is cut short or damaged" in text
    (tmp_path / "clip.avi").write_bytes(whole[:100])
    status, text = predict(tmp_path / "clip.avi")
    assert (status, "clip.avi: cannot be opened" in text or "cannot read one" in text) == (1, True), text
    status, text = predict(tmp_path / "none.mp4")
    assert (status, "none.mp4: no such file" in text) == (1, True)


def test_a_video_without_faces(predict, tmp_path):
    write_video(tmp_path / "clip.mp4", [np.zeros((64, 64, 3), np.uint8)] * 3)
    status, text = predict(tmp_path / "clip.mp4")
    assert (status, "wanted faces, found none in 3 frames" in text) == (1, True)
    status, text = predict(tmp_path / "clip.mp4", "--same_person")
    assert (status, "--same_person: means nothing for a video" in text) == (1, True)


def test_ctrl_c_keeps_what_was_seen_of_a_video(predict, frames, tmp_path, monkeypatch):
    write_video(tmp_path / "clip.mp4", frames)
    follow, seen = Tracker.__call__, []

    def interrupted(self, image, seconds):
        seen.append(seconds)
        if len(seen) == 7:
            raise KeyboardInterrupt
        return follow(self, image, seconds)

    monkeypatch.setattr(Tracker, "__call__", interrupted)
    status, text = predict(tmp_path / "clip.mp4")
    assert status == 0, text
    assert "stopped; what was seen so far is kept" in text
    assert frame_count(tmp_path / "out" / "clip_overlay.mp4") == 6
    assert seen == pytest.approx([1 / 25] * 7)


def test_a_webcam_that_is_not_there(predict):
    status, text = predict(63)
    assert (status, "webcam 63: cannot be opened" in text) == (1, True)


def test_a_folder_called_like_a_webcam(predict, photos, tmp_path, monkeypatch):
    photos.rename(tmp_path / "2024")
    monkeypatch.chdir(tmp_path)
    status, text = predict("2024", "--want", "overlay")
    assert status == 0, text
