"""repdrift verify: checks that representation sets, or an exported study, are complete and unchanged."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from repdrift.cli.store_options import Jobs, Kind, Only, chosen_kinds
from repdrift.core.progress import tell, tell_json

if TYPE_CHECKING:
    from repdrift.stores.remote import Wanted


def verify(
    path: Annotated[
        str,
        typer.Argument(
            help="A representation set, a folder that holds some, the address of a store (s3://bucket/path, wandb://...), or an exported study: "
            "its archive (.zip) or the unpacked folder.",
            show_default=False,
        ),
    ],
    only: Only = None,
    kind: Kind = None,
    jobs: Jobs = 8,
    as_json: Annotated[bool, typer.Option("--json", help="Print the faults as JSON.")] = False,
) -> None:
    """Check every file of every set at or below PATH, of a store or of an exported study, against its checksum. Exit code 1 if anything is wrong.

    Example: repdrift verify results/phase3_representations
    """
    from repdrift.core.records.export import MANIFEST_FILE
    from repdrift.stores.remote import Wanted, is_store

    place = Path(path)
    if is_store(path):
        _verify_store(path, Wanted(None, only, chosen_kinds(kind)), jobs, as_json=as_json)
    elif place.is_file() or (place / MANIFEST_FILE).is_file():
        _verify_export(place, as_json=as_json)
    else:
        _verify_sets(place, Wanted(None, only), as_json=as_json)


def _verify_sets(path: Path, wanted: Wanted, *, as_json: bool) -> None:
    from repdrift.core.errors import MissingRunError
    from repdrift.stores import find_sets, verify_set

    folders = list(find_sets(path)) if path.is_dir() else []
    folders = [folder for folder in folders if wanted.takes(folder.relative_to(path).as_posix())]
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


def _verify_store(address: str, wanted: Wanted, jobs: int, *, as_json: bool) -> None:
    from repdrift.stores.remote import open_remote, store_faults

    count, faults = store_faults(open_remote(address), wanted, jobs=jobs)
    if as_json:
        rows = [{"path": f.name, "problem": f.problem, "remedy": f.remedy} for f in faults]
        tell_json({"folders": count, "faults": rows})
    else:
        for fault in faults:
            tell(str(fault))
        tell(f"{count} folder(s) of sets, runs and results in the store, {len(faults)} fault(s)")
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
