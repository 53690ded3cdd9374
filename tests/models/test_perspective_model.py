"""perspective: what it is before it has learned anything, its losses by hand, and what it tells image sets."""

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from models.perspective_model import KNOWN_DEVIATION, LEAST_DEVIATION, PerspectiveModel
from tests.models.tiny import STATISTICS
from util.camera import WCPA_PROJECTION, project, transform
from util.errors import InputError
from util.evidence import ShapeEvidence
from util.face_space import face_space
from util.mesh import Topology
from util.metrics import score_parts
from util.pose import pose_from_6dof
from util.predictions import Predictions
from util.statistics import LabelStatistics

NUM_VERTICES, COMPONENTS, IMAGE_SIZE, BATCH, SIZE = 80, 10, (96, 96), 3, 64
RANDOM = np.random.default_rng(3)
MEAN = RANDOM.normal(0, 0.05, (NUM_VERTICES, 3)).astype(np.float32)
BASIS = RANDOM.normal(0, 0.003, (COMPONENTS, NUM_VERTICES, 3)).astype(np.float32)
FACES = LabelStatistics(
    STATISTICS.six_mean,
    STATISTICS.six_std,
    MEAN,
    BASIS,
    0.3 * BASIS[:2],
    STATISTICS.landmark_mean,
    STATISTICS.landmark_whitening,
)
TOPOLOGY = Topology(MEAN, np.int32([[0, 1, 2]]), np.arange(68), np.arange(NUM_VERTICES, dtype=np.int64))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return PerspectiveModel(FACES, TOPOLOGY, WCPA_PROJECTION, IMAGE_SIZE, shape_components=COMPONENTS)


@pytest.fixture
def batch():
    """Faces of the training distribution, and where their points are seen to a tenth of a pixel."""
    random = np.random.default_rng(5)
    verts = MEAN + np.tensordot(random.normal(0, 0.6, (BATCH, len(BASIS))), BASIS, 1)
    R_t = pose_from_6dof(FACES.six_mean + FACES.six_std * random.normal(size=(BATCH, 6)))
    points, _ = project(transform(verts[:, :68], R_t), WCPA_PROJECTION, *IMAGE_SIZE)
    points = points + random.normal(0, 0.1, points.shape)
    numbers = {"verts": verts, "R_t": R_t, "landmarks68": points}
    batch = {name: torch.tensor(array, dtype=torch.float32) for name, array in numbers.items()}
    batch["local"] = torch.from_numpy(random.integers(0, 256, (BATCH, 3, SIZE, SIZE), dtype=np.uint8))
    batch["local_affine"] = torch.tensor([[SIZE / 96, 0, 0], [0, SIZE / 96, 0]]).repeat(BATCH, 1, 1)
    return batch | {"index": torch.arange(BATCH)}


def box_sides(batch):
    points = batch["landmarks68"].double().numpy()
    return (points.max(axis=1) - points.min(axis=1)).max(axis=1)


def test_untrained_it_is_the_most_probable_face_by_scipy(model, batch):
    """The same cost, minimised by SciPy from the true pose: shape of that fit, its size, and the pose under which the
    68 points of this shape are seen best."""
    model.eval()
    with torch.no_grad():
        verts, R_t = model.reconstruct(model(batch), batch)
    space = [array.double().numpy() for array in face_space(FACES, COMPONENTS)]
    mean, basis, size_slope = space[:3]
    for image, side in enumerate(box_sides(batch)):
        observed = batch["landmarks68"][image].double().numpy()
        true = batch["R_t"][image].double().numpy()
        deviation = (KNOWN_DEVIATION + LEAST_DEVIATION) * side

        def errors(x, shape, true=true, observed=observed, deviation=deviation):
            camera = shape @ true[:3, :3] @ Rotation.from_rotvec(x[:3]).as_matrix() + true[3, :3] + x[3:6]
            points, _ = project(camera, WCPA_PROJECTION, *IMAGE_SIZE)
            return ((points - observed) / deviation).ravel()

        def fit(x, errors=errors):
            shape = mean[:68] + np.tensordot(x[6:], basis[:, :68], 1)
            return np.concatenate([errors(x[:6], shape), x[6:]])

        found = least_squares(fit, np.zeros(6 + COMPONENTS), xtol=1e-12, ftol=1e-12, gtol=1e-12)
        coefficients = found.x[6:]
        shape = (1 + coefficients @ size_slope) * (mean + np.tensordot(coefficients, basis, 1))
        # float32 of numbers up to 0.2 m
        np.testing.assert_allclose(verts[image], shape, atol=2e-6)
        pose = least_squares(errors, np.zeros(6), args=(shape[:68],), xtol=1e-12, ftol=1e-12, gtol=1e-12)
        mine, _ = project(transform(shape[:68], R_t[image].double().numpy()), WCPA_PROJECTION, *IMAGE_SIZE)
        cost = (((mine - observed) / deviation) ** 2).sum() / 2
        assert cost == pytest.approx(pose.cost, rel=1e-5)  # the pose came back in float32


def test_the_score_loss_is_the_challenges(model, batch):
    model.eval()
    outputs = model(batch)
    true = [batch[name].double().numpy() for name in ("verts", "R_t")]
    found = [array.detach().double().numpy() for array in model.reconstruct(outputs, batch)]
    expected = score_parts(*found, *true)["score"].mean() / 100  # millimetres to decimetres
    assert model.losses(outputs, batch)["score"].item() == pytest.approx(expected, rel=1e-4)


