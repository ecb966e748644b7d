"""Results of a study as they are committed beside its account: the results file compressed, and the table of drifts."""

from __future__ import annotations

import gzip
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from hashlib import sha256
from io import BytesIO
from pathlib import Path

from PIL import Image

from repdrift.core.atomic import write_together
from repdrift.core.errors import DataError
from repdrift.core.reading import reading_errors
from repdrift.core.records.results import RESULTS_FILE, TABLE_PARQUET, DriftResults
from repdrift.core.shared_paths import shareable
from repdrift.core.words import listed
from repdrift.drift.hidden_texts import without_texts
from repdrift.report import visualize
from repdrift.report.figures import figure_named
from repdrift.report.report_data import ReportData, read_report_data
from repdrift.sharing.merging import merge_studies
from repdrift.sharing.opened_results import COMPRESSED, unpacked_results

FIGURES = ("drift_by_layer", "frontier", "drift_reduction", "forgetting", "likeness_of_directions")
"""The figures that lie beside the text of an account, where the results can give them."""
FIGURES_OF_RATES = ("forgetting", "frontier")
"""Those of the study of learning rates."""
FIGURES_FOLDER = "figures"
FIGURES_FOLDER_OF_RATES = "figures_of_rates"
FIGURES_OF_DECODER = ("drift_by_layer", "frontier", "forgetting")
"""Those of the study of a decoder."""
FIGURES_FOLDER_OF_DECODER = "figures_of_decoder"
TOGETHER = "together"
"""The folder of what follows from the tables of several tasks' analyses."""
MOST_BYTES = 5_000_000
"""Bytes that the folder of an account may hold in all."""


def commit_results(analysis: Path, into: Path, *, briefly: bool = False) -> None:
    """Write the results and the table of an analysis to `into`, compressed, with absolute paths shortened and without texts of the data set's rows.

    briefly: leave out what is measured on weights, samples and pairs of models, and of the table all but drifts by the measure that is tested, without their intervals over samples.
    Raises DataError if they are missing, damaged, or not of one analysis. The same results give the same bytes.
    """
    with results_of(analysis) as file:
        data = read_report_data(file)  # refuses what does not belong together
        results = without_texts(shareable(DriftResults.read(file)))
        with reading_errors(file.with_name(TABLE_PARQUET)):
            table = file.with_name(TABLE_PARQUET).read_bytes()
    if briefly:
        table = _brief_table(data)
        results = results.model_copy(update={"moved": None, "table_sha256": {TABLE_PARQUET: sha256(table).hexdigest()}})
    packed = gzip.compress(results.file_text().encode(), mtime=0)
    write_together(into, {TABLE_PARQUET: table, COMPRESSED: packed})


def _brief_table(data: ReportData) -> bytes:
    rows = data.table[data.table["measure"] == data.results.study.primary_measure]
    content = BytesIO()
    rows.assign(drift_low=float("nan"), drift_high=float("nan"), interval=None).to_parquet(content, index=False)
    return content.getvalue()


def commit_task(analysis: Path, into: Path, order: Sequence[str] = ()) -> None:
    """Write an analysis of one task to the folder of its name in `into`, and, as soon as there are others, what follows from the tables of all.

    An analysis of several tasks is written to `into` itself, in place of those that are there of its tasks. order: of the tasks in what is put together; others follow. Raises DataError as `commit_results` does, or if the task is one of several that are in `into` itself; SampleSetMismatchError if the analyses do not belong together.
    """
    tasks = _tasks_of(analysis)
    here = into if len(tasks) > 1 else into / tasks[0]
    others = {folder: found for folder in analyses(into) if not set(found := _tasks_of(folder)) <= set(tasks)}
    for folder, found in others.items():
        if both := set(found) & set(tasks):
            raise DataError(f"{folder} holds results of {listed(found)}, measured together, {listed(sorted(both))} among them. Take over an analysis of all of these")  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        together = None
        if others:  # before anything is written: what does not belong together is refused
            together = _put_together({analysis: tasks, **others}, place, order)
        for folder in analyses(into):
            if folder not in others and folder != here:  # this analysis is in place of theirs
                _delete_results(folder)
        commit_results(analysis, here)
        if together is not None:
            commit_results(together, into / TOGETHER, briefly=True)
        else:
            _delete_results(into / TOGETHER)


def commit_again(analysis: Path, into: Path) -> None:
    """Write an analysis of one task that was trained once more, on another machine, to the folder of its name in `into`: what is told of it beside the first.

    Raises DataError as `commit_results` does, or if it is of several tasks.
    """
    tasks = _tasks_of(analysis)
    if len(tasks) != 1:
        raise DataError(f"{analysis} should be of one task; found {listed(tasks)}")
    commit_results(analysis, into / tasks[0], briefly=True)


