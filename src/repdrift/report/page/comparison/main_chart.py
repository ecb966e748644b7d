"""The main chart of a comparison: drift by layer, a line for each model, with intervals and the controls where few are shown."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from repdrift.core.comparison_answers import above_noise_words, drift_in_short, mean_drift
from repdrift.core.measure_words import unseen_in_words
from repdrift.core.records.comparison import Comparison
from repdrift.core.records.results import PRIMARY_MEASURE
from repdrift.core.words import counted
from repdrift.report.page.arm_marks import model_colors
from repdrift.report.page.comparison.drift_lines import CONTROLS, FEW, Control, DriftLines
from repdrift.report.page.comparison.filters import drift_is
from repdrift.report.page.contents import DRIFT, View
from repdrift.report.style import COLORS

_SAID = 2
"""Models that have a sentence of their own."""


def main_chart(result: Comparison, table: pd.DataFrame) -> View:
    """Returns the chart of drift by layer. table: as `drift_table` makes it."""
    controls = [control for control in CONTROLS if table[control.column].notna().any()]
    has_intervals, named = bool(table["drift_low"].notna().any()), len(result.models) <= len(COLORS)
    lines = DriftLines(
        table, model_colors(result), controls, has_intervals, named, f"drift, {drift_is(result, PRIMARY_MEASURE)}"
    )
    return View(
        name=DRIFT,
        title="Drift by layer",
        answer=_answer(result),
        caption=_caption(result, controls, has_intervals=has_intervals, many=not named),
        spec=lines.spec(),
        rows=table,
        filters=("arm", "site", "measure"),
        log_fields=("drift",),
        selects={"layer": "layer"},
        keyboard=("layer", "arm"),
        shown={
            "arm": "model",
            "layer": "layer",
            "drift": "drift",
            **({"drift_low": "low", "drift_high": "high"} if has_intervals else {}),
            **{control.column: control.words for control in controls},
            "above_noise": "above noise",
        },
        legend=lines.legend,
    )


def _answer(result: Comparison) -> list[str]:
    models = sorted(result.compared, key=mean_drift, reverse=True)
    if not models:
        return ["No model has a drift by layer, so that there is nothing to draw."]
    said = [f"{model.name}: {drift_in_short(model.layers)}; {above_noise_words(model)}." for model in models[:_SAID]]
    if len(models) > _SAID:
        least, others = models[-1], len(models) - _SAID
        drift = "other model drifts" if others == 1 else "other models drift"
        said.append(f"{others} {drift} less on average, down to {least.name}: {drift_in_short(least.layers)}.")
    return said


def _caption(result: Comparison, controls: Sequence[Control], *, has_intervals: bool, many: bool) -> str:
    said = [
        "A line is a model, a point one of its layers. By debiased CKA a drift of 0 is unmoved, and about 1 unrelated.",
        unseen_in_words(PRIMARY_MEASURE),
    ]
    if many:
        said.append(
            "Colours run from blue (drifts least on average) to amber (most); a name appears with the pointer, or where few models are chosen."
        )
    if has_intervals:
        over = "samples" if result.sample_groups is None else counted(result.sample_groups, result.sample_group_unit)
        said.append(
            f"Bands are 95 % intervals over {over}, for these models; they are drawn where at most {FEW} models are shown."
        )
    else:
        said.append("There are no intervals.")
    if any(control.own for control in controls) and len(result.compared) > FEW:
        said.append(
            f"With more than {FEW} models, a control of the models shown is one grey line, its mean, in a band from the smallest to the largest."
        )
    if controls and result.control_samples is not None:
        said.append(f"Controls are over {result.control_samples} of {result.samples} samples, by debiased CKA alone.")
    elif not controls:
        said.append("No controls were run.")
    return " ".join(said)
