"""Every tuned model in turn, ready to run: adapters on the base model's weights where they can, else on their own."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager

from torch import nn

from repdrift.comparison.base_model import BaseModel, load_base
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
        backbone = load_base(base, options)
        adapted = load_adapters(backbone, base, [tuned.source])
        try:
            with adapted.tuned(0) as model:
                yield model
        finally:
            del adapted, backbone
            gc.collect()
        return
    model = load_tuned_backbone(tuned.source, dtype=options.compute_dtype).to(device())
    try:
        yield model
    finally:
        del model
        gc.collect()


def each_tuned_model(
    base: BaseModel,
    tuned_models: Sequence[TunedModel],
    samples: SampleSet,
    failed: Callable[[str, str], None],
) -> Iterator[tuple[TunedModel, str, nn.Module]]:
    """Yields every tuned model, in words whose weights it runs on, and the loaded model; shared adapters come first.

    A model that cannot be loaded, or does not fit, goes to `failed` with its name and the reason, and the others go on.
    """
    shared = base.share(tuned_models, samples)
    if shared.adapted is not None:
        for number, tuned in enumerate(shared.tuned):
            with shared.adapted.tuned(number) as model:
                yield tuned, SHARED_WEIGHTS, model
    done = {tuned.name for tuned in shared.tuned}
    for tuned in tuned_models:
        if tuned.name in done:
            continue
        base.make_room()
        try:
            with with_own_weights(base.source, tuned, base.options) as model:
                yield tuned, own_weights(shared.reasons.get(tuned.name)), model
        except ModelError as error:
            failed(tuned.name, str(error))
