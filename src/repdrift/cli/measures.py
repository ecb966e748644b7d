"""repdrift measures: the similarity measures and their properties."""

from __future__ import annotations

import json

import typer


def measures(as_json: bool = typer.Option(False, "--json", help="Print as JSON.")) -> None:
    """List the similarity measures.

    Example: repdrift measures
    """
    from repdrift.similarity import measure
    from repdrift.similarity import measures as names

    found = [measure(name) for name in names()]
    if as_json:
        rows = [
            {
                "name": m.name,
                "title": m.title,
                "description": m.description,
                "bounds": m.bounds,
                "reference": m.reference,
                "higher_is_similar": m.higher_is_similar,
                "symmetric": m.symmetric,
                "invariances": sorted(m.invariances),
            }
            for m in found
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "what it is", "bounds", "does not change under", "source")
    for m in found:
        table.add_row(m.name, m.title, str(m.bounds), ", ".join(sorted(m.invariances)), m.reference)
    Console().print(table)
