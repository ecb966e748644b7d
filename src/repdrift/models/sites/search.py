"""Finds what attention and MLP of a block add to the residual stream, by the law that the block obeys on random tokens.

Names only say where to look: which modules belong to an attention. What is taken is what adds up. So a projection whose output
still passes a norm, a layer scale or a multiplier is not taken for what reaches the stream, and a block whose sum alone is visible
gives nothing at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, nn

from repdrift.models.sites.block_record import BlockRecord, ModuleCall
from repdrift.models.sites.taps import BlockSites, Tap

SUM_LAW = "resid_post = resid_pre + {terms}"
NORM_LAW = "resid_post = {norms}"

_ROUNDINGS = 4.0
"""Times the distance between neighbouring numbers: what three additions and a factor may round, element by element."""
_ATTENTION = re.compile(r"att(?:n|ention)", re.IGNORECASE)
_CROSS = re.compile(r"cross|encoder_?(?:att|dec)|enc_?dec", re.IGNORECASE)
_MIXER = re.compile(r"mamba|ssm|state_?space|rwkv|recurrent|rglru|delta_?net|conv", re.IGNORECASE)
_MOST_CANDIDATES = 40


@dataclass(frozen=True)
class _Term:
    """A candidate for what one part of the block adds: the tap, and its values in float64 (b, t, d), the factor applied."""

    tap: Tap
    values: Tensor


@dataclass(frozen=True)
class _Parts:
    """The modules of a block by what they are: names of the outermost ones."""

    attention: list[str]
    cross: list[str]
    mixers: list[str]


def sites_of_block(record: BlockRecord) -> BlockSites:
    """The taps of `attn_out` and `mlp_out` in the block that `record` tells of, or why there are none."""
    parts = _parts(record)
    if record.after is None or record.after.shape != record.before.shape:
        return _untold("what the block gives is no hidden state of the shape that it was given", parts)
    if not parts.attention and not parts.mixers:
        return _untold(
            "no module of the block is called an attention, so that attention and MLP cannot be told apart", parts
        )
    own = _terms(record, parts.attention)
    cross = _terms(record, parts.cross)
    mixers = _terms(record, parts.mixers)
    rest = _rest(record, [*parts.attention, *parts.cross, *parts.mixers])
    fixed = [terms for terms in (cross, mixers) if terms]
    first = [own] if parts.attention else []
    found = _by_sum(record, [*first, *fixed, rest]) or _by_norms(record, [*first, *fixed, rest])
    if found is None:
        return _untold(_why(record, parts), parts)
    terms, law = found
    taps = {"mlp_out": (terms[-1].tap,)}
    if parts.attention:
        taps["attn_out"] = (terms[0].tap,)
    return BlockSites(taps, {} if parts.attention else {"attn_out": _no_attention(record, parts)}, {}, law)


def _untold(why: str, parts: _Parts) -> BlockSites:
    absent = {} if parts.attention or not parts.mixers else {"attn_out": "the blocks have no attention"}
    hidden = {site: why for site in ("attn_out", "mlp_out") if site not in absent}
    return BlockSites({}, absent, hidden)


def _no_attention(record: BlockRecord, parts: _Parts) -> str:
    kinds = {type(record.modules[name]).__name__ for name in parts.mixers}
    return f"a block of {', '.join(sorted(kinds))} has no attention"


def _why(record: BlockRecord, parts: _Parts) -> str:
    names = ", ".join(f"{name} ({type(record.modules[name]).__name__})" for name in [*parts.attention, *parts.mixers])
    if not parts.attention:
        return (
            f"beside {names} nothing is seen that the block ({type(record.block).__name__}) adds to the residual stream"
        )
    return (
        f"no outputs of two modules, one of them in {names}, add up to what the block ({type(record.block).__name__}) adds to the "
        "residual stream"
    )


def _parts(record: BlockRecord) -> _Parts:
    """The outermost modules that have parts and whose name or class says what they are."""
    found: dict[str, list[str]] = {"attention": [], "cross": [], "mixer": []}
    taken: list[str] = []
    for name, module in record.modules.items():
        if not name or not any(True for _ in module.children()) or _is_inside(name, taken):
            continue
        words = f"{name.rpartition('.')[2]} {type(module).__name__}"
        kind = "attention" if _ATTENTION.search(words) else "mixer" if _MIXER.search(words) else None
        if kind is None:
            continue
        taken.append(name)
        found["cross" if kind == "attention" and _CROSS.search(words) else kind].append(name)
    return _Parts(found["attention"], found["cross"], found["mixer"])


def _is_inside(name: str, outer: Sequence[str]) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in outer)


def _terms(record: BlockRecord, names: Sequence[str]) -> list[_Term]:
    """Outputs of the modules `names` and of their parts, and what is made of that alone by modules behind them: norms, scales."""
    if not names:
        return []
    calls: list[ModuleCall] = []
    for call in record.single:
        if call.gave is None:
            continue
        follows = call.given is not None and any(
            other.gave is not None and torch.equal(call.given, other.gave) for other in calls
        )
        if _is_inside(call.name, names) or follows:
            calls.append(call)
    return _distinct(record, calls)


def _rest(record: BlockRecord, names: Sequence[str]) -> list[_Term]:
    """Outputs of all modules that are neither `names`, nor parts of them, nor fed by them alone."""
    fed: list[ModuleCall] = []
    calls: list[ModuleCall] = []
    for call in record.single:
        if call.gave is None:
            continue
        follows = call.given is not None and any(
            other.gave is not None and torch.equal(call.given, other.gave) for other in fed
        )
        if _is_inside(call.name, names) or follows:
            fed.append(call)
        else:
            calls.append(call)
    return _distinct(record, calls)


def _distinct(record: BlockRecord, calls: Sequence[ModuleCall]) -> list[_Term]:
    """One term for each value and factor. Of modules that give the same, the one that ends last: the others are its parts."""
    kept: list[ModuleCall] = []
    for call in reversed(calls):
        if call.gave is not None and not any(
            torch.equal(call.gave, other.gave) for other in kept if other.gave is not None
        ):
            kept.append(call)
    kept = kept[:_MOST_CANDIDATES]
    return [
        _Term(Tap(call.module, call.name, factor), call.gave.double() * factor)
        for call in kept
        if call.gave is not None
        for factor in _factors(record.block)
    ]


def _factors(block: nn.Module) -> list[float]:
    """1, and what the block itself may multiply with: its own numbers, such as a residual multiplier."""
    own = [float(v) for v in vars(block).values() if isinstance(v, float) and v not in (0.0, 1.0) and abs(v) < 1e3]
    return [1.0, *dict.fromkeys(own)]


def _by_sum(record: BlockRecord, parts: Sequence[Sequence[_Term]]) -> tuple[tuple[_Term, ...], str] | None:
    """The terms, one of each part, that add up to what the block adds; None if there are none."""
    assert record.after is not None  # noqa: S101  the caller has looked
    before, after = record.before.double(), record.after.double()
    eps = torch.finfo(record.before.dtype).eps
    for terms in product(*parts):
        values = [before, *(term.values for term in terms)]
        if adds_up(values, after, eps):
            return terms, SUM_LAW.format(terms=" + ".join(_named(term.tap) for term in terms))
    return None


def _named(tap: Tap) -> str:
    return tap.name if tap.scale == 1.0 else f"{tap.scale:g} x {tap.name}"


def _by_norms(record: BlockRecord, parts: Sequence[Sequence[_Term]]) -> tuple[tuple[_Term, ...], str] | None:
    """The terms, one of each part, such that each sum is what a norm is given, and the last norm gives the block's output."""
    assert record.after is not None  # noqa: S101  the caller has looked
    eps = torch.finfo(record.before.dtype).eps
    paths: list[tuple[Tensor, tuple[_Term, ...], str]] = [(record.before, (), "resid_pre")]
    for number, terms in enumerate(parts):
        longer: list[tuple[Tensor, tuple[_Term, ...], str]] = []
        for state, path, words in paths:
            for term in terms:
                for norm in _norms_of(record, [state.double(), term.values], eps):
                    if norm.gave is not None and (number < len(parts) - 1 or torch.equal(norm.gave, record.after)):
                        longer.append((norm.gave, (*path, term), f"{norm.name}({words} + {_named(term.tap)})"))  # noqa: PERF401
        paths = longer
    for _, path, words in paths:
        return path, NORM_LAW.format(norms=words)
    return None


def _norms_of(record: BlockRecord, values: Sequence[Tensor], eps: float) -> Iterator[ModuleCall]:
    for call in record.single:
        if call.given is not None and call.gave is not None and adds_up(values, call.given.double(), eps):
            yield call


def adds_up(values: Sequence[Tensor], total: Tensor, eps: float) -> bool:
    """True if `values` add up to `total` in every element, as closely as additions in the model's precision can."""
    for part in (slice(-1, None), slice(None)):  # the last token first: it rules out almost all
        pieces = [value[:, part] for value in values]
        wanted = total[:, part]
        size = wanted.abs()
        found = torch.zeros_like(wanted)
        for piece in pieces:
            size = size + piece.abs()
            found = found + piece
        if not bool(((found - wanted).abs() <= _ROUNDINGS * eps * size).all()):
            return False
    return True
