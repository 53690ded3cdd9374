"""Trained networks of Deep3D with what their numbers mean, from Deep3DFaceRecon_pytorch's files or our own runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.base_model import Outputs
from models.deep3d_decoder import Deep3dDecoder
from models.deep3d_model import Deep3dModel
from models.loading import read_run
from models.morphable import loose_topology
from models.morphable_files import read_morphable
from models.r_net import RNet
from util.checkpoint import load_plain
from util.crops import ALIGNED_SIZE
from util.errors import InputError
from util.mesh import Topology

# What tells the published encoders apart: blocks of the third kind have a third convolution.
BACKBONES = {(False, 2): "resnet18", (False, 3): "resnet34", (True, 3): "resnet50"}
# Its numbers are those of the published coefficient vector but for the albedo's and the light's names.
PUBLISHED_NAMES = {
    "id": "identity",
    "exp": "expression",
    "tex": "albedo",
    "angle": "angles",
    "gamma": "light",
    "trans": "translation",
}


@dataclass(frozen=True)
class Deep3dNetwork:
    """network: R-Net; decoder: what its numbers look like; topology: of the meshes, metres; size: of the windows that
    it looks at, pixels; published: whether these are cut as published, else as our own are."""

    network: RNet
    decoder: Deep3dDecoder
    topology: Topology
    size: int
    published: bool

    def coefficients(self, windows: np.ndarray) -> Outputs:
        """What models.deep3d_decoder.Deep3dDecoder reads, of windows (B, size, size, 3) uint8 RGB, on the device."""
        pictures = torch.from_numpy(windows).permute(0, 3, 1, 2).to(self.decoder.mean.device)
        return self.decoder.named(self.network(pictures.float() / 255))


def read_deep3d(weights: Path, bases: Path | None, device: torch.device) -> Deep3dNetwork:
    """The network of a checkpoint, ready to predict: one that Deep3DFaceRecon_pytorch saved, as epoch_20.pth, which
    needs bases, what models.morphable_files.read_morphable reads; or a checkpoint of a deep3d run, which has its own.

    Raises FileNotFoundError, or InputError where a file is another one or does not fit the other.
    """
    content = load_plain(weights, "weights")
    own = isinstance(content, dict) and "options" in content
    if own != (bases is None):
        wanted = "no --bases, as a run has its own" if own else "--bases, the face model that they tell the numbers of"
        raise InputError(f"weights {weights}: wanted {wanted}, got {bases}")
    read = read_own(weights) if own else read_published(weights, content, bases)
    for module in (read.network, read.decoder):
        module.to(device).eval().requires_grad_(False)
    return read


def read_own(path: Path) -> Deep3dNetwork:
    """That of a run of ours."""
    run = read_run(path)
    model = run.model()
    if not isinstance(model, Deep3dModel):
        raise InputError(f"weights {path}: wanted a run of --model deep3d, got {run.options['model']}")
    return Deep3dNetwork(model.network, model.decoder, run.topology, run.options["img_size"], published=False)


def read_published(path: Path, content: Any, bases: Path) -> Deep3dNetwork:
    """That of a file of Deep3DFaceRecon_pytorch: a dict in which "net_recon" is R-Net's state dict, and that of the
    optimizer and of its rate's schedule are passed over."""
    if not isinstance(content, dict) or not isinstance(content.get("net_recon"), dict):
        found = ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise InputError(f"weights {path}: wanted a dict with net_recon, as Deep3DFaceRecon_pytorch saves, got {found}")
    state, model = content["net_recon"], read_morphable(bases)
    third = "backbone.layer1.0.conv3.weight" in state
    blocks = len({name.split(".")[2] for name in state if name.startswith("backbone.layer1.")})
    if (third, blocks) not in BACKBONES or "final_layers.0.weight" not in state:
        raise InputError(
            f"weights {path}: wanted a ResNet of {', '.join(BACKBONES.values())} with seven last layers, got "
            f"{len(state)} arrays of another network"
        )
    decoder = Deep3dDecoder(model)
    check_sizes(path, bases, state, decoder)
    network = RNet(BACKBONES[third, blocks], decoder.sizes.values())
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(f"weights {path}: wanted those of R-Net ({' '.join(str(error).split())[:300]})") from None
    return Deep3dNetwork(network, decoder, loose_topology(model), ALIGNED_SIZE, published=True)


def check_sizes(path: Path, bases: Path, state: dict[str, torch.Tensor], decoder: Deep3dDecoder) -> None:
    """Raises InputError where the last layers give more or fewer numbers of a kind than the face model has."""
    for number, (name, size) in enumerate(decoder.sizes.items()):
        layer = state.get(f"final_layers.{number}.weight")
        if layer is not None and len(layer) != size:
            raise InputError(
                f"weights {path}: wanted {size} numbers of {name}, as the face model {bases} has, got {len(layer)}"
            )
