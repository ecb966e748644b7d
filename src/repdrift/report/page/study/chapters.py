"""Chapters of a study's page: the questions in full, and every table of claims, layers, controls, outcomes and sections."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from markupsafe import Markup

from repdrift.core import words
from repdrift.core.claim_parts import OVER
from repdrift.core.equal_skill_words import WHAT_IT_ANSWERS, reduction_at_end, skill_notes, tasks_in_words
from repdrift.core.hypotheses import claim
from repdrift.core.measure_words import drift_definition
from repdrift.core.sink_words import sinks_in_words
from repdrift.core.study_sections import study_sections
from repdrift.core.tuning_words import remarks_on, trial_in_words
from repdrift.report.answer import answer, details
from repdrift.report.dashboard import claims, sections
from repdrift.report.dashboard.outcomes import outcomes_section
from repdrift.report.page.contents import Chapter
from repdrift.report.page.templates import page_templates
from repdrift.report.report_data import ReportData
from repdrift.report.skill import first_lines


@dataclass(frozen=True)
class FigureFile:
    """A figure as files beside the page. files: their names."""

    title: str
    caption: str
    description: str
    files: Sequence[str]


def study_chapters(
    data: ReportData, figures: Sequence[FigureFile] = (), shown_sections: Collection[str] = ()
) -> list[Chapter]:
    """Returns the chapters that have something to say, in the order of the page.

    shown_sections: names of the sections on what moved that stand beside a chart already.
    """
    results = data.results
    moved = [section for section in study_sections(results) if section.name not in shown_sections]
    outcomes = outcomes_section(data)
    first = first_lines(data)
    cautions = [warning for warning in dict.fromkeys(results.warnings) if warning not in first]
    absent, uncompared = data.absent_runs(), sections.uncompared(data)
    care = len(cautions) + len(uncompared) + bool(absent)
    reading = results.study.data_notes or results.study.sinks
    planned = [
        ("questions", "The answer, question by question", True),
        ("missing", f"Missing runs and warnings ({care or 'none'})", True),
        ("equal_skill", "At equal skill", bool(results.equal_skill)),
        ("outcomes", "What the models can do", outcomes is not None),
        ("what_moved", "What moved, and where", bool(moved)),
        ("claims", "Every claim, with its test", True),
        ("layers", "Claims by layer", True),
        ("drifts", "Mean drifts as tables", True),
        ("checks", "Controls and checks", True),
        ("tuning", "Learning rates", results.tuning is not None),
        ("samples_read", "How the samples were read", bool(reading)),
        ("figure_files", "Figures as files", bool(figures)),
        ("reading", "How to read this page", True),
    ]
    said = _said(data) | {
        "moved": moved,
        "outcomes": outcomes,
        "warnings": cautions,
        "cautions_above": len(first),
        "absent": absent,
        "uncompared": uncompared,
        "figures": figures,
    }
    environment = page_templates("dashboard")
    environment.filters |= _filters(data)
    return [
        Chapter(
            f"chapter-{name.replace('_', '-')}", title, _html(environment.get_template(f"{name}.html").render(said))
        )
        for name, title, there in planned
        if there
    ]


def _html(rendered: str) -> Markup:
    """The text of a template, in which every text from outside is escaped."""
    return Markup(rendered)  # noqa: S704 - rendered with autoescape


def _filters(data: ReportData) -> Mapping[str, Any]:
    study = data.results.study
    return {
        "chosen": words.chosen_percent,
        "p_equals": words.p_equals,
        "method": words.method_title,
        "sentence": words.sentence_case,
        "task": words.task_title,
        "sinks": sinks_in_words,
        "trial": trial_in_words,
        "remarks": remarks_on,
        "over": OVER.__getitem__,
        "claim": partial(claim, study=study),
        "definition": partial(drift_definition, study),
    }


def _said(data: ReportData) -> dict[str, Any]:
    """The names that templates use, apart from what a chapter may lack."""
    results = data.results
    return {
        "study": results.study,
        "results": results,
        "table_name": data.table_name,
        "definition": drift_definition(results.study, results.study.primary_measure),
        "answer": answer(data),
        "details": details(data),
        "several_arms": data.several_arms,
        "study_steps": data.checkpoint_steps,
        "groups": sections.groups(data),
        "model_counts": sections.model_counts(data),
        "by_measure": sections.by_measure(data),
        "by_layer": sections.by_layer(data),
        "skill_words": WHAT_IT_ANSWERS,
        "skill_notes": skill_notes(results.equal_skill, several=data.several_arms),
        "skill_runs": sections.skill_runs(data),
        "reduction_at_end": partial(reduction_at_end, results=results),
        "skill_tasks": partial(tasks_in_words, results=results),
        "claims": claims.claims(data),
        "reductions": claims.reductions(data),
        "effects": claims.effects(data),
        "mixed_models": claims.mixed_models(data),
        "floors": claims.floors(data),
        "rankings": [(ranking, claims.top_ranks(ranking)) for ranking in results.rankings],
        "layer_tables": claims.layer_tables(data),
        "standings": sections.standings(data),
        "failed": sections.failed_checks(data),
        "controls": sections.controls(data),
        "checks": sections.checks(data),
    }
