"""The base model's final norm and unembedding, run by themselves on any hidden state, and their derivative along directions.

A family may scale or cap logits, or transform the state before it (Gemma 2, Cohere, BERT). So nothing is built anew: the loaded model runs its own
forward pass, in which a state is put in after the last block; the blocks themselves are not run, and their weights are let go.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from repdrift.core.errors import ModelError, OutcomeNotApplicable
from repdrift.core.process_group import device
from repdrift.extraction.patched_run import PatchedRunner
from repdrift.extraction.single_block import BlockState
from repdrift.models import Blocks, ModelSource, find_blocks, running_errors
from repdrift.models.language_model import load_whole_language_model

_NUMBERS = 1 << 24
"""Logits that are computed at once."""

_TRIED = 2
"""Texts of one token with which the parts are tried against the whole model."""


class Unembedding:
    """Reads logits from hidden states after the last block. The rest of the model is not in memory."""

    def __init__(self, model: nn.Module, blocks: Blocks) -> None:
        """Takes a whole language model, which is of no use otherwise afterwards. Raises ModelError if no state can be put in."""
        self._model = nn.Module.to(model, device())
        self._runner = PatchedRunner(blocks, self._run)
        self._last = len(blocks) - 1
        with torch.no_grad(), running_errors("its unembedding cannot be run"):
            recorded = self._runner.record(self._inputs(_TRIED), [self._last])
        hidden, self._extras = recorded.states[self._last].hidden, recorded.states[self._last].extras
        if tuple(hidden.shape[:2]) != (_TRIED, 1) or tuple(recorded.output.shape[:2]) != (_TRIED, 1):
            raise OutcomeNotApplicable(
                f"the states of {type(model).__name__} are not of shape (batch, tokens, features), so none can be put in before its head"
            )
        self.width, self.tokens = int(hidden.shape[-1]), int(recorded.output.shape[-1])
        for block in dict.fromkeys(blocks.modules):
            nn.Module.to(block, torch.device("meta"))
        self._model.float()
        found, expected = self.logits(hidden[:, 0].float()), recorded.output[:, 0].float()
        if not torch.allclose(found, expected, rtol=0.05, atol=0.05 * float(expected.abs().max())):
            raise ModelError("its unembedding does not give the model's own logits from the state after its last block")

    @classmethod
    def of(cls, source: ModelSource, *, dtype: str = "float32", blocks: str | None = None) -> Unembedding:
        """Loads it from the files of a model. blocks: name of the list of blocks inside the backbone, where the user named it.

        Raises OutcomeNotApplicable if the model has no language-modelling head, ModelError if it cannot be loaded or run like this.
        """
        model = load_whole_language_model(source, dtype=dtype)
        inside = blocks and next((name for name, _ in model.named_modules() if name.endswith(blocks)), None)
        return cls(model, find_blocks(model, path=inside or None))

    def logits(self, states: Tensor) -> Tensor:
        """Logits (m, tokens) of states (m, d) after the last block, in float32. Raises ModelError unless all are finite."""
        with torch.no_grad():
            return torch.cat([self._finite(self._read(part)) for part in states.split(self._rows)])

    def derivatives(self, at: Tensor, directions: Tensor) -> Tensor:
        """Derivatives of the logits at the state `at` (d,) along directions (k, d): (k, tokens), in float32.

        Raises OutcomeNotApplicable if a function of the model has no derivative that goes forward; ModelError unless all are finite.
        """
        found: list[Tensor] = []
        with torch.no_grad(), forward_ad.dual_level():
            for part in directions.split(self._rows):
                dual = forward_ad.make_dual(
                    at.to(device(), torch.float32).expand_as(part).contiguous(),
                    part.to(device(), torch.float32).contiguous(),
                )
                try:
                    tangent = forward_ad.unpack_dual(self._read(dual)).tangent
                except (NotImplementedError, ModelError) as error:
                    raise OutcomeNotApplicable(
                        f"the derivative of its unembedding cannot be computed: {error}"
                    ) from error
                if tangent is None:
                    raise OutcomeNotApplicable("its logits do not depend on the state after its last block")
                found.append(self._finite(tangent))
        return torch.cat(found)

    @property
    def _rows(self) -> int:
        return max(1, _NUMBERS // self.tokens)

    def _read(self, states: Tensor) -> Tensor:
        state = BlockState(states.to(device(), torch.float32)[:, None], self._extras)
        with self._runner.above(self._last) as run:
            return run(self._inputs(len(states)), state)[:, 0]

    def _inputs(self, rows: int) -> dict[str, Tensor]:
        ids = torch.ones((rows, 1), dtype=torch.long, device=device())
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    def _run(self, inputs: Any) -> Tensor:
        output: Any = self._model(**inputs)
        logits = getattr(output, "logits", None)
        logits = getattr(output, "prediction_logits", None) if logits is None else logits
        if not isinstance(logits, Tensor):
            raise ModelError(f"{type(self._model).__name__} gives no logits")
        return logits

    def _finite(self, logits: Tensor) -> Tensor:
        if not bool(torch.isfinite(logits).all()):
            raise ModelError(
                f"the logits of {type(self._model).__name__} depend on more than the state after its last block, or are not finite"
            )
        return logits
