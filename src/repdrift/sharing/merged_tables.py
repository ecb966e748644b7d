"""One analysis from the tables of several: conclusions are drawn anew over all models; nothing is measured, and what needs representations is left out by name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from repdrift.core.progress import say
from repdrift.core.reading import stands_there
from repdrift.core.records.base import library_versions
from repdrift.core.records.merged import MERGE_FILE, MergedStudy
from repdrift.core.records.outcomes import OUTCOME_ITEMS_PARQUET
from repdrift.core.records.results import TABLE_PARQUET, DriftResults
from repdrift.core.records.study_info import Control, RunStatus, StudyInfo
from repdrift.core.records.what_moved import StudyMoved
from repdrift.core.site_rows import residual_rows
from repdrift.core.table_file import read_table
from repdrift.core.words import listed, method_title, task_title
from repdrift.drift import BaseSets, DriftPlan
from repdrift.drift.inference import draw_conclusions
from repdrift.drift.measured_outcomes import FoundOutcomes, OutcomeTables, tables_of_outcomes
from repdrift.drift.result_files import write_analysis
from repdrift.drift.sample_intervals import SamplingOptions
from repdrift.sharing.merge_sources import MergeSource

T = TypeVar("T")
Model = tuple[str, str, int]
_NO_SECTION = "it is measured from representations or weights, and only tables were at hand"


def analyse_tables(
    sources: Sequence[MergeSource], merged: MergedStudy, name: str, output_dir: Path
) -> tuple[DriftResults, pd.DataFrame]:
    """Draws the conclusions over the models of all sources, writes the files of an analysis to `output_dir`, and returns results and tidy table.

    The sources passed `require_mergeable`. Raises DataError if a table is missing or damaged, StorageError if a file cannot be written.
    """
    owner = _owners(sources)
    spanning = _spanning(owner)
    table = _drift_table(sources, owner, spanning)
    info = _info(sources, name)
    plan = _plan(info, sources)
    statuses = _statuses(sources, owner, info)
    outcomes = _outcomes(sources, owner, plan, statuses)
    say("drawing conclusions: permutations, ranks")
    found = draw_conclusions(
        residual_rows(table), plan, statuses=statuses, outcomes=None if outcomes is None else outcomes.table
    )
    said = merged.model_copy(update={"cautions": [*_left_out(sources, spanning), *merged.cautions, *_tuning(sources)]})
    results = DriftResults(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=library_versions(),
        study=info.model_copy(update={"merged": said, "commands": [*info.commands, said.command]}),
        runs=statuses,
        trained=[
            run.model_copy(update={"folder": f"{source.label}: {run.folder}"})
            for source in sources
            for model, run in source.trained.items()
            if owner.get(model) is source
        ],
        **found.entries(),
        controls=_controls(sources, owner, spanning),
        sanity=[],
        outcomes=None if outcomes is None else outcomes.found,
        moved=_sections(sources),
        warnings=list(dict.fromkeys([*found.warnings, *_warnings(sources)])),
    )
    said.write(output_dir.parent / MERGE_FILE)
    return write_analysis(results.without_secrets(), table, output_dir, outcomes=outcomes), table


def _owners(sources: Sequence[MergeSource]) -> dict[Model, MergeSource]:
    """The source that each final model is taken from: the first that has it."""
    found: dict[Model, MergeSource] = {}
    for source in sources:
        for model in source.finals:
            found.setdefault(model, source)
    return found


def _spanning(owner: dict[Model, MergeSource]) -> set[tuple[str, str]]:
    """The arms, by task, whose models come from several sources."""
    of: dict[tuple[str, str], set[str]] = {}
    for (task, method, _), source in owner.items():
        of.setdefault((task, method), set()).add(source.label)
    return {arm for arm, labels in of.items() if len(labels) > 1}


def _taken(table: pd.DataFrame, source: MergeSource, owner: dict[Model, MergeSource]) -> pd.DataFrame:
    """The rows of a source's table about models that are taken from it, under the new names of their arms."""
    table = table.assign(method=[source.renamed.get(str(name), str(name)) for name in table["method"]])
    keys = zip(table["task"], table["method"], table["seed"], strict=True)
    return table[[owner.get((str(t), str(m), int(s))) is source for t, m, s in keys]]


def _drift_table(
    sources: Sequence[MergeSource], owner: dict[Model, MergeSource], spanning: set[tuple[str, str]]
) -> pd.DataFrame:
    parts = [_taken(_read(source, TABLE_PARQUET), source, owner) for source in sources]
    table = pd.concat(parts, ignore_index=True)
    order = {
        "task": _once(task for source in sources for task in source.results.study.tasks),
        "method": _once(name for source in sources for name in source.results.study.methods),
        "seed": _once(seed for source in sources for seed in source.results.study.seeds),
        "measure": _once(table["measure"]),
    }
    keys = pd.DataFrame({name: table[name].map({v: i for i, v in enumerate(values)}) for name, values in order.items()})
    keys["layer"], keys["step"] = table["layer"], table["step"]
    keys["site"] = table["site"].map({v: i for i, v in enumerate(_once(table["site"]))})
    table = table.loc[
        keys.sort_values(["site", "task", "layer", "measure", "method", "seed", "step"], kind="stable").index
    ]
    table = table.reset_index(drop=True)
    across = [(str(t), str(m)) in spanning for t, m in zip(table["task"], table["method"], strict=True)]
    table.loc[across, "seed_ceiling_drift"] = float("nan")
    # One model of an arm stands for the others, as in one study: the sizes of their changes differ little.
    final = table["step"] == 0
    place = ["task", "method", "site", "layer", "measure"]
    first = table[final].groupby(place, sort=False)["random_change_drift"].transform("first")
    table.loc[final, "random_change_drift"] = table.loc[final, "random_change_drift"].fillna(first)
    return table


