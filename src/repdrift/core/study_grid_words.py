"""Layer grids of a study in words: in how many models content stands in another layer, and where."""

from __future__ import annotations

from repdrift.core.layer_grid_words import TITLE, rows_in_words
from repdrift.core.records.layer_grid import LayerMoveContrast, RunGrid, StudyGrid
from repdrift.core.records.results import DriftResults
from repdrift.core.worded_section import CaptionedTable, WordedSection
from repdrift.core.words import counted, layers_named, method_title, pvalue, task_title

_CAPTION = (
    "Own layer best: tuned layers that match the base layer of their number best, told from all others (95 %, all layers of a model together). "
    "As good: layers whose set of best matches has their own number in it, and others."
)


def study_grid_section(results: DriftResults) -> WordedSection | None:
    """The section; None if the results have no grid."""
    grid = None if results.moved is None else results.moved.grid
    if grid is None:
        return None
    rows = [_row(run) for run in grid.runs]
    header = ["task", "method", "seed", "own layer best", "as good", "moved up", "moved down"]
    first = grid.runs[0].found
    notes = [
        f"Rows: {rows_in_words(first)}. Similarity: debiased CKA; grid.parquet has every pair of layers of every model."
    ]
    notes += [f"Intervals: {first.interval}; they are conditional on the trained models."] if first.interval else []
    notes.append(
        "Content counts as moved only where a tuned layer is nearer to another base layer than to its own, and nearer than the base model's own layer "
        "of that number is. Up is away from the input."
    )
    notes += list(dict.fromkeys(note for run in grid.runs for note in run.found.notes))
    table = CaptionedTable("Best base layers of the tuned layers", _CAPTION, header, rows)
    return WordedSection("grid", TITLE, _answer(grid), [table], notes, grid.left_out)


def _answer(grid: StudyGrid) -> list[str]:
    told = [run for run in grid.runs if run.found.no_interval is None]
    said: list[str] = []
    if told:
        moved = [run for run in told if any(at.moved for at in run.found.of_tuned)]
        if not moved:
            said.append(
                f"In none of {counted(len(told), 'model')} is content shown to stand in another layer than before."
            )
        else:
            said.append(
                f"In {len(moved)} of {counted(len(told), 'model')} content stands in another layer than before."
            )
            said += [_moved(run) for run in moved[:4]]
    said += [_contrast(contrast) for contrast in grid.contrasts]
    for reason in dict.fromkeys(run.found.no_interval for run in grid.runs if run.found.no_interval):
        said.append(f"Whether a layer matches another one best cannot be told for some models: {reason}.")
    return said


def _moved(run: RunGrid) -> str:
    moved = {way: [at.layer for at in run.found.of_tuned if at.moved == way] for way in ("up", "down")}
    parts = [f"{way} in {layers_named(layers)}" for way, layers in moved.items() if layers]
    return f"{task_title(run.task)}, {method_title(run.method)}, seed {run.seed}: content moved {' and '.join(parts)}."


def _contrast(found: LayerMoveContrast) -> str:
    sides = f"{method_title(found.method)} against {method_title(found.reference)}"
    tail = f"{counted(found.models, 'model')} against {found.reference_models}"
    if found.mean == found.reference_mean == 0:
        return f"{sides}: content is not shown to stand in another layer under either, on average over layers ({tail})."
    means = f"{found.mean:+.2f} layers against {found.reference_mean:+.2f} (mean over the layers of a model; above 0 is away from the input; {tail})"
    said = f"{sides}: content moved by {means}"
    if found.estimate is not None:
        said += f", a difference of {found.estimate:+.2f}"
        said += "" if found.low is None or found.high is None else f" ({found.low:+.2f} to {found.high:+.2f})"
    if found.p_adjusted is not None:
        return f"{said}; p {pvalue(found.p_adjusted)} over models."
    return f"{said}; not tested: {found.note}." if found.note else f"{said}; not tested."


def _row(run: RunGrid) -> list[str]:
    matches = run.found.of_tuned
    alone = sum(at.as_good == [at.layer] for at in matches)
    among = sum(at.layer in at.as_good and len(at.as_good) > 1 for at in matches)
    up, down = ([at.layer for at in matches if at.moved == direction] for direction in ("up", "down"))
    words = [layers_named(layers) if layers else "" for layers in (up, down)]
    return [
        task_title(run.task),
        method_title(run.method),
        str(run.seed),
        f"{alone} of {len(matches)}",
        str(among),
        *words,
    ]
