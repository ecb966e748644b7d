"""The settings of a study's base model, read off its files without loading it."""

from __future__ import annotations

from pathlib import Path

from repdrift.core.errors import RepdriftError
from repdrift.models import resolve_model, settings_digests, tokenizer_digests
from repdrift.models.model_files import PACKAGED_PREFIX
from repdrift.study.config import StudyConfig


def base_settings_of(config: StudyConfig) -> dict[str, str] | None:
    """SHA-256 of the base model's settings, as `RunRecord.base_settings`; None if it is not on this machine, or cannot be read."""
    if not (config.model.startswith(PACKAGED_PREFIX) or Path(config.model).expanduser().exists()):
        return None
    try:
        source = resolve_model(config.model, revision=config.revision, prefer="model")
        return {**settings_digests(source), **tokenizer_digests(source)}
    except RepdriftError:  # the stage that loads the model says what is wrong with it
        return None
