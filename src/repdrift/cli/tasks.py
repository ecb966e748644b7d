"""repdrift tasks: the built-in tasks, and where their data comes from."""

from __future__ import annotations

import typer

from repdrift.cli import options as o
from repdrift.core.progress import tell, tell_json


def tasks(data_dir: o.DataDir = None, as_json: bool = typer.Option(False, "--json", help="Print as JSON.")) -> None:
    """List the built-in tasks. With a data folder (or REPDRIFT_DATA), also say how many rows are found, and where.

    Example: repdrift tasks --data-dir sample
    """
    import os

    from repdrift.core.errors import DataError
    from repdrift.tasks import load_rows, task
    from repdrift.tasks import tasks as names
    from repdrift.tasks.sources import DATA_VARIABLE

    look = data_dir is not None or DATA_VARIABLE in os.environ
    rows = []
    for name in names():
        spec = task(name)
        found: dict[str, str] = {}
        for split in ("train", "validation"):
            if look:
                try:
                    loaded = load_rows(spec, split, data_dir=data_dir)
                    found[split] = f"{len(loaded.rows)} rows, {loaded.source}"
                except DataError as error:
                    found[split] = f"none: {error}"
        rows.append({"name": name, "kind": spec.kind, "title": spec.title, "columns": list(spec.columns), **found})
    if as_json:
        tell_json(rows)
        return
    for row in rows:
        tell(f"{row['name']:<14} {row['title']} ({row['kind']}; columns {', '.join(row['columns'])})")
        for split in ("train", "validation"):
            if split in row:
                tell(f"{'':<14}   {split}: {row[split]}")
