"""Two models of the shape of Llama 2, and arms of a study, without weights: the accounts of memory and disk need no more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any

import torch

from repdrift.models import backbone_skeleton, task_skeleton
from repdrift.training import TrainingOptions, prepared, saved_bytes
from repdrift.training.arms import Arm
from repdrift.training.memory_accounting import MemoryAccount, account


@dataclass(frozen=True)
class Shape:
    """The sizes of a model of the shape of Llama."""

    name: str
    layers: int
    width: int
    inner: int
    heads: int
    key_value_heads: int
    vocabulary: int = 32_000

    def config(self) -> Any:
        """The configuration in transformers."""
        from transformers import LlamaConfig

        return LlamaConfig(
            vocab_size=self.vocabulary,
            hidden_size=self.width,
            intermediate_size=self.inner,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.key_value_heads,
            pad_token_id=0,
            max_position_embeddings=4096,
        )

    @property
    def weights(self) -> int:
        """Weights of the model without a head."""
        return sum(p.numel() for p in _backbone(self).parameters())

    @property
    def block_weights(self) -> int:
        """Weights of one block."""
        return sum(p.numel() for p in _backbone(self).layers[0].parameters())


SHAPES = (Shape("7B", 32, 4096, 11_008, 32, 32), Shape("70B", 80, 8192, 28_672, 64, 8))

ARMS = (
    Arm.of_kind("full_finetune"),
    Arm("lora_r8", "lora", Arm.of_kind("lora", rank=8, alpha=16).options),
    Arm("qlora_r8", "lora", Arm.of_kind("lora", rank=8, alpha=16, base_bits=4).options),
)
"""One arm of each kind that differs in memory: LoRA of any rank, DoRA and the last layers alone lie near LoRA."""


@dataclass(frozen=True)
class TrainingNeed:
    """What one training takes. weights: those in matrix products. memory: the account of the tool. saved: bytes of the result."""

    weights: int
    trained: int
    memory: MemoryAccount
    saved: int


SHALLOW = (3, 5)
"""Layers of the two models from which a deep one is extended: playing 80 layers takes minutes."""


@cache
def training_need(shape: Shape, arm: Arm, optimizer: str, batch: int, length: int) -> TrainingNeed:
    """The need of a deep model, on the line through two of few layers: every part of it is linear in the number of layers.

    A test holds this to the account of all layers.
    """
    few, more = (_played(replace(shape, layers=layers), arm, optimizer, batch, length) for layers in SHALLOW)

    def extended(of: Callable[[TrainingNeed], int]) -> int:
        step = (of(more) - of(few)) / (SHALLOW[1] - SHALLOW[0])
        return round(of(few) + step * (shape.layers - SHALLOW[0]))

    names = [field.name for field in fields(MemoryAccount)]
    parts = {name: extended(lambda need, name=name: getattr(need.memory, name)) for name in names}
    return TrainingNeed(
        extended(lambda need: need.weights),
        extended(lambda need: need.trained),
        MemoryAccount(**parts),
        extended(lambda need: need.saved),
    )


def _played(shape: Shape, arm: Arm, optimizer: str, batch: int, length: int) -> TrainingNeed:
    """The need of training a classifier with gradient checkpointing in bfloat16, by the functions that `--dry-run` uses."""
    skeleton = task_skeleton(shape.config(), "classification", num_labels=2)
    if skeleton is None:
        raise RuntimeError(f"transformers cannot build the {shape.name} shape without weights")
    model = prepared(skeleton, arm, "classification").model
    tables = {id(m.weight) for m in model.modules() if isinstance(m, torch.nn.Embedding)}
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad and id(p) not in tables)
    saved = saved_bytes(model)
    options = TrainingOptions.model_validate(
        {
            "epochs": 1,
            "batch_size": batch,
            "learning_rate": 1e-5,
            "precision": "bfloat16",
            "optimizer": optimizer,
            "gradient_checkpointing": True,
        }
    )
    memory = account(model, "classification", options, batch=batch, length=length)
    if memory is None:
        raise RuntimeError(f"the account of {shape.name}, {arm.name} could not be made")
    return TrainingNeed(shape.layers * shape.block_weights, trained, memory, saved)


@cache
def _backbone(shape: Shape) -> Any:
    skeleton = backbone_skeleton(shape.config())
    if skeleton is None:
        raise RuntimeError(f"transformers cannot build the {shape.name} shape without weights")
    return skeleton
