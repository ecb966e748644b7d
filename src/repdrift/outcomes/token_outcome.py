"""A token outcome, and the log-probabilities of a chunk of tokens from which each is computed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from torch import Tensor

from repdrift.core.registry import Registry

FORGETTING = "forgetting"


@dataclass(frozen=True)
class TokenChunk:
    """Predictions of two models at the same m places of texts.

    base, tuned: (m, v) float32 natural logarithms of probabilities over the same v tokens. targets: (m,) ids of the tokens
    that stand there in truth, as columns of `base` and `tuned`.
    """

    base: Tensor
    tuned: Tensor
    targets: Tensor

    @cached_property
    def difference(self) -> Tensor:
        """Log-probabilities of the tuned model minus those of the base model, (m, v); exactly 0 where both predict alike."""
        return self.tuned - self.base

    @cached_property
    def base_probabilities(self) -> Tensor:
        """Probabilities of the base model, (m, v)."""
        return self.base.exp()

    @cached_property
    def tuned_probabilities(self) -> Tensor:
        """Probabilities of the tuned model, (m, v)."""
        return self.tuned.exp()


@dataclass(frozen=True)
class TokenValues:
    """One number for each token of a chunk.

    tuned: (m,), the tuned model's. base: (m,), the base model's own number; None where the number is about both models.
    """

    tuned: Tensor
    base: Tensor | None = None


class TokenOutcome(ABC):
    """A number for each token, reduced from two models' log-probabilities.

    name: as in the tables. title: for people. unit: of the number. higher_is_better: None where neither is. own_base: whether
    the base model has a number of its own, so that the outcome is a difference between two models' numbers.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    unit: ClassVar[str]
    higher_is_better: ClassVar[bool | None] = None
    own_base: ClassVar[bool] = False

    @abstractmethod
    def reduce(self, chunk: TokenChunk) -> TokenValues:
        """One number for each token of the chunk, in float32. For equal predictions a divergence is exactly 0."""


_REGISTRY: Registry[TokenOutcome] = Registry("token outcome", "repdrift.outcomes.token_outcomes")


def register(kind: type[TokenOutcome]) -> type[TokenOutcome]:
    """Register a token outcome under its name, and return its class."""
    _REGISTRY.add(kind.name, kind())
    return kind


def token_outcome(name: str) -> TokenOutcome:
    """Look up a token outcome. Raises UnknownNameError with the nearest known name if there is none of that name."""
    return _REGISTRY.get(name)


def token_outcomes() -> list[str]:
    """The names of all token outcomes."""
    return _REGISTRY.names()


def outcomes_on_task() -> list[str]:
    """Names of the token outcomes on a task's own inputs, where a rise of the loss is no forgetting."""
    return [name for name in token_outcomes() if name != FORGETTING]
