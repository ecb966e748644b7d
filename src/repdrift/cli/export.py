"""repdrift export: a study's results as one archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from repdrift.core.progress import tell, tell_json


def export(
    study: Annotated[
        str, typer.Argument(help="A study file, a packaged study, or the folder of its results.", show_default=False)
    ],
    target: Annotated[Path, typer.Argument(help="The archive to write: a name that ends in .zip.", show_default=False)],
    sample_texts: Annotated[
        bool | None,
        typer.Option(
            "--sample-texts/--no-sample-texts",
            help="Whether texts of the data may stand in it.",
            show_default="as the study says; not, if it is not known",
        ),
    ] = None,
    figures: Annotated[bool, typer.Option(help="Draw the figures and the page for it.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Write the results of STUDY to one archive: tables, page, figures, configuration, fingerprints. No weights, no representations.

    Equal results give equal bytes. `repdrift verify` checks an archive, `repdrift.load_results` reads it.

    Example: repdrift export study.yaml study.zip
    """
    from repdrift.sharing.export import export_study
    from repdrift.sharing.located_study import locate_study
    from repdrift.sharing.sizes import size_words

    done = export_study(locate_study(study), target.expanduser(), sample_texts=sample_texts, with_figures=figures)
    if as_json:
        tell_json({"path": str(done.path), "bytes": done.bytes, **done.manifest.model_dump(mode="json")})
        return
    tell(f"{done.path}: {size_words(done.bytes)}, {len(done.manifest.files) + 1} files")
    for note in done.manifest.notes:
        tell(f"note: {note}")
    tell("left out:")
    for sentence in done.manifest.left_out:
        tell(f"  - {sentence}")
