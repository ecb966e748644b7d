"""The language-modelling head of a model: the model's own code from the last hidden state to the logits, run by itself.

A family may scale logits, cap them, add a bias or a transformation (Gemma 2, Cohere, Granite, BERT). So the head is not built anew:
the loaded model runs its own forward pass, in which a stand-in takes the place of its body and gives the hidden states that it is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from repdrift.core.errors import ModelError, OutcomeNotApplicable
from repdrift.models.backbone import unwrapped

HeadKind = Literal["causal", "masked"]
"""Causal: the head at a token predicts the next one. Masked: it predicts the token itself, where that is masked."""

_TRIED_TOKENS = 8
_TOLERANCE = 1e-3
"""Largest difference, as a share of the largest logit, between a whole forward pass and one in two steps, in float32."""
_FAULTS_OF_MODELS = (RuntimeError, TypeError, ValueError, LookupError, AttributeError, NotImplementedError)


class _StandIn(nn.Module):
    """Gives the hidden states that it was told, whatever it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden: Tensor | None = None

    def forward(self, *_: Any, **__: Any) -> Any:
        return _StandInOutput(last_hidden_state=self.hidden)


class _StandInOutput(dict[str, Any]):
    """Output of a body that has the last hidden state alone: by name, by attribute, or as the first of a tuple."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.get(name)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return self.get(key)
        return (self["last_hidden_state"],)[key]

    def to_tuple(self) -> tuple[Any, ...]:
        return (self["last_hidden_state"],)


@dataclass(frozen=True)
class OutputHead:
    """A head by itself. kind: what it predicts. rows: tokens of its vocabulary, rows that only pad it included."""

    kind: HeadKind
    rows: int
    _model: nn.Module
    _stand_in: _StandIn

    def to(self, device: torch.device) -> OutputHead:
        """Moves the head to a device. Returns itself."""
        nn.Module.to(self._model, device)
        return self

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits (m, rows) in the model's own number format, from hidden states (m, d) that its body gave."""
        return _logits(self._model, self._stand_in, hidden)


@dataclass(frozen=True)
class SplitModel:
    """A language model in two: `body` gives the last hidden state (b, t, d), after any final norm, and `head` reads it."""

    body: nn.Module
    head: OutputHead


def split_language_model(model: nn.Module, kind: HeadKind) -> SplitModel:
    """Takes a loaded language model apart, adapter layers included; it is of no use as a whole afterwards.

    The split is tried on a few tokens: both parts one after the other must give the logits that the whole model gives.
    Raises OutcomeNotApplicable if they do not, or no body is found.
    """
    whole = unwrapped(model)
    name = type(whole).__name__
    ids = torch.arange(_TRIED_TOKENS, device=_device(whole))[None] % _vocabulary(whole)
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    with torch.inference_mode():
        path, hidden, expected = _tried(whole, given)
        body = whole.get_submodule(path)
        stand_in = _StandIn()
        whole.set_submodule(path, stand_in)
        head = OutputHead(kind, int(expected.shape[-1]), whole, stand_in)
        reads_more = OutcomeNotApplicable(
            f"the head of {name} reads more than its last hidden state, so that what it predicts cannot be read from that alone"
        )
        try:
            found = head.logits(hidden[0])
        except _FAULTS_OF_MODELS as error:  # it asks for what the stand-in does not give
            raise reads_more from error
    if not _alike(found, expected):
        raise reads_more
    return SplitModel(body, head)


def _alike(found: Tensor, expected: Tensor) -> bool:
    """True if logits agree to rounding where they are finite, and are not finite in the same places."""
    finite = torch.isfinite(expected)
    if found.shape != expected.shape or not torch.equal(torch.isfinite(found), finite):
        return False
    ours, theirs = found[finite].float(), expected[finite].float()
    tolerance = 30 * _TOLERANCE if expected.dtype.itemsize < 4 else _TOLERANCE  # half precision rounds by 1e-3
    return not ours.numel() or float((ours - theirs).abs().max()) <= tolerance * max(float(theirs.abs().max()), 1e-6)


def _tried(whole: nn.Module, given: dict[str, Tensor]) -> tuple[str, Tensor, Tensor]:
    """Path of the outermost part that gives (1, t, d) hidden states, these, and the logits (t, v) of the whole model."""
    name = type(whole).__name__
    seen: list[tuple[str, Tensor]] = []
    handles = [
        part.register_forward_hook(_remember(path, seen))
        for path, part in whole.named_modules()
        if 0 < len(path.split(".")) <= 2 and path and _has_blocks(part)
    ]
    try:
        output: Any = whole(**given)
    except _FAULTS_OF_MODELS as error:
        raise ModelError(f"{name} cannot be run on {_TRIED_TOKENS} tokens: {error}") from error
    finally:
        for handle in handles:
            handle.remove()
    logits = getattr(output, "logits", None)
    if logits is None:
        logits = getattr(output, "prediction_logits", None)
    shortest = min(seen, key=lambda found: found[0].count("."), default=None)
    if not isinstance(logits, Tensor) or shortest is None or logits.shape[:2] != shortest[1].shape[:2]:
        raise OutcomeNotApplicable(f"{name} has no head that gives a number for each token of its vocabulary")
    return shortest[0], shortest[1], logits[0]


def _remember(path: str, seen: list[tuple[str, Tensor]]) -> Any:
    def hook(_: nn.Module, __: Any, output: Any) -> None:
        hidden = output if isinstance(output, Tensor) else output[0]
        if isinstance(hidden, Tensor) and hidden.dim() == 3 and hidden.shape[:2] == (1, _TRIED_TOKENS):
            seen.append((path, hidden))

    return hook


def _has_blocks(part: nn.Module) -> bool:
    return any(isinstance(module, nn.ModuleList) for module in part.modules())


def _logits(model: nn.Module, stand_in: _StandIn, hidden: Tensor) -> Tensor:
    ids = torch.zeros((1, hidden.shape[0]), dtype=torch.long, device=hidden.device)
    stand_in.hidden = hidden[None]
    try:
        output: Any = model(input_ids=ids)
    finally:
        stand_in.hidden = None
    logits = output.logits if getattr(output, "logits", None) is not None else output.prediction_logits
    return logits[0]


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def _vocabulary(model: nn.Module) -> int:
    embedding: Any = model.get_input_embeddings()  # pyright: ignore[reportCallIssue]
    return int(embedding.weight.shape[0])
