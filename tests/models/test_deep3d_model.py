"""Deep3D's camera, rendering and losses against hand-computed numbers, SciPy, OpenCV and finite differences."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from scipy.stats import multivariate_normal

from data.windows import opencv_affine
from models.arcface import ArcFace
from models.deep3d_camera import NEAREST, project, rotations
from models.deep3d_decoder import Deep3dDecoder
from models.deep3d_model import LOSSES, Deep3dModel, jitter
from models.morphable import MorphableModel
from tests.models.tiny import BASES, IMAGE_SIZE, SIZE, STATISTICS, build, make_batch
from util.camera import WCPA_PROJECTION, transform
from util.camera import project as project_by
from util.pnp import solve_pnp
from util.skin import SKIN_SHARE


def flat_model(vertices, triangles, metres=0.1, front=None, colors=0.5):
    """A morphable model of one stiff mesh of a grey, its 68 points all over its vertices; 2, 1 and 1 coefficients."""
    random = np.random.default_rng(3)
    vertices, triangles = np.float32(vertices), np.int32(triangles)
    shape = vertices.shape
    return MorphableModel(
        vertices,
        random.normal(0, 0.1, (2, *shape)).astype(np.float32),
        random.normal(0, 0.1, (1, *shape)).astype(np.float32),
        np.ones(2, np.float32),
        np.float32([2]),
        np.full(shape, colors, np.float32),
        random.normal(0, 0.1, (1, *shape)).astype(np.float32),
        triangles,
        np.arange(68) % len(vertices),
        np.arange(len(vertices)) > 0,
        np.arange(len(triangles)) if front is None else np.int64(front),
        np.float64(metres),
    )


# Half of what is seen on 16 of 32 pixels in the middle, decimetres.
HALF_SIDE = 10 * 16 / 32 / (1015 / 112)
# Moves it from the pixels' edges to the right and down.
QUARTER_PIXEL = torch.tensor([[HALF_SIDE / 32, -HALF_SIDE / 32, 0]])


def square_model():
    """A square of that size, whose left half is front."""
    corners = np.array([[-1, 1, 0], [0, 1, 0], [1, 1, 0], [-1, -1, 0], [0, -1, 0], [1, -1, 0]]) * HALF_SIDE
    return flat_model(corners, [[0, 3, 4], [0, 4, 1], [1, 4, 5], [1, 5, 2]], front=[0, 1])


def zeros(decoder, batch=1):
    outputs = {name: torch.zeros(batch, size) for name, size in decoder.sizes.items()}
    return {**outputs, "translation": torch.zeros(batch, 3)}


def test_rotations_are_scipys():
    angles = np.random.default_rng(0).normal(0, 1, (5, 3))
    expected = Rotation.from_euler("xyz", angles).as_matrix().transpose(0, 2, 1)  # fixed axes: Rz Ry Rx
    np.testing.assert_allclose(rotations(torch.from_numpy(angles)), expected, atol=1e-12)  # float64


def test_camera_by_hand():
    seen, distance = project(torch.tensor([[[1.0, 0, 0], [0, 1, 2], [0, 0, -2]]]))
    assert distance.tolist() == [[10, 8, 12]]
    pixels = (seen + 1) * 112  # of 224
    expected = [[112 + 101.5, 112], [112, 112 - 1015 / 8], [112, 112]]
    np.testing.assert_allclose(pixels[0], expected, rtol=1e-6)  # float32


@pytest.mark.parametrize("forward", [6, 12, 1000])
def test_nothing_is_behind_the_camera(forward):
    decoder = Deep3dDecoder(BASES.model)
    outputs = zeros(decoder)
    outputs["translation"] = torch.tensor([[0.0, 0, forward]], requires_grad=True)
    face = decoder.face(outputs)
    seen, distance = project(face.vertices)
    assert (distance >= NEAREST).all()
    rendering = decoder.render(face, 16)
    (rendering.picture.sum() + seen.square().sum()).backward()
    assert torch.isfinite(outputs["translation"].grad).all()


def test_zeros_are_the_mean_face_in_the_middle():
    decoder = Deep3dDecoder(BASES.model)
    face = decoder.face(zeros(decoder))
    expected = 10 * (BASES.model.mean - BASES.model.mean.mean(axis=0))  # metres to decimetres
    np.testing.assert_allclose(face.vertices[0], expected, atol=1e-6)  # float32
    np.testing.assert_array_equal(face.albedo[0], BASES.model.albedo_mean)


def test_coefficients_are_in_deviations_and_turn_about_the_middle():
    model = flat_model([[0, 0, 0], [1, 0, 0], [0, 1, 0.5]], [[0, 1, 2]])
    decoder = Deep3dDecoder(model)
    outputs = zeros(decoder)
    outputs |= {"identity": torch.tensor([[0.5, -1]]), "expression": torch.tensor([[0.25]])}
    outputs |= {"angles": torch.tensor([[0.1, -0.4, 0.2]]), "translation": torch.tensor([[0.3, -0.2, 1.0]])}
    shape = model.mean + 0.5 * model.identity[0] - model.identity[1] + 0.25 * 2 * model.expression[0]
    np.testing.assert_allclose(decoder.canonical(outputs)[0], shape, atol=1e-6)
    turned = (shape - model.mean.mean(axis=0)) @ Rotation.from_euler("xyz", [0.1, -0.4, 0.2]).as_matrix().T
    face = decoder.face(outputs)
    np.testing.assert_allclose(face.vertices[0], turned + [0.3, -0.2, 1], atol=1e-6)
    normal = np.cross(turned[1] - turned[0], turned[2] - turned[0])
    np.testing.assert_allclose(face.normals[0], [normal / np.linalg.norm(normal)] * 3, atol=1e-6)


def test_normals_are_those_of_a_loop():
    random = np.random.default_rng(0)
    triangles = random.integers(0, 12, (20, 3))
    triangles = triangles[(triangles != np.roll(triangles, 1, axis=1)).all(axis=1)]
    vertices = random.normal(0, 1, (12, 3)).astype(np.float32)
    expected = np.zeros((12, 3))
    for triangle in triangles:
        a, b, c = vertices[triangle].astype(np.float64)
        normal = np.cross(b - a, c - a)
        expected[triangle] += normal / np.linalg.norm(normal)
    lengths = np.linalg.norm(expected, axis=1, keepdims=True)
    expected = np.divide(expected, lengths, out=np.zeros_like(expected), where=lengths > 0)
    normals = Deep3dDecoder(flat_model(vertices, triangles)).normals(torch.from_numpy(vertices[None]))
    np.testing.assert_allclose(normals[0], expected, atol=1e-5)  # float32 sums of unit vectors


def test_pixels_are_counted_from_the_corner():
    """A square that is seen from 8.25 to 24.25 of 32 pixels covers the centres of 16, and its left half is front."""
    decoder = Deep3dDecoder(square_model())
    outputs = {**zeros(decoder), "translation": QUARTER_PIXEL}
    rendering = decoder.render(decoder.face(outputs), 32)
    expected = torch.zeros(32, 32, dtype=torch.bool)
    expected[8:24, 8:24] = True
    assert torch.equal(rendering.mask[0], expected)
    expected[:, 16:] = False
    assert torch.equal(rendering.front[0], expected)
    # light that is not told is white, of the constant that AMBIENT stands for, on a normal that looks at the camera
    light = 0.8 * np.pi / np.sqrt(4 * np.pi)
    torch.testing.assert_close(rendering.picture[0, :, 16, 16], torch.full((3,), float(0.5 * light)))
    assert not rendering.picture[0][:, ~rendering.mask[0]].any()


def test_a_model_without_colors_is_told():
    model = replace(BASES.model, albedo_mean=np.zeros((0, 3), np.float32), albedo=np.zeros((0, 0, 3), np.float32))
    with pytest.raises(ValueError, match="deep3d: wanted a morphable model with colours, got one without"):
        Deep3dDecoder(model)


def test_losses_see_no_labels():
    model = build("deep3d").eval()
    batch = make_batch(model)
    unlabelled = {name: tensor for name, tensor in batch.items() if name not in ("verts", "R_t")}
    losses = model.losses(model(unlabelled), unlabelled)
    assert losses == model.losses(model(batch), batch)
    assert set(losses) == set(LOSSES) - {"perceptual"}


def test_losses_have_their_weights():
    model = build("deep3d").eval()
    batch = make_batch(model)
    outputs = model(batch)
    outputs = {**outputs, "light": 0.1 * torch.arange(27).repeat(2, 1), "albedo": torch.ones(2, 5)}
    outputs |= {"identity": torch.ones(2, 4), "expression": torch.ones(2, 3)}
    own = model.losses(outputs, batch)
    # but for the coefficients' weight, which is 3e-4 in the published preset
    weights = {"color": 1.92, "landmarks": 1.6e-3, "perceptual": 0.2, "coefficients": 3e-3, "albedo": 5, "light": 10}
    assert model.weights == weights
    assert build("deep3d", "published").weights == {**weights, "coefficients": 3e-4}
    model.weights = dict.fromkeys(LOSSES, 1.0)
    plain = model.losses(outputs, batch)
    for name, loss in own.items():
        assert loss.item() == pytest.approx(weights[name] * plain[name].item(), rel=1e-5)
    # the points' distances by NumPy, through the image's pixels
    face = model.face(outputs)
    seen = project(face.vertices)[0][:, BASES.model.keypoints].detach().numpy()
    error = (batch["landmarks68"].numpy() * 2 / SIZE - 1 - seen) * 112
    heavy = np.ones(68)
    heavy[[28, 29, 30, *range(60, 68)]] = 20
    expected = (heavy * (error**2).sum(axis=2)).sum() / (2 * 68)
    assert plain["landmarks"].item() == pytest.approx(expected, rel=1e-4)


def test_colors_are_compared_where_the_front_is_and_as_far_as_they_are_skin():
    """A grey square on 16 x 16 pixels, its left half front, before a picture whose upper half is like skin and
    whose right half is brighter."""
    tones = np.float64([[200, 150, 120], [60, 110, 70]])
    means = cv2.cvtColor(np.uint8(tones)[None], cv2.COLOR_RGB2YCrCb)[0].astype(np.float32)
    statistics = replace(
        BASES.statistics,
        skin_weights=np.float32([[0.25, 0.75], [0.25, 0.75]]),
        skin_means=np.stack([means, means], axis=1),
        skin_covariances=np.tile(1000 * np.eye(3, dtype=np.float32), (2, 2, 1, 1)),
    )
    bases = replace(BASES, model=square_model(), statistics=statistics)
    model = Deep3dModel(STATISTICS, WCPA_PROJECTION, IMAGE_SIZE, bases).eval()
    picture = np.random.default_rng(2).normal(0, 20, (32, 32, 3)) + tones.repeat(16, axis=0)[:, None]
    picture[:, 16:] += 30
    picture = np.uint8(np.rint(picture.clip(0, 255)))
    batch = {"five_points": torch.from_numpy(picture.transpose(2, 0, 1)[None])}
    batch |= {"five_points_affine": torch.eye(3)[None, :2], "landmarks68": torch.zeros(1, 68, 2)}
    outputs = {**zeros(model.decoder), **batch, "translation": QUARTER_PIXEL}
    loss = model.losses(outputs, batch)["color"].item()

    levels = cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb)
    skin, other = (multivariate_normal(mean, 1000).pdf(levels) for mean in means)
    share = SKIN_SHARE * skin / (SKIN_SHARE * skin + (1 - SKIN_SHARE) * other)
    assert share[:16].mean() > 0.9 > 0.5 > share[16:].mean()
    grey = 0.5 * 0.8 * np.pi / np.sqrt(4 * np.pi)
    distances = np.sqrt(1e-6 + ((picture / 255 - grey) ** 2).sum(axis=2))
    front, whole = (slice(8, 24), slice(8, 16)), (slice(8, 24), slice(8, 24))
    expected = np.average(distances[front], weights=share[front])
    # OpenCV rounds levels, which moves shares
    assert loss == pytest.approx(expected, rel=1e-3)
    for other in (np.average(distances[whole], weights=share[whole]), distances[front].mean()):
        assert abs(other - expected) > 1e-2 * expected


def test_windows_move_with_their_points():
    random = np.random.default_rng(0)
    picture = cv2.GaussianBlur(random.uniform(0, 255, (SIZE, SIZE, 3)).astype(np.float32), (0, 0), 2)
    windows = torch.from_numpy(picture.transpose(2, 0, 1)).repeat(200, 1, 1, 1)
    affine = torch.tensor([[0.5, 0.1, -7.0], [-0.1, 0.5, 3.0]]).repeat(200, 1, 1)
    batch = {"five_points": windows, "five_points_affine": affine}
    torch.manual_seed(0)
    moved = jitter(batch)
    square = np.concatenate([affine[0].numpy(), [[0, 0, 1]]])
    for window, own in zip(moved["five_points"][:5], moved["five_points_affine"][:5].numpy(), strict=True):
        move = own @ np.linalg.inv(square)
        expected = cv2.warpAffine(picture, opencv_affine(move), (SIZE, SIZE))
        # OpenCV rounds places to 1/32 of a pixel, in which levels fall to black by up to 128 / 32 at the edges
        np.testing.assert_allclose(window.permute(1, 2, 0), expected, atol=4)
        assert np.abs(window.permute(1, 2, 0).numpy() - expected).mean() < 0.3
    moves = moved["five_points_affine"].double().numpy() @ np.linalg.inv(square)
    sizes = np.sqrt(np.linalg.det(moves[:, :, :2]))
    turns = np.degrees(np.arctan2(moves[:, 1, 0], moves[:, 0, 0]))
    middles = (moves @ [SIZE / 2, SIZE / 2, 1] - SIZE / 2) * 224 / SIZE
    for values, middle, reach in ((sizes, 1, 0.1), (turns, 0, 10), (middles, 0, 10)):
        assert np.abs(values - middle).max() <= reach * (1 + 1e-4)  # float32
        assert np.abs(values - middle).max() > 0.9 * reach  # of 200 draws; missed in 1 of 10^9 runs
        assert np.abs(values.mean(axis=0) - middle).max() < 0.2 * reach  # 5 deviations


def test_jitter_is_for_training_and_from_torchs_generator():
    model = build("deep3d")
    batch = make_batch(model)
    looks = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        looks.append(model(batch)["five_points_affine"])
    assert torch.equal(looks[0], looks[1])
    assert not torch.equal(looks[0], looks[2])
    model.eval()
    assert torch.equal(model(batch)["five_points_affine"], batch["five_points_affine"])
    model.train().geometry_jitter = False
    assert torch.equal(model(batch)["five_points"], batch["five_points"])


def random_outputs(decoder, batch):
    random = torch.Generator().manual_seed(0)
    sizes = {**decoder.sizes, "translation": 3}
    outputs = {name: 0.3 * torch.randn(batch, size, generator=random) for name, size in sizes.items()}
    return {**outputs, "light": 0.1 * outputs["light"]}


def test_the_pose_is_deep3ds_where_its_camera_took_the_picture():
    projection = WCPA_PROJECTION.copy()
    projection[[0, 1], [0, 1]] = 1015 / 112
    model = Deep3dModel(STATISTICS, projection, (SIZE, SIZE), BASES)
    batch = make_batch(model)
    outputs = {**random_outputs(model.decoder, 2), **{name: batch[name] for name in batch if "five" in name}}
    verts, R_t = model.reconstruct(outputs, batch)
    shapes = BASES.model.mean + np.einsum("bk,knc->bnc", outputs["identity"], BASES.model.identity)
    shapes += np.einsum("bk,knc->bnc", outputs["expression"], BASES.model.expression)
    np.testing.assert_allclose(verts, shapes, atol=1e-6)
    expected = model.face(outputs).vertices / 10 + torch.tensor([0, 0, -1.0])
    # float32 places of points, 1e-7 of the window, and a distance of ten faces
    np.testing.assert_allclose(transform(verts, R_t), expected, atol=3e-5)


@torch.no_grad()
def test_perspective_is_put_back():
    """Of the mean face, where Deep3D's camera sees it as nearly as it can as the real one does, half a metre away."""
    model = build("deep3d").eval()
    batch = make_batch(model)
    batch["five_points_affine"] = torch.tensor([[1.1, 0.0, 2.0], [0.0, 1.1, -1.0]]).repeat(2, 1, 1)
    verts, truth = torch.from_numpy(BASES.model.mean).double().expand(2, -1, -1), batch["R_t"].double()
    image, _ = project_by(transform(verts, truth), torch.from_numpy(WCPA_PROJECTION), *IMAGE_SIZE)
    seen = model.across_window(image, batch, "five_points")
    virtual = torch.diag(torch.tensor([1015 / 112, 1015 / 112, 0, 0], dtype=torch.float64))
    virtual[2, 3] = -1
    pose = solve_pnp(verts, seen + 1, virtual, 2, 2)
    middle = verts.mean(dim=1, keepdim=True)
    angles = Rotation.from_matrix(pose[:, :3, :3].mT.numpy()).as_euler("xyz")
    outputs = {**model(batch), "angles": torch.from_numpy(angles).float()}
    outputs["translation"] = (10 * transform(middle, pose)[:, 0] + torch.tensor([0, 0, 10])).float()
    # what Deep3D's camera could not show
    left = (project(model.face(outputs).vertices)[0] - seen).norm(dim=2).mean()
    assert left > 0.02
    found, R_t = model.reconstruct(outputs, batch)
    np.testing.assert_allclose(found, verts, atol=1e-7)  # float32
    # metres, half a metre away: 2.9 mm without the second solution, 0.9 mm with it
    assert (transform(found, R_t) - transform(verts, truth)).norm(dim=2).mean() < 1.5e-3