def _put_together(found: Mapping[Path, Sequence[str]], place: Path, order: Sequence[str]) -> Path:
    """Merge committed analyses from their tables: the folder of what follows, beneath `place`. The sources are named by their tasks, wherever they lie."""
    ranks = {task: rank for rank, task in enumerate(order)}
    ordered = sorted(
        found, key=lambda folder: (min(ranks.get(task, len(ranks)) for task in found[folder]), found[folder])
    )
    names = {"_and_".join(found[folder]): folder for folder in ordered}
    for name, folder in names.items():
        with results_of(folder) as file:
            (place / name).mkdir()
            for part in (file, file.with_name(TABLE_PARQUET)):
                shutil.copy(part, place / name / part.name)
    with chdir(place):
        return place / merge_studies(list(names), Path(TOGETHER), name="reference").analysis


def _delete_results(folder: Path) -> None:
    for name in (TABLE_PARQUET, COMPRESSED, RESULTS_FILE):
        (folder / name).unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _tasks_of(folder: Path) -> list[str]:
    with results_of(folder) as file:
        return list(DriftResults.read(file).study.tasks)


def analyses(folder: Path) -> list[Path]:
    """The folders of results that were measured from representations: `folder` itself, where it holds some, then those of single tasks in it by name."""
    if not folder.is_dir():
        return []
    within = [path for path in sorted(folder.iterdir()) if path.name != TOGETHER and has_results(path)]
    return [*([folder] if has_results(folder) else []), *within]


def whole_folder(folder: Path) -> Path:
    """The folder of the results over all tasks: what was put together in `folder`, the results that lie in it, or those of the only task in it."""
    if has_results(folder / TOGETHER):
        return folder / TOGETHER
    return next(iter(analyses(folder)), folder)


@contextmanager
def results_of(folder: Path) -> Iterator[Path]:
    """A results file with its table beside it, for as long as the block runs: the committed one, unpacked, or one that lies there as it is.

    Raises DataError if there is none, or if it is damaged.
    """
    if not (folder / COMPRESSED).is_file():
        yield folder / RESULTS_FILE
        return
    with unpacked_results(folder / COMPRESSED) as file:
        yield file


def draw_figures(folder: Path) -> None:
    """Draw the figures of the committed results of an account into its folder; those that these results cannot give are deleted.

    What all tasks together cannot give is drawn for each analysis by itself, in a folder of its name.
    """
    whole = whole_folder(folder / "results")
    _draw(whole, folder / FIGURES_FOLDER, FIGURES)
    missing = [name for name in FIGURES if not (folder / FIGURES_FOLDER / f"{name}.png").is_file()]
    parts = [part for part in analyses(folder / "results") if part != whole]
    for part in parts:
        _draw(part, folder / FIGURES_FOLDER / part.name, missing)
    for drawn in (folder / FIGURES_FOLDER).glob("*/"):
        if drawn.name not in {part.name for part in parts}:
            shutil.rmtree(drawn)


def draw_figures_of_rates(folder: Path) -> None:
    """The same for the study of learning rates."""
    _draw(folder / "rates", folder / FIGURES_FOLDER_OF_RATES, FIGURES_OF_RATES)


def draw_figures_of_decoder(folder: Path) -> None:
    """The same for the study of a decoder."""
    _draw(folder / "decoder", folder / FIGURES_FOLDER_OF_DECODER, FIGURES_OF_DECODER)


def _draw(results: Path, into: Path, names: Sequence[str]) -> None:
    with results_of(results) as file:
        data = read_report_data(file)
        possible = [name for name in names if figure_named(name).possible(data)]
        for drawn in into.glob("*.png"):
            drawn.unlink()
        if possible:
            visualize(file, into, figure_names=possible, formats=("png",))
            for drawn in into.glob("*.png"):
                keep_few_colours(drawn)


def keep_few_colours(picture: Path) -> None:
    """Write a picture anew with 256 colours, which for lines on white are as many as the eye tells apart, in a third of the bytes."""
    with Image.open(picture) as image:
        resolution = image.info.get("dpi")
        few = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    content = BytesIO()
    few.save(content, "png", optimize=True, **({"dpi": resolution} if resolution else {}))
    write_together(picture.parent, {picture.name: content.getvalue()})


def has_results(folder: Path) -> bool:
    """True if there are results in the folder, compressed or not."""
    return any((folder / name).is_file() for name in (COMPRESSED, RESULTS_FILE))


def require_small(folder: Path) -> None:
    """Raises DataError if the folder of an account holds more than may be committed."""
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if total > MOST_BYTES:
        raise DataError(
            f"{folder} holds {total:,} bytes, and {MOST_BYTES:,} may be committed. Analyse with fewer sections: "
            "repdrift analyze --no-samples --no-grid --no-directions"
        )
