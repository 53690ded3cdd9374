"""Soft light on faces: what falls on a surface from everywhere, as nine spherical harmonics of its normal.

Ramamoorthi and Hanrahan, SIGGRAPH 2001, with the constants and signs of Deep3DFaceRecon_pytorch.
"""

import math

import torch

# Bands' transfer to a matt surface, and the harmonics' own constants.
TRANSFER = math.pi, 2 * math.pi / math.sqrt(3), 2 * math.pi / math.sqrt(8)
CONSTANTS = 1 / math.sqrt(4 * math.pi), math.sqrt(3 / (4 * math.pi)), 3 * math.sqrt(5 / (12 * math.pi))
NUM_HARMONICS = 9
# What is added to the first value of each colour, so that values of zero are white light from everywhere.
AMBIENT = 0.8


def harmonics(normals: torch.Tensor) -> torch.Tensor:
    """(..., 9) values of the harmonics at unit normals (..., 3): +x right, +y up, +z to the camera."""
    x, y, z = normals.unbind(-1)
    first, second, third = (transfer * constant for transfer, constant in zip(TRANSFER, CONSTANTS, strict=True))
    values = [
        torch.full_like(x, first),
        -second * y,
        second * z,
        -second * x,
        third * x * y,
        -third * y * z,
        third * (3 * z**2 - 1) / (2 * math.sqrt(3)),
        -third * x * z,
        third * (x**2 - y**2) / 2,
    ]
    return torch.stack(values, dim=-1)


def shade(albedo: torch.Tensor, normals: torch.Tensor, light: torch.Tensor) -> torch.Tensor:
    """(B, N, 3) colours of vertices with albedo (B, N, 3) and unit normals (B, N, 3) under light (B, 27): the nine
    values of red, of green and of blue, to the first of which `AMBIENT` is added."""
    values = light.unflatten(1, (3, NUM_HARMONICS))
    ambient = torch.zeros_like(values)
    ambient[..., 0] = AMBIENT
    return albedo * (harmonics(normals) @ (values + ambient).mT)
