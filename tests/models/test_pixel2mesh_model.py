"""pixel2mesh: where it starts, what its vertices read, its losses by hand, and what it does without known points."""

import numpy as np
import pytest
import torch

from models import MODELS
from models.base_model import DECIMETRES
from models.exported import export_network
from models.pixel2mesh_model import OFFSET_UNIT
from options.train_options import build_parser
from tests.conftest import bowl
from tests.models.test_exported import make_run
from util.camera import WCPA_PROJECTION, project, transform
from util.errors import InputError
from util.mesh import make_topology
from util.pose import pose_from_6dof
from util.statistics import LabelStatistics

SIZE, IMAGE_SIZE, BATCH = 32, (96, 96), 3
SMALL_OPTIONS = {"hidden_channels": 8, "pooled_channels": 2, "global_channels": 2, "residual_layers": 1}
SMALL = [word for name, value in SMALL_OPTIONS.items() for word in (f"--{name}", str(value))]
TEMPLATE, TRIANGLES = bowl()
TOPOLOGY = make_topology(TEMPLATE, TRIANGLES, np.random.default_rng(0).permutation(len(TEMPLATE))[:68])
STATISTICS = LabelStatistics(
    np.float32([0, 0, 0, 0, 0, -0.5]),
    np.float32([0.3, 0.3, 0.1, 0.02, 0.05, 0.06]),
    TEMPLATE,
    np.zeros((1, *TEMPLATE.shape), np.float32),
    np.zeros((0, *TEMPLATE.shape), np.float32),
    np.zeros(139, np.float32),
    np.eye(139, dtype=np.float32),
)


def build(*arguments, preset="standard"):
    words = ["--data_root", "x", *SMALL, "--truth_points", "500", *arguments]
    options = vars(build_parser("pixel2mesh", preset).parse_args(words))
    torch.manual_seed(0)
    return MODELS["pixel2mesh"].build(options, TOPOLOGY, STATISTICS, WCPA_PROJECTION, IMAGE_SIZE)


@pytest.fixture
def batch():
    """Bowls of several widths, and the 68 points where they are seen."""
    random = np.random.default_rng(1)
    verts = (TEMPLATE * random.normal(1, 0.05, (BATCH, 1, 3))).astype(np.float32)
    R_t = pose_from_6dof(random.normal([0, 0, 0, 0, 0, -0.5], [0.2, 0.2, 0.1, 0.02, 0.03, 0.03], (BATCH, 6)))
    seen, _ = project(transform(verts[:, TOPOLOGY.keypoints], R_t), WCPA_PROJECTION, *IMAGE_SIZE)
    window = random.integers(0, 256, (BATCH, 3, SIZE, SIZE), dtype=np.uint8)
    # a window that shows the image at a third
    arrays = {"local": window, "local_affine": np.float32([[[1 / 3, 0, 0], [0, 1 / 3, 0]]] * BATCH), "verts": verts}
    arrays |= {"R_t": R_t.astype(np.float32), "landmarks68": seen.astype(np.float32), "index": np.arange(BATCH)}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


@pytest.mark.parametrize("template", ["mean", "semisphere"])
def test_it_starts_from_the_template(template, batch):
    model = build("--template", template).eval()
    outputs = model(batch)
    verts, R_t = model.reconstruct(outputs, batch)
    start = model.last.shape[1]
    before = outputs[f"before_{len(model.stages) - 1}"][0]
    assert before.shape == (start, 3)
    for number in range(len(model.stages)):
        torch.testing.assert_close(outputs[f"after_{number}"], outputs[f"before_{number}"])
    if template == "mean":
        np.testing.assert_allclose(verts.detach(), TEMPLATE[None].repeat(BATCH, 0), atol=1e-7)  # float32
    else:
        # the data root's vertices lie on the flat triangles of an ellipsoid, whose surface is x^2 + y^2 + z^2 = 1
        low, high = TEMPLATE.min(axis=0), TEMPLATE.max(axis=0)
        axes = np.array([high[0], high[1], high[2] - low[2]])
        radii = np.linalg.norm((verts[0].detach().numpy() - [0, 0, low[2]]) / axes, axis=1)
        assert radii.min() > 0.8
        assert radii.max() <= 1 + 1e-6
    # the pose under which that is seen where the 68 points are
    seen, _ = project(transform(verts[:, TOPOLOGY.keypoints], R_t), model.projection, *IMAGE_SIZE)
    assert (seen - batch["landmarks68"]).norm(dim=2).mean() < (2 if template == "mean" else 6)


