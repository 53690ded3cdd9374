"""Sets: every image in one, views by yaw, drawn anew each epoch whatever the workers and ranks, mirrored as a whole."""

from collections import Counter

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from data.augment import augment_batch
from data.multiview_dataset import MultiviewDataset
from data.synthetic.shape import procedural_face
from data.wcpa import SampleId
from data.windows import Picture
from tests.conftest import bowl
from util.camera import WCPA_PROJECTION, project, transform
from util.landmarks import nose_offset, view_of
from util.loader import load_batches
from util.mesh import make_topology
from util.pose import pose_from_6dof

SIDE = 96
TEMPLATE, TRIANGLES = bowl()
# jaw ends and the tip of the nose, which are points 0, 16 and 30, at the sides and in the middle of the bowl
KEYPOINTS = np.arange(68)
KEYPOINTS[[0, 16, 30]] = [45, 53, 49]
TOPOLOGY = make_topology(TEMPLATE, TRIANGLES, KEYPOINTS)


class Labels:
    """Faces of the bowl turned by the given yaws, in copies, as a data set changes what it reads."""

    def __init__(self, yaws):
        self.yaws = yaws

    def __getitem__(self, index):
        R_t = pose_from_6dof(np.array([0, self.yaws[index], 0, 0, 0, -0.5]))
        points, _ = project(transform(TEMPLATE, R_t), WCPA_PROJECTION, SIDE, SIDE)
        arrays = {"landmarks": points[KEYPOINTS], "verts": TEMPLATE, "R_t": R_t}
        return {name: array.astype(np.float32) for name, array in arrays.items()}


class Noise:
    """An image of noise of its own for each index."""

    def __getitem__(self, index):
        pixels = np.random.default_rng(index).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        return Picture(pixels, SIDE, SIDE)


def make(counts=(6, 4, 1, 2, 9, 5), windows=(), augmentation=None, seed=0):
    """As many groups as counts, of so many images each, whose order has nothing to do with their yaw."""
    samples = [SampleId(f"{group:03d}", "01_Turn", f"{i}") for group, count in enumerate(counts) for i in range(count)]
    random = np.random.default_rng(3)
    order = random.permutation(len(samples))
    return MultiviewDataset(
        None,
        [samples[i] for i in order],
        TOPOLOGY,
        windows,
        32,
        True,
        augmentation,
        seed,
        Labels(random.permutation(np.linspace(-0.6, 0.6, len(samples)))),
        Noise(),
    )


def sets_of(dataset, indices):
    """The sets that a batch says it has, as tuples of indices."""
    batch = dataset.read_batch(indices)
    assert batch["index"].tolist() == list(indices)
    numbers = batch["set"].tolist()
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(max(numbers) + 1))
    return [tuple(i for i, n in zip(indices, numbers, strict=True) if n == number) for number in sorted(set(numbers))]


