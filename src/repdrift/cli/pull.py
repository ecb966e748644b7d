"""repdrift pull: fetch representation sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from repdrift.cli import options as o
from repdrift.core.progress import tell


def pull(
    source: Annotated[
        str,
        typer.Argument(
            help="Folder, URL (s3://bucket/path), or wandb://entity/project/artifact[:alias].", show_default=False
        ),
    ],
    output_dir: Annotated[Path, typer.Option(help="Folder for the sets.")] = Path("base_representations"),
    task: o.Task = None,
) -> None:
    """Fetch representation sets, and verify them against their checksums. If it is stopped, run it again.

    Example: repdrift pull s3://my-bucket/base_representations --task mrpc
    """
    from repdrift.core.records.results import ALL_TASKS
    from repdrift.stores.remote import open_remote
    from repdrift.stores.remote import pull as fetch

    only = None if not task or task == [ALL_TASKS] else task
    for folder in fetch(open_remote(source), output_dir, only=only):
        tell(str(folder))
