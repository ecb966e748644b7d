"""The journal of a study: one line of JSON for every stage that finished, appended and never rewritten."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from repdrift.core.atomic import storage_errors

JOURNAL_FILE = "journal.jsonl"


class Journal:
    """Says what was done when. Nothing is decided from it: what is finished is read off the outputs themselves."""

    def __init__(self, results_dir: Path) -> None:
        self.path = results_dir / JOURNAL_FILE

    def note(self, stage: str, what: str, **details: Any) -> None:
        """Append one line."""
        line = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "stage": stage, "what": what, **details}
        with storage_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")
