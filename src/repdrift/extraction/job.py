"""One extraction: a model, the samples that it reads, and the settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from repdrift.core.fingerprint import config_sha256
from repdrift.core.records.representation_set import SET_FORMAT_VERSION
from repdrift.extraction.matched_change import MatchedChange
from repdrift.extraction.options import ExtractionOptions
from repdrift.models import ModelSource
from repdrift.tasks import SampleSet

_REBATCHED_DIVISOR = 3


@dataclass(frozen=True)
class ExtractionJob:
    """A base model, or a model tuned from it, and the samples that it reads.

    tuned: a full model or a PEFT adapter; None means the base model. task_kind, num_labels: the head that an adapter was
    trained with. metrics: of the training run, copied into the set's metadata. rebatched: use batches of a third of the
    size, so that the difference from the same job without it is the noise of extraction. random_change: move the base
    model by noise of this size first; then `tuned` is None, `method` is `random_change`, and `seed` is that of the run
    whose change is matched.
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
    rebatched: bool = False
    random_change: MatchedChange | None = None

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

    def key(self) -> str:
        """Hash of everything that determines the set's content."""
        fields: dict[str, Any] = {
            "format": SET_FORMAT_VERSION,
            "weights": self.source.weights_digest(),
            "base": self.base.weights_digest(),
            "samples": self.samples.fingerprint,
            "options": self.options.for_key(),
        }
        if self.random_change is not None:
            fields["random_change"] = self.random_change.for_key()
        return config_sha256(fields)
