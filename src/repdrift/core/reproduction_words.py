"""Words for models of a published study that were made again: for the terminal, the Markdown file and documents."""

from __future__ import annotations

from collections import Counter

from repdrift.core.records.reproduction import Expected, ReproducedModel, Reproduction, ReproductionVerdict
from repdrift.core.records.run import LOSSES
from repdrift.core.worded_section import CaptionedTable, WordedSection, section_markdown
from repdrift.core.words import counted, layers_named, listed, method_title, number, score_number, task_title

_ROUNDING = 1e-12
_VERDICTS: dict[ReproductionVerdict, str] = {
    "same weights": "have the same weights, byte for byte, and the same numbers but for rounding",
    "same numbers": "have the same numbers in every digit that is printed",
    "like another seed": "lie where another seed of the arm would",
    "differs": "differ by more than another seed of the arm would",
    "not judged": "cannot be judged",
}
_ONE: dict[ReproductionVerdict, str] = {
    "same weights": "has the same weights, byte for byte, and the same numbers but for rounding",
    "same numbers": "has the same numbers in every digit that is printed",
    "like another seed": "lies where another seed of its arm would",
    "differs": "differs by more than another seed of its arm would",
    "not judged": "cannot be judged",
}


def printed_drift(value: float) -> str:
    """A drift in the digits in which two are compared."""
    return number(0.0 if abs(value) <= _ROUNDING else value)


def printed_score(value: float | None, metric: str | None) -> str:
    """A score or loss in the digits in which two are compared; `none` where there is none."""
    if value is None:
        return "none"
    return number(value) if metric in LOSSES else score_number(value)


def reproduction_answer(found: Reproduction) -> list[str]:
    """Returns what was found, in sentences: how many models came out how, and how they were chosen."""
    counts: Counter[ReproductionVerdict] = Counter(model.verdict for model in found.models)
    parts = [f"{count} {_ONE[verdict] if count == 1 else _VERDICTS[verdict]}" for verdict, count in _ordered(counts)]
    chosen = (
        "named"
        if found.random_seed is None
        else f"drawn at random from {found.models_to_draw_from}{_of_tasks(found)} (random seed {found.random_seed})"
    )
    return [
        f"{counted(len(found.models), 'model')} of the study {found.study} ({found.model}), {chosen}, {_what_was_done(found)}: {listed(parts)}."
    ]


def _what_was_done(found: Reproduction) -> str:
    now = sum(model.trained_now for model in found.models)
    if now == len(found.models):
        return "trained and measured again"
    return f"measured again, {now or 'none'} of them trained by this command and {len(found.models) - now} found trained in its folder"


def reproduction_section(found: Reproduction) -> WordedSection:
    """The answer, a row for each model, and how to read them."""
    layers = [farthest_apart(model) for model in found.models]
    return WordedSection(
        "reproduction",
        f"{found.study}, made again",
        reproduction_answer(found),
        [CaptionedTable("Models", f"Drift is {_drift_is(found)}, mean over layers.", HEADER, reproduction_rows(found))],
        notes=[*(sentence for sentence in layers if sentence), how_judged(found), *found.cautions],
    )


HEADER = (
    "model",
    "learning rate",
    "mean drift: published, again",
    "another seed would lie in",
    "score: published, again",
    "another seed would lie in",
    "verdict",
)


def reproduction_rows(found: Reproduction) -> list[list[str]]:
    """A row for each model, with the columns `HEADER`."""
    return [
        [
            f"{task_title(model.task)}, {method_title(model.method)}, seed {model.seed}",
            f"{model.learning_rate:g}",
            f"{printed_drift(model.mean_published)}, {'diverged' if model.mean_again is None else printed_drift(model.mean_again)}",
            _range(model.expected_drift, None),
            "none"
            if model.metric is None
            else f"{model.metric} {printed_score(model.score_published, model.metric)}, {printed_score(model.score_again, model.metric)}",
            _range(model.expected_score, model.metric),
            model.verdict + ("; one has learnt, one has not" if model.learnt_otherwise else ""),
        ]
        for model in found.models
    ]


def how_judged(found: Reproduction) -> str:
    """Says how the verdicts come about."""
    return (
        "Where another seed would lie is a prediction interval over the published models of the arm on the task: if all models were as far off as other seeds, all numbers "
        f"together would lie in theirs with probability {found.confidence:g}. A number that lies no farther from the published one than half of the interval counts as in it. The same seed on the same kind of processor gives the same numbers."
    )


def reproduction_markdown(found: Reproduction) -> str:
    """The whole result in Markdown."""
    return "\n".join([*section_markdown(reproduction_section(found), level=1)]).rstrip("\n") + "\n"


def _of_tasks(found: Reproduction) -> str:
    return f" of {listed([*map(task_title, found.tasks)])}" if found.tasks else ""


def _ordered(counts: Counter[ReproductionVerdict]) -> list[tuple[ReproductionVerdict, int]]:
    return [(verdict, counts[verdict]) for verdict in _VERDICTS if counts[verdict]]


def _drift_is(found: Reproduction) -> str:
    return f"by {found.measure_title}"


def _range(expected: Expected | None, metric: str | None) -> str:
    if expected is None:
        return "not known"
    low, high = (
        printed_drift(end) if metric is None else printed_score(end, metric) for end in (expected.low, expected.high)
    )
    return f"{low} to {high}"


def farthest_apart(model: ReproducedModel) -> str:
    """Names the layer in which the two drifts lie farthest apart; empty where all agree as printed."""
    if not model.drift_again:
        return ""
    both = list(zip(model.layers, model.drift_published, model.drift_again, strict=True))
    if all(printed_drift(a) == printed_drift(b) for _, a, b in both):
        return ""
    layer, then, now = max(both, key=lambda one: abs(one[1] - one[2]))
    return (
        f"{task_title(model.task)}, {method_title(model.method)}, seed {model.seed}: the two lie farthest apart in {layers_named([layer])}, "
        f"{printed_drift(then)} published and {printed_drift(now)} again."
    )
