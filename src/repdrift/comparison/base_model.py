"""The base model of a comparison: in memory while there is room for it, and shared with the adapters that allow it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import nn

from repdrift.comparison.options import ComparisonOptions
from repdrift.comparison.tuned_model import TunedModel
from repdrift.core.errors import ModelError
from repdrift.core.process_group import device
from repdrift.core.progress import say
from repdrift.extraction import RepresentationExtractor
from repdrift.extraction.memory_budget import available_memory_bytes
from repdrift.models import AdaptedBase, ModelSource, load_adapters, load_backbone, reason_against_sharing
from repdrift.tasks import SampleSet

_ROOM = 2.5
"""Free memory, in sizes of the base model, that loading a second model beside it may take for a moment."""


@dataclass(frozen=True)
class SharedAdapters:
    """The adapters that run on the base model's own weights.

    tuned: in the order of `adapted`'s numbers; empty if there are none. reasons: by name, why an adapter runs on weights
    of its own instead.
    """

    adapted: AdaptedBase | None = None
    tuned: list[TunedModel] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)


class BaseModel:
    """Loads the base model without its head, keeps it while memory allows, and loads it again after it was freed."""

    def __init__(self, source: ModelSource, options: ComparisonOptions) -> None:
        self.source = source
        self.options = options
        self._model: nn.Module | None = None
        self._adapted: AdaptedBase | None = None
        self._freed: weakref.ref[nn.Module] | None = None

    @property
    def model(self) -> nn.Module:
        """The backbone on this process's device, with the adapters that were put on it. Loads it if it is not there."""
        if self._model is None:
            collect_if_alive(self._freed)
            self._model = load_base(self.source, self.options)
        return self._model

    @property
    def loaded(self) -> nn.Module | None:
        """The plain backbone, or None if it is not in memory or carries adapters."""
        return None if self._adapted is not None else self._model

    @contextmanager
    def without_adapters(self) -> Generator[nn.Module]:
        """Gives the backbone with every adapter switched off."""
        if self._adapted is None:
            yield self.model
            return
        with self._adapted.base() as model:
            yield model

    def free(self) -> None:
        """Frees the memory of the backbone and its adapters; the next use loads the backbone anew."""
        self._freed = None if self._model is None else weakref.ref(self._model)
        self._model = self._adapted = None

    def make_room(self) -> None:
        """Frees the base model unless the device is known to have room for another model of its size."""
        if self._model is None:
            return
        size = sum(p.numel() * p.element_size() for p in self._model.parameters())
        free = _free_bytes(next(self._model.parameters()).device)
        if free is None or free < _ROOM * size:
            self.free()
            collect_if_alive(self._freed)

    def share(self, tuned_models: Sequence[TunedModel], samples: SampleSet) -> SharedAdapters:
        """Puts on the base model every adapter that can share its weights.

        Sharing is checked: with all adapters switched off, the model must give on one batch what it gave before, to the
        last bit. If it does not, or an adapter does not fit, none is shared and the base model is freed.
        """
        able, reasons = _able_to_share(tuned_models)
        if not able:
            return SharedAdapters(reasons=reasons)
        try:
            why = self._put_on(able, samples)
        except ModelError as error:
            say(f"not all adapters fit: {error}")
            # A single adapter that does not fit is loaded by itself, and fails there with a reason of its own.
            why = "" if len(able) == 1 else "an adapter beside it does not fit the base model"
        if why is None:
            adapted = self._adapted
            assert adapted is not None  # noqa: S101  `_put_on` has set it
            for tuned, notes in zip(able, adapted.notes, strict=True):
                for note in notes:
                    say(f"note: {tuned.name}: {note}")
            return SharedAdapters(adapted, able, reasons)
        self.free()
        if why:
            say(f"{why}: each is loaded on weights of its own")
            reasons |= {tuned.name: why for tuned in able}
        return SharedAdapters(reasons=reasons)

    def _put_on(self, adapters: Sequence[TunedModel], samples: SampleSet) -> str | None:
        """Returns why the adapters cannot stay on the base model, or None if they can."""
        before = _shortest_batch(extractor_for(self.model, self.options), samples)
        adapted = load_adapters(self.model, self.source, [tuned.source for tuned in adapters])
        with adapted.base() as model:
            after = _shortest_batch(extractor_for(model, self.options), samples)
        for layer, values in before.items():
            if not torch.equal(values, after[layer]):
                apart = float((values - after[layer]).abs().max())
                return f"switched off, the adapters leave another model than the base (layer {layer} differs by {apart:.1e})"
        self._adapted = adapted
        return None


def collect_if_alive(freed: weakref.ref[nn.Module] | None) -> None:
    """Collects garbage if a model that nobody uses any more is still in memory, held by a cycle of references.

    A model without such a cycle is gone by itself; to search for one takes as long as running some dozen samples.
    """
    if freed is not None and freed() is not None:
        gc.collect()


def load_base(source: ModelSource, options: ComparisonOptions) -> nn.Module:
    """Loads a base model without its head, onto this process's device."""
    return nn.Module.to(load_backbone(source, dtype=options.compute_dtype), device())


def extractor_for(model: nn.Module, options: ComparisonOptions) -> RepresentationExtractor:
    """Returns the extractor of a model, with the settings that all models of a comparison share."""
    return RepresentationExtractor(
        model,
        layers=list(options.layers) if options.layers is not None else None,
        pooling=options.pooling,
        token_budget=options.token_budget,
        memory_cap_bytes=options.memory_cap_bytes,
        blocks=options.blocks,
        stack=options.stack,
    )


def _able_to_share(tuned_models: Sequence[TunedModel]) -> tuple[list[TunedModel], dict[str, str]]:
    """The adapters whose configuration allows sharing, and by name why the other adapters cannot."""
    reasons: dict[str, str] = {}
    for tuned in tuned_models:
        try:
            reason = reason_against_sharing(tuned.source) if tuned.source.is_adapter else None
        except ModelError as error:
            reason = str(error)  # it is loaded on weights of its own, and fails there by itself
        if reason:
            reasons[tuned.name] = reason
    return [t for t in tuned_models if t.source.is_adapter and t.name not in reasons], reasons


def _shortest_batch(extractor: RepresentationExtractor, samples: SampleSet) -> dict[int, torch.Tensor]:
    """Pooled representations of the plan's last batch, which has the shortest samples, by layer."""
    plan = extractor.plan(samples)
    return next(extractor.batches(plan, numbers=[len(plan) - 1])).layers


def _free_bytes(where: torch.device) -> int | None:
    if where.type == "cuda":
        cached = torch.cuda.memory_reserved(where) - torch.cuda.memory_allocated(where)
        return torch.cuda.mem_get_info(where)[0] + cached
    return available_memory_bytes() if where.type == "cpu" else None
