"""The first tokens of general text for all trained models of a study: kept by an earlier analysis, or read where the models are here."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from torch import Tensor

from repdrift.core.errors import DataError, ModelError, NonFiniteError, RepdriftError
from repdrift.core.fingerprint import config_sha256
from repdrift.core.progress import say
from repdrift.core.records.first_tokens import FIRST_TOKENS_FORMAT_VERSION, ModelFirstTokens
from repdrift.core.records.representation_set import BASE_METHOD, RANDOM_CHANGE_METHOD, SetMetadata, changes_digest
from repdrift.core.records.run import RUN_FILE, RunRecord
from repdrift.core.words import counted
from repdrift.drift.analysis_plan import DriftPlan, PlannedSet
from repdrift.drift.directions.token_reading import TokenReadings
from repdrift.drift.directions.unembedding import Unembedding
from repdrift.drift.first_tokens.base_reader import BaseReader, seed_of
from repdrift.drift.first_tokens.kept import keep, read_kept
from repdrift.drift.first_tokens.measuring import model_first_tokens
from repdrift.drift.first_tokens.texts import FirstTokens, first_tokens
from repdrift.drift.model_files import files_of_base, files_of_run, name_of_model
from repdrift.drift.task_sets import OpenedSet, TaskSets
from repdrift.extraction import ExtractionJob, ExtractionOptions, MatchedChange
from repdrift.extraction.kept_rows import extract_rows
from repdrift.models import ModelSource, is_causal_decoder, load_config, load_tokenizer, settings_digests


@dataclass
class RunsRead:
    """Models that were read, in the order of the plan, and sentences on those that were not."""

    texts: FirstTokens
    found: list[tuple[PlannedSet, ModelFirstTokens]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Wanted:
    """A model that has yet to be read: its set, and the key of what is read."""

    run: OpenedSet
    key: str


def read_runs(plan: DriftPlan, tasks: Sequence[TaskSets]) -> RunsRead:
    """Reads the first tokens of general text for the final model of every run.

    What an earlier analysis kept is taken where the key fits. The other models must be on this machine, as must the base model in any case, whose tokenizer makes the
    tokens; nothing is downloaded. A model that cannot be run is left out with the reason.
    Raises DataError if the study has no general text or it cannot be read; OutcomeNotApplicable if the base model has no language-modelling
    head; ModelError if it is not here or cannot be run.
    """
    metadata = tasks[0].base.metadata
    source = files_of_base(metadata)
    texts = _texts(plan, source)
    result = RunsRead(texts)
    final = [run for sets in tasks for run in sets.runs if run.plan.step == 0]
    found: dict[str, ModelFirstTokens] = {}
    wanted: list[_Wanted] = []
    for run in final:
        key = _key(plan, source, metadata, run.stored.metadata, texts)
        folder = run.plan.first_tokens_folder
        kept = None if folder is None else read_kept(folder, key)
        if kept is None:
            wanted.append(_Wanted(run, key))
        else:
            found[name_of_model(run.plan)] = kept
    if wanted:
        base = _base_reader(plan, source, metadata, texts)
        for number, at in enumerate(wanted, start=1):
            name = name_of_model(at.run.plan)
            say(f"first tokens of general text: {name} ({number} of {len(wanted)})")
            clock = time.perf_counter()
            try:
                found[name] = _read(plan, source, base, at.run, texts)
            except RepdriftError as error:
                result.left_out.append(f"{name}: {error}")
                continue
            if at.run.plan.first_tokens_folder is not None:
                keep(at.run.plan.first_tokens_folder, at.key, found[name], time.perf_counter() - clock)
    result.found = [(run.plan, found[name]) for run in final if (name := name_of_model(run.plan)) in found]
    return result


def _texts(plan: DriftPlan, base: ModelSource) -> FirstTokens:
    general = None if plan.first_tokens.general_text is None else plan.first_tokens.general_text()
    if general is None:
        raise DataError("the study has no general text: give `general_text:` in the study file")
    return first_tokens(general, plan.first_tokens.positions, causal=is_causal_decoder(load_config(base), plan.stack))


def _key(plan: DriftPlan, base: ModelSource, of_base: SetMetadata, of_run: SetMetadata, texts: FirstTokens) -> str:
    """The hash of all that determines what is read of one model."""
    changes = of_run.weight_changes
    return config_sha256(
        {
            "format": FIRST_TOKENS_FORMAT_VERSION,
            "base": of_base.weights_digest,
            "base_settings": settings_digests(base),
            "tuned": of_run.weights_digest,
            "tuned_settings": of_run.settings,
            "samples": texts.samples.fingerprint,
            "causal": texts.causal,
            "positions": texts.positions,
            "layers": of_base.layers,
            "draws": plan.first_tokens.draws,
            "seed": of_run.seed,
            "changes": None if changes is None else changes_digest(changes),
            "compute_dtype": of_base.compute_dtype,
            "blocks": plan.blocks,
            "stack": plan.stack,
        }
    )


def _base_reader(plan: DriftPlan, source: ModelSource, metadata: SetMetadata, texts: FirstTokens) -> BaseReader:
    unembedding = Unembedding.of(source, dtype=metadata.compute_dtype, blocks=plan.blocks)
    tokens = TokenReadings(unembedding, load_tokenizer(source))
    return BaseReader(extract_rows(_job(plan, source, metadata, texts)), texts, tokens)


def _job(plan: DriftPlan, base: ModelSource, metadata: SetMetadata, texts: FirstTokens) -> ExtractionJob:
    """The extraction of the base model. metadata: of the base model's set, whose layers and number format are taken."""
    options = ExtractionOptions(
        samples=None,
        pooling="tokens",
        pool_over=texts.samples.pool_over,
        layers=tuple(metadata.layers),
        compute_dtype=metadata.compute_dtype,  # pyright: ignore[reportArgumentType]
        blocks=plan.blocks,
        stack=plan.stack,
        weights=False,
    )
    return ExtractionJob(texts.samples.task, BASE_METHOD, None, 0, base, texts.samples, options)


