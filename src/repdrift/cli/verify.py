"""repdrift verify: checks that representation sets, or an exported study, are complete and unchanged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from repdrift.core.progress import tell, tell_json


def verify(
    path: Annotated[
        Path,
        typer.Argument(
            help="A representation set, a folder that holds some, or an exported study: its archive (.zip) or the unpacked folder.",
            show_default=False,
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the faults as JSON.")] = False,
) -> None:
    """Check every file of every set at or below PATH, or of an exported study, against its checksum. Exit code 1 if anything is wrong.

    Example: repdrift verify results/phase3_representations
    """
    from repdrift.core.errors import MissingRunError
    from repdrift.core.records.export import MANIFEST_FILE
    from repdrift.stores import find_sets, verify_set

    if path.is_file() or (path / MANIFEST_FILE).is_file():
        _verify_export(path, as_json=as_json)
        return
    folders = list(find_sets(path)) if path.is_dir() else []
    if not folders:
        raise MissingRunError(f"no representation set at or below {path}")
    faults = [fault for folder in folders for fault in verify_set(folder)]
    if as_json:
        rows = [{"path": str(f.path), "problem": f.problem, "remedy": f.remedy} for f in faults]
        tell_json({"sets": len(folders), "faults": rows})
    else:
        for fault in faults:
            tell(str(fault))
        tell(f"{len(folders)} set(s), {len(faults)} fault(s)")
    if faults:
        raise typer.Exit(1)


def _verify_export(path: Path, *, as_json: bool) -> None:
    from repdrift.sharing.checking import check_archive, check_unpacked

    checked = check_archive(path) if path.is_file() else check_unpacked(path)
    if as_json:
        tell_json({"files": checked.files, "faults": checked.faults})
    else:
        for fault in checked.faults:
            tell(fault)
        tell(f"exported study, {checked.files} file(s), {len(checked.faults)} fault(s)")
    if checked.faults:
        raise typer.Exit(1)
