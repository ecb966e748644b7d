"""The change that an adapter of any kind makes to a module's weights: what merging would add to them."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_LARGEST_IN_FLOAT64 = 1 << 24
"""Entries of a module's weights up to which it is merged in float64, for which a copy is made in twice the memory."""


@dataclass(frozen=True)
class MergedWeight:
    """One parameter under an adapter before and after merging, neither of which is part of the model."""

    before: Tensor
    after: Tensor


@dataclass(frozen=True)
class MergedModule:
    """The parameters of one module that merging changes, by name. missing: why there are none; None if it could be merged."""

    weights: dict[str, MergedWeight]
    missing: str | None = None


def merged_module(module: Any, adapters: list[str]) -> MergedModule:
    """Merges `adapters` into a copy of `module`, a tuner layer of peft, which is left as it is.

    In float64 where the kind of adapter allows it and the module is not very large, so that a small change is exact to
    about 1e-15 of the weight; else in the model's precision. Returns the reason where peft has no merge for the module.
    """
    small = sum(p.numel() for p in module.get_base_layer().parameters()) <= _LARGEST_IN_FLOAT64
    missing = ""
    for wide in (True, False) if small else (False,):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # on a merge that is for the copy alone
                return MergedModule(_merged(module, adapters, wide=wide))
        except Exception as error:  # each kind of peft refuses a merge in its own way
            missing = str(error).strip().split("\n")[0] or type(error).__name__
    return MergedModule({}, missing)


def _merged(module: Any, adapters: list[str], *, wide: bool) -> dict[str, MergedWeight]:
    copied = copy.deepcopy(module)
    if wide:
        copied = copied.double()
    with torch.no_grad():
        before: Mapping[str, Tensor] = {
            name: parameter.detach().clone() for name, parameter in copied.get_base_layer().named_parameters()
        }
        copied.merge(adapter_names=adapters)
        after = dict(copied.get_base_layer().named_parameters())
    return {
        name: MergedWeight(before[name], parameter.detach())
        for name, parameter in after.items()
        if name in before and (name == "weight" or not torch.equal(before[name], parameter))
    }
