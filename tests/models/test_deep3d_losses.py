"""Each loss by hand; the numbers are those of the published definitions (../shared/systems.md, A.7)."""

import pytest
import torch

from models.deep3d_losses import (
    albedo_loss,
    coefficient_loss,
    color_loss,
    landmark_loss,
    light_loss,
    perceptual_loss,
)


def test_color_loss():
    picture, target = torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)
    picture[0, :, 1, 2] = torch.tensor([0.3, 0.0, 0.4])  # 0.5 away
    weights = torch.zeros(2, 4, 4)
    weights[0, 1, 2], weights[0, 0, 0], weights[1, 3, 3] = 0.5, 1.0, 0.5
    # 0.5 * 0.5 + what two pixels that are right still cost, 1.5 * 0.001, over a weight of 2
    assert color_loss(picture, target, weights).item() == pytest.approx((0.25 + 0.0015) / 2, rel=1e-4)
    assert color_loss(picture, target, 0 * weights).item() == 0
    weights *= 0.25  # a weight of 0.5 counts as 1
    assert color_loss(picture, target, weights).item() == pytest.approx((0.25 + 0.0015) / 4, rel=1e-4)
    weights.requires_grad_()
    loss = color_loss(picture.requires_grad_(), target, weights)
    loss.backward()
    assert weights.grad is None


def test_landmark_loss():
    points, target = torch.zeros(2, 68, 2), torch.zeros(2, 68, 2)
    assert landmark_loss(points, target).item() == 0
    points[0, 5] = torch.tensor([3 / 112, 4 / 112])  # 5 pixels of 224
    assert landmark_loss(points, target).item() == pytest.approx(25 / 136)
    points[1, 29, 0], points[1, 60, 1] = 1 / 112, 2 / 112  # heavy ones
    assert landmark_loss(points, target).item() == pytest.approx((25 + 20 * 1 + 20 * 4) / 136)
    weights = torch.autograd.grad(landmark_loss(target.requires_grad_(), points), target)[0] / (target - points)
    heavy = (weights / weights[0, 5, 0] > 10).nonzero()[:, 1]
    assert sorted(set(heavy.tolist())) == [29, 60]  # of those that moved


def test_heavy_points():
    moved = torch.eye(68)[:, :, None].expand(-1, -1, 2) / 112  # one of the points in each image
    losses = torch.stack([landmark_loss(each[None], torch.zeros(1, 68, 2)) for each in moved]) * 68 / 2
    heavy = {28, 29, 30, 60, 61, 62, 63, 64, 65, 66, 67}
    torch.testing.assert_close(losses, torch.tensor([20.0 if i in heavy else 1.0 for i in range(68)]))


def test_perceptual_loss():
    features = torch.tensor([[3.0, 4.0], [1.0, 0.0]])
    target = torch.tensor([[6.0, 8.0], [-1.0, 1.0]])
    expected = (0 + 1 + 0.5**0.5) / 2
    assert perceptual_loss(features, target).item() == pytest.approx(expected, rel=1e-6)


def test_coefficient_loss():
    outputs = {"identity": torch.tensor([[1.0, 2.0], [0.0, 0.0]]), "expression": torch.tensor([[0.0], [3.0]])}
    outputs["albedo"] = torch.tensor([[10.0], [0.0]])
    assert coefficient_loss(outputs).item() == pytest.approx((5 + 0.8 * 9 + 1.7) / 2, rel=1e-6)


def test_albedo_loss():
    albedo = torch.zeros(2, 3, 3)
    albedo[0, 0] = torch.tensor([0.2, 0.0, 0.4])
    albedo[:, 2] = 9.0  # not skin
    skin = torch.tensor([True, True, False])
    # two vertices 0.1 and 0.2 from their mean, in one face of two
    assert albedo_loss(albedo, skin).item() == pytest.approx((0.1**2 + 0.2**2) / 2, rel=1e-5)
    assert albedo_loss(albedo, ~skin).item() == 0
    assert albedo_loss(albedo, torch.zeros(3, dtype=torch.bool)).item() == 0


def test_light_loss():
    light = torch.ones(1, 27)
    assert light_loss(light).item() == 0
    light[0, 4] += 0.3  # red's fifth value: 0.2 above the mean of the colours, the others 0.1 below
    assert light_loss(light).item() == pytest.approx((0.2**2 + 2 * 0.1**2) / 27, rel=1e-5)
