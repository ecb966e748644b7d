"""Makes models of a published study again from its results alone, and writes what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from repdrift.core.atomic import require_writable, write_together
from repdrift.core.errors import ConfigError, DataError
from repdrift.core.fingerprint import config_sha256
from repdrift.core.progress import say, say_step
from repdrift.core.reading import listed_folder, stands_there
from repdrift.core.records.base import library_versions
from repdrift.core.records.reproduction import (
    PLAN_FILE,
    REPRODUCTION_FILE,
    REPRODUCTION_MARKDOWN,
    ReproducedModel,
    Reproduction,
    ReproductionPlan,
)
from repdrift.core.reproduction_words import reproduction_markdown
from repdrift.core.words import counted, listed
from repdrift.sharing.reproduction.drawn import Drawn, draw
from repdrift.sharing.reproduction.made_again import make_again
from repdrift.sharing.reproduction.model_study import model_study
from repdrift.sharing.reproduction.published import PublishedModel, PublishedStudy, read_published
from repdrift.sharing.reproduction.reproduction_cautions import reproduction_cautions
from repdrift.sharing.reproduction.same_study import require_the_same, require_the_same_sets
from repdrift.study.extraction_stage import extract_base
from repdrift.study.inputs import StudyInputs
from repdrift.study.readiness import ready_jobs

CONFIDENCE = 0.95
"""Probability that no number of a faithful reproduction lies outside, if its models are as far from the published ones as another seed."""
REPRODUCED = Path("reproduced")
"""Folder for reproductions, each in a folder of its own."""


@dataclass(frozen=True)
class Reproduced:
    """A finished reproduction. folder: of its files, and of the models that were trained."""

    record: Reproduction
    folder: Path


@dataclass(frozen=True)
class Places:
    """Places of the base model and of the data; None takes what the results name, then the usual places."""

    base_model: str | None = None
    data_dir: Path | None = None


def reproduce(
    where: str,
    output: Path | None = None,
    *,
    count: int = 2,
    picks: Sequence[str] = (),
    tasks: Sequence[str] = (),
    random_seed: int | None = None,
    places: Places | None = None,
) -> Reproduced:
    """Train models of the results at `where` again, measure them, and write REPRODUCTION_FILE and REPRODUCTION_MARKDOWN to `output`.

    output: a folder that is new, or that an earlier start for the same models has left; None takes one below REPRODUCED. count: models to draw at random with
    `random_seed` (None: a new one), from those of `tasks` (empty: all), unless `picks` names them. What can be known beforehand is checked before the
    first is trained; a model that was finished in `output` is not trained again, and the record says so.
    Raises ConfigError, DataError and UnknownNameError as `read_published` and `draw` do; ConfigError for a folder of something else;
    SampleSetMismatchError if base model, rows, samples or settings are not the published ones, and StorageError if `output` cannot be written.
    """
    study = read_published(where)
    drawn = draw(study, count, picks=picks, tasks=tasks, random_seed=random_seed)
    output = output or REPRODUCED / _folder_name(study, drawn)
    _claim(output, study, drawn)
    for line in _beginning(study, drawn):
        say(line)
    ready = [(model, _checked(study, model, output, places or Places())) for model in drawn.models]
    confidence = 1 - (1 - CONFIDENCE) / (2 * len(drawn.models))
    models: list[ReproducedModel] = []
    for model, inputs in ready:
        try:
            models.append(make_again(study, model, inputs, confidence))
        except KeyboardInterrupt:
            if drawn.random_seed is not None:
                say(
                    f"the same models are drawn again, and what is finished is kept, with --random-seed {drawn.random_seed}"
                )
            raise
        say_step(len(models), len(drawn.models), "models", f"{model.name}: {models[-1].verdict}")
    told = study.results.study
    record = Reproduction(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        study=told.name,
        model=told.model,
        results_sha256=study.sha256,
        measure=told.primary_measure,
        measure_title=told.measure_titles.get(told.primary_measure, told.primary_measure),
        random_seed=drawn.random_seed,
        models_to_draw_from=drawn.of,
        tasks=list(tasks),
        confidence=CONFIDENCE,
        models=models,
        versions=library_versions(),
        cautions=reproduction_cautions(study, models),
    )
    write_together(
        output,
        {
            REPRODUCTION_FILE: record.file_text().encode(),
            REPRODUCTION_MARKDOWN: reproduction_markdown(record).encode(),
        },
    )
    return Reproduced(record, output)


def _checked(study: PublishedStudy, model: PublishedModel, output: Path, places: Places) -> StudyInputs:
    """The inputs of one model, after everything was checked that is known before training; the base model's set is extracted for it."""
    inputs = StudyInputs(model_study(study, model, output, base_model=places.base_model, data_dir=places.data_dir))
    require_the_same(study, model, inputs)
    ready_jobs(inputs, [model.run])
    base = extract_base(inputs, model.run.task, None)[0]
    require_the_same_sets(study, model, base.metadata)
    return inputs


def _folder_name(study: PublishedStudy, drawn: Drawn) -> str:
    """A name that other results, and other draws of these, do not have. The study's name in it is one that a folder can have: its configuration was read."""
    chosen = config_sha256({"models": [model.name for model in drawn.models], "seed": drawn.random_seed})[:8]
    seed = f"seed{drawn.random_seed}" if drawn.random_seed is not None else f"picks_{chosen}"
    return f"{study.config.name}_{study.sha256[:8]}_{seed}"


def _claim(output: Path, study: PublishedStudy, drawn: Drawn) -> None:
    """Write the plan into a new folder. Raises ConfigError if the folder holds something else than an earlier start for the same models."""
    plan = ReproductionPlan(
        results_sha256=study.sha256, models=[model.name for model in drawn.models], random_seed=drawn.random_seed
    )
    if stands_there(output / PLAN_FILE):
        try:
            same = ReproductionPlan.read(output / PLAN_FILE) == plan
        except DataError:
            same = False
        if same:
            return
        raise ConfigError(
            f"{output} holds another reproduction: of other results, or of other models. Its files stay as they are; name another folder: --output DIR"
        )
    if output.is_dir() and listed_folder(output):
        raise ConfigError(
            f"{output} is not empty; expected a new folder, since models that lie there already must not be taken for models that were trained again. Name another one: --output DIR"
        )
    require_writable(output)
    plan.write(output / PLAN_FILE)


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
