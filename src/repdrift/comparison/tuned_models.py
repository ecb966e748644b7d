"""Every tuned model in turn, ready to run: adapters on the base model's weights where they can, else on their own."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager

from torch import nn

from repdrift.comparison.base_model import BaseModel, SharedAdapters, collect_if_alive, load_base
from repdrift.comparison.options import ComparisonOptions
from repdrift.comparison.tuned_model import TunedModel
from repdrift.core.errors import ModelError
from repdrift.core.process_group import device
from repdrift.models import ModelSource, load_adapters, load_tuned_backbone
from repdrift.tasks import SampleSet

SHARED_WEIGHTS = "the base model's, in memory once"


def own_weights(reason: str | None) -> str:
    """Says in words that a model runs on weights of its own, and for an adapter why."""
    return "its own copy" + (f": {reason}" if reason else "")


@contextmanager
def with_own_weights(base: ModelSource, tuned: TunedModel, options: ComparisonOptions) -> Generator[nn.Module]:
    """Loads one tuned model with weights of its own, and frees it on leaving.

    Raises ModelError if it cannot be loaded, or an adapter does not fit the base model.
    """
    if tuned.source.is_adapter:
        adapted = load_adapters(load_base(base, options), base, [tuned.source])
        with adapted.tuned(0) as model:
            yield model
    else:
        yield load_tuned_backbone(tuned.source, dtype=options.compute_dtype).to(device())


def each_tuned_model(
    base: BaseModel,
    tuned_models: Sequence[TunedModel],
    samples: SampleSet,
    failed: Callable[[str, str], None],
) -> Iterator[tuple[TunedModel, str, nn.Module]]:
    """Yields every tuned model, a text that says whose weights it runs on, and the loaded model; shared adapters first.

    A model that cannot be loaded, or does not fit, goes to `failed` with its name and the reason, and the others go on.
    """
    shared = base.share(tuned_models, samples)
    reasons, names_shared = shared.reasons, {tuned.name for tuned in shared.tuned}
    yield from _each_shared(shared)
    del shared  # it holds the base model, whose memory may be needed
    freed: weakref.ref[nn.Module] | None = None
    for tuned in tuned_models:
        if tuned.name in names_shared:
            continue
        collect_if_alive(freed)
        base.make_room()
        try:
            with with_own_weights(base.source, tuned, base.options) as model:
                freed = weakref.ref(model)
                yield tuned, own_weights(reasons.get(tuned.name)), model
            del model  # before the next one is loaded
        except ModelError as error:
            failed(tuned.name, str(error))


def _each_shared(shared: SharedAdapters) -> Iterator[tuple[TunedModel, str, nn.Module]]:
    if shared.adapted is not None:
        for number, tuned in enumerate(shared.tuned):
            with shared.adapted.tuned(number) as model:
                yield tuned, SHARED_WEIGHTS, model
