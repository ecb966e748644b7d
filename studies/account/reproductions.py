"""Models of the study that were drawn at random and made again from its committed results: `repdrift reproduce`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from studies.account.cells import table
from studies.account.facts import StudyFacts

from repdrift.core.atomic import write_together
from repdrift.core.errors import DataError
from repdrift.core.reading import listed_folder
from repdrift.core.records.reproduction import REPRODUCTION_FILE, ReproducedModel, Reproduction
from repdrift.core.reproduction_words import (
    HEADER,
    farthest_apart,
    how_judged,
    printed_drift,
    printed_score,
    reproduction_answer,
    reproduction_rows,
)
from repdrift.core.words import counted, listed, markdown_text, method_title, task_title

REPRODUCED = "reproduced"
"""The folder of such records beside an account."""


def commit_reproductions(folders: Sequence[Path], account: Path) -> None:
    """Take the records of reproductions over, in the order of their folders, in place of those that are there.

    Raises DataError if one is missing or damaged, before anything is changed.
    """
    records = [Reproduction.read(folder / REPRODUCTION_FILE) for folder in folders]
    into = account / REPRODUCED
    write_together(into, {f"{number}.json": each.file_text().encode() for number, each in enumerate(records, start=1)})
    for file in listed_folder(into):
        if file.suffix == ".json" and file.stem.isdigit() and int(file.stem) > len(records):
            file.unlink()


def read_reproductions(account: Path, facts: StudyFacts, parts: Mapping[str, StudyFacts]) -> list[Reproduction]:
    """Returns the records beside an account, in order; none if there are none.

    Raises DataError if what one of them calls published is not what the results beside it have.
    """
    folder = account / REPRODUCED
    if not folder.is_dir():
        return []
    files = sorted((file for file in listed_folder(folder) if file.suffix == ".json"), key=lambda file: int(file.stem))
    records = [Reproduction.read(file) for file in files]
    for file, record in zip(files, records, strict=True):
        for model in record.models:
            drift = parts.get(model.task, facts).data.drift(model.task, model.method)
            here = drift.loc[[model.seed]].to_numpy(dtype=float)[0].tolist() if model.seed in drift.index else []
            if [*map(printed_drift, here)] != [*map(printed_drift, model.drift_published)]:
                raise DataError(
                    f"{file}: what was published of {model.task}, {model.method}, seed {model.seed} is not what the results have now. Make it again: repdrift reproduce"
                )
    return records


def reproductions_text(records: Sequence[Reproduction]) -> str:
    """Returns the answers, one table of all models, how they were judged, and every caution once."""
    apart = [sentence for each in records for model in each.models if (sentence := farthest_apart(model))]
    notes = list(dict.fromkeys([*apart, how_judged(records[0]), *(note for each in records for note in each.cautions)]))
    rows = [row for each in records for row in reproduction_rows(each)]
    return "\n".join(
        [
            *(f"- {markdown_text(line)}" for each in records for line in reproduction_answer(each)),
            "",
            table(list(HEADER), [[markdown_text(cell) for cell in row] for row in rows]),
            "",
            *(f"- {markdown_text(note)}" for note in notes),
        ]
    )


def not_made_again(records: Sequence[Reproduction]) -> list[str]:
    """Names each arm of which a model came out otherwise when it was made again: what the published seeds of one machine do not show."""
    arms: dict[tuple[str, str], list[ReproducedModel]] = {}
    for record in records:
        for model in record.models:
            arms.setdefault((model.task, model.method), []).append(model)
    sentences: list[str] = []
    for (task, method), models in arms.items():
        otherwise = [model for model in models if model.verdict == "differs" or model.learnt_otherwise]
        if otherwise:
            sentences.append(
                f"How often a training of {method_title(method)} on {task_title(task)} comes out otherwise on another machine. Of {counted(len(models), 'training')} made again, "
                f"{len(otherwise)} did: {listed([_came_out(model) for model in otherwise])}. The published seeds cannot show it."
            )
    return [markdown_text(sentence) for sentence in sentences]


def _came_out(model: ReproducedModel) -> str:
    learnt = ", and one of the two has not learnt its task" if model.learnt_otherwise else ""
    if model.mean_again is None:
        return f"seed {model.seed} diverged"
    if model.metric is None:
        return f"seed {model.seed} (mean drift {printed_drift(model.mean_again)} in place of {printed_drift(model.mean_published)}{learnt})"
    again, published = (printed_score(score, model.metric) for score in (model.score_again, model.score_published))
    return f"seed {model.seed} ({model.metric} {again} in place of {published}{learnt})"
