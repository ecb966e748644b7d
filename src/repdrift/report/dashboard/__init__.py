"""The dashboard: one self-contained HTML page."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import partial

import jinja2
from markupsafe import Markup

from repdrift.core import words
from repdrift.core.equal_skill_words import WHAT_IT_ANSWERS, reduction_at_end, skill_notes, tasks_in_words
from repdrift.core.hypotheses import claim
from repdrift.core.learnt_words import learnt_in_short
from repdrift.core.shown_text import for_terminal
from repdrift.core.sink_words import sinks_in_words
from repdrift.core.study_sections import study_sections
from repdrift.core.tuning_words import edge_in_words, trial_in_words
from repdrift.report import wording
from repdrift.report.answer import answer, details
from repdrift.report.dashboard import claims, sections
from repdrift.report.dashboard.outcomes import outcomes_section
from repdrift.report.report_data import ReportData
from repdrift.report.skill import first_lines


@dataclass(frozen=True)
class DrawnFigure:
    """One figure as the page shows it."""

    name: str
    title: str
    caption: str
    description: str
    png: bytes

    @property
    def data_url(self) -> Markup:
        """The picture as a data URL, so that the page holds it."""
        return Markup("data:image/png;base64," + base64.b64encode(self.png).decode())  # noqa: S704 - letters and digits


def _shown(value: object) -> object:
    """Returns what an expression of the page writes: a text without secrets and without orders to a terminal or a reader."""
    return for_terminal(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def dashboard_html(data: ReportData, drawn: list[DrawnFigure]) -> str:
    """Returns the page. Every name from outside is escaped, and the page loads nothing from elsewhere."""
    results = data.results
    loader = jinja2.PackageLoader("repdrift.report", "dashboard")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, finalize=_shown)
    environment.filters |= {
        "number": words.number,
        "percent": words.percent,
        "chosen": words.chosen_percent,
        "pvalue": words.pvalue,
        "method": words.method_title,
        "in_full": partial(words.method_in_full, words=results.study.method_words),
        "sentence": words.sentence_case,
        "task": words.task_title,
        "sinks": sinks_in_words,
        "learnt": learnt_in_short,
        "trial": trial_in_words,
        "edge": edge_in_words,
        "over": wording.OVER.__getitem__,
        "claim": partial(claim, study=results.study),
        "definition": partial(wording.drift_definition, results.study),
    }
    first = first_lines(data)
    style = (loader.get_source(environment, "page.css"))[0]
    return environment.get_template("page.html").render(
        style=Markup(style),  # noqa: S704 - our own file, not input
        study=results.study,
        results=results,
        table_name=data.table_name,
        definition=wording.drift_definition(results.study, results.study.primary_measure),
        first_lines=first,
        answer=answer(data),
        details=details(data),
        several_arms=data.several_arms,
        warnings=[*first, *(w for w in results.warnings if w not in first)],
        figures=drawn,
        absent=data.absent_runs(),
        uncompared=sections.uncompared(data),
        study_steps=data.checkpoint_steps,
        groups=sections.groups(data),
        model_counts=sections.model_counts(data),
        by_measure=sections.by_measure(data),
        by_layer=sections.by_layer(data),
        skill_words=WHAT_IT_ANSWERS,
        skill_notes=skill_notes(results.equal_skill, several=data.several_arms),
        skill_runs=sections.skill_runs(data),
        reduction_at_end=partial(reduction_at_end, results=results),
        skill_tasks=partial(tasks_in_words, results=results),
        outcomes=outcomes_section(data),
        moved=study_sections(results),
        claims=claims.claims(data),
        reductions=claims.reductions(data),
        effects=claims.effects(data),
        mixed_models=claims.mixed_models(data),
        floors=claims.floors(data),
        rankings=[(ranking, claims.top_ranks(ranking)) for ranking in results.rankings],
        layer_tables=claims.layer_tables(data),
        standings=sections.standings(data),
        failed=sections.failed_checks(data),
        controls=sections.controls(data),
        checks=sections.checks(data),
        metrics=sections.metric_names(data),
    )
