"""Samples that moved most and least, with their texts, at the chosen layer or over all layers, a panel for each task."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import altair as alt
import pandas as pd

from repdrift.core.records.comparison import Comparison
from repdrift.core.records.sample_moves import MovedSample, SampleMoves
from repdrift.core.records.sites import RESID_POST
from repdrift.core.sample_words import samples_section
from repdrift.core.study_sections import study_samples
from repdrift.core.worded_section import WordedSection
from repdrift.report.page.answers import answer_of_models
from repdrift.report.page.arm_marks import arm_color, arm_colors, arm_legend, arm_shape, model_colors, tooltip
from repdrift.report.page.contents import INSIDE, View
from repdrift.report.page.layer_axis import CHOSEN_LAYER, chosen_layer
from repdrift.report.page.layer_lines import typed
from repdrift.report.page.titles import arm_titles, task_titles
from repdrift.report.page.views import ViewSpec, register
from repdrift.report.report_data import ReportData

KEPT = 6
"""Samples that moved most, and as many that moved least, that the page keeps of each task and layer, and over all layers."""
_SHOWN = {"task": "task", "layer": "layer", "list": "list", "sample": "sample", "label": "label", "text": "text", "arm": "method", "moved": "moved (0 to 2)", "models": "models"}  # fmt: skip
_ALL = "all"
_TEXT_UNKNOWN = "(its text is not in the results)"


def of_study(data: ReportData) -> View | None:
    """The samples of a study; None without a table of them."""
    section = study_samples(data.results)
    if section is None or data.samples is None:
        return None
    rows = sample_rows(data)
    return None if rows.empty else _view(rows, arm_colors(data), [("", section)])


def sample_rows(data: ReportData) -> pd.DataFrame:
    """One row for each method and kept sample of a task, at each layer and over all layers: how far it moved, mean over final models.

    Kept are those that moved most and least by the mean over all methods and seeds.
    """
    found, moved = data.samples, data.results.moved
    if found is None or moved is None or moved.samples is None:
        return pd.DataFrame(columns=list(_SHOWN))
    final = found[(found["step"] == 0) & (found["site"] == RESID_POST) & found["own_drift"].notna()]
    final = final.assign(layer=final["layer"].astype(int), seed=final["seed"].astype(int))
    every = pd.concat([final.assign(layer=final["layer"].map(str)), final.assign(layer=_ALL)], ignore_index=True)
    texts = {
        (task.task, at.sample): at.text
        for task in moved.samples.tasks
        for at in _listed([*(m.moves for m in task.models)], [at for of in task.methods for at in of.most])
        if at.text is not None
    }
    models = final.groupby(["task", "method"])["seed"].nunique().to_dict()
    names = every.groupby(["task", "layer", "sample", "method"], sort=False)
    means = names.agg(moved=("own_drift", "mean"), label=("label", "first")).reset_index()
    rows = _kept(means)
    tasks, arms = task_titles(data), arm_titles(data)
    return pd.DataFrame(
        {
            "task": rows["task"].map(tasks),
            "layer": rows["layer"],
            "list": rows["list"],
            "sample": rows["sample"],
            "label": rows["label"].fillna(""),
            "text": [texts.get((str(t), str(s)), _TEXT_UNKNOWN) for t, s in zip(rows["task"], rows["sample"], strict=True)],
            "arm": rows["method"].map(arms),
            "moved": rows["moved"].astype(float),
            "models": [models[t, m] for t, m in zip(rows["task"], rows["method"], strict=True)],
        }
    ).reset_index(drop=True)  # fmt: skip


def _kept(means: pd.DataFrame) -> pd.DataFrame:
    """The rows of the samples that moved most and least of each task and layer, by the mean over methods; the most first."""
    over = means.groupby(["task", "layer", "sample"], sort=False)["moved"].mean().rename("over").reset_index()
    over = over.sort_values("over", ascending=False, kind="stable")
    groups = over.groupby(["task", "layer"], sort=False)
    place, count = groups.cumcount(), groups["over"].transform("size")
    most = over[place < KEPT].assign(list="moved most")
    least = over[(place >= KEPT) & (place >= count - KEPT)].assign(list="moved least")
    kept = pd.concat([most, least]).sort_index(key=lambda index: index.map({at: n for n, at in enumerate(over.index)}))
    return kept.merge(means, on=["task", "layer", "sample"], how="left")


def of_comparison(comparison: Comparison) -> View | None:
    """The samples of a comparison; None if they were not measured."""
    found = [(model.name, model.moved.samples) for model in comparison.models if model.moved is not None and model.moved.samples is not None]  # fmt: skip
    samples = None if comparison.moved is None else comparison.moved.samples
    if not found or samples is None:
        return None
    ids, labels = samples.sample_ids, samples.labels or [None] * len(samples.sample_ids)
    texts = {at.sample: at.text for at in _listed([moves for _, moves in found], []) if at.text is not None}
    drifts = [
        {"task": comparison.task, "layer": str(place.layer), "sample": sample, "method": name, "moved": value, "label": label}
        for name, moves in found
        for place in moves.places if place.site == RESID_POST
        for sample, label, value in zip(ids, labels, place.own_drifts, strict=False)
        if value is not None
    ]  # fmt: skip
    if not drifts:
        return None
    by_layer = pd.DataFrame(drifts)
    keys = ["task", "layer", "sample", "method"]
    every = pd.concat([by_layer, by_layer.assign(layer=_ALL)], ignore_index=True)
    rows = _kept(every.groupby(keys, sort=False).agg(moved=("moved", "mean"), label=("label", "first")).reset_index())
    rows = rows.assign(text=[texts.get(str(s), _TEXT_UNKNOWN) for s in rows["sample"]], models=1, label=rows["label"].fillna(""))  # fmt: skip
    rows = rows.rename(columns={"method": "arm"})[list(_SHOWN)].reset_index(drop=True)
    unit = comparison.sample_group_unit
    sections = [
        (name, replace(samples_section(moves, unit), title=f"Which samples moved in {name}")) for name, moves in found
    ]
    return replace(_view(rows, model_colors(comparison), sections), filters=("arm",))


def _listed(moves: Iterable[SampleMoves], more: Iterable[MovedSample]) -> list[MovedSample]:
    return [*(at for of in moves for at in (*of.most, *of.least)), *more]


def _view(rows: pd.DataFrame, colors: Mapping[str, str], sections: Sequence[tuple[str, WordedSection]]) -> View:
    return View(
        name="samples",
        title="Which samples moved",
        answer=answer_of_models(sections),
        caption=f"The {KEPT} samples that moved most (above) and least (below) by the mean over all methods, over all layers, or at the layer that is chosen. How far: how differently a "
        "sample stands to all others than in the base model, from 0 to 2. Marks: methods, mean over models. The page keeps these samples of each layer alone; samples.parquet, "
        "or the record of a comparison, has all. Hover says the text in full, as far as it is kept.",
        spec=_spec(rows, colors),
        rows=rows,
        filters=("task", "arm"),
        panel_by="task",
        keyboard=("layer", "sample"),
        shown=_SHOWN,
        tables=[section for _, section in sections],
        group=INSIDE,
        legend=arm_legend(colors),
    )


def _spec(rows: pd.DataFrame, colors: Mapping[str, str]) -> dict[str, Any]:
    at_place = f"isValid({CHOSEN_LAYER}) ? datum.layer === toString({CHOSEN_LAYER}) : datum.layer === '{_ALL}'"
    base = (
        alt.Chart(alt.NamedData("rows"))
        .transform_filter(at_place)
        .transform_joinaggregate(over="mean(moved)", groupby=["sample", "list"])
        .transform_calculate(
            name=f"datum.text === '{_TEXT_UNKNOWN}' ? 'sample ' + datum.sample + ' (text not kept)' : datum.text",
            row="datum.list + ' ' + datum.sample",
        )
    )
    most = int(rows.groupby(["task", "layer"])["sample"].nunique().max())
    y = alt.Y("row:N", title=None, sort=alt.EncodingSortField("over", op="max", order="descending"), axis=None)
    x = alt.X("moved:Q", title="how far it moved", scale=alt.Scale(zero=True))
    shown = tooltip(typed(rows, {name: words for name, words in _SHOWN.items() if name != "layer"}))
    texts = (
        base.transform_aggregate(name="max(name)", over="max(over)", groupby=["row", "label"])
        .transform_calculate(words="(datum.label ? '[' + datum.label + '] ' : '') + datum.name")
        .mark_text(align="left", baseline="middle", dy=-9, fontSize=11, limit=330)
        .encode(y, x=alt.value(4), text="words:N", tooltip=[alt.Tooltip("words:N", title="sample")])
    )
    marks = base.mark_point(filled=True, size=55, opacity=0.9, yOffset=7).encode(
        x, y, arm_color(colors), arm_shape(colors), tooltip=shown
    )
    return alt.layer(texts, marks).add_params(chosen_layer()).properties(height=32 * most).to_dict()


register(ViewSpec("samples", 60, of_study=of_study, of_comparison=of_comparison))
