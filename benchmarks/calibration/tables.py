"""The table in Markdown: one row for what is tested and the truth, one column for each design."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.calibration.cells import Cell

HEADINGS = {
    "models": "A. Over trained models",
    "samples": "B. Over samples, for given models",
    "both": "C. Over models and samples",
    "groups": "D. Over samples that come in groups",
    "logs": "E. Tests of log drift over trained models",
}
MARKS = {"met": "", "none": "", "cautious": " +", "as stated": " *", "FAILED": " **FAILED**"}


def markdown(cells: Sequence[Cell]) -> str:
    """Returns the tables of all cells by level, then the cells outside their target one by one."""
    parts: list[str] = []
    for level, heading in HEADINGS.items():
        here = [c for c in cells if c.level == level]
        if here:
            parts += [f"## {heading}", "", *_level(here), ""]
    parts += ["## Outside the target", "", *_outside(cells)]
    return "\n".join(parts) + "\n"


def counts(cells: Sequence[Cell]) -> str:
    """Returns the number of cells with each verdict, as a sentence."""
    found = {verdict: sum(c.verdict == verdict for c in cells) for verdict in MARKS}
    return (
        f"{len(cells)} cells: {found['met']} meet their target, {found['cautious']} intervals cover more than 97 % (+), "
        f"{found['none']} have no test or interval, by design, "
        f"{found['as stated']} are outside it where an assumption is broken, as far as is stated (*), "
        f"{found['FAILED']} fail."
    )


def _level(cells: Sequence[Cell]) -> Iterator[str]:
    designs = list(dict.fromkeys(c.design for c in cells))
    errors = sorted(100 * c.error for c in cells if c.given)
    yield (
        f"In percent. Monte Carlo standard errors: {errors[len(errors) // 2]:.1f} in the middle, {errors[-1]:.1f} at most "
        "(where there are few intervals)."
    )
    yield ""
    yield "| what | truth | target | " + " | ".join(designs) + " |"
    yield "|---|---|---|" + "---|" * len(designs)
    exact = {c.design: c.exact_level for c in cells if c.exact_level is not None}
    if exact:
        levels = [f"{100 * exact[d]:.1f}" if d in exact else "" for d in designs]
        yield "| largest level up to 5 % that all label arrangements allow | | | " + " | ".join(levels) + " |"
    rows = dict.fromkeys((c.what, c.truth) for c in sorted(cells, key=lambda c: _order(cells, c)))
    for what, truth in rows:
        of_row = {c.design: c for c in cells if (c.what, c.truth) == (what, truth)}
        target = _target(next(iter(of_row.values())))
        shown = [_shown(of_row[d]) if d in of_row else "" for d in designs]
        yield f"| {what} | {truth} | {target} | " + " | ".join(shown) + " |"


def _order(cells: Sequence[Cell], cell: Cell) -> int:
    """Returns the rows with those of one procedure together, in the order in which procedures appear."""
    return list(dict.fromkeys(c.what for c in cells)).index(cell.what)


def _target(cell: Cell) -> str:
    low, high = (100 * bound for bound in cell.target)
    if cell.kind == "rejection":
        return f"at most {high:g}"
    return f"at least {low:g}" if cell.kind == "coverage, one-sided" else f"{low:g} to {high:g}"


def _shown(cell: Cell) -> str:
    if cell.given == 0:
        return "none"
    some = "" if cell.given == cell.simulations else f" (of {100 * cell.given / cell.simulations:.0f} %)"
    return f"{100 * cell.share:.1f}{some}{MARKS[cell.verdict]}"


def _outside(cells: Sequence[Cell]) -> Iterator[str]:
    found = [c for c in cells if c.verdict in ("FAILED", "as stated")]
    if not found:
        yield "Nothing."
        return
    yield "| what | truth | design | % | error | verdict | what follows |"
    yield "|---|---|---|---|---|---|---|"
    for c in found:
        follows = c.limit.assumption if c.limit is not None else ""
        yield (
            f"| {c.what} | {c.truth} | {c.design} | {100 * c.share:.1f} | {100 * c.error:.1f} | {c.verdict} | {follows} |"
        )
