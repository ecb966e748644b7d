"""comparison.json: what `repdrift compare` found. A missing number is null."""

from __future__ import annotations

from typing import Any, Literal

from repdrift.core.notebook_views import notebook_view
from repdrift.core.records.base import Record
from repdrift.core.records.gate import GateResult
from repdrift.core.records.output_changes import ModelOutputs
from repdrift.core.records.patching import Patching
from repdrift.core.records.sink_tokens import SinkSummary
from repdrift.core.records.site_drift import AdapterSize, AttentionOrMlp
from repdrift.core.records.what_moved import ComparisonMoved, ModelMoved

COMPARISON_FORMAT_VERSION = 1
COMPARISON_FILE = "comparison.json"
COMPARISON_TABLE = "drift.csv"
COMPARISON_SUMMARY = "comparison.md"
COMPARISON_PAGE = "report.html"


class DriftInterval(Record):
    """The 95 % interval over samples of a drift. freedom: degrees of freedom of Student's t behind it."""

    low: float
    high: float
    freedom: float


class LayerDrift(Record):
    """One layer of one tuned model against the same layer of the base model. Drift is 1 - debiased linear CKA."""

    layer: int
    rows: int
    """Samples, or real tokens where every token is a row."""
    drift: float
    drift_low: float | None = None
    drift_high: float | None = None
    """95 % interval over samples, conditional on the two models; null at token level, whose rows are not independent, and with too few
    groups of samples."""
    freedom: float | None = None
    """Degrees of freedom of Student's t behind that interval; null where there is none, and in older records."""
    values: dict[str, float | None]
    """Every measure by name; null where it is undefined (the widths differ) or cannot be computed from sums."""
    intervals: dict[str, DriftInterval] = {}
    """Intervals of the drift by other measures, by name, where they were asked for and exist; empty in older records."""
    above_noise: bool | None = None
    """Whether the drift is above the upper end of the noise floor and, where the tuned model's weights were rounded, the control drift
    is above the rounding drift plus its upper end. Null where one of them is missing."""
    mispaired_drift: float | None = None
    """Drift with the rows of one side shuffled, so that the two sides have no relation."""
    random_change_drift: float | None = None
    """Drift of the base model after a random change of the same size in every changed matrix, over the control samples."""
    random_change_low: float | None = None
    random_change_high: float | None = None
    """95 % interval of it over the control samples."""
    rounding_drift: float | None = None
    """Drift of the base model when its weights are rounded as those of the tuned model are, over the control samples; null where
    the tuned model's weights are no coarser than the base model's."""
    rounding_low: float | None = None
    rounding_high: float | None = None
    """95 % interval of it over the control samples."""
    control_drift: float | None = None
    """Drift of the tuned model over the control samples alone, to be set beside the rounding drift; null where that is."""
    weights: dict[str, float] = {}
    """The change of the layer's weights: weight_relative_change, weight_stable_rank, and for LoRA its effective rank and
    rank utilisation; empty where they could not be compared."""


class SiteLayers(Record):
    """Drift of one tuned model at one site other than the residual stream, by layer. `values` has the relative change beside the measures."""

    site: str
    layers: list[LayerDrift]
    """Layer -1 for `embeddings`, the number of blocks for `final_norm`."""
    mean_drift: float


class ComparedModel(Record):
    """One tuned model."""

    name: str
    """Short and unique in the comparison."""
    ref: str
    """The name or folder that the user wrote."""
    kind: Literal["full model", "PEFT adapter"]
    status: Literal["compared", "compared by grid", "not comparable"]
    """Compared by grid: its layers have no counterparts in the base model, one to one, so that there is no drift by layer, and `moved.grid` has
    the similarity of every layer with every layer."""
    reason: str | None = None
    """The reason why the model could not be compared, or not layer by layer."""
    weights: str | None = None
    """Says whether the model shared the base model's weights in memory, and if an adapter did not, why."""
    weights_digest: str | None = None
    settings: dict[str, str] = {}
    """SHA-256 of `config.json` or `adapter_config.json` (of the entries that change numbers), by name; empty for GGUF files."""
    layers: list[LayerDrift] = []
    mean_drift: float | None = None
    """The mean of the drift over layers."""
    sites: list[SiteLayers] = []
    """Drift at other sites, where they were asked for; empty in older records."""
    attention_or_mlp: AttentionOrMlp | None = None
    adapter_sizes: list[AdapterSize] = []
    """The size of the adapter's own branch by layer, where it was asked for."""
    sites_left_out: dict[str, str] = {}
    """Sites without a drift of this model, each with the reason."""
    notes: list[str] = []
    """Sentences that change how this model's numbers are to be read (trained on another base, rounding of its files,
    what was not compared, ...); each is a whole sentence without the model's name."""
    outputs: ModelOutputs | None = None
    """Changes of outputs beside the drift; null where they were not asked for, and in older records."""
    moved: ModelMoved | None = None
    """The sections on what moved in this model; null where none was asked for, and in older records."""


