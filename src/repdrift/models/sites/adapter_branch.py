"""The branches of a LoRA adapter that write to the residual stream: scaling * B A x of the output and down projections."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from repdrift.core.words import some_listed
from repdrift.models.sites.block_record import BlockRecord, ModuleCall
from repdrift.models.sites.taps import BlockSites, Tap

_NO_ADAPTER = "the model has no active adapter in its blocks"
_EPS_TIMES = 8.0


def with_adapter(record: BlockRecord, sites: BlockSites) -> BlockSites:
    """`sites` with `adapter_out`, or with the reason why the block has none.

    An adapted module counts if what it gives is, up to a factor, what attention or MLP adds to the stream. Then its own branch is a
    part of that sum, and of the stream. All others (query, key, value, gate, up) act through what follows them.
    """
    adapted = {name: module for name, module in record.modules.items() if _has_adapter(module)}
    if not adapted:
        return _with(sites, absent=_NO_ADAPTER)
    calls = {call.name: call for call in record.calls}
    given = {tap.name: tap for site in ("attn_out", "mlp_out") for tap in sites.taps.get(site, ())}
    taps: list[Tap] = []
    elsewhere: list[str] = []
    for name, module in adapted.items():
        writes = next((tap for tap in given.values() if _same(calls.get(name), calls.get(tap.name))), None)
        if writes is None:
            elsewhere.append(name)
            continue
        branch = _branch(name, module, calls, writes.scale)
        if branch is None:
            return _with(
                sites,
                hidden=f"what {name} ({type(module).__name__}) adds is not scaling * B A x alone (DoRA, a merged or another kind of adapter)",
            )
        taps += branch
    if taps:
        return _with(sites, taps=tuple(taps))
    if "mlp_out" not in sites.taps:
        return _with(
            sites,
            absent="attention and MLP of the adapted blocks cannot be told apart, so neither can what writes to the residual stream",
        )
    return _with(
        sites,
        absent=f"no adapted module writes to the residual stream itself; what {some_listed(elsewhere)} adds passes other modules first",
    )


def _with(
    sites: BlockSites, *, taps: tuple[Tap, ...] = (), absent: str | None = None, hidden: str | None = None
) -> BlockSites:
    return BlockSites(
        {**sites.taps, **({"adapter_out": taps} if taps else {})},
        {**sites.absent, **({} if absent is None else {"adapter_out": absent})},
        {**sites.hidden, **({} if hidden is None else {"adapter_out": hidden})},
        sites.law,
    )


def _has_adapter(module: nn.Module) -> bool:
    """True for a layer of peft that holds a part of an adapter which is switched on. Several adapters on one model need not adapt the same modules."""
    if not hasattr(module, "base_layer") or getattr(module, "disable_adapters", False):
        return False
    parts = [getattr(module, name, ()) for name in getattr(module, "adapter_layer_names", ())]
    return any(adapter in part for adapter in getattr(module, "active_adapters", ()) for part in parts)


def _same(call: ModuleCall | None, other: ModuleCall | None) -> bool:
    if call is None or other is None or call.gave is None or other.gave is None:
        return False
    return torch.equal(call.gave, other.gave)


def _branch(name: str, module: Any, calls: dict[str, ModuleCall], factor: float) -> list[Tap] | None:
    """Taps of B in each active adapter of `module`, if its output is that of the base layer and these; else None."""
    b_by_adapter = getattr(module, "lora_B", None)
    base = calls.get(f"{name}.base_layer")
    if not isinstance(b_by_adapter, nn.ModuleDict) or base is None or base.gave is None:
        return None
    found: list[Tap] = []
    total, size = base.gave.double(), base.gave.double().abs()
    for adapter in module.active_adapters:
        if adapter not in b_by_adapter:
            continue
        call = calls.get(f"{name}.lora_B.{adapter}")
        if call is None or call.gave is None or call.times != 1:
            return None
        scaling = float(module.scaling[adapter])
        total, size = total + scaling * call.gave.double(), size + (scaling * call.gave.double()).abs()
        found.append(Tap(call.module, call.name, scaling * factor))
    own: Tensor | None = calls[name].gave
    if own is None or not found:
        return None
    tolerance = _EPS_TIMES * torch.finfo(own.dtype).eps
    return found if bool(((total - own.double()).abs() <= tolerance * (size + own.double().abs())).all()) else None
