"""What augmentation draws, and that a batch that it is done to is that of the changed images themselves."""

import cv2
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

import data.augment
from data.augment import (
    PIXEL_CHANGES,
    augment_batch,
    change_pixels,
    check_rotation,
    draw_blocks,
    draw_blur,
    draw_color,
    draw_cut_out,
    draw_jpeg,
    draw_light,
    draw_noise,
    jitter_box,
    line_kernel,
    turn_labels,
)
from data.wcpa_dataset import WcpaDataset
from data.windows import WINDOWS, Picture, face_box, opencv_affine, warp
from tests.data.test_windows import upright_landmarks
from util.alignment import TEMPLATE, align, five_points, similarity
from util.camera import WCPA_PROJECTION, project, transform
from util.errors import InputError
from util.landmarks import MIRROR_68
from util.pnp import solve_pnp
from util.pose import pose_to_6dof

SIDE, SIZE = 96, 48
NAMES = ("local", "global", "whole")
# of the images with a spot: the real data's
LARGE, LARGE_SIZE = 800, 128


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


class SpottedDataset(WcpaDataset):
    """Large images, black but for a spot where one vertex is seen, and the points that the labels show."""

    vertex = 0

    def seen(self, index):
        label = self.label(index)
        return label, project(transform(label["verts"], label["R_t"]), WCPA_PROJECTION, LARGE, LARGE)[0]

    def picture(self, index):
        x, y = self.seen(index)[1][self.vertex]
        rows, columns = np.mgrid[:LARGE, :LARGE] + 0.5
        spot = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 8**2))
        return Picture(np.repeat(spot[..., None], 3, axis=2).astype(np.uint8), LARGE, LARGE)

    def read(self, index):
        label, points = self.seen(index)
        return index, self.picture(index), label | {"landmarks": np.float32(points[self.topology.keypoints])}


# of the bowl's grid, 9 wide: where a spot is seen whole in windows that are moved as below
@pytest.mark.parametrize("vertex", [9 * 3 + 2, 9 * 5 + 6, 9 * 7 + 3])
def test_what_is_at_a_vertex_is_seen_where_the_labels_say(wcpa_root, vertex):
    names = tuple(WINDOWS)
    moves = {"mirror": 0.5, "rotation": 60.0, "box": 0.05, "scale": 0.1}
    look = wcpa_root.samples("train"), wcpa_root.topology(), names, LARGE_SIZE, True
    dataset = SpottedDataset(wcpa_root, *look, augmentation=moves, seed=1)
    dataset.vertex, topology = vertex, dataset.topology
    batch = dataset.read_batch(range(6))
    mirrored = batch["mirrored"]
    assert mirrored.any()
    assert not mirrored.all()
    batch = augment_batch(batch, torch.from_numpy(topology.mirror), LARGE)
    for place in range(6):
        verts, R_t = (batch[name][place].double().numpy() for name in ("verts", "R_t"))
        points, _ = project(transform(verts, R_t), WCPA_PROJECTION, LARGE, LARGE)
        spotted, landmarks = vertex, topology.keypoints
        if mirrored[place]:
            spotted, landmarks = topology.mirror[vertex], topology.mirror[landmarks[MIRROR_68]]
        # float32 labels: 1e-7 of half a metre, times the focal length over the distance
        np.testing.assert_allclose(batch["landmarks68"][place], points[landmarks], atol=1e-3)
        for name in names:
            light = batch[name][place, 0].double().numpy()
            found = ((np.mgrid[:LARGE_SIZE, :LARGE_SIZE] + 0.5) * light).sum(axis=(1, 2)) / light.sum()
            affine = batch[f"{name}_affine"][place].double().numpy()
            # levels are whole numbers, and a spot is but two pixels wide in windows of the whole image
            np.testing.assert_allclose(found[::-1], affine @ [*points[spotted], 1], atol=0.08, err_msg=name)


def turned(dataset, degrees, index=0):
    _, picture, label = dataset.read(index)
    picture = picture._replace(turn=np.radians(degrees))
    label["landmarks68"] = label.pop("landmarks")
    return picture, label, turn_labels(label, picture)


