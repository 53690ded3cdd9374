"""Samples drawn while training: the same ones wherever they are drawn, with labels and windows that are true."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from data import synthetic_dataset
from data.synthetic.worlds import world_of
from data.synthetic_dataset import CAST, LANES, USES, SyntheticDataset, Wanted, draw_sample, wanted_batch
from data.wcpa import WcpaRoot
from Sim3DR import rasterize
from tests.portraits import RECIPE, portrait_world
from util.camera import project, transform
from util.errors import InputError
from util.loader import read_ahead
from util.mesh import write_obj

HOUSE = Path(__file__).parents[2]
WINDOWS = ("local", "global", "aligned", "square")


def make_root(folder: Path, recipe=RECIPE) -> WcpaRoot:
    """A data root that has nothing but its recipe."""
    for name in ("image", "68landmarks", "list", "resources"):
        (folder / name).mkdir(parents=True)
    recipe.write(folder / "resources")
    return WcpaRoot(folder)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    portrait_world()
    return make_root(tmp_path_factory.mktemp("endless") / "root")


def make(root, windows=("local",), size=32, augmentation=None, seed=0, count=24, **more):
    topology = portrait_world().topology
    return SyntheticDataset(root, [], topology, windows, size, True, augmentation, seed, epoch_samples=count, **more)


def read_all(dataset, batch_size=4, skip=0):
    return [dataset.read_batch(batch) for batch in dataset.batches(batch_size, skip)]


def assert_same(ones, others):
    for one, other in zip(ones, others, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            assert torch.equal(one[name], other[name]), name


def test_batches_take_turns_in_lanes_of_casts():
    count = 2 * LANES * USES + 3
    batches = [wanted_batch(number, 20) for number in range(count)]
    for number, batch in enumerate(batches):
        assert [one.index for one in batch] == list(range(20 * number, 20 * number + 20))
        assert {one.lane for one in batch} == {number % LANES}
        uses = np.bincount([one.character - batch[0].character for one in batch])
        assert len(uses) == CAST
        assert np.ptp(uses) <= 1
    casts = [batch[0].character for batch in batches]
    # each cast is used USES times, by one lane alone, and none is left out
    assert len(set(casts)) == 2 * LANES + 3
    assert max(np.bincount(np.array(casts) // CAST)) == USES
    for cast in set(casts):
        assert len({batch[0].lane for batch, own in zip(batches, casts, strict=True) if own == cast}) == 1
    assert sorted(set(casts)) == list(range(0, CAST * (2 * LANES + 3), CAST))


def test_an_epoch_has_new_samples_and_ranks_share_them(root):
    dataset = make(root, count=26)
    assert len(dataset) == 26
    assert dataset.num_batches(4) == 6
    whole = list(dataset.batches(4))
    assert [[one.index for one in batch] for batch in whole] == np.arange(24).reshape(6, 4).tolist()
    assert list(dataset.batches(4, skip=4)) == whole[4:]
    dataset.num_ranks = 2
    for rank in (0, 1):
        dataset.rank = rank
        assert list(dataset.batches(4)) == [batch[rank::2] for batch in whole]
    with pytest.raises(InputError, match="--batch_size: wanted at most the 26 samples, got 27"):
        dataset.num_batches(27)


def test_samples_depend_on_seed_epoch_and_index_alone(root):
    augmentation = {"mirror": 0.5, "rotation": 15.0, "box": 0.1, "noise": 0.5}
    dataset = make(root, augmentation=augmentation, count=8)
    batches = read_all(dataset)
    synthetic_dataset.character_of.cache_clear()
    assert_same(read_all(make(root, augmentation=augmentation, count=8), skip=1), batches[1:])
    dataset.epoch = 1
    for others in (read_all(dataset), read_all(make(root, augmentation=augmentation, count=8, seed=1))):
        assert not any(torch.equal(*pair) for pair in zip(others[0]["verts"], batches[0]["verts"], strict=True))
        assert not any(torch.equal(*pair) for pair in zip(others[0]["local"], batches[0]["local"], strict=True))
    dataset.epoch, dataset.rank, dataset.num_ranks = 0, 1, 2
    (share, _) = read_all(dataset)
    assert_same([share], [{name: values[1::2] for name, values in batches[0].items()}])
    item = dataset[3]  # by its number alone: the same face, but by another character
    assert torch.equal(item["index"], batches[0]["index"][3])


def test_two_processes_draw_the_same(root):
    here, there = make(root, count=6), make(root, count=6, num_workers=2)
    try:
        batches = list(read_ahead(there.read_batch, there.batches(2), 2))  # two threads ask at once
        assert_same(batches, read_all(here, 2))
        assert len(there.processes) == 2
        threads = [process.submit(os.getenv, "OPENBLAS_NUM_THREADS").result() for process in there.processes]
        assert threads == ["1", "1"]
    finally:
        for process in there.processes:
            process.shutdown()


def test_labels_are_where_the_landmarks_are(root):
    dataset = make(root, count=6)
    for item in (dataset[index] for index in range(6)):
        verts, R_t = item["verts"].double().numpy(), item["R_t"].double().numpy()
        points, _ = project(transform(verts[dataset.topology.keypoints], R_t), RECIPE.projection, 96, 96)
        np.testing.assert_allclose(points, item["landmarks68"], atol=1e-3)  # float32 of the pose, in pixels
        assert points.min() >= 0
        assert points.max() <= 96


@pytest.fixture
def marked(monkeypatch):
    """A world whose people are meshes coloured by place before grey, of pictures of 400 pixels."""
    world = portrait_world(image_size=400)
    template = world.topology.template
    colors = ((template - template.min(axis=0)) / np.ptp(template, axis=0)).astype(np.float32)

    def draw(rng, person, shot, frame):
        screen = frame.place(transform(shot.verts, shot.R_t).astype(np.float32))
        behind = np.full((frame.rows, frame.columns, 3), 90, np.uint8)
        return rasterize(screen, world.topology.triangles, colors, bg=behind)

    monkeypatch.setattr(world, "draw_picture", draw)
    monkeypatch.setattr(synthetic_dataset, "world_of", lambda recipe, coarse: world)
    synthetic_dataset.character_of.cache_clear()
    yield world
    synthetic_dataset.character_of.cache_clear()  # the next test's may be of another world


def test_windows_of_parts_are_those_of_the_whole_picture(marked, tmp_path):
    root = make_root(tmp_path / "root", replace(RECIPE, image_size=400))
    augmentation = {"rotation": 20.0, "box": 0.1, "scale": 0.1}
    part, whole = (make(root, windows, 64, augmentation) for windows in (WINDOWS, (*WINDOWS, "whole")))
    assert whole.margin() is None
    for index in range(8):
        one, other = part[index], whole[index]
        for name in WINDOWS:
            np.testing.assert_array_equal(one[f"{name}_affine"], other[f"{name}_affine"])
            # Faces are drawn as large as they are in a window: in the other's pictures they may have half the pixels.
            windows = [item[name].permute(1, 2, 0).contiguous().numpy() for item in (one, other)]
            seen = [cv2.GaussianBlur(window.mean(axis=2), (0, 0), 1.5) for window in windows]
            (right, down), match = cv2.phaseCorrelate(*seen)
            assert max(abs(right), abs(down)) < 0.5, (index, name)
            assert match > 0.5
            assert np.abs(seen[0] - seen[1]).mean() < 3
        # where labels are on the faces, whose colours say where
        points = one["landmarks68"].double().numpy() @ one["local_affine"][:, :2].double().numpy().T
        points = np.floor(points + one["local_affine"][:, 2].double().numpy()).astype(int)
        inside = ((points >= 2) & (points < 62)).all(axis=1)
        assert inside.mean() > 0.7
        colors = one["local"][:, points[inside, 1], points[inside, 0]].T
        assert ((colors.int() - 90).abs().amax(dim=1) > 12).double().mean() > 0.85  # the outline's are on the edge


def test_pictures_are_as_sharp_as_windows(root):
    dataset = make(root, ("local",), 48)
    for index in range(4):
        sample = dataset.draw([index])[0]
        box = synthetic_dataset.face_box(sample.label["landmarks"])
        assert sample.picture.scale == pytest.approx(1.1 * 48 / (box[2] - box[0]), rel=1e-5)
        assert (sample.picture.width, sample.picture.complete) == (96, False)
    assert make(root, ("whole",)).draw([0])[0].picture.pixels.shape == (96, 96, 3)


def test_without_epoch_samples_it_is_the_roots_own_images(wcpa_root):
    dataset = SyntheticDataset(wcpa_root, wcpa_root.samples("train"), wcpa_root.topology(), ["local"], 32, True)
    assert len(dataset) == len(wcpa_root.samples("train"))
    assert dataset[0]["local"].shape == (3, 32, 32)
    assert dataset.name_of(0) == str(wcpa_root.samples("train")[0])
    assert len(next(iter(dataset.batches(4)))) == dataset.num_batches(4) - 1 == 4
    with pytest.raises(InputError, match=f"{wcpa_root.root}: wanted a data root of step00_synthesize.py --face_model"):
        SyntheticDataset(wcpa_root, [], wcpa_root.topology(), ["local"], 32, True, epoch_samples=4)


def test_samples_have_names(root):
    assert make(root).name_of(5) == "drawn sample 5"


# In a process of its own: draws by one process, says what it drew and who draws, and goes on until it is interrupted.
ENDLESS = """
import hashlib, signal, sys
from pathlib import Path
from data.synthetic_dataset import SyntheticDataset
from data.wcpa import WcpaRoot
from util.errors import run_step
from util.mesh import read_topology

