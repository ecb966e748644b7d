"""Makes models of a published study again from its results alone, and writes what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from repdrift.core.atomic import require_writable, write_together
from repdrift.core.progress import say, say_step
from repdrift.core.records.base import library_versions
from repdrift.core.records.reproduction import (
    REPRODUCTION_FILE,
    REPRODUCTION_MARKDOWN,
    ReproducedModel,
    Reproduction,
)
from repdrift.core.reproduction_words import reproduction_markdown
from repdrift.core.words import counted, listed
from repdrift.sharing.reproduction.drawn import Drawn, draw
from repdrift.sharing.reproduction.made_again import make_again
from repdrift.sharing.reproduction.model_study import model_study, require_the_same
from repdrift.sharing.reproduction.published import PublishedStudy, read_published
from repdrift.study.inputs import StudyInputs
from repdrift.study.readiness import ready_jobs

CONFIDENCE = 0.95
"""Probability that no number of a faithful reproduction lies outside, if its models are as far from the published ones as another seed."""


REPRODUCED = Path("reproduced")
"""Folder for reproductions, each in a folder of its study's name."""


@dataclass(frozen=True)
class Reproduced:
    """A finished reproduction. folder: of its files, and of the models that were trained."""

    record: Reproduction
    folder: Path


def reproduce(
    where: str,
    output: Path | None = None,
    *,
    count: int = 2,
    picks: Sequence[str] = (),
    tasks: Sequence[str] = (),
    random_seed: int | None = None,
    data_dir: str | None = None,
) -> Reproduced:
    """Train models of the results at `where` again, measure them, and write REPRODUCTION_FILE and REPRODUCTION_MARKDOWN to `output`.

    output: a folder; None takes one of the study's name. count: models to draw at random with `random_seed` (None: a new one), from those of `tasks` (empty: all), unless `picks` names them. data_dir: where the data is. All that can be
    known beforehand is checked before the first is trained; a model that was finished in `output` is not trained again.
    Raises ConfigError, DataError and UnknownNameError as `read_published` and `draw` do, SampleSetMismatchError if base model, rows, samples or
    settings are not the published ones, and StorageError if `output` cannot be written.
    """
    study = read_published(where)
    drawn = draw(study, count, picks=picks, tasks=tasks, random_seed=random_seed)
    output = output or REPRODUCED / study.results.study.name
    require_writable(output)
    for line in _beginning(study, drawn):
        say(line)
    ready: list[StudyInputs] = []
    for model in drawn.models:
        inputs = StudyInputs(model_study(study, model, output, data_dir))
        require_the_same(study, model, inputs)
        ready_jobs(inputs, [model.run])
        ready.append(inputs)
    confidence = 1 - (1 - CONFIDENCE) / (2 * len(drawn.models))
    models: list[ReproducedModel] = []
    for model, inputs in zip(drawn.models, ready, strict=True):
        models.append(make_again(study, model, inputs, confidence))
        say_step(len(models), len(drawn.models), "models", f"{model.name}: {models[-1].verdict}")
    results = study.results
    record = Reproduction(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        study=results.study.name,
        model=results.study.model,
        results_sha256=study.sha256,
        measure=results.study.primary_measure,
        measure_title=results.study.measure_titles.get(results.study.primary_measure, results.study.primary_measure),
        random_seed=drawn.random_seed,
        models_to_draw_from=drawn.of,
        tasks=list(tasks),
        confidence=CONFIDENCE,
        models=models,
        versions=library_versions(),
        cautions=_cautions(study, models),
    )
    write_together(
        output,
        {
            REPRODUCTION_FILE: record.file_text().encode(),
            REPRODUCTION_MARKDOWN: reproduction_markdown(record).encode(),
        },
    )
    return Reproduced(record, output)


def _beginning(study: PublishedStudy, drawn: Drawn) -> list[str]:
    """Lines on what is made again, how it was chosen, and how long its training took when it was published."""
    names = listed([model.name for model in drawn.models])
    minutes = [f"{model.trained.wall_time_s / 60:.2g}" for model in drawn.models]
    lines = [
        f"{study.results.study.name}: making {names} again; their published training took {listed(minutes)} minutes"
    ]
    if drawn.random_seed is not None:
        lines.append(f"drawn from {counted(drawn.of, 'model')}; to draw them again, or to go on after a stop: --random-seed {drawn.random_seed}")  # fmt: skip
    return lines


def _cautions(study: PublishedStudy, models: Sequence[ReproducedModel]) -> list[str]:
    """Sentences that change how the numbers are read: other libraries, another or an unknown processor, models that the results do not describe."""
    found: list[str] = []
    now = library_versions()
    then: dict[str, set[str]] = {}
    for model in models:
        for name, version in model.versions_published.items():
            then.setdefault(name, set()).add(version)
    others = [
        f"{name} {now.get(name, 'absent')} (published: {listed(sorted(versions))})"
        for name, versions in then.items()
        if versions != {now.get(name)}
    ]
    if others:
        found.append(f"Other versions than those that the published models were trained with: {listed(others)}.")
    if any(model.processor_published != model.processor_again for model in models):
        known = sorted({model.processor_published or "not told by the results" for model in models})
        here = sorted({model.processor_again or "not known" for model in models})
        found.append(
            f"Another processor, or one that is not known to be the same: {listed(here)} here; published: {listed(known)}. Sums are added up in another order there, "
            "and training lets the differences grow."
        )
    finals = [run for run in study.results.runs if run.step == 0 and run.status == "ok"]
    if len(finals) > len(study.models):
        found.append(
            f"The results do not tell how {len(finals) - len(study.models)} of {len(finals)} models were trained; these could not be drawn."
        )
    return found