def _read(
    plan: DriftPlan, source: ModelSource, base: BaseReader, run: OpenedSet, texts: FirstTokens
) -> ModelFirstTokens:
    job = replace(_job(plan, source, run.stored.metadata, texts), method=run.plan.method, seed=run.plan.seed)
    tuned = files_of_run(run)
    kind, labels = _head_of(tuned)
    rows = extract_rows(replace(job, tuned=tuned, task_kind=kind, num_labels=labels))
    random = _RandomChanges(job, run.stored.metadata, plan.first_tokens.draws)
    found = model_first_tokens(base, rows, random.rows())
    return found.model_copy(update={"random_missing": random.missing})


def _head_of(tuned: ModelSource) -> tuple[str, int | None]:
    """The task kind and the number of classes that a run's model was trained for; those of a job without them where its record is not there."""
    at = Path(tuned.path).parent / RUN_FILE
    if not at.is_file():
        return "classification", None
    record = RunRecord.read(at)
    return record.task_kind, record.num_labels


class _RandomChanges:
    """The base model after random changes of the weights, each as large as training's. missing: why there are fewer than were asked for."""

    def __init__(self, job: ExtractionJob, run: SetMetadata, draws: int) -> None:
        self._job = job
        self._run = run
        self._draws = draws
        self.missing: str | None = None

    def rows(self) -> Iterator[tuple[int, dict[int, Tensor]]]:
        """Yields the noise seed and the rows of each, one in memory at a time."""
        for draw in range(self._draws):
            try:
                change = replace(MatchedChange.of(self._run), noise_seed=seed_of("noise", self._run.seed or 0, draw))
                job = replace(self._job, method=RANDOM_CHANGE_METHOD, random_change=change)
                found = extract_rows(job)
            except (ModelError, NonFiniteError) as error:
                said = (
                    "No random change of the weights"
                    if draw == 0
                    else f"Only {counted(draw, 'random change')} of the weights"
                )
                self.missing = f"{said} could be read: {error}"
                return
            yield change.noise_seed, found
