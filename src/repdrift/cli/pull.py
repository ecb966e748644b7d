"""repdrift pull: fetch representation sets, runs and results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from repdrift.cli import options as o
from repdrift.cli.store_options import SOURCE_HELP, Jobs, Kind, Only, chosen_kinds
from repdrift.core.progress import tell


def pull(
    source: Annotated[str, typer.Argument(help=SOURCE_HELP, show_default=False)],
    output_dir: Annotated[
        Path | None,
        typer.Option(help="Folder for what is fetched.", show_default="base_representations, for sets alone"),
    ] = None,
    task: o.Task = None,
    only: Only = None,
    kind: Kind = None,
    jobs: Jobs = 8,
    replace: Annotated[
        bool, typer.Option(help="Write over runs and results that are here with another content.")
    ] = False,
) -> None:
    """Fetch representation sets, runs and results, and verify them against their checksums. If it is stopped, run it again.

    Example: repdrift pull s3://my-bucket/base_representations --task mrpc
    """
    from repdrift.core.records.results import ALL_TASKS
    from repdrift.stores.remote import Wanted, open_remote
    from repdrift.stores.remote import pull as fetch

    wanted = Wanted(None if not task or task == [ALL_TASKS] else task, only, chosen_kinds(kind))
    for folder in fetch(open_remote(source), output_dir, wanted=wanted, jobs=jobs, replace=replace):
        tell(str(folder))
