"""The base model of a comparison: in memory while there is room for it, and shared with the adapters that allow it."""

from __future__ import annotations

import gc
import weakref
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import nn

from repdrift.comparison.options import ComparisonOptions
from repdrift.comparison.tuned_model import TunedModel
from repdrift.core.errors import ModelError
from repdrift.core.memory import available_memory_bytes
from repdrift.core.process_group import device
from repdrift.core.progress import say
from repdrift.core.records.representation_set import SINK_POOLING
from repdrift.core.records.sink_tokens import SinkSummary
from repdrift.core.records.sites import RESID_POST
from repdrift.extraction import RepresentationExtractor
from repdrift.extraction.pooling_choice import concrete
from repdrift.extraction.sink_mask import SinkMask
from repdrift.extraction.sink_names import named_sinks
from repdrift.models import (
    AdaptedBase,
    AdaptersDoNotFitError,
    ModelSource,
    adapter_config,
    load_adapters,
    load_backbone,
    reason_against_sharing,
    require_repeatable,
    running_errors,
)
from repdrift.tasks import SampleSet

_ROOM = 2.5
"""Free memory, in sizes of the base model, that loading a second model beside it may take for a moment."""

_COMPUTED = "its files do not hold all of it"
_CHANGED = "switched off, the adapters leave another model than the base"


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
    """Loads the base model without its head, keeps it while memory allows, and loads it again after it was freed.

    sinks: the tokens that the pooling leaves out, found while this model is run; None if the pooling needs none.
    """

    def __init__(self, source: ModelSource, options: ComparisonOptions) -> None:
        self.source = source
        self.options = options
        self.sinks: SinkMask | None = None
        self.forget_sinks()
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

    def forget_sinks(self) -> None:
        """Lets the next run of this model find its sinks anew."""
        self.sinks = SinkMask() if self.options.pooling == SINK_POOLING else None

    def reader_of(self, extractor: RepresentationExtractor) -> RepresentationExtractor:
        """Gives `extractor`, of this model or of one tuned from it, the sinks of this model, and returns it."""
        extractor.sinks = self.sinks
        return extractor

    def sinks_of(self, samples: SampleSet) -> SinkSummary | None:
        """The sinks of `samples` in numbers, or None if none are left out."""
        return None if self.sinks is None else named_sinks(self.sinks.record(samples), self.source).summary()

    @property
    def loaded(self) -> nn.Module | None:
        """The plain backbone, or None if it is not in memory or carries adapters."""
        return None if self._adapted is not None else self._model

    def carries(self, model: nn.Module) -> bool:
        """True if `model` is the base model itself, with adapters on it."""
        return self._adapted is not None and model is self._model

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

    def share(self, tuned_models: Sequence[TunedModel]) -> SharedAdapters:
        """Puts on the base model every adapter that can share its weights.

        An adapter that cannot, or does not fit, is left out, and the rest are put on a base model that is loaded anew.
        Sharing is checked: with the adapters on it, every tensor of the base model must hold the bytes that it held before.
        """
        able, reasons = _able_to_share(tuned_models, lambda: self.model)
        while able:
            unfit = self._put_on(able)
            if not unfit:
                return SharedAdapters(self._adapted, able, reasons)
            self.free()
            for name, why in unfit.items():
                say(f"{name} is loaded on weights of its own: {why}")
            reasons |= unfit
            able = [tuned for tuned in able if tuned.name not in unfit]
        return SharedAdapters(reasons=reasons)

    def _put_on(self, adapters: Sequence[TunedModel]) -> dict[str, str]:
        """Returns by name why adapters cannot stay on the base model, which is of no use then; nothing if all can."""
        names = [tuned.name for tuned in adapters]
        try:
            with running_errors("it cannot be put on the base model together with the others"):
                adapted = load_adapters(self.model, self.source, [tuned.source for tuned in adapters])
        except AdaptersDoNotFitError as error:
            # Alone an adapter may fit all the same; where it does not, loading it says why.
            return {names[k]: why if why.startswith("it") else _NOT_BESIDE for k, why in error.faults.items()}
        except ModelError as error:  # of an unforeseen kind, or memory: each is tried by itself
            return dict.fromkeys(names, str(error))
        computed = {names[k]: _COMPUTED for k, made_up in enumerate(adapted.made_up) if made_up}
        if computed:
            return computed
        if changed := adapted.weights.changed():
            return dict.fromkeys(names, f"{_CHANGED} ({changed[0]}{_and_more(changed)})")
        unfit: dict[str, str] = {}
        for number, tuned in enumerate(adapters):
            try:
                require_repeatable(adapted, number, tuned.source)
            except ModelError as error:
                unfit[tuned.name] = str(error)
        if unfit:
            return unfit
        self._adapted = adapted
        return {}

    def spoilt(self) -> str | None:
        """Says in words that the base model's weights are not those that were loaded, after its adapters were run.

        None if all are as they were. To read them takes far less time than to run one batch.
        """
        if self._adapted is None or not (changed := self._adapted.weights.changed(passing=False)):
            return None
        return f"while adapters were run on it, the base model changed ({changed[0]}{_and_more(changed)})"


_NOT_BESIDE = "it cannot be put on the base model as it is, or beside the other adapters"


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
        sites=(RESID_POST, *options.sites),
        pooling=concrete(options.pooling),
        token_budget=options.token_budget,
        memory_cap_bytes=options.memory_cap_bytes,
        blocks=options.blocks,
        stack=options.stack,
    )


def _able_to_share(
    tuned_models: Sequence[TunedModel], backbone: Callable[[], nn.Module]
) -> tuple[list[TunedModel], dict[str, str]]:
    """The adapters whose files allow sharing, and by name why the other adapters cannot. peft holds one kind at a time."""
    from peft import PeftType

    reasons: dict[str, str] = {}
    kinds: dict[str, str] = {}
    for tuned in tuned_models:
        if not tuned.source.is_adapter:
            continue
        try:
            kinds[tuned.name] = PeftType(adapter_config(tuned.source).peft_type).value
            reason = reason_against_sharing(tuned.source, backbone())
        except ModelError as error:
            reason = str(error)  # it is loaded on weights of its own, and fails there by itself
        if reason:
            reasons[tuned.name] = reason
    able = [tuned for tuned in tuned_models if tuned.source.is_adapter and tuned.name not in reasons]
    most = Counter(kinds[tuned.name] for tuned in able).most_common(1)
    for tuned in able:
        if kinds[tuned.name] != most[0][0]:
            reasons[tuned.name] = f"adapters of another kind ({most[0][0]}) are on the base model's"
    return [tuned for tuned in able if tuned.name not in reasons], reasons


def _and_more(names: Sequence[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""


def _free_bytes(where: torch.device) -> int | None:
    if where.type == "cuda":
        cached = torch.cuda.memory_reserved(where) - torch.cuda.memory_allocated(where)
        return torch.cuda.mem_get_info(where)[0] + cached
    return available_memory_bytes() if where.type == "cpu" else None
