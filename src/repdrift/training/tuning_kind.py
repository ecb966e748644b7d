"""Kinds of tuning: which parameters of a model train, and how. Each kind is one file in `tuning_kinds/`, found by registry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict
from torch import nn

from repdrift.core.errors import ModelError
from repdrift.core.records.quantised_base import QuantisedBase
from repdrift.core.registry import Registry
from repdrift.core.words import some_listed
from repdrift.models import find_blocks, headless, is_linear, save_model, unwrapped


class KindOptions(BaseModel):
    """Options of one kind of tuning. Every field changes the weights, so every field is part of a run's key."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Options = TypeVar("Options", bound=KindOptions)


@dataclass(frozen=True)
class TunedModel:
    """A model that is ready for training. save_to: writes weights, configuration and tokenizer into a folder.

    quantised: how its base model is kept in few bits; None if it is in full precision.
    """

    model: nn.Module
    save_to: Callable[[Any, Path], None]
    quantised: QuantisedBase | None = None

    @classmethod
    def of(cls, model: nn.Module) -> TunedModel:
        """The model with the usual way of saving: an adapter as peft lays it out, a whole model as transformers does."""
        return cls(model, lambda tokenizer, folder: save_model(model, tokenizer, folder))


class TuningKind(ABC, Generic[Options]):
    """One way of tuning. name: as a study writes it. title: for people. options: the class of its options.

    usual_rates: the range of learning rates that is usual for it, one decade wide; a study that tunes tries rates in it.
    against_checkpointing: why it cannot be trained with gradient checkpointing, and what to do; None if it can.
    """

    name: str
    title: str
    options: type[Options]
    usual_rates: tuple[float, float] = (1e-4, 1e-3)
    against_checkpointing: str | None = None

    @abstractmethod
    def prepare(self, model: nn.Module, options: Options, task_kind: str) -> TunedModel:
        """Make `model` ready: only what this kind trains, and the task's new head, has gradients afterwards.

        The model is changed in place. Raises ModelError, which names what the model has, if it lacks what is to be trained.
        """

    def read(self, given: Mapping[str, Any]) -> Options:
        """Returns the options as a study gives them. Raises pydantic's ValidationError, which is a ValueError."""
        return self.options.model_validate(dict(given))

    def words(self, options: Options) -> str:
        """The arm in a few words, for tables: `(IA)3, target modules key`. Options with their usual value are left out."""
        return phrase(self.title, options.model_dump(exclude_defaults=True))

    def identity(self, options: Options) -> tuple[object, ...]:
        """Returns what tells one way of tuning from another; two arms with the same identity differ in name only."""
        return (self.name, *options.model_dump().values())

    def virtual_tokens(self, options: Options) -> int:
        """Returns the positions that a learned prompt puts before every text; 0 for any other arm."""
        del options
        return 0

    def runs_by_block(self, options: Options) -> bool:
        """Returns whether what the arm trains can be extracted one block at a time (the layer-major schedule)."""
        del options
        return True


tuning_kinds: Registry[TuningKind[Any]] = Registry("kind of tuning", "repdrift.training.tuning_kinds")


def new_head(model: nn.Module) -> list[nn.Parameter]:
    """The parameters of a task's new head: those outside the body of `model`, and no learned prompt."""
    body = {id(parameter) for parameter in headless(model).parameters()}
    return [parameter for parameter in unwrapped(model).parameters() if id(parameter) not in body]


def train_only(model: nn.Module, chosen: Collection[nn.Parameter], *, head: bool) -> None:
    """Give gradients to the `chosen` parameters and, with `head`, to the task's new head; to nothing else."""
    trained = {id(parameter) for parameter in chosen} | {id(p) for p in (new_head(model) if head else ())}
    for parameter in model.parameters():
        parameter.requires_grad_(id(parameter) in trained)


def linear_layers_of_blocks(model: nn.Module) -> list[str]:
    """Names of the linear layers in the blocks of `model`, from the block on, such as "attention.self.query".

    Raises ModelError if there is none, or no blocks are found.
    """
    backbone = headless(model)
    names = dict.fromkeys(
        name for block in find_blocks(backbone).modules for name, module in block.named_modules() if is_linear(module)
    )
    if not names:
        raise ModelError(f"no block of {type(backbone).__name__} has a linear layer")
    return list(names)


def modules_named(model: nn.Module) -> str:
    """The ends of the names of the linear layers of `model`, for messages."""
    ends = {name.rsplit(".", 1)[-1] for name, part in model.named_modules() if is_linear(part)}
    return some_listed(sorted(ends), most=12)


def phrase(title: str, options: Mapping[str, object]) -> str:
    """Words for an arm: `LoRA, rank 8, dropout 0.1`."""
    return ", ".join([title, *(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in options.items())])


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
