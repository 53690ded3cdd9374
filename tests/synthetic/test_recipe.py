"""What a synthetic world is made by, written and read back."""

import json

import numpy as np
import pytest

from data.synthetic.recipe import RECIPE_NAME, Recipe, read_recipe
from util.camera import WCPA_PROJECTION
from util.errors import InputError


@pytest.fixture
def root(tmp_path):
    (tmp_path / "resources").mkdir()
    return tmp_path


def test_the_camera():
    np.testing.assert_array_equal(Recipe().projection, WCPA_PROJECTION)
    projection = Recipe(300, 90.0).projection
    assert np.diag(projection)[:2] == pytest.approx([1.0, 1.0])  # the tangent of half of it is 1
    np.testing.assert_array_equal(projection[2:], WCPA_PROJECTION[2:])


def test_written_and_read_back(root, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    told = Recipe(96, 50.0, "wide", "../model.npz", "mesh", None)
    told.write(root / "resources")
    expected = Recipe(96, 50.0, "wide", str(tmp_path / "model.npz"), str(tmp_path / "here" / "mesh"), None)
    assert read_recipe(root) == expected
    assert hash(read_recipe(root)) == hash(expected)  # worlds are kept by it


def test_other_roots_and_broken_files(root):
    with pytest.raises(InputError, match=f"^{root}: wanted a data root of step00_synthesize.py --face_model, got anot"):
        read_recipe(root)
    path = root / "resources" / RECIPE_NAME
    whole = {"face_model": "model.npz"}
    for content in ("{", "[]", '"wide"', json.dumps(whole | {"hair": 1}), json.dumps(whole | {"poses": "upside down"})):
        path.write_text(content)
        with pytest.raises(InputError, match=f"^{path}: cannot read"):
            read_recipe(root)
    path.write_text(json.dumps(whole))
    assert read_recipe(root) == Recipe(face_model="model.npz")


def test_without_a_head_there_are_no_portraits(root):
    (root / "resources" / RECIPE_NAME).write_text("{}")
    with pytest.raises(InputError, match="face_model: wanted a path, got None"):
        read_recipe(root)


def test_poses_that_do_not_exist():
    with pytest.raises(InputError, match="poses: wanted challenge or wide, got narrow"):
        Recipe(poses="narrow")
