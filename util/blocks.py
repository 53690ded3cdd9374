"""Pictures cut into blocks that change places: RADAN's crop-and-paste."""

import torch

# Blocks along a side, and the most that are moved.
BLOCKS, MOST_MOVED = 4, 4


def move_blocks(images: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Images (B, C, S, S) of BLOCKS x BLOCKS blocks, of which each shows what block places[b, block] showed; S must be
    a multiple of BLOCKS. places: (B, BLOCKS**2) int64, row by row."""
    blocks = images.unflatten(3, (BLOCKS, -1)).unflatten(2, (BLOCKS, -1)).permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
    rows = torch.arange(len(images), device=images.device)
    moved = blocks[rows[:, None], places].unflatten(1, (BLOCKS, BLOCKS))
    return moved.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
