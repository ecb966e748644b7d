"""Outcomes as people read them: names, sentences that answer first, and the rows of tables. The summary and the page take them from here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from repdrift.core.records.outcomes import (
    ON_GENERAL_TEXT,
    ArmOutcome,
    Flips,
    Inputs,
    MissingOutcomes,
    OutcomeInfo,
    StudyOutcomes,
)
from repdrift.core.records.representation_set import BASE_METHOD
from repdrift.core.words import (
    chosen_percent,
    counted,
    layers_named,
    listed,
    method_title,
    number,
    pvalue,
    sentence_case,
    task_title,
)

_SCORES = {
    "accuracy": "accuracy",
    "f1": "F1",
    "exact_match": "exact match",
    "contains": "answers contained",
    "numeric": "right numbers",
    "regex": "matched answers",
    "loss": "loss",
}
_KINDS = {
    "output_kl": "KL divergence of outputs",
    "output_js": "Jensen-Shannon divergence of outputs",
    "top1_agreement": "top-1 agreement",
    "lm_eval": "tasks of lm-evaluation-harness",
    "retrieval": "retrieval of passages",
    "flips": "flips against the base model",
}
"""Outcomes and kinds of them that were not measured, where their name in the tables is no word."""
_PROBE = "probe"
_INPUTS: dict[Inputs, str] = {"task": "the task's inputs", "general_text": "general text", "benchmark": "the benchmark"}
_FIRST = ("forgetting", "retrieval", "output_kl", "accuracy", "f1", "loss")
"""Outcomes that the answer is about, in this order; the tables have all."""
_ARM_HEADER = (
    "task",
    "method",
    "outcome",
    "on",
    "trained",
    "base",
    "difference",
    "interval",
    "models",
    "items",
    "note",
)
_FLIP_HEADER = (
    "task",
    "method",
    "against",
    "seed",
    "rows",
    "right to wrong",
    "wrong to right",
    "p (McNemar, exact)",
    "note",
)
_DIFFERENCE_HEADER = ("task", "methods", "outcome", "on", "difference", "interval", "over", "note")
_MOST_COMMANDS = 4


@dataclass(frozen=True)
class TextTable:
    """A table of plain texts."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def score_title(name: str) -> str:
    """Returns the display name of a task's score, `exact match`; a score without one keeps its name."""
    return _SCORES.get(name, name.replace("_", " "))


def inputs_title(inputs: Inputs) -> str:
    """Returns the texts that an outcome was measured on, in words."""
    return _INPUTS[inputs]


def outcome_answer(found: StudyOutcomes, confidence: float) -> list[str]:
    """Returns what the models can do after training, in a few sentences: one for each task and outcome, then probes and flips."""
    lines: list[str] = []
    tasks = list(dict.fromkeys(arm.task for arm in found.arms))
    for task in tasks:
        for name in _FIRST:
            arms = [arm for arm in found.arms if arm.task == task and arm.outcome == name and arm.layer is None]
            by_inputs: dict[Inputs, list[ArmOutcome]] = {}
            for arm in arms:
                by_inputs.setdefault(arm.inputs, []).append(arm)
            for inputs, those in by_inputs.items():
                lines.append(_arms_in_words(task, found.info(name), inputs, those, confidence))
                lines += _differences_in_words(found, those[0], confidence)
        lines += _probes_in_words(task, [arm for arm in found.arms if arm.task == task and arm.outcome == _PROBE])
    return [*lines, *_flips_in_words(found.flips)]


def arms_table(found: StudyOutcomes) -> TextTable:
    """Returns every outcome of the whole model of every arm; those of layers have a table of their own."""
    rows = [
        [
            task_title(arm.task),
            method_title(arm.method),
            _title(found.info(arm.outcome), arm.outcome),
            _INPUTS[arm.inputs],
            number(arm.value),
            number(arm.base_value, missing=""),
            _signed(arm.difference),
            _ends(arm),
            str(len(arm.seeds)),
            _counted_items(arm),
            arm.note,
        ]
        for arm in found.arms
        if arm.layer is None
    ]
    return TextTable(_ARM_HEADER, rows)


