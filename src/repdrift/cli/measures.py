"""repdrift measures: the similarity measures and descriptors, and their properties."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from repdrift.similarity import Descriptor, Measure

_IMPLIED = {
    "rotation": {"order of features", "rotation of both sides alike"},
    "scaling of each feature": {"scaling"},
}
"""Invariances that the table leaves out because another one implies them."""

_PIPED_WIDTH = 200
"""Columns of a table that is not on a terminal: wide enough for one line each, so that the output can be searched."""

_NARROW = 100
"""Columns below which titles are left out, since they would be cut to single words."""


def measures(
    name: str | None = typer.Argument(None, help="Print one measure or descriptor in full."),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Print every one in full."),
    as_json: bool = typer.Option(False, "--json", help="Print as JSON."),
) -> None:
    """List the similarity measures and descriptors.

    Example: repdrift measures cka
    """
    from repdrift.core.errors import UnknownNameError
    from repdrift.similarity import descriptor, descriptors, measure
    from repdrift.similarity import measures as names

    groups: dict[str, list[Measure] | list[Descriptor]] = {
        "Measures of representations": [measure(known) for known in names("representations")],
        "Measures of predictions": [measure(known) for known in names("predictions")],
        "Descriptors of one representation": [descriptor(known) for known in descriptors()],
    }
    found = [entry for group in groups.values() for entry in group]
    if name is not None:
        by_name = {entry.name: entry for entry in found}
        if name not in by_name:
            raise UnknownNameError.of("measure or descriptor", name, by_name)
        found = [by_name[name]]
    if as_json:
        typer.echo(json.dumps([_as_json(entry) for entry in found], indent=2, allow_nan=False))
        return
    if name is not None:
        typer.echo(_in_full(found[0]))
        return
    if verbose:
        for title, group in groups.items():
            typer.echo(f"{title}\n")
            for entry in group:
                typer.echo(_in_full(entry) + "\n")
        return
    _print_tables(groups)


def _as_json(entry: Measure | Descriptor) -> dict[str, Any]:
    """Every property as JSON; null for a missing bound, and for properties that a descriptor lacks."""
    from repdrift.similarity import Measure

    common = {
        "name": entry.name,
        "kind": "measure" if isinstance(entry, Measure) else "descriptor",
        "title": entry.title,
        "description": entry.description,
        "bounds": _finite(entry.bounds),
        "reference": entry.reference,
        "invariances": sorted(entry.invariances),
        "cost": entry.cost,
    }
    own = ("higher_is_similar", "symmetric", "inputs", "same_width", "streaming", "needs_more_samples", "self_value")
    rest = {key: getattr(entry, key, None) for key in own}
    wider = entry.estimate_bounds if isinstance(entry, Measure) else None
    return {**common, **rest, "estimate_bounds": _finite(wider) if wider else None}


def _finite(bounds: tuple[float, float]) -> list[float | None]:
    """The bounds with None in place of infinity, which JSON lacks."""
    return [value if math.isfinite(value) else None for value in bounds]


def _in_full(entry: Measure | Descriptor) -> str:
    """All properties of a measure or descriptor, as lines."""
    from repdrift.similarity import Measure

    facts = {"range": _range(entry), "does not change under": _unchanged(entry)}
    if isinstance(entry, Measure):
        if entry.estimate_bounds:
            facts["of a sample"] = _between(entry.estimate_bounds)
        facts["compares"] = _compares(entry)
        facts["streams"] = "exactly" if _streams(entry) else f"no: it {entry.streaming}"
        if entry.needs_more_samples:
            facts["needs"] = "more samples than features"
    else:
        facts["describes"] = "one representation (samples, features)"
    facts |= {"cost": entry.cost, "source": entry.reference}
    lines = [f"{entry.name}: {entry.title}", f"  {entry.description}"]
    return "\n".join([*lines, *(f"    {label:<22} {fact}" for label, fact in facts.items())])


def _compares(entry: Measure) -> str:
    if entry.inputs == "predictions":
        rows = "logits (samples, classes) of both models"
    else:
        rows = "representations (samples, features)" + (", features of the same number" if entry.same_width else "")
    return rows + ("" if entry.symmetric else "; not symmetric: the base comes first")


def _range(entry: Measure | Descriptor) -> str:
    from repdrift.similarity import Measure

    if not isinstance(entry, Measure):
        return _between(entry.bounds)
    return f"{'similarity' if entry.higher_is_similar else 'distance'} {_between(entry.bounds)}"


def _between(bounds: tuple[float, float]) -> str:
    low, high = (f"{value:.3g}" for value in bounds)
    if math.isinf(bounds[1]):
        return f"from {low}"
    return f"{low} to {high}"


def _unchanged(entry: Measure | Descriptor) -> str:
    implied = set().union(*(_IMPLIED.get(known, set()) for known in entry.invariances))
    return ", ".join(sorted(entry.invariances - implied)) or "-"


def _streams(entry: Measure) -> bool:
    from repdrift.similarity.measure import EXACT

    return entry.streaming == EXACT


def _console() -> Console:
    from rich.console import Console

    width = None if Console().is_terminal else _PIPED_WIDTH
    return Console(width=width, markup=False, emoji=False, highlight=False)


def _print_tables(groups: dict[str, list[Measure] | list[Descriptor]]) -> None:
    from rich.table import Table

    from repdrift.similarity import Measure

    console = _console()
    for title, group in groups.items():
        compared = isinstance(group[0], Measure)
        table = Table(
            title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0)
        )
        table.add_column("name", no_wrap=True)
        if console.width >= _NARROW:
            table.add_column("what it is")
        table.add_column("range", no_wrap=True)
        table.add_column("unchanged by")
        if compared:
            table.add_column("streams", no_wrap=True)
        for entry in group:
            what = [entry.title] if console.width >= _NARROW else []
            streams = [("exactly" if _streams(entry) else "no")] if isinstance(entry, Measure) else []
            table.add_row(entry.name, *what, _range(entry), _unchanged(entry), *streams)
        console.print(table)
        console.print()
    console.print(
        "Rotation includes the order of features; `repdrift measures NAME` or --verbose prints all properties."
    )
