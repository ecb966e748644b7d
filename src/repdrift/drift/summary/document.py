"""drift_analysis_summary.md: the answer first, in plain words."""

from __future__ import annotations

import pandas as pd

from repdrift.core.equal_skill_words import all_in_lines, in_one_line, over_all_tasks
from repdrift.core.first_lines import first_lines
from repdrift.core.hypotheses import LESS
from repdrift.core.records.claims import HypothesisTest
from repdrift.core.records.results import ALL_TASKS, DriftResults
from repdrift.core.shared_paths import shareable
from repdrift.core.sink_words import sinks_in_words
from repdrift.core.site_rows import residual_rows
from repdrift.core.study_headline import headline
from repdrift.core.study_sections import study_sections
from repdrift.core.worded_section import section_markdown
from repdrift.core.words import (
    chosen_percent,
    listed,
    markdown_text,
    method_in_full,
    method_title,
    number,
    pooled_part,
    task_title,
)
from repdrift.drift.chosen_measures import drift_is
from repdrift.drift.summary.equal_skill_section import equal_skill_section
from repdrift.drift.summary.layers_and_patterns import summary_layers, summary_patterns
from repdrift.drift.summary.outcomes_section import outcomes_section
from repdrift.drift.summary.predictors_section import predictors_section
from repdrift.drift.summary.result_tables import (
    checks_table,
    controls_table,
    markdown_table,
    reductions_section,
    runs_table,
    tests_table,
)
from repdrift.drift.summary.tuning_section import tuning_section
from repdrift.drift.weight_rows import WEIGHT_MEASURES
from repdrift.similarity import measure


def summary_markdown(results: DriftResults, table: pd.DataFrame) -> str:
    """Returns the summary as Markdown. It is for sharing: absolute paths are shortened."""
    results, table = shareable(results), residual_rows(table)
    study = results.study
    shown = measure(study.primary_measure)
    compared, reference = study.contrasted, _method(study.reference_method)
    comparison = _method(compared[0]) if len(compared) == 1 else "the other method"
    against = f"{listed([_method(name) for name in compared])} against {reference}" if compared else reference
    blocks = [
        f"# Drift of {markdown_text(study.model)}: {against}",
        *(f"> {markdown_text(line)}" for line in first_lines(results)),
        f"**{markdown_text(headline(results, table))}**",
        _answer(results),
        "## What was compared\n\n" + _compared(results, table),
        *(
            ["## What is missing or needs care\n\n" + "\n".join(f"- {markdown_text(w)}" for w in results.warnings)]
            if results.warnings
            else []
        ),
        *(
            [f"## What the models can do\n\n{can_do}"]
            if (can_do := outcomes_section(results.outcomes, study.confidence))
            else []
        ),
        f"## Drift by layer\n\nDrift is 1 - {study.primary_measure} ({shown.title}) between the base model and the trained "
        "model on the same samples: 0 is unchanged, about 1 is unrelated. Mean over seeds, final models.\n\n"
        + _by_layer(results, table),
        *([f"## Drift under every measure\n\n{by_measure}"] if (by_measure := _by_measure(results, table)) else []),
        *([f"## At equal skill\n\n{at_skill}"] if (at_skill := equal_skill_section(results)) else []),
        "## Reduction of drift at the end of training\n\nReduction is 1 - drift of "
        f"{comparison} / drift of {reference}, from drifts averaged over layers, then seeds"
        f" (and tasks, in the row `all tasks`). Intervals are two-sided, {chosen_percent(study.confidence)}: over *models* they say what "
        "other seeds would give on these samples. Over *samples* they say what other samples would give for these models. Over both, "
        f"neither is fixed. The lower bound is one-sided, {chosen_percent(1 - study.alpha)}, over models, by inverting the "
        "permutation test. Where there is none, the notes say why, or the design is too small.\n\n"
        + reductions_section(results),
        "## Tests\n\nThe unit is the trained model. Methods are compared by permuting their labels within tasks: of log drift where every drift is "
        "above 0, in which a method's share of another's drift is a shift; of drift itself elsewhere, which the sentence then says.\n\n"
        + tests_table(results)
        + _single_tasks(results),
        *([f"## Layers\n\n{layers}"] if (layers := summary_layers(results)) else []),
        *([f"## Patterns\n\n{patterns}"] if (patterns := summary_patterns(results, table)) else []),
        *([f"## Which drift goes with what\n\n{goes_with}"] if (goes_with := predictors_section(results)) else []),
        *("\n".join(section_markdown(section)).rstrip() for section in study_sections(results)),
        "## Controls\n\n" + controls_table(results) + "\n\n" + checks_table(results),
        *([f"## Learning rates\n\n{rates}"] if (rates := tuning_section(results.tuning)) else []),
        "## Trained models\n\n" + runs_table(results),
        _HOW_TO_READ,
    ]
    return "\n\n".join(blocks) + "\n"


