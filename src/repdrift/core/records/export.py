"""The records of an exported study: its manifest, which is written last, and the fingerprints of what was measured."""

from __future__ import annotations

from typing import Literal

from repdrift.core.records.base import Record

MANIFEST_FILE = "export.json"
FINGERPRINTS_FILE = "fingerprints.json"
CONFIGURATION_FILE = "study.yaml"
CARD_FILE = "model_card.md"
READ_ME_FILE = "README.md"
ANALYSIS_PART = "drift_analysis"
FIGURES_PART = "drift_visualizations"
RUNS_PART = "runs"


class ExportedFile(Record):
    """One file of an exported study: its size, and the SHA-256 of its content."""

    bytes: int
    sha256: str


class ExportManifest(Record):
    """All files of an exported study, and what was left out of it."""

    format_version: Literal[1] = 1
    study: str
    analysed: str
    """When the analysis was made, ISO 8601 in UTC."""
    repdrift: str
    """The version that exported."""
    sample_texts: bool
    """Whether texts of the data may stand in it."""
    files: dict[str, ExportedFile]
    """By path in the archive: every file but this one."""
    left_out: list[str]
    """Sentences on what is not in the archive."""
    notes: list[str] = []
    """Sentences on what the reader should know of these files."""


class SetFingerprint(Record):
    """One representation set by its fingerprints; it is itself not exported."""

    task: str
    method: str
    """`base` for the base model."""
    seed: int | None
    step: int
    key: str
    weights_digest: str
    base_weights_digest: str | None
    settings: dict[str, str]
    sample_set_fingerprint: str
    samples: int
    pooling: str
    pool_over: str
    compute_dtype: str
    dtype: str
    layers: list[int]
    sites: list[str]


class RunFingerprint(Record):
    """One trained model by its fingerprints; its weights are not exported."""

    task: str
    method: str
    seed: int
    key: str
    weights_digest: str
    base_digest: str
    base_settings: dict[str, str]
    data_fingerprint: str
    file: str
    """Its run.json in the archive."""


class StudyFingerprints(Record):
    """The fingerprints of a study: base model, representation sets, trained models."""

    format_version: Literal[1] = 1
    base_digest: str | None
    sets: list[SetFingerprint]
    runs: list[RunFingerprint]
    missing: list[str] = []
    """Sentences on what has no fingerprint here, since its files were not at hand."""
