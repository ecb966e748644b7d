"""Arms: the ways of tuning that a study compares, each a kind of tuning with its options under a name of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from repdrift.core.errors import ModelError
from repdrift.core.records.quantised_base import QuantisedBase
from repdrift.core.records.run import FULL_FINETUNE, LORA, Tuning
from repdrift.training.quantised_layers import numbers_of
from repdrift.training.tuning_kind import KindOptions, TunedModel, TuningKind, new_head, tuning_kinds

USUAL_ARMS = (FULL_FINETUNE, LORA)
"""The arms of a study that names none."""
_NEWER_OPTIONS = {"base_bits", "double_quantisation", "compute_dtype"}
"""Options of LoRA's relatives that older versions did not have: left out of a run's key where they change nothing."""


@dataclass(frozen=True)
class Arm:
    """One way of tuning. name: in files and tables. kind: of tuning, by name in the registry. options: of that kind."""

    name: str
    kind: str
    options: KindOptions

    @classmethod
    def of_kind(cls, name: str, **options: Any) -> Arm:
        """The arm that has the name of its kind. Raises UnknownNameError, or ValueError for wrong options."""
        return cls(name, name, tuning_kinds.get(name).read(options))

    @property
    def tuning(self) -> TuningKind[Any]:
        """The kind of tuning."""
        return tuning_kinds.get(self.kind)

    @property
    def words(self) -> str:
        """The arm in a few words, such as `LoRA, rank 8`."""
        return self.tuning.words(self.options)

    @property
    def virtual_tokens(self) -> int:
        """The positions that a learned prompt puts before every text; 0 for any other arm."""
        return self.tuning.virtual_tokens(self.options)

    def for_key(self) -> dict[str, Any]:
        """The fields that determine the trained weights, as plain JSON: the name stands for itself in a run's key."""
        fields = self.options.model_dump(mode="json")
        if self.kind == LORA:
            # Runs of older versions have these four only: an arm that sets nothing else keeps its key.
            usual = type(self.options)().model_dump(mode="json")
            older = ("rank", "alpha", "dropout", "target_modules")
            return {"lora": {k: v for k, v in fields.items() if k in older or v != usual[k]}}
        for name in _NEWER_OPTIONS & fields.keys():
            if fields[name] == type(self.options).model_fields[name].default:
                del fields[name]
        return {} if self.kind == FULL_FINETUNE else {"tuning": {"kind": self.kind, **fields}}


def prepared(model: nn.Module, arm: Arm, task_kind: str) -> TunedModel:
    """Make `model` ready for training by `arm`; it is changed in place.

    Raises ModelError, naming the arm, if the model lacks what is to be trained, or nothing but its new head would train.
    """
    try:
        tuned = arm.tuning.prepare(model, arm.options, task_kind)
    except ModelError as error:
        raise ModelError(f"arm {arm.name!r}: {error}") from error
    head = {id(parameter) for parameter in new_head(tuned.model)}
    if not any(p.requires_grad and id(p) not in head for p in tuned.model.parameters()):
        raise ModelError(f"arm {arm.name!r} ({arm.words}) trains nothing of {type(model).__name__} but its new head")
    return tuned


def counted_tuning(tuned: nn.Module, arm: Arm, task_kind: str, *, quantised: QuantisedBase | None = None) -> Tuning:
    """The arm's record, with the parameters of the prepared model counted; a packed weight counts as the numbers that it stands for.

    quantised: how its base model is kept in few bits, if it is.
    """
    packed = numbers_of(tuned)
    head = new_head(tuned) if task_kind != "causal_lm" else []
    return Tuning(
        kind=arm.kind,
        options=arm.options.model_dump(mode="json"),
        words=arm.words,
        trained_parameters=sum(p.numel() for p in tuned.parameters() if p.requires_grad),
        head_parameters=sum(p.numel() for p in head if p.requires_grad),
        # peft keeps the first state of a head that it trains; it is never run
        all_parameters=sum(
            packed.get(id(p), p.numel()) for name, p in tuned.named_parameters() if ".original_module." not in name
        ),
        quantised_base=quantised,
    )
