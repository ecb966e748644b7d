"""One adapter on a base model of its own: loaded twice where its files do not hold all of it, and run twice."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from repdrift.core.errors import ModelError
from repdrift.models.adapter_contents import listed
from repdrift.models.adapter_files import adapter_config, adapter_tensors, initialisation_changes_base
from repdrift.models.adapters import AdaptedBase, load_adapters
from repdrift.models.backbone import decoder_inputs, encoder_decoder_of
from repdrift.models.model_files import ModelSource
from repdrift.models.third_party import loader_errors

_ROUNDING = 1e-5
"""Largest difference between two loads, relative to the largest entry, that counts as rounding in float32."""
_TOKENS = 8


def load_adapter_alone(load_base: Callable[[], nn.Module], base: ModelSource, adapter: ModelSource) -> AdaptedBase:
    """Puts one adapter on a base model that nothing else uses.

    load_base: loads the backbone of `base`; it is called twice if peft computes a part of the adapter, or a change of the
    base weights, that is not in the adapter's files. Then a note says so.
    Raises ModelError if the adapter does not fit; if that part comes out otherwise with another state of the random
    generators; or if two runs on the same tokens differ.
    """
    config = adapter_config(adapter)
    start = getattr(config, "init_lora_weights", True)
    if not config.is_prompt_learning:  # load_adapters says where those are loaded
        adapter_tensors(adapter)  # raises before the base model is loaded for nothing
    with seeded(1):
        adapted = load_adapters(load_base(), base, [adapter])
    made_up, changed = _copies(adapted.made_up[0]), _copies(_changed(adapted))
    if initialisation_changes_base(start) and not changed:
        raise ModelError(
            f"the adapter in {adapter.path} is not determined by its files: its initialisation ({start!r}) changed the base weights "
            "before training, and peft does not do that again on loading. Merge it where it was trained and give the merged "
            "model."
        )
    if made_up or changed:
        del adapted
        gc.collect()  # models of peft hold themselves in circles; this one is as large as the base
        with seeded(2):
            adapted = load_adapters(load_base(), base, [adapter])
        _require_determined(made_up | changed, adapted.made_up[0] | _changed(adapted), adapter)
        adapted.notes[0].append(_computed_note(list(made_up), list(changed)))
    require_repeatable(adapted, 0, adapter)
    return adapted


def require_repeatable(adapted: AdaptedBase, number: int, adapter: ModelSource) -> None:
    """Raises ModelError if the backbone with this adapter cannot be run by itself, or gives other numbers in a second run.

    An ordinary LoRA adapter, whose product of matrices is the same in each run, is passed over.
    """
    if adapted.is_plain(number):
        return
    with adapted.tuned(number) as backbone, torch.no_grad():
        inputs = _some_tokens(backbone)
        with loader_errors(f"the adapter in {adapter.path} cannot be run on the base model by itself"):
            runs: list[Tensor] = []
            for seed in (1, 2):
                with seeded(seed):
                    runs.append(backbone(**inputs)[0])
    if not _same(runs[0], runs[1]):
        raise ModelError(
            f"the adapter in {adapter.path} draws random numbers whenever it is run, so it has no numbers of its own. "
            "Look for an option in its configuration that switches this off (sample_at_inference), or merge it."
        )


@contextmanager
def seeded(seed: int) -> Generator[None]:
    """Sets torch's random generators inside the block, and puts them back."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def _changed(adapted: AdaptedBase) -> dict[str, Tensor]:
    """The base weights that changed on loading, although the adapter's files do not replace them."""
    base = adapted.weights.tensors()
    return {n: base[n] for n in adapted.weights.changed() if n in base and n not in adapted.written[0]}


def _copies(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def _require_determined(first: dict[str, Tensor], second: dict[str, Tensor], adapter: ModelSource) -> None:
    other = [name for name in first if name not in second or not _same(first[name], second[name])]
    if other:
        raise ModelError(
            f"the adapter in {adapter.path} is not determined by its files: peft computes {listed(other)} when it loads them, and "
            "that comes out otherwise each time. Merge the adapter where it was trained (merge_and_unload) and give the merged "
            "model."
        )


def _same(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape:
        return False
    if not one.is_floating_point():
        return torch.equal(one, other)
    largest = float(one.abs().max()) if one.numel() else 0.0
    return bool(((one - other).abs() <= _ROUNDING * largest).all())


def _computed_note(made_up: list[str], changed: list[str]) -> str:
    from peft import __version__

    parts: list[str] = []
    if made_up:
        own_names = dict.fromkeys([part for part in name.split(".") if not part.isdecimal()][-1] for name in made_up)
        parts.append(", ".join(own_names))
    if changed:
        parts.append(f"a change of the base weights themselves ({listed(changed)})")
    return (
        f"Not all of it is in its files: peft {__version__} computed {' and '.join(parts)} when it was loaded. Two loads gave the "
        "same; its numbers are those of the model that was trained if training had the same, too."
    )


def _some_tokens(backbone: Any) -> dict[str, Tensor]:
    device = next(backbone.parameters()).device
    vocabulary = int(getattr(getattr(backbone, "config", None), "vocab_size", None) or _TOKENS + 3)
    ids = (torch.arange(_TOKENS, device=device) + 3).remainder(vocabulary).unsqueeze(0)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if encoder_decoder_of(backbone) is not None:
        inputs |= decoder_inputs(backbone, ids, inputs["attention_mask"])
    return inputs
