"""Identities of image sets by C-Net's confidences: what is frozen, what is fused, and that it learns whom to trust."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.deep3d_model import Deep3dModel
from models.deep3d_sets_model import LEAST_CONFIDENCE
from models.flip_test import FlipTest
from models.morphable import pack_bases
from tests.models.tiny import BASES, IMAGE_SIZE, NUM_VERTICES, SIZE, STATISTICS, TOPOLOGY, build, make_batch
from util.checkpoint import pack_arrays, save_checkpoint
from util.errors import InputError

COEFFICIENTS = len(BASES.model.identity)
SPLIT = "digest"
IMAGES, SETS = 5, torch.tensor([0, 0, 0, 1, 1])


def draw(module, scale):
    """Output layers start at zero; here they say something."""
    generator = torch.Generator().manual_seed(0)
    for parameter in module.final_layers.parameters():
        torch.nn.init.normal_(parameter, 0, scale, generator=generator)


@pytest.fixture
def model():
    model = build("deep3d_sets").eval()
    draw(model.network, 0.05)
    return model


@pytest.fixture
def batch(model):
    """Five images: a set of three, and one of two."""
    random, small = np.random.default_rng(2), make_batch(model)
    batch = {name: tensor[torch.zeros(IMAGES, dtype=torch.int64)] for name, tensor in small.items()}
    pixels = random.integers(0, 256, (IMAGES, 3, SIZE, SIZE), dtype=np.uint8)
    batch |= {"five_points": torch.from_numpy(pixels), "set": SETS, "view": torch.tensor([0, 1, 2, 0, 1])}
    points = random.uniform(0, SIZE, (IMAGES, 68, 2)).astype(np.float32)
    return {**batch, "landmarks68": torch.from_numpy(points), "index": torch.arange(IMAGES)}


def test_a_last_layer_of_zeros_is_the_plain_mean(model, batch):
    with torch.no_grad():
        outputs = model(batch)
    own = outputs["own_identity"].numpy()
    assert own.std(axis=0).min() > 1e-3  # the images say different things
    assert outputs["confidence"].unique().numel() == 1
    for rows in ([0, 1, 2], [3, 4]):
        mean = own[rows].mean(axis=0)
        np.testing.assert_allclose(outputs["identity"][rows], np.tile(mean, (len(rows), 1)), rtol=1e-5)  # float32


def test_identities_are_fused_by_confidences_and_the_rest_is_each_images_own(model, batch):
    draw(model.confidence_network, 0.3)
    with torch.no_grad():
        outputs = model(batch)
        alone = model({name: tensor for name, tensor in batch.items() if name not in ("set", "view")})
        shapes, _ = model.reconstruct(outputs, batch)
    own, confidence = outputs["own_identity"].double().numpy(), outputs["confidence"].double().numpy()
    assert (confidence > LEAST_CONFIDENCE).all()
    assert confidence.std() > 0.01
    part = BASES.model
    for image in range(IMAGES):
        for k in range(COEFFICIENTS):
            total = sum(confidence[other, k] * own[other, k] for other in range(IMAGES) if SETS[other] == SETS[image])
            weight = sum(confidence[other, k] for other in range(IMAGES) if SETS[other] == SETS[image])
            assert outputs["identity"][image, k].item() == pytest.approx(total / weight, rel=1e-4, abs=1e-6)
        identity, expression = outputs["identity"][image].numpy(), outputs["expression"][image].numpy()
        shape = part.mean + np.tensordot(identity, part.identity, 1) + np.tensordot(expression, part.expression, 1)
        np.testing.assert_allclose(shapes[image], shape, atol=1e-6)  # float32 of 0.1 m
    np.testing.assert_allclose(alone["identity"], alone["own_identity"], rtol=1e-6)  # times and by the same float32
    for name in ("expression", "albedo", "angles", "light", "translation"):
        np.testing.assert_array_equal(alone[name], outputs[name])


def test_the_single_network_is_frozen(model, batch):
    draw(model.confidence_network, 0.1)
    model.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2, weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        sum(model.losses(model(batch), batch).values()).backward()
        optimizer.step()
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert not {name for name in changed if not name.startswith("confidence_network.")}
    assert "confidence_network.backbone.bn1.running_mean" in changed
    learning = {name for name, weight in model.named_parameters() if weight.requires_grad}
    # a layer's last shift before a normalisation is never felt; all the others must have moved
    assert changed >= learning
    assert not any(module.training for module in model.network.modules())


def test_it_learns_to_trust_the_image_that_tells_the_truth(model, batch):
    """Of each set the first image knows the points' face; the others say something wrong of it."""
    model.train()
    model.geometry_jitter = False
    truth, wrong = torch.tensor([0.5, -0.5, 0.3, 0.2]), torch.full((COEFFICIENTS,), 40.0)
    knows = torch.tensor([1.0, 0, 0, 1, 0])[:, None]
    own = knows * truth + (1 - knows) * wrong

    def told(module, arguments, outputs):
        return (own, *(torch.zeros_like(part) for part in outputs[1:]))

    model.network.register_forward_hook(told)
    with torch.no_grad():
        outputs = Deep3dModel.forward(model, batch)
        points = model.decoder.points(model.decoder.face({**outputs, "identity": truth.expand(IMAGES, -1)}))
    batch["landmarks68"] = (points + 1) * (SIZE / 2)
    model.weights |= {"color": 0.0, "coefficients": 0.0}
    optimizer = torch.optim.Adam([weight for weight in model.parameters() if weight.requires_grad], 1e-2)
    losses = []
    for _ in range(16):
        outputs = model(batch)
        losses.append(model.losses(outputs, batch)["landmarks"])
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.5 * losses[0]
    trust = outputs["confidence"].mean(dim=1)
    assert min(trust[0], trust[3]) > 1.5 * max(trust[1], trust[2], trust[4])


