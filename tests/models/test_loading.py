import pytest
import torch

from models.loading import read_run
from tests.models.tiny import STATISTICS, TOPOLOGY, build
from util.camera import WCPA_PROJECTION
from util.checkpoint import pack_arrays


@pytest.fixture
def state():
    return {
        "options": {"model": "direct", "seed": 0},
        "topology": pack_arrays(TOPOLOGY),
        "statistics": pack_arrays(STATISTICS),
        "projection": torch.from_numpy(WCPA_PROJECTION),
        "image_size": [96, 96],
        "split_digest": "",
        "model": build("direct").state_dict(),
        "averaged": None,
    }


def test_a_checkpoint_without_something_is_told(tmp_path, state):
    del state["split_digest"]
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"a.pt: of another version, or not whole \('split_digest'\)"):
        read_run(tmp_path / "a.pt")


def test_statistics_of_another_version_are_told(tmp_path, state):
    del state["statistics"]["expression_basis"]
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"a.pt: of another version.*LabelStatistics: wanted arrays .*, got six_mean"):
        read_run(tmp_path / "a.pt")


def test_other_weights_are_told(tmp_path, state, monkeypatch):
    state["model"].popitem()
    torch.save(state, tmp_path / "a.pt")
    run = read_run(tmp_path / "a.pt")
    monkeypatch.setattr(type(run), "untrained_model", lambda self: build("direct"))
    with pytest.raises(ValueError, match=r"a.pt: wanted the weights of this model \(.*Missing key"):
        run.model()
