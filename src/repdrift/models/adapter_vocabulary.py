"""The vocabulary of an adapter that was trained on a model with more or fewer rows of the embedding than the base model has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from repdrift.models.base_weights import name_under_adapters, tensor_under_adapters


def resize_vocabulary(model: nn.Module, tensors: Mapping[str, Tensor]) -> str | None:
    """Gives the embedding of `model`, in place, as many rows as an adapter's files hold of it, and its head as many tokens.

    tensors: those of the files, by name; the rows themselves are read with the adapter. Returns a sentence on it; None if the
    files hold no embedding, or one of the base model's shape.
    """
    of_model: Any = model
    embedding = getattr(of_model, "get_input_embeddings", lambda: None)()
    weight = getattr(embedding, "weight", None)
    if weight is None or not hasattr(of_model, "resize_token_embeddings"):
        return None
    for name, tensor in tensors.items():
        if tensor.dim() != 2 or tensor.shape[0] == weight.shape[0] or tensor.shape[1:] != weight.shape[1:]:
            continue
        own = name_under_adapters(model, name)
        if own is None or tensor_under_adapters(model, own) is not weight:
            continue
        rows, before = tensor.shape[0], weight.shape[0]
        of_model.resize_token_embeddings(rows, mean_resizing=False)
        return (
            f"Its vocabulary was resized before training: its files hold {rows} rows of the embedding, and the base model has {before}. "
            "They are its own; weights are compared in the rows that both have."
        )
    return None
