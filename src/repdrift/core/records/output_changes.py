"""Records of a comparison's outputs: how far a tuned model puts out something else than its base model, text by text."""

from __future__ import annotations

from repdrift.core.records.base import Record
from repdrift.core.records.outcomes import Inputs, ShadedTokens

OUTPUTS_TABLE = "outputs.csv"


class OutputChange(Record):
    """One outcome of one tuned model beside its base model: a mean over texts, with an interval paired over them."""

    outcome: str
    """forgetting, output_kl, output_js, top1_agreement; for classifiers disagreement."""
    title: str
    unit: str
    inputs: Inputs
    """`task`: the comparison's own texts."""
    value: float
    """The tuned model's number, or that of both models; a text weighs as many tokens as were predicted in it."""
    base_value: float | None = None
    """The base model's own number; null for outcomes that are about both models."""
    difference: float | None = None
    """value - base_value; null where that is."""
    low: float | None = None
    high: float | None = None
    """95 % interval of the difference, or of the value where there is none; whole groups of texts are left out. Null if there is none."""
    freedom: float | None = None
    """Degrees of freedom of Student's t behind that interval; null where there is none, and in older records."""
    n: int
    """Texts."""
    n_groups: int
    """Groups of texts that are no independent draws; n if each stands alone."""
    tokens: int | None = None
    """Tokens that were predicted; null for classifiers."""
    note: str = ""
    """The reason why there is no interval; "" if there is one."""


class ClassFlips(Record):
    """Texts for which the tuned classifier names another class than the base model does."""

    before: str
    after: str
    texts: int


class ModelOutputs(Record):
    """The outputs of one tuned model beside the base model's. left_out: what of them does not apply, in whole sentences."""

    changes: list[OutputChange] = []
    flips: list[ClassFlips] = []
    """For classifiers: pairs of classes, the most frequent first."""
    left_out: list[str] = []
    notes: list[str] = []
    """Sentences on how outputs were read, such as whose head was used."""
    strips: list[ShadedTokens] = []
    """Texts whose predictions changed most, token by token; empty where texts are not shown, and in older records."""
    by_base_head: bool = False
    """Whether tokens are predicted by the base model's head from the tuned hidden states, since the tuned model has no such head of its own."""
