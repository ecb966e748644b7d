"""The sections of a comparison on what moved: chosen, measured, put into the record, and turned into words, tables and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from repdrift.comparison.options import ComparisonOptions
from repdrift.comparison.sections import ComparisonSection, SectionFound, SectionInputs, comparison_sections
from repdrift.comparison.unpaired import ONLY_SUMS
from repdrift.core.compared_site_words import model_sites
from repdrift.core.errors import RepdriftError
from repdrift.core.process_group import world
from repdrift.core.progress import say
from repdrift.core.records.comparison import ComparedModel, Comparison
from repdrift.core.records.what_moved import ComparisonMoved, ModelMoved
from repdrift.core.thread_limit import SMALL_WIDTH, one_thread
from repdrift.core.worded_section import WordedSection
from repdrift.core.words import sentence_case

if TYPE_CHECKING:
    import pandas as pd

    from repdrift.report.rendering import Drawing


def chosen_sections(options: ComparisonOptions) -> list[ComparisonSection]:
    """Returns the sections that are measured: those that the options name, or those that are measured by default."""
    if options.sections is None:
        return [section for section in comparison_sections() if section.by_default]
    return [section for section in comparison_sections() if section.name in options.sections]


def no_grid_because(options: ComparisonOptions, *, keeps_rows: bool) -> str | None:
    """A sentence that says why the layer grid does not compare models whose layers have no counterparts; None if it does."""
    if not any(section.name == "grid" for section in chosen_sections(options)):
        return "--with grid compares every layer of one with every layer of the other."
    return None if keeps_rows else f"{sentence_case(ONLY_SUMS)}."


def sections_to_ask_for() -> list[str]:
    """Returns the names of the sections that are measured only where they are named."""
    return [section.name for section in comparison_sections() if not section.by_default]


def with_sections(
    models: Sequence[ComparedModel], inputs: SectionInputs
) -> tuple[list[ComparedModel], ComparisonMoved | None]:
    """Measures the chosen sections, in the first process alone, and adds them to the records of the models.

    Returns the models, and the sections on all of them together; None if none was chosen. A section that cannot be measured is left out
    with its reason.
    """
    chosen = chosen_sections(inputs.options)
    if not chosen or not (inputs.tuned or inputs.unpaired):
        return list(models), None
    inputs = replace(inputs, profiles={model.name: _profile(model) for model in models})
    found: dict[str, SectionFound] = {}
    reasons: dict[str, str] = {}
    with world().together("what moved"):
        if world().is_first:
            for section in chosen:
                say(f"what moved: {section.name}")
                try:
                    with one_thread(small=_is_narrow(inputs)):
                        found[section.name] = section.measure(inputs)
                except RepdriftError as error:
                    reasons[section.name] = str(error)
    found, reasons = world().from_first((found, reasons))
    compared = {tuned.name for tuned in (*inputs.tuned, *inputs.unpaired)}
    updated = [
        model.model_copy(update={"moved": _of_model(model.name, found)}) if model.name in compared else model
        for model in models
    ]
    whole = {name: part.whole for name, part in found.items() if part.whole is not None}
    return updated, ComparisonMoved(left_out=reasons, **whole)  # pyright: ignore[reportArgumentType]


def model_sections(result: Comparison, model: ComparedModel) -> list[WordedSection]:
    """Returns the sections on one model, in words, and last what was left out of it."""
    inside = model_sites(result, model)
    found = [] if inside is None else [inside]
    found += [words for section in comparison_sections() if (words := section.worded(result, model)) is not None]
    left_out = {} if model.moved is None else model.moved.left_out
    return [*found, *_left_out(left_out)]


def whole_sections(result: Comparison) -> list[WordedSection]:
    """Returns the sections on all models together, in words, and last what was left out of all."""
    found = [words for section in comparison_sections() if (words := section.worded_whole(result)) is not None]
    left_out = {} if result.moved is None else result.moved.left_out
    return [*found, *_left_out(left_out)]


def section_tables(result: Comparison) -> dict[str, pd.DataFrame]:
    """Returns the tables of all sections by file name."""
    return {name: table for section in comparison_sections() for name, table in section.tables(result).items()}


def section_drawings(result: Comparison) -> dict[str, Drawing | None]:
    """Returns what draws the figures of all sections, by the name of the figure; None where there is nothing to draw."""
    return {name: draw for section in comparison_sections() for name, draw in section.drawings(result).items()}


def _profile(model: ComparedModel) -> dict[int, float]:
    """Drift by layer; empty if it is known to be above noise in no layer."""
    is_noise = all(at.above_noise is False for at in model.layers)
    return {} if is_noise else {at.layer: at.drift for at in model.layers}


def _is_narrow(inputs: SectionInputs) -> bool:
    """True for representations that one thread measures sooner than several; False where their width is not at hand."""
    rows = {} if inputs.rows is None else inputs.rows.base
    return bool(rows) and next(iter(rows.values())).shape[1] <= SMALL_WIDTH


def _of_model(name: str, found: dict[str, SectionFound]) -> ModelMoved:
    records = {section: part.by_model[name] for section, part in found.items() if name in part.by_model}
    left_out = {section: part.left_out[name] for section, part in found.items() if name in part.left_out}
    return ModelMoved(left_out=left_out, **records)  # pyright: ignore[reportArgumentType]


def _left_out(reasons: dict[str, str]) -> list[WordedSection]:
    lines = [f"{sentence_case(name)}: {reason}" for name, reason in reasons.items()]
    return [WordedSection("left-out", "Not measured of what moved", left_out=lines)] if lines else []
