"""Morphable models on disk and in checkpoints; tests/steps/test_morphable_steps.py makes them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.morphable import (
    MorphableLayer,
    check_fits,
    pack_bases,
    read_bases,
    same_bases,
    unpack_bases,
    write_bases,
)
from tests.models.tiny import BASES, TOPOLOGY
from util.errors import InputError


def test_bases_come_back_from_a_file_and_from_a_checkpoint(tmp_path):
    write_bases(tmp_path / "morphable.npz", BASES)
    for found in (read_bases(tmp_path / "morphable.npz"), unpack_bases(pack_bases(BASES))):
        assert same_bases(found, BASES)
    other = replace(BASES, model=replace(BASES.model, mean=BASES.model.mean + np.float32(1e-3)))
    assert not same_bases(other, BASES)


@pytest.mark.parametrize("keep", [0, 200, -200])
def test_a_file_that_is_cut_is_told(tmp_path, keep):
    path = tmp_path / "morphable.npz"
    write_bases(path, BASES)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"morphable\.npz: wanted a file of step01 --build_morphable"):
        read_bases(path)


def test_other_files_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"run step01_preparation\.py --build_morphable"):
        read_bases(tmp_path / "none.npz")
    for name, arrays in {"array.npz": None, "other.npz": {"mean": np.zeros(3)}}.items():
        with open(tmp_path / name, "wb") as file:
            np.save(file, np.zeros(3)) if arrays is None else np.savez(file, **arrays)
        with pytest.raises(InputError, match=f"{name}: wanted a file of step01"):
            read_bases(tmp_path / name)


def test_meshes_of_another_topology_are_told():
    check_fits(BASES.model, TOPOLOGY)
    with pytest.raises(InputError, match="different triangles"):
        check_fits(replace(BASES.model, triangles=BASES.model.triangles[:, ::-1]), TOPOLOGY)
    with pytest.raises(InputError, match="data root has meshes of 30 vertices, morphable model of 29"):
        check_fits(replace(BASES.model, mean=BASES.model.mean[1:]), TOPOLOGY)


def test_shapes_and_colors_are_sums_of_components():
    random, model = np.random.default_rng(0), BASES.model
    layer = MorphableLayer(model)
    identity, expression, albedo = (
        random.normal(size=(2, len(part))).astype(np.float32)
        for part in (model.identity, model.expression, model.albedo)
    )
    wanted = model.mean.astype(np.float64)[None].repeat(2, axis=0)
    colors = model.albedo_mean.astype(np.float64)[None].repeat(2, axis=0)
    for face in range(2):
        for numbers, basis in ((identity, model.identity), (expression, model.expression)):
            for number, component in zip(numbers[face], basis, strict=True):
                wanted[face] += number * component
        for number, component in zip(albedo[face], model.albedo, strict=True):
            colors[face] += number * component
    coefficients = torch.from_numpy(identity), torch.from_numpy(expression)
    # sums of some ten float32 terms
    np.testing.assert_allclose(layer.shapes(*coefficients), wanted, atol=1e-6)
    some = torch.tensor([5, 2])
    np.testing.assert_allclose(layer.shapes(*coefficients, some), wanted[:, [5, 2]], atol=1e-6)
    np.testing.assert_allclose(layer.colors(torch.from_numpy(albedo)), colors, atol=1e-5)