def test_an_image_far_off_teaches_nothing(model, batch):
    """One face two metres behind the others: its score of some 4 m counts as 3 dm and has no gradient."""
    verts = batch["verts"].clone().requires_grad_()
    R_t = batch["R_t"].clone()
    R_t[0, 3, 2] -= 2.0
    score = model.score(verts, R_t, batch)
    score.backward()
    assert score.item() == pytest.approx(3.0 / BATCH, abs=1e-4)  # rounding about a norm of 0
    assert verts.grad[0].abs().max() == 0


def test_deviations_loss_by_hand(model, batch):
    outputs = model.eval()(batch)
    outputs |= {"known_deviations": torch.full((BATCH, 68), 0.01), "found_deviations": torch.full((BATCH, 68), 0.1)}
    seen, _ = project(
        transform(batch["verts"][:, :68].double(), batch["R_t"].double()), model.projection.double(), 96, 96
    )
    # found points 3 pixels right of where they are, known ones 4 below, in a window at 2/3
    outputs["found_points"] = ((seen + torch.tensor([3.0, 0])) * (2 / 96) - 1).float()
    batch["landmarks68"] = (seen + torch.tensor([0, 4.0])).float()
    sides = box_sides(batch)
    expected = sum(
        np.mean([((offset / side / deviation) ** 2 / 2 + 2 * np.log(deviation)) / 2 for side in sides])
        for offset, deviation in ((3, 0.1), (4, 0.01))
    )
    losses = model.losses(outputs, batch)
    assert losses["deviations"].item() == pytest.approx(0.1 * expected, rel=1e-4)
    # half sides of the window are 32 of its pixels: 2 of them off in x
    assert losses["points"].item() == pytest.approx(5 * 2 / 32 / 2, rel=1e-4)


def test_it_learns_shape_size_and_deviations(model, batch):
    """A few steps on three faces lower what is known of them by fits alone; every weight has a gradient."""
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    scores, silent = [], {name for name, _ in model.named_parameters()}
    for _ in range(40):
        losses = model.losses(model(batch), batch)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        scores.append(losses["score"].item())
        silent -= {name for name, weight in model.named_parameters() if weight.grad.abs().max() > 0}
        optimizer.step()
    assert not silent
    assert np.mean(scores[-5:]) < 0.7 * scores[0]


def test_unknown_points_are_the_models_own(model, batch):
    """Where points are but a guess, they count for the box alone: shuffled, they change nothing."""
    model.eval()
    batch["landmarks_known"] = torch.tensor([True, False, True])
    with torch.no_grad():
        before = model.reconstruct(model(batch), batch)
        batch["landmarks68"][1] = batch["landmarks68"][1].flip(0)
        after = model.reconstruct(model(batch), batch)
        batch["landmarks68"][0] = batch["landmarks68"][0].flip(0)
        broken = model.reconstruct(model(batch), batch)
    for first, second, third in zip(before, after, broken, strict=True):
        torch.testing.assert_close(first, second)
        assert [torch.allclose(*pair) for pair in zip(first, third, strict=True)] == [False, True, True]


def test_evidence_of_one_image_is_its_prediction(model, batch):
    """Whatever has been learned: a set of one image gives that image's shape, to second order in what points leave."""
    with torch.no_grad():
        for weight in model.correction_layer.parameters():
            weight.copy_(torch.randn(weight.shape) * 0.003)
    model.eval()
    with torch.no_grad():
        outputs = model(batch)
        evidence = ShapeEvidence(*(tensor.float().numpy() for tensor in model.shape_evidence(outputs, batch)))
        verts, R_t = model.reconstruct(outputs, batch)
    space = face_space(FACES, COMPONENTS)
    for image in range(BATCH):
        shapes = evidence.joint_shapes([image], space)
        # 1e-5 m: directions without expression are taken to have a thousandth of the variance
        np.testing.assert_allclose(shapes[0], verts[image], atol=1e-5)
    assert (
        Predictions(verts.numpy(), R_t.numpy(), np.ones(BATCH, np.float32), evidence).evidence.vector.shape[1]
        == COMPONENTS
    )


def test_a_network_that_gives_no_numbers_is_told_by_its_loss(model, batch):
    """Which stops a run with the names of the images; the fit has no say."""
    with torch.no_grad():
        next(model.encoder.parameters()).fill_(torch.nan)
    losses = model.losses(model(batch), batch)
    assert not torch.isfinite(sum(losses.values()))
    sum(losses.values()).backward()


def test_points_in_one_place_have_no_face(model, batch):
    batch["landmarks68"][1] = 7.0
    with pytest.raises(InputError, match=r"68 points that do not lie in one place.* images \[1\] of the list"):
        model.eval()(batch)


def test_the_shapes_of_two_looks_are_in_the_evidence(model, batch):
    """Shapes in place of the model's own come out of a set of one image."""
    model.eval()
    with torch.no_grad():
        outputs = model(batch)
        shapes = 1.01 * outputs["verts"] + 0.002 * model.space_basis[3]
        evidence = ShapeEvidence(*(tensor.float().numpy() for tensor in model.shape_evidence(outputs, batch, shapes)))
    for image in range(BATCH):
        joint = evidence.joint_shapes([image], model.space)
        np.testing.assert_allclose(joint[0], shapes[image], atol=1e-5)  # as above
