"""What augmentation draws, and that a batch that it is done to is that of the changed images themselves."""

import numpy as np
import pytest
import torch

from data.augment import augment_batch, draw_light, jitter_box
from data.wcpa_dataset import WcpaDataset
from data.windows import WINDOWS, Picture, opencv_affine, warp
from util.alignment import TEMPLATE, align, five_points, similarity
from util.camera import WCPA_PROJECTION, project, transform
from util.landmarks import MIRROR_68

SIDE, SIZE = 96, 48
NAMES = ("local", "global", "whole")


@pytest.fixture
def dataset(wcpa_root):
    return WcpaDataset(wcpa_root, wcpa_root.samples("train"), wcpa_root.topology(), NAMES, SIZE, labelled=True)


def mirrored_batch(dataset, mirrored):
    batch = dataset.read_batch(range(len(mirrored)))
    wanted = {**batch, "mirrored": torch.tensor(mirrored)}
    return batch, augment_batch(wanted, torch.from_numpy(dataset.topology.mirror), SIDE)


def test_mirrored_windows_are_those_of_the_mirrored_image(dataset):
    batch, augmented = mirrored_batch(dataset, [True] * 4)
    for place in range(4):
        image = dataset.picture(place).pixels[:, ::-1].copy()
        affine = batch["local_affine"][place].double().numpy()
        # the box from its window: its edges are pixel indices in the local one
        low, high = ((np.array([at, at]) - affine[:, 2]) / affine[[0, 1], [0, 1]] - 0.5 for at in (0.5, SIZE - 0.5))
        for name in NAMES:
            # An index i becomes SIDE - 1 - i, an edge at x becomes SIDE - x; the global box is cut to whole pixels from
            # its left, so that its edges may move by a pixel, and with them the outermost pixels of the window.
            right = SIDE - (1 if name == "local" else 0)
            box, window = (
                np.array([right - high[0], low[1], right - low[0], high[1]]),
                np.empty((SIZE, SIZE, 3), np.uint8),
            )
            affine = WINDOWS[name](Picture(image, SIDE, SIDE), box, None, window)
            np.testing.assert_allclose(augmented[f"{name}_affine"][place], affine, atol=1e-4)  # float32
            got = augmented[name][place].permute(1, 2, 0).numpy().astype(int)
            seen = np.ones((SIZE, SIZE), bool)
            if name == "global":
                seen = got.any(axis=2) & window.any(axis=2)
                assert (got.any(axis=2) ^ window.any(axis=2)).mean() < 0.05
                seen = seen & np.roll(seen, 2, 1) & np.roll(seen, -2, 1) & np.roll(seen, 2, 0) & np.roll(seen, -2, 0)
            # OpenCV places pixels to 1/32: that times the largest slope, less than a level a 1/250 pixel
            assert np.abs(got - window)[seen].max() <= 8


def test_a_mirrored_aligned_window_is_that_of_the_mirrored_points(wcpa_root):
    look = wcpa_root.topology(), ("aligned",), SIZE
    dataset = WcpaDataset(wcpa_root, wcpa_root.samples("train"), *look, labelled=True)
    _, augmented = mirrored_batch(dataset, [True] * 4)
    for place in range(4):
        image = dataset.picture(place).pixels[:, ::-1].copy()
        points = augmented["landmarks68"][place].double().numpy()
        own = align(points, SIZE)
        # the template is not quite symmetric, so that the mirrored one is: a point's two places are as far apart
        mirrored_template = (TEMPLATE * [-1, 1] + [1, 0])[[1, 0, 2, 4, 3]] * SIZE
        affine = similarity(five_points(points), mirrored_template)
        np.testing.assert_allclose(augmented["aligned_affine"][place], affine, atol=1e-4)  # float32
        assert np.abs(own - affine).max() > 1e-6
        window = np.empty((SIZE, SIZE, 3), np.uint8)
        warp(Picture(image, SIDE, SIDE), opencv_affine(affine), window)
        got = augmented["aligned"][place].permute(1, 2, 0).numpy().astype(int)
        assert np.abs(got - window).max() <= 8  # as above


