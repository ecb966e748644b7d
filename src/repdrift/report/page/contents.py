"""The contents of a page, whether it is about a study or about a comparison: plain values, tables and chart specifications.

`study` and `comparison` make a `Page` from their records, `views` makes charts from its tables, and `render` writes it as HTML.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd

from repdrift.core.worded_section import WordedSection

Verdict = Literal["yes", "no", "open", "plain"]
"""The colour of a chip: good or supported, bad or rejected, not decided, and neither. The chip's word says it too."""

NOT_KNOWN = "not known"
"""The value of a tile whose number is missing; its chip or its line says why."""

INSIDE = "What moved inside"
"""Heading of the views on weights, sites, directions and samples. Their cards are folded at the start: title and sentences, without the chart."""

DRIFT = "drift"
"""Name of the table of drift by layer, which every page has."""

DRIFT_TABLE_COLUMNS = (
    "task",  # str, as people write it; a comparison has one: its data
    "arm",  # str, as people write it: the tuning method; in a comparison the tuned model
    "seed",  # int
    "step",  # int: 0 is the final model
    "site",  # str: resid_post, or another site
    "measure",  # str
    "layer",  # int
    "drift",  # float; missing is NaN
    "drift_low",  # float: interval over samples
    "drift_high",  # float
    "noise_floor",  # float: |drift| between two runs of the base model
    "seed_ceiling",  # float: drift between two seeds of the same arm
    "random_change",  # float: drift of the base model after a random change as large
)


@dataclass(frozen=True)
class Tile:
    """One number that a reader looks for first."""

    name: str
    """Identifies the tile in the page: letters, digits and `-`."""
    label: str
    value: str
    """Two significant digits, with its unit; `NOT_KNOWN` where it is missing: "none" would be read as a number."""
    chip: str
    """The verdict in one or two words."""
    verdict: Verdict
    line: str
    """One plain sentence."""
    details: Sequence[str] = ()
    """Sentences that are shown on demand: the interval, what it is over, p and what it is about."""


@dataclass(frozen=True)
class Notice:
    """A verdict on the whole page that stands below its headline, such as that of a gate."""

    chip: str
    verdict: Verdict
    words: str
    """One sentence."""
    link: str
    """The part of the page that has all of it."""


@dataclass(frozen=True)
class Filter:
    """A choice that every view with this column follows."""

    column: str
    """The column of the tables that it is about, and its name in the URL's fragment."""
    label: str
    options: Sequence[tuple[Any, str]]
    """Values in the tables, each as people write it, in order."""
    chosen: Sequence[Any]
    """The values at the start; empty for all of them."""
    several: bool = True
    """Whether any number of values may be chosen; else one, or all where `whole` is given."""
    whole: str = ""
    """The word for "no choice", such as `All layers`; empty where one value must be chosen."""


@dataclass(frozen=True)
class LegendEntry:
    """One kind of mark with its words. dash: of its line, in pixels. outline: of its point as an SVG path about 2 wide; empty for a line alone."""

    words: str
    color: str
    dash: Sequence[int] = ()
    outline: str = ""


@dataclass(frozen=True)
class View:
    """One chart: a Vega-Lite specification on the rows of one table, drawn again whenever a filter changes.

    The specification names its data `rows` and gives no width: each panel is as wide as there is room.
    """

    name: str
    title: str
    answer: Sequence[str]
    """One to three sentences that say what the chart shows, with its numbers; they are right for the filters at the start."""
    caption: str
    """Says how to read the chart: marks, bands, lines, units."""
    spec: Mapping[str, Any]
    rows: pd.DataFrame
    filters: Sequence[str] = ()
    """Columns of `rows` that follow the filter of that name."""
    choices: Sequence[Filter] = ()
    """Filters of this chart alone, which stand beside it; `filters` names their columns too."""
    panel_by: str = ""
    """A column: one chart for each of its values, side by side, on one scale."""
    one_scale: Sequence[str] = ()
    """Columns of numbers whose range over all panels becomes the domain of the scales on the fields of that name."""
    log_fields: Sequence[str] = ()
    """Fields whose scale the reader may switch between linear and logarithmic."""
    selects: Mapping[str, str] = field(default_factory=dict)
    """On a click, the filter that is set (key) to the value in this column of the mark that was hit (value)."""
    keyboard: Sequence[str] = ()
    """The columns by which arrow keys move through the rows: left and right over the first, up and down over the second."""
    shown: Mapping[str, str] = field(default_factory=dict)
    """Columns that hover, keyboard and the table of values show, each with its heading; the others stay out of sight."""
    tables: Sequence[WordedSection] = ()
    """Numbers and notes beside the chart, folded."""
    group: str = ""
    """Heading under which views stand together: `Where`, `Against what`, `Inside`, `Samples`. Views of one group follow each other."""
    broad: bool = False
    """Whether it takes the whole width of the page also where it has one panel."""
    legend: Sequence[LegendEntry] = ()
    """The legend of all panels, in place of those that the specification draws; empty where these stay."""


@dataclass(frozen=True)
class RunTable:
    """Every trained or compared model, one row each."""

    rows: pd.DataFrame
    columns: Mapping[str, str]
    """Columns that are shown, each with its heading, in order."""
    details: Sequence[Mapping[str, str]] = ()
    """For each row, what unfolds below it: heading and text (metadata). A text below a heading that begins with `Command`, or of several lines, is
    code with a button that copies it. `#model-3` leads to the row at place 3 and unfolds it."""
    curves: pd.DataFrame | None = None
    """Loss and scores along the way: row (its position), step, name, value; None where none was kept."""


@dataclass(frozen=True)
class Download:
    """A file that the page gives from its own contents."""

    file_name: str
    title: str
    content: Callable[[], bytes]


@dataclass(frozen=True)
class Chapter:
    """Long text and tables, folded at the end of the page."""

    name: str
    title: str
    html: str
    """HTML that this package made from escaped texts (markupsafe)."""


@dataclass(frozen=True)
class Page:
    """Everything that a page shows, in its order."""

    title: str
    subtitle: str
    headline: str
    """One sentence: what changed, where most, whether more than noise, what it did to skill."""
    cautions: Sequence[str]
    """Sentences that change how the numbers are read; they stand above everything else, each once."""
    tiles: Sequence[Tile]
    filters: Sequence[Filter]
    main: View
    """Drift by layer, on the table `drift`."""
    views: Sequence[View]
    runs: RunTable
    methods_text: str
    """A paragraph for the methods section of a paper, with versions and fingerprints."""
    provenance: Sequence[tuple[str, str]]
    commands: Sequence[str]
    """Commands that reproduce what the page shows."""
    downloads: Sequence[Download]
    chapters: Sequence[Chapter] = ()
    notice: Notice | None = None
