"""Chapters of a comparison's page: how the data was read, then for every model, and for all together, the sections with their tables and texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from repdrift.core.comparison_words import how_sure
from repdrift.core.records.comparison import Comparison
from repdrift.core.sink_words import sinks_in_words
from repdrift.core.worded_section import WordedSection
from repdrift.report.page.contents import Chapter
from repdrift.report.page.templates import page_templates


def chapters(
    result: Comparison, sections: Mapping[str, Sequence[WordedSection]], whole: Sequence[WordedSection]
) -> list[Chapter]:
    """Returns the chapters that have something to say. sections: by model; whole: those on all models together."""
    found = [
        _chapter(f"chapter-model-{place}", f"{model.name}: all numbers, and what moved", of_model)
        for place, model in enumerate(result.models)
        if (of_model := sections.get(model.name, ()))
    ]
    if whole:
        found.append(_chapter("chapter-all", "All models together", whole))
    return [*found, _chapter("chapter-data", "How the data was read, and how sure the numbers are", [_data(result)])]


def _chapter(name: str, title: str, sections: Sequence[WordedSection]) -> Chapter:
    template = page_templates(".").get_template("page/worded_sections.html")
    rendered = template.render(sections=sections, prefix=name)
    return Chapter(name, title, Markup(rendered))  # noqa: S704 - rendered with autoescape


def _data(result: Comparison) -> WordedSection:
    left_out = [f"{site}: {why}" for site, why in result.sites_left_out.items()]
    sinks = [] if result.sinks is None else [sinks_in_words(result.sinks)]
    return WordedSection(
        "data",
        "Data and controls",
        [f"{result.samples} samples ({result.tokens} tokens) from {result.data}.", *result.data_notes, *sinks],
        notes=how_sure(result),
        left_out=left_out,
    )
