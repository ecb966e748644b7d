"""Skill in the report: which models have not learnt their task, and what the answer may rest on."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.first_lines import first_lines as first_lines_of
from repdrift.core.learnt_words import learnt_tasks as learnt_tasks_of
from repdrift.core.learnt_words import rests_on_unknown as rests_on_unknown_of
from repdrift.report.report_data import ReportData


def first_lines(data: ReportData) -> list[str]:
    """Sentences that stand above the answer: on models that have not learnt their task, and on learning rates."""
    return first_lines_of(data.results)


def learnt_tasks(data: ReportData, methods: Sequence[str]) -> list[str]:
    """The tasks with models of every one of these methods, none of which is known not to have learnt."""
    return learnt_tasks_of(data.results, methods)


def rests_on_unknown(data: ReportData, methods: Sequence[str]) -> bool:
    """True if a comparison of these methods over all tasks rests on a model of which it is not known whether it has learnt."""
    return rests_on_unknown_of(data.results, methods)
