"""Finds what attention and MLP of a block add to the residual stream, by the law that the block obeys on random tokens.

Names only say where to look: which modules belong to an attention. What is taken is what adds up. So a projection whose output
still passes a norm, a layer scale or a multiplier is not taken for what reaches the stream, and a block of which only a sum is visible
gives nothing at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor, nn

from repdrift.models.sites.block_record import BlockRecord, ModuleCall
from repdrift.models.sites.part_names import is_mlp, is_norm, part_kind
from repdrift.models.sites.sums import explains, sums_to
from repdrift.models.sites.taps import BlockSites, Tap

_MOST_CHOICES = 64
_KINDS = ("attention", "cross", "mixer", "rest")


@dataclass(frozen=True)
class _Term:
    """A candidate for what one part of the block adds: the tap, and its values in float64 (b, t, d), the factor applied."""

    tap: Tap
    values: Tensor

    @property
    def words(self) -> str:
        return self.tap.name if self.tap.scale == 1.0 else f"{self.tap.scale:g} x {self.tap.name}"


@dataclass(frozen=True)
class _Found:
    """The terms that obey a law, in the order of the parts, and the law in words. seen: each of them shows in the sum, or is zero."""

    terms: tuple[_Term, ...]
    law: str
    seen: bool = True


def sites_of_block(record: BlockRecord) -> BlockSites:
    """The taps of `attn_out` and `mlp_out` in the block that `record` tells of, or why there are none."""
    parts = _parts(record)
    if record.after is None or record.after.shape != record.before.shape:
        return _untold("the block gives no hidden state of the shape that it is given", parts)
    if not parts["attention"] and not parts["mixer"]:
        return _untold(
            "no module of the block is called an attention, so attention and MLP cannot be told apart", parts
        )
    terms = _terms(record, parts)
    wanted = [terms[kind] for kind in _KINDS if kind == "rest" or parts[kind]]
    found = (
        _by_sum(record, record.after, wanted)
        or _by_norms(record, record.after, wanted)
        or _by_sum(record, record.after, [*wanted[:-1], *_two_mlps(terms["rest"])])
    )
    if found is None:
        return _untold(_why(record, parts), parts)
    if not found.seen:
        numbers = str(record.before.dtype).removeprefix("torch.")
        why = f"what is added is too small beside the residual stream to be told apart in {numbers}"
        return _untold(why if record.before.dtype.itemsize >= 4 else f"{why}; run in float32", parts)
    taps = {"mlp_out": tuple(term.tap for term in found.terms[len(wanted) - 1 :])}
    if parts["attention"]:
        return BlockSites({"attn_out": (found.terms[0].tap,), **taps}, law=found.law)
    kinds = sorted({type(record.modules[name]).__name__ for name in parts["mixer"]})
    return BlockSites(taps, {"attn_out": f"a block of {', '.join(kinds)} has no attention"}, law=found.law)


def _untold(why: str, parts: dict[str, list[str]]) -> BlockSites:
    absent = {"attn_out": "the blocks have no attention"} if parts["mixer"] and not parts["attention"] else {}
    return BlockSites({}, absent, {site: why for site in ("attn_out", "mlp_out") if site not in absent})


def _why(record: BlockRecord, parts: dict[str, list[str]]) -> str:
    mixing = [*parts["attention"], *parts["mixer"]]
    names = ", ".join(f"{name} ({type(record.modules[name]).__name__})" for name in mixing)
    block = type(record.block).__name__
    if not parts["attention"]:
        return f"beside {names} no module is seen whose output {block} adds to the residual stream"
    return f"no outputs of two modules, one of them in {names}, add up to what {block} adds to the residual stream"


def _parts(record: BlockRecord) -> dict[str, list[str]]:
    """Names of the outermost modules that have parts and whose name or class says what they are, by kind."""
    found: dict[str, list[str]] = {kind: [] for kind in _KINDS}
    taken: list[str] = []
    for name, module in record.modules.items():
        if not name or not any(True for _ in module.children()) or _is_inside(name, taken):
            continue
        kind = part_kind(name, type(module).__name__, type(record.block).__name__)
        if kind is not None:
            taken.append(name)
            found[kind].append(name)
    return found


def _is_inside(name: str, outer: Sequence[str]) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in outer)


def _terms(record: BlockRecord, parts: dict[str, list[str]]) -> dict[str, list[_Term]]:
    """Outputs of modules, by the kind of part that they belong to, without what is a state of the residual stream itself.

    A module behind a part that is fed by it alone (a norm, a layer scale, dropout) belongs to that part. A state is the block's input,
    a state plus what a part gives, and the norm of such a sum.
    """
    factors = _factors(record.block)
    eps = torch.finfo(record.before.dtype).eps
    states = [record.before]
    doubled = [record.before.double()]
    calls: dict[str, list[ModuleCall]] = {kind: [] for kind in _KINDS}
    values: list[Tensor] = []

    def is_sum(tensor: Tensor) -> bool:
        return any(True for _ in sums_to([doubled, values], tensor.double(), eps))

    for call in record.single:
        if call.gave is None:
            continue
        normed = is_norm(call.module) and call.given is not None and is_sum(call.given)
        if any(torch.equal(call.gave, state) for state in states):
            continue
        if normed or is_sum(call.gave):
            states.append(call.gave)
            doubled.append(call.gave.double())
            continue
        kind = _kind_of(call, parts, calls)
        if not any(torch.equal(call.gave, other.gave) for other in calls[kind] if other.gave is not None):
            values += [call.gave.double() * factor for factor in factors]
        calls[kind].append(call)
    return {kind: _distinct(found, factors) for kind, found in calls.items()}


def _kind_of(call: ModuleCall, parts: dict[str, list[str]], calls: dict[str, list[ModuleCall]]) -> str:
    for kind, names in parts.items():
        if _is_inside(call.name, names):
            return kind
    for kind in _KINDS[:-1]:
        for other in calls[kind]:
            if call.given is not None and other.gave is not None and torch.equal(call.given, other.gave):
                return kind
    return "rest"


def _distinct(calls: Sequence[ModuleCall], factors: Sequence[float]) -> list[_Term]:
    """One term for each value and factor. Of modules that give the same, the one that ends last: the others are its parts."""
    kept: list[tuple[ModuleCall, Tensor]] = []
    for call in reversed(calls):
        if call.gave is not None and not any(torch.equal(call.gave, gave) for _, gave in kept):
            kept.append((call, call.gave))
    return [
        _Term(Tap(call.module, call.name, factor), gave.double() * factor) for factor in factors for call, gave in kept
    ]


def _factors(block: nn.Module) -> list[float]:
    """1, and what the block itself may multiply with: its own numbers, such as a residual multiplier."""
    own = [float(v) for v in vars(block).values() if isinstance(v, float) and v not in (0.0, 1.0) and abs(v) < 1e3]
    return [1.0, *dict.fromkeys(own)]


def _two_mlps(rest: Sequence[_Term]) -> list[list[_Term]]:
    """The terms that are MLPs or experts by name, twice: a block may add shared experts beside the routed ones."""
    named = [term for term in rest if is_mlp(term.tap.name, type(term.tap.module).__name__)]
    return [named, named]


def _by_sum(record: BlockRecord, after: Tensor, parts: Sequence[Sequence[_Term]]) -> _Found | None:
    """The terms, one of each part, that add up to what the block adds; None if there are none."""
    eps = torch.finfo(record.before.dtype).eps
    values = [[record.before.double()], *([term.values for term in part] for part in parts)]
    total, coarse = after.double(), None
    for _, *choice in islice(sums_to(values, total, eps), _MOST_CHOICES):
        terms = tuple(part[number] for part, number in zip(parts, choice, strict=True))
        addends = [values[0][0], *(term.values for term in terms)]
        seen = all(explains(addends, n, total) or not bool(addends[n].any()) for n in range(1, len(addends)))
        found = _Found(terms, f"resid_post = resid_pre + {' + '.join(term.words for term in terms)}", seen)
        if seen:
            return found
        coarse = coarse or found
    return coarse


def _by_norms(record: BlockRecord, after: Tensor, parts: Sequence[Sequence[_Term]]) -> _Found | None:
    """The terms, one of each part, such that each sum is what a norm is given, and the last norm gives the block's output."""
    eps = torch.finfo(record.before.dtype).eps
    paths: list[tuple[Tensor, _Found]] = [(record.before, _Found((), "resid_pre"))]
    for part in parts:
        values = [term.values for term in part]
        longer: list[tuple[Tensor, _Found]] = []
        for norm in record.single:
            if norm.given is None or norm.gave is None:
                continue
            for state, path in paths:
                before, total = state.double(), norm.given.double()
                for _, number in islice(sums_to([[before], values], total, eps), _MOST_CHOICES):
                    term = part[number]
                    words = f"{norm.name}({path.law} + {term.words})"
                    seen = explains([before, term.values], 1, total) or not bool(term.values.any())
                    longer.append((norm.gave, _Found((*path.terms, term), words, path.seen and seen)))
        paths = longer
    found = [
        _Found(path.terms, f"resid_post = {path.law}", path.seen) for state, path in paths if torch.equal(state, after)
    ]
    return next((path for path in found if path.seen), found[0] if found else None)
