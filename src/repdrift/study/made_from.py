"""Digests of what a study file asks of outcomes, so that a change of it is seen without measuring anything or reading a model."""

from __future__ import annotations

from repdrift.core.fingerprint import config_sha256
from repdrift.outcomes.outcome import outcomes
from repdrift.study.config import StudyConfig
from repdrift.tasks.general_text import source_sha256

_READS_GENERAL_TEXT = "outputs"


def outcomes_made_from(config: StudyConfig) -> dict[str, dict[str, str]]:
    """The SHA-256 of each kind's options, and of the general text that it reads, as `RunOutcomes.made_from` has them.

    General text that is not there has no digest, and counts as unchanged.
    """
    found: dict[str, dict[str, str]] = {}
    for name, options in config.chosen_outcomes().items():
        found[name] = {"options": config_sha256(outcomes.get(name).that_count(options))}
        if name == _READS_GENERAL_TEXT and (digest := _general_text(config)) is not None:
            found[name]["general text"] = digest
    return found


def _general_text(config: StudyConfig) -> str | None:
    entry = config.general_text
    if entry is None:
        return config_sha256({"general_text": None})
    content = source_sha256(entry.source)
    if content is None:
        return None
    return config_sha256({"content": content, **entry.model_dump(mode="json", exclude={"source"})})
