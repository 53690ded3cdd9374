"""Networks as ONNX: the same figures as torch, and what bad files get."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.exported import OnnxNetwork, constants_from, example_batch, export_network, metadata_of
from models.loading import TrainedRun
from models.network import TorchNetwork, constants_of
from options.train_options import build_parser
from tests.models.tiny import STATISTICS, TOPOLOGY, build
from util.camera import WCPA_PROJECTION


def make_run(name, size):
    torch.manual_seed(3)
    model = build(name)
    for parameter in model.parameters():  # output layers start at nothing
        if parameter.abs().max() == 0:
            torch.nn.init.normal_(parameter, 0, 0.01)
    options = vars(build_parser(name, "standard").parse_args(["--data_root", "x", "--img_size", str(size)]))
    state = {"model": model.state_dict(), "averaged": None}
    return TrainedRun(Path("x.pt"), options, TOPOLOGY, STATISTICS, WCPA_PROJECTION, (96, 96), "", state)


@pytest.mark.parametrize(("name", "size"), [("dual_resnet", 48), ("direct", 64)])
def test_onnx_predicts_as_torch_does(tmp_path, name, size):
    run = make_run(name, size)
    path = tmp_path / "network.onnx"
    export_network(run, path)
    assert [file.name for file in tmp_path.iterdir()] == ["network.onnx"]
    exported, own = OnnxNetwork(path), TorchNetwork(run, torch.device("cpu"))
    for faces in (1, 2, 3):
        batch = {key: torch.cat([value, value])[:faces] for key, value in example_batch(own.constants).items()}
        wanted, got = own(batch), exported(batch)
        for array, other in zip(wanted, got, strict=True):
            assert len(other) == faces
            np.testing.assert_allclose(other, array, rtol=0, atol=1e-4)  # what users are told
    verts, _ = own(batch)
    assert np.ptp(verts, axis=0).max() > 1e-5  # pictures matter


def test_constants_come_back():
    run = make_run("dual_resnet", 48)
    constants = constants_of(run, ("local", "global"))
    back = constants_from(metadata_of(constants))
    assert (back.windows, back.window_size, back.image_size) == (("local", "global"), 48, (96, 96))
    for name in ("projection", "six_mean", "six_std", "verts_mean", "expression_basis"):
        np.testing.assert_array_equal(getattr(back, name), getattr(constants, name))
    for name, array in vars(TOPOLOGY).items():
        np.testing.assert_array_equal(getattr(back.topology, name), array)


def test_bad_networks_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        OnnxNetwork(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(ValueError, match=r"text.onnx: wanted an ONNX file"):
        OnnxNetwork(tmp_path / "text.onnx")


def test_another_network_is_told(tmp_path):
    onnx = pytest.importorskip("onnx")
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    other = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [value], [other])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(ValueError, match=r"wanted one that step05_predict\.py --export onnx wrote"):
        OnnxNetwork(tmp_path / "other.onnx")


def test_a_missing_extra_is_told(monkeypatch, tmp_path):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr("models.exported.importlib.import_module", missing)
    with pytest.raises(ValueError, match="pip install onnxruntime"):
        OnnxNetwork(tmp_path / "a.onnx")


def test_constants_of_another_version_are_told(tmp_path):
    onnx = pytest.importorskip("onnx")
    export_network(make_run("direct", 32), tmp_path / "network.onnx")
    proto = onnx.load(tmp_path / "network.onnx")
    kept = [(entry.key, entry.value) for entry in proto.metadata_props if entry.key != "perspface_windows"]
    del proto.metadata_props[:]
    for key, value in kept:
        proto.metadata_props.add(key=key, value=value)
    onnx.save(proto, tmp_path / "other.onnx")
    with pytest.raises(ValueError, match=r"other.onnx: of another version, or damaged \('perspface_windows'\)"):
        OnnxNetwork(tmp_path / "other.onnx")