def probes_table(found: StudyOutcomes) -> TextTable:
    """Returns the probes by layer: base model and arms of every task, with the differences and their intervals."""
    arms = [arm for arm in found.arms if arm.outcome == _PROBE and arm.layer is not None]
    groups = list(dict.fromkeys((arm.task, arm.method) for arm in arms))
    tasks = list(dict.fromkeys(arm.task for arm in arms))
    header = ["layer"]
    for task in tasks:
        header.append(f"{task_title(task)}, base model")
        header += [f"{task_title(task)}, {method_title(method)}" for of, method in groups if of == task]
    by_place = {(arm.task, arm.method, arm.layer): arm for arm in arms}
    rows: list[list[str]] = []
    for layer in sorted({arm.layer for arm in arms if arm.layer is not None}):
        row = [str(layer)]
        for task in tasks:
            of_task = [by_place.get((task, method, layer)) for of, method in groups if of == task]
            row.append(number(next((arm.base_value for arm in of_task if arm is not None), None)))
            row += [
                "missing"
                if arm is None
                else f"{number(arm.value)} ({_signed(arm.difference)}; {_ends(arm) or 'no interval'})"
                for arm in of_task
            ]
        rows.append(row)
    return TextTable(header, rows)


def flips_table(found: StudyOutcomes) -> TextTable:
    """Returns the flips of every model."""
    rows = [
        [
            task_title(flips.task),
            method_title(flips.method),
            method_title(flips.against),
            str(flips.seed),
            str(flips.n),
            str(flips.right_to_wrong),
            str(flips.wrong_to_right),
            pvalue(flips.p),
            flips.note,
        ]
        for flips in found.flips
    ]
    return TextTable(_FLIP_HEADER, rows)


def not_there(found: StudyOutcomes) -> list[str]:
    """Returns what is missing or does not apply, each reason once, with the tasks that it holds for."""
    by_reason: dict[str, list[MissingOutcomes]] = {}
    for missing in found.missing:
        by_reason.setdefault(missing.reason, []).append(missing)
    lines = [
        f"{listed(list(dict.fromkeys(_kind(m.outcome) for m in those)))} ({listed(list(dict.fromkeys(task_title(m.task) for m in those)))}): {reason}"
        for reason, those in by_reason.items()
    ]
    commands = [line for line in lines if "make it with:" in line]
    others = [sentence_case(line) for line in lines if line not in commands]
    more = len(commands) - _MOST_COMMANDS
    return [*others, *commands[:_MOST_COMMANDS], *([f"and {more} more that were not measured"] if more > 0 else [])]


def _arms_in_words(
    task: str, info: OutcomeInfo | None, inputs: Inputs, arms: Sequence[ArmOutcome], confidence: float
) -> str:
    name = _title(info, arms[0].outcome)
    where = f" on {_INPUTS[inputs]}" if inputs == ON_GENERAL_TEXT or arms[0].outcome.startswith("output_") else ""
    unit = f", in {info.unit}" if info is not None and not info.unit.startswith("share") else ""
    if arms[0].outcome == "forgetting":
        parts = [f"{method_title(arm.method)} {_signed(arm.difference)}{_interval(arm, confidence)}" for arm in arms]
        return f"{task_title(task)}: forgetting{where} (rise of the loss{unit}): {'; '.join(parts)}."
    parts = [
        f"{method_title(arm.method)} {number(arm.value)}"
        + (
            f", base model {number(arm.base_value)}, difference {_signed(arm.difference)}"
            if arm.difference is not None
            else ""
        )
        + _interval(arm, confidence)
        for arm in arms
    ]
    return f"{task_title(task)}: {name}{where}{unit}: {'; '.join(parts)}."


