"""Expressions of scan-based heads: names that the model has, weights that it can show."""

import numpy as np
import pytest

from data.synthetic.expression import EXPRESSIONS
from data.synthetic.portraits.expressions import LOOK_ANGLE, draw_expression, follow_gaze, of_sweep
from tests.portraits import portrait_world

NAMES = tuple(EXPRESSIONS)


def one(name, amount=1.0):
    return np.float32([amount * (own == name) for own in NAMES])


@pytest.mark.parametrize("name", NAMES)
def test_each_expression_of_the_sweep_has_its_counterpart(name):
    whole, half = of_sweep(one(name)), of_sweep(one(name, 0.5))
    assert 0 < max(whole.values()) <= 1
    assert {own for own, weight in half.items() if weight > 0} == {own for own, weight in whole.items() if weight > 0}
    for own, weight in whole.items():
        assert half[own] == pytest.approx(weight / 2)
        if name.endswith(("_left", "_right")) and name not in ("mouth_left", "mouth_right", "jaw_left", "jaw_right"):
            assert weight == 0 or own.endswith("_L" if name.endswith("_left") else "_R")


def test_weights_stop_at_one():
    everything = of_sweep(np.ones(len(NAMES), np.float32))
    assert max(everything.values()) == 1.0  # cheeks and eyes squint by several
    assert of_sweep(np.zeros(len(NAMES), np.float32)).keys() == everything.keys()
    assert not any(of_sweep(np.zeros(len(NAMES), np.float32)).values())


def test_the_model_knows_all_names():
    names = set(portrait_world().studio.head.expression_names)
    rng = np.random.default_rng(0)
    told = set(of_sweep(np.ones(len(NAMES), np.float32)))
    told |= set().union(*(draw_expression(rng) for _ in range(500)))
    for left, up in ((0.3, 0.2), (-0.3, -0.2)):
        told |= set(follow_gaze({}, left, up))
    assert told <= names
    assert len(told) > 0.9 * len(names)


def test_drawn_faces():
    rng = np.random.default_rng(1)
    drawn = [draw_expression(rng) for _ in range(2000)]
    assert draw_expression(np.random.default_rng(5)) == draw_expression(np.random.default_rng(5))
    weights = np.concatenate([list(face.values()) for face in drawn])
    assert weights.min() >= 0
    assert weights.max() <= 1
    shut = np.array([[face[f"eyeBlink_{side}"] > 0.6 for side in "LR"] for face in drawn])
    # 1 in 20 and 1 in 33 of 2000: four standard deviations
    assert abs(shut.all(axis=1).mean() - 0.05) < 0.02
    assert abs((shut.sum(axis=1) == 1).mean() - 0.03) < 0.016
    smiles = [face for face in drawn if face.get("mouthSmile_L", 0) > 0.3]
    assert 0.2 < len(smiles) / len(drawn) < 0.5
    sides = np.array([[face[f"mouthSmile_{side}"] for side in "LR"] for face in smiles])
    assert 0 < np.abs(np.diff(sides, axis=1)).mean() < 0.2  # nearly, but not quite, the same


def test_lids_go_along_with_the_eyes():
    left = follow_gaze({"jawOpen": 0.2}, LOOK_ANGLE / 2, 0.0)
    assert left == pytest.approx({"jawOpen": 0.2, "eyeLookOut_L": 0.5, "eyeLookIn_R": 0.5})
    down = follow_gaze({}, 0.0, -2 * LOOK_ANGLE)
    assert down == {"eyeLookDown_L": 1.0, "eyeLookDown_R": 1.0}
    assert follow_gaze({}, -LOOK_ANGLE, LOOK_ANGLE) == pytest.approx(
        {"eyeLookIn_L": 1.0, "eyeLookOut_R": 1.0, "eyeLookUp_L": 1.0, "eyeLookUp_R": 1.0}
    )


def test_the_models_own_looks_have_these_signs():
    head = portrait_world().studio.head
    upper_lids = head.landmarks68[[37, 38, 43, 44]]
    for name, sign in (("eyeLookDown", -1), ("eyeLookUp", 1)):
        moved = sum(head.expression[head.expression_names.index(f"{name}_{side}")] for side in "LR")
        assert (sign * moved[upper_lids, 1] > 0.0005).all(), name  # metres up
