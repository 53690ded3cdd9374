"""One shape a set, a pose an image: which images count for what, and what is missing, in every fusion and head."""

import functools
import itertools

import numpy as np
import pytest
import torch

from models import MODELS
from models.flip_test import FlipTest
from models.heads import DenseHead, SequenceHead
from models.views import Sets, of_each_view, sets_of
from tests.models.test_flip_test import PAIRED
from tests.models.tiny import IMAGE_SIZE, NUM_VERTICES, STATISTICS
from util.mirroring import mirror_mesh
from util.pose import pose_from_6dof

WINDOWS = ("local", "global")
SIZE = 32
# every fusion and every head once
CASES = [("levels", "linear"), ("early", "attention"), ("levels", "average")]


@functools.cache
def known(fusion="levels", head="linear"):
    """A model in evaluation mode whose output layers, and what stands for absent views, are not at their start; not to
    be changed."""
    return make(fusion, head)


def make(fusion="levels", head="linear", learnt=True, **options):
    """As `known`, to be changed; learnt: or as it starts."""
    torch.manual_seed(0)
    model = MODELS["multiview"](STATISTICS, fusion=fusion, head=head, **options).eval()
    if learnt:
        random = torch.Generator().manual_seed(0)
        for parameter in model.parameters():
            if parameter.abs().max() == 0:
                torch.nn.init.normal_(parameter, 0, 0.05, generator=random)
    return model


def images_of(sets, views, size=SIZE):
    """A batch of noise, of these sets and views."""
    random, count = np.random.default_rng(0), len(sets)
    batch = {
        name: torch.from_numpy(random.integers(0, 256, (count, 3, size, size), dtype=np.uint8)) for name in WINDOWS
    }
    batch |= {f"{name}_affine": torch.eye(3)[:2].repeat(count, 1, 1) for name in WINDOWS}
    batch["landmarks68"] = torch.from_numpy(random.uniform(0, SIZE, (count, 68, 2)).astype(np.float32))
    batch["verts"] = torch.from_numpy(STATISTICS.verts_mean + random.normal(0, 0.01, (count, NUM_VERTICES, 3))).float()
    six = STATISTICS.six_mean + random.normal(0, 0.2, (count, 6))
    batch["R_t"] = torch.from_numpy(pose_from_6dof(six)).float()
    return {**batch, "index": torch.arange(count), "set": torch.tensor(sets), "view": torch.tensor(views)}


def pick(batch, places):
    return {name: tensor[list(places)] for name, tensor in batch.items()}


def predict(model, batch):
    with torch.inference_mode():
        return model.reconstruct(model(batch), batch)


