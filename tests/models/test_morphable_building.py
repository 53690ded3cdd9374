"""Shapes, pose numbers and the choice of pictures of step01 --build_morphable, against made-up faces."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from models.face_looks import GRAZING, choose_pictures, far_mask, look_at, skin_mask
from models.morphable_building import TrainingImages, measure_shapes, pose_numbers, rebuilt_error, skin_vertices
from models.scaled_orthography import CROP, crop_points, split_numbers
from Sim3DR import rasterize
from util.camera import WCPA_PROJECTION, project, screen_vertices, transform
from util.crops import square_of_landmarks
from util.errors import InputError
from util.mesh import make_topology
from util.skin import Mixtures

SUBJECTS, IMAGES_EACH = 24, 8
IDENTITY_DEVIATIONS = np.array([6e-3, 4e-3, 2e-3])
EXPRESSION_DEVIATIONS = np.array([3e-3, 1e-3])
SIZE = 200


@pytest.fixture(scope="module")
def topology():
    """A bowl of 15 x 15 vertices, 68 of which are key points."""
    x, y = np.meshgrid(np.linspace(-0.07, 0.07, 15), np.linspace(0.07, -0.07, 15))
    z = 0.05 - 6 * x**2 - 4 * y**2
    index = np.arange(15 * 15).reshape(15, 15)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    triangles = np.concatenate([np.stack([a, c, b], -1).reshape(-1, 3), np.stack([b, c, d], -1).reshape(-1, 3)])
    return make_topology(np.stack([x, y, z], -1).reshape(-1, 3), triangles, np.arange(60, 128))


def orthonormal(random, rows, columns):
    """(rows, columns) whose columns have mean 0 and deviation 1 and are not correlated."""
    centred = random.normal(size=(rows, columns))
    return np.linalg.qr(centred - centred.mean(axis=0))[0] * np.sqrt(rows)


def make_images(topology, subjects=SUBJECTS):
    """Labels of a linear model: 3 directions of identity, 2 of expression, whose mean over each subject is none, all
    at right angles to each other; the model's directions (5, N * 3) come, too."""
    random = np.random.default_rng(0)
    directions = np.linalg.qr(random.normal(size=(topology.template.size, 5)))[0].T
    directions *= np.sqrt(topology.num_vertices)  # a coefficient of 1 moves vertices by 1 on (quadratic) average
    identities = orthonormal(random, subjects, 3) * IDENTITY_DEVIATIONS
    labels, samples = [], []
    for subject, identity in enumerate(identities):
        expressions = orthonormal(random, IMAGES_EACH, 2) * EXPRESSION_DEVIATIONS
        for number, expression in enumerate(expressions):
            moved = (np.concatenate([identity, expression]) @ directions).reshape(-1, 3)
            R_t = np.eye(4)
            R_t[:3, :3] = Rotation.from_euler("yxz", random.normal(0, 0.3, 3)).as_matrix().T
            R_t[3, :3] = random.normal([0, 0, -0.5], 0.02)
            verts = np.float32(topology.template + moved)
            points, _ = project(transform(verts[topology.keypoints], R_t), WCPA_PROJECTION, SIZE, SIZE)
            labels.append({"landmarks": np.float32(points), "verts": verts, "R_t": np.float32(R_t)})
            samples.append(SimpleNamespace(subject=f"{subject:03d}", action=f"{number % 4}"))
    order = random.permutation(len(samples))  # lists need not be sorted by subject
    samples, labels = [samples[i] for i in order], [labels[i] for i in order]
    return TrainingImages(samples, labels, None, topology, WCPA_PROJECTION, (SIZE, SIZE)), directions


@pytest.fixture(scope="module")
def images(topology):
    return make_images(topology)


def test_a_linear_model_comes_back_up_to_signs(images, topology):
    images, directions = images
    shapes = measure_shapes(images, 80, 40)
    # Labels are float32: a tenth of a micrometre.
    np.testing.assert_allclose(shapes.mean, topology.template, atol=1e-7)
    for basis, deviations, wanted in (
        (shapes.identity, IDENTITY_DEVIATIONS, directions[:3]),
        (shapes.expression, EXPRESSION_DEVIATIONS, directions[3:]),
    ):
        # Rounding to float32, a few nanometres, makes components of its own; they are a millionth of the variance.
        assert basis.shape[1:] == topology.template.shape
        rows = basis.reshape(len(basis), -1)[: len(deviations)]
        signs = np.sign((rows * wanted).sum(axis=1, keepdims=True))
        np.testing.assert_allclose(rows, signs * wanted * deviations[:, None], atol=1e-6)
    for shares, deviations in (
        (shapes.identity_shares, IDENTITY_DEVIATIONS),
        (shapes.expression_shares, EXPRESSION_DEVIATIONS),
    ):
        np.testing.assert_allclose(shares[: len(deviations)], deviations**2 / (deviations**2).sum(), atol=1e-4)
        assert shares.sum() == pytest.approx(1, abs=1e-5)


