"""Checks that a model can run given samples, made before it is run: in a forward pass the fault would be an IndexError."""

from __future__ import annotations

import numpy as np
from torch import nn

from repdrift.core.errors import DataError
from repdrift.core.records.representation_set import Pooling
from repdrift.models import embedding_rows, length_limit, position_rows, token_type_rows
from repdrift.tasks import SampleSet


def require_samples_fit(samples: SampleSet, model: nn.Module, *, virtual_tokens: int = 0) -> None:
    """Raises DataError, naming the sample, if one is too long for `model` or holds a token id or type that it has no row for.

    model: the backbone that is to run them; its own tables decide, not its configuration. virtual_tokens: how many a learned
    prompt puts before each sample.
    """
    name = type(model).__name__
    limit = length_limit(model)
    lengths = samples.lengths
    longest = max(range(len(lengths)), key=lengths.__getitem__)
    if limit.most is not None and lengths[longest] + virtual_tokens > limit.most:
        behind = f" behind the {virtual_tokens} virtual tokens of its learned prompt" if virtual_tokens else ""
        raise DataError(
            f"{samples.described(longest)} has {lengths[longest]} tokens, the model takes {limit.most - virtual_tokens}{behind} "
            f"({limit.reason}). Give a smaller --max-length."
        )
    _require_ids_fit(samples, name, embedding_rows(model))
    if samples.position_ids is not None and (rows := position_rows(model)) is not None:
        at = _first_outside(samples, "position_ids", rows)
        if at is not None:
            raise DataError(
                f"token {at[1]} of {samples.described(at[0])} has position {samples.position_ids[at[0]][at[1]]}; {name} has rows for "
                f"{rows} (0 to {rows - 1})"
            )
    if samples.token_type_ids is not None and (rows := token_type_rows(model)) is not None:
        at = _first_outside(samples, "token_type_ids", rows)
        if at is not None:
            kind = samples.token_type_ids[at[0]][at[1]]
            raise DataError(
                f"token {at[1]} of {samples.described(at[0])} has token type {kind}; {name} knows {rows} (0 to {rows - 1}). "
                "The tokenizer belongs to another model: take the one that was saved with this model."
            )


def require_enough_tokens(samples: SampleSet, needed: int, pooling: Pooling) -> None:
    """Raises DataError, naming the sample, if one has fewer than `needed` tokens that are read."""
    short = next((i for i, length in enumerate(samples.real_lengths) if length < needed), None)
    if short is not None:
        raise DataError(
            f"{samples.described(short)} has {samples.real_lengths[short]} token(s); pooling {pooling!r} needs {needed}. Leave the "
            "sample out, or take another pooling (--pooling)."
        )


def _require_ids_fit(samples: SampleSet, model_name: str, rows: int | None) -> None:
    at = _first_outside(samples, "input_ids", rows)
    if at is None:
        return
    token = samples.input_ids[at[0]][at[1]]
    text = samples.token_text(token)
    named = f"id {token}" if text is None else f"{text!r} (id {token})"
    has = (
        "no id is below 0"
        if rows is None
        else f"the embedding of {model_name} has {rows} rows, for ids 0 to {rows - 1}"
    )
    raise DataError(
        f"token {at[1]} of {samples.described(at[0])} is {named}, and {has}. The tokenizer has tokens that the model was never "
        "given: take the tokenizer that was saved with the model, or save the model with more rows (resize_token_embeddings)."
    )


def _first_outside(samples: SampleSet, field: str, rows: int | None) -> tuple[int, int] | None:
    """Sample and position of the first number in `field` that is negative or at least `rows`, or None."""
    smallest, largest = samples.ranges[field]
    if smallest >= 0 and (rows is None or largest < rows):
        return None
    for index, of_sample in enumerate(getattr(samples, field)):
        numbers = np.asarray(of_sample)
        outside = numbers < 0 if rows is None else (numbers < 0) | (numbers >= rows)
        if outside.any():
            return index, int(outside.argmax())
    return None
