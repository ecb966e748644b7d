"""The memory that a training takes, counted before it: one step is played through with tensors that have shapes and no numbers.

Counted is every tensor that is alive at the same time: weights, gradients, the optimiser's state, what the backward pass needs,
casts, logits, temporary results. Not counted are the program itself, scratch space inside of kernels (where a CPU without instructions for bfloat16
multiplies in float32, the operands of one product), and what an allocator keeps.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from repdrift.models import quiet_transformers
from repdrift.training.options import TrainingOptions
from repdrift.training.played_layers import put_played_layers


@dataclass(frozen=True)
class MemoryAccount:
    """Bytes of one training, on the device that trains.

    weights: all of them, trained or not. gradients: of the trained ones. optimizer: its state. passing: the most of all else that is alive at
    once, at the time of the peak. peak: the most in all, less than the sum if the parts have their peaks at different times.
    """

    weights: int
    gradients: int
    optimizer: int
    passing: int
    peak: int


def account(
    model: nn.Module, task_kind: str, options: TrainingOptions, *, batch: int, length: int
) -> MemoryAccount | None:
    """The account of training `model`, which is on the meta device and prepared for its arm, with inputs of shape (batch, length).

    The model is changed. None if its code cannot be run without numbers.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    try:
        with warnings.catch_warnings(), quiet_transformers(), FakeTensorMode(allow_non_fake_inputs=True):
            warnings.simplefilter("ignore")
            kept = _without_meta(model)
            put_played_layers(model)
            found = _played(model, task_kind, options, batch, length)
            del kept
            return found
    except Exception:  # code of other people's models that asks for numbers
        return None


def _played(model: nn.Module, task_kind: str, options: TrainingOptions, batch: int, length: int) -> MemoryAccount:
    if options.gradient_checkpointing:
        enable: Any = model.gradient_checkpointing_enable
        enable({"use_reentrant": False})
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    weights = sum(_bytes(t) for t in {id(t): t for t in (*model.parameters(), *model.buffers())}.values())
    gradients = sum(_bytes(p) for p in trained)
    inputs = _inputs(task_kind, batch, length)
    optimizer = _optimizer(trained, options)
    live = _Live()
    cast = torch.autocast("cpu", torch.bfloat16) if options.precision == "bfloat16" else nullcontext()
    with live:
        for _ in range(2):  # in the second step the optimiser's state is there from the beginning
            with cast:
                loss = model(**inputs).loss
            loss.backward()
            del loss
            if optimizer is not None:
                torch.nn.utils.clip_grad_norm_(trained, 1.0, foreach=False)
                optimizer.step()
            model.zero_grad()
    state = _state_bytes(trained, optimizer)
    extra = 0 if optimizer is not None else state
    peak = weights + live.peak + extra
    return MemoryAccount(weights, gradients, state, max(0, live.peak - gradients - (state - extra)), peak)


class _Live(TorchDispatchMode):
    """Counts the bytes of the tensors that arise inside of it and are still alive."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves((args, kwargs)):
            if isinstance(leaf, Tensor) and id(leaf.untyped_storage()) not in self._known:
                self._known.add(id(leaf.untyped_storage()))  # was there before: weights and inputs
                weakref.finalize(leaf.untyped_storage(), self._known.discard, id(leaf.untyped_storage()))
        for leaf in tree_leaves(out):
            if isinstance(leaf, Tensor):
                self._count(leaf.untyped_storage())
        return out

    def _count(self, storage: Any) -> None:
        if id(storage) in self._known:
            return
        size = storage.nbytes()
        self._known.add(id(storage))
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._gone, id(storage), size)

    def _gone(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def _optimizer(trained: list[nn.Parameter], options: TrainingOptions) -> Any:
    if options.optimizer == "adafactor":
        from transformers.optimization import Adafactor

        return Adafactor(trained, lr=options.learning_rate, scale_parameter=False, relative_step=False)
    if options.optimizer == "adamw":
        return torch.optim.AdamW(trained, lr=options.learning_rate, fused=True)
    return None


def _state_bytes(trained: list[nn.Parameter], optimizer: Any) -> int:
    if optimizer is None:
        return 2 * sum(p.numel() for p in trained)  # 8-bit AdamW: two bytes a parameter
    return sum(_bytes(v) for p in trained for v in optimizer.state[p].values() if isinstance(v, Tensor))


def _inputs(task_kind: str, batch: int, length: int) -> dict[str, Tensor]:
    ids = torch.zeros((batch, length), dtype=torch.long)
    found = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    one_each = torch.zeros(batch, dtype=torch.long)
    if task_kind == "classification":
        return found | {"labels": one_each}
    if task_kind == "extractive_qa":
        return found | {"start_positions": one_each, "end_positions": one_each.clone()}
    return found | {"labels": ids.clone()}


def _without_meta(model: nn.Module) -> list[Tensor]:
    """Put tensors without numbers, on a device that can be computed with, in place of those on the meta device.

    Returns the old ones, which must stay alive: shared tensors are told by their identity.
    """
    old: list[Tensor] = []
    new: dict[int, Tensor] = {}
    for module in model.modules():
        for name, place in _places(module):
            tensor: Tensor = place[name]
            if id(tensor) not in new:
                old.append(tensor)
                fresh = torch.empty(tensor.shape, dtype=tensor.dtype)
                is_parameter = isinstance(tensor, nn.Parameter)
                new[id(tensor)] = nn.Parameter(fresh, requires_grad=tensor.requires_grad) if is_parameter else fresh
            place[name] = new[id(tensor)]
    return old


def _places(module: nn.Module) -> Iterator[tuple[str, dict[str, Any]]]:
    for place in (module._parameters, module._buffers):
        yield from [(name, place) for name, tensor in place.items() if tensor is not None]


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
