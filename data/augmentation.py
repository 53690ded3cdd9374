"""Random changes to training samples: drawn a sample at a time, mostly made a batch at a time, on its device."""

import numpy as np
import torch

from util.mirroring import Batch, mirror_samples, windows_of


def draw_light(random: np.random.Generator, brightness: float, contrast: float) -> tuple[float, float]:
    """Gain and shift, the latter in levels: up to `contrast` of 1 and `brightness` of the range of levels."""
    gain = 1.0 + random.uniform(-contrast, contrast)
    return gain, 255.0 * random.uniform(-brightness, brightness)


def jitter_box(box: np.ndarray, random: np.random.Generator, shift: float, scale: float) -> np.ndarray:
    """A box (left, top, right, bottom) moved by up to `shift` of its size and grown or shrunk by up to `scale`."""
    low, high = box[:2], box[2:]
    centre, half = (low + high) / 2, (high - low) / 2
    centre = centre + random.uniform(-shift, shift, size=2) * 2 * half
    half = half * (1.0 + random.uniform(-scale, scale))
    return np.concatenate([centre - half, centre + half])


def augment_batch(batch: Batch, mirror: torch.Tensor, image_width: int) -> Batch:
    """The batch, on its device, with what its samples ask for done to it, if they ask for anything.

    mirrored (B,) bool: which samples to show as in a mirror, windows with their affines, landmarks68, verts and R_t;
    light (B, 2): gain and shift of the levels. mirror: (N,) the vertex that each vertex becomes; the camera's principal
    point must be the centre of the image, `image_width` pixels wide.
    """
    batch = dict(batch)
    if "light" in batch:
        light_windows(batch, windows_of(batch), batch.pop("light"))
    if "mirrored" in batch:
        mirror_samples(batch, batch.pop("mirrored"), mirror, image_width)
    return batch


def light_windows(batch: Batch, windows: list[str], light: torch.Tensor) -> None:
    """Stretches the levels of each sample's windows about the mean level of its first window, and shifts them. What is
    black, as beyond the image or the face box, stays so."""
    gain, shift = light[:, :, None, None, None].unbind(dim=1)
    pivot = batch[windows[0]].float().mean(dim=(1, 2, 3), keepdim=True)
    for name in windows:
        window = batch[name]
        # In place, because on a CPU new memory costs more than what is done in it.
        levels = window.float().mul_(gain).add_(pivot * (1.0 - gain) + shift).clamp_(0, 255).round_()
        seen = (window[:, 0] | window[:, 1] | window[:, 2]) > 0
        batch[name] = levels.to(torch.uint8).mul_(seen[:, None])
