"""Layer grids in words: whether content moved to another layer, and which layers match which."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.records.layer_grid import BestLayer, ModelGrid
from repdrift.core.worded_section import CaptionedTable, WordedSection
from repdrift.core.words import layer_ranges, layers_named, listed, number

TITLE = "Layer by layer"
_MOST_NAMED = 4
_CAPTION = (
    "Similarity is debiased CKA. Best match: the layer of the other model that this one is most alike; as good: layers that are not shown to "
    "match worse (95 %, all layers together). Own: the layer of the same number."
)


def grid_answer(grid: ModelGrid) -> list[str]:
    """Sentences on one model: what moved, then how well layers can be told apart."""
    if grid.no_interval is not None:
        return [f"Whether a layer matches another one best cannot be told: {grid.no_interval}.", _best_in_words(grid)]
    said: list[str] = []
    if grid.by_number:
        said = [_moves(direction, grid.of_tuned) for direction in ("up", "down")]
        said = [sentence for sentence in said if sentence]
        if not said:
            said = ["No content is shown to stand in another layer than before."]
    return [*said, _best_in_words(grid)]


def worded_grid(grid: ModelGrid) -> WordedSection:
    """The section on one model: answer, and a table of best matches for each side."""
    header = ["layer", "best match", "as good", "similarity", "ahead of the next", "own", "moved"]
    tables = [
        CaptionedTable("Best base layer of each tuned layer", _CAPTION, header, [_row(at) for at in grid.of_tuned]),
        CaptionedTable(
            "Best tuned layer of each base layer", _CAPTION, header[:-1], [_row(at)[:-1] for at in grid.of_base]
        ),
    ]
    notes = [f"Rows: {rows_in_words(grid)}."]
    if grid.interval is not None:
        notes.append(f"Intervals: {grid.interval}; layers are told apart at 95 % for all layers of a model together.")
    if grid.by_number:
        notes.append(
            "Content counts as moved only where the tuned layer is nearer to the other base layer than to its own, and nearer than the base "
            "model's own layer of that number is: layers that were alike before are no move. Up is away from the input."
        )
    return WordedSection("grid", TITLE, grid_answer(grid), tables, [*notes, *grid.notes])


def rows_in_words(grid: ModelGrid) -> str:
    """Tells what a row of the representations is, with their number."""
    words = {
        "text": "one for each text, pooled",
        "token": "one for each token",
        "word": "one for each word, the mean over its tokens",
    }
    return f"{grid.rows}, {words[grid.row_is]}"


def _moves(direction: str, matches: Sequence[BestLayer]) -> str:
    moved = [at for at in matches if at.moved == direction]
    if not moved:
        return ""
    runs: list[list[BestLayer]] = []
    for at in moved:
        if runs and at.layer - at.best == runs[-1][-1].layer - runs[-1][-1].best and at.layer == runs[-1][-1].layer + 1:
            runs[-1].append(at)
        else:
            runs.append([at])
    named = [_run(run) for run in runs[:_MOST_NAMED]]
    more = f", and {len(runs) - _MOST_NAMED} more" if len(runs) > _MOST_NAMED else ""
    return f"Content moved {direction}: {listed(named)}{more}."


def _run(run: Sequence[BestLayer]) -> str:
    one = len(run) == 1
    here, there = layers_named([at.layer for at in run]), layers_named([at.best for at in run])
    return (
        f"tuned {here} {'holds' if one else 'hold'} what base {there} held (similarity {_span([at.value for at in run])}; "
        f"{_span([at.own for at in run if at.own is not None])} with {'its own number' if one else 'their own numbers'})"
    )


def _span(values: Sequence[float]) -> str:
    low, high = number(min(values)), number(max(values))
    return low if low == high else f"{low} to {high}"


def _best_in_words(grid: ModelGrid) -> str:
    """One sentence on how the layers of the tuned model match the base model's."""
    matches = grid.of_tuned
    if len(grid.of_base) < 2:
        return "The base model has one layer here, so no best match can be sought."
    if grid.no_interval is not None:
        return f"Highest values: {_pairs(matches)}."
    alone = [at for at in matches if at.as_good == [at.layer]]
    if len(alone) == len(matches):
        return "Every layer matches its own base layer best."
    if grid.by_number and alone:
        told = (
            f"{_capital(layers_named([at.layer for at in alone]))} {_match(alone)} their own base layer best".replace(
                "matches their", "matches its"
            )
        )
        rest = [at for at in matches if at not in alone]
        return f"{told}; {_pairs(rest)}."
    return f"Best matches: {_pairs(matches)}."


def _pairs(matches: Sequence[BestLayer]) -> str:
    """Tuned layers with their best base layers; neighbours with the same set are joined."""
    runs: list[list[BestLayer]] = []
    for at in matches:
        previous = runs[-1][-1] if runs else None
        if (
            previous is not None
            and at.layer == previous.layer + 1
            and (at.best, at.as_good) == (previous.best, previous.as_good)
        ):
            runs[-1].append(at)
        else:
            runs.append([at])
    said = [f"tuned {layers_named([at.layer for at in run])}: {_as_good(run[0])}" for run in runs[: 2 * _MOST_NAMED]]
    more = f"; and {len(runs) - 2 * _MOST_NAMED} more" if len(runs) > 2 * _MOST_NAMED else ""
    return "; ".join(said) + more


def _as_good(at: BestLayer) -> str:
    if len(at.as_good) == 1:
        return f"base layer {at.best}"
    return f"base {layers_named(at.as_good)} are as good ({at.best} highest)"


def _match(matches: Sequence[BestLayer]) -> str:
    return "match" if len(matches) > 1 else "matches"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _row(at: BestLayer) -> list[str]:
    interval = ""
    if at.ahead is not None:
        interval = number(at.ahead)
        if at.ahead_low is not None:
            interval += f" ({number(at.ahead_low)} to {number(at.ahead_high)})"
    return [
        str(at.layer),
        str(at.best),
        layer_ranges(at.as_good),
        number(at.value),
        interval,
        number(at.own, missing=""),
        at.moved or "",
    ]