def test_vertices_read_the_maps_where_they_are_seen(batch):
    """Maps that hold the coordinates of their own cells, from -1 to 1 across the window."""
    model = build()
    cells = (2 * torch.arange(SIZE) + 1) / SIZE - 1
    ramp = torch.stack(torch.meshgrid(cells, cells, indexing="xy")).expand(BATCH, -1, -1, -1)
    mesh = 10 * batch["verts"].transpose(0, 1)
    (read,) = model.pooled([ramp], mesh, batch["R_t"], batch)
    image, _ = project(transform(batch["verts"], batch["R_t"]), model.projection, *IMAGE_SIZE)
    expected = (image / 48 - 1).clamp(cells[0], cells[-1])
    torch.testing.assert_close(read, expected.transpose(0, 1), atol=1e-5, rtol=0)  # float32


def test_what_key_points_tell_brings_them_where_they_are_seen(batch):
    """Each key point moved by what it tells is seen at its point, whatever the pose."""
    model = build()
    stage = model.stages[-1]
    mesh = stage.start[:, None].expand(-1, BATCH, -1)
    moves = model.moves(mesh, batch["R_t"], batch["landmarks68"], stage)
    moved = torch.from_numpy(TEMPLATE[TOPOLOGY.keypoints]) + moves * (OFFSET_UNIT / DECIMETRES)
    seen, _ = project(transform(moved, batch["R_t"]), model.projection, *IMAGE_SIZE)
    torch.testing.assert_close(seen, batch["landmarks68"], atol=1e-3, rtol=0)  # float32 pixels
    assert moves.abs().max() > 0.01


def test_key_points_tell_the_vertices_near_them():
    reach = build().stages[-1].reach
    torch.testing.assert_close(reach.sum(dim=1), torch.ones(len(TEMPLATE)))
    assert (reach[TOPOLOGY.keypoints].argmax(dim=1) == torch.arange(68)).all()


def test_vertices_loss_by_hand(batch):
    model = build("--loss_vertices_weight", "2").eval()
    outputs = model(batch)
    truth = 10 * batch["verts"]
    for number, stage in enumerate(model.stages):
        kept = stage.truth.rows_columns  # a selection
        outputs[f"after_{number}"] = truth[:, kept] + 0.1
    # two levels that are 0.1 decimetres off, and a result that is 0.4 off: their mean, times 2
    losses = model.losses({**outputs, "verts": truth - 0.4}, batch)
    assert len(model.stages) == 2
    assert losses["vertices"].item() == pytest.approx(0.4, rel=1e-5)
    assert losses.keys() == {"vertices", "points"}


def test_found_points_loss_by_hand(batch):
    model = build("--loss_points_weight", "3").eval()
    outputs = model(batch) | {"found_points": batch["landmarks68"] / 48 - 1 + 0.25}
    assert model.losses(outputs, batch)["points"].item() == pytest.approx(0.75, rel=1e-5)


def test_surface_losses_ask_for_no_correspondence(batch):
    """A true surface is the same whichever way its vertices are numbered; a mesh that lies in it has hardly a loss."""
    model = build("--supervision", "points", "--truth_points", "20000", "--loss_chamfer_weight", "1").eval()
    names = {"chamfer", "normal", "edge", "laplacian", "move", "points"}
    outputs = model(batch)
    truth, order = 10 * batch["verts"], torch.randperm(len(TEMPLATE))
    own = model.losses(outputs, batch)
    assert own.keys() == names
    model.triangles = order.argsort()[model.triangles]
    other = model.losses(outputs, {**batch, "verts": batch["verts"][:, order]})
    # points are drawn anew: 20,000 of them on some 3 square decimetres lie a tenth of a millimetre from any place
    assert other["chamfer"].item() == pytest.approx(own["chamfer"].item(), rel=0.02)
    for number, stage in enumerate(model.stages):
        outputs[f"after_{number}"] = truth[:, stage.truth.rows_columns]
    near = model.losses(outputs, {**batch, "verts": batch["verts"][:, order]})
    assert near["normal"] < own["normal"]


def test_without_known_points_it_finds_its_own(batch):
    model = build().eval()
    unknown = {**batch, "landmarks_known": torch.tensor([True, False, False])}
    elsewhere = {**unknown, "landmarks68": batch["landmarks68"] + torch.tensor([[[0.0, 0]], [[30, 9]], [[5, 5]]])}
    known, one, other = (model(each)["R_t"] for each in (batch, unknown, elsewhere))
    assert torch.equal(one, other)
    assert torch.equal(one[0], known[0])
    assert not torch.equal(one[1], known[1])
    images_alone = build("--no-read_landmarks").eval()
    assert torch.equal(images_alone(batch)["R_t"], images_alone(elsewhere)["R_t"])


