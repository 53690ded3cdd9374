"""step05 --want deformation, with the run of a method that deforms a template: the tiny run's, with the mean face and
what is half way from it."""

import numpy as np
import pytest
import trimesh
from PIL import Image

import step05_predict
from models import MODELS
from models.dual_resnet_model import DualResNetModel
from tests.conftest import bowl
from tests.steps.conftest import names_in

HALF = np.arange(40)


class DeformingModel(DualResNetModel):
    """From half the mean face to the whole one, then to the result."""

    def deformation(self, outputs, batch):
        verts, _ = self.reconstruct(outputs, batch)
        mean, triangles = self.verts_mean.expand_as(verts), bowl()[1]
        return [(mean[:, HALF], triangles[(triangles < len(HALF)).all(axis=1)]), (mean, triangles), (verts, triangles)]


@pytest.fixture
def deforming(monkeypatch):
    monkeypatch.setitem(MODELS, "dual_resnet", DeformingModel)


@pytest.mark.usefixtures("deforming")
@pytest.mark.parametrize("frame", ["camera", "canonical"])
def test_every_face_has_its_meshes_and_a_turning_picture(predict, photos, tmp_path, frame):
    status, text = predict(photos, "--want", "mesh,deformation,npz", "--frame", frame)
    assert status == 0, text
    out = tmp_path / "out"
    for stem in "one", "more/two":
        stages = [trimesh.load_mesh(out / f"{stem}_0.{stage}.obj", process=False) for stage in range(3)]
        assert [len(mesh.vertices) for mesh in stages] == [len(HALF), 99, 99]
        own = trimesh.load_mesh(out / f"{stem}_0.obj", process=False)
        # the last is the face's own mesh, in the same frame; both have six decimals
        np.testing.assert_allclose(stages[-1].vertices, own.vertices, atol=2e-6)
        np.testing.assert_array_equal(stages[-1].faces, own.faces)
        np.testing.assert_allclose(stages[0].vertices, stages[1].vertices[HALF], atol=2e-6)
        with Image.open(out / f"{stem}_0_deformation.gif") as film:
            assert (film.n_frames, film.size) == (36, (600, 200))
    assert len(names_in(out)) == 2 + 2 * 8


@pytest.mark.usefixtures("deforming")
def test_all_has_it_and_one_person_keeps_each_photos_own(predict, photos, tmp_path):
    for folder, arguments in ("apart", ()), ("fused", ("--same_person",)):
        status, text = predict(photos, "--want", "all", "--frame", "canonical", *arguments, output=tmp_path / folder)
        assert status == 0, text
        assert "left out" not in text
    for name in "one_0.2.obj", "one_0_deformation.gif", "more/two_0.1.obj":
        assert (tmp_path / "apart" / name).read_bytes() == (tmp_path / "fused" / name).read_bytes()
    assert (tmp_path / "apart" / "one_0.obj").read_bytes() != (tmp_path / "fused" / "one_0.obj").read_bytes()


def test_methods_that_deform_nothing(predict, photos, tmp_path):
    status, text = predict(photos, "--want", "mesh,deformation")
    assert status == 1
    assert "--want deformation: wanted a run of a method that deforms a template (--model " in text
    assert "got tiny" in text
    assert not (tmp_path / "out").exists()
    status, text = predict(photos, "--want", "all")
    assert status == 0, text
    assert text.count("--want all: left out is deformation, which tiny has not") == 1
    assert not [name for name in names_in(tmp_path / "out") if "deformation" in name or ".0.obj" in name]


def test_the_methods_that_can_are_told(predict, photos, monkeypatch):
    monkeypatch.setitem(MODELS, "made_up", DeformingModel)
    status, text = predict(photos, "--want", "deformation")
    assert (status, "made_up), got tiny" in text) == (1, True)


def test_other_methods_have_no_deformation(photos, run_script):
    arguments = ["--input", photos, "--method", "3ddfa", "--weights", "a", "--bases", "b", "--want", "deformation"]
    status, text = run_script(step05_predict, *arguments)
    assert (status, "--want: means nothing for --method 3ddfa, got ['deformation']" in text) == (1, True)
