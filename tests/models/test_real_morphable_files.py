"""Files of other projects as they are published, where they are at hand."""

import json
from pathlib import Path

import numpy as np
import pytest

from models.morphable_files import read_morphable, read_parameter_statistics

SHARED = Path(__file__).parents[3] / "shared"
FACEKIT, POINTS = SHARED / "ict_facekit", SHARED / "threeddfa"


def test_real_facekit_is_the_same_in_both_forms(tmp_path):
    if not FACEKIT.is_dir():
        pytest.skip(f"no {FACEKIT}")
    compact = read_morphable(FACEKIT / "ict_facekit_compact.npz")
    table = json.loads((FACEKIT / "vertex_indices.json").read_text())
    places = [place for place, name in enumerate(table["expressions"]) if (FACEKIT / f"{name}.obj").is_file()]
    objs = sorted(FACEKIT.glob("*.obj"))
    identities = sum(path.name.startswith("identity") for path in objs)
    for path in objs:
        (tmp_path / path.name).symlink_to(path)
    table["expressions"] = [table["expressions"][place] for place in places]
    (tmp_path / "vertex_indices.json").write_text(json.dumps(table))
    published = read_morphable(tmp_path)
    assert len(published.expression) == len(places) == 6
    for name in ("mean", "triangles", "keypoints", "skin", "front", "metres"):
        np.testing.assert_array_equal(getattr(compact, name), getattr(published, name), err_msg=name)
    for got, want in (
        (compact.identity[:identities], published.identity),
        (compact.expression[places], published.expression),
    ):
        # half a unit in the last of float16's eleven bits, and what the .obj's six digits leave of some centimetres
        np.testing.assert_allclose(got, want, rtol=2**-11, atol=2e-5)


def test_real_facekit_is_a_face_in_our_frame():
    if not FACEKIT.is_dir():
        pytest.skip(f"no {FACEKIT}")
    model = read_morphable(FACEKIT / "ict_facekit_compact.npz")
    check_frame(model.mean[model.keypoints] * float(model.metres))
    names = json.loads((FACEKIT / "vertex_indices.json").read_text())["expressions"]
    blink = np.linalg.norm(model.expression[names.index("eyeBlink_L")], axis=1)
    assert (model.mean[blink > 0.1, 0] > 0).all()  # the lid of the face's left eye
    assert int(model.skin.sum()) == 9409  # the published range of the face's region, 0 to 9408


def check_frame(points):
    """68 points in metres: a face of human size, +x its left, +y up, +z out of it."""
    assert points[36:42, 0].max() < 0 < points[42:48, 0].min()
    assert 0.08 < points[45, 0] - points[36, 0] < 0.1
    assert points[17:27, 1].min() > points[31:36, 1].max() > points[48:60, 1].max() > points[8, 1]
    assert points[:, 2].argmax() in (30, 33)


def test_real_68_points_of_3ddfa():
    if not POINTS.is_dir():
        pytest.skip(f"no {POINTS}")
    model = read_morphable(POINTS)
    check_frame(model.mean * float(model.metres))
    assert model.identity.shape == (40, 68, 3)
    assert model.expression.shape == (10, 68, 3)
    # published sizes of the columns over the 68 points: 0.02 to 0.04, and about 1.4e4
    assert 0.015 < np.linalg.norm(model.identity.reshape(40, -1), axis=1).mean() < 0.05
    assert 1e4 < np.linalg.norm(model.expression.reshape(10, -1), axis=1).mean() < 2e4
    mean, std = read_parameter_statistics(POINTS / "param_mean_std_62d_120x120.pkl")
    np.testing.assert_allclose(mean[[3, 7, 11]], [60.168, 74.278, -66.672], atol=5e-4)  # three decimals are published
    np.testing.assert_allclose(std[[12, 51, 52]], [575421, 12663, 1.587], rtol=5e-4)  # four digits