def test_some_training_images_show_what_it_finds(batch):
    model = build().train()
    torch.manual_seed(3)
    found = torch.zeros(200, 68, 2)
    many = {name: tensor[:1].expand(200, *tensor.shape[1:]) for name, tensor in batch.items()}
    points = model.seen_points(found, many)
    share = (points != many["landmarks68"]).flatten(1).any(dim=1).float().mean().item()
    # a quarter of them: four deviations of the share of 200
    assert share == pytest.approx(0.25, abs=0.12)


@pytest.mark.parametrize("supervision", ["vertices", "points"])
def test_a_network_that_gives_no_numbers_is_told_by_its_loss(supervision, batch):
    model = build("--supervision", supervision).train()
    with torch.no_grad():
        model.encoder.conv1.weight.fill_(torch.nan)
    losses = model.losses(model(batch), batch)
    # nothing has moved yet that is not a number
    assert all(torch.isnan(loss) for name, loss in losses.items())


def test_a_mesh_that_is_no_face_has_the_templates_pose(batch):
    model = build()
    stage = model.stages[-1]
    start = stage.start[:, None].expand(-1, BATCH, -1)
    expected = model.solve_pose(start, stage, batch["landmarks68"])
    for broken in (0 * start, 5 * start, start * torch.nan, start * torch.tensor([1, 1, 0.0])):
        assert torch.equal(model.solve_pose(broken, stage, batch["landmarks68"]), expected)
    assert not torch.equal(model.solve_pose(1.1 * start, stage, batch["landmarks68"]), expected)


def test_unpooling_is_learned_along_the_edges(batch):
    sphere = "--template", "semisphere", "--num_blocks", "2"
    plain, learned = (build(*sphere, *more) for more in ((), ("--learned_unpooling",)))
    coarse, fine = learned.stages
    values = torch.rand(len(coarse.start), BATCH, 5)
    torch.testing.assert_close(fine.unpool(values), plain.stages[1].unpool(values))  # the middles, at first
    with torch.no_grad():
        fine.positions.fill_(1.5)  # beyond the end: at the end
    count = len(coarse.start)
    assert torch.equal(fine.unpool(values)[:count], values)
    assert torch.equal(fine.unpool(values)[count:], values[fine.middles[:, 1]])


def test_each_vertex_of_the_first_block_reads_the_whole_picture_its_own_way(batch):
    """With weights that are nothing but one of one vertex, only this and its neighbours' neighbours feel it."""
    model = build("--num_blocks", "1").eval()
    (stage,) = model.stages
    with torch.no_grad():
        model.lift.weight.zero_()
        torch.nn.init.ones_(stage.block.exit.own.weight)
        before = model(batch)["after_0"]
        model.lift.bias[2 * 40] += 3.0
        changed = (model(batch)["after_0"] - before).abs().amax(dim=(0, 2)) > 1e-6
    place = torch.from_numpy(TEMPLATE)
    # the block's three hidden convolutions reach three edges far, of 2.5 cm at most
    assert changed[40]
    assert (place[changed] - place[40])[:, :2].norm(dim=1).max() < 3 * 0.026


def test_an_ellipsoids_vertices_learn_what_all_faces_share(batch):
    model = build("--template", "semisphere", "--num_blocks", "2").eval()
    before = model(batch)
    with torch.no_grad():
        model.stages[1].moves[3] = torch.tensor([0.1, 0.2, 0.3])
    after = model(batch)
    assert torch.equal(after["after_0"], before["after_0"])
    moved = (after["after_1"] - before["after_1"]).detach()
    torch.testing.assert_close(moved[:, 3], torch.tensor([[0.1, 0.2, 0.3]] * BATCH))
    assert moved.abs().sum().item() == pytest.approx(0.6 * BATCH, rel=1e-5)
    for other in (build(), build(preset="published")):  # the mean face has it already; published ones give places
        assert all(stage.moves is None for stage in other.stages)