def test_a_turn_is_a_roll_of_the_camera(dataset):
    picture, before, after = turned(dataset, 25)
    six, turned_six = pose_to_6dof(before["R_t"]), pose_to_6dof(after["R_t"])
    # 1e-6: float32 rotations
    np.testing.assert_allclose(turned_six[:3] - six[:3], [0, 0, np.radians(25)], atol=1e-6)
    assert turned_six[5] == pytest.approx(six[5])
    assert complex(*turned_six[3:5]) == pytest.approx(complex(*six[3:5]) * np.exp(1j * np.radians(25)), abs=1e-6)
    assert after["verts"] is before["verts"]
    assert {values.dtype for values in after.values()} == {np.dtype(np.float32)}
    middle = np.full((68, 2), SIDE / 2, np.float32)
    np.testing.assert_allclose(turn_labels({"landmarks68": middle}, picture)["landmarks68"], middle, rtol=1e-6)


def test_a_quarter_turn_is_that_of_the_pixels(dataset):
    picture, before, after = turned(dataset, 90)
    np.testing.assert_allclose(after["landmarks68"], (before["landmarks68"] * [-1, 1] + [SIDE, 0])[:, ::-1], atol=1e-4)
    quarter = np.ascontiguousarray(np.rot90(picture.pixels))  # anticlockwise
    np.testing.assert_array_equal(picture.whole(), quarter)
    for name in NAMES:
        got, wanted = np.empty((2, SIZE, SIZE, 3), np.uint8)
        look = face_box(after["landmarks68"]), after["landmarks68"]
        affine = WINDOWS[name](picture, *look, got)
        np.testing.assert_array_equal(affine, WINDOWS[name](Picture(quarter, SIDE, SIDE), *look, wanted))
        # OpenCV places pixels to 1/32: as in the mirrored windows above; global ones fade at the box's edge otherwise
        inside = got.any(axis=2) & wanted.any(axis=2)
        inner = cv2.erode(inside.astype(np.uint8), np.ones((5, 5))).astype(bool)
        assert np.abs(got.astype(int) - wanted)[inner if name == "global" else inside].max() <= 8


