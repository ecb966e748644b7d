"""A toy model with a list of blocks, whose outputs and order can be made wrong."""

import torch
import transformers
from torch import nn

WIDTH, DEPTH = 8, 3
IDS = torch.arange(10).reshape(2, 5)


class Block(nn.Module):
    """Adds a projection to the residual stream; `shape` turns the sum into what the block gives."""

    def __init__(self, shape=lambda hidden: hidden, experts=0):
        super().__init__()
        self.project = nn.Linear(WIDTH, WIDTH)
        self.experts = nn.ModuleList([nn.Sequential(nn.Linear(WIDTH, WIDTH)) for _ in range(experts)])
        self.shape = shape

    def forward(self, hidden):
        return self.shape(hidden + self.project(hidden))


class Model(nn.Module):
    """Runs `order` of `layers`; the hidden state stays (b, t, d) between them, whatever the blocks give."""

    def __init__(self, layers, order=None, depth=DEPTH, **others):
        super().__init__()
        self.embed = nn.Embedding(20, WIDTH)
        self.layers = layers
        self.order = order or list(range(len(layers)))
        self.config = transformers.PreTrainedConfig(num_hidden_layers=depth)
        for name, module in others.items():
            self.add_module(name, module)

    def forward(self, input_ids):
        hidden = self.embed(input_ids)
        for number in self.order:
            hidden = hidden + self.layers[number].project(hidden) if self.layers[number](hidden) is not None else hidden
        return hidden


def blocks_of(count=DEPTH, **options):
    return nn.ModuleList([Block(**options) for _ in range(count)])
