"""Outputs of a tuned model that were reduced in passing: sums over the tokens of each sample, on disk until they are taken over.

They take 16 bytes for each sample and outcome, so that a run keeps a few kB where its hidden states would take hundreds of MB.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from repdrift.batches.batching import BatchPlan
from repdrift.core.atomic import storage_errors
from repdrift.core.errors import RepdriftError
from repdrift.core.fingerprint import config_sha256
from repdrift.core.process_group import world
from repdrift.core.progress import say
from repdrift.core.reading import stands_there
from repdrift.core.records.base import library_versions
from repdrift.core.records.outcomes import ShadedTokens
from repdrift.core.records.passed_outputs import PASSED_OUTPUTS_FILE, PassedOutputsRecord
from repdrift.models import ModelSource, settings_digests
from repdrift.outcomes.base_states import states_key
from repdrift.outcomes.batch_files import BatchFiles
from repdrift.outcomes.options import OutputOptions
from repdrift.outcomes.output_pass import OutputItems
from repdrift.outcomes.reduction import means_of
from repdrift.outcomes.token_outcome import token_outcome
from repdrift.tasks import SampleSet


class PassedSums:
    """The folder of one tuned model's sums, named by what determines them. outcomes: names, in the order of the sums."""

    def __init__(self, folder: Path, key: str, outcomes: Sequence[str]) -> None:
        self.folder, self.key, self.outcomes = folder, key, list(outcomes)
        self._files = BatchFiles(folder)

    def begin(self, plan: BatchPlan) -> None:
        """Name the batches of a pass; what another pass left is removed by the first process."""
        path = self.folder / PASSED_OUTPUTS_FILE
        if world().is_first and stands_there(path):
            with storage_errors(path):
                path.unlink(missing_ok=True)
            self._files.remove()
        self._files.begin({**plan.settings, "of": int(self.key[:12], 16)})

    def put(self, number: int, sums: np.ndarray) -> None:
        """Write the sums of one batch, (outcomes, 2, b): the tuned model's and the base model's."""
        self._files.put(number, torch.from_numpy(sums))

    def finish(self, plan: BatchPlan, notes: Sequence[str], strips: list[ShadedTokens] | None = None) -> None:
        """Write the record, if every batch has its file. strips: texts token by token, where they are kept."""
        if self._files.all_there(range(len(plan))):
            PassedOutputsRecord(
                key=self.key,
                plan=plan.settings,
                outcomes=self.outcomes,
                files=self._files.checksums(range(len(plan))),
                notes=list(notes),
                strips=strips,
                versions=library_versions(),
            ).write(self.folder / PASSED_OUTPUTS_FILE)

    def items(self, samples: SampleSet, counts: np.ndarray) -> OutputItems | None:
        """The values of every sample; None if there are none of this key, or a file is not as it was written.

        counts: (n,), the tokens that each sample's value is the mean of.
        """
        path = self.folder / PASSED_OUTPUTS_FILE
        if not stands_there(path):
            return None
        try:
            record = PassedOutputsRecord.read(path)
            if record.key != self.key or record.outcomes != self.outcomes:
                return None
            if (fault := self._files.found(record.files)) is not None:
                say(f"the outputs in {self.folder} are not used: {fault}. They are measured anew")
                return None
            plan = BatchPlan(samples, **record.plan)  # pyright: ignore[reportArgumentType]
            sums = np.zeros((len(self.outcomes), 2, len(samples)))
            for number, members in enumerate(plan.sample_indices):
                sums[:, :, np.asarray(members)] = self._files.get(number).numpy()
        except RepdriftError as error:
            say(f"the outputs in {self.folder} are not used: {error} They are measured anew")
            return None
        chosen = [token_outcome(name) for name in self.outcomes]
        means = means_of(dict(zip(self.outcomes, sums, strict=True)), chosen, counts)
        return OutputItems(means, counts, record.notes, strips=record.strips)


def passed_key(
    base: ModelSource,
    tuned: ModelSource,
    samples: SampleSet,
    *,
    trained_as: str | None,
    outcomes: Sequence[str],
    options: OutputOptions,
) -> str:
    """Hash of everything that determines the sums of a causal model that were reduced in passing."""
    fields: dict[str, Any] = {
        "format": 1,
        "base": states_key(base, samples, "causal", options.compute_dtype),
        "tuned": tuned.weights_digest(),
        "settings": settings_digests(tuned),
        "trained_as": trained_as,
        "outcomes": list(outcomes),
        "options": options.for_key(),
    }
    return config_sha256(fields)


def remove_passed(folder: Path) -> None:
    """Remove sums that were taken over, and the folder that held them."""
    if not stands_there(folder):
        return
    path = folder / PASSED_OUTPUTS_FILE
    with storage_errors(folder):
        path.unlink(missing_ok=True)
        BatchFiles(folder).remove()
    with suppress(OSError):  # it holds what is not ours
        folder.rmdir()
