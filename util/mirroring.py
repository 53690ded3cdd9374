"""Batches as in a mirror: windows, points and labels of mirrored images."""

import torch

from util.landmarks import MIRROR_68, NUM_VIEWS

Batch = dict[str, torch.Tensor]


def windows_of(batch: Batch) -> list[str]:
    """The names of a batch's windows (models/base_model.py shows a batch)."""
    return [name.removesuffix("_affine") for name in batch if name.endswith("_affine")]


def mirror_samples(batch: Batch, mirrored: torch.Tensor, mirror: torch.Tensor, image_width: int) -> None:
    """Mirrors the samples for which `mirrored` (B,) is true, in place of the batch's entries.

    mirror: (N,) the vertex that each vertex becomes; image_width: pixels; the camera's principal point must be the
    centre of the image.
    """

    def replace(name: str, values: torch.Tensor) -> None:
        where = mirrored.reshape(-1, *[1] * (values.dim() - 1))
        batch[name] = torch.where(where, values, batch[name])

    for name in windows_of(batch):
        window, affine = batch[name], batch[f"{name}_affine"].clone()
        # x of the mirrored image is image_width - x of the image, and likewise in the window
        affine[:, :, 2] += affine[:, :, 0] * image_width
        affine[:, 1, 0].neg_()
        affine[:, 0, 1:].neg_()
        affine[:, 0, 2] += window.shape[-1]
        replace(name, window.flip(-1))
        replace(f"{name}_affine", affine)
    points = batch["landmarks68"][:, torch.from_numpy(MIRROR_68).to(mirrored.device)]
    replace("landmarks68", torch.stack([image_width - points[..., 0], points[..., 1]], dim=-1))
    if "view" in batch:
        replace("view", NUM_VIEWS - 1 - batch["view"])
    if "verts" in batch:
        verts, R_t = mirror_mesh(batch["verts"], batch["R_t"], mirror)
        replace("verts", verts)
        replace("R_t", R_t)


def mirror_mesh(verts: torch.Tensor, R_t: torch.Tensor, mirror: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Meshes (B, N, 3) and poses (B, 4, 4) as in a mirror at x = 0; its own inverse."""
    flip = torch.tensor([-1.0, 1.0, 1.0, 1.0], device=verts.device)
    return verts[:, mirror] * flip[:3], flip[:, None] * R_t * flip
