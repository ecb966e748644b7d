"""Every tuned model in turn, ready to run: adapters on the base model's weights where they can, else on their own."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from torch import nn

from repdrift.comparison.base_model import BaseModel, SharedAdapters, collect_if_alive, load_base
from repdrift.comparison.options import ComparisonOptions
from repdrift.comparison.tuned_model import TunedModel
from repdrift.core.errors import OutcomeNotApplicable, RepdriftError
from repdrift.core.process_group import device
from repdrift.core.progress import say
from repdrift.models import (
    ModelSource,
    is_learned_prompt,
    load_adapter_alone,
    load_prompted,
    load_tuned_backbone,
    running_errors,
)
from repdrift.models.language_model import TunedReader, base_head_note, load_tuned_reader

SHARED_WEIGHTS = "the base model's, in memory once"


@dataclass(frozen=True)
class RunningModel:
    """A tuned model that is loaded and ready to run.

    backbone: the model without its head. weights: whose weights it runs on, in words. notes: sentences, found on loading,
    that change how its numbers are to be read.
    """

    tuned: TunedModel
    backbone: nn.Module
    weights: str
    notes: tuple[str, ...] = ()
    reader: TunedReader | None = None
    """A full model's own language-modelling head, or why it has none; None if it was not asked for, or for an adapter."""


def own_weights(reason: str | None) -> str:
    """Says in words that a model runs on weights of its own, and for an adapter why."""
    return "its own copy" + (f": {reason}" if reason else "")


@contextmanager
def with_own_weights(
    base: ModelSource, tuned: TunedModel, options: ComparisonOptions, reason: str | None = None
) -> Generator[RunningModel]:
    """Loads one tuned model with weights of its own, and frees it on leaving.

    reason: why an adapter does not share the base model's weights.

    Raises ModelError if it cannot be loaded, or an adapter does not fit the base model.
    """
    if tuned.source.is_adapter and is_learned_prompt(tuned.source):
        prompted = load_prompted(load_base(base, options), base, tuned.source)
        yield RunningModel(tuned, prompted.model, own_weights(reason), tuple(prompted.notes))
    elif tuned.source.is_adapter:
        adapted = load_adapter_alone(lambda: load_base(base, options), base, tuned.source)
        with adapted.tuned(0) as backbone:
            yield RunningModel(tuned, backbone, own_weights(reason), tuple(adapted.notes[0]))
    else:
        reader = _reader(base, tuned.source, options) if tuned.own is None else None
        backbone = reader.body if reader is not None else load_tuned_backbone(tuned.source, dtype=options.compute_dtype)
        yield RunningModel(tuned, nn.Module.to(backbone, device()), own_weights(reason), reader=reader)


def _reader(base: ModelSource, tuned: ModelSource, options: ComparisonOptions) -> TunedReader | None:
    """The full model with its own head, where outputs are asked for and it should have one."""
    if not options.outputs or base_head_note(base, tuned) is not None:
        return None
    try:
        return load_tuned_reader(base, tuned, dtype=options.compute_dtype)
    except OutcomeNotApplicable:
        return None


def each_tuned_model(
    base: BaseModel,
    tuned_models: Sequence[TunedModel],
    failed: Callable[[str, str], None],
) -> Iterator[RunningModel]:
    """Yields every tuned model, loaded; adapters that share the base model's weights first.

    If the base model's weights changed while those ran, each comes a second time, on weights of its own.
    A model that cannot be loaded, or does not fit, goes to `failed` with its name and the reason, and the others go on.
    """
    shared = base.share(tuned_models)
    reasons, names_shared = shared.reasons, {tuned.name for tuned in shared.tuned}
    yield from _each_shared(shared)
    del shared  # it holds the base model, whose memory may be needed
    if why := base.spoilt():
        say(f"{why}: each is run again on weights of its own")
        base.free()
        reasons |= dict.fromkeys(names_shared, why)
        names_shared = set()
    freed: weakref.ref[nn.Module] | None = None
    for tuned in tuned_models:
        if tuned.name in names_shared:
            continue
        collect_if_alive(freed)
        base.make_room()
        try:
            with (
                running_errors("it cannot be loaded"),
                with_own_weights(base.source, tuned, base.options, reasons.get(tuned.name)) as running,
            ):
                freed = weakref.ref(running.backbone)
                yield running
            del running  # before the next one is loaded
        except RepdriftError as error:
            failed(tuned.name, str(error))


def _each_shared(shared: SharedAdapters) -> Iterator[RunningModel]:
    if shared.adapted is not None:
        for number, tuned in enumerate(shared.tuned):
            with shared.adapted.tuned(number) as backbone:
                yield RunningModel(tuned, backbone, SHARED_WEIGHTS, tuple(shared.adapted.notes[number]))