def _read(source: MergeSource, name: str) -> pd.DataFrame:
    return read_table(source.tables / name, source.results.table_sha256.get(name))


def _info(sources: Sequence[MergeSource], name: str) -> StudyInfo:
    first = sources[0].results.study
    infos = [source.results.study for source in sources]
    comparisons = _once(method for info in infos for method in info.contrasted)
    return first.model_copy(
        update={
            "name": name,
            "tasks": _once(task for info in infos for task in info.tasks),
            "methods": _once(method for info in infos for method in info.methods),
            "seeds": _once(seed for info in infos for seed in info.seeds),
            "comparison_method": comparisons[0] if comparisons else first.reference_method,
            "comparison_methods": comparisons,
            "sinks": _union(info.sinks for info in infos),
            "data_notes": _union(info.data_notes for info in infos),
            "measure_titles": _union(info.measure_titles for info in infos),
            "method_words": _union(info.method_words for info in infos),
            "truncated_samples": _union(info.truncated_samples for info in infos),
            "commands": _once(command for info in infos for command in info.commands),
            "configuration": None,
        }
    )


def _plan(info: StudyInfo, sources: Sequence[MergeSource]) -> DriftPlan:
    nowhere = Path()
    known = [source.config.analysis for source in sources if source.config is not None]
    return DriftPlan(
        study=info.name,
        model=info.model,
        tasks=info.tasks,
        methods=info.methods,
        seeds=info.seeds,
        sets=[],
        bases={task: BaseSets(nowhere, nowhere, "") for task in info.tasks},
        measures=info.measures,
        target_reduction=info.target_reduction,
        alpha=info.alpha,
        reference_method=info.reference_method,
        comparison_methods=info.comparison_methods,
        method_words=info.method_words,
        primary_measure=info.primary_measure,
        equivalence_margin=info.equivalence_margin,
        equal_skill=all(options.equal_skill for options in known),
        equal_skill_score=_union(
            {task: score for task, score in options.equal_skill_score.items() if task in info.tasks}
            for options in known
        ),
        sampling=SamplingOptions(replicates=0, confidence=info.confidence),
    )


def _statuses(sources: Sequence[MergeSource], owner: dict[Model, MergeSource], info: StudyInfo) -> list[RunStatus]:
    found = {
        (run.task, run.method, run.seed, run.step): run
        for source in sources
        for run in source.results.runs
        if run.status == "ok" and owner.get((run.task, run.method, run.seed)) is source
    }
    statuses: list[RunStatus] = []
    for task, method, seed in product(info.tasks, info.methods, info.seeds):
        of_model = [run for (t, m, s, _), run in found.items() if (t, m, s) == (task, method, seed)]
        statuses += of_model or [
            RunStatus(task=task, method=method, seed=seed, step=0, status="missing", reason="none of the merged studies has it")
        ]  # fmt: skip
    return statuses


def _outcomes(
    sources: Sequence[MergeSource], owner: dict[Model, MergeSource], plan: DriftPlan, statuses: Sequence[RunStatus]
) -> OutcomeTables | None:
    having = [
        (source, outcomes)
        for source in sources
        if (outcomes := source.results.outcomes) is not None and _has_items(source)
    ]
    if not having:
        return None
    items = pd.concat(
        [_taken(_read(source, OUTCOME_ITEMS_PARQUET), source, owner) for source, _ in having], ignore_index=True
    )
    order = {model: index for index, model in enumerate(product(plan.tasks, plan.methods, plan.seeds))}
    place = [
        order[str(t), str(m), int(s)] for t, m, s in zip(items["task"], items["method"], items["seed"], strict=True)
    ]
    items = items.loc[pd.Series(place, index=items.index).sort_values(kind="stable").index].reset_index(drop=True)
    read = FoundOutcomes(
        items=items,
        infos={info.name: info for _, outcomes in having for info in outcomes.infos},
        notes=list(dict.fromkeys(f"{source.label}: {note}" for source, outcomes in having for note in outcomes.notes)),
        missing=[
            left.model_copy(update={"method": source.renamed.get(left.method, left.method)}) for source, outcomes in having for left in outcomes.missing
        ],
    )  # fmt: skip
    return tables_of_outcomes(plan, read, statuses)


