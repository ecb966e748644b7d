"""A tiny decoder with attention sinks planted in it: some tokens carry huge activations through every block."""

from typing import Any

import torch

from repdrift.models import load_backbone, load_tokenizer, resolve_model

SINKS = (7, 11)
"""Token ids with one huge feature in their embedding: whatever the sample, these and no others are sinks."""
FEATURE = 3


def save_with_sinks(base, folder, *, scale=1000.0):
    """Save a copy of the Llama `base` in which the tokens SINKS are sinks, with its tokenizer."""
    source = resolve_model(str(base))
    model: Any = load_backbone(source)
    with torch.no_grad():
        embedding = model.get_input_embeddings().weight
        embedding[list(SINKS), FEATURE] = scale * embedding.norm(dim=1).median()
    model.save_pretrained(folder)
    load_tokenizer(source).save_pretrained(folder)
    return folder


def planted_positions(samples):
    """The sinks of each sample of a sample set, by its token ids alone; a sample keeps at least one token."""
    found = []
    for ids in samples.input_ids:
        at = [position for position, token in enumerate(ids) if token in SINKS]
        found.append(at if len(at) < len(ids) else [])
    return found
