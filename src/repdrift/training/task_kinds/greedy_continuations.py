"""Greedy continuations of prompts by a language model: at each step the token with the highest logit is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from repdrift.core.progress import Bar
from repdrift.models import headless, learned_prompt_of, length_limit, quiet_transformers
from repdrift.training.needed_logits import takes_logits_to_keep

_BATCH = 32
LOGIT_BYTES = 128 << 20
"""Logits of one batch that is read at most, in float32; a batch has at least one row."""


@dataclass(frozen=True)
class Prompt:
    """Token ids to continue, and the token at which their continuation stops, beside the model's end token."""

    ids: Sequence[int]
    stop: int | None


def greedy_continuations(
    model: nn.Module, prompts: Sequence[Prompt], *, end: int | None, pad: int, max_new_tokens: int, what: str
) -> list[list[int]]:
    """Token ids that `model` writes behind each prompt, without the token that ends them.

    With padding in front of a prompt, some kinds of model give other tokens. So what prompts of several lengths are given together is a draft, and is
    read once more with padding behind it, which no token sees: each of its tokens must have the highest logit there. A prompt whose draft fails is run
    with none but prompts of its own length. A continuation ends at `end`, at the prompt's own stop, after `max_new_tokens`, or where the model's
    positions end. what: a few words for the progress bar. The model's own settings of generation, such as a penalty for repeating, are not used.
    """
    most, learned = length_limit(headless(model)).most, learned_prompt_of(model)
    if most is not None and learned is not None:
        most -= learned.tokens
    found: list[list[int]] = [[] for _ in prompts]
    left = set(range(len(prompts)))
    with Bar(what, len(prompts)) as bar:
        drafts = (
            [] if learned is not None else _drafted_together(prompts, None if most is None else most - max_new_tokens)
        )
        for chosen in drafts:
            stops = _stops(prompts[chosen[0]], end)
            given = [prompts[i].ids for i in chosen]
            written = [_up_to(ids, stops) for ids in _generated(model, given, stops, pad, max_new_tokens)]
            right = _are_greedy(model, given, written, pad)
            for index, ids, confirmed in zip(chosen, written, right, strict=True):
                if confirmed:
                    found[index] = _until(ids, stops)
                    left.discard(index)
                    bar.advance()
            if sum(right) < len(chosen) / 2:
                break  # this kind of model sees the padding
        for chosen in _of_one_length(prompts, sorted(left)):
            stops = _stops(prompts[chosen[0]], end)
            room = max_new_tokens if most is None else min(max_new_tokens, most - len(prompts[chosen[0]].ids))
            if room > 0:
                written = _generated(model, [prompts[i].ids for i in chosen], stops, pad, room)
                for index, ids in zip(chosen, written, strict=True):
                    found[index] = _until(ids, stops)
            bar.advance(len(chosen))
    return found


def _stops(prompt: Prompt, end: int | None) -> set[int]:
    return {token for token in (end, prompt.stop) if token is not None}


def _of_one_length(prompts: Sequence[Prompt], chosen: Sequence[int]) -> list[list[int]]:
    """Numbers of those prompts that are run together without padding: those of one length and one stop."""
    alike: dict[tuple[int, int | None], list[int]] = {}
    for index in chosen:
        alike.setdefault((len(prompts[index].ids), prompts[index].stop), []).append(index)
    return [group[i : i + _BATCH] for group in alike.values() for i in range(0, len(group), _BATCH)]


def _drafted_together(prompts: Sequence[Prompt], longest: int | None) -> list[list[int]]:
    """Numbers of the prompts that are run together with padding: those of one stop and like lengths. Longer ones than `longest` are left out."""
    alike: dict[int | None, list[int]] = {}
    for index in sorted(range(len(prompts)), key=lambda i: len(prompts[i].ids)):
        if longest is None or len(prompts[index].ids) <= longest:
            alike.setdefault(prompts[index].stop, []).append(index)
    batches = [group[i : i + _BATCH] for group in alike.values() for i in range(0, len(group), _BATCH)]
    return [batch for batch in batches if len({len(prompts[i].ids) for i in batch}) > 1]


def _are_greedy(
    model: nn.Module, prompts: Sequence[Sequence[int]], written: Sequence[Sequence[int]], pad: int
) -> list[bool]:
    """Tells for each text whether every token that was written has the highest logit behind the tokens before it."""
    texts = [[*prompt, *ids] for prompt, ids in zip(prompts, written, strict=True)]
    keeps = takes_logits_to_keep(model)
    wide = max(map(len, texts)) - (min(map(len, prompts)) - 1 if keeps else 0)
    rows = max(1, LOGIT_BYTES // (4 * vocabulary_of(model) * wide))
    device = next(model.parameters()).device
    found: list[bool] = []
    for first in range(0, len(texts), rows):
        part = range(first, min(first + rows, len(texts)))
        longest = max(len(texts[i]) for i in part)
        ids = torch.tensor([[*texts[i], *[pad] * (longest - len(texts[i]))] for i in part], device=device)
        mask = torch.tensor([[1] * len(texts[i]) + [0] * (longest - len(texts[i])) for i in part], device=device)
        begin = min(len(prompts[i]) for i in part) - 1
        kept = {"logits_to_keep": torch.arange(begin, longest, device=device)} if keeps else {}
        with torch.inference_mode():
            logits = model(input_ids=ids, attention_mask=mask, **kept).logits
        best = (logits if keeps else logits[:, begin:]).argmax(dim=-1).tolist()
        for row, i in enumerate(part):
            at = len(prompts[i]) - 1 - begin
            found.append(best[row][at : at + len(written[i])] == list(written[i]))
    return found


def vocabulary_of(model: nn.Module) -> int:
    """The number of logits of one token, for an estimate of memory; 50,000 where the configuration does not say."""
    return int(getattr(getattr(model, "config", None), "vocab_size", 0)) or 50_000


def _generated(
    model: Any, prompts: Sequence[Sequence[int]], stops: set[int], pad: int, max_new_tokens: int
) -> list[list[int]]:
    from transformers import GenerationConfig

    device, longest = next(model.parameters()).device, max(map(len, prompts))
    ids = torch.tensor([[*[pad] * (longest - len(prompt)), *prompt] for prompt in prompts], device=device)
    mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
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
            out = model.generate(input_ids=ids, attention_mask=mask, generation_config=settings)
    finally:
        inner.generation_config = own
    return out[:, ids.shape[1] :].tolist()


def _up_to(ids: Sequence[int], stops: set[int]) -> list[int]:
    """The tokens up to the first that ends them, that one included."""
    end = next((at for at, token in enumerate(ids) if token in stops), len(ids) - 1)
    return list(ids[: end + 1])


def _until(ids: Sequence[int], stops: set[int]) -> list[int]:
    end = next((at for at, token in enumerate(ids) if token in stops), len(ids))
    return list(ids[:end])
