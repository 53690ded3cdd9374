"""Head motion and expressions over time."""

import numpy as np
import pytest

from data.synthetic import sweep
from data.synthetic.procedural_world import draw_identity
from data.synthetic.shape import procedural_face
from util.camera import transform
from util.errors import InputError
from util.pose import check_pose, pose_to_6dof

TURNED_MOST = {"turn": 1, "nod": 0, "tilt": 2}  # index in pitch, yaw, roll


def draw_poses(count: int, actions=sweep.ACTIONS, faces=()) -> np.ndarray:
    """(count, 6) poses, one of each sequence, actions in turn; with `faces`, in turn too, as they are written."""
    rng = np.random.default_rng(0)
    six = []
    for index in range(count):
        sequence = sweep.draw_sequence(actions[index % len(actions)], rng)
        R_t = sweep.pose_at(sequence, rng.integers(sweep.SEQUENCE_LENGTH) / sweep.SEQUENCE_LENGTH)
        six.append(pose_to_6dof(sweep.keep_inside(R_t, faces[index % len(faces)]) if faces else R_t))
    return np.array(six)


def draw_faces(count: int) -> list[np.ndarray]:
    """Labelled points (N, 3) of `count` people, each doing the action whose turn it is at some time."""
    face, rng = procedural_face(), np.random.default_rng(1)
    faces = []
    for index in range(count):
        sequence = sweep.draw_sequence(sweep.ACTIONS[index % len(sweep.ACTIONS)], rng)
        expression = sweep.expression_at(sequence, rng.random(), face.expression_names, rng)
        faces.append(face.face_vertices(face.vertices(draw_identity(face, rng), expression)["skin"]))
    return faces


def test_label_statistics_stand_beside_the_real_ones():
    # The poses as they are written: shifted so that a face stays in the picture. Ten people for each action are
    # enough, as the shift depends on the outline of a face alone and few poses need it.
    six = draw_poses(3600, faces=draw_faces(10 * len(sweep.ACTIONS)))
    mean, std = six.mean(axis=0), six.std(axis=0)
    side_by_side = "\n".join(
        f"{name:6s} mean {m:+.4f} (real {rm:+.4f})  std {s:.4f} (real {rs:.4f})"
        for name, m, rm, s, rs in zip(
            ("pitch", "yaw", "roll", "tx", "ty", "tz"), mean, sweep.WCPA_MEAN, std, sweep.WCPA_STD, strict=True
        )
    )
    # A network's outputs are normalised by these, so a tenth is near enough. 3,600 draws know a mean to std / 60 and
    # a std to about 1.2 percent; both are far inside.
    np.testing.assert_allclose(std, sweep.WCPA_STD, rtol=0.10, err_msg=side_by_side)
    assert np.all(np.abs(mean - sweep.WCPA_MEAN) < 0.10 * sweep.WCPA_STD), side_by_side


@pytest.mark.parametrize("action", [action for action in sweep.ACTIONS if action.motion in TURNED_MOST])
def test_an_action_turns_the_head_mostly_its_own_way(action):
    spread = draw_poses(200, (action,))[:, :3].std(axis=0)
    assert spread.argmax() == TURNED_MOST[action.motion]
    assert spread.max() > 1.2 * np.sort(spread)[1]


def test_all_poses_are_rigid_and_before_the_camera():
    rng = np.random.default_rng(1)
    for action in sweep.ACTIONS:
        sequence = sweep.draw_sequence(action, rng)
        for time in np.linspace(0.0, 0.999, 9):
            assert check_pose("pose", sweep.pose_at(sequence, time))[3, 2] < -0.25


def test_poses_move_smoothly():
    sequence = sweep.draw_sequence(sweep.ACTIONS[0], np.random.default_rng(2))
    six = np.array([pose_to_6dof(sweep.pose_at(sequence, i / 240)) for i in range(240)])
    # The fastest sweep: amplitude 0.7 rad, 1.6 cycles in 240 frames, that is 0.03 rad a frame, and drift on top.
    assert np.abs(np.diff(six, axis=0)).max() < 0.05


def test_shoulders_share_the_neck_and_turn_less():
    sequence = sweep.draw_sequence(sweep.ACTIONS[0], np.random.default_rng(3))
    head = sweep.pose_at(sequence, 0.3)
    body = sweep.body_pose(head)
    np.testing.assert_allclose(
        transform(sweep.NECK_PIVOT[None], head), transform(sweep.NECK_PIVOT[None], body), atol=1e-12
    )
    assert np.all(np.abs(pose_to_6dof(body)[:3]) < np.abs(pose_to_6dof(head)[:3]))


@pytest.mark.parametrize("action", sweep.ACTIONS)
def test_every_action_reaches_its_expression(action):
    names = procedural_face().expression_names
    wanted = {name for alternative in action.expressions for name in alternative}
    assert wanted <= set(names)  # a renamed expression would else be left out in silence
    rng = np.random.default_rng(4)
    peak = np.zeros(len(names))
    for _ in range(12):
        sequence = sweep.draw_sequence(action, rng)
        for time in np.linspace(0.0, 0.99, 25):
            peak = np.maximum(peak, sweep.expression_at(sequence, time, names, rng))
    full = {name: max(a.get(name, 0.0) for a in action.expressions) for name in wanted}
    for name, weight in full.items():
        assert peak[names.index(name)] > 0.75 * weight, name
    assert peak.max() <= 1.0


def test_an_expression_is_at_rest_at_both_ends_of_its_sequence():
    sequence = sweep.draw_sequence(sweep.ACTIONS[3], np.random.default_rng(5))
    assert max(sweep.action_weights(sequence, 0.0).values()) == 0.0
    assert max(sweep.action_weights(sequence, 0.5).values()) > 0.4


def test_eyes_held_on_the_camera_turn_against_the_head():
    rng = np.random.default_rng(6)
    left, yaw = [], []
    for _ in range(300):
        sequence = sweep.draw_sequence(sweep.ACTIONS[0], rng)
        if sequence.gaze_hold > 0.8:
            time = rng.random()
            yaw.append(pose_to_6dof(sweep.pose_at(sequence, time))[1])
            left.append(sweep.gaze_at(sequence, time, rng)[0])
    assert np.corrcoef(left, yaw)[0, 1] < -0.9


def test_actions_are_dealt_evenly():
    names = [[action.name for action in sweep.actions_of_subject(i, 5, seed=3)] for i in range(12)]
    assert all(len(set(row)) == 5 and row == sorted(row) for row in names)
    counts = {action.name: sum(action.name in row for row in names) for action in sweep.ACTIONS}
    assert set(counts.values()) == {5}
    assert len(sweep.ACTIONS) >= 12


@pytest.mark.parametrize("count", [0, len(sweep.ACTIONS) + 1])
def test_a_wrong_number_of_actions_is_an_error(count):
    with pytest.raises(InputError, match=f"num_actions: wanted 1..{len(sweep.ACTIONS)}, got {count}"):
        sweep.actions_of_subject(0, count, seed=0)