@pytest.mark.parametrize("supervision", ["vertices", "points"])
@pytest.mark.parametrize("template", ["mean", "semisphere"])
def test_it_learns(template, supervision, batch):
    model = build("--template", template, "--supervision", supervision, "--loss_points_weight", "0")
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    batch["verts"] = 1.2 * batch["verts"]  # so far off, that it is not the sparse mesh that the loss tells of

    def whole_loss():
        torch.manual_seed(0)  # which draws the same points of the surface
        return sum(model.losses(model(batch), batch).values())

    values = []
    for _ in range(20):
        loss = whole_loss()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert min(values[-5:]) < 0.9 * values[0]


def test_a_sampled_surface_that_fits_leaves_a_coarse_mesh_where_it_is(batch):
    """The published Chamfer loss pulls the vertices of a coarse mesh, which lies in the true surface, along it."""
    pulls = {}
    for sampled in ("--sampled_chamfer", "--no-sampled_chamfer"):
        model = build("--supervision", "points", sampled, "--truth_points", "4000", "--loss_chamfer_weight", "1").eval()
        outputs = model(batch)
        flat = {**batch, "verts": batch["verts"] * torch.tensor([1, 1, 0.0])}
        kept = model.stages[0].truth.rows_columns
        outputs["after_0"] = (10 * flat["verts"][:, kept]).requires_grad_()
        model.losses(outputs, flat)["chamfer"].backward()
        pulls[sampled] = outputs["after_0"].grad.abs().mean().item()
    assert pulls["--sampled_chamfer"] < 0.3 * pulls["--no-sampled_chamfer"]


@pytest.mark.parametrize("preset", ["published", "face"])
def test_published_blocks_give_places(preset, batch):
    """Absolute coordinates: the weights' scale says where the mesh is, not the template's."""
    model = build("--backbone", "resnet18", "--global_channels", "0", preset=preset)
    outputs = model(batch)
    last = len(model.stages) - 1
    with torch.no_grad():
        for layer in (model.stages[last].block.exit.neighbours, model.stages[last].block.exit.own):
            layer.weight.zero_()
    assert model(batch)[f"after_{last}"].abs().max() == 0
    assert outputs[f"after_{last}"].abs().max() > 0
    losses = model.losses(outputs, batch)
    assert losses.keys() == {"chamfer", "normal", "edge", "laplacian", "move", "points"}


def test_losses_take_the_published_links_for_edges():
    stage = build().stages[-1]
    corners = np.concatenate([TRIANGLES[:, [a, b]] for a in range(3) for b in range(3)])
    assert set(map(tuple, stage.links.tolist())) == set(map(tuple, corners.tolist()))


def test_deformation_shows_every_block(batch):
    model = build("--template", "semisphere").eval()
    meshes = model.deformation(model(batch), batch)
    assert len(meshes) == len(model.stages) + 1
    sizes = [len(model.stages[0].start), *(len(stage.start) for stage in model.stages)]
    assert [verts.shape for verts, _ in meshes] == [(BATCH, size, 3) for size in sizes]
    for verts, triangles in meshes:
        assert triangles.max() == verts.shape[1] - 1
        assert 0.02 < verts.abs().max() < 0.2  # metres


def test_it_says_which_meshes_it_deforms():
    """A quarter of the 99 vertices, less one whose mirror image went; rings of 1, 2, 4 and 8 steps."""
    for model, sizes in (
        (build(), "24, 99"),
        (build("--num_blocks", "1"), "99"),
        (build(preset="face"), "7, 19, 61, 217"),
    ):
        assert model.read_weights({}) == [f"deforms meshes of {sizes} vertices"]


def test_validation_draws_the_same_points_each_time(batch):
    model = build("--supervision", "points").eval()
    outputs = model(batch)
    one, other = (model.losses(outputs, batch)["chamfer"].item() for _ in range(2))
    assert one == other
    model.train()
    assert model.losses(outputs, batch)["chamfer"].item() != one


def test_bad_options_are_told():
    with pytest.raises(InputError, match="--learned_unpooling: wanted --template semisphere, got mean"):
        build("--learned_unpooling")
    for number in ("0", "7"):
        with pytest.raises(InputError, match=rf"--num_blocks: wanted 1\.\.6, got {number}"):
            build("--template", "semisphere", "--num_blocks", number)
    with pytest.raises(InputError, match="--hidden_channels: wanted 1 or more, got 0"):
        build("--hidden_channels", "0")
    with pytest.raises(InputError, match="--loss_move_weight: wanted a number from 0 up, got -1"):
        build("--loss_move_weight", "-1")


def test_it_is_not_exported(tmp_path):
    with pytest.raises(InputError, match="wanted a run of another model than pixel2mesh"):
        export_network(make_run("pixel2mesh", 32), tmp_path / "network.onnx")
