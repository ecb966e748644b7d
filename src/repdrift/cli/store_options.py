"""Options that push, pull, ls and verify share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Optional, cast

import typer

from repdrift.core.errors import UnknownNameError
from repdrift.core.records.shared_files import SharedKind

SOURCE_HELP = "Folder, URL (s3://bucket/path), or wandb://entity/project/artifact[:alias]."

Kind = Annotated[
    Optional[list[str]],  # noqa: UP045 - typer
    typer.Option(help="set, run or results; may be given several times. Without it: all.", show_default=False),
]
Only = Annotated[
    Optional[list[str]],  # noqa: UP045 - typer
    typer.Option(
        help="Folder of the store, such as 'phase3_representations/mrpc_*'; may be given several times.",
        show_default=False,
    ),
]
Jobs = Annotated[int, typer.Option(min=1, max=256, help="Files that move at the same time.")]


def chosen_kinds(given: Sequence[str] | None) -> tuple[SharedKind, ...]:
    """The kinds of folders that were asked for; all if none was. Raises UnknownNameError for another word."""
    from repdrift.stores.remote import KINDS

    for word in given or ():
        if word not in KINDS:
            raise UnknownNameError.of("kind of folder", word, KINDS)
    return tuple(cast("list[SharedKind]", given)) if given else KINDS
