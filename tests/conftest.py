"""A tiny data root in the WCPA layout: five labelled subjects, one test subject, an 11 x 9 bowl for a face."""

import os
import sys
from pathlib import Path

# Before any library starts its threads, here and in processes that tests start: arrays are tiny, and threads that wait
# for each other on busy cores take several times as long as one.
os.environ["OMP_NUM_THREADS"] = "1"

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from data.wcpa import SampleId, WcpaRoot, write_sample_list
from Sim3DR import rasterize
from util.camera import WCPA_PROJECTION, screen_vertices, transform
from util.mesh import write_obj

COLUMNS, ROWS = 9, 11
IMAGE_SIZE = 96
SUBJECTS = ["000101", "000102", "200103", "200104", "200105"]
ACTIONS = ["01_Neutral", "02_Smile"]


def bowl() -> tuple[np.ndarray, np.ndarray]:
    """(99, 3) vertices in metres, mirror-symmetric, and (160, 3) triangles, counter-clockwise from the front."""
    x, y = np.meshgrid(np.linspace(-0.07, 0.07, COLUMNS), np.linspace(0.09, -0.09, ROWS))
    z = 0.06 - 8 * x**2 - 4 * y**2
    index = np.arange(COLUMNS * ROWS).reshape(ROWS, COLUMNS)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    triangles = np.concatenate([np.stack([a, c, b], -1).reshape(-1, 3), np.stack([b, c, d], -1).reshape(-1, 3)])
    return np.stack([x, y, z], -1).reshape(-1, 3).astype(np.float32), triangles.astype(np.int32)


def random_pose(random: np.random.Generator) -> np.ndarray:
    """(4, 4) float32: a head about half a metre in front of the camera."""
    R_t = np.eye(4)
    R_t[:3, :3] = Rotation.from_euler("yxz", random.normal(0, 0.2, 3)).as_matrix().T
    R_t[3, :3] = random.normal([0, 0, -0.5], [0.02, 0.03, 0.03])
    return R_t.astype(np.float32)


def write_root(folder: Path) -> None:
    """Writes the data root: images drawn by Sim3DR, landmarks of the projected key points, labels."""
    random = np.random.default_rng(0)
    template, triangles = bowl()
    keypoints = random.permutation(len(template))[:68]
    for name in ("list", "resources"):
        (folder / name).mkdir(parents=True)
    samples = {"train": [], "test": []}
    for subject in [*SUBJECTS, "300001"]:
        shape = template * random.normal(1, 0.03, 3).astype(np.float32)
        for action in ACTIONS:
            for image_id in ("7", "042"):
                split = "train" if subject in SUBJECTS else "test"
                samples[split].append(SampleId(subject, action, image_id))
                write_record(folder, samples[split][-1], shape, triangles, keypoints, random_pose(random), random)
    for split, rows in samples.items():
        write_sample_list(folder / "list" / f"WCPA_track2_{split}.csv", rows)
    write_obj(folder / "resources" / "example.obj", template, triangles)
    np.save(folder / "resources" / "kpt_ind.npy", keypoints)
    np.savetxt(folder / "resources" / "projection_matrix.txt", WCPA_PROJECTION)
    np.save(folder / "resources" / "example_submission.npy", np.zeros((4, 3 * len(template) + 12), np.float32))


def write_record(folder, sample, verts, triangles, keypoints, R_t, random):
    for kind in ("image", "68landmarks", "info"):
        (folder / kind / sample.subject / sample.action).mkdir(parents=True, exist_ok=True)
    screen = screen_vertices(transform(verts, R_t), WCPA_PROJECTION, IMAGE_SIZE, IMAGE_SIZE)
    background = random.integers(0, 80, (IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8)
    colors = ((verts - verts.min(0)) / np.ptp(verts, axis=0)).astype(np.float32)
    image = rasterize(screen, triangles, colors, bg=background)
    path = Path(*sample[:2])
    cv2.imwrite(str(folder / "image" / path / f"{sample.image}_ar.jpg"), image[:, :, ::-1])
    points = screen[keypoints, :2] + 0.5
    np.savetxt(folder / "68landmarks" / path / f"{sample.image}_68landmarks.txt", np.rint(points), fmt="%d")
    if sample.subject in SUBJECTS:
        np.savez(folder / "info" / path / f"{sample.image}_info.npz", verts=verts, R_t=R_t)


@pytest.fixture(scope="session")
def root_template(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("root") / "data"
    write_root(folder)
    return folder


@pytest.fixture
def data_root(root_template, tmp_path) -> Path:
    """A fresh copy that a test may break."""
    import shutil

    return Path(shutil.copytree(root_template, tmp_path / "data"))


@pytest.fixture
def wcpa_root(root_template) -> WcpaRoot:
    """The tiny root, to be read only."""
    return WcpaRoot(root_template)


@pytest.fixture
def run_script(monkeypatch, capsys):
    """Runs a step script's module with arguments: its exit status (0 when it ends well) and all that it printed."""

    def run(module, *arguments) -> tuple[int, str]:
        from util.errors import run_step

        monkeypatch.setattr(sys, "argv", [f"{module.__name__}.py", *map(str, arguments)])
        status = 0
        try:
            run_step(module.main)
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
            if isinstance(end.code, str):
                sys.stderr.write(end.code)
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return run