_HOW_TO_READ = """## How to read this

- *Supported*: the data would be surprising if the claim were false. *Rejected*: they contradict the claim. *Undecided*: this
  design cannot tell; that is not evidence of no difference. *Not testable*: too few models, no drift to take a share of, or models that have not learnt their task.
- The smallest possible p is set by the number of trained models alone. Where it is above the test's level, no result could
  have been significant: train more seeds.
- Intervals in `drift.csv` say how much the number depends on the choice of samples, for these trained models. They do not say
  what other seeds would give.
- An interval or lower bound belongs to its own row: over many layers or tasks some will miss by chance.
- A difference between methods that is smaller than the drift between two seeds of one method is not a finding."""


def _answer(results: DriftResults) -> str:
    overall = [t for t in results.tests if t.task == ALL_TASKS and t.layer is None]
    if len(results.study.contrasted) > 1:
        return _answer_by_arm(results, overall)
    lines = [markdown_text(t.sentence) for t in overall]
    at_skill = [markdown_text(line) for line in all_in_lines(results.equal_skill)]
    compared = any(each.test is not None for each in results.equal_skill if each.task == ALL_TASKS)
    lines = [*at_skill, *lines] if compared else [*lines[:1], *at_skill, *lines[1:]]
    if not overall:
        lines = ["No task has final models of both methods, so they cannot be compared; the drift of each is below."]
    return "\n".join(f"{line}\n" for line in lines).strip()


def _single_tasks(results: DriftResults) -> str:
    """Returns the claims on single tasks in whole sentences; the answer has those over all tasks."""
    said = [f"- {markdown_text(t.sentence)}" for t in results.tests if t.task != ALL_TASKS and t.layer is None]
    return "\n\nOn single tasks, in words:\n\n" + "\n".join(said) if said else ""


def _answer_by_arm(results: DriftResults, overall: list[HypothesisTest]) -> str:
    """Returns whether each arm drifts less, one line each in the study's order; then every other claim."""
    study = results.study
    less = {t.comparison: t for t in overall if t.hypothesis == LESS}
    first: list[str] = []
    without: list[str] = []
    for name in study.contrasted:
        if name not in less:
            first.append(
                f"- {_method(name)}: no task has final models of it and of {_method(study.reference_method)}, so they cannot be compared."
            )
            continue
        at_skill = over_all_tasks(results.equal_skill, name)
        if at_skill is not None and at_skill.test is not None:
            first += [f"- {markdown_text(at_skill.test.sentence)}", f"  - {markdown_text(less[name].sentence)}"]
            continue
        first.append(f"- {markdown_text(less[name].sentence)}")
        without += [f"- {markdown_text(in_one_line(at_skill))}"] if at_skill is not None else []
    first += without
    others = [f"- {markdown_text(t.sentence)}" for t in overall if t.hypothesis != LESS]
    return "\n".join(first) + ("\n\nOther claims over all tasks:\n\n" + "\n".join(others) if others else "")


