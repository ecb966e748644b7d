"""Greedy continuations of prompts by a language model: at each step the token with the highest logit is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from repdrift.core.progress import Bar
from repdrift.models import headless, learned_prompt_of, length_limit, quiet_transformers

_BATCH = 32


@dataclass(frozen=True)
class Prompt:
    """Token ids to continue, and the token at which their continuation stops, beside the model's end token."""

    ids: Sequence[int]
    stop: int | None


def greedy_continuations(
    model: nn.Module, prompts: Sequence[Prompt], *, end: int | None, pad: int, max_new_tokens: int, what: str
) -> list[list[int]]:
    """Token ids that `model` writes behind each prompt, without the token that ends them.

    Prompts of one length are run together, so that no prompt is padded: with padding, some kinds of model give other tokens. A
    continuation ends at `end`, at the prompt's own stop, after `max_new_tokens`, or where the model's positions end. what: a few words for the
    progress bar. The model's own settings of generation, such as a penalty for repeating, are not used.
    """
    most, learned = length_limit(headless(model)).most, learned_prompt_of(model)
    if most is not None and learned is not None:
        most -= learned.tokens
    found: list[list[int]] = [[] for _ in prompts]
    with Bar(what, len(prompts)) as bar:
        for chosen in _batches(prompts):
            stops = {token for token in (end, prompts[chosen[0]].stop) if token is not None}
            room = max_new_tokens if most is None else min(max_new_tokens, most - len(prompts[chosen[0]].ids))
            if room > 0:
                written = _generated(model, [prompts[i].ids for i in chosen], stops, pad, room)
                for index, ids in zip(chosen, written, strict=True):
                    found[index] = _until(ids, stops)
            bar.advance(len(chosen))
    return found


def _batches(prompts: Sequence[Prompt]) -> list[list[int]]:
    """Numbers of the prompts that are run together: those of one length and one stop."""
    alike: dict[tuple[int, int | None], list[int]] = {}
    for index, prompt in enumerate(prompts):
        alike.setdefault((len(prompt.ids), prompt.stop), []).append(index)
    return [group[i : i + _BATCH] for group in alike.values() for i in range(0, len(group), _BATCH)]


def _generated(
    model: Any, prompts: Sequence[Sequence[int]], stops: set[int], pad: int, max_new_tokens: int
) -> list[list[int]]:
    from transformers import GenerationConfig

    ids = torch.tensor([list(prompt) for prompt in prompts], device=next(model.parameters()).device)
    settings = GenerationConfig(
        do_sample=False,
        num_beams=1,
        max_new_tokens=max_new_tokens,
        eos_token_id=sorted(stops) or None,
        pad_token_id=pad,
    )
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    own = inner.generation_config
    inner.generation_config = GenerationConfig()  # what is not set in `settings` is taken from here
    model.eval()
    try:
        with torch.inference_mode(), quiet_transformers():
            out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=settings)
    finally:
        inner.generation_config = own
    return out[:, ids.shape[1] :].tolist()


def _until(ids: Sequence[int], stops: set[int]) -> list[int]:
    end = next((at for at, token in enumerate(ids) if token in stops), len(ids))
    return list(ids[:end])
