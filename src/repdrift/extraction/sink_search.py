"""Finding the attention sinks of a loaded base model, for `extract` in Python."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from repdrift.core.records.representation_set import SINK_POOLING
from repdrift.core.records.sink_tokens import SinkTokens
from repdrift.extraction.extractor import RepresentationExtractor
from repdrift.extraction.model_inputs import sample_set_of
from repdrift.extraction.sink_mask import SinkMask
from repdrift.models import Stack
from repdrift.tasks import SampleSet


def find_sinks(
    model: nn.Module,
    inputs: SampleSet | Mapping[str, Tensor],
    *,
    token_budget: int | None = None,
    memory_cap_bytes: int | None = None,
    blocks: str | None = None,
    stack: Stack | None = None,
) -> SinkTokens:
    """Attention sinks of a base model over `inputs`, for `extract(..., pooling="mean_without_sinks", sinks=...)`.

    model: the base model, never a tuned one: every model that is compared leaves out the same tokens. inputs and the other
    arguments are those of `extract`. The model is run once. Raises what `extract` raises.
    """
    samples = inputs if isinstance(inputs, SampleSet) else sample_set_of(inputs)
    mask = SinkMask()
    extractor = RepresentationExtractor(
        model,
        layers=[0],  # all blocks are looked at, but no more hidden states than these are held
        pooling=SINK_POOLING,
        token_budget=token_budget,
        memory_cap_bytes=memory_cap_bytes,
        blocks=blocks,
        stack=stack,
        sinks=mask,
    )
    for _ in extractor.batches(extractor.plan(samples), what="looking for attention sinks"):
        pass
    return mask.record(samples)
