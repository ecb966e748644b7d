"""A model with its head, ready to be run on from any of its blocks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from repdrift.comparison.options import ComparisonOptions
from repdrift.core.errors import ModelError
from repdrift.core.process_group import device
from repdrift.extraction.patched_run import PatchedRunner
from repdrift.models import Blocks, ModelSource, find_blocks, is_learned_prompt, load_task_model
from repdrift.models.adapters import load_adapted
from repdrift.models.output_head import split_language_model

Outputs = Literal["next tokens", "masked tokens", "classes"]


@dataclass(frozen=True)
class HeadedModel:
    """A loaded model whose outputs can be read after any of its blocks was given another state.

    outputs: what the head predicts. body: the module that is run. runner: gives the last hidden states (b, t, d), or for classes
    the logits (b, k). logits: from rows of what the runner gives, (m, d) or (m, k), to (m, v).
    """

    outputs: Outputs
    body: nn.Module
    blocks: Blocks
    runner: PatchedRunner
    logits: Callable[[Tensor], Tensor]

    def inputs(self, given: Mapping[str, Tensor]) -> dict[str, Any]:
        """The inputs that the model takes, on its device."""
        parameters = inspect.signature(self.body.forward).parameters
        where = next(self.body.parameters()).device
        taken: dict[str, Any] = {name: value.to(where) for name, value in given.items() if name in parameters}
        return {**taken, "use_cache": False} if "use_cache" in parameters else taken

    def log_probabilities(self, rows: Tensor) -> Tensor:
        """Natural logarithms of the probabilities of outputs, (m, v) float32."""
        return torch.log_softmax(self.logits(rows).float(), dim=1)


def load_headed(base: ModelSource, source: ModelSource, options: ComparisonOptions) -> HeadedModel:
    """Loads a language model with the head in its files. base: what an adapter in `source` stands on."""
    if source.is_adapter and is_learned_prompt(source):
        raise ModelError(
            "it is a learned prompt: its virtual tokens stand before the text, so its positions are not the base model's, and a state of one put into "
            "the other is no state that it could have. Patch a model whose weights differ."
        )
    if source.is_adapter:
        whole = load_adapted(base, source, "causal_lm", dtype=options.compute_dtype)
    else:
        whole = load_task_model(source, "causal_lm", dtype=options.compute_dtype)
    split = split_language_model(nn.Module.to(whole.eval(), device()), "causal")
    body, blocks = split.body, find_blocks(split.body, path=options.blocks)

    def run(inputs: Mapping[str, Any]) -> Tensor:
        return body(**inputs)[0]

    return HeadedModel("next tokens", body, blocks, PatchedRunner(blocks, run), split.head.logits)
