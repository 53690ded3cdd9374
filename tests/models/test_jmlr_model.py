"""JMLR: losses by hand, the way back from true outputs, where it starts, and its presets."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.exported import export_network
from models.jmlr_model import JmlrModel
from tests.models.test_exported import make_run
from tests.models.tiny import BATCH, IMAGE_SIZE, NUM_VERTICES, STATISTICS, TOPOLOGY, build, make_batch
from util.camera import WCPA_PROJECTION, project, transform
from util.errors import InputError
from util.pose import pose_from_6dof

# A window of 32 pixels that shows the image of 96 at a third and turned by 30 degrees about its middle.
TURN = np.array([[np.cos(np.pi / 6), -np.sin(np.pi / 6)], [np.sin(np.pi / 6), np.cos(np.pi / 6)]]) / 3
AFFINE = np.column_stack([TURN, 16 - TURN @ [48, 48]])


@pytest.fixture(scope="module")
def model():
    return build("jmlr")


@pytest.fixture
def batch(model):
    batch = make_batch(model)
    batch["aligned_affine"] = torch.tensor(AFFINE, dtype=torch.float32).repeat(BATCH, 1, 1)
    return batch


def true_outputs(batch):
    """What a network that knows everything gives, by NumPy in float64."""
    verts, R_t = (batch[name].double().numpy() for name in ("verts", "R_t"))
    image, _ = project(transform(verts, R_t), WCPA_PROJECTION, *IMAGE_SIZE)
    window = image @ AFFINE[:, :2].T + AFFINE[:, 2]
    return {"verts": 10 * batch["verts"], "points": torch.from_numpy(np.float32(window / 16 - 1))}


def test_losses_by_hand(model, batch):
    truth = true_outputs(batch)
    losses = model.losses(truth, batch)
    assert losses["verts"].item() == losses["edges"].item() == 0
    assert losses["points"].item() == pytest.approx(0, abs=1e-5)  # float32 through the projection, times 16
    # 1 cm off in every coordinate is 0.1 decimetres, times 16, and changes no edge; points 0.25 off, times 16
    losses = model.losses({"verts": truth["verts"] + 0.1, "points": truth["points"] - 0.25}, batch)
    assert losses["verts"].item() == pytest.approx(1.6, rel=1e-5)
    assert losses["points"].item() == pytest.approx(4.0, rel=1e-5)
    assert losses["edges"].item() == pytest.approx(0, abs=1e-5)


def test_edge_loss_is_the_sum_of_three_means(batch):
    """Two triangles, (0, 1, 2) and (0, 2, 3), of a square of side 3 and of one of side 4: sides are 1 off, the diagonal
    sqrt(2). Weight 2."""
    topology = replace(TOPOLOGY, triangles=np.int32([[0, 1, 2], [0, 2, 3]]))
    model = JmlrModel(STATISTICS, topology, WCPA_PROJECTION, IMAGE_SIZE, "resnet18")
    square = torch.zeros(BATCH, NUM_VERTICES, 3)
    square[:, 1, 0] = square[:, 2, 0] = square[:, 2, 1] = square[:, 3, 1] = 1.0
    batch = {**batch, "verts": square * 0.3}
    losses = model.losses({"verts": square * 4, "points": torch.zeros(BATCH, NUM_VERTICES, 2)}, batch)
    assert losses["edges"].item() == pytest.approx(2 * (1 + 1 + 2**0.5), rel=1e-5)


def test_true_outputs_give_the_truth(model, batch):
    verts, R_t = model.reconstruct(true_outputs(batch), batch)
    assert verts.dtype == R_t.dtype == torch.float32
    np.testing.assert_allclose(verts, batch["verts"], atol=1e-7)  # float32
    # Window points in float32 are known to 1e-7 of the window, 30 pixels of a mesh 0.1 m wide half a metre away: some
    # 1e-6 of its size across, ten times that along the view.
    np.testing.assert_allclose(R_t, batch["R_t"], atol=2e-5)


def test_it_starts_with_the_mean_face_in_the_middle_of_the_window(model):
    """The mean mesh, and in the window in which the mean face at the mean pose is aligned, that pose."""
    batch = make_batch(model)
    model = model.eval()
    outputs = model(batch)
    image, _ = project(
        transform(STATISTICS.verts_mean, pose_from_6dof(STATISTICS.six_mean)), WCPA_PROJECTION, *IMAGE_SIZE
    )
    points = outputs["points"][0].detach().double().numpy()
    # the similarity that the window would have, by least squares on all vertices
    columns = np.concatenate([np.stack([image[:, 0], -image[:, 1]], 1), np.stack([image[:, 1], image[:, 0]], 1)])
    columns = np.column_stack([columns, np.repeat(np.eye(2), NUM_VERTICES, axis=0)])
    (a, b, x, y), *_ = np.linalg.lstsq(columns, ((points + 1) * 16).T.ravel(), rcond=None)
    batch["aligned_affine"] = torch.tensor([[[a, -b, x], [b, a, y]]], dtype=torch.float32).repeat(BATCH, 1, 1)
    verts, R_t = model.reconstruct(outputs, batch)
    np.testing.assert_allclose(verts.detach(), STATISTICS.verts_mean[None].repeat(BATCH, 0), atol=1e-7)  # float32
    np.testing.assert_allclose(R_t[1].detach(), pose_from_6dof(STATISTICS.six_mean), atol=1e-4)  # as above


def test_published_network_is_one_linear_layer_on_the_average():
    model = build("jmlr", "published")
    assert model.verts_layer.in_features == model.points_layer.in_features == 512
    assert (model.verts_layer.out_features, model.points_layer.out_features) == (3 * NUM_VERTICES, 2 * NUM_VERTICES)
    # of the real data's 1,220 vertices: 15 million in the encoder, 512 + 1 for each of 6,100 outputs
    assert sum(p.numel() for p in model.encoder.parameters()) + 513 * 5 * 1220 == 15_232_064 + 3_129_300


def test_bad_options_are_told():
    world = STATISTICS, TOPOLOGY, WCPA_PROJECTION, IMAGE_SIZE
    with pytest.raises(InputError, match="--loss_edges_weight: wanted a number from 0 up, got -1"):
        JmlrModel(*world, loss_edges_weight=-1)
    with pytest.raises(InputError, match="--shape_components: wanted 0 or more, got -1"):
        JmlrModel(*world, shape_components=-1)


def test_export_is_refused(tmp_path):
    with pytest.raises(InputError, match="--export: wanted a run of another model than jmlr, which ONNX cannot hold"):
        export_network(make_run("jmlr", 32), tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())
