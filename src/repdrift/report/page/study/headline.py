"""The page's first sentence: what changed, where most, whether that is more than noise, and what it did to skill."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from repdrift.core.learnt_words import judged_models
from repdrift.core.words import counted, layers_named, method_title, sentence_case, two_digits
from repdrift.report.page.study.contrast_words import Contrast, contrasts, first_named
from repdrift.report.page.study.score_tile import gap_range, score_gaps
from repdrift.report.report_data import ReportData
from repdrift.report.wording import drift_definition

_NOWHERE = "nowhere above the noise of extraction"


def headline(data: ReportData) -> str:
    """Returns the sentence. Where no model has learnt its task, that comes first."""
    learnt, none_has = _learnt(data)
    apart = gap_range(score_gaps(data))
    if apart is not None and learnt and not none_has:
        learnt += f", and scores lie {apart} from those of {method_title(data.results.study.reference_method)}"
    parts = [_what_changed(data), _where_and_noise(data)]
    parts = [learnt, *parts] if none_has else [*parts, learnt]
    return sentence_case("; ".join(part for part in parts if part)) + "."


def _what_changed(data: ReportData) -> str:
    found = contrasts(data)
    if not found:
        only = data.results.study.reference_method
        drift = _mean_over_all(data, only)
        size = "moved" if drift is None else f"moved by {two_digits(drift)}"
        kind = drift_definition(data.results.study, data.results.study.primary_measure)
        return (
            f"{method_title(only)} {size} on average ({kind})" if drift is not None else f"{method_title(only)} moved"
        )
    if len(found) == 1:
        return found[0].sentence + (f" ({found[0].interval_words})" if found[0].interval_words else "")
    whens = list(dict.fromkeys(each.when for each in found))
    return "; ".join(_several([each for each in found if each.when == when], when) for when in whens)


def _several(found: Sequence[Contrast], when: str) -> str:
    """Methods of one comparison by their verdict: `2 of 3 methods drift less than full fine-tuning (...), 1 is undecided`."""
    said: list[str] = []
    for verdict, words in (
        ("supported", "less"),
        ("rejected", "more"),
        ("undecided", "undecided"),
        ("not testable", "not testable"),
        ("not compared", "not compared"),
    ):
        those = sorted((each for each in found if each.verdict == verdict), key=lambda each: -abs(each.reduction or 0))
        if not those:
            continue
        names = first_named([f"{each.method} {each.size}".strip() for each in those])
        does = f"drift{'s' if len(those) == 1 else ''} {words} than {found[0].reference}"
        is_ = "is" if len(those) == 1 else "are"
        said.append(f"{len(those)} {does if words in ('less', 'more') else f'{is_} {words}'} ({names})")
    condition = next((f", {each.condition}" for each in found if each.condition.startswith("if ")), "")
    return f"of {counted(len(found), 'method')} {when}{condition}, {', '.join(said)}"


def _where_and_noise(data: ReportData) -> str:
    where, noise = _where_most(data), _noise(data)
    if noise == _NOWHERE:
        return f"the drift is {noise}"
    if where and noise:
        return f"the drift is largest in {where} and {noise}"
    return f"the drift is largest in {where}" if where else f"the drift is {noise}"


def _where_most(data: ReportData) -> str:
    """The layers in which the methods drift most, in words; empty for one layer."""
    if len(data.layers) < 2:
        return ""
    top: set[int] = set()
    for method in data.methods:
        means = [mean for task in data.tasks if np.isfinite(mean := data.mean_drift(task, method)).all()]
        if means:
            top.add(data.layers[int(np.argmax(np.mean(means, axis=0)))])
    if not top:
        return ""
    depending = ", depending on the method," if len(top) > 1 else ""
    return f"{layers_named(top)} (of {data.layers[0]} to {data.layers[-1]}){depending}"


def _noise(data: ReportData) -> str:
    checked = data.primary["above_noise"].dropna()
    if checked.empty:
        return "not compared with the noise of extraction"
    above, total = int(checked.sum()), len(checked)
    if not above:
        return _NOWHERE
    if above == total == len(data.primary):
        return "above the noise of extraction in every layer"
    if above == total:
        return "above the noise of extraction wherever that was measured"
    return f"above the noise of extraction in {above} of {total} places (task, model, layer)"


def _learnt(data: ReportData) -> tuple[str, bool]:
    """Says how many models have learnt their task, as a clause, and tells whether none of those of which it is known has."""
    models = judged_models(data.results.runs)
    have = sum(model.verdict is True for model in models)
    have_not = sum(model.verdict is False for model in models)
    unknown = len(models) - have - have_not
    if not models:
        return "", False
    if have == len(models):
        return (
            f"{'all ' if have > 1 else 'the '}{counted(have, 'model')} {'have learnt their' if have > 1 else 'has learnt its'} task",
            False,
        )
    if have_not == len(models):
        return f"none of the {counted(have_not, 'model')} has learnt its task", True
    parts = (
        [
            f"{have_not} of {counted(len(models), 'model')} {'has not learnt its' if have_not == 1 else 'have not learnt their'} task"
        ]
        if have_not
        else []
    )
    if unknown:
        parts.append(f"of {unknown} of {counted(len(models), 'model')} it is not known whether they have learnt")
    return ", and ".join(parts), have == 0 and have_not > 0


def _mean_over_all(data: ReportData, method: str) -> float | None:
    means = [data.mean_drift(task, method).mean() for task in data.tasks]
    known = [float(mean) for mean in means if np.isfinite(mean)]
    return float(np.mean(known)) if known else None
