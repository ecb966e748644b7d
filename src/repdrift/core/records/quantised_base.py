"""The base model in few bits on which an adapter was trained, and the sentences that say so wherever its numbers stand."""

from __future__ import annotations

from typing import Literal

from repdrift.core.records.base import Record


class QuantisedBase(Record):
    """The base model in 4 bits under an adapter that trained: its blocks' linear layers are quantised, all else is in full.

    It tells of training alone: representations are those of the base model in full precision, with the adapter on it.
    """

    bits: Literal[4] = 4
    format: Literal["nf4"] = "nf4"
    """4-bit NormalFloat (Dettmers et al. 2023), in groups of 64 numbers with one scale each."""
    double_quantisation: bool
    """Whether the scales were kept in 8 bits themselves."""
    compute_dtype: str
    """The precision to which a weight was brought back for each product."""
    matrices: int
    """Weight matrices that were kept in 4 bits: every linear layer of the blocks."""
    parameters: int
    """Numbers in these matrices."""
    rounding: float | None = None
    """Frobenius norm of (4-bit - full) over that of the full matrices, all together; null if they have no numbers yet."""

    @property
    def words(self) -> str:
        """The base model of the training in a few words."""
        double = "double quantisation" if self.double_quantisation else "no double quantisation"
        moved = "" if self.rounding is None else f", which moved them by {100 * self.rounding:.1f} % of their norm"
        return (
            f"a base model with {self.matrices} linear layers of its blocks ({self.parameters:,} numbers) in 4 bits "
            f"({self.format.upper()}, {double}, products in {self.compute_dtype}){moved}"
        )

    @property
    def sentence(self) -> str:
        """Says what trained, and what the scores of the run are of."""
        return (
            f"The adapter was trained on {self.words}; embeddings, normalisation, biases and heads stayed in full precision. The scores in "
            "this record are those of the model that trained, adapter and 4-bit base. What is saved is the adapter alone: whoever puts it "
            "on the base model in full precision, as representations and outcomes do here, has a model that was never trained."
        )


def measured_on_full_base(rounding: float | None) -> str:
    """Says, after the subject, that drift is of the adapter on the full base model, though a 4-bit one was there in training."""
    moved = "" if rounding is None else f" (moved by {100 * rounding:.1f} % of its weights' norm)"
    return (
        f"trained its adapter on a 4-bit base model{moved}. Drift and outcomes are of the adapter on the base model in full precision, "
        "against that base model, since that is what is usually merged and used; scores of the run itself, and whether it has learnt, are "
        "of the 4-bit model that trained."
    )
