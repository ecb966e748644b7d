"""Clauses on the drift of a study: the layers where it is largest, and whether it is more than the noise of extraction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repdrift.core.measure_words import drift_definition
from repdrift.core.records.results import DriftResults
from repdrift.core.study_headline.clause import Clause
from repdrift.core.words import layers_named, listed, method_title, short_drift

if TYPE_CHECKING:
    import pandas as pd

_NOWHERE = "nowhere above the noise of extraction"


def drift_of_each(results: DriftResults, primary: pd.DataFrame) -> Clause:
    """Returns how far each method moved on average over tasks, layers and models, for studies in which none can be compared."""
    study = results.study
    kind = drift_definition(study, study.primary_measure)
    means = {method: mean for method in study.methods if (mean := _mean_over_all(primary, method)) is not None}
    if not means:
        return Clause("no final model has a drift in every layer")
    if len(study.methods) == 1:
        return Clause(
            f"{method_title(study.methods[0])} moved by {short_drift(means[study.methods[0]])} on average ({kind})"
        )
    said = [f"{method_title(method)} {short_drift(mean)}" for method, mean in means.items()]
    return Clause(f"mean drift ({kind}): {listed(said)}")


def where_and_noise(results: DriftResults, primary: pd.DataFrame) -> list[Clause]:
    """Returns the layers in which the methods drift most, and whether any of that is more than noise."""
    if primary.empty:
        return []
    where, noise = _where_most(results, primary), _noise(primary)
    if noise == _NOWHERE or not where:
        return [Clause(f"the drift is {noise}", 2)]
    return [Clause(f"the drift is largest in {where} and {noise}", 2)]


def _where_most(results: DriftResults, primary: pd.DataFrame) -> str:
    """The layers in which the methods drift most, in words; where the intervals of ranks leave several, all of them. Empty for one layer."""
    layers = sorted(int(layer) for layer in primary["layer"].unique())
    if len(layers) < 2:
        return ""
    ranked = {each.method: [at.layer for at in each.layers if at.may_be_largest] for each in results.rankings}
    top: set[int] = set()
    together = False
    for method in results.study.methods:
        by_task = _by_layer(primary, method).dropna(axis=0, how="any")
        means = by_task.mean(axis=0)
        if len(by_task) and means.max() > 0:  # what does not drift is largest nowhere
            may = ranked.get(method) or [int(means.idxmax())]  # pyright: ignore[reportArgumentType]
            top |= set(may)
            together |= len(may) > 1
    if not top:
        return ""
    if together:
        which = "one of " if len(top) < len(layers) else "any of "
        return f"{which}{layers_named(top)} (of {layers[0]} to {layers[-1]}; these are not told apart)"
    depending = ", depending on the method," if len(top) > 1 else ""
    return f"{layers_named(top)} (of {layers[0]} to {layers[-1]}){depending}"


def _noise(primary: pd.DataFrame) -> str:
    checked = primary["above_noise"].dropna()
    if checked.empty:
        return "not compared with the noise of extraction"
    above, total = int(checked.sum()), len(checked)
    if not above:
        return _NOWHERE
    if above == total == len(primary):
        return "above the noise of extraction in every layer of these models"
    if above == total:
        return "above the noise of extraction wherever that was measured"
    return f"above the noise of extraction in {above} of {total} places (task, model, layer)"


def _by_layer(primary: pd.DataFrame, method: str) -> pd.DataFrame:
    """Mean drift over seeds, (tasks, layers); NaN where no seed has a value."""
    rows = primary[primary["method"] == method]
    return rows.groupby(["task", "layer"], sort=False)["drift"].mean().unstack("layer")


def _mean_over_all(primary: pd.DataFrame, method: str) -> float | None:
    """The mean over the tasks that have a drift in every layer; None if none has."""
    by_task = _by_layer(primary, method).dropna(axis=0, how="any")
    return float(by_task.mean(axis=1).mean()) if len(by_task) and by_task.shape[1] else None
