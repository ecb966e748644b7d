"""The first tokens of general text, in words: which tokens tuning's shift points toward there, beside random changes of the same size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from repdrift.core.directions_words import quoted
from repdrift.core.records.directions import SHIFT_LEVEL, ReadToken, TokenReading
from repdrift.core.records.first_tokens import FirstTokenShift, RunFirstTokens, StudyFirstTokens
from repdrift.core.records.results import DriftResults
from repdrift.core.worded_section import CaptionedTable, WordedSection
from repdrift.core.words import counted, listed, method_title, percent, task_title

_TOKENS = 5

Cells = dict[tuple[str, str], list[RunFirstTokens]]
"""The runs of each task and method."""


def first_tokens_section(results: DriftResults) -> WordedSection | None:
    """The first tokens of general text in words and tables; None if the results have none."""
    found = None if results.moved is None else results.moved.first_tokens
    if found is None or not found.runs:
        return None
    cells: Cells = {}
    for run in found.runs:
        cells.setdefault((run.task, run.method), []).append(run)
    return WordedSection(
        name="first_tokens",
        title="What tuning left on the first tokens of unrelated text",
        answer=[said for (task, method), runs in cells.items() for said in _answer(task, method, runs)],
        tables=[_named_table(cells), _layer_table(cells)],
        notes=_notes(found),
        left_out=_left_out(found),
    )


def _answer(task: str, method: str, runs: Sequence[RunFirstTokens]) -> list[str]:
    who = f"{task_title(task)}, {method_title(method)}"
    shifts = [shift for run in runs for shift in run.found.shifts]
    if not any(shift.tokens for shift in shifts):
        return [f"{who}: nothing could be read from the first tokens of general text."]
    said: list[str] = []
    raised, lowered = _agreed(runs, "top"), _agreed(runs, "bottom")
    every = f"in all {len(runs)} seeds" if len(runs) > 1 else "in the one seed"
    if raised or lowered:
        where = max({**raised, **lowered}, key=lambda at: (len(raised.get(at, [])), len(lowered.get(at, [])), at[0]))
        parts = [
            f"{words} {listed([quoted(token) for token in tokens[:_TOKENS]])}"
            for words, tokens in (("toward", raised.get(where, [])), ("away from", lowered.get(where, [])))
            if tokens
        ]
        layers = len({layer for layer, _ in {**raised, **lowered}})
        said.append(
            f"{who}: on the first tokens of general text, the shift points {', and '.join(parts)} in layer {where[0]} at {_position(where[1])}, {every}, "
            f"beyond all that is random (tokens are named so in {counted(layers, 'layer')})."
        )
    else:
        naming = sum(1 for run in runs if any(_names(shift) for shift in run.found.shifts))
        some = f"; {naming} of {counted(len(runs), 'model')} name some token" if naming else ""
        said.append(
            f"{who}: on the first tokens of general text, the shifts of all seeds point toward no token beyond all that is random{some}."
            if len(runs) > 1
            else f"{who}: on the first tokens of general text, the shift points toward no token beyond all that is random."
        )
    return [*said, *_size(who, shifts)]


def _size(who: str, shifts: Sequence[FirstTokenShift]) -> list[str]:
    own = [shift.shift / shift.base_norm for shift in shifts if shift.tokens and shift.shift and shift.base_norm]
    random = [of.shift / shift.base_norm for shift in shifts if shift.base_norm for of in shift.random]
    if not own:
        return []
    beside = f", after a random change of the weights of the same size by {percent(median(random))}" if random else ""
    return [
        f"{who}: the mean state of these tokens moved by {percent(median(own))} of its length{beside} (medians over layers and positions)."
    ]


def _agreed(runs: Sequence[RunFirstTokens], end: str) -> dict[tuple[int, int], list[str]]:
    """By layer and position: the tokens at one end of the readings that every run names."""
    counts: dict[tuple[int, int], dict[str, int]] = {}
    for run in runs:
        for shift in run.found.shifts:
            for token in _beyond(shift, end):
                at = counts.setdefault((shift.layer, shift.position), {})
                at[token.token] = at.get(token.token, 0) + 1
    found = {
        at: [token for token, count in tokens.items() if count == len(runs)] for at, tokens in sorted(counts.items())
    }
    return {at: tokens for at, tokens in found.items() if tokens}


def _names(shift: FirstTokenShift) -> bool:
    return bool(_beyond(shift, "top") or _beyond(shift, "bottom"))


def _beyond(shift: FirstTokenShift, end: str) -> list[ReadToken]:
    return [] if shift.tokens is None else [token for token in getattr(shift.tokens, end) if token.beyond_chance]


def _position(position: int) -> str:
    return f"position {position}"


def _named_table(cells: Cells) -> CaptionedTable:
    rows: list[list[str]] = []
    for (task, method), runs in cells.items():
        places: dict[tuple[int, int], list[FirstTokenShift]] = {}
        for run in runs:
            for shift in run.found.shifts:
                if _names(shift):
                    places.setdefault((shift.layer, shift.position), []).append(shift)
        rows += [
            [
                task_title(task),
                method_title(method),
                str(layer),
                str(position),
                _counted(shifts, "top", len(runs)),
                _counted(shifts, "bottom", len(runs)),
            ]
            for (layer, position), shifts in sorted(places.items())
        ]
    return CaptionedTable(
        title="Tokens that the shift of the first tokens points toward",
        caption="Tokens whose score lies beyond that of every random direction and every random change of the weights, for any token, in all layers and at all positions of the "
        "model; with the seeds that name them. Positions count from 0.",
        header=["task", "method", "layer", "position", "raised", "lowered"],
        rows=rows,
    )


def _counted(shifts: Sequence[FirstTokenShift], end: str, runs: int) -> str:
    counts: dict[str, int] = {}
    for shift in shifts:
        for token in _beyond(shift, end):
            counts[token.token] = counts.get(token.token, 0) + 1
    order = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{quoted(token)} ({count} of {runs})" for token, count in order[:_TOKENS])


@dataclass(frozen=True)
class _Strongest:
    token: ReadToken
    position: int

    @property
    def words(self) -> str:
        mark = "" if self.token.beyond_chance else ", chance"
        return f"{quoted(self.token.token)} {self.token.score:+.1f} ({self.position}{mark})"


def _layer_table(cells: Cells) -> CaptionedTable:
    rows: list[list[str]] = []
    for (task, method), runs in cells.items():
        layers: dict[int, list[FirstTokenShift]] = {}
        for run in runs:
            for shift in run.found.shifts:
                layers.setdefault(shift.layer, []).append(shift)
        chances = [run.found.chance for run in runs if run.found.chance is not None]
        chance = f"{median(chances):.1f}" if chances else ""
        for layer, shifts in sorted(layers.items()):
            own = [(shift.tokens, shift.position) for shift in shifts if shift.tokens is not None]
            random = [(of.tokens, shift.position) for shift in shifts for of in shift.random if of.tokens is not None]
            if own:
                rows.append(
                    [
                        task_title(task),
                        method_title(method),
                        str(layer),
                        _strongest(own, "top"),
                        _strongest(own, "bottom"),
                        _random(random, "top"),
                        _random(random, "bottom"),
                        chance,
                    ]
                )
    return CaptionedTable(
        title="The strongest token of each layer, beside random changes of the weights",
        caption="The token with the largest score over all seeds and positions, with its score and, in brackets, its position. Score: by how much the shift raises or lowers the token's "
        "logit, over what random directions of its size give this token. Chance: the score beyond which a token is named (median over seeds). first_tokens.parquet has all.",
        header=["task", "method", "layer", "raised", "lowered", "random: raised", "random: lowered", "chance"],
        rows=rows,
    )


def _strongest(readings: Iterable[tuple[TokenReading, int]], end: str) -> str:
    found = [_Strongest(token, position) for reading, position in readings for token in getattr(reading, end)]
    return max(found, key=lambda at: abs(at.token.score)).words if found else ""


def _random(readings: Iterable[tuple[TokenReading, int]], end: str) -> str:
    return _strongest(readings, end).replace(", chance)", ")")


def _notes(found: StudyFirstTokens) -> list[str]:
    places = "position 0" if found.positions == 1 else f"positions 0 to {found.positions - 1}"
    alone = (
        "Only these tokens were run, since each sees only those before it."
        if found.causal
        else "Whole documents were run, since each token also sees those behind it."
    )
    notes = [
        f"Read at {places} of {counted(found.documents, 'document')} of general text ({found.source}), which has nothing to do with the tasks. {alone}",
        "At each layer and position the mean difference tuned - base over documents is read by the base model's own final norm and unembedding, as in the section on directions.",
        f"A token is named only beyond the largest score that 64 random directions, or up to {counted(found.draws, 'random change')} of the weights of the same size, give any token in any "
        "layer and at any position of the model, and only where the documents have the shift in common (sign flips, p at most 0.05, corrected over layers and positions).",
    ]
    first = [shift for run in found.runs for shift in run.found.shifts if shift.beginnings == 1 and shift.documents > 1]
    if first:
        at = sorted({shift.position for shift in first})
        notes.append(
            f"At {listed([_position(p) for p in at])} all documents have the same tokens, so that there is one state, and no test over documents."
        )
    differing = [shift for run in found.runs for shift in run.found.shifts if shift.beginnings > 1]
    tested = len({shift.position for shift in differing})
    if any(tested * 2.0 ** (1 - shift.beginnings) > SHIFT_LEVEL for shift in differing):
        notes.append(
            "With so few documents that differ, no test over documents can reach p 0.05 at some positions, so that nothing is named there."
        )
    return [*notes, *found.notes]


def _left_out(found: StudyFirstTokens) -> list[str]:
    said = list(found.left_out)
    reasons: dict[str, list[str]] = {}
    for run in found.runs:
        if run.found.random_missing is not None:
            name = f"{task_title(run.task)}, {method_title(run.method)}, seed {run.seed}"
            reasons.setdefault(run.found.random_missing, []).append(name)
    said += [f"{listed(names)}: {reason}" for reason, names in reasons.items()]
    missing: dict[str, int] = {}
    for run in found.runs:
        for shift in run.found.shifts:
            if shift.missing is not None:
                missing[shift.missing] = missing.get(shift.missing, 0) + 1
    total = sum(len(run.found.shifts) for run in found.runs)
    return said + [
        f"{reason} ({count} of {total} readings, one for each model, layer and position)"
        for reason, count in missing.items()
    ]
