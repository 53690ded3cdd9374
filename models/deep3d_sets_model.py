"""Deep3D for image sets: what each picture of a face says of its identity counts as far as it is to be trusted there.

A second network, C-Net, sees what R-Net sees and gives a confidence for each coefficient of the identity (Deng et al.,
CVPRW 2019). Neither it nor its training was ever released, so that this is our reading of the paper.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch.nn import functional

from models.base_model import Batch, Outputs
from models.deep3d_model import STANDARD as SINGLE
from models.deep3d_model import WINDOW, Deep3dModel
from models.morphable import same_bases, unpack_bases
from models.r_net import RNet
from models.views import sets_of
from util.checkpoint import load_checkpoint
from util.errors import InputError

# R-Net knows what faces look like: there is less to learn than there was for it.
STANDARD = {**SINGLE, "dataset": "multiview", "batch_size": 30, "epochs": 6, "lr": 1e-4}
# Below the confidence of any picture that tells something; what is divided by is never zero.
LEAST_CONFIDENCE = 1e-3
# What a single run must have in common with the one that reads it.
SHARED_OPTIONS = ("model", "backbone", "pooling", "img_size")


class Deep3dSetsModel(Deep3dModel):
    """R-Net of a trained deep3d run, which stays as it is, and C-Net, a ResNet of the same kind with the same window.

    The identity of a set is the mean of those of its images, each coefficient by its confidences, which are equal
    until C-Net learns. Each image is drawn with the identity of its set and its own expression, albedo, light and pose;
    the loss is that of deep3d, averaged over the images of the sets.

    Outputs: those of deep3d, of which "identity" is the set's, "own_identity" (B, K) and "confidence" (B, K). Batches
    without "set" are of images that are seen alone.
    """

    presets: ClassVar = {"standard": STANDARD}
    dataset = "multiview"

    def __init__(self, *arguments: Any, **options: Any):
        """As Deep3dModel's."""
        super().__init__(*arguments, **options)
        self.network.requires_grad_(False)
        self.confidence_network = RNet(sizes=[self.decoder.sizes["identity"]], **self.encoder)

    @staticmethod
    def add_options(group: argparse._ArgumentGroup) -> None:
        Deep3dModel.add_options(group)
        group.add_argument(
            "--single_run",
            type=Path,
            metavar="FILE",
            help="checkpoint of a trained deep3d run of the same split, as checkpoints/run01/best.pt: what a new run "
            "starts from; its own checkpoints hold all that it needs",
        )

    def read_first_weights(self, options: Mapping[str, Any], split_digest: str) -> list[str]:
        path = options["single_run"]
        if path is None or options["imagenet_weights"] is not None:
            raise InputError(
                "--single_run: wanted the checkpoint of a trained deep3d run, from whose network all starts, and no "
                f"--imagenet_weights; got {path} and {options['imagenet_weights']}"
            )
        single = load_checkpoint(Path(path))
        wanted = {"model": "deep3d", **{name: options[name] for name in SHARED_OPTIONS[1:]}}
        found = {name: single["options"].get(name) for name in SHARED_OPTIONS}
        if found != wanted:
            raise InputError(f"--single_run {path}: wanted a run of {wanted}, got one of {found}")
        if not same_bases(unpack_bases(single["bases"]), self.bases):
            raise InputError(f"--single_run {path}: wanted the morphable model of the cache, got another one in it")
        if single["split_digest"] != split_digest:
            raise InputError(
                f"--single_run {path}: wanted a run of the split in the cache, got one of another, which may have seen "
                "the validation images"
            )
        weights = single["averaged"] or single["model"]
        prefix = "network."
        own = {name.removeprefix(prefix): weights[name] for name in weights if name.startswith(prefix)}
        self.network.load_state_dict(own)
        self.confidence_network.backbone.load_state_dict(self.network.backbone.state_dict())
        return [f"R-Net: that of {path}, epoch {single['epoch']}"]

    def train(self, mode: bool = True) -> "Deep3dSetsModel":
        """As torch's, but R-Net's batch normalisation never learns."""
        super().train(mode)
        self.network.eval()
        return self

    def forward(self, batch: Batch) -> Outputs:
        outputs = super().forward(batch)
        (numbers,) = self.confidence_network(outputs[WINDOW].float() / 255)
        confidence, own = functional.softplus(numbers) + LEAST_CONFIDENCE, outputs["identity"]
        sets = sets_of(batch, 0.0)
        identity = sets.mean(confidence * own) / sets.mean(confidence)
        return {**outputs, "identity": identity, "own_identity": own, "confidence": confidence}

    def identity_told(self, outputs: Outputs) -> tuple[torch.Tensor, torch.Tensor]:
        return outputs["own_identity"], outputs["confidence"]
