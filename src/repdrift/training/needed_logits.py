"""The loss of a text to continue, from the logits of the learnt tokens alone.

A model's own loss takes logits at every position, and in float32: with a vocabulary of 150,000, a gigabyte for 2,000 tokens, and as much again for
their gradients. A question with a short answer has a loss on a few of its tokens; logits anywhere else are multiplied by zero.
"""

from __future__ import annotations

import inspect
from typing import Any, cast

import torch
from torch import Tensor, nn

from repdrift.models import unwrapped
from repdrift.models.backbone import wrapper_of_prompt
from repdrift.models.mixed_precision import without_mixed_precision
from repdrift.training.features import NO_LABEL

_LENGTH = 64
_TOLERANCE = 1e-3
"""Tokens of the text on which both ways are compared, and the relative difference of their losses up to which they are one. A term that a model adds,
such as a loss on the size of its logits, is larger; in 16 bits, rounding is smaller."""


def takes_logits_to_keep(model: nn.Module) -> bool:
    """True if the forward of `model` can be told at which positions logits are wanted."""
    return "logits_to_keep" in inspect.signature(unwrapped(model).forward).parameters


def gives_needed_logits(model: nn.Module, batch: dict[str, Tensor]) -> bool:
    """True if the loss of `model` follows from the logits of the learnt tokens, so that no others are needed.

    Tried on the beginning of the first text of `batch`: a model may add terms of its own, which only its own loss has. A learned prompt
    shifts positions, and a model that takes no `logits_to_keep` gives all logits. Neither weights nor random numbers are changed.
    """
    if batch["labels"].dim() != 2 or wrapper_of_prompt(model) is not None:
        return False
    if not takes_logits_to_keep(model):
        return False
    ids = batch["input_ids"][:1, :_LENGTH]
    labels = ids.clone()
    labels[:, : (ids.shape[1] + 1) // 2] = NO_LABEL
    inputs = {"input_ids": ids, "attention_mask": batch["attention_mask"][:1, :_LENGTH]}
    was_training = model.training
    try:
        with torch.no_grad(), without_mixed_precision(model):
            model.eval()
            found = loss_of_needed(model, inputs, labels)
            own = cast("Tensor", model(**inputs, labels=labels).loss)
            return found is not None and bool((found - own).abs() <= _TOLERANCE * own.abs())
    except (
        TypeError,
        IndexError,
        RuntimeError,
        ValueError,
    ):  # code of other people's models that reads the argument in its own way
        return False
    finally:
        model.train(was_training)


def loss_of_needed(
    model: nn.Module, inputs: dict[str, Any], labels: Tensor, items: Tensor | int | None = None
) -> Tensor | None:
    """Returns the cross-entropy of the learnt tokens, from logits at the positions before them; None if no token is learnt.

    inputs: without labels. labels: (batch, length), NO_LABEL where nothing is learnt. items: what the sum is divided by, as in a step of several
    batches; None takes the mean.
    """
    following = labels[:, 1:]
    learnt = following != NO_LABEL
    positions = learnt.any(dim=0).nonzero()[:, 0]
    if not positions.numel():
        return None
    logits = model(**inputs, logits_to_keep=positions).logits
    at = learnt[:, positions]
    scores, targets = logits[at].float(), following[:, positions][at].to(logits.device)
    if items is None:
        return nn.functional.cross_entropy(scores, targets)
    items = items.to(scores.device) if isinstance(items, Tensor) else items
    return nn.functional.cross_entropy(scores, targets, reduction="sum") / items
