"""Which weights a model is run with: its own, or for adapters those of the base model, in memory once."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from repdrift.comparison.options import ComparisonOptions
from repdrift.comparison.tuned_model import Candidate
from repdrift.core.errors import ModelError
from repdrift.core.progress import say
from repdrift.extraction import RepresentationExtractor
from repdrift.extraction.distributed import device
from repdrift.models import (
    AdaptedBase,
    ModelSource,
    load_adapters,
    load_backbone,
    load_tuned_backbone,
    reason_against_sharing,
)
from repdrift.tasks import SampleSet

SHARED = "the base model's, in memory once"
OWN = "its own copy"


@dataclass
class Held:
    """The loaded base model, given up by whoever needs its memory for another."""

    model: nn.Module | None

    def take(self) -> nn.Module:
        """The model; from now on it is held by the caller alone."""
        model, self.model = self.model, None
        if model is None:
            raise RuntimeError("the base model was given up already")
        return model


def extractor_for(model: nn.Module, options: ComparisonOptions) -> RepresentationExtractor:
    """The extractor that every model of a comparison is run with."""
    return RepresentationExtractor(
        model,
        layers=list(options.layers) if options.layers is not None else None,
        pooling=options.pooling,
        token_budget=options.token_budget,
        memory_cap_bytes=options.memory_cap_bytes,
        blocks=options.blocks,
        stack=options.stack,
    )


def load_base(base: ModelSource, options: ComparisonOptions) -> nn.Module:
    """The base model without head, on this process's device."""
    return nn.Module.to(load_backbone(base, dtype=options.compute_dtype), device())


@contextmanager
def loaded(base: ModelSource, candidate: Candidate, options: ComparisonOptions) -> Generator[nn.Module]:
    """One tuned model with weights of its own, freed on leaving."""
    if candidate.source.is_adapter:
        backbone = load_base(base, options)
        adapted = load_adapters(backbone, base, [candidate.source])
        try:
            with adapted.tuned(0) as model:
                yield model
        finally:
            del adapted, backbone
            gc.collect()
        return
    model = load_tuned_backbone(candidate.source, dtype=options.compute_dtype).to(device())
    try:
        yield model
    finally:
        del model
        gc.collect()


def split_adapters(candidates: Sequence[Candidate]) -> tuple[list[Candidate], dict[str, str]]:
    """The adapters that can share the base model's weights, and why the others, by name, cannot."""
    reasons: dict[str, str] = {}
    for candidate in candidates:
        try:
            reason = reason_against_sharing(candidate.source) if candidate.source.is_adapter else None
        except ModelError as error:
            reason = str(error)  # it is put on weights of its own, and fails there by itself
        if reason:
            reasons[candidate.name] = reason
    return [c for c in candidates if c.source.is_adapter and c.name not in reasons], reasons


def share_base(
    backbone: nn.Module,
    base: ModelSource,
    adapters: Sequence[Candidate],
    samples: SampleSet,
    options: ComparisonOptions,
) -> tuple[AdaptedBase | None, str | None]:
    """Put the adapters on the loaded base model; with all of them off it must give, on one batch, what it gave before.

    Returns None and the reason if it does not; the backbone is then of no further use.
    """
    before = first_batch(extractor_for(backbone, options), samples)
    adapted = load_adapters(backbone, base, [c.source for c in adapters])
    with adapted.base() as model:
        after = first_batch(extractor_for(model, options), samples)
    for layer, rows in before.items():
        if not torch.equal(rows, after[layer]):
            apart = float((rows - after[layer]).abs().max())
            return (
                None,
                f"switched off, the adapters leave another model than the base (layer {layer} differs by {apart:.1e})",
            )
    return adapted, None


def first_batch(extractor: RepresentationExtractor, samples: SampleSet) -> dict[int, torch.Tensor]:
    """Pooled representations of the plan's last batch, the one with the shortest samples, by layer."""
    plan = extractor.plan(samples)
    return next(extractor.batches(plan, numbers=[len(plan) - 1])).layers


def each_tuned(
    base: ModelSource,
    held: Held,
    candidates: Sequence[Candidate],
    samples: SampleSet,
    options: ComparisonOptions,
    failed: Callable[[str, str], None],
) -> Iterator[tuple[Candidate, str, nn.Module]]:
    """Every tuned model in turn, ready to run, and in words whose weights it runs on; adapters first.

    The adapters that can are put on the held base model, which is freed before the first model with weights of its own is
    loaded. A model that cannot be loaded, or does not fit, goes to `failed` with the reason, and the others go on.
    """
    done: set[str] = set()
    sharing, reasons = split_adapters(candidates)
    if sharing:
        try:
            adapted, why = share_base(held.take(), base, sharing, samples, options)
        except ModelError as error:  # one of them does not fit: by itself each says so, or runs
            say(f"not all adapters fit: {error}")
            adapted, why = None, None if len(sharing) == 1 else "an adapter beside it does not fit the base model"
        if adapted is not None:
            for note in adapted.notes:
                say(f"note: {note}")
            for number, candidate in enumerate(sharing):
                done.add(candidate.name)
                with adapted.tuned(number) as model:
                    yield candidate, SHARED, model
        elif why is not None:
            say(f"{why}: each is loaded on weights of its own")
            reasons |= {c.name: why for c in sharing}
        del adapted
    held.model = None
    gc.collect()
    for candidate in candidates:
        if candidate.name in done:
            continue
        try:
            with loaded(base, candidate, options) as model:
                reason = reasons.get(candidate.name)
                yield candidate, OWN + (f": {reason}" if reason else ""), model
        except ModelError as error:
            failed(candidate.name, str(error))
