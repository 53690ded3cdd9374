"""RADAN's labels, losses and way back from them, on faces that the bases know; shuffled blocks; options."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from models import parameter_losses, scaled_orthography
from models.exported import export_network
from models.parameter_losses import parameter_distance
from models.radan_model import LOSSES, RadanModel, shuffled
from models.scaled_orthography import crop_vertices
from options.train_options import build_parser
from tests.models.test_exported import make_run
from tests.models.tiny import BASES, BATCH, IMAGE_SIZE, NUM_VERTICES, SIZE, STATISTICS, build, make_batch
from util.camera import WCPA_PROJECTION, project, transform
from util.errors import InputError
from util.schedule import rate_factor
from util.training import TrainingState

# A window of 32 pixels that shows all 96 of the image.
AFFINE = torch.tensor([[1 / 3, 0, 0], [0, 1 / 3, 0]])
NO_LOSSES = dict.fromkeys(LOSSES, 0.0)
# Of the bases' deviations, here all 1: what moves vertices by 2 mm each.
COEFFICIENTS = np.random.default_rng(5).normal(0, 1, (BATCH, 7)).astype(np.float32)


def make_model(**options):
    torch.manual_seed(0)
    return RadanModel(STATISTICS, WCPA_PROJECTION, IMAGE_SIZE, BASES, "mobilenet_v1_050", **options).eval()


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture
def batch(model):
    """Two faces of the bases, which the window shows whole."""
    batch = make_batch(model)
    batch["square_affine"] = AFFINE.repeat(BATCH, 1, 1)
    components = np.concatenate([BASES.model.identity, BASES.model.expression])
    batch["verts"] = torch.from_numpy(BASES.model.mean + np.einsum("bk,knc->bnc", COEFFICIENTS, components))
    return batch


def angles(R_t, true):
    """(B,) degrees between rotations."""
    turns = R_t[:, :3, :3].double() @ true[:, :3, :3].double().mT
    return torch.rad2deg(((turns.diagonal(dim1=1, dim2=2).sum(dim=1) - 1) / 2).clamp(-1, 1).acos())


def test_labels_are_the_parameters_of_the_faces(model, batch):
    labels = model.labels(batch)
    assert labels.shape == (BATCH, 12 + 4 + 3)
    # 0.1 mm of doubt in each coordinate, beside 2 mm of each coefficient in 90 of them
    np.testing.assert_allclose(labels[:, 12:], COEFFICIENTS, atol=2e-3)
    # the numbers by NumPy in float64: the affine camera of least squares, in a crop of 120 pixels, y up
    numbers = model.parameters_of(labels)[:, :12].reshape(BATCH, 3, 4).double().numpy()
    for image in range(BATCH):
        verts, R_t = (batch[name][image].double().numpy() for name in ("verts", "R_t"))
        seen, _ = project(transform(verts, R_t), WCPA_PROJECTION, *IMAGE_SIZE)
        places = np.stack([seen[:, 0] * 120 / 96, 120 - seen[:, 1] * 120 / 96], axis=1)
        system = np.column_stack([verts, np.ones(NUM_VERTICES)])
        rows = np.linalg.lstsq(system, places, rcond=None)[0].T
        np.testing.assert_allclose(
            numbers[image, :2], rows, rtol=1e-4, atol=0.02
        )  # float32, of some 200 pixels a metre
        across = np.cross(rows[0, :3], rows[1, :3])
        np.testing.assert_allclose(
            numbers[image, 2, :3] / np.linalg.norm(numbers[image, 2, :3]), across / np.linalg.norm(across), atol=1e-3
        )
        assert numbers[image, 2, 3] == pytest.approx(0, abs=1e-4)


def test_doubt_makes_shared_directions_small(batch):
    """Two bases that are one and the same: either would do, and half of each is the least."""
    model = BASES.model
    twice = replace(
        BASES, model=replace(model, expression=model.identity[:1], expression_deviations=np.ones(1, np.float32))
    )
    own = RadanModel(STATISTICS, WCPA_PROJECTION, IMAGE_SIZE, twice, "mobilenet_v1_050", identity_parameters=1)
    batch["verts"] = torch.from_numpy(np.stack([model.mean + 2 * model.identity[0]] * BATCH))
    np.testing.assert_allclose(own.labels(batch)[:, 12:], np.ones((BATCH, 2)), atol=2e-3)


def test_true_parameters_come_back_as_mesh_and_pose(model, batch):
    verts, R_t = model.reconstruct({"parameters": model.labels(batch)}, batch)
    # the coefficients' doubt of 2e-3, times 2 mm, in a few of them
    np.testing.assert_allclose(verts, batch["verts"], atol=2e-5)
    # A face as deep as wide, 30 px large: measured 0.02 degrees and 0.05 mm after two rounds
    assert angles(R_t, batch["R_t"]).max() < 0.2
    np.testing.assert_allclose(R_t[:, 3, :3], batch["R_t"][:, 3, :3], atol=5e-4)


def test_perspective_put_back_brings_the_pose_nearer(model, batch, monkeypatch):
    off = []
    for rounds in range(3):
        monkeypatch.setattr(scaled_orthography, "ROUNDS", rounds)
        _, R_t = model.reconstruct({"parameters": model.labels(batch)}, batch)
        off.append((angles(R_t, batch["R_t"]).max().item(), (R_t - batch["R_t"])[:, 3, 2].abs().max().item()))
    angle, distance = zip(*off, strict=True)
    assert angle[1] < angle[0] / 3
    assert distance[1] < distance[0] / 3
    assert angle[2] < angle[1]


def test_copies_of_training_do_not_come_back(model, batch):
    parameters = model.labels(batch)
    verts, R_t = model.reconstruct({"parameters": parameters}, batch)
    both = model.reconstruct({"parameters": torch.cat([parameters, 0 * parameters])}, batch)
    assert torch.equal(both[0], verts)
    assert torch.equal(both[1], R_t)


def test_it_starts_at_the_mean(batch):
    model = make_model()
    outputs = model(batch)
    assert not outputs["parameters"].any()
    drawn = make_model(start="random")(batch)["parameters"]
    assert drawn.any()
    verts, _ = model.reconstruct({"parameters": outputs["parameters"].detach()}, batch)
    np.testing.assert_allclose(verts, BASES.model.mean[None].repeat(BATCH, 0), atol=1e-7)


def test_networks_read_blue_first_and_levels_about_zero(batch):
    model, seen = make_model(), []
    model.network.features = lambda image: seen.append(image) or torch.zeros(len(image), 512)
    model(batch)
    expected = (batch["square"].double()[:, [2, 1, 0]] - 127.5) / 128
    np.testing.assert_allclose(seen[0], expected, atol=1e-7)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_zero_at_the_truth_and_weighted(batch, name):
    weights = {**NO_LOSSES, "pdc": 1.0, name: 2.0}
    model = make_model(weights=weights)
    labels = model.labels(batch)
    points = model.window_landmarks(batch, "square")
    losses = model.losses({"parameters": labels, "landmarks": points}, batch)
    assert losses.keys() == {"pdc", name}
    assert all(loss.item() == 0 for loss in losses.values())
    wrong = labels + 0.1
    wrong[:, 11] = 5.0  # the offset of depth, which PDC alone looks at
    found = model.losses({"parameters": wrong, "landmarks": points + 0.1}, batch)
    twice = make_model(weights={**weights, name: 4.0}).losses({"parameters": wrong, "landmarks": points + 0.1}, batch)
    # the landmarks' loss is as large as the others, which are PDC's
    assert twice[name].item() == pytest.approx(2 * found[name].item(), rel=1e-6)
    off = parameter_distance(wrong, labels).item()
    expected = {"pdc": 2 * off, "landmarks": 2 * off}
    if name in expected:
        assert found[name].item() == pytest.approx(expected[name], rel=1e-5)
    if name in ("vdc", "wing"):
        parameters, true = model.parameters_of(wrong), model.parameters_of(labels)
        parameters[:, 11] = true[:, 11]
        moved = crop_vertices(parameters[:, :12], model.shapes(parameters)) - crop_vertices(
            true[:, :12], model.shapes(true)
        )
        size = moved.abs()
        value = (
            size.square()
            if name == "vdc"
            else torch.where(size < 10, 10 * (1 + size / 2).log(), size - 10 + 10 * np.log(6))
        )
        assert found[name].item() == pytest.approx(2 * value.mean().item(), rel=1e-5)


@pytest.mark.parametrize("wpdc", ["fast", "exact"])
def test_the_weighted_distance_of_the_chosen_vertices_by_hand(batch, monkeypatch, wpdc):
    """With NumPy in float64; exact moves by a face with the coefficient and one without."""
    monkeypatch.setattr(parameter_losses, "RANDOM_VERTICES", 5)
    keypoints = np.arange(68) % 3
    bases = replace(BASES, model=replace(BASES.model, keypoints=keypoints))
    world = STATISTICS, WCPA_PROJECTION, IMAGE_SIZE, bases, "mobilenet_v1_050"
    model = RadanModel(*world, wpdc=wpdc, weights={**NO_LOSSES, "wpdc": 3.0}).train()
    true = model.labels(batch)
    # so wrong that entries, offsets and coefficients weigh about the same
    off = torch.linspace(0.5, 1.5, 2 * 19).view(2, 19) * torch.tensor([0.3, 0.3, 0.3, 0.02] * 3 + [2.0] * 7)
    torch.manual_seed(4)
    loss = model.losses({"parameters": true + off}, batch)["wpdc"].item()
    torch.manual_seed(4)
    chosen = np.concatenate([keypoints, torch.randperm(NUM_VERTICES)[:5].numpy()])

    components = np.float64(np.concatenate([BASES.model.identity, BASES.model.expression])[:, chosen])
    std = np.concatenate([BASES.statistics.pose_std, np.ones(7)])
    costs = []
    for own, wrong in zip(true.double().numpy(), off.double().numpy(), strict=True):
        shape = BASES.model.mean[chosen] + np.einsum("k,knc->nc", own[12:], components)
        matrix = (own[:12] * std[:12] + BASES.statistics.pose_mean).reshape(3, 4)[:, :3]
        entries = [*np.linalg.norm(shape, axis=0), np.sqrt(len(chosen))] * 3
        turned = components @ matrix.T if wpdc == "exact" else 566 * components  # the scale of the mean pose
        weights = np.abs(wrong) * std * [*entries, *np.linalg.norm(turned, axis=(1, 2))]
        weights[11] = 0
        costs.append((weights / weights.max() * wrong**2).mean())
    assert loss == pytest.approx(3 * np.mean(costs), rel=1e-4)  # 1e-6 is added to weights of about one; float32


def test_losses_are_the_same_each_time_but_in_training(batch):
    bases = replace(BASES, model=replace(BASES.model, keypoints=np.arange(68) % 3))
    model = RadanModel(STATISTICS, WCPA_PROJECTION, IMAGE_SIZE, bases, "mobilenet_v1_050").eval()
    # 30 vertices are all drawn, in another order: the sum is another one by rounding alone
    outputs = {"parameters": model.labels(batch) + torch.linspace(-1, 1, 19)}
    first, second = (model.losses(outputs, batch)["wing"].item() for _ in range(2))
    assert first == second
    assert model.train().losses(outputs, batch)["wing"].item() != first  # the key points count again there


def test_training_adds_shuffled_copies_with_the_same_labels(batch):
    model = make_model(crop_and_paste=True)
    assert len(model(batch)["parameters"]) == BATCH
    outputs = model.train()(batch)
    assert len(outputs["parameters"]) == 2 * BATCH
    torch.manual_seed(1)
    losses = model.losses({"parameters": model.labels(batch).repeat(2, 1)}, batch)
    assert all(loss.item() == 0 for loss in losses.values())


def chained(image, others):
    """Crop-and-paste, one exchange after the other."""
    side, image = image.shape[1] // 4, image.clone()
    for other in others:
        y, x = side * (other // 4), side * (other % 4)
        corner = image[:, :side, :side].clone()
        image[:, :side, :side] = image[:, y : y + side, x : x + side]
        image[:, y : y + side, x : x + side] = corner
    return image


def test_blocks_move_through_the_corner():
    images = torch.arange(300 * 3 * 8 * 12.0).view(300, 3, 8, 12)[..., :8]
    torch.manual_seed(3)
    others, counts = 1 + torch.rand(300, 15).argsort(dim=1), torch.randint(5, (300,))
    assert counts.bincount().min() > 35  # 60 of each of five are expected, with a deviation of 7
    torch.manual_seed(3)
    for image, moved, own, count in zip(images, shuffled(images), others, counts, strict=True):
        assert torch.equal(moved, chained(image, own[:count].tolist()))


def test_shuffling_is_drawn_from_the_generator_that_is_kept():
    images = torch.rand(16, 3, 8, 8)
    state = torch.get_rng_state()
    first = shuffled(images)
    assert not torch.equal(shuffled(images), first)
    torch.set_rng_state(state)
    assert torch.equal(shuffled(images), first)


def test_a_restored_training_goes_on_as_the_other(batch):
    """What shuffles blocks, draws vertices and drops features comes from the generator that checkpoints keep."""
    options = vars(build_parser("radan", "standard").parse_args(["--data_root", "x"])) | {"precision": "fp32"}

    def training():
        bases = replace(BASES, model=replace(BASES.model, keypoints=np.arange(68) % 3))
        torch.manual_seed(0)
        world = STATISTICS, WCPA_PROJECTION, IMAGE_SIZE, bases, "mobilenet_v1_050"
        model = RadanModel(*world, crop_and_paste=True).train()
        return TrainingState(model, options, steps_per_epoch=4, device=torch.device("cpu"))

    through = training()
    for _ in range(2):
        through.train_step(batch)
    kept = copy.deepcopy(through.state())  # as a file keeps it
    losses = [through.train_step(batch) for _ in range(2)]
    resumed = training()
    resumed.restore(kept)
    assert [resumed.train_step(batch) for _ in range(2)] == losses
    for name, tensor in through.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name])


def test_fewer_components_are_the_first_ones(batch):
    model = make_model(identity_parameters=2, expression_parameters=1)
    parameters = torch.zeros(1, 15)
    parameters[0, 12:] = torch.tensor([1.0, -2, 0.5])
    known = BASES.model
    expected = known.mean + known.identity[0] - 2 * known.identity[1] + 0.5 * known.expression[0]
    np.testing.assert_allclose(model.shapes(parameters)[0], expected, atol=1e-7)
    assert model(batch)["parameters"].shape == (BATCH, 15)
    assert model.bases is BASES  # all of them stay with the run


def test_models_in_other_units_give_metres(batch):
    """Bases in millimetres: the numbers are a thousandth, and what comes out is the same."""
    model = BASES.model
    known = replace(
        model,
        mean=1000 * model.mean,
        identity=1000 * model.identity,
        expression=1000 * model.expression,
        metres=np.float64(1e-3),
    )
    std = BASES.statistics.pose_std.copy()
    std.reshape(3, 4)[:, :3] /= 1000
    bases = replace(BASES, model=known, statistics=replace(BASES.statistics, pose_std=std))
    own = RadanModel(STATISTICS, WCPA_PROJECTION, IMAGE_SIZE, bases, "mobilenet_v1_050").eval()
    labels = own.labels(batch)
    np.testing.assert_allclose(labels[:, 12:], COEFFICIENTS, atol=2e-3)
    verts, R_t = own.reconstruct({"parameters": labels}, batch)
    np.testing.assert_allclose(verts, batch["verts"], atol=2e-5)
    np.testing.assert_allclose(R_t[:, 3, :3], batch["R_t"][:, 3, :3], atol=5e-4)


def test_mistakes_are_told():
    wanted = "losses: wanted a weight above 0 of another one than --loss_landmarks_weight, got none"
    with pytest.raises(InputError, match=wanted):
        make_model(weights={**NO_LOSSES, "landmarks": 1.0})
    with pytest.raises(InputError, match="--loss_wing_weight: wanted a number from 0 up, got -1"):
        make_model(weights={**NO_LOSSES, "wing": -1})
    with pytest.raises(InputError, match="--identity_parameters: wanted 1 or more, got 0"):
        make_model(identity_parameters=0)
    with pytest.raises(InputError, match="--expression_parameters: wanted 0 or more, got -1"):
        make_model(expression_parameters=-1)
    options = {"crop_and_paste": True, "img_size": 90}
    with pytest.raises(InputError, match="--crop_and_paste: wanted --img_size a multiple of 4, got 90"):
        RadanModel.build(options, None, STATISTICS, WCPA_PROJECTION, IMAGE_SIZE, BASES)


def test_published_presets_have_the_published_networks():
    assert type(build("radan", "published").network).__name__ == "RadanNetwork"
    network = build("radan", "threeddfa").network
    assert network.fc.in_features == 1024


@pytest.mark.parametrize(("preset", "milestone"), [("published", 15), ("threeddfa", 30)])
def test_published_presets_learn_from_few_images(preset, milestone):
    """At the full rate of the recipe also where an epoch is one step."""
    options = build_parser("radan", preset).parse_args(["--data_root", "x"])
    steps = options.epochs, options.epochs_decay, options.warmup_steps, 1
    factor = rate_factor(options.lr_policy, *steps, options.lr_milestones, options.lr_factor)
    assert [factor(step) for step in (0, milestone - 1, milestone)] == [1, 1, 0.2]


def test_onnx_has_no_operators_for_it(tmp_path):
    with pytest.raises(InputError, match="--export: wanted a run of another model than radan"):
        export_network(make_run("radan", SIZE), tmp_path / "network.onnx")
