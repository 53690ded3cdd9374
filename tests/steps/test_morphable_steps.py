"""step01 --build_morphable on the tiny data root."""

import cv2
import numpy as np
import pytest

import step01_preparation
from data.cache import read_cache
from data.wcpa import WcpaRoot
from models.morphable import check_fits, read_bases, same_bases


@pytest.fixture
def prepare(root_template, tmp_path, run_script):
    def run(*arguments):
        common = ["--data_root", root_template, "--cache_dir", tmp_path / "cache", "--num_workers", 0]
        return run_script(step01_preparation, *common, *arguments)

    return run


def test_a_morphable_model_of_the_training_fold(prepare, root_template, tmp_path):
    status, printed = prepare("--build_morphable", "--albedo_components", 2)
    assert status == 0, printed
    assert "morphable model of 16 training images" in printed
    assert "identity:   3 components; variance explained by the first 1:" in printed
    assert "expression:   0 components; variance explained by the first none" in printed  # each subject has one shape
    assert "training meshes rebuilt by identity and expression: 0.00 mm off" in printed

    cache = read_cache(tmp_path / "cache", WcpaRoot(root_template))
    bases = read_bases(tmp_path / "cache" / "morphable.npz")
    model, statistics = bases.model, bases.statistics
    check_fits(model, cache.topology)
    verts = np.stack([cache.labels["train"][place]["verts"] for place in range(len(cache.train))])
    # four images each: the mean over images is that over subjects; float32 metres
    np.testing.assert_allclose(model.mean, verts.mean(axis=0), atol=1e-7)
    assert (model.identity_deviations == 1).all()
    assert model.identity.shape == (3, 99, 3)
    # Rows are as long as deviations: four subjects' variance is theirs.
    np.testing.assert_allclose((model.identity**2).sum(axis=0), verts.var(axis=0), rtol=1e-3, atol=1e-12)
    assert model.albedo.shape == (2, 99, 3)
    assert 0 <= model.albedo_mean.min() < model.albedo_mean.max() <= 1
    # The tiny faces are coloured by place, which on a bowl might as well be light; on average it is their colour.
    drawn = (model.mean - model.mean.min(axis=0)) / np.ptp(model.mean, axis=0)
    np.testing.assert_allclose(model.albedo_mean.mean(axis=0), drawn.mean(axis=0), atol=0.1)
    assert model.front.tolist() == list(range(len(model.triangles)))
    assert float(model.metres) == 1
    assert statistics.pose_std[11] == 1
    assert (statistics.pose_std > 0).all()
    assert all(part.dtype == np.float32 for part in vars(statistics).values())
    picture = cv2.imread(str(tmp_path / "cache" / "morphable.jpg"))
    assert picture.shape[0] * 3 == picture.shape[1]  # three rows of nine

    assert prepare("--build_morphable", "--albedo_components", 2)[0] == 0
    assert same_bases(bases, read_bases(tmp_path / "cache" / "morphable.npz"))


def test_a_cache_that_is_made_anew_has_no_model_of_another_one(prepare, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "morphable.npz").write_bytes(b"of other subjects")
    assert prepare()[0] == 0
    assert not list((tmp_path / "cache").glob("morphable.*"))


def test_numbers_of_components_are_checked(prepare):
    status, printed = prepare("--build_morphable", "--identity_components", 0)
    assert status == 2
    assert "--identity_components" in printed
