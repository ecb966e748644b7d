"""Low-rank adaptation (Hu et al. 2021) and its relatives: the same adapter with another scale, start or magnitude."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator
from torch import nn

from repdrift.training.adapter_tuning import with_adapter
from repdrift.training.changed_start import save_as_plain_lora, start_of
from repdrift.training.quantised_layers import quantise_blocks
from repdrift.training.tuning_kind import (
    KindOptions,
    TunedModel,
    TuningKind,
    linear_layers_of_blocks,
    modules_named,
    phrase,
    tuning_kinds,
)

ALL_LINEAR = "all-linear"
Initialisation = Literal["default", "gaussian", "orthogonal", "pissa", "pissa_niter_16", "olora"]
_CHANGES_BASE: tuple[Initialisation, ...] = ("pissa", "pissa_niter_16", "olora")
"""Starts that move a part of the base weights into the adapter."""


class LoraOptions(KindOptions):
    """Options of low-rank adaptation, in peft's terms."""

    rank: int = Field(default=8, ge=1, le=65_536, description="Rank of the change of each adapted weight.")
    alpha: float = Field(default=16, gt=0, le=1_000_000, description="The change is scaled by alpha / rank.")
    dropout: float = Field(default=0.05, ge=0, lt=1, description="Dropout on the input of the adapters.")
    target_modules: tuple[str, ...] | Literal["all-linear"] = Field(
        default=ALL_LINEAR,
        description="Endings of the adapted modules' names; all-linear adapts every linear layer of the blocks.",
    )
    rslora: bool = Field(default=False, description="Scale by alpha / sqrt(rank) (rsLoRA, Kalajdzievski 2023).")
    dora: bool = Field(
        default=False, description="Also train the length of each weight's columns (DoRA, Liu et al. 2024)."
    )
    initialisation: Initialisation = Field(
        default="default",
        description="Start of the adapter; pissa (Meng et al. 2024) and olora start from the base weight's main directions.",
    )

    base_bits: Literal[4] | None = Field(
        default=None,
        description="4 keeps the linear layers of the base model's blocks in 4-bit NF4 while the adapter trains (QLoRA, Dettmers et al. "
        "2023; needs bitsandbytes); null keeps them in full precision.",
    )
    double_quantisation: bool = Field(
        default=True, description="With base_bits: also keep the scales of the 4-bit weights in 8 bits."
    )
    compute_dtype: Literal["float32", "bfloat16"] = Field(
        default="float32",
        description="With base_bits: the precision to which a 4-bit weight is brought back for each product.",
    )

    @field_validator("target_modules", mode="before")
    @classmethod
    def _default_for_null(cls, value: object) -> object:
        return ALL_LINEAR if value is None else value

    @model_validator(mode="after")
    def _consistent(self) -> LoraOptions:
        if isinstance(self.target_modules, tuple) and not self.target_modules:
            raise ValueError(
                "target_modules is empty: an adapter on no module trains nothing; leave it out for all-linear"
            )
        if self.dora and self.initialisation in _CHANGES_BASE:
            raise ValueError(f"dora does not go with initialisation {self.initialisation!r}: choose one of them")
        if self.base_bits is None:
            if unused := sorted(self.model_fields_set & {"double_quantisation", "compute_dtype"}):
                raise ValueError(
                    f"{unused[0]} is for a base model in 4 bits: set base_bits: 4 beside it, or leave it out"
                )
        elif self.initialisation in _CHANGES_BASE:
            raise ValueError(
                f"base_bits does not go with initialisation {self.initialisation!r}, which moves a part of the base weights in full "
                "precision into the adapter: choose one of them"
            )
        return self


class Lora(TuningKind[LoraOptions]):
    """Trains a low-rank change of the weights of some linear layers, and the task's new head."""

    options = LoraOptions

    def __init__(self, name: str = "lora", title: str = "LoRA", **preset: Any) -> None:
        """A relative of LoRA has a name and title of its own, and options that it sets itself."""
        self.name = name
        self.title = title
        self._preset = preset

    def read(self, given: Mapping[str, Any]) -> LoraOptions:
        """Returns the options with those that this relative of LoRA sets. Raises ValueError if one of these is given."""
        if own := sorted(given.keys() & self._preset.keys()):
            raise ValueError(f"{own[0]}: {self.name} sets it itself; leave it out, or take kind lora")
        return super().read({**given, **self._preset})

    def without_own(self, shared: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the options that several arms share, without those that this relative of LoRA sets itself."""
        return {name: value for name, value in shared.items() if name not in self._preset}

    def words(self, options: LoraOptions) -> str:
        """The arm in a few words. The rank always stands there, and what this relative sets itself does not."""
        changed = options.model_dump(exclude_defaults=True, exclude={"rank", "base_bits", *self._preset})
        on = "" if options.base_bits is None else f" on a {options.base_bits}-bit base"
        return phrase(f"{self.title}{on}, rank {options.rank}", changed)

    def identity(self, options: LoraOptions) -> tuple[object, ...]:
        """Returns the options, which tell one way of tuning from another: all relatives of LoRA are one adapter."""
        return ("lora", *options.model_dump().values())

    def runs_by_block(self, options: LoraOptions) -> bool:
        """Returns False for DoRA, whose lengths of columns need the whole weight."""
        return not options.dora

    def prepare(self, model: nn.Module, options: LoraOptions, task_kind: str) -> TunedModel:
        """Put the adapter on `model`. An adapter whose start changes base weights is saved as a plain one of twice the rank."""
        from peft import LoraConfig

        every = options.target_modules == ALL_LINEAR
        targets = linear_layers_of_blocks(model) if every else list(options.target_modules)
        is_sketch = next(model.parameters()).is_meta  # without numbers, for counting: no start can be computed
        start: Any = True if options.initialisation == "default" or is_sketch else options.initialisation
        config = LoraConfig(
            r=options.rank,
            lora_alpha=options.alpha,  # pyright: ignore[reportArgumentType] (any number scales as well as a whole one)
            lora_dropout=options.dropout,
            target_modules=targets,
            use_rslora=options.rslora,
            use_dora=options.dora,
            init_lora_weights=start,
        )
        quantised = None
        if options.base_bits is not None:
            quantised = quantise_blocks(model, double=options.double_quantisation, compute_dtype=options.compute_dtype)
        next_step = f"Set target_modules to {ALL_LINEAR}, or to some of: {modules_named(model)}."
        tuned = with_adapter(model, config, task_kind, what=self.title, next_step=next_step)
        if options.initialisation not in _CHANGES_BASE or is_sketch:
            return replace(TunedModel.of(tuned), quantised=quantised)
        begun = start_of(tuned)

        def save(tokenizer: Any, folder: Path) -> None:
            save_as_plain_lora(tuned, begun, tokenizer, folder)

        return TunedModel(tuned, save)


tuning_kinds.add("lora", Lora())
