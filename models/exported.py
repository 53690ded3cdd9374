"""Networks as ONNX files: what computes, with its constants in the file's metadata, for onnxruntime.

Wants the extras onnx, onnxscript (to write) and onnxruntime (to run): pip install onnx onnxscript onnxruntime.
"""

import base64
import importlib
import io
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import nn

from models import get_model_class
from models.base_model import BaseModel
from models.loading import TrainedRun
from models.network import NetworkConstants, constants_of
from util.checkpoint import pack_arrays, unpack_arrays, write_whole
from util.errors import InputError
from util.mesh import Topology

# The names in the file's metadata.
WINDOWS_KEY, SIZE_KEY, ARRAYS_KEY = "perspface_windows", "perspface_window_size", "perspface_arrays"
ARRAYS = ("projection", "image_size", "six_mean", "six_std", "verts_mean", "expression_basis")
OUTPUTS = ("verts", "R_t")


class WholeNetwork(nn.Module):
    """A model with its way back to mesh and pose."""

    def __init__(self, model: BaseModel):
        super().__init__()
        self.model = model

    def forward(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        return self.model.reconstruct(self.model(batch), batch)


def export_network(run: TrainedRun, path: Path) -> None:
    """Writes the network of a run as ONNX, for any number of faces at once. Raises InputError without the extras, and
    for methods whose way to the pose ONNX has no operators for."""
    if not get_model_class(run.options["model"]).exportable:
        raise InputError(f"--export: wanted a run of another model than {run.options['model']}, which ONNX cannot hold")
    for extra in ("onnx", "onnxscript"):
        wanted_extra(extra)
    model = run.model().eval()
    constants = constants_of(run, model.windows)
    example = example_batch(constants)
    faces = torch.export.Dim("faces")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, about its insides
        program = torch.onnx.export(
            WholeNetwork(model),
            kwargs={"batch": example},
            input_names=list(example),
            output_names=list(OUTPUTS),
            dynamic_shapes={"batch": {name: {0: faces} for name in example}},
            dynamo=True,
            verbose=False,
        )
    proto = program.model_proto
    for key, value in metadata_of(constants).items():
        proto.metadata_props.add(key=key, value=value)
    write_whole(path, lambda file: file.write(proto.SerializeToString()))


def example_batch(constants: NetworkConstants) -> dict[str, torch.Tensor]:
    """A batch of two, in the form that the network takes."""
    size, batch = constants.window_size, {}
    for name in constants.windows:
        batch[name] = torch.randint(0, 256, (2, 3, size, size), dtype=torch.uint8)
        batch[f"{name}_affine"] = torch.rand(2, 2, 3)
    batch["landmarks68"] = torch.rand(2, 68, 2) * size
    batch["landmarks_known"] = torch.tensor([True, False])
    return batch


def metadata_of(constants: NetworkConstants) -> dict[str, str]:
    """The constants as text; arrays as an .npz file in base64."""
    arrays = {name: np.asarray(getattr(constants, name)) for name in ARRAYS}
    arrays |= {f"topology_{name}": tensor.numpy() for name, tensor in pack_arrays(constants.topology).items()}
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return {
        WINDOWS_KEY: json.dumps(constants.windows),
        SIZE_KEY: str(constants.window_size),
        ARRAYS_KEY: base64.b64encode(file.getvalue()).decode("ascii"),
    }


def constants_from(metadata: Mapping[str, str]) -> NetworkConstants:
    """The inverse of `metadata_of`."""
    with np.load(io.BytesIO(base64.b64decode(metadata[ARRAYS_KEY]))) as file:
        arrays = dict(file)
    prefix = "topology_"
    packed = {name.removeprefix(prefix): torch.from_numpy(arrays.pop(name)) for name in list(arrays) if prefix in name}
    arrays["image_size"] = tuple(int(side) for side in arrays["image_size"])
    return NetworkConstants(
        windows=tuple(json.loads(metadata[WINDOWS_KEY])),
        window_size=int(metadata[SIZE_KEY]),
        topology=unpack_arrays(Topology, packed),
        **arrays,
    )


class OnnxNetwork:
    """The network of a file that `export_network` wrote, computed by onnxruntime on the CPU. The file has no meshes on
    the way to the result."""

    deforms = False

    def __init__(self, path: Path):
        """Raises FileNotFoundError, or InputError for another kind of file and without the extra."""
        runtime = wanted_extra("onnxruntime")
        if not path.is_file():
            raise FileNotFoundError(f"network {path}: no such file; step05_predict.py --export onnx writes one")
        try:
            self.session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own classes are not public
            raise InputError(f"network {path}: wanted an ONNX file, cannot read it ({error})") from None
        metadata = self.session.get_modelmeta().custom_metadata_map
        if ARRAYS_KEY not in metadata:
            raise InputError(f"network {path}: wanted one that step05_predict.py --export onnx wrote, got another")
        try:
            self.constants = constants_from(metadata)
        except (KeyError, ValueError, TypeError) as error:
            raise InputError(f"network {path}: of another version, or damaged ({error})") from None
        self.inputs = [node.name for node in self.session.get_inputs()]

    def __call__(self, batch: Mapping[str, torch.Tensor]) -> tuple[np.ndarray, np.ndarray]:
        verts, R_t = self.session.run(list(OUTPUTS), {name: batch[name].numpy() for name in self.inputs})
        return verts, R_t


def wanted_extra(name: str) -> ModuleType:
    """The module of that name. Raises InputError that says how to get it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise InputError(f"ONNX: wanted the package {name}, which is not installed: pip install {name}") from None
