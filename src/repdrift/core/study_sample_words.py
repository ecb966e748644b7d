"""The samples that moved in a study, in words: whether the seeds agree, which samples and groups moved more than the rest."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.records.sample_moves import (
    GroupMoves,
    GroupOverModels,
    MethodSamples,
    SampleAgreement,
    StudySamples,
    TaskSamples,
)
from repdrift.core.sample_words import SHARE, TITLE, group_words, sample_table, shaded_strips, tokens_table
from repdrift.core.worded_section import CaptionedTable, TokenStrip, WordedSection
from repdrift.core.words import counted, method_title, p_equals, pvalue, sentence_case, some_listed, task_title, times

_LEVEL = 0.05
_GROUPS_SAID = 3


def study_samples_section(found: StudySamples) -> WordedSection:
    """The section on all tasks."""
    answer: list[str] = []
    tables: list[CaptionedTable] = []
    strips: list[TokenStrip] = []
    notes: dict[str, None] = {}
    for task in found.tasks:
        answer += [*_agreement(task), *_named(task), *_groups(task)]
        tables += [_most(task, method) for method in task.methods]
        tables.append(_group_table(task))
        tables += [_token_table(task, method) for method in task.methods if method.strips]
        strips += [strip for method in task.methods for strip in _strips(task, method)]
        notes |= dict.fromkeys(f"{task_title(task.task)}: {note}" for note in task.notes)
    units = (
        "Models are the units of what is said over seeds. An interval over samples is conditional on the models; a group is said to move more only if both the "
        "seeds and the samples say so."
    )
    return WordedSection("samples", TITLE, answer, tables, [SHARE, units, *notes], found.left_out, strips)


def _agreement(task: TaskSamples) -> list[str]:
    return [f"{task_title(task.task)}, {method_title(of.method)}: {_agrees(of)}" for of in task.agreement]


def _agrees(of: SampleAgreement) -> str:
    if of.w is None or of.p is None or of.correlation is None:
        return f"whether the seeds agree on the samples that move is not known: {of.note}."
    models = f"{counted(of.models, 'model')}, Kendall's W {of.w:.2f}, mean rank correlation {of.correlation:.2f}, {p_equals(of.p)}"
    if of.p >= _LEVEL:
        return f"the seeds do not agree on which samples move ({models}): a list of samples says something of one model alone."
    if of.random_correlation is None:
        return (
            f"the same samples move in all seeds ({models}). No random change of the weights stands beside it, so it is not known how much of this is due to where samples "
            "lie, and would be so after any change."
        )
    if of.random_models < of.models:
        return (
            f"the same samples move in all seeds ({models}). How much of this is due to where samples lie, and would be so after any change, is not known: a random "
            f"change of the weights was run for {of.random_models} of the {of.models} models, and each needs its own (random_change: all in the study). "
            f"Where it was run, it ranks samples as training does with a correlation of {of.random_correlation:.2f}."
        )
    return (
        f"the same samples move in all seeds, beside how far a random change of the weights as large moves them ({models}). The random change by itself ranks "
        f"samples as training does with a correlation of {of.random_correlation:.2f}."
    )


def _named(task: TaskSamples) -> list[str]:
    return [
        f"{task_title(task.task)}, {method_title(of.method)}: {counted(len(of.in_all), 'sample')} {'stands' if len(of.in_all) == 1 else 'stand'} out in every "
        f"model: {some_listed([repr(name) for name in of.in_all], most=20)}."
        for of in task.methods
        if of.in_all
    ]


def _groups(task: TaskSamples) -> list[str]:
    tested = [group for group in task.groups if group.p_adjusted is not None]
    found = [group for group in tested if (group.p_adjusted or 0) < _LEVEL]
    found = [group for group in found if group.ratio > 1] or found
    if not found:
        looked = f"{task_title(task.task)}: no group of samples has a larger share than the rest ({counted(len(tested), 'comparison')} made)."
        return [looked] if tested else []
    return [
        f"{task_title(task.task)}, {method_title(group.method)}: samples with {_words(group)} ({group.n}) have {times(group.ratio)} times the share of the "
        f"others ({_interval(group)}{p_equals(group.p_adjusted or 0)}, corrected for all groups and methods).{_after_random(group)}"
        for group in sorted(found, key=lambda group: group.p or 0)[:_GROUPS_SAID]
    ]


def _after_random(group: GroupOverModels) -> str:
    if group.random_ratio is None:
        return ""
    of = "" if group.random_models == group.models else f" (run for {group.random_models} of {group.models} models)"
    return f" After a random change of the weights as large it is {times(group.random_ratio)}{of}."


def _interval(group: GroupOverModels) -> str:
    if group.low is not None and group.high is not None:
        return f"95 % interval over {group.models} models {times(group.low)} to {times(group.high)}, "
    if group.samples_low is not None and group.samples_high is not None:
        return f"95 % interval over samples {times(group.samples_low)} to {times(group.samples_high)}, one model, "
    return ""


def _words(group: GroupOverModels) -> str:
    return group_words(GroupMoves(by=group.by, column=group.column, value=group.value, n=group.n))


def _most(task: TaskSamples, of: MethodSamples) -> CaptionedTable:
    title = sentence_case(f"{task_title(task.task)}, {method_title(of.method)}: samples that moved most")
    return sample_table(title, of.most, task.group_unit)


def _token_table(task: TaskSamples, of: MethodSamples) -> CaptionedTable:
    table = tokens_table([found.strip for found in of.strips])
    rows = [[str(found.seed), *row] for found, row in zip(of.strips, table.rows, strict=True)]
    title = f"{task_title(task.task)}, {method_title(of.method)}: {table.title[:1].lower()}{table.title[1:]}"
    return CaptionedTable(sentence_case(title), table.caption, ["seed", *table.header], rows)


def _strips(task: TaskSamples, of: MethodSamples) -> list[TokenStrip]:
    """The texts of one method on one scale."""
    highest = max((v for found in of.strips for v in found.strip.values if v is not None), default=0.0)
    return [
        strip
        for found in of.strips
        for strip in shaded_strips(
            [found.strip], f"{task_title(task.task)}, {method_title(of.method)}, seed {found.seed}, ", highest
        )
    ]


def _group_table(task: TaskSamples) -> CaptionedTable:
    def ends(low: float | None, high: float | None) -> str:
        return "" if low is None or high is None else f"{times(low)} to {times(high)}"

    rows: Sequence[Sequence[str]] = [
        [
            method_title(group.method),
            _words(group),
            str(group.n),
            str(group.models),
            times(group.ratio),
            ends(group.low, group.high),
            ends(group.samples_low, group.samples_high),
            pvalue(group.p, missing=""),
            pvalue(group.p_adjusted, missing=""),
            "" if group.random_ratio is None else times(group.random_ratio),
            group.note,
        ]
        for group in task.groups
    ]
    return CaptionedTable(
        f"{task_title(task.task)}: groups of samples",
        "Mean share of the group by that of all other samples, geometric mean over models, over the layers whose drift is above noise. Random change: the same after a random "
        "change of the weights as large, over the models that have it; a ratio that is no farther from 1 says nothing of what was learnt.",
        [
            "method",
            "samples with",
            "samples",
            "models",
            "times",
            "interval over models",
            "over samples",
            "p",
            "p, corrected",
            "random change",
            "note",
        ],
        rows,
    )