def test_corners_of_a_turned_image_are_black():
    picture = Picture(np.full((SIDE, SIDE, 3), 200, np.uint8), SIDE, SIDE, turn=np.radians(45))
    window = np.empty((SIZE, SIZE, 3), np.uint8)
    WINDOWS["whole"](picture, None, None, window)
    assert not window[:5, :5].any()
    assert (window[SIZE // 2, SIZE // 2] == 200).all()
    assert (window > 0).mean() == pytest.approx(2 * (np.sqrt(2) - 1), abs=0.02)  # an octagon of that share


def test_a_reduced_picture_turns_as_the_whole_one():
    rows, columns = np.mgrid[:800, :800] / 40.0
    image = np.stack([128 + 100 * np.sin(rows), 128 + 100 * np.cos(columns), 128 + 50 * np.sin(rows + columns)], axis=2)
    image = image.astype(np.uint8)
    reduced = cv2.resize(image[200:600, 160:560], (200, 200), interpolation=cv2.INTER_AREA)
    pictures = Picture(image, 800, 800, turn=0.3), Picture(reduced, 800, 800, False, 160, 200, 0.5, turn=0.3)
    landmarks = upright_landmarks()
    for name in ("local", "global", "aligned"):
        wanted, got = np.empty((2, 64, 64, 3), np.uint8)
        for picture, window in zip(pictures, (wanted, got), strict=True):
            WINDOWS[name](picture, np.float64([310, 300, 470, 460]), (landmarks - [400, 380]) / 3 + [400, 380], window)
        # waves of 250 pixels, of which halved ones keep all but a level or two
        assert np.abs(wanted.astype(int) - got).max() <= 3, name


def test_no_pose_shows_what_a_scaled_or_shifted_image_shows(dataset):
    """Of a face before the same camera; a turned one's pose is exact."""
    _, before, after = turned(dataset, 20)
    verts = torch.from_numpy(before["verts"]).double()[None]
    seen = project(transform(before["verts"], before["R_t"]), WCPA_PROJECTION, LARGE, LARGE)[0]

    def left(points):
        """Root mean square error, in pixels, of the best pose for a face that is seen at points."""
        world = torch.from_numpy(WCPA_PROJECTION), LARGE, LARGE
        pose = solve_pnp(verts, torch.from_numpy(points)[None], *world)
        error = project(transform(verts, pose), world[0], LARGE, LARGE)[0][0].numpy() - points
        return np.sqrt((error**2).mean())

    turn = project(transform(before["verts"], after["R_t"]), WCPA_PROJECTION, LARGE, LARGE)[0]
    assert left(turn) < 1e-3
    assert left((seen - LARGE / 2) * 1.5 + LARGE / 2) > 0.3
    assert left(seen + [150, 0]) > 0.3


def test_a_moved_box_changes_no_label(wcpa_root):
    look = wcpa_root.samples("train"), wcpa_root.topology(), ("local",), SIZE, True
    still, moved = WcpaDataset(wcpa_root, *look)[2], WcpaDataset(wcpa_root, *look, augmentation={"scale": 0.5})[2]
    for name in ("verts", "R_t", "landmarks68"):
        assert torch.equal(still[name], moved[name])
    datasets = [WcpaDataset(wcpa_root, *look, augmentation={"scale": 0.5}, seed=seed) for seed in range(30)]
    growth = still["local_affine"][0, 0] / torch.stack([dataset[2]["local_affine"][0, 0] for dataset in datasets])
    assert growth.min() == pytest.approx(0.5, abs=0.1)  # 30 draws come that near to what is asked for
    assert growth.max() == pytest.approx(1.5, abs=0.1)
    # about the middle of the box
    middle = face_box(still["landmarks68"].numpy())
    middle = (middle[:2] + middle[2:]) / 2 + 0.5  # the local window's box is in pixel indices
    np.testing.assert_allclose(moved["local_affine"].numpy() @ [*middle, 1], [SIZE / 2, SIZE / 2], atol=1e-3)


def test_a_camera_that_does_not_turn_about_the_middle_is_told():
    check_rotation(WCPA_PROJECTION, (800, 800))
    with pytest.raises(
        InputError, match=r"--rotation: wanted 0, or a camera of one focal length .* 629\.775 and 472\.331"
    ):
        check_rotation(WCPA_PROJECTION, (800, 600))
    aside = WCPA_PROJECTION.copy()
    aside[2, 0] = 0.1
    with pytest.raises(InputError, match=r"middle of the image, .* \[0.0, 0.0, 0.1, 0.0, 0.0, 0.0\] in M_proj"):
        check_rotation(aside, (800, 800))


def colorful(size=SIZE):
    """A window with soft colours, and black in its upper third."""
    window = np.random.default_rng(0).integers(1, 256, (size // 4, size // 4, 3), np.uint8)
    window = np.maximum(cv2.resize(window, (size, size)), 1)
    window[: size // 3] = 0
    return window


@pytest.mark.parametrize("name", sorted(PIXEL_CHANGES))
def test_pixel_changes_depend_on_the_draw_alone_and_leave_black(name):
    def changed(seed):
        window = colorful(128)
        box = np.float64([0, 64, 128, 128])
        change_pixels([(window, np.eye(2, 3))], box, {name: 1.0}, np.random.default_rng(seed))
        return window

    assert np.array_equal(changed(0), changed(0))
    assert not np.array_equal(changed(0), changed(1))
    for seed in range(5):
        assert not np.array_equal(changed(seed), colorful(128))
        assert not changed(seed)[: 128 // 3].any()


@pytest.mark.parametrize("name", sorted(PIXEL_CHANGES))
def test_pixel_changes_come_with_their_chance(name):
    count, random, window = 0, np.random.default_rng(0), colorful()
    for _ in range(200):
        copy = window.copy()
        change_pixels([(copy, np.eye(2, 3))], np.float64([0, 16, SIZE, SIZE]), {name: 0.3}, random)
        count += not np.array_equal(copy, window)
    assert 40 < count < 80  # 60 are expected, with a deviation of 6.5


def only(monkeypatch, **amounts):
    """Leaves the colours as they are but for some of what changes them."""
    still = {"HUE": 0.0, "SATURATION": (1.0, 1.0), "WHITE_BALANCE": 0.0, "GAMMA": 0.0}
    for name, amount in (still | amounts).items():
        monkeypatch.setattr(data.augment, name, amount)
    window = colorful()
    return window, draw_color(np.random.default_rng(1), None)(window, None)


def test_colors_by_hand(monkeypatch):
    window, changed = only(monkeypatch)
    assert np.abs(window.astype(int) - changed).max() == 0
    window, changed = only(monkeypatch, SATURATION=(0.0, 0.0))
    luma = np.repeat((window @ [0.299, 0.587, 0.114])[..., None], 3, axis=2)
    assert np.abs(luma - changed).max() < 0.6  # rounded, by coefficients of ten bits
    window, changed = only(monkeypatch, GAMMA=0.5)
    exponents = np.log(changed / 255.0 + 1e-9) / np.log(window / 255.0 + 1e-9)
    middle = (window > 60) & (window < 200)
    assert np.ptp(exponents[middle]) < 0.03  # one for all; levels are whole numbers
    assert np.exp(-0.5) < exponents[middle].mean() < np.exp(0.5)
    window, changed = only(monkeypatch, WHITE_BALANCE=0.3)
    gains = [changed[..., k][(window[..., k] > 50) & (changed[..., k] < 255)].mean() for k in range(3)]
    gains /= np.array([window[..., k][(window[..., k] > 50) & (changed[..., k] < 255)].mean() for k in range(3)])
    assert len(set(np.round(gains, 2))) == 3
    assert (np.abs(np.log(gains)) < 0.31).all()
    # a turn of hue keeps the luma and moves the chroma by its angle
    window, _ = only(monkeypatch, HUE=20.0)
    soft = np.uint8(window * 0.3 + 90)  # nothing is cut off
    changed = draw_color(np.random.default_rng(1), None)(soft, None)
    assert np.abs((changed - soft.astype(float)) @ [0.299, 0.587, 0.114]).max() < 1
    assert np.abs(changed - soft.astype(float)).max() > 2


def test_colors_do_not_depend_on_the_window():
    window, change = colorful(), draw_color(np.random.default_rng(5), None)
    order = np.random.default_rng(0).permutation(SIZE * SIZE)
    shuffled = window.reshape(-1, 3)[order].reshape(window.shape)
    wanted = change(window, None).reshape(-1, 3)[order].reshape(window.shape)
    np.testing.assert_array_equal(change(shuffled, None), wanted)


def test_motion_kernels_by_hand():
    np.testing.assert_allclose(line_kernel(2.0, 0.0), [[0, 0, 0], np.float64([1.5, 2, 1.5]) / 5, [0, 0, 0]], rtol=1e-6)
    for length in (3.0, 7.6):
        for angle in (0.3, 1.2, 2.5):
            kernel = line_kernel(length, angle).astype(float)
            assert kernel.sum() == pytest.approx(1, abs=1e-6)
            y, x = np.mgrid[: len(kernel), : len(kernel)] - len(kernel) // 2
            along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
            assert (kernel * along).sum() == pytest.approx(0, abs=1e-5)
            # a line's variance, a bit more for its ends count whole, and that of sharing between pixels
            assert length**2 / 12 < (kernel * along**2).sum() < length**2 / 12 * 1.4 + 0.4
            assert (kernel * across**2).sum() < 0.4


def test_a_lens_blurs_as_a_gaussian(monkeypatch):
    monkeypatch.setattr(data.augment, "BLUR_DEVIATION", (0.02, 0.02))
    seeds = [seed for seed in range(9) if np.random.default_rng(seed).random() < 0.5]
    window = colorful(100)[40:]
    window = np.ascontiguousarray(cv2.resize(window, (100, 100)))
    for seed in seeds[:2]:
        got = draw_blur(np.random.default_rng(seed), None)(window, None)
        wanted = gaussian_filter(window.astype(float), (2.0, 2.0, 0), mode="mirror", truncate=3)
        assert np.abs(got - wanted).max() < 1.5  # OpenCV's weights are whole 256ths


def test_noise_is_as_strong_as_it_is_drawn(monkeypatch):
    monkeypatch.setattr(data.augment, "NOISE", (9.0, 9.0))
    window = np.full((200, 200, 3), 128, np.uint8)
    noise = draw_noise(np.random.default_rng(0), None)(window, None).astype(float) - 128
    assert noise.std() == pytest.approx(9, rel=0.01)  # 120,000 draws: 0.2 %; rounding adds 1/12 to the variance
    assert np.abs(noise.mean(axis=(0, 1))).max() < 0.2
    assert np.abs(np.corrcoef(noise.reshape(-1, 3).T) - np.eye(3)).max() < 0.02


def test_jpeg_is_that_of_another_encoder(monkeypatch):
    window, errors = cv2.resize(colorful()[SIZE // 3 :], (64, 64)), []
    for quality in (15, 90):
        monkeypatch.setattr(data.augment, "JPEG_QUALITY", (quality, quality))
        got = draw_jpeg(np.random.default_rng(0), None)(window, None)
        data_of = cv2.imencode(".jpg", window[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        # they round and enlarge the colours differently; the errors below are 11 and 3 levels
        assert np.abs(got.astype(int) - cv2.imdecode(data_of, cv2.IMREAD_COLOR)[:, :, ::-1]).mean() < 1.5
        errors.append(np.abs(got.astype(int) - window).mean())
    assert errors[0] > 2 * errors[1]


def test_patches_lie_in_one_place_of_the_image():
    box = np.float64([250, 300, 550, 600])
    near = np.float64([[0.5, 0, -100], [0, 0.5, -120]])
    turned_away = np.float64([[0.28, 0.05, -60], [-0.05, 0.28, -40]])
    for seed in range(12):
        change, places, sizes = draw_cut_out(np.random.default_rng(seed), box), [], []
        for affine in (near, turned_away):
            window = change(np.full((220, 220, 3), 7, np.uint8), affine)
            rows, columns = np.nonzero((window != 7).any(axis=2))
            sizes.append(len(rows) / np.linalg.det(affine[:, :2]))
            seen = np.stack([columns, rows]) + 0.5 - affine[:, 2:]
            places.append((np.linalg.inv(affine[:, :2]) @ seen).mean(axis=1))
        # outlines to a pixel or so of the coarser window, which is three and a half of the image
        assert sizes[0] == pytest.approx(sizes[1], rel=0.15)
        np.testing.assert_allclose(places[0], places[1], atol=3.5)
        assert 0 < sizes[0] < 3 * (2 * 0.2 * 300) ** 2 * 1.1
        assert (np.abs(places[0] - [400, 450]) < 150).all()


def test_shuffled_blocks_are_those_of_the_windows(wcpa_root):
    look = wcpa_root.samples("train"), wcpa_root.topology(), ("local", "whole"), SIZE, True
    plain = WcpaDataset(wcpa_root, *look).read_batch(range(8))
    dataset = WcpaDataset(wcpa_root, *look, augmentation={"shuffle": 0.7})
    drawn = dataset.read_batch(range(8))
    batch = augment_batch(drawn, torch.from_numpy(dataset.topology.mirror), SIDE)
    assert "blocks" not in batch
    step, kept = SIZE // 4, 0
    for place, blocks in enumerate(drawn["blocks"].tolist()):
        kept += blocks == list(range(16))
        for name in ("local", "whole"):
            for block, source in enumerate(blocks):
                (y, x), (v, u) = np.multiply(divmod(block, 4), step), np.multiply(divmod(source, 4), step)
                got = batch[name][place, :, y : y + step, x : x + step]
                if name == "whole":  # where it would move the face
                    v, u = y, x
                assert torch.equal(got, plain[name][place, :, v : v + step, u : u + step])
    assert 0 < kept < 8
    with pytest.raises(InputError, match="--shuffle: wanted 0, or --img_size a multiple of 4, got 90"):
        WcpaDataset(wcpa_root, *look[:2], ("local",), 90, True, augmentation={"shuffle": 0.7})
    with pytest.raises(
        InputError, match="--shuffle: wanted 0, or a model that looks at the face alone, got windows gl"
    ):
        WcpaDataset(wcpa_root, *look[:2], ("global", "whole"), SIZE, True, augmentation={"shuffle": 0.7})


def test_blocks_are_drawn_as_in_radan():
    """None to four exchanges with the corner: a ring of that many blocks and the corner."""
    random = np.random.default_rng(0)
    drawn = np.array([draw_blocks(random) for _ in range(500)])
    assert (np.sort(drawn, axis=1) == np.arange(16)).all()
    moved = (drawn != np.arange(16)).sum(axis=1)
    assert set(moved) == {0, 2, 3, 4, 5}
    assert np.bincount(moved)[[0, 2, 3, 4, 5]].min() > 70  # 100 are expected of each, with a deviation of 9
    assert (drawn[moved > 0, 0] != 0).all()