def test_no_more_components_than_asked_for(images):
    shapes = measure_shapes(images[0], 2, 1)
    assert (len(shapes.identity), len(shapes.expression)) == (2, 1)
    assert shapes.identity_shares.sum() == pytest.approx(52 / 56, abs=1e-4)  # 36 + 16 of 36 + 16 + 4


def test_what_the_bases_leave(images):
    images, directions = images
    verts = np.stack([label["verts"] for label in images.labels])
    mean = images.topology.template
    assert rebuilt_error(verts, mean, directions.reshape(5, -1, 3)) < 1e-7  # float32 labels
    # Without the last direction what is left is a move along it, whose size over vertices is known.
    left = (verts - mean).reshape(len(verts), -1) @ directions[4] / (directions[4] @ directions[4])
    lengths = np.linalg.norm(directions[4].reshape(-1, 3), axis=1).mean()
    wanted = np.abs(left).mean() * lengths
    assert rebuilt_error(verts, mean, directions[:4].reshape(4, -1, 3)) == pytest.approx(wanted, rel=1e-3)


def test_pose_numbers_are_least_squares_in_the_square_window(images):
    images, _ = images
    shapes = measure_shapes(images, 3, 2)
    assert shapes.poses.shape == (SUBJECTS * IMAGES_EACH, 12)
    label = images.labels[5]
    verts = label["verts"].astype(np.float64)
    points, _ = project(transform(verts, label["R_t"].astype(np.float64)), WCPA_PROJECTION, SIZE, SIZE)
    left, top, right, bottom = square_of_landmarks(label["landmarks"])
    crop = (points - [left, top]) / [right - left, bottom - top] * CROP
    crop[:, 1] = CROP - crop[:, 1]
    wanted = np.linalg.lstsq(np.column_stack([verts, np.ones(len(verts))]), crop, rcond=None)[0].T
    np.testing.assert_allclose(shapes.poses[5].reshape(3, 4)[:2], wanted, rtol=1e-6, atol=1e-6)
    assert (shapes.poses[:, 11] == 0).all()


def test_pose_numbers_of_a_far_face_are_its_pose(images):
    images, _ = images
    label = images.labels[0]
    far = label["R_t"].astype(np.float64)
    far[3, :3] = 0.1, 0.2, -200.0
    verts = label["verts"].astype(np.float64)
    points, _ = project(transform(verts, far), WCPA_PROJECTION, SIZE, SIZE)
    numbers = pose_numbers(images, points[None, images.topology.keypoints], verts[None], far[None])
    _, rotation, _ = split_numbers(torch.from_numpy(numbers))
    # Perspective is a tenth of a metre in two hundred.
    np.testing.assert_allclose(rotation[0].numpy(), far[:3, :3].T, atol=2e-3)
    low = square_of_landmarks(points[images.topology.keypoints])
    wanted = 2 * (points - low[:2]) / (low[2] - low[0]) - 1
    seen = crop_points(torch.from_numpy(numbers), torch.from_numpy(verts)[None])[0]
    np.testing.assert_allclose(seen.numpy(), wanted, atol=2e-3)


def test_one_subject_is_not_enough(topology):
    images, _ = make_images(topology, subjects=4)
    alone = [place for place, sample in enumerate(images.samples) if sample.subject == "000"]
    images = TrainingImages(
        *([part[place] for place in alone] for part in (images.samples, images.labels)),
        None, topology, WCPA_PROJECTION, (SIZE, SIZE),
    )  # fmt: skip
    with pytest.raises(InputError, match="at least two subjects for training, got 1"):
        measure_shapes(images, 3, 2)


def test_chosen_pictures_are_spread_over_subjects_and_actions(monkeypatch):
    samples = [
        SimpleNamespace(subject=str(subject), action=str(action))
        for subject in range(5)
        for action in range(4)
        for _ in range(1 if action == 0 else 20)
    ]
    monkeypatch.setattr("models.face_looks.PICTURES_EACH", 9)
    chosen = choose_pictures(samples, np.random.default_rng(0))
    assert chosen == sorted(set(chosen))
    counts = Counter((samples[i].subject, samples[i].action) for i in chosen)
    for subject in range(5):
        own = [counts[str(subject), str(action)] for action in range(4)]
        assert own[0] == 1
        assert sum(own) == 9
        assert set(own[1:]) <= {2, 3}
    assert chosen == choose_pictures(samples, np.random.default_rng(0))
    monkeypatch.setattr("models.face_looks.MOST_PICTURES", 3)
    assert len({samples[i].subject for i in choose_pictures(samples, np.random.default_rng(0))}) == 3


