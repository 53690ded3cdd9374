"""The albedo of faces, which is their colour with the light taken out, from several pictures of each.

A picture's colour at a vertex is its albedo times the light that falls there: nine spherical harmonics of its normal
for each of red, green and blue (util.spherical_harmonics). Colours are the picture's own sRGB values, as in
Deep3DFaceRecon_pytorch, for which this product holds well enough. Light and albedo are found in turn, each by least
squares given the other. What they cannot tell from each other is settled by rules:

- the start is a face of one colour, so that light explains what it can;
- then once more, with the usual pattern of all subjects as the start, which also counts as two pictures of each;
- light that differs from `AMBIENT` alone costs a little;
- a dark face in bright light looks like a bright face in dim light: each subject's pictures together are taken to show
  its vertices in white light that leaves their colours as they are, on average.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from util.mesh import Topology
from util.spherical_harmonics import AMBIENT, NUM_HARMONICS, harmonics

ROUNDS = 4
# How many pictures of a subject the usual pattern counts as. At two, the patterns of synthetic faces, whose truth is
# known, come out a third less far off than at none, and about as unlike each other as they are.
PATTERN_WORTH = 2.0
# How much light of `AMBIENT` alone is believed in, in shares of what is seen.
BELIEF = 0.001
# Residuals beyond so many medians count less and less: hair, glasses, shadows.
OUTLYING = 2.5
# Vertices that all pictures of a subject together show less than this are taken from elsewhere.
LEAST_TRUST = 0.5


class Pictures(NamedTuple):
    """What n pictures of one subject show."""

    colors: torch.Tensor  # (n, N, 3) RGB from 0 to 1 at the vertices
    normals: torch.Tensor  # (n, N, 3) of length one, in camera space
    seen: torch.Tensor  # (n, N) bool, some in each picture


class Separated(NamedTuple):
    """albedo: (N, 3) RGB; light: (n, 27) as in util.spherical_harmonics.shade; trust: (N,) how many pictures the albedo
    of each vertex comes from."""

    albedo: torch.Tensor
    light: torch.Tensor
    trust: torch.Tensor


def find_albedos(subjects: Sequence[Pictures], topology: Topology) -> np.ndarray:
    """(S, N, 3) float32 RGB from 0 to 1, the albedo of each subject."""
    pattern = torch.ones(topology.num_vertices, 3)
    with tqdm(total=2 * len(subjects), desc="albedo", unit="subject") as progress:
        for worth in (0.0, PATTERN_WORTH):
            found = []
            for pictures in subjects:
                found.append(separate(pictures, pattern, worth))
                progress.update()
            albedos, trust = (np.stack([one[part].numpy() for one in found]) for part in (0, 2))
            whole = complete_albedos(albedos, trust, topology)
            tones = np.maximum(whole.mean(axis=1, keepdims=True), 1e-3)
            pattern = torch.from_numpy(np.median(whole / tones, axis=0))
    return whole


def separate(pictures: Pictures, pattern: torch.Tensor, worth: float) -> Separated:
    """Albedo and light of one subject's pictures; the start is a pattern (N, 3) in the tone of the pictures, which
    counts as so many pictures."""
    colors, normals, seen = pictures
    values, weights = harmonics(normals), seen.to(colors.dtype)
    products = (values[..., :, None] * values[..., None, :]).flatten(2).mT
    tone = (colors * weights[..., None]).sum(dim=(0, 1)) / weights.sum()
    albedo = tone * pattern
    for _ in range(ROUNDS):
        light = _fit_light(colors, albedo, values, products, weights)
        shades = values @ light.mT
        gain = (shades * seen[..., None]).sum(dim=(0, 1)) / seen.sum()
        light, shades = light / gain[:, None], shades / gain
        told = (weights[..., None] * shades * colors).sum(dim=0)
        squares = (weights[..., None] * shades**2).sum(dim=0)
        tone = (told * pattern).sum(dim=0) / (squares * pattern**2).sum(dim=0)
        albedo = (told + worth * tone * pattern) / (squares + worth).clamp(min=1e-6)
        # of what the pictures say by themselves: a face is not less sure of itself for being unusual
        misses = (colors - told / squares.clamp(min=1e-6) * shades).norm(dim=2)
        usual = OUTLYING * misses[seen].median().clamp(min=1e-3)
        weights = seen / (1 + (misses / usual) ** 2) ** 2
    light[..., 0] -= AMBIENT
    return Separated(albedo, light.flatten(1), weights.sum(dim=0))


def _fit_light(
    colors: torch.Tensor, albedo: torch.Tensor, values: torch.Tensor, products: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """(n, 3, 9) light, `AMBIENT` included, by weighted least squares given the albedo (N, 3), harmonics (n, N, 9) and
    the products of each two of them (n, 81, N)."""
    weighted = weights[..., None] * albedo
    systems = (products @ (weighted * albedo)).unflatten(1, (NUM_HARMONICS, NUM_HARMONICS)).movedim(3, 1)
    targets = (values.mT @ (weighted * colors)).mT
    believed = BELIEF * weights.sum(dim=1)[:, None] * (albedo**2).mean(dim=0)
    identity = torch.eye(NUM_HARMONICS, dtype=values.dtype)
    systems = systems + believed[..., None, None] * identity
    return torch.linalg.solve(systems, targets + believed[..., None] * AMBIENT * identity[0])


def complete_albedos(albedos: np.ndarray, trust: np.ndarray, topology: Topology) -> np.ndarray:
    """(S, N, 3) RGB from 0 to 1: the albedos (S, N, 3) of subjects, those of vertices that are not trusted (S, N) made
    up: by the mirror vertex, else by the mean of the subjects that show it in the subject's own tone."""
    known = trust >= LEAST_TRUST
    mirrored = ~known & known[:, topology.mirror]
    filled = np.where(mirrored[..., None], albedos[:, topology.mirror], albedos)
    known |= mirrored
    weights = known[..., None].astype(np.float64)
    tone = (filled * weights).sum(axis=1, keepdims=True) / np.maximum(weights.sum(axis=1, keepdims=True), 1)
    mean = (filled / np.maximum(tone, 1e-6) * weights).sum(axis=0) / np.maximum(weights.sum(axis=0), 1)
    mean = np.where(known.any(axis=0)[:, None], mean, 1.0)
    return np.clip(np.where(known[..., None], filled, mean * tone), 0, 1).astype(np.float32)