def _has_items(source: MergeSource) -> bool:
    """True if the table of outcomes, item by item, lies with the results: who shares results may have left it out."""
    return stands_there(source.tables / OUTCOME_ITEMS_PARQUET)


def _controls(
    sources: Sequence[MergeSource], owner: dict[Model, MergeSource], spanning: set[tuple[str, str]]
) -> list[Control]:
    """Controls of a task from the first source that has it, those of an arm from the sources of its models; drift between seeds of several sources is left out."""
    having: dict[tuple[str, str | None], set[str]] = {}
    for (task, method, _), source in owner.items():
        having.setdefault((task, method), set()).add(source.label)
    for source in reversed(sources):
        having |= {(task, None): {source.label} for task in source.results.study.tasks}
    found: dict[tuple[Any, ...], list[Control]] = {}
    for source in sources:
        for control in source.results.controls:
            method = None if control.method is None else source.renamed.get(control.method, control.method)
            arm = (control.task, method)
            if source.label in having.get(arm, ()) and not (control.name == "seed_ceiling" and arm in spanning):
                key = (control.name, *arm, control.site, control.layer, control.measure)
                found.setdefault(key, []).append(control.model_copy(update={"method": method}))
    return [_one(controls) for controls in found.values()]


def _one(controls: Sequence[Control]) -> Control:
    """One control of several: the mean, each by its repeats. Their spread is not known."""
    if len(controls) == 1:
        return controls[0]
    repeats = sum(control.repeats for control in controls)

    def mean(values: Sequence[float | None]) -> float | None:
        pairs = [(v, c.repeats) for v, c in zip(values, controls, strict=True) if v is not None]
        return sum(v * n for v, n in pairs) / repeats if len(pairs) == len(controls) and repeats else None

    return controls[0].model_copy(
        update={
            "value": mean([control.value for control in controls]),
            "drift": mean([control.drift for control in controls]),
            "spread": None,
            "repeats": repeats,
        }
    )


def _sections(sources: Sequence[MergeSource]) -> StudyMoved | None:
    names = _once(
        name
        for source in sources
        if (moved := source.results.moved) is not None
        for name in StudyMoved.model_fields
        if name != "left_out" and (getattr(moved, name) is not None or name in moved.left_out)
    )
    return StudyMoved(left_out=dict.fromkeys(names, _NO_SECTION)) if names else None


def _left_out(sources: Sequence[MergeSource], spanning: set[tuple[str, str]]) -> list[str]:
    """Sentences on what cannot be had from tables, and which claims that weakens."""
    found = [
        "No interval over samples is given for reductions, ranks of layers and claims, since that takes the representations: intervals are over models (seeds) alone. Each model's own drift "
        "keeps the interval of its study.",
    ]
    if spanning:
        arms = listed([f"{method_title(m)} on {task_title(t)}" for t, m in sorted(spanning)])
        found.append(
            f"Drift between seeds is not known across the studies, so that the seed ceiling is left out for {arms}."
        )
    found.append(
        "It is not tested whether drifts exceed those between seeds, and the checks of the whole comparison were not made."
    )
    sites = _once(of.site for source in sources for of in source.results.site_controls)
    if sites or any(source.results.sites for source in sources):
        found.append("Nothing is concluded about sites other than the residual stream; their rows stand in the table.")
    without = [s.named for s in sources if s.results.outcomes is not None and not _has_items(s)]
    if without:
        found.append(
            f"Outcomes of {listed(without)} are left out, and no drift of theirs is held against forgetting: their items ({OUTCOME_ITEMS_PARQUET}) are not beside the results."
        )
    if any(source.config is None and source.results.equal_skill for source in sources):
        found.append(
            "At which scores methods were compared at equal skill is not known of every study (results of an older version): the best score that every run reaches was taken."
        )
    found.append(
        "To have all of it, merge the folders of the studies on a machine that has their representation sets: repdrift merge STUDY STUDY --output DIR"
    )
    return found


def _tuning(sources: Sequence[MergeSource]) -> list[str]:
    """Cautions on how learning rates were chosen; with the study's label where not all have them."""
    said = [list(source.results.tuning.cautions) if source.results.tuning is not None else [] for source in sources]
    return _once(
        caution if all(caution in of for of in said) else f"{source.label}: {caution}"
        for source, cautions in zip(sources, said, strict=True)
        for caution in cautions
    )


def _warnings(sources: Sequence[MergeSource]) -> list[str]:
    """The cautions of each study's own analysis, but for those that follow from its models alone: these are drawn anew over all models."""
    found: list[str] = []
    for source in sources:
        info = source.results.study
        table = residual_rows(_taken(_read(source, TABLE_PARQUET), source, dict.fromkeys(source.finals, source)))
        drawn = draw_conclusions(table, _plan(info, [source]), statuses=source.results.runs).warnings
        tuning = source.results.tuning.cautions if source.results.tuning is not None else []
        found += [
            f"{source.label}, in its own analysis: {warning}"
            for warning in source.results.warnings
            if warning not in (*drawn, *tuning)
        ]
    return found


def _once(values: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(values))


def _union(parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in parts:
        found = {**part, **found}
    return found
