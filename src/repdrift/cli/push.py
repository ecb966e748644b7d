"""repdrift push: copy representation sets to a folder, a bucket, or a W&B artifact."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from repdrift.core.progress import tell


def push(
    folder: Annotated[
        Path, typer.Argument(help="A representation set, or a folder that holds some.", show_default=False)
    ],
    target: Annotated[
        str,
        typer.Argument(help="Folder, URL (s3://bucket/path), or wandb://entity/project/artifact.", show_default=False),
    ],
) -> None:
    """Copy representation sets to another place. Each is verified first, and files that are already there are not copied again.

    Example: repdrift push base_representations s3://my-bucket/base_representations
    """
    from repdrift.stores.remote import open_remote
    from repdrift.stores.remote import push as send

    for name in send(folder, open_remote(target)):
        tell(f"{target.rstrip('/')}/{name}")