def check_sets(dataset, sets):
    """All of a set are of one subject and action and of different views, from left to right, which is by true yaw."""
    for images in sets:
        assert len({dataset.samples[index][:2] for index in images}) == 1
        yaws = [dataset.labels.yaws[index] for index in images]
        assert yaws == sorted(yaws)
    sizes = Counter(dataset.samples[images[0]].subject for images in sets)
    counts = Counter(sample.subject for sample in dataset.samples)
    # as few sets as three an image allow
    assert sizes == {subject: -(-count // 3) for subject, count in counts.items()}


def test_nose_offset_by_hand_and_by_yaw():
    points = np.zeros((68, 2))
    points[0], points[16], points[30] = [10, 0], [30, 0], [25, 7]
    assert nose_offset(points) == pytest.approx(0.5, abs=1e-5)  # what keeps zero from zero
    turned = points @ np.array([[0.8, 0.6], [-0.6, 0.8]])
    assert nose_offset(torch.from_numpy(turned)).item() == pytest.approx(0.5, abs=1e-5)
    assert nose_offset(np.ones((2, 68, 2))).tolist() == [0, 0]


def test_views_are_told_like_the_true_yaw():
    """On the real topology at the real data's poses, with a pixel of noise."""
    face = procedural_face().topology
    random = np.random.default_rng(0)
    mean = [-0.018197, -0.017891, 0.025348, -0.005368, 0.001176, -0.532206]
    six = random.normal(mean, [0.314015, 0.271809, 0.081881, 0.022173, 0.048839, 0.065444], (1000, 6))
    verts = face.template[face.keypoints].astype(float)[None].repeat(1000, 0)
    points, _ = project(transform(verts, pose_from_6dof(six)), WCPA_PROJECTION, 800, 800)
    offsets = nose_offset(points + random.normal(0, 1, points.shape))
    # The rest is pitch and where in the picture the face is: measured 0.978, on the sample of the real layout 0.977.
    assert spearmanr(offsets, six[:, 1]).statistic > 0.95


def test_every_image_is_in_one_fixed_set_and_views_go_by_yaw():
    dataset = make()
    for batch_size in (1, 4, 7, 100):
        batches = dataset.in_order(batch_size)
        assert batches == dataset.in_order(batch_size)
        sets = [images for batch in batches for images in sets_of(dataset, batch)]
        assert sorted(index for images in sets for index in images) == list(range(len(dataset)))
        assert all(len(batch) <= max(batch_size, 3) for batch in batches)
        check_sets(dataset, sets)
    # of four images the one more is a frontal one, of five the two are a left and a right one; fewer than three are
    # what they look like
    views = {images: dataset.view[list(images)].tolist() for images in sets}
    by_subject = {dataset.samples[images[0]].subject: [] for images in sets}
    for images, view in views.items():
        by_subject[dataset.samples[images[0]].subject].append(view)
    whole = [0, 1, 2]
    few = {
        subject: [i for i, sample in enumerate(dataset.samples) if sample.subject == subject]
        for subject in ("002", "003")
    }
    alone = {}
    for subject, images in few.items():
        points = torch.tensor(np.stack([dataset.label(index)["landmarks"] for index in images]))
        looks = sorted(view_of(points).tolist())
        alone[subject] = [looks] if len(set(looks)) == len(looks) else [[look] for look in looks]
    assert by_subject == {
        "000": [whole] * 2,
        "001": [whole, [1]],
        **alone,
        "004": [whole] * 3,
        "005": [whole, [0, 2]],
    }


def test_epochs_draw_anew_from_seed_and_epoch_alone():
    def drawn(epoch, seed=0, **about):
        dataset = make((30, 40, 20), seed=seed)
        dataset.epoch = epoch
        for name, value in about.items():
            setattr(dataset, name, value)
        return dataset.batches(12)

    first = drawn(0)
    assert first == drawn(0)
    dataset = make((30, 40, 20))
    sets = [[images for batch in drawn(epoch) for images in sets_of(dataset, batch)] for epoch in (0, 1)]
    assert len(set(sets[0]) & set(sets[1])) < len(sets[0]) / 2
    assert drawn(0, seed=1) != first
    # a resumed epoch goes on with the very batches
    dataset.epoch = 0
    assert dataset.batches(12, skip=3) == first[3:]
    # and two processes share them: whole sets, as many images as one set more or less
    shares = [drawn(0, rank=rank, num_ranks=2) for rank in (0, 1)]
    for whole, *parts in zip(first, *shares, strict=True):
        assert sorted(sets_of(dataset, whole)) == sorted(sets_of(dataset, parts[0]) + sets_of(dataset, parts[1]))
        assert abs(len(parts[0]) - len(parts[1])) <= 3


@pytest.mark.parametrize("counts", [(6, 4, 1, 2, 9, 5), (1,) * 20, (2,) * 9 + (1,) * 3, (3,) * 8])
def test_epochs_have_as_many_batches_of_whole_sets(counts):
    dataset = make(counts)
    for batch_size in (3, 4, 8):
        seen = []
        for epoch in range(5):
            dataset.epoch = epoch
            batches = dataset.batches(batch_size)
            assert len(batches) == dataset.num_batches(batch_size)
            seen.append(len(batches))
            indices = [index for batch in batches for index in batch]
            assert len(set(indices)) == len(indices) > len(dataset) - batch_size
            assert all(batch_size - 3 < len(batch) <= batch_size for batch in batches)
        assert len(set(seen)) == 1


def test_the_whole_epoch_is_a_partition():
    dataset = make((30, 40, 20))
    dataset.epoch = 2
    sets = [images for batch in dataset.batches(3) for images in sets_of(dataset, batch)]
    check_sets(dataset, [tuple(images) for images in sets])
    assert sorted(index for images in sets for index in images) == list(range(90))


def test_workers_change_nothing():
    dataset = make((9, 7), ("local",), {"mirror": 0.5, "box": 0.1, "light": 0.5, "landmarks": 0.01})
    batches = dataset.batches(6)
    here, there = (list(load_batches(dataset, batches, workers, torch.device("cpu"))) for workers in (0, 2))
    for one, other in zip(here, there, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_companions_are_those_of_the_fixed_sets():
    dataset = make()
    sets = [images for batch in dataset.in_order(8) for images in sets_of(dataset, batch)]
    chosen = [7, 20, 3]
    batch = dataset.with_companions(chosen)
    assert set(sets_of(dataset, batch)) == {images for images in sets if set(images) & set(chosen)}
    # images that belong to no set together, such as two left ones, are sets of their own
    left = dataset.runs[0][0].tolist()
    assert sets_of(dataset, left) == [(index,) for index in left]
    # one that is asked for twice, as when two of its set are, comes once
    assert sorted(dataset.with_companions([*sets[0], *sets[0]])) == sorted(sets[0])


def test_a_set_is_mirrored_as_a_whole_and_its_views_change_sides():
    augmentation = {"mirror": 0.5, "box": 0.1, "rotation": 90.0}
    dataset = make((12, 12, 5), ("local",), augmentation)
    (indices,) = dataset.in_order(100)
    batch = dataset.read_batch(indices)
    for number in batch["set"].unique():
        assert len(batch["mirrored"][batch["set"] == number].unique()) == 1
    assert batch["mirrored"].any()
    assert not batch["mirrored"].all()
    # boxes are moved image by image
    assert len(batch["local_affine"][:, 0, 0].unique()) == len(indices)
    augmented = augment_batch(batch, torch.from_numpy(TOPOLOGY.mirror), SIDE)
    mirrored = batch["mirrored"]
    assert torch.equal(augmented["view"], torch.where(mirrored, 2 - batch["view"], batch["view"]))
    assert torch.equal(augmented["set"], batch["set"])
    # and the views are still those of the points, which were mirrored, too
    offsets = nose_offset(augmented["landmarks68"])
    for number in augmented["set"].unique():
        own = augmented["set"] == number
        assert torch.equal(offsets[own].argsort(), augmented["view"][own].argsort())


def test_too_small_batches_are_told():
    dataset = make()
    with pytest.raises(ValueError, match="--batch_size: wanted 3 or more, a set for each of 1 processes, got 2"):
        dataset.num_batches(2)
    dataset.num_ranks = 2
    with pytest.raises(ValueError, match="--batch_size: wanted 6 or more, a set for each of 2 processes, got 4"):
        dataset.batches(4)
    with pytest.raises(ValueError, match="--batch_size: wanted at most the 27 training images, got 40"):
        dataset.num_batches(40)
    with pytest.raises(ValueError, match="--batch_size: wanted at most the 0 training images, got 8"):
        make(()).num_batches(8)
