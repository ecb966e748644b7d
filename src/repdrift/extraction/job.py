"""One extraction: a model, the samples that it reads, and the settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from repdrift.batches.state_watcher import StateWatcher
from repdrift.core.errors import ModelError
from repdrift.core.fingerprint import config_sha256
from repdrift.core.records.quantised_base import QuantisedBase
from repdrift.core.records.representation_set import SET_FORMAT_VERSION, SINK_POOLING, Pooling
from repdrift.core.records.run import Learnt
from repdrift.core.records.sink_tokens import SinkTokens
from repdrift.extraction.matched_change import MatchedChange
from repdrift.extraction.options import ExtractionOptions
from repdrift.extraction.pooling_choice import concrete, resolved_pooling
from repdrift.extraction.sink_mask import SINK_RULE, SinkMask
from repdrift.models import ModelSource, settings_digests
from repdrift.models.configuration import asks_for_sparse_attention
from repdrift.models.full_attention import FULL
from repdrift.tasks import SampleSet

_REBATCHED_DIVISOR = 3


@dataclass(frozen=True)
class ExtractionJob:
    """A base model, or a model tuned from it, and the samples that it reads.

    tuned: a full model or a PEFT adapter; None means the base model. task_kind, num_labels: the head that an adapter was
    trained with. metrics, learnt, quantised_base, trained_steps: of the training run, copied into the set's metadata. rebatched: use batches of a third of the
    size, so that the difference from the same job without it is the noise of extraction. random_change: move the base
    model by noise of this size first; then `tuned` is None, `method` is `random_change`, and `seed` is that of the run
    whose change is matched. sinks: for pooling `mean_without_sinks`, those in the metadata of the base model's set; None: they
    are found on the base model, with a run of their own unless it is the model that is extracted. watcher: is given the model's last
    hidden states where the whole model is in memory; it changes nothing in the set. names_tokens: whether the set's record may have the texts of tokens.
    In `options`, pooling `auto` becomes that of the base model's kind. Raises DataError if a sample has no token that `pool_over` takes.
    """

    task: str
    method: str
    seed: int | None
    step: int
    base: ModelSource
    samples: SampleSet
    options: ExtractionOptions
    tuned: ModelSource | None = None
    task_kind: str = "classification"
    num_labels: int | None = None
    metrics: dict[str, float | None] | None = None
    learnt: Learnt | None = None
    quantised_base: QuantisedBase | None = None
    trained_steps: int | None = None
    rebatched: bool = False
    random_change: MatchedChange | None = None
    sinks: SinkTokens | None = None
    watcher: StateWatcher | None = field(default=None, compare=False, repr=False)
    names_tokens: bool = True

    def __post_init__(self) -> None:
        if self.options.pooling == "auto":
            pooling = resolved_pooling(self.options.pooling, self.base, self.options.stack)
            object.__setattr__(self, "options", self.options.model_copy(update={"pooling": pooling}))
        object.__setattr__(self, "samples", self.samples.over(self.options.pool_over))

    @property
    def pooling(self) -> Pooling:
        """The pooling of the set: never `auto`."""
        return concrete(self.options.pooling)

    @property
    def leaves_sinks_out(self) -> bool:
        """True if the rows depend on which tokens are attention sinks."""
        return self.options.pooling == SINK_POOLING

    @property
    def lacks_sinks(self) -> bool:
        """True if the rows depend on the base model's sinks, which are not given, and this is not the base model itself."""
        is_base = self.tuned is None and self.random_change is None
        return self.leaves_sinks_out and self.sinks is None and not is_base

    def sink_mask(self) -> SinkMask | None:
        """The mask for this job: closed if the sinks are given, open if they are to be found; None if none is needed."""
        if not self.leaves_sinks_out:
            return None
        return SinkMask() if self.sinks is None else SinkMask.of(self.sinks, self.samples)

    @property
    def source(self) -> ModelSource:
        """The files whose weights are measured: an adapter's own, not those of its base model."""
        return self.tuned or self.base

    @property
    def adapter(self) -> ModelSource | None:
        """The PEFT adapter, if that is what was tuned."""
        return self.tuned if self.tuned is not None and self.tuned.is_adapter else None

    @property
    def full_model(self) -> ModelSource:
        """The files of a whole model: an adapter's base model, or else `source`."""
        return self.base if self.adapter is not None else self.source

    @property
    def label(self) -> str:
        """A few words for progress messages."""
        seed = "" if self.seed is None else f" seed {self.seed}"
        if self.random_change is not None:
            return f"{self.task} random change as large as {self.random_change.method}{seed}"
        return f"{self.task} {self.method}{seed}"

    @property
    def chosen_layers(self) -> list[int] | None:
        """The layers asked for; None means all."""
        return None if self.options.layers is None else list(self.options.layers)

    def token_budget(self, usual: int) -> int:
        """Tokens of one batch: `usual`, or a third of it if the job is `rebatched`."""
        return max(1, usual // _REBATCHED_DIVISOR) if self.rebatched else usual

    def settings(self) -> dict[str, str]:
        """SHA-256 of the settings files of the base model and of the tuned one, as `SetMetadata.settings` has them.

        They stand beside the key, not in it, so that the keys of older studies hold.
        """
        sources = {"base": self.base} if self.tuned is None else {"base": self.base, "tuned": self.tuned}
        return {
            f"{part}/{name}": digest
            for part, source in sources.items()
            for name, digest in settings_digests(source).items()
        }

    def key(self) -> str:
        """Hash of everything that determines the set's content.

        Raises ModelError if the sinks are needed and not given, and this is not the base model itself.
        """
        if self.lacks_sinks:
            raise ModelError(
                f"{self.label}: pooling {SINK_POOLING!r} leaves out the sinks of the base model. Extract the base model first, and give "
                "the `sinks` of its set's metadata."
            )
        fields: dict[str, Any] = {
            "format": SET_FORMAT_VERSION,
            "weights": self.source.weights_digest(),
            "base": self.base.weights_digest(),
            "samples": self.samples.fingerprint,
            "options": self.options.for_key(),
        }
        if asks_for_sparse_attention(self.base):
            fields["attention"] = FULL  # not so in the sets of older versions
        if self.random_change is not None:
            fields["random_change"] = self.random_change.for_key()
        if self.leaves_sinks_out:
            # Weights, samples and rule determine the base model's own mask, which is not known before it is run.
            fields["sinks"] = SINK_RULE if self.sinks is None else self.sinks.digest
        return config_sha256(fields)
