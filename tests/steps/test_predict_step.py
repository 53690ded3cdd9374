"""step05 on photos of the tiny root's faces, with a run that has hardly learnt and a detector that sees what is bright:
what it finds is nonsense, but everything else has to hold."""

import csv
import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
import trimesh
from PIL import Image
from scipy.io import loadmat

import step05_predict
from tests.steps.conftest import names_in
from util.predictor import Predictor


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
    # results of photos/photos/... would go to photos/..., where there are others
    shutil.move(photos, photos.parent / "again")
    shutil.copytree(photos.parent / "again", photos / photos.name)
    shutil.copy(photos / photos.name / "one.jpg", photos / "one_overlay.jpg")
    status, text = predict(photos, output=photos.parent)
    assert (status, "wanted another folder than that of the photos" in text) == (1, True)


def test_inputs_are_never_replaced(predict, photos, tmp_path):
    status, text = predict(photos / "one.jpg", output=photos)
    assert status == 0, text
    boxes = photos / "faces.csv"
    boxes.write_text("image,left,top,right,bottom\none.jpg,10,10,60,70\n")
    status, text = predict(photos / "one.jpg", "--boxes", boxes, output=photos)
    assert (status, f"nothing but earlier results would be replaced, got one with 1: {boxes}" in text) == (1, True)
    assert boxes.read_text().startswith("image")


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
    boxes.write_text("image,left,top,right,bottom\none.jpg,10,10,11,11\n")
    status, text = predict(photos / "one.jpg", "--boxes", boxes)
    assert (status, "saw no face in --boxes that is large enough" in text) == (1, True)


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
    status, text = predict(photos / "one.jpg", "--want", "deformation", name=str(network))
    assert (status, f"), got {network}" in text) == (1, True)  # such a file has the result alone


def test_a_folder_called_like_a_webcam(predict, photos, tmp_path, monkeypatch):
    photos.rename(tmp_path / "2024")
    monkeypatch.chdir(tmp_path)
    status, text = predict("2024", "--want", "overlay")
    assert status == 0, text


def test_a_photo_with_alpha(predict, photos, tmp_path):
    image = cv2.imread(str(photos / "one.jpg"))
    cv2.imwrite(str(photos / "clear.png"), np.dstack([image, np.full(image.shape[:2], 255, np.uint8)]))
    cv2.imwrite(str(photos / "plain.png"), image)
    for name in ("clear", "plain"):
        assert predict(photos / f"{name}.png", "--want", "npz")[0] == 0
    with np.load(tmp_path / "out" / "clear_0.npz") as clear, np.load(tmp_path / "out" / "plain_0.npz") as plain:
        np.testing.assert_array_equal(clear["R_t"], plain["R_t"])


def test_an_unknown_detector_is_told_before_anything_is_written(checkpoints, photos, tmp_path, run_script):
    run = ["--input", photos, "--name", "tiny", "--checkpoints_dir", checkpoints, "--gpu_ids", -1]
    status, text = run_script(step05_predict, *run, "--output_dir", tmp_path / "out", "--detector", "dlib")
    assert status == 1
    assert text == "error: detector: unknown 'dlib'; known are haar, yunet=FILE.onnx"
    assert not (tmp_path / "out").exists()


def test_nothing_is_written_where_there_is_nothing_to_read(predict, tmp_path):
    for source in ("none.jpg", "none.mp4", "63"):
        status, text = predict(tmp_path / source if "." in source else source)
        assert (status, text.count("\n"), "error: " in text) == (1, 0, True), text
    assert not (tmp_path / "out").exists()


def test_meshes_stand_before_the_camera_or_at_the_origin(predict, photos, tmp_path):
    vertices = {}
    for frame in ("camera", "canonical"):
        predict(photos / "one.jpg", "--want", "mesh,npz", "--frame", frame)
        lines = [line.split() for line in (tmp_path / "out" / "one_0.obj").read_text().splitlines()]
        vertices[frame] = np.float64([words[1:4] for words in lines if words and words[0] == "v"])
    with np.load(tmp_path / "out" / "one_0.npz") as arrays:
        R_t = arrays["R_t"]
    # six decimals in either file
    np.testing.assert_allclose(vertices["canonical"] @ R_t[:3, :3] + R_t[3, :3], vertices["camera"], atol=3e-6)
    assert vertices["camera"][:, 2].max() < -0.2


def test_a_longer_lens_puts_the_face_farther_away(predict, photos, tmp_path):
    # A narrow view is zoomed until the face is as large as in training, so that the network sees the same window,
    # whatever the lens: the distance is as many times larger as the focal length.
    image = cv2.imread(str(photos / "one.jpg"))
    centered = cv2.copyMakeBorder(image, 152, 152, 152, 152, cv2.BORDER_REPLICATE)
    cv2.imwrite(str(photos / "small.png"), centered)
    (tmp_path / "boxes.csv").write_text("image,left,top,right,bottom\nsmall.png,170,165,230,235\n")
    distance = {}
    for fov in (10, 20):
        arguments = ["--fov", fov, "--boxes", tmp_path / "boxes.csv", "--steps", 1, "--want", "npz"]
        status, text = predict(photos / "small.png", *arguments)
        assert status == 0, text
        with np.load(tmp_path / "out" / "small_0.npz") as arrays:
            distance[fov] = -arrays["R_t"][3, 2]
    ratio = np.tan(np.radians(10)) / np.tan(np.radians(5))
    assert distance[10] / distance[20] == pytest.approx(
        ratio, rel=0.01
    )  # the views differ by what is seen beside the axis
