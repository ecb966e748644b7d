"""Cautions by how much they change the reading of a result, and the few lines that a screen has for them.

Sentences come from many rooms. A kind that must never be dropped is told from the records where they have it, else by the words that its
sentences have; a test makes each sentence in the room it comes from, so that a change of its words is seen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from repdrift.core.words import counted, listed
from repdrift.report.glance.screen import Screen, wrapped

MOST_SHOWN = 3


class Kind(IntEnum):
    """Kinds of cautions, the most serious first."""

    NOT_COMPARED = 0
    OTHER_BASE = 1
    STALE = 2
    FAILED_CONTROL = 3
    NOT_LEARNT = 4
    ONE_FEATURE = 5
    UNCHANGED = 6
    MISSING_RUNS = 7
    NO_CONTROL = 8
    ROUNDED = 9
    LEARNING_RATES = 10
    OTHER = 11


_TITLES = {
    Kind.NOT_COMPARED: "not compared",
    Kind.OTHER_BASE: "another base model",
    Kind.STALE: "files that do not belong together",
    Kind.FAILED_CONTROL: "a failed control",
    Kind.NOT_LEARNT: "models that have not learnt",
    Kind.ONE_FEATURE: "one feature that holds the variance",
    Kind.UNCHANGED: "models that changed nothing or are one",
    Kind.MISSING_RUNS: "missing runs",
    Kind.NO_CONTROL: "a missing control",
    Kind.ROUNDED: "weights that are rounded or in few bits",
    Kind.LEARNING_RATES: "how learning rates were chosen",
}
"""Kinds that are named even where there is no room for their sentence."""

_TOLD_BY = (
    (
        Kind.NOT_COMPARED,
        r"(?:was|were) not compared: |has no drift by layer|is the only method of this study|It is left out of|cannot be compared",
    ),
    (
        Kind.OTHER_BASE,
        r"was trained on (?:'|\"|revision )|hardly tuned from it|another model than this base was tuned|has other settings than the base model's",
    ),
    (
        Kind.STALE,
        r"was measured with (?:an)?other |one of the two is older|was read off other representations|out ?of ?date|changed since",
    ),
    (Kind.NOT_LEARNT, r"(?:has|have) not learnt|(?i:not) known whether .{0,80} learnt"),
    (
        Kind.UNCHANGED,
        r"changes? nothing|changed (?:almost )?nothing|next to nothing|nothing is known to have moved|have the same weights|drift is (?:exactly )?zero",
    ),
    (Kind.MISSING_RUNS, r"planned runs are not there"),
    (Kind.NO_CONTROL, r"(?i:control) of .*(?:is|are) missing|(?i:noise) floor.* is missing|No controls were run"),
    (Kind.ROUNDED, r"\brounded\b|\brounding\b|quantised|\b\d-bit\b"),
    (Kind.LEARNING_RATES, r"learning rates?"),
)


@dataclass(frozen=True)
class Caution:
    """One caution. text: a whole sentence."""

    kind: Kind
    text: str


def kind_of(sentence: str) -> Kind:
    """Returns the kind of a caution by its words; OTHER for one that no kind knows."""
    return next((kind for kind, words in _TOLD_BY if re.search(words, sentence)), Kind.OTHER)


def caution_lines(cautions: Sequence[Caution], screen: Screen, *, where: str, lines_each: int = 2) -> list[str]:
    """Returns at most three cautions, the most serious first, each of another kind if there are so many kinds; then how many there are beside them.

    where: the file that has all of them. lines_each: the most lines of one. A serious kind whose sentence has no room is named in the last line.
    """
    groups = _groups(cautions)
    shown = groups[:MOST_SHOWN] if len(groups) > MOST_SHOWN else _single(groups)[:MOST_SHOWN]
    lines: list[str] = []
    for group in shown:
        more = f" (and {len(group) - 1} more of this kind)" if len(group) > 1 else ""
        lines += _mind(group[0].text, more, screen, lines_each)
    left = len(cautions) - sum(len(group) for group in shown)
    hidden = [c for group in groups for c in group if not any(c in of_shown for of_shown in shown)]
    if left:
        kinds = list(dict.fromkeys(_TITLES[c.kind] for c in hidden if c.kind in _TITLES))
        named = f", among them {listed(kinds)}" if kinds else ""
        lines += wrapped(f"{counted(left, 'more caution')} in {where}{named}", screen, first="      ", most=2)
    return lines


def _mind(text: str, more: str, screen: Screen, most: int) -> list[str]:
    whole = wrapped(f"{text}{more}", screen, first="mind: ")
    if len(whole) <= most:
        return whole
    shorter = wrapped(text, screen, first="mind: ", most=most)
    return shorter if not more else [*shorter[:-1], _with_end(shorter[-1], more, screen)]


def _with_end(line: str, more: str, screen: Screen) -> str:
    """Returns the last line of a caution that was cut, cut further so that the words on others of its kind fit behind it."""
    words = line.split(" ")
    while len(" ".join(words)) + len(more) > screen.width and len(words) > 1:
        words = [*words[:-2], screen.cut]
    return " ".join(words) + more


def _groups(cautions: Sequence[Caution]) -> list[list[Caution]]:
    by_kind: dict[Kind, list[Caution]] = {}
    for caution in sorted(cautions, key=lambda c: c.kind):
        by_kind.setdefault(caution.kind, []).append(caution)
    found: list[list[Caution]] = []
    for kind, group in by_kind.items():
        found += [group] if kind in _TITLES else [[caution] for caution in group]
    return found


def _single(groups: Sequence[Sequence[Caution]]) -> list[list[Caution]]:
    """The cautions one by one if all of them fit, else in their groups."""
    alone = [[caution] for group in groups for caution in group]
    return alone if len(alone) <= MOST_SHOWN else [list(group) for group in groups]
