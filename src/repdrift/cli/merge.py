"""repdrift merge: several studies of one base model as one analysis."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from repdrift.cli.study_end import Full, print_study_end
from repdrift.core.errors import ConfigError


def merge(
    studies: Annotated[
        list[str],
        typer.Argument(
            help="Two studies or more: study files, folders of results, or exported archives. They are called A, B, ... in this order.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("--output", help="A new folder for the merged study.", show_default=False)],
    rename: Annotated[
        list[str] | None,
        typer.Option(
            help="Another name for an arm of one study: A:OLD=NEW. The option may be repeated.", show_default=False
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The merged study's name.", show_default="the studies' names, joined")
    ] = None,
    full: Full = False,
) -> None:
    """Put studies of one base model together to one analysis, over all their tasks, arms and seeds.

    They are refused, with every reason, unless base model, samples, settings and arms of one name agree. With the representation sets of all at hand the analysis is
    that of one study which had all runs from the start; from exported archives it is what the tables can give, and names what is missing.

    Example: repdrift merge seeds_1_to_3.yaml seeds_4_to_6.yaml --output all_seeds

    Example, one name for two arms: repdrift merge a.yaml b.yaml --output both --rename B:lora=lora_r64
    """
    from repdrift.core.records.results import RESULTS_FILE, SUMMARY_FILE
    from repdrift.sharing.merging import merge_studies
    from repdrift.study.user_paths import user_path

    try:
        target = user_path(output)
    except ValueError as error:
        raise ConfigError(f"--output: {error}") from error
    done = merge_studies(studies, target, renames=_renames(rename or []), name=name)
    results_file = done.analysis / RESULTS_FILE
    figures = done.analysis.with_name("drift_visualizations")
    drawn_by = (
        f"repdrift visualize --results-file {shlex.quote(str(results_file))} --output-dir {shlex.quote(str(figures))}"
    )
    places = {
        "summary": str(done.analysis / SUMMARY_FILE),
        "results": str(results_file),
        "page": f"drawn by {drawn_by}",
    }
    if done.study_file is not None:
        places = {"study": str(done.study_file), **places}
    print_study_end(done.results, done.table, places, full=full)


def _renames(given: list[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for text in given:
        label, colon, names = text.partition(":")
        old, equals, new = names.partition("=")
        if not (label and colon and old and equals and new):
            raise ConfigError(f"--rename {text!r}: expected STUDY:OLD=NEW, such as B:lora=lora_r64")
        if old in found.setdefault(label, {}):
            raise ConfigError(f"--rename {label}:{old} is given twice")
        found[label][old] = new
    return found
