"""Output layers of several steps, from features (B, features) to the numbers that tell a shape (B, count).

start, values: as in models.base_model.start_output, for what they give before they learn.
"""

import torch
from torch import nn

from models.base_model import start_output

DENSE_WIDTH, TOKEN_WIDTH, ATTENTION_HEADS = 512, 128, 4
# A sequence of so many groups of points at most: 1,220 points one by one would take a CPU seconds.
MOST_TOKENS = 64


class DenseHead(nn.Sequential):
    """Three fully connected layers, with activation and dropout."""

    def __init__(self, features: int, count: int, start: str, values: torch.Tensor | None, dropout: float):
        last = nn.Linear(DENSE_WIDTH, count)
        start_output(last, start, values)
        hidden = [nn.Linear(features, DENSE_WIDTH), nn.ReLU(), nn.Dropout(dropout)]
        hidden += [nn.Linear(DENSE_WIDTH, DENSE_WIDTH), nn.ReLU(), nn.Dropout(dropout)]
        super().__init__(*hidden, last)


class SequenceHead(nn.Module):
    """The points, or the components, as a sequence: groups of them are learned tokens, each with the features added;
    what a recurrent network in both directions and then self-attention make of them is read group by group."""

    def __init__(self, features: int, count: int, start: str, values: torch.Tensor | None, dropout: float):
        super().__init__()
        each = -(-count // MOST_TOKENS)
        self.enter = nn.Linear(features, TOKEN_WIDTH)
        self.tokens = nn.Parameter(torch.randn(-(-count // each), TOKEN_WIDTH))
        self.recurrent = nn.GRU(TOKEN_WIDTH, TOKEN_WIDTH // 2, batch_first=True, bidirectional=True)
        self.attention = nn.MultiheadAttention(TOKEN_WIDTH, ATTENTION_HEADS, dropout, batch_first=True)
        self.norms = nn.ModuleList(nn.LayerNorm(TOKEN_WIDTH) for _ in range(3))
        self.leave = nn.Linear(TOKEN_WIDTH, each)
        start_output(self.leave, start)
        centre = torch.zeros(count) if values is None or start == "random" else values.flatten().clone()
        self.centre = nn.Parameter(centre)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        first, second, third = self.norms
        tokens = first(self.enter(features)[:, None] + self.tokens)
        tokens = second(tokens + self.recurrent(tokens)[0])
        tokens = third(tokens + self.attention(tokens, tokens, tokens, need_weights=False)[0])
        return self.leave(tokens).flatten(1)[:, : len(self.centre)] + self.centre


HEADS: dict[str, type[DenseHead | SequenceHead]] = {"linear": DenseHead, "attention": SequenceHead}