def test_weights_from_files(tmp_path):
    torch.manual_seed(0)
    torch.save(ArcFace().state_dict(), tmp_path / "recognition.pth")
    model = build("deep3d").eval()
    weights = set(model.state_dict())
    left_out = "perceptual loss: left out, there are no --recognition_weights"
    assert model.read_weights({"recognition_weights": None}) == [left_out]
    assert model.read_weights({"recognition_weights": str(tmp_path / "recognition.pth")}) == []
    assert set(model.state_dict()) == weights
    assert all(name.startswith("network.") for name, _ in model.named_parameters())
    batch = make_batch(model)
    batch["landmarks68"] = batch["landmarks68"].sort(dim=1).values
    outputs = model(batch)
    outputs["albedo"] = outputs["albedo"].detach().requires_grad_()
    loss = model.losses(outputs, batch)["perceptual"]
    assert 0 < loss < 0.2 * 2
    loss.backward()
    assert torch.isfinite(outputs["albedo"].grad).all()
    backbone = {name: tensor + 1 for name, tensor in model.network.backbone.state_dict().items()}
    torch.save(backbone, tmp_path / "backbone.pth")
    assert model.read_first_weights({"imagenet_weights": tmp_path / "backbone.pth"}, "split") == []
    assert torch.equal(model.network.backbone.conv1.weight, backbone["conv1.weight"])


