"""The page of a comparison of a base model with models tuned from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from repdrift.core.comparison_answers import comparison_headline
from repdrift.core.comparison_words import how_sure
from repdrift.core.gate_words import GATE_VERDICTS
from repdrift.core.records.comparison import Comparison
from repdrift.core.records.gate import GateVerdict
from repdrift.core.worded_section import WordedSection
from repdrift.core.words import counted, sentence_case, task_title
from repdrift.report.glance.comparison_glance import comparison_cautions
from repdrift.report.page.comparison.chapters import GATE_CHAPTER, chapters
from repdrift.report.page.comparison.downloads import downloads
from repdrift.report.page.comparison.drift_table import drift_table
from repdrift.report.page.comparison.drift_tiles import drift_tile, noise_tile
from repdrift.report.page.comparison.filters import comparison_filters
from repdrift.report.page.comparison.main_chart import main_chart
from repdrift.report.page.comparison.methods import methods_text, provenance
from repdrift.report.page.comparison.model_table import command_line, model_table
from repdrift.report.page.comparison.other_tiles import controls_tile, moved_tile, outputs_tile
from repdrift.report.page.comparison.patching_chart import patching_chart
from repdrift.report.page.comparison.random_tile import random_change_tile
from repdrift.report.page.contents import Notice, Page, Verdict, View
from repdrift.report.page.views import comparison_views


def comparison_page(
    result: Comparison,
    sections: Mapping[str, Sequence[WordedSection]],
    whole: Sequence[WordedSection],
    files: Mapping[str, bytes],
) -> Page:
    """Returns the page of a comparison.

    result: with paths as other people may see them. sections: on what moved, by model; whole: those on all models together. files: the tables beside
    the page, by name, which it gives as downloads.
    """
    table = drift_table(result)
    given, left_out = downloads(files)
    return Page(
        title=f"Drift from {result.base}",
        subtitle=f"{counted(len(result.models), 'model')} against {result.base} on {task_title(result.task)}: {counted(result.samples, 'sample')} "
        f"from {result.data}",
        headline=comparison_headline(result),
        cautions=cautions(result),
        tiles=[
            drift_tile(result),
            noise_tile(result),
            random_change_tile(result),
            outputs_tile(result),
            moved_tile(result, sections),
            controls_tile(result, how_sure(result)),
        ],
        filters=comparison_filters(result, table),
        main=main_chart(result, table),
        views=_views(result),
        runs=model_table(result),
        methods_text=methods_text(result),
        provenance=provenance(result, left_out),
        commands=[command_line(result.command)] if result.command else [],
        downloads=given,
        chapters=chapters(result, sections, whole),
        notice=_gate_notice(result),
    )


def _gate_notice(result: Comparison) -> Notice | None:
    """The verdict of the gate; None where no limit was given."""
    if result.gate is None:
        return None
    colours: dict[GateVerdict, Verdict] = {"passed": "yes", "failed": "no", "not judged": "open"}
    verdict = result.gate.verdict
    return Notice(f"gate {GATE_VERDICTS[verdict]}", colours[verdict], f"{sentence_case(result.gate.counts)}.", GATE_CHAPTER)  # fmt: skip


def _views(result: Comparison) -> list[View]:
    """The charts beside the main one; those of one group stand together."""
    found = [*comparison_views(result), patching_chart(result)]
    views = [view for view in found if view is not None]
    groups = list(dict.fromkeys(view.group for view in views))
    return sorted(views, key=lambda view: groups.index(view.group))


def cautions(result: Comparison) -> list[str]:
    """Sentences that change how the numbers are read, each once: those on all numbers, then the first of each kind, the most serious kind first, then the others."""
    found = comparison_cautions(result)
    first = {caution.kind: caution.text for caution in reversed(found)}
    leads = [caution.text for caution in found if first[caution.kind] == caution.text]
    return list(dict.fromkeys([*result.headline, *leads, *(caution.text for caution in found)]))
