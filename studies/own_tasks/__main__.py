"""Writes the files of the tasks that this study makes itself, from the data of built-in tasks: `python -m studies.own_tasks`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from studies.own_tasks.answer_sentences import answer_sentences
from studies.own_tasks.more_to_score import more_to_score

from repdrift.core.atomic import write_text
from repdrift.core.errors import RepdriftError
from repdrift.tasks.sources import load_rows
from repdrift.tasks.spec import task

# With the 277 of RTE's own validation, an interval of half the width.
_MORE_ROWS_OF_RTE = 1100


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code: 1 if the data of a task are not at hand."""
    parser = argparse.ArgumentParser(prog="python -m studies.own_tasks", description=__doc__)
    parser.add_argument(
        "folder", type=Path, nargs="?", default=Path("own_tasks"), help="default: own_tasks, which studies name"
    )
    folder = parser.parse_args(arguments).folder
    try:
        for split in ("train", "validation"):
            _write(
                folder / "answer_sentences" / f"{split}.jsonl",
                answer_sentences(load_rows(task("squad_v2"), split).rows),
            )
        kept, scored = more_to_score(
            load_rows(task("rte"), "train").rows, load_rows(task("rte"), "validation").rows, at_least=_MORE_ROWS_OF_RTE
        )
        _write(folder / "rte" / "train.jsonl", kept)
        _write(folder / "rte" / "validation.jsonl", scored)
    except RepdriftError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    write_text(path, "\n".join(lines) + "\n")
    sys.stdout.write(f"{path}: {len(lines):,} rows\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