def test_box_jitter_moves_the_aligned_window(wcpa_root):
    samples, look = wcpa_root.samples("train"), (wcpa_root.topology(), ("aligned",), SIZE)
    still = WcpaDataset(wcpa_root, samples, *look, labelled=True, augmentation={"landmarks": 0.01})
    jittered = WcpaDataset(wcpa_root, samples, *look, labelled=True, augmentation={"box": 0.1})
    exact = align(still.label(0)["landmarks"], SIZE)
    np.testing.assert_allclose(still[0]["aligned_affine"], exact, atol=1e-4)  # noise moves points, not windows; float32
    size = [float(np.sqrt(np.linalg.det(dataset[0]["aligned_affine"][:, :2]))) for dataset in (still, jittered)]
    assert 1 / 1.1 <= size[1] / size[0] <= 1 / 0.9
    assert np.abs(jittered[0]["aligned_affine"].numpy() - exact).max() > 0.1


def test_mirrored_labels_fit_the_mirrored_picture(dataset):
    batch, augmented = mirrored_batch(dataset, [False, True, True])
    for name, tensor in batch.items():
        assert torch.equal(augmented[name][0], tensor[0])
    mirror = dataset.topology.mirror
    for place in (1, 2):
        before, after = (
            project(transform(of["verts"][place].numpy(), of["R_t"][place].numpy()), WCPA_PROJECTION, SIDE, SIDE)[0]
            for of in (batch, augmented)
        )
        np.testing.assert_allclose(after, before[mirror] * [-1, 1] + [SIDE, 0], atol=1e-4)  # float32 labels
        assert np.linalg.det(augmented["R_t"][place, :3, :3].numpy()) == pytest.approx(1, abs=1e-5)
        points = batch["landmarks68"][place].numpy()[MIRROR_68] * [-1, 1] + [SIDE, 0]
        np.testing.assert_array_equal(augmented["landmarks68"][place].numpy(), points)
    again = augment_batch({**augmented, "mirrored": torch.tensor([False, True, True])}, torch.from_numpy(mirror), SIDE)
    for name, tensor in batch.items():
        torch.testing.assert_close(again[name], tensor, rtol=1e-5, atol=1e-4)  # affines are sums of float32


def test_unmirrored_batches_pass_as_they_are(dataset):
    batch = dataset.read_batch([0, 1])
    augmented = augment_batch(batch, torch.from_numpy(dataset.topology.mirror), SIDE)
    assert all(augmented[name] is tensor for name, tensor in batch.items())


def test_light_by_hand():
    window = torch.full((2, 3, 4, 4), 100, dtype=torch.uint8)
    window[:, :, 0] = 0
    window[:, :, 1] = 200  # the mean is 100
    batch = {
        "local": window,
        "local_affine": torch.eye(2, 3).expand(2, 2, 3),
        "light": torch.tensor([[1.5, 10], [1, 0]]),
    }
    lit = augment_batch(batch, torch.arange(3), SIDE)
    assert "light" not in lit
    assert torch.equal(lit["local"][1], window[1])
    assert lit["local"].dtype == torch.uint8
    assert (lit["local"][0, :, 0] == 0).all()  # black stays
    assert (lit["local"][0, :, 1] == 255).all()  # (200 - 100) * 1.5 + 100 + 10, cut
    assert (lit["local"][0, :, 2:] == 110).all()


def test_light_stays_within_its_bounds():
    random = np.random.default_rng(0)
    drawn = np.array([draw_light(random, brightness=0.1, contrast=0.2) for _ in range(500)])
    assert np.abs(drawn - [1, 0]).max(axis=0) == pytest.approx([0.2, 25.5], rel=0.02)  # 500 draws come that near
    assert (np.abs(drawn - [1, 0]) <= [0.2, 25.5]).all()


def test_box_jitter_stays_within_its_bounds():
    random, box = np.random.default_rng(0), np.array([100.0, 200, 300, 400])
    boxes = np.array([jitter_box(box, random, shift=0.1, scale=0.2) for _ in range(500)])
    sides, centres = boxes[:, 2:] - boxes[:, :2], (boxes[:, 2:] + boxes[:, :2]) / 2
    assert np.allclose(sides[:, 0], sides[:, 1])
    assert sides.min() >= 160
    assert sides.max() <= 240
    assert np.abs(centres - [200, 300]).max() <= 20
    assert np.abs(centres - [200, 300]).max() > 15
