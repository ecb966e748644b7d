"""The configuration of a study as a study file: after options and overrides, without secrets."""

from __future__ import annotations

from typing import Any

import yaml

from repdrift.core.hidden_secrets import shown
from repdrift.study.config import StudyConfig


def configuration_content(config: StudyConfig) -> dict[str, Any]:
    """Returns the content of a study file that says what `config` says, secrets included. Fields that were never given are left out."""
    content = config.model_dump(mode="json", exclude_unset=True)
    if content.get("tune", ...) is None:
        del content["tune"]  # a key without a value would ask for tuning
    if content.get("general_text", ...) is None:
        content["general_text"] = False
    return content


def configuration_text(config: StudyConfig) -> str:
    """Returns a study file (YAML) that says what `config` says; secrets are written as `…`.

    Fields that were never given keep the defaults of the version that reads the file.
    """
    return yaml.safe_dump(shown(configuration_content(config)), sort_keys=False, allow_unicode=True, width=120)
