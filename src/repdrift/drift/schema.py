"""The JSON Schema of drift_analysis_results.json, shipped beside this module."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from repdrift.core.records.results import DriftResults

SCHEMA_FILE = "drift_analysis_results.schema.json"


def results_schema() -> dict[str, Any]:
    """The schema as it is generated from the record."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **DriftResults.model_json_schema()}


def shipped_schema() -> dict[str, Any]:
    """The schema as the package ships it; a test holds the two equal."""
    return json.loads((resources.files("repdrift.drift") / SCHEMA_FILE).read_text(encoding="utf-8"))