class MeanColors:
    """Stands for the recognition network where that would be slow: smooth numbers of the picture."""

    def features(self, pictures, points):
        return torch.stack([pictures.mean(dim=(2, 3)), pictures.square().mean(dim=(2, 3))]).flatten(2).mean(0) + 0.1


def test_gradients_are_those_of_finite_differences():
    """Of the whole loss, by every coefficient, in float64, where no triangle's edge crosses a pixel's centre."""
    x, y = np.meshgrid(np.linspace(-0.7, 0.7, 3), np.linspace(0.7, -0.7, 3))
    vertices = np.stack([x, y, 0.3 - 0.4 * (x**2 + y**2)], axis=-1).reshape(-1, 3)
    cells = [(0, 1, 3, 4), (1, 2, 4, 5), (3, 4, 6, 7), (4, 5, 7, 8)]
    triangles = [triangle for a, b, c, d in cells for triangle in ((a, c, b), (b, c, d))]
    bases = replace(BASES, model=flat_model(vertices, triangles))
    model = Deep3dModel(STATISTICS, WCPA_PROJECTION, (16, 16), bases).double().eval()
    model.recognition = MeanColors()
    random = torch.Generator().manual_seed(1)
    batch = {"landmarks68": 16 * torch.rand(1, 68, 2, generator=random, dtype=torch.float64)}
    window = {"five_points": torch.randint(0, 256, (1, 3, 16, 16), generator=random, dtype=torch.uint8)}
    window["five_points_affine"] = torch.eye(3, dtype=torch.float64)[None, :2]
    model.skin_share = lambda picture: torch.ones_like(picture[:, 0]) * 0.7
    names = ("identity", "expression", "albedo", "angles", "light", "translation")
    outputs = random_outputs(model.decoder, 1)
    outputs = [(outputs[name] * 0.5).double().requires_grad_() for name in names]

    def loss(*coefficients):
        told = {**dict(zip(names, coefficients, strict=True)), **window}
        losses = model.losses(told, {**batch, **window})
        assert set(losses) == set(LOSSES)
        return torch.stack(list(losses.values()))

    # steps of 1e-6 move edges by some 1e-5 pixels: none of 256 centres is that near to one
    assert torch.autograd.gradcheck(loss, outputs, eps=1e-6, atol=1e-6, rtol=1e-5)
