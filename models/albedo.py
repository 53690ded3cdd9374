"""The albedo of a face, which is its colour with the light taken out, from several pictures of it.

A picture's colour at a vertex is its albedo times the light that falls there: nine spherical harmonics of its normal
for each of red, green and blue (util.spherical_harmonics). Colours are the picture's own sRGB values, as in
Deep3DFaceRecon_pytorch, in which this product holds well enough. Light and albedo are found in turn, each by least
squares given the other. What they cannot tell from each other is settled by rules: the start is a face of one colour,
so that light explains what it can; light that differs from `AMBIENT` alone costs a little; and, since a dark face in
bright light looks like a bright face in dim light, all pictures of a subject together are taken to show its vertices
as much light, of each colour, as `AMBIENT` alone gives.
"""

from typing import NamedTuple

import numpy as np
import torch

from util.mesh import Topology
from util.spherical_harmonics import AMBIENT, CONSTANTS, NUM_HARMONICS, TRANSFER, harmonics

ROUNDS = 8
# How much light of `AMBIENT` alone is believed in, in vertices that say so.
BELIEF = 0.02
# What `AMBIENT` alone gives every vertex.
EVEN_LIGHT = AMBIENT * TRANSFER[0] * CONSTANTS[0]
# Residuals beyond so many medians count less and less: hair, glasses, shadows.
OUTLYING = 2.5
# Vertices that all pictures of a subject together show less than this are taken from elsewhere.
LEAST_TRUST = 0.5


class Separated(NamedTuple):
    """albedo: (N, 3) RGB, 0 where nothing is seen; light: (n, 27) as in util.spherical_harmonics.shade; trust: (N,)
    how many pictures the albedo of each vertex comes from."""

    albedo: torch.Tensor
    light: torch.Tensor
    trust: torch.Tensor


def separate(colors: torch.Tensor, normals: torch.Tensor, seen: torch.Tensor) -> Separated:
    """Albedo and light of n pictures of one subject.

    colors: (n, N, 3) RGB from 0 to 1; normals: (n, N, 3) in camera space; seen: (n, N) bool, some in each picture.
    """
    values, weights = harmonics(normals), seen.to(colors.dtype)
    first = (colors * weights[..., None]).sum(dim=(0, 1)) / weights.sum() / EVEN_LIGHT
    albedo = first.expand(colors.shape[1:])
    for _ in range(ROUNDS):
        light = _fit_light(colors, albedo, values, weights)
        shades = values @ light.mT
        squares = (weights[..., None] * shades**2).sum(dim=0)
        albedo = (weights[..., None] * shades * colors).sum(dim=0) / squares.clamp(min=1e-6)
        misses = (colors - albedo * shades).norm(dim=2)
        usual = OUTLYING * misses[seen].median().clamp(min=1e-3)
        weights = seen / (1 + (misses / usual) ** 2) ** 2
    gain = (shades * seen[..., None]).sum(dim=(0, 1)) / seen.sum() / EVEN_LIGHT
    light = light / gain[:, None]
    light[..., 0] -= AMBIENT
    return Separated(albedo * gain, light.flatten(1), weights.sum(dim=0))


def _fit_light(colors: torch.Tensor, albedo: torch.Tensor, values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """(n, 3, 9) light, `AMBIENT` included, by weighted least squares given the albedo (N, 3)."""
    systems = torch.einsum("ivj,ivk,vc,iv->icjk", values, values, albedo**2, weights)
    targets = torch.einsum("ivj,ivc,vc,iv->icj", values, colors, albedo, weights)
    believed = BELIEF * weights.sum(dim=1)[:, None] * (albedo**2).mean(dim=0)
    even = torch.eye(NUM_HARMONICS, dtype=values.dtype)[0] * AMBIENT
    systems = systems + believed[..., None, None] * torch.eye(NUM_HARMONICS, dtype=values.dtype)
    return torch.linalg.solve(systems, targets + believed[..., None] * even)


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
