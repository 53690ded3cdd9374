"""Every method in the table: it is small on a CPU, learns, and ends in a mesh and a pose."""

import numpy as np
import pytest
import torch

from models import MODELS, get_model_class
from models.mean_face import MeanFace
from models.regression import RegressionModel
from tests.models.tiny import BATCH, NUM_VERTICES, SIZE, STATISTICS, build, make_batch
from util.pose import pose_from_6dof

# deep3d_sets learns from sets alone, and from a trained run: tests/models/test_deep3d_sets_model.py
NAMES = sorted(MODELS.keys() - {"deep3d_sets"})
CASES = [(name, preset) for name in NAMES for preset in sorted(MODELS[name].presets)]


@pytest.mark.parametrize(("name", "preset"), CASES)
def test_forward_backward_and_reconstruct(name, preset):
    model = build(name, preset)
    batch = make_batch(model)
    outputs = model(batch)
    losses = model.losses(outputs, batch)
    assert all(loss.ndim == 0 and torch.isfinite(loss) for loss in losses.values())
    sum(losses.values()).backward()
    gradients = {key: parameter.grad for key, parameter in model.named_parameters()}
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients.values())
    assert any(gradient.abs().max() > 0 for gradient in gradients.values())
    verts, R_t = model.reconstruct(outputs, batch)
    assert (verts.shape, R_t.shape) == ((BATCH, NUM_VERTICES, 3), (BATCH, 4, 4))
    rotations = R_t[:, :3, :3].detach().numpy()
    # float32 rounding
    np.testing.assert_allclose(rotations @ rotations.transpose(0, 2, 1), np.eye(3)[None].repeat(BATCH, 0), atol=1e-5)


@pytest.mark.parametrize("components", [0, 60])
@pytest.mark.parametrize("name", ["direct", "dual_resnet"])
def test_start_at_the_mean(name, components):
    model = MODELS[name](STATISTICS, start="mean", shape_components=components).eval()
    batch = make_batch(model)
    verts, R_t = model.reconstruct(model(batch), batch)
    expected = pose_from_6dof(np.repeat(STATISTICS.six_mean[None], BATCH, 0))
    np.testing.assert_allclose(verts.detach(), STATISTICS.verts_mean[None].repeat(BATCH, 0), atol=1e-7)  # float32
    np.testing.assert_allclose(R_t.detach(), expected, atol=1e-6)


# These two fit points, and the batch's are no face's: tests/models/test_perspective_model.py, test_deep3d_model.py
@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("perspective", "deep3d")])
def test_a_few_steps_lower_the_loss(name):
    model = build(name)
    batch = make_batch(model)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    values = []
    for _ in range(12):
        loss = sum(model.losses(model(batch), batch).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert values[-1] < 0.7 * values[0]


def test_regression_losses_by_hand():
    model = build("dual_resnet")
    batch = make_batch(model)
    six = torch.tensor([[0.1, 0.2, 0.3, 0.01, 0.02, -0.4]] * BATCH)
    batch["R_t"] = torch.from_numpy(pose_from_6dof(six.numpy())).float()
    whitened = (six - torch.from_numpy(STATISTICS.six_mean)) / torch.from_numpy(STATISTICS.six_std)
    truth = {"verts": 10 * batch["verts"], "6dof": whitened}
    losses = model.losses(truth, batch)
    assert losses["verts"].item() == 0
    assert losses["6dof"].item() == pytest.approx(0, abs=1e-5)  # angles go through float32 sines and back
    verts, R_t = model.reconstruct(truth, batch)
    np.testing.assert_allclose(verts, batch["verts"], atol=1e-7)
    np.testing.assert_allclose(R_t, batch["R_t"], atol=1e-6)
    # 1 cm off in every coordinate is 0.1 decimetres, times the weight 5; one deviation off, times 1
    off = {"verts": truth["verts"] + 0.1, "6dof": truth["6dof"] - 1}
    losses = model.losses(off, batch)
    assert losses["verts"].item() == pytest.approx(0.5, rel=1e-5)
    assert losses["6dof"].item() == pytest.approx(1.0, rel=1e-5)


def test_landmarks_go_from_image_to_window():
    model = build("direct")
    # a window of 32 pixels that shows the image twice as large from (10, 20) on
    affine = torch.tensor([[[2.0, 0, -20], [0, 2, -40]]])
    batch = {"whole": torch.zeros(1, 3, SIZE, SIZE), "whole_affine": affine}
    batch["landmarks68"] = torch.tensor([[[10.0, 20], [26, 36], [18, 28]]])
    assert model.window_landmarks(batch, "whole").tolist() == [[[-1, -1], [1, 1], [0, 0]]]


def test_output_layers_read_the_landmarks_where_they_are_told_to():
    for reads in (True, False):
        model = MODELS["dual_resnet"](STATISTICS, read_landmarks=reads).eval()
        torch.nn.init.ones_(model.verts_layer.weight)
        batch = make_batch(model)
        moved = {**batch, "landmarks68": batch["landmarks68"].flip(2)}
        assert torch.equal(model(batch)["verts"], model(moved)["verts"]) is not reads


def test_bad_weights_are_told():
    with pytest.raises(ValueError, match="--loss_verts_weight: wanted a number from 0 up, got nan"):
        MODELS["direct"](STATISTICS, loss_verts_weight=float("nan"))
    with pytest.raises(ValueError, match="--shape_components: wanted 0 or more, got -1"):
        MODELS["direct"](STATISTICS, shape_components=-1)


def test_shape_components_are_added_to_the_mean():
    model = build("dual_resnet").eval()
    with torch.no_grad():
        model.verts_layer.bias[3] = 2.0
    batch = make_batch(model)
    verts, _ = model.reconstruct(model(batch), batch)
    expected = STATISTICS.verts_mean + 2 * STATISTICS.verts_basis[3]
    np.testing.assert_allclose(verts[0].detach(), expected, atol=1e-7)  # float32


def test_published_initialisation():
    model = build("dual_resnet", "published")
    assert isinstance(model, RegressionModel)
    weights = model.branches["local_window"].layer3[0].conv1.weight  # 294,912 draws: deviation known to 0.13 %
    assert weights.std().item() == pytest.approx(0.02, rel=0.01)
    norms = torch.cat([m.weight for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)])
    assert norms.mean().item() == pytest.approx(1, abs=0.002)
    assert norms.std().item() == pytest.approx(0.02, rel=0.1)
    assert not model.six_layer.bias.any()
    assert model.six_layer.weight.std().item() == pytest.approx(0.02, rel=0.1)


def test_mean_face_knows_nothing():
    model = MeanFace(STATISTICS)
    verts, R_t = model.reconstruct(model({}), {"index": torch.arange(3)})
    np.testing.assert_array_equal(verts[2], STATISTICS.verts_mean)
    np.testing.assert_allclose(R_t[1], pose_from_6dof(STATISTICS.six_mean), atol=1e-6)  # float32
    assert model.losses({}, {}) == {}
    np.testing.assert_array_equal(model.confidence({}, {"index": torch.arange(3)}), np.ones(3))


def test_pixels_are_scaled_to_minus_one_and_one():
    model = build("direct")
    window = torch.tensor([0, 255], dtype=torch.uint8).reshape(1, 1, 1, 2)
    assert model.pixels({"whole": window}, "whole").flatten().tolist() == [-1.0, 1.0]


def test_unknown_names_are_told_with_the_known_ones():
    with pytest.raises(ValueError, match="'vgg'; known are deep3d, deep3d_sets, direct, dual_resnet, jmlr"):
        get_model_class("vgg")
