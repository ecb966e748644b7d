"""repdrift ls: what a store holds."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from repdrift.cli.store_options import SOURCE_HELP, Jobs, Kind, Only, chosen_kinds
from repdrift.core.progress import tell, tell_json


def ls(
    source: Annotated[str, typer.Argument(help=SOURCE_HELP, show_default=False)],
    only: Only = None,
    kind: Kind = None,
    jobs: Jobs = 8,
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List the representation sets, runs and results in a store, with those of which a push broke off. Nothing is fetched but their lists of files.

    Example: repdrift ls s3://my-bucket/base_representations
    """
    from repdrift.stores.remote import Wanted, listed_folders, open_remote

    rows = listed_folders(open_remote(source), Wanted(None, only, chosen_kinds(kind)), jobs=jobs)
    if as_json:
        tell_json([asdict(row) for row in rows])
        return
    widest = max((len(row.name) for row in rows), default=0)
    for row in rows:
        if row.problem is not None:
            tell(f"{row.name:<{widest}}  not complete: {row.problem}")
        else:
            size = f"{row.nbytes / 1e6:,.1f} MB"
            tell(f"{row.name:<{widest}}  {row.kind:<7}  {row.n_files:>4} files  {size:>14}  {row.words}".rstrip())
    complete = [row for row in rows if row.problem is None]
    tell(
        f"{len(complete)} complete, {len(rows) - len(complete)} not, {sum(row.nbytes for row in complete) / 1e9:,.2f} GB"
    )