def _compared(results: DriftResults, table: pd.DataFrame) -> str:
    study = results.study
    there = [run for run in results.runs if run.status == "ok" and run.step == 0]
    counts = ", ".join(
        f"{sum(run.method == m for run in there)} trained by {markdown_text(method_in_full(m, study.method_words))}"
        for m in study.methods
    )
    counted = table.dropna(subset=["n"])  # rows about weights are of no samples
    samples = ", ".join(
        f"{_task(str(task))} {int(rows['n'].iloc[0])}" for task, rows in counted.groupby("task", sort=False)
    )
    unit = "tokens" if study.pooling == "tokens" else "samples"
    later = sorted({run.step for run in results.runs if run.status == "ok" and run.step != 0})
    text = (
        f"The base model {markdown_text(study.model)} against {len(there)} final models ({counts}), layer by layer ({study.n_layers} layers, "
        f"pooling {study.pooling}{pooled_part(study.pool_over)}), on the same {unit} for all: {samples}. The measure that is tested is "
        f"{study.primary_measure}; drift.csv has {', '.join(study.measures)}."
    )
    of_weights = [name for name in WEIGHT_MEASURES if (table["measure"] == name).any()]
    for task, sinks in study.sinks.items():
        text += f" {_task(task)}: {markdown_text(sinks_in_words(sinks))}"
    if of_weights:
        text += f" Of the weights themselves it has {', '.join(of_weights)}."
    if later:
        text += f" Checkpoints (steps {', '.join(map(str, later))}) are in drift.csv, and in no test but those at equal skill."
    read = [f"- {_task(task)}: {markdown_text(' '.join(notes))}" for task, notes in study.data_notes.items()]
    return text + ("\n\nHow the samples were read:\n\n" + "\n".join(read) if read else "")


def _by_layer(results: DriftResults, table: pd.DataFrame) -> str:
    primary = table[(table["measure"] == results.study.primary_measure) & (table["step"] == 0)]
    if primary.empty:
        return "There is no final model."
    means = primary.pivot_table(index="layer", columns=["task", "method"], values="drift", aggfunc="mean", sort=False)
    header = ["layer", *(f"{task_title(task)}, {method_title(method)}" for task, method in means.columns)]
    rows = [[str(layer), *map(number, row)] for layer, row in zip(means.index, means.to_numpy(), strict=True)]
    return markdown_table(header, rows)


def _by_measure(results: DriftResults, table: pd.DataFrame) -> str:
    """Returns the mean drift over layers and seeds by each measure; empty if there is only one measure."""
    study = results.study
    final = table[(table["step"] == 0) & table["measure"].isin(study.measures) & table["drift"].notna()]
    if len(study.measures) < 2 or final.empty:
        return ""
    found = dict(iter(final.groupby(["measure", "task", "method"], sort=False)))
    groups = list(dict.fromkeys((task, method) for _, task, method in found))
    rows: list[list[str]] = []
    for name in study.measures:
        parts = [found.get((name, task, method)) for task, method in groups]
        if any(part is not None for part in parts):
            rows.append([name, drift_is(name), *(number(_mean(part, study.n_layers)) for part in parts)])
    text = (
        "Mean over layers and seeds, final models; missing where a layer has no value. Their scales differ: compare along "
        "a row, not down a column.\n\n"
    )
    return text + markdown_table(
        ["measure", "drift is", *(f"{task_title(str(task))}, {method_title(str(method))}" for task, method in groups)],
        rows,
    )


def _method(name: str) -> str:
    return markdown_text(method_title(name))


def _task(name: str) -> str:
    return markdown_text(task_title(name))


def _mean(rows: pd.DataFrame | None, n_layers: int) -> float | None:
    """Returns None unless every layer has a value: the mean over some layers is another number."""
    if rows is None or rows["layer"].nunique() < n_layers:
        return None
    return float(rows["drift"].mean())