def main():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is born to ignore it
    dataset = SyntheticDataset(WcpaRoot(sys.argv[1]), [], read_topology(Path(sys.argv[2])), ["local"], 32, True,
                               epoch_samples=4000, num_workers=1)
    for batch in dataset.batches(4):
        window = dataset.read_batch(batch)["local"].numpy()
        (pid,) = dataset.processes[0]._processes
        print(pid, hashlib.sha256(window.tobytes()).hexdigest(), flush=True)

if __name__ == "__main__":
    run_step(main)
"""


def start_endless(folder, root):
    topology = portrait_world().topology
    (folder / "mesh").mkdir()
    write_obj(folder / "mesh" / "example.obj", topology.template, topology.triangles)
    np.save(folder / "mesh" / "kpt_ind.npy", topology.keypoints)
    (folder / "endless.py").write_text(ENDLESS)
    command = [sys.executable, folder / "endless.py", root.root, folder / "mesh"]
    environment = os.environ | {"PYTHONPATH": str(HOUSE)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, text=True, start_new_session=True, **pipes)


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_ctrl_c_leaves_no_process(root, tmp_path):
    process = start_endless(tmp_path, root)
    try:
        pid, digest = process.stdout.readline().split()
        assert is_running(int(pid))
        os.killpg(process.pid, signal.SIGINT)  # as the terminal does, to all of them
        _, told = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 1
    assert "interrupted" in told
    assert "Traceback" not in told
    end = time.monotonic() + 10
    while is_running(int(pid)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not is_running(int(pid))
    first = next(iter(make(root, count=4000).batches(4)))
    window = make(root, count=4000).read_batch(first)["local"].numpy()
    assert hashlib.sha256(window.tobytes()).hexdigest() == digest


def test_what_goes_wrong_in_a_drawing_process_comes_out(root, tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "broken.jpg").write_bytes(b"no picture")
    broken = make_root(tmp_path / "root", replace(RECIPE, backgrounds=str(tmp_path / "pictures")))
    dataset = make(broken, num_workers=1)
    try:
        with pytest.raises(InputError, match=r"broken\.jpg: wanted a picture, got 10 bytes"):
            dataset.read_batch(next(iter(dataset.batches(2))))
    finally:
        dataset.processes[0].shutdown()


def test_who_plays_a_sample_changes_its_looks_alone(root):
    look = synthetic_dataset.Look(RECIPE, 0, 0, 0.0, 32)
    one, other = (draw_sample(look, Wanted(3, character, 0)) for character in (0, 1))
    for name in ("verts", "R_t"):
        np.testing.assert_array_equal(one.label[name], other.label[name])
    assert not np.array_equal(one.picture.pixels, other.picture.pixels)
    assert world_of(RECIPE).topology.num_vertices == len(one.label["verts"])
