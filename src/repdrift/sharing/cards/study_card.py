"""The card of a whole study, and of one of its trained models."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from repdrift.core.errors import ConfigError, DataError
from repdrift.core.first_lines import first_lines
from repdrift.core.hypotheses import LESS, TARGET
from repdrift.core.measure_words import drift_definition
from repdrift.core.records.outcomes import OUTCOMES_PARQUET
from repdrift.core.records.results import ALL_TASKS
from repdrift.core.records.study_info import RunStatus
from repdrift.core.study_headline import headline
from repdrift.core.table_file import read_table
from repdrift.core.words import chosen_percent, markdown_text, method_in_full, method_title, number, scores, task_title
from repdrift.report.page.study.methods_text import methods_text
from repdrift.report.report_data import ReportData
from repdrift.report.tables.chosen import TableOptions
from repdrift.report.tables.markdown import markdown
from repdrift.report.tables.shared_notes import with_shared_below
from repdrift.report.tables.study_table import study_table
from repdrift.sharing.cards.card_text import HOW_TO_READ, TITLE, card, cautions, made_with, table
from repdrift.sharing.opened_results import OpenedResults


@dataclass(frozen=True)
class ChosenRun:
    """The model of a study that was asked for; None for a part that was not named."""

    task: str | None = None
    method: str | None = None
    seed: int | None = None

    @property
    def is_any(self) -> bool:
        """True if no part was named, so that the whole study is meant."""
        return self.task is None and self.method is None and self.seed is None


def study_card(data: ReportData) -> str:
    """Returns the card of a study: its answer, the drifts of all arms with intervals, what was measured, cautions, versions, commands."""
    results, study = data.results, data.results.study
    claims = [t for t in results.tests if t.task == ALL_TASKS and t.layer is None and t.hypothesis in (LESS, TARGET)]
    measured = with_shared_below(study_table(data, TableOptions("", "", (), "", (), 2, "", "")))
    return card(
        [
            TITLE, "",
            markdown_text(headline(data.results, data.table)), "",
            markdown(measured, 2).rstrip("\n"), "",
            markdown_text(HOW_TO_READ.format(definition=drift_definition(study, study.primary_measure))), "",
            *[line for test in claims for line in (f"- {markdown_text(test.sentence)} ({test.verdict})",)], "",
            "### What was measured", "",
            markdown_text(methods_text(data)), "",
            *cautions([*first_lines(results), *results.warnings]),
            *made_with(results.versions, study.commands),
        ]
    )  # fmt: skip


def run_card(opened: OpenedResults, data: ReportData, chosen: ChosenRun) -> str:
    """Returns the card of one final model: its drift by layer beside noise floor, random change and other seeds, its outcomes, and the rest as in a study's.

    Raises ConfigError if the study has no such model, or several; DataError if a table is missing or damaged.
    """
    run = _run(data, chosen)
    results, study = data.results, data.results.study
    rows = _rows(data, run)
    arm = method_in_full(run.method, study.method_words)
    return card(
        [
            TITLE, "",
            markdown_text(_answer(data, run, rows, arm)), "",
            *_layers(rows, study.confidence), "",
            markdown_text(HOW_TO_READ.format(definition=drift_definition(study, study.primary_measure))), "",
            *_outcomes(opened, data, run),
            "### What was measured", "",
            markdown_text(_which(data, run)), "",
            markdown_text(methods_text(data)), "",
            *cautions([*first_lines(results), *results.warnings]),
            *made_with(results.versions, [*run.commands, *study.commands]),
        ]
    )  # fmt: skip


def _run(data: ReportData, chosen: ChosenRun) -> RunStatus:
    finals = [run for run in data.results.runs if run.step == 0 and run.status == "ok"]
    fitting = [
        run
        for run in finals
        if chosen.task in (None, run.task) and chosen.method in (None, run.method) and chosen.seed in (None, run.seed)
    ]
    if len(fitting) == 1:
        return fitting[0]
    named = "; ".join(f"--task {r.task} --method {r.method} --seed {r.seed}" for r in (fitting or finals)[:4])
    more = f", and {len(fitting or finals) - 4} more" if len(fitting or finals) > 4 else ""
    what = f"{len(fitting)} models fit" if fitting else "no final model with these was measured"
    raise ConfigError(
        f"{what}; expected one of: {named}{more}. Without any of the three the card is of the whole study."
    )


def _rows(data: ReportData, run: RunStatus) -> pd.DataFrame:
    rows = data.primary
    found = rows[(rows["task"] == run.task) & (rows["method"] == run.method) & (rows["seed"] == run.seed)]
    if found.empty:
        raise DataError(
            f"the table has no rows of {run.task}, {run.method}, seed {run.seed}. Run `repdrift analyze` to make it anew."
        )
    return found.sort_values("layer")


def _answer(data: ReportData, run: RunStatus, rows: pd.DataFrame, arm: str) -> str:
    drifts = rows["drift"].to_numpy(dtype=float)
    most = rows.iloc[int(drifts.argmax())]
    known = rows["above_noise"].dropna()
    noise = "whether that is above the noise of extraction was not measured"
    if len(known) == len(rows):
        above = int(known.sum())
        noise = (
            "above the noise of extraction in every layer"
            if above == len(rows)
            else f"above the noise of extraction in {above} of {len(rows)} layers"
        )
    random = rows["random_change_drift"].to_numpy(dtype=float)
    beside = (
        ""
        if math.isnan(random.mean())
        else f"; a random change of the weights of the same size makes {number(float(random.mean()))}"
    )
    return (
        f"{arm} of {data.results.study.model} on {task_title(run.task)} (seed {run.seed}) moved the hidden states by a drift of {number(float(drifts.mean()))} on average over "
        f"{len(rows)} layers, most in layer {int(most['layer'])} ({with_interval(most)}); {noise}{beside}."
    )  # fmt: skip


def _layers(rows: pd.DataFrame, confidence: float) -> list[str]:
    columns = {
        "noise_floor": "base model run twice (noise)",
        "random_change_drift": "random change of the same size",
        "seed_ceiling_drift": "between two seeds of this arm",
    }
    shown = {name: title for name, title in columns.items() if rows[name].notna().any()}
    header = ["layer", f"drift [{chosen_percent(confidence)} interval over samples]", *shown.values()]
    found = table(
        header,
        (
            [str(int(row["layer"])), with_interval(row), *(number(float(row[name])) for name in shown)]
            for _, row in rows.iterrows()
        ),
    )
    absent = [title for name, title in columns.items() if name not in shown]
    return [*found, *(["", f"Not measured: {'; '.join(absent)}."] if absent else [])]


def with_interval(row: pd.Series) -> str:
    """Returns the drift of a row of the tidy table with its interval over samples, or without one."""
    drift = number(float(row["drift"]))
    low, high = float(row["drift_low"]), float(row["drift_high"])
    return (
        f"{drift} [no interval]" if math.isnan(low) or math.isnan(high) else f"{drift} [{number(low)}, {number(high)}]"
    )


def _outcomes(opened: OpenedResults, data: ReportData, run: RunStatus) -> list[str]:
    lines = ["### What it can do", ""]
    if run.learnt is not None:
        lines += [f"On {markdown_text(task_title(run.task))}: {markdown_text(run.learnt.sentence)}", ""]
    elif run.metrics:
        lines += [
            f"On {markdown_text(task_title(run.task))}: {markdown_text(scores(run.metrics))}. Whether it has learnt its task is not known.",
            "",
        ]
    found = data.results.outcomes
    digest = data.results.table_sha256.get(OUTCOMES_PARQUET)
    if found is None or digest is None:
        return [*lines, "No other outcomes were measured.", ""]
    rows = read_table(opened.folder / OUTCOMES_PARQUET, digest)
    rows = rows[
        (rows["task"] == run.task)
        & (rows["method"] == run.method)
        & (rows["seed"] == run.seed)
        & (rows["step"] == 0)
        & rows["layer"].isna()
    ]
    if rows.empty:
        return [*lines, "No other outcomes were measured.", ""]
    infos = {info.name: info for info in found.infos}
    cells: list[list[str]] = []
    for _, row in rows.iterrows():
        info = infos.get(str(row["outcome"]))
        name = str(row["outcome"]) if info is None else f"{info.title} ({info.unit})"
        ends = "none" if pd.isna(row["low"]) else f"{number(float(row['low']))} to {number(float(row['high']))}"
        base = "-" if pd.isna(row["base_value"]) else number(float(row["base_value"]))
        cells.append([f"{name}, {str(row['inputs']).replace('_', ' ')}", number(float(row["value"])), base, ends])
    return [
        *lines,
        *table(
            [
                "outcome",
                "this model",
                "base model",
                "interval of the difference, or of the value where the base has none",
            ],
            cells,
        ),
        "",
    ]


def _which(data: ReportData, run: RunStatus) -> str:
    trained = next(
        (t for t in data.results.trained if (t.task, t.method, t.seed) == (run.task, run.method, run.seed)), None
    )
    samples = (
        f"{run.n_samples} samples, sample set {run.sample_set_fingerprint[:12]}"
        if run.n_samples and run.sample_set_fingerprint
        else "samples not recorded"
    )
    weights = (
        f", SHA-256 of its weights {trained.weights_digest[:12]}, trained on {trained.n_train} rows"
        if trained is not None
        else ""
    )
    return f"This model: {method_title(run.method)}, seed {run.seed}, on {task_title(run.task)} ({samples}{weights}), one of the models of the study {data.results.study.name}."
