"""Processor time of greedy continuations: drafted together and checked, or prompts of one length alone: python -m benchmarks.training.continuations [PROMPTS]

SmolLM2-135M, float32, prompts of 100 to 250 tokens of real text (SQuAD 2.0 in $REPDRIFT_DATA), at most 32 new tokens, one thread, both ways in turn in one process. The texts must be the same.
"""

from __future__ import annotations

import sys
import time

import torch

from repdrift.models import load_task_model, load_tokenizer, resolve_model
from repdrift.tasks import load_rows, task
from repdrift.training.features import PaddingCollator
from repdrift.training.task_kinds import greedy_continuations as continuing
from repdrift.training.task_kinds.causal_lm import CausalProcessor
from repdrift.training.task_kinds.greedy_continuations import Prompt, greedy_continuations

SHORTEST, LONGEST, NEW = 100, 250, 32


def main(count: int) -> None:
    """Continue the prompts both ways, and print the ratio."""
    torch.set_num_threads(1)
    base = resolve_model("packaged:smollm2-135m")
    model, tokenizer = load_task_model(base, "causal_lm"), load_tokenizer(base)
    prompts = _prompts(tokenizer, count)
    together = continuing._drafted_together
    took: dict[str, float] = {}
    texts: dict[str, list[list[int]]] = {}
    for way in ("together", "alone"):
        continuing._drafted_together = together if way == "together" else lambda *_: []
        began = time.process_time()
        texts[way] = greedy_continuations(
            model, prompts, end=tokenizer.eos_token_id, pad=0, max_new_tokens=NEW, what=way
        )
        took[way] = time.process_time() - began
    same = sum(one == other for one, other in zip(texts["together"], texts["alone"], strict=True))
    sys.stdout.write(f"{count} prompts: together {took['together']:.1f} s, alone {took['alone']:.1f} s, ratio ")
    sys.stdout.write(f"{took['together'] / took['alone']:.3f}; the same text for {same} of {count}\n")


def _prompts(tokenizer: object, count: int) -> list[Prompt]:
    spec = task("squad_v2_words")
    made = CausalProcessor(spec, tokenizer, PaddingCollator(0), 2_000)
    rows = load_rows(spec, "validation").rows[:: max(1, 1629 // (4 * count))]
    encoded = [made._encoder.encode(row) for row in rows]
    prompts = [Prompt(each.input_ids[: each.completions[-1][0]], None) for each in encoded]
    return [prompt for prompt in prompts if SHORTEST <= len(prompt.ids) <= LONGEST][:count]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 64)
