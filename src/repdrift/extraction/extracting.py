"""Representations of a loaded model in one call, whose mode is left as it was."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from repdrift.core.errors import ModelError
from repdrift.core.records.representation_set import Pooling
from repdrift.core.records.sink_tokens import SinkTokens
from repdrift.core.records.sites import RESID_POST, Site
from repdrift.extraction.extractor import RepresentationExtractor
from repdrift.extraction.model_inputs import ModelInputs, sample_set_of
from repdrift.extraction.sink_mask import SinkMask
from repdrift.models import (
    Stack,
)
from repdrift.tasks import SampleSet


def extract(
    model: nn.Module,
    inputs: SampleSet | ModelInputs,
    pooling: Pooling = "mean",
    layers: list[int] | None = None,
    *,
    sites: Sequence[Site] = (RESID_POST,),
    dtype: str = "float32",
    token_budget: int | None = None,
    memory_cap_bytes: int | None = None,
    blocks: str | None = None,
    stack: Stack | None = None,
    sinks: SinkTokens | None = None,
) -> dict[str, Tensor]:
    """Layer-wise representations of `model` over `inputs`, by name: {"layer_0": (n, d), "layer_1": ...}.

    Other sites have the names of their files: "attn_out_0", "mlp_out_0", "embeddings", "final_norm".

    model: stays as it is: its device, its type and its mode (training or evaluation) are those it had.
    inputs: a sample set, what a tokenizer gave for n texts, or `input_ids`, `attention_mask`, `token_type_ids` and
    `position_ids` of shape (n, t) as tensors, arrays or lists, padded on either side; all but `input_ids` may be absent (see
    `sample_set_of`). The other arguments are those of `RepresentationExtractor`. sinks: for pooling `mean_without_sinks`, what
    `find_sinks` found on the base model over the same inputs; every model that is compared gets the same.
    Raises what `RepresentationExtractor` and its `extract` raise; ShapeError for inputs of another shape, DataError for values
    that the model cannot read.
    """
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"model should be a loaded model, got {model!r:.80}; load it first: transformers.AutoModel.from_pretrained(...)"
        )
    modes = {module: module.training for module in model.modules()}
    try:
        extractor = RepresentationExtractor(
            model,
            layers=layers,
            sites=sites,
            pooling=pooling,
            dtype=dtype,
            token_budget=token_budget,
            memory_cap_bytes=memory_cap_bytes,
            blocks=blocks,
            stack=stack,
            sinks=None
            if sinks is None
            else SinkMask.of(sinks, inputs if isinstance(inputs, SampleSet) else sample_set_of(inputs)),
        )
        return {place.stem: tensor for place, tensor in extractor.extract_sites(inputs).items()}
    finally:
        for module, training in modes.items():
            module.training = training