class BetweenModels(Record):
    """Drift between two tuned models. If only their seed differs, it is drift that chance makes."""

    first: str
    second: str
    layer: int
    drift: float


class BaseLayer(Record):
    """The facts about one layer of the base model by itself."""

    layer: int
    noise_floor: float | None
    """|drift| between two runs of the base model with other batches, over the control samples."""
    noise_floor_high: float | None = None
    """The largest noise that its 95 % interval allows. Null at token level."""
    top_feature_share: float
    """Largest share of the variance that one feature holds; above a half, CKA speaks mostly of that feature."""
    participation_ratio: float
    """(sum of the covariance's eigenvalues)^2 / sum of their squares: about how many directions carry the variance."""
    largest_activation: float


class Comparison(Record):
    """A base model against models tuned from it, on one sample set."""

    format_version: Literal[1] = COMPARISON_FORMAT_VERSION
    created: str
    versions: dict[str, str]
    base: str
    base_revision: str | None
    base_digest: str
    base_settings: dict[str, str] = {}
    """SHA-256 of the base model's `config.json` and of its tokenizer's files, by name; empty in older records."""
    data: str
    """The source of the samples."""
    data_notes: list[str] = []
    """Sentences on how the data was read: what was used as text, rows left out with the first example, samples cut."""
    task: str
    samples: int
    control_samples: int | None = None
    """Samples, drawn at random, behind noise floor and random change; null without controls."""
    tokens: int
    sample_groups: int | None = None
    """Groups that the samples come from, such as paragraphs, which intervals leave out whole; null where each sample stands alone."""
    sample_group_unit: str = "group"
    """A group in one word."""
    no_group_interval: str | None = None
    """The reason, as a clause, why samples in these groups have no interval; null if they can have one."""
    truncated_samples: int
    sample_set_fingerprint: str
    pooling: str
    sinks: SinkSummary | None = None
    """For pooling `mean_without_sinks`: the tokens left out of every mean, found on the base model; else null."""
    compute_dtype: str
    accumulated: Literal["rows", "moments"]
    """Rows: pooled representations were kept in memory. Moments: only sums of products were."""
    base_layers: list[BaseLayer]
    base_sites: dict[str, list[BaseLayer]] = {}
    """The base model by site other than the residual stream; empty in older records."""
    sites_left_out: dict[str, str] = {}
    """Sites that were asked for and have no drift for any model, each with the reason."""
    models: list[ComparedModel]
    between: list[BetweenModels]
    patching: list[Patching] = []
    """One for each tuned model, where patching was asked for; empty in older records."""
    moved: ComparisonMoved | None = None
    """The sections on what moved in all models together; null where none was asked for, and in older records."""
    section_files: list[str] = []
    """The names of the tables of sections and of the figures beside this one; in older records of those of sections alone."""
    gate: GateResult | None = None
    """The verdict of a gate; null where no limit was given, and in older records."""
    headline: list[str] = []
    """The warnings that stand before all numbers, since they change how every one of them is read."""
    warnings: list[str]
    wall_time_s: float
    measure_titles: dict[str, str] = {}
    """Measure names and their titles in words; empty in older records."""
    distances: list[str] = []
    """Measures whose drift is the value itself. The drift of every other measure is 1 - value."""
    command: list[str] = []
    """The words of the command that makes this comparison again: only options that differ from their defaults, paths as other people may see them. Empty in
    older records, and where no command makes it."""
    page: str | None = None
    """The name of the page beside this file; null if none was written."""

    def plot(self, name: str = "drift_by_layer", *, width: str = "two-column", venue: str = "acl") -> Any:
        """Draws one figure by the name of its file, as a figure of matplotlib that a notebook shows. width, venue: as in `repdrift visualize`.

        Raises UnknownNameError for a name that does not exist, DataError if the comparison does not hold what the figure shows.
        """
        return notebook_view("comparison_view").comparison_plot(self, name, width=width, venue=venue)

    def to_pandas(self, what: str = "drift") -> Any:
        """Returns one table as a data frame: `drift`, `outputs`, `patching`, or that of a section on what moved. Raises UnknownNameError."""
        return notebook_view("comparison_view").comparison_table(self, what)

    def _repr_html_(self) -> str:
        return notebook_view("comparison_view").comparison_card(self)

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(notebook_view("comparison_view").comparison_line(self))

    @property
    def compared(self) -> list[ComparedModel]:
        """The models that could be compared layer by layer."""
        return [model for model in self.models if model.status == "compared"]

    @property
    def by_grid(self) -> list[ComparedModel]:
        """The models that have no drift by layer, and are compared by the layer grid alone."""
        return [model for model in self.models if model.status == "compared by grid"]
