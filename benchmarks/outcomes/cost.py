"""Measures what outputs add to a comparison, in CPU seconds: with and without them, the same models and texts in turn.

    python benchmarks/outcomes/cost.py MODEL [--texts 24] [--controls] [--rounds 2]

MODEL: a language model, saved with its head. The tuned one is made here: noise of 5 % on every matrix of the blocks.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from repdrift.comparison import compare
from repdrift.models import load_task_model, load_tokenizer, resolve_model
from repdrift.tasks import read_documents

_CHARACTERS = 180
"""Of each text: about 40 tokens."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("model")
    arguments.add_argument("--texts", type=int, default=24)
    arguments.add_argument("--rounds", type=int, default=2)
    arguments.add_argument("--controls", action="store_true")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = saved(given.model, folder)
        rows = read_documents(documents=given.texts).rows.rows
        (folder / "texts.txt").write_text("".join(row["text"][:_CHARACTERS] + "\n" for row in rows), encoding="utf-8")
        seconds: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(given.rounds):
            for outputs in (False, True):
                start = time.process_time()
                compare(models[0], models[1:], data=str(folder / "texts.txt"), controls=given.controls, outputs=outputs)
                seconds[outputs].append(time.process_time() - start)
    without, with_them = np.mean(seconds[False]), np.mean(seconds[True])
    print(f"without outputs {without:.1f} s, with them {with_them:.1f} s of CPU time: {with_them / without:.2f} times")


def saved(model: str, folder: Path) -> list[str]:
    """Saves the model, and a copy with noise on its blocks; returns their folders."""
    source = resolve_model(model)
    tokenizer = load_tokenizer(source)
    whole = load_task_model(source, "causal_lm")
    torch.manual_seed(0)
    for name in ("base", "tuned"):
        if name == "tuned":
            with torch.no_grad():
                for path, weight in whole.named_parameters():
                    if "layers" in path and weight.dim() == 2:
                        weight.add_(0.05 * weight.std() * torch.randn_like(weight))
        whole.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return [str(folder / "base"), str(folder / "tuned")]


if __name__ == "__main__":
    main()
