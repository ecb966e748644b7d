"""Outcomes: what a trained model can do, item by item, beside the drift of its representations.

Two tidy tables lie beside the drift table. `outcome_items.parquet` has one row for each item of each outcome of each run, in the
columns of `ITEM_COLUMNS`; `outcomes.parquet` and `outcomes.csv` have one row for each outcome of each run, in those of
`OUTCOME_COLUMNS`. A missing number is null in JSON and empty in a table.
"""

from __future__ import annotations

from typing import Any, Literal

from repdrift.core.records.base import Record

OUTCOMES_PARQUET = "outcomes.parquet"
OUTCOMES_CSV = "outcomes.csv"
OUTCOME_ITEMS_PARQUET = "outcome_items.parquet"

OUTCOMES_FORMAT_VERSION = 1

Inputs = Literal["task", "general_text", "benchmark"]
"""The texts that an outcome was measured on: the task's own samples, text that has nothing to do with the task, or the items of a benchmark."""
ON_TASK: Inputs = "task"
ON_GENERAL_TEXT: Inputs = "general_text"
ON_BENCHMARK: Inputs = "benchmark"

RIGHT_OR_WRONG = ("accuracy", "exact_match", "contains", "numeric", "regex")
"""Scores that are 1 for a row that is right and 0 for one that is wrong."""

ITEM_COLUMNS = (
    "task",  # str
    "method",  # str: full_finetune, lora, ...
    "seed",  # int
    "step",  # int: 0 is the final model
    "outcome",  # str: accuracy, f1, loss, forgetting, output_kl, probe, ...
    "inputs",  # str: task, general_text, benchmark
    "layer",  # int, 0-based; empty for an outcome of the whole model
    "item",  # str: id of the sample or document
    "group",  # str: items of one group belong together, such as questions on one paragraph; "" where each stands alone
    "value",  # float: the tuned model's number for this item
    "base_value",  # float: the base model's; empty if it has none
    "weight",  # float: tokens that the value is the mean over; 1 for a number of the whole item
)

OUTCOME_COLUMNS = (
    "task",  # str
    "method",  # str
    "seed",  # int
    "step",  # int
    "outcome",  # str
    "inputs",  # str
    "layer",  # int, 0-based; empty for an outcome of the whole model
    "value",  # float: weighted mean of the tuned model's items
    "base_value",  # float: that of the base model's; empty if it has none
    "difference",  # float: value - base_value; empty if the base has none
    "low",  # float: lower end of the interval of the difference (of the value, if the base has none), paired over items
    "high",  # float: upper end
    "interval",  # str: how the interval was made, "" if there is none
    "n",  # int: items
    "n_groups",  # int: groups of items that are left out or drawn together; n if each item stands alone
    "learnt",  # bool: whether the model has learnt its task; empty if not known
    "note",  # str: cautions that change how the number is read; "" if none
)


class OutcomeInfo(Record):
    """The meaning of one outcome: its name in the tables, its title and unit for people, and its direction."""

    name: str
    title: str
    unit: str
    """`nats per token`, `share of rows`, ..."""
    higher_is_better: bool | None
    """Null: neither, such as a divergence between base and tuned model."""


class NotApplicable(Record):
    """An outcome that was asked for, or is usual, and that this run does not have."""

    outcome: str
    inputs: Inputs | None = None
    reason: str


class ShadedTokens(Record):
    """One text, token by token, with KL(base || tuned) of what follows each token that could be predicted."""

    sample: str
    inputs: Inputs
    tokens: list[str]
    """The text of each token; empty for one without text of its own, such as the rest of a character."""
    values: list[float | None]
    """Nats, for the prediction of this token; null for a token that no model was asked for."""
    mean: float
    """Mean over the tokens that were asked for."""
    cut: int = 0
    """Tokens that are left out at the end."""


class RunOutcomes(Record):
    """The record `NAME.json` of one kind of outcome of one run, beside its items `NAME.parquet`. Written last."""

    format_version: Literal[1] = OUTCOMES_FORMAT_VERSION
    name: str
    """The kind of outcome: task_scores, probes, ..."""
    key: str
    """Hash of everything that determines the items: weights, samples, general text, options. Same key, same items."""
    task: str
    method: str
    seed: int
    step: int
    outcomes: list[OutcomeInfo]
    """The outcomes among the items."""
    not_applicable: list[NotApplicable] = []
    """What of it this model does not have; all of it, if there are no items."""
    notes: list[str] = []
    """Sentences on how it was measured, such as whose head was used."""
    strips: list[ShadedTokens] | None = None
    """Texts whose predictions changed most, token by token; they are no part of the items. Null where they were not kept: texts were not to be shown, there were
    too many tokens, a pass went on after a stop, or the version was older."""
    weights_digest: str
    base_weights_digest: str
    sample_set_fingerprint: str
    options: dict[str, Any]
    """The options that determine the items."""
    made_from: dict[str, str] = {}
    """What the study file asked for, as a SHA-256 for each part (`options`, `general text`): another one means that it was changed since.
    Empty in records of older versions, of which it is not known."""
    n_items: int
    items_sha256: str | None = None
    """SHA-256 of the items file; null if there are no items, and then there is no file."""
    created: str
    versions: dict[str, str]
    wall_time_s: float | None = None
    """Seconds that measuring took; changes nothing in the items."""


class ArmOutcome(Record):
    """One outcome of one arm on one task: the mean over its runs, with an interval over runs and items where it can be given."""

    task: str
    method: str
    step: int = 0
    outcome: str
    inputs: Inputs
    layer: int | None = None
    seeds: list[int]
    """The runs that the mean is over."""
    value: float
    base_value: float | None
    difference: float | None
    low: float | None
    """The lower end of the interval of `difference`; of `value`, if the base model has no number."""
    high: float | None
    interval: str
    """How the interval was made; "" if there is none."""
    n: int
    n_groups: int
    note: str = ""


class ArmDifference(Record):
    """One outcome of one arm minus that of the reference arm, over their models on one task, paired over items."""

    task: str
    method: str
    reference: str
    outcome: str
    inputs: Inputs
    seeds: list[int]
    reference_seeds: list[int]
    difference: float
    low: float | None
    high: float | None
    interval: str
    """How the interval was made; "" if there is none."""
    n: int
    n_groups: int
    note: str = ""


class Flips(Record):
    """Items that changed between right and wrong from one model to another, with McNemar's exact test over them.

    against: `base`, or the arm whose run of the same task and seed is the first model.
    """

    task: str
    method: str
    against: str
    seed: int
    step: int = 0
    outcome: str
    """The score that says what is right: accuracy, exact_match, ..."""
    n: int
    right_to_wrong: int
    wrong_to_right: int
    p: float | None
    """Two-sided, exact: McNemar's; where items come in groups, by flipping the signs of whole groups. Null with fewer than 10 groups."""
    note: str = ""


class MissingOutcomes(Record):
    """A run without outcomes, or without one of them: the reason, and the command that makes them."""

    task: str
    method: str
    seed: int
    step: int = 0
    outcome: str | None = None
    """Null: all of them."""
    reason: str


class StudyOutcomes(Record):
    """All that the analysis says of outcomes, except the tables."""

    infos: list[OutcomeInfo] = []
    arms: list[ArmOutcome] = []
    differences: list[ArmDifference] = []
    flips: list[Flips] = []
    missing: list[MissingOutcomes] = []
    notes: list[str] = []
    """Sentences on how outcomes were measured, which hold for every run."""

    def info(self, name: str) -> OutcomeInfo | None:
        """The meaning of the outcome of that name; None if no run has it."""
        return next((info for info in self.infos if info.name == name), None)