def test_a_look_finds_the_colours_that_were_drawn(images, topology):
    images, _ = images
    label = images.labels[3] | {"verts": topology.template}
    colors = np.float32(0.2 + 0.6 * (topology.template - topology.template.min(0)) / np.ptp(topology.template, axis=0))
    screen = screen_vertices(transform(label["verts"], label["R_t"]), WCPA_PROJECTION, SIZE, SIZE)
    image = rasterize(screen, topology.triangles, colors, bg=np.zeros((SIZE, SIZE, 3), np.uint8))
    look = look_at(SimpleNamespace(image=image, **label), topology, WCPA_PROJECTION)
    inner = look.seen & (np.abs(topology.template[:, :2]) < 0.06).all(axis=1)  # the rim mixes with the background
    assert inner.sum() > 50
    # A level of rounding, and colours that bend within a pixel, of which there are five between vertices.
    assert np.abs(look.colors - colors)[inner].max() < 0.02
    assert (look.other == 0).all()  # the background


def test_a_look_leaves_out_what_turns_away(topology):
    R_t = np.eye(4)
    R_t[:3, :3] = Rotation.from_euler("y", 50, degrees=True).as_matrix().T
    R_t[3, 2] = -0.5
    image, landmarks = np.full((SIZE, SIZE, 3), 90, np.uint8), np.float32([[90, 90], [110, 110], [90, 110]] * 22)
    record = SimpleNamespace(image=image, landmarks=np.resize(landmarks, (68, 2)), verts=topology.template, R_t=R_t)
    look = look_at(record, topology, WCPA_PROJECTION)
    x, y, _ = topology.template.T
    normals = np.stack([12 * x, 8 * y, np.ones_like(x)], axis=1)  # of z = 0.05 - 6 x^2 - 4 y^2
    camera = transform(topology.template, R_t)
    cosines = -((normals @ R_t[:3, :3]) * camera).sum(axis=1)
    cosines /= np.linalg.norm(normals, axis=1) * np.linalg.norm(camera, axis=1)
    # A mesh's normals are off by some hundredths, at its border by a tenth.
    assert not look.seen[cosines < GRAZING - 0.1].any()
    assert (cosines[cosines > 0] < GRAZING - 0.1).any()  # some would be seen
    assert look.seen[cosines > GRAZING + 0.1].mean() > 0.9
    saturated = look_at(SimpleNamespace(**vars(record) | {"image": image + np.uint8(163)}), topology, WCPA_PROJECTION)
    assert not saturated.seen.any()


def test_pixels_of_skin_lie_on_the_face_beside_eyes_brows_and_mouth():
    landmarks = np.zeros((68, 2), np.float32)
    angles = np.linspace(0, np.pi, 17)
    landmarks[:17] = np.stack([100 - 60 * np.cos(angles), 90 + 70 * np.sin(angles)], axis=1)
    landmarks[17:27] = np.stack([np.linspace(50, 150, 10), np.full(10, 60)], axis=1)
    landmarks[27:36] = 100, 100
    for first, x in ((36, 75), (42, 125)):
        turns = np.linspace(0, 2 * np.pi, 7)[:-1]
        landmarks[first : first + 6] = np.stack([x + 10 * np.cos(turns), 80 + 5 * np.sin(turns)], axis=1)
    turns = np.linspace(0, 2 * np.pi, 21)[:-1]
    landmarks[48:] = np.stack([100 + 20 * np.cos(turns), 135 + 20 * np.sin(turns)], axis=1)
    covered = np.ones((200, 200), bool)
    covered[:, :60] = False
    mask = skin_mask(landmarks, covered)
    assert mask[110, 120]  # a cheek
    for x, y in ((75, 80), (125, 80), (100, 135), (120, 60), (50, 110), (100, 190), (100, 40)):
        assert not mask[y, x]  # eyes, mouth, brow, not covered, below the chin, above the brows


def test_what_is_not_skin_lies_beside_head_and_body():
    screen = np.float32([[80, 60, -1], [120, 110, -1]])
    mask = far_mask(screen, 200, 200)
    assert mask[10, 100]
    assert mask[60, 30]
    assert mask[190, 10]
    for x, y in ((100, 80), (70, 60), (100, 45), (100, 190), (50, 190)):
        assert not mask[y, x]  # face, ear, hair, chest, shoulder


def test_vertices_are_skin_by_their_mean_probability():
    mixtures = Mixtures(
        np.full((2, 1), 1.0, np.float32),
        np.float32([[[150, 150, 110]], [[50, 128, 128]]]),
        np.tile(100 * np.eye(3, dtype=np.float32), (2, 1, 1, 1)),
    )
    colors = torch.tensor([0.66, 0.54, 0.46]).expand(2, 4, 3).clone()  # near the mean of skin
    colors[0, 1:3] = colors[1, 2] = 0.2
    seen = torch.ones(2, 4, dtype=torch.bool)
    seen[0, 1] = seen[:, 3] = False
    assert skin_vertices([(colors, None, seen)], mixtures).tolist() == [True, True, False, False]
