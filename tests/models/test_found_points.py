"""The 68 points that a model finds itself, and what it does with them."""

import numpy as np
import torch
from torch import nn

from models.backbones import PointLayers, encode, resnet
from tests.models.tiny import BATCH, build, make_batch


def test_encoding_in_two_steps_is_the_whole_network():
    network, features = resnet("resnet18", "he", "grid")
    network.eval()
    image = torch.rand(2, 3, 64, 64)
    maps, encoded = encode(network, image)
    assert maps.shape == (2, 256, 4, 4)
    assert encoded.shape == (2, features)
    torch.testing.assert_close(encoded, network(image), rtol=0, atol=0)


def test_points_lie_where_the_heat_is():
    layers = PointLayers(4, 2)
    layers.layers = nn.Identity()
    heat = torch.zeros(1, 2, 3, 5)
    heat[0, 0, 2, 1] = 1000.0
    heat[0, 1, 0, 3] = heat[0, 1, 0, 4] = 1000.0
    # five cells across are centred at -0.8, -0.4, 0, 0.4, 0.8, three down at -2/3, 0, 2/3
    wanted = torch.tensor([[[-0.4, 2 / 3], [0.6, -2 / 3]]])
    torch.testing.assert_close(layers(heat), wanted, rtol=0, atol=1e-6)  # float32


def test_points_move_from_window_to_window():
    model = build("dual_resnet")
    batch = make_batch(model)
    turn = np.array([[2.0, 0.5, 3.0], [-0.5, 1.5, -4.0]], np.float32)
    batch["local_affine"] = torch.from_numpy(turn).repeat(BATCH, 1, 1)
    batch["global_affine"] = torch.tensor([[0.5, 0, 1], [0, 0.25, 2]]).repeat(BATCH, 1, 1)
    points = model.window_landmarks(batch, "local")
    moved = model.to_window(points, batch, "local", "global")
    torch.testing.assert_close(moved, model.window_landmarks(batch, "global"), rtol=0, atol=1e-4)  # 100 roundings


def test_a_batch_may_know_the_points_of_some():
    model = build("dual_resnet").eval()
    with torch.no_grad():
        model.found_six_layer.bias.fill_(0.5)
        model.found_verts_layer.bias.fill_(0.5)
    batch = make_batch(model)
    outputs = model(batch)
    known_verts, known_pose = model.reconstruct(outputs, batch)
    found = {"verts": outputs["found_verts"], "6dof": outputs["found_6dof"]}
    found_verts, found_pose = model.reconstruct(found, batch)
    assert not torch.equal(known_verts, found_verts)
    batch["landmarks_known"] = torch.tensor([True, False])
    verts, R_t = model.reconstruct(outputs, batch)
    assert torch.equal(verts, torch.stack([known_verts[0], found_verts[1]]))
    assert torch.equal(R_t, torch.stack([known_pose[0], found_pose[1]]))


def test_unknown_points_change_nothing_but_where_they_were_a_guess():
    """What a model finds must not depend on the points that nobody knows."""
    model = build("dual_resnet").eval()
    batch = make_batch(model)
    for layer in (model.found_six_layer, model.found_verts_layer):
        nn.init.normal_(layer.weight)
    batch["landmarks_known"] = torch.tensor([False, False])
    first = model.reconstruct(model(batch), batch)
    batch["landmarks68"] = batch["landmarks68"].flip(0) + 5
    second = model.reconstruct(model(batch), batch)
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


def test_pose_and_shape_do_not_pull_the_points():
    model = build("dual_resnet")
    nn.init.normal_(model.found_six_layer.weight)
    batch = make_batch(model)
    losses = model.losses(model(batch), batch)
    (losses["found_verts"] + losses["found_6dof"]).backward()
    assert all(parameter.grad is None for parameter in model.point_layers.parameters())


def test_loss_of_the_points_by_hand():
    model = build("dual_resnet")
    batch = make_batch(model)
    true = model.window_landmarks(batch, "local")
    # a tenth of half a side off in x and not in y, 0.05 on average, times the weight 5
    loss = model.losses({"found_points": true + torch.tensor([0.1, 0.0])}, batch)["found_points"]
    torch.testing.assert_close(loss.item(), 0.25, rtol=1e-5, atol=0)
