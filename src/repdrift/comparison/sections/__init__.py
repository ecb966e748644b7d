"""Sections of a comparison on what moved, beside drift by layer: one file each, found through the registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torch import Tensor

from repdrift.comparison.options import ComparisonOptions
from repdrift.comparison.row_measures import Rows
from repdrift.comparison.tuned_model import TunedModel
from repdrift.core.records.base import Record
from repdrift.core.records.comparison import ComparedModel, Comparison
from repdrift.core.records.layer_grid import RowIs
from repdrift.core.registry import Registry
from repdrift.core.worded_section import WordedSection
from repdrift.models import ModelSource
from repdrift.tasks import SampleSet

if TYPE_CHECKING:
    import pandas as pd

    from repdrift.report.rendering import Drawing


@dataclass(frozen=True)
class UnpairedRows:
    """Rows of a model whose layers have no counterparts, and the base model's rows for the same texts or words, by layer.

    row_is: what a row is. groups: for each row what it is left out with; None: each stands alone. notes: sentences on how the rows were made.
    """

    base: Rows
    tuned: Rows
    row_is: RowIs = "text"
    groups: Sequence[str] | None = None
    notes: tuple[str, ...] = ()


@dataclass
class KeptRows:
    """Pooled rows of the models, by layer, in the order of the samples; filled in the first process only."""

    base: Rows = field(default_factory=dict)
    tuned: dict[str, Rows] = field(default_factory=dict)
    """By the name of the model."""
    unpaired: dict[str, UnpairedRows] = field(default_factory=dict)
    """By the name of a model whose layers have no counterparts, one to one."""
    random_change: dict[str, Rows] = field(default_factory=dict)
    """By the name of the model: the base model after a random change as large, over the control samples; without those that have none."""
    control_rows: Tensor | None = None
    """The numbers of the rows of the control samples among all rows: (m,)."""
    again: Rows = field(default_factory=dict)
    """The base model in a second run with other batches, over the control samples; empty without controls."""


@dataclass(frozen=True)
class SectionInputs:
    """All that a section may look at, after every model has been run. The models are no longer in memory.

    tuned: the models that could be compared layer by layer, in the order of the comparison. unpaired: those that only the layer grid compares.
    rows: None where only sums were kept (accumulate moments). blocks_path: name of the list of blocks inside the base model's backbone.
    profiles: drift by layer, by model; empty where it is above noise in no layer.
    """

    base: ModelSource
    tuned: Sequence[TunedModel]
    samples: SampleSet
    options: ComparisonOptions
    rows: KeptRows | None
    blocks_path: str
    profiles: Mapping[str, Mapping[int, float]] = field(default_factory=dict[str, Mapping[int, float]])
    unpaired: Sequence[TunedModel] = ()


@dataclass(frozen=True)
class SectionFound:
    """Records of a section. by_model: those of single models, by name. whole: that of all models together.

    left_out: by model without a record, the reason.
    """

    by_model: Mapping[str, Record] = field(default_factory=dict[str, Record])
    whole: Record | None = None
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])


def _no_section(_result: Comparison, _model: ComparedModel) -> WordedSection | None:
    return None


def _no_whole_section(_result: Comparison) -> WordedSection | None:
    return None


def _no_drawings(_result: Comparison) -> dict[str, Drawing | None]:
    return {}


@dataclass(frozen=True)
class ComparisonSection:
    """A section. `ModelMoved` has a field of its name for records of single models, `ComparisonMoved` for one of all.

    name: as in `--with`. by_default: whether it is measured where the user names none. measure: called in the first process alone; a RepdriftError is
    the reason why it is left out. worded: one model's part in words. worded_whole: that of all models. tables: contents of files by
    name, which ends in .csv or .parquet. drawings: by the name of the figure; None where there is nothing to draw.
    """

    name: str
    order: int
    by_default: bool
    measure: Callable[[SectionInputs], SectionFound]
    tables: Callable[[Comparison], dict[str, pd.DataFrame]]
    worded: Callable[[Comparison, ComparedModel], WordedSection | None] = _no_section
    worded_whole: Callable[[Comparison], WordedSection | None] = _no_whole_section
    drawings: Callable[[Comparison], dict[str, Drawing | None]] = _no_drawings


_REGISTRY: Registry[ComparisonSection] = Registry("section", "repdrift.comparison.sections")


def register(section: ComparisonSection) -> ComparisonSection:
    """Registers a section."""
    return _REGISTRY.add(section.name, section)


def comparison_sections() -> list[ComparisonSection]:
    """All sections, in the order of the report."""
    return sorted(_REGISTRY, key=lambda section: section.order)