TWO = ([0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize(("fusion", "head"), CASES)
def test_a_set_has_one_shape_and_each_image_its_pose(fusion, head):
    verts, R_t = predict(known(fusion, head), images_of(*TWO))
    assert torch.equal(verts[0], verts[1])
    assert torch.equal(verts[0], verts[2])
    assert (verts[0] - verts[3]).abs().max() > 1e-5
    assert all((R_t[a] - R_t[b]).abs().max() > 1e-5 for a, b in itertools.combinations(range(6), 2))


@pytest.mark.parametrize(("fusion", "head"), CASES)
def test_the_order_of_sets_and_of_their_images_does_not_matter(fusion, head):
    model, batch = known(fusion, head), images_of(*TWO)
    verts, R_t = predict(model, batch)
    order = [4, 5, 3, 2, 0, 1]
    moved = pick(batch, order)
    moved["set"] = torch.tensor([2, 2, 2, 7, 7, 7])  # numbers are names, as in a part of a batch
    other_verts, other_R_t = predict(model, moved)
    # float32 sums in another order, of 0.1 m
    torch.testing.assert_close(other_verts, verts[order], rtol=0, atol=1e-6)
    torch.testing.assert_close(other_R_t, R_t[order], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("fusion", "head"), CASES)
def test_every_image_of_a_set_counts_for_its_shape_and_no_other(fusion, head):
    model, batch = known(fusion, head), images_of(*TWO)
    verts, R_t = predict(model, batch)
    for changed in range(3):
        other = {name: tensor.clone() for name, tensor in batch.items()}
        other["local"][changed] = 255 - other["local"][changed]
        other_verts, other_R_t = predict(model, other)
        assert (other_verts[0] - verts[0]).abs().max() > 1e-6
        torch.testing.assert_close(other_verts[3], verts[3], rtol=0, atol=1e-6)  # float32, another batch to the BLAS
        rest = [place for place in range(6) if place != changed]
        torch.testing.assert_close(other_R_t[rest], R_t[rest], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("fusion", "head"), CASES)
@pytest.mark.parametrize("views", [[0], [1], [2], [0, 2], [1, 2], [0, 1, 2, 0, 1], [1, 1]])
def test_any_views_give_a_shape(fusion, head, views):
    """Fewer than three, more than three, two of one view: the same alone as beside other sets."""
    model = known(fusion, head)
    batch = images_of([0] * len(views) + [1, 1, 1], [*views, 0, 1, 2])
    verts, R_t = predict(model, batch)
    assert torch.isfinite(verts).all()
    assert torch.isfinite(R_t).all()
    alone, _ = predict(model, pick(batch, range(len(views))))
    torch.testing.assert_close(alone, verts[: len(views)], rtol=0, atol=1e-6)  # float32
    assert all(torch.equal(verts[0], each) for each in verts[1 : len(views)])


@pytest.mark.parametrize(("fusion", "head"), CASES)
def test_without_sets_each_image_is_one(fusion, head):
    model = known(fusion, head)
    batch = images_of([0, 1, 2], [1, 1, 1])
    # ends of the jaw and the tip of the nose: to the left, in the middle, to the right
    for place, nose in enumerate((20.0, 30.0, 40.0)):
        for point, x in ((0, 10.0), (16, 50.0), (30, nose)):
            batch["landmarks68"][place, point] = torch.tensor([x, 5.0])
    plain = {name: tensor for name, tensor in batch.items() if name not in ("set", "view")}
    verts, _ = predict(model, plain)
    batch["view"] = torch.tensor([0, 1, 2])
    assert torch.equal(verts, predict(model, batch)[0])


def test_the_mean_over_views_by_hand():
    sets = Sets(torch.tensor([0, 0, 0, 1, 1]), torch.tensor([0, 2, 2, 1, 0]), torch.tensor([1, 1, 1, 1, 0]).bool(), 2)
    values = torch.tensor([[1.0], [2.0], [4.0], [8.0], [16.0]])
    absent = torch.tensor([[-1.0], [-2.0], [-3.0]])
    assert sets.by_view(values, absent)[..., 0].tolist() == [[1, -2, 3], [-1, 8, -3]]
    assert sets.mean(values)[:, 0].tolist() == pytest.approx([7 / 3] * 3 + [12] * 2)


def test_each_view_has_its_module():
    modules = [torch.nn.Linear(1, 1, bias=False) for _ in range(3)]
    for number, module in enumerate(modules):
        torch.nn.init.constant_(module.weight, number + 1)
    values, view = torch.tensor([[1.0], [1.0], [1.0], [2.0]]), torch.tensor([2, 0, 2, 0])
    results = of_each_view(modules, values, view)
    assert results[:, 0].tolist() == [3, 1, 3, 2]
    results.sum().backward()
    assert [module.weight.grad.item() for module in modules] == [3, 0, 2]


def test_some_images_are_kept_from_their_set_but_never_all():
    batch = images_of([0] * 3 + [1] * 2 + [2], [0, 1, 2, 0, 2, 1])
    torch.manual_seed(0)
    drawn = torch.stack([sets_of(batch, 0.7).seen for _ in range(3000)]).float()
    for images in ([0, 1, 2], [3, 4], [5]):
        assert drawn[:, images].sum(dim=1).min() == 1
    # Kept with 0.3; or with 1/3 of those 0.7^3 times when all three were not: a deviation of 0.009.
    assert drawn[:, :3].mean().item() == pytest.approx(0.3 + 0.7**3 / 3, abs=0.03)
    assert sets_of(batch, 0.0).seen.all()
    # nothing is drawn in evaluation, so that looking at a model does not change its training
    model, state = known(), torch.get_rng_state()
    predict(model, batch)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("fusion", ["levels", "early"])
def test_a_view_that_is_kept_back_counts_for_its_pose_alone(fusion):
    model, batch = known(*CASES[fusion == "early"]), images_of([0, 0], [0, 1])
    sets = Sets(batch["set"], batch["view"], torch.tensor([True, False]), 1)
    other = {name: tensor.clone() for name, tensor in batch.items()}
    other["local"][1] = 255 - other["local"][1]
    with torch.inference_mode():
        features = [model.branches["local_window"](model.pixels(each, "local"), sets)[1] for each in (batch, other)]
    assert torch.equal(*features)


@pytest.mark.parametrize(("fusion", "head"), CASES)
def test_gradients_reach_every_layer(fusion, head):
    model, batch = make(fusion, head, view_dropout=0.0).train(), images_of(*TWO, size=64)
    sum(model.losses(model(batch), batch).values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        # what stands for absent views is not asked for here
        assert "absent" in name or parameter.grad.abs().max() > 0, name
    # where views are missing their encoders get gradients of zero, and what stands for them learns
    model.zero_grad(set_to_none=True)
    batch = images_of([0, 0, 1, 1], [0, 1, 0, 1], size=64)
    sum(model.losses(model(batch), batch).values()).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    absent = {name: parameter.grad for name, parameter in model.named_parameters() if "absent" in name}
    assert all(gradient[2].abs().max() > 0 and not gradient[:2].any() for gradient in absent.values())
    assert bool(absent) is (head != "average")


@pytest.mark.parametrize(("head", "components"), [("linear", 60), ("attention", 0), ("average", 60)])
def test_start_at_the_mean(head, components):
    model = make(head=head, learnt=False, shape_components=components)
    verts, R_t = predict(model, images_of(*TWO))
    np.testing.assert_allclose(verts, STATISTICS.verts_mean[None].repeat(6, 0), atol=1e-7)  # float32
    np.testing.assert_allclose(R_t, pose_from_6dof(np.repeat(STATISTICS.six_mean[None], 6, 0)), atol=1e-6)


@pytest.mark.parametrize(("head", "factor"), [("linear", 0.5), ("attention", 0.8)])
def test_two_sets_are_learnt_by_heart(head, factor):
    """With early fusion; what models start from in other tests has the other one."""
    options = {"view_dropout": 0.0, "head_dropout": 0.0, "shape_components": 0, "read_landmarks": False}
    model, batch = make("early", head, learnt=False, **options).train(), images_of(*TWO)
    batch["verts"] = batch["verts"][[0, 0, 0, 3, 3, 3]]
    shape_only = [weight for name, weight in model.named_parameters() if not name.startswith("branches.global")]
    optimizer = torch.optim.Adam(shape_only, 1e-3)
    values = []
    for _ in range(8):
        loss = model.losses(model(batch), batch)["verts"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert values[-1] < factor * values[0]


def test_the_average_is_that_of_dual_resnet():
    model, batch = make("levels", "average"), images_of(*TWO)
    single = MODELS["dual_resnet"](STATISTICS).eval()
    single.load_state_dict(model.state_dict())
    (verts, R_t), (own_verts, own_R_t) = predict(model, batch), predict(single, batch)
    mean = own_verts.unflatten(0, (2, 3)).mean(dim=1).repeat_interleave(3, dim=0)
    torch.testing.assert_close(verts, mean, rtol=0, atol=1e-7)  # float32
    torch.testing.assert_close(R_t, own_R_t, rtol=0, atol=0)
    # in training each image is to tell the shape by itself
    model.train()
    outputs = model(batch)
    assert (outputs["verts"][0] - outputs["verts"][1]).abs().max() > 1e-5


def test_the_pose_is_that_of_dual_resnet():
    model, batch = known(), images_of(*TWO)
    single = MODELS["dual_resnet"](STATISTICS).eval()
    for name in ("six_layer", "landmark_layers"):
        getattr(single, name).load_state_dict(getattr(model, name).state_dict())
    single.branches["global_window"].load_state_dict(model.branches["global_window"].state_dict())
    torch.testing.assert_close(predict(model, batch)[1], predict(single, batch)[1], rtol=0, atol=0)


@pytest.mark.parametrize(("fusion", "head"), CASES)
def test_flip_test_of_sets(fusion, head):
    """A set and its mirror image, whose left view is the right one, get mirrored predictions."""
    model, batch = known(fusion, head), images_of([0, 0, 0, 1, 1], [0, 1, 2, 0, 1])
    flipping = FlipTest(model, PAIRED, IMAGE_SIZE[0])
    mirrored = flipping.mirrored(batch)
    assert mirrored["view"].tolist() == [2, 1, 0, 2, 1]
    verts, R_t = predict(flipping, batch)
    again = mirror_mesh(*predict(flipping, mirrored), flipping.mirror)
    np.testing.assert_allclose(again[0], verts, atol=1e-6)  # float32 of 0.1 m
    np.testing.assert_allclose(again[1], R_t, atol=1e-4)
    assert torch.equal(verts[0], verts[2])


def test_a_set_whose_points_are_partly_a_guess_still_has_one_shape():
    model, batch = known(), images_of(*TWO)
    batch["landmarks_known"] = torch.tensor([True, False, True, True, True, True])
    verts, _ = predict(model, batch)
    told, _ = predict(model, {**batch, "landmarks_known": torch.ones(6, dtype=torch.bool)})
    guess, _ = predict(model, {**batch, "landmarks_known": torch.zeros(6, dtype=torch.bool)})
    assert torch.equal(verts, torch.cat([guess[:3], told[3:]]))
    assert (told[0] - guess[0]).abs().max() > 1e-5


def test_points_are_read_only_where_told_to():
    """All of them moved at once: the nose tells the same view."""
    for reads in (True, False):
        model, batch = make("early", read_landmarks=reads), images_of(*TWO)
        moved = {**batch, "landmarks68": batch["landmarks68"] + 5}
        assert torch.equal(predict(model, batch)[0], predict(model, moved)[0]) is not reads


@pytest.mark.parametrize("head", [DenseHead, SequenceHead])
@pytest.mark.parametrize("count", [1, 60, 64, 90, 3660])
def test_heads_give_so_many_numbers(head, count):
    values = torch.arange(count, dtype=torch.float32)
    layers = head(20, count, "mean", values, 0.1)
    assert torch.equal(layers(torch.randn(2, 20)), values.repeat(2, 1))
    assert head(20, count, "random", values, 0.1)(torch.randn(2, 20)).shape == (2, count)


def test_unknown_names_are_told_with_the_known_ones():
    with pytest.raises(ValueError, match="--fusion: unknown 'late'; known are early, levels"):
        MODELS["multiview"](STATISTICS, fusion="late")
    with pytest.raises(ValueError, match="--head: unknown 'mlp'; known are attention, average, linear"):
        MODELS["multiview"](STATISTICS, head="mlp")
