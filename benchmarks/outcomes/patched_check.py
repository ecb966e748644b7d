"""Holds the shares of `repdrift compare --patch` for a real language model to an independent program in float64, with hooks on whole models.

    python -m benchmarks.outcomes.patched_check MODEL [--documents 4] [--tokens 32] [--layer 9 --layer 20]

MODEL: a language model, saved with its head. Its fine-tunes are made here, as in `float64_check`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.outcomes.float64_check import adapter, loaded, noised
from repdrift.comparison.options import ComparisonOptions
from repdrift.comparison.patching import patch_models
from repdrift.comparison.tuned_model import TunedModel
from repdrift.models import ModelSource, load_task_model, load_tokenizer, resolve_model, unwrapped
from repdrift.tasks import SampleSet, document_samples, read_documents


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("model")
    arguments.add_argument("--documents", type=int, default=4)
    arguments.add_argument("--tokens", type=int, default=32)
    arguments.add_argument("--layer", type=int, action="append", default=[])
    given = arguments.parse_args()
    source = resolve_model(given.model)
    samples = document_samples(
        read_documents(documents=given.documents), load_tokenizer(source), max_length=given.tokens
    )
    layers = given.layer or [9, 20]
    with tempfile.TemporaryDirectory() as folder:
        load_task_model(source, "causal_lm").save_pretrained(Path(folder) / "base")
        load_tokenizer(source).save_pretrained(Path(folder) / "base")
        base = resolve_model(str(Path(folder) / "base"))
        for name, path in (
            ("noise", noised(base, Path(folder) / "noise", 0.1)),
            ("LoRA", adapter(base, Path(folder) / "lora")),
        ):
            print_check(name, base, resolve_model(str(path)), samples, layers)


def print_check(name: str, base: ModelSource, tuned: ModelSource, samples: SampleSet, layers: list[int]) -> None:
    """Prints the shares of both directions, and their largest difference from the reference."""
    options = ComparisonOptions(patch=True, patch_layers=tuple(layers))
    (found,) = patch_models(base, [TunedModel(name, tuned)], samples, options)
    shares = np.array([[at.undone.share, at.brought.share] for at in found.layers])
    expected = reference(base, tuned, samples, layers)
    print(
        f"{name}: KL {found.change:.6g} nats a token; undone {np.round(shares[:, 0], 4)}, brought {np.round(shares[:, 1], 4)} after layers {layers}; off by "
        f"{np.abs(shares - expected).max():.1e} at most"
    )


def reference(base: ModelSource, tuned: ModelSource, samples: SampleSet, layers: list[int]) -> np.ndarray:
    """Shares undone and brought, (layers, 2)."""
    ours, theirs = loaded(base, base), loaded(base, tuned)
    change, left = np.zeros(2), np.zeros((len(layers), 2))
    with torch.no_grad():
        for ids in samples.input_ids:
            given = torch.tensor(list(ids))[None]
            p, own = run(ours, given)
            q, other = run(theirs, given)
            change += divergence(p, q), divergence(q, p)
            for row, layer in enumerate(layers):
                undone, _ = run(theirs, given, layer, own[layer])
                brought, _ = run(ours, given, layer, other[layer])
                left[row] += divergence(p, undone), divergence(q, brought)
    return 1 - left / change


def run(
    model: torch.nn.Module, ids: Tensor, at: int | None = None, state: Tensor | None = None
) -> tuple[Tensor, list[Tensor]]:
    """Log-probabilities (t - 1, v) and the states after all blocks; `state` takes the place of the one after block `at`."""
    blocks: Any = unwrapped(model).model.layers  # pyright: ignore[reportAttributeAccessIssue]
    states: list[Tensor] = []

    def hook(_: torch.nn.Module, __: Any, output: Tensor) -> Tensor | None:
        states.append(output)
        return state if len(states) - 1 == at else None

    handles = [block.register_forward_hook(hook) for block in blocks]
    try:
        logits = model(input_ids=ids, use_cache=False).logits[0, :-1]
    finally:
        for handle in handles:
            handle.remove()
    return torch.log_softmax(logits, dim=1), states


def divergence(p: Tensor, q: Tensor) -> float:
    """The textbook sum of KL(p || q) over all places."""
    return float((p.exp() * (p - q)).sum())


if __name__ == "__main__":
    main()