def test_evidence_is_of_each_image(model, batch):
    draw(model.confidence_network, 0.3)
    with torch.no_grad():
        outputs = model(batch)
        evidence = model.shape_evidence(outputs, batch)
        verts, _ = model.reconstruct(outputs, batch)
        again = model.shape_evidence(outputs, batch, verts)
    np.testing.assert_array_equal(evidence.identity, outputs["own_identity"])
    np.testing.assert_array_equal(evidence.confidence, outputs["confidence"])
    arrays = type(evidence)(*(tensor.numpy() for tensor in evidence))
    for rows in ([0, 1, 2], [3, 4]):
        np.testing.assert_allclose(arrays.joint_shapes(rows, model.space), verts[rows], atol=1e-6)  # float32 of 0.1 m
    # the shapes' own coefficients: as they were, to the pull to zero and float32
    np.testing.assert_allclose(again.identity, evidence.identity, atol=2e-3)
    np.testing.assert_allclose(again.expression, evidence.expression, atol=2e-3)
    moved = verts + 0.3 * model.space.identity[1]
    np.testing.assert_allclose(
        model.shape_evidence(outputs, batch, moved).identity - again.identity, np.eye(4)[[1] * IMAGES] * 0.3, atol=1e-3
    )


def test_the_flip_test_has_evidence(model, batch):
    flipping = FlipTest(model, TOPOLOGY, IMAGE_SIZE[0])
    with torch.no_grad():
        outputs = flipping(batch)
        evidence, verts = flipping.shape_evidence(outputs, batch), flipping.reconstruct(outputs, batch)[0]
    assert evidence.identity.shape == (IMAGES, COEFFICIENTS)
    assert verts.shape == (IMAGES, NUM_VERTICES, 3)


def single_run(folder, model="deep3d", bases=BASES, **options):
    """A checkpoint of a deep3d run, as far as it is read."""
    single = build("deep3d")
    draw(single.network, 0.2)
    state = {
        "model": single.state_dict(),
        "averaged": None,
        "split_digest": SPLIT,
        "topology": pack_arrays(TOPOLOGY),
        "epoch": 3,
    }
    options = {"model": model, "backbone": "resnet18", "pooling": "grid", "img_size": 224, **options}
    state |= {"statistics": pack_arrays(STATISTICS), "options": options, "bases": pack_bases(bases)}
    save_checkpoint(folder / "best.pt", state)
    return single, folder / "best.pt"


def settings(path, **others):
    return {
        "single_run": path,
        "imagenet_weights": None,
        "backbone": "resnet18",
        "pooling": "grid",
        "img_size": 224,
        **others,
    }


def test_a_new_run_starts_from_a_single_one(tmp_path):
    single, path = single_run(tmp_path)
    model = build("deep3d_sets")
    remarks = model.read_first_weights(settings(str(path)), SPLIT)
    assert remarks == [f"R-Net: that of {path}, epoch 3"]
    for name, weights in single.network.state_dict().items():
        np.testing.assert_array_equal(model.network.state_dict()[name], weights)
    first = model.confidence_network.backbone.conv1.weight
    np.testing.assert_array_equal(first.detach(), single.network.backbone.conv1.weight.detach())
    assert not any(parameter.any() for parameter in model.confidence_network.final_layers.parameters())


@pytest.mark.parametrize(
    ("run", "asked", "message"),
    [
        ({}, {"single_run": None}, "wanted the checkpoint of a trained deep3d run, from whose network all starts"),
        ({}, {"imagenet_weights": "r.pth"}, "no --imagenet_weights; got .*best.pt and r.pth"),
        ({"model": "direct"}, {}, "wanted a run of {'model': 'deep3d', .*, got one of {'model': 'direct', "),
        ({"backbone": "resnet50"}, {}, "got one of {'model': 'deep3d', 'backbone': 'resnet50', "),
        ({}, {"img_size": 112}, "wanted a run of .*'img_size': 112}, got one of .*'img_size': 224}"),
    ],
)
def test_other_runs_are_refused(tmp_path, run, asked, message):
    _, path = single_run(tmp_path, **run)
    with pytest.raises(InputError, match=f"--single_run.*: .*{message}"):
        build("deep3d_sets").read_first_weights(settings(path, **asked), SPLIT)


def test_a_run_of_another_morphable_model_is_refused(tmp_path):
    other = replace(BASES.model, mean=BASES.model.mean + np.float32(0.01))
    _, path = single_run(tmp_path, bases=replace(BASES, model=other))
    with pytest.raises(InputError, match="wanted the morphable model of the cache, got another one in it"):
        build("deep3d_sets").read_first_weights(settings(path), SPLIT)


def test_a_run_of_another_split_is_refused(tmp_path):
    _, path = single_run(tmp_path)
    with pytest.raises(InputError, match="wanted a run of the split in the cache, got one of another"):
        build("deep3d_sets").read_first_weights(settings(path), "another")


def test_a_run_that_is_missing_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.pt: no such file"):
        build("deep3d_sets").read_first_weights(settings(tmp_path / "none.pt"), SPLIT)