def _differences_in_words(found: StudyOutcomes, arm: ArmOutcome, confidence: float) -> list[str]:
    """Each arm against the reference in this outcome."""
    lines: list[str] = []
    for d in found.differences:
        if (d.task, d.outcome, d.inputs) != (arm.task, arm.outcome, arm.inputs):
            continue
        ends = _interval_of(d.low, d.high, d.interval, confidence) or (f" ({d.note})" if d.note else "")
        where = f" on {_INPUTS[d.inputs]}" if d.inputs == ON_GENERAL_TEXT else ""
        lines.append(
            f"{task_title(d.task)}: {_title(found.info(d.outcome), d.outcome)}{where}, {method_title(d.method)} minus {method_title(d.reference)}: "
            f"{_signed(d.difference)}{ends}."
        )
    return lines


def differences_table(found: StudyOutcomes) -> TextTable:
    """Returns every outcome of the whole model of every arm against the reference."""
    rows = [
        [
            task_title(d.task),
            f"{method_title(d.method)} minus {method_title(d.reference)}",
            _title(found.info(d.outcome), d.outcome),
            _INPUTS[d.inputs],
            _signed(d.difference),
            "" if d.low is None or d.high is None else f"{number(d.low)} to {number(d.high)}",
            d.interval.removeprefix("jackknife over "),
            d.note,
        ]
        for d in found.differences
    ]
    return TextTable(_DIFFERENCE_HEADER, rows)


def _probes_in_words(task: str, arms: Sequence[ArmOutcome]) -> list[str]:
    lines: list[str] = []
    for method in dict.fromkeys(arm.method for arm in arms):
        layers = [arm for arm in arms if arm.method == method and arm.layer is not None and arm.difference is not None]
        if not layers:
            continue
        better = [arm.layer for arm in layers if arm.low is not None and arm.low > 0 and arm.layer is not None]
        worse = [arm.layer for arm in layers if arm.high is not None and arm.high < 0 and arm.layer is not None]
        top = layers[-1]
        said = [
            *([f"better off {layers_named(better)} than off the base model's"] if better else []),
            *([f"worse off {layers_named(worse)}"] if worse else []),
        ]
        change = " and ".join(said) if said else "off no layer better or worse than off the base model's"
        lines.append(
            f"{task_title(task)}, {method_title(method)}: a probe reads the classes {change} (intervals of single layers, of which some miss by "
            f"chance); off layer {top.layer} with accuracy {number(top.value)}, off the base model's with {number(top.base_value)}."
        )
    return lines


def _flips_in_words(flips: Sequence[Flips]) -> list[str]:
    lines: list[str] = []
    for task, method, against in dict.fromkeys((f.task, f.method, f.against) for f in flips):
        those = [f for f in flips if (f.task, f.method, f.against) == (task, method, against)]
        total, lost, won = (
            sum(f.n for f in those),
            sum(f.right_to_wrong for f in those),
            sum(f.wrong_to_right for f in those),
        )
        other = "the base model" if against == BASE_METHOD else method_title(against)
        lines.append(
            f"{task_title(task)}, {method_title(method)} against {other}: of {total} answers of {counted(len(those), 'model')} {lost} are wrong that "
            f"were right, and {won} right that were wrong."
        )
    return lines


def _title(info: OutcomeInfo | None, name: str) -> str:
    return info.title if info is not None else name


def _kind(name: str | None) -> str:
    return "all outcomes" if name is None else _KINDS.get(name, name.replace("_", " "))


def _signed(value: float | None) -> str:
    if value is None:
        return ""
    return f"+{number(value)}" if value > 0 else number(value)


def _ends(arm: ArmOutcome) -> str:
    return "" if arm.low is None or arm.high is None else f"{number(arm.low)} to {number(arm.high)}"


def _interval(arm: ArmOutcome, confidence: float) -> str:
    return _interval_of(arm.low, arm.high, arm.interval, confidence) or (f" ({arm.note})" if arm.note else "")


def _interval_of(low: float | None, high: float | None, how: str, confidence: float) -> str:
    if low is None or high is None:
        return ""
    return f" ({chosen_percent(confidence)} interval {number(low)} to {number(high)}, over {how.removeprefix('jackknife over ')})"


def _counted_items(arm: ArmOutcome) -> str:
    return str(arm.n) if arm.n_groups == arm.n else f"{arm.n} in {counted(arm.n_groups, 'group')}"
