"""repdrift push: copy representation sets, runs and results to a folder, a bucket, or a W&B artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from repdrift.cli.store_options import Jobs, Kind, chosen_kinds
from repdrift.core.progress import tell


def push(
    folder: Annotated[
        Path,
        typer.Argument(
            help="A representation set, a run, a folder of results, or a folder that holds some.", show_default=False
        ),
    ],
    target: Annotated[
        str,
        typer.Argument(help="Folder, URL (s3://bucket/path), or wandb://entity/project/artifact.", show_default=False),
    ],
    kind: Kind = None,
    jobs: Jobs = 8,
    resend: Annotated[bool, typer.Option(help="Send every file, also those that are there.")] = False,
) -> None:
    """Copy representation sets, runs and results to another place. All are verified first; files that are already there are not copied again.

    Example: repdrift push base_representations s3://my-bucket/base_representations
    """
    from repdrift.stores.remote import open_remote
    from repdrift.stores.remote import push as send

    for name in send(folder, open_remote(target), kinds=chosen_kinds(kind), jobs=jobs, resend=resend):
        tell(f"{target.rstrip('/')}/{name}")
