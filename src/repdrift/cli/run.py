"""repdrift run: a whole study."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from repdrift.cli import options as o
from repdrift.cli.field_options import changed, with_field_options
from repdrift.extraction.options import ExtractionOptions


@with_field_options(ExtractionOptions, "extraction", panel="Extraction", unless_given=o.THE_STUDYS)
def run(
    *,
    study_file: Annotated[
        str,
        typer.Argument(metavar="STUDY", help="Study file (YAML), or the name of a packaged study.", show_default=False),
    ],
    task: o.Task = None,
    extraction: dict[str, Any],
    model: o.Model = None,
    data_dir: o.DataDir = None,
    results_dir: o.ResultsDir = None,
    base_dir: o.BaseDir = None,
) -> None:
    """Train, extract, analyse and draw a whole study. Run it again to go on where it stopped.

    First come lines that begin with `note:`. They say which claims of the study can become significant at all (see
    `repdrift power`).

    Example: repdrift run studies/minilm.yaml --data-dir path/to/tasks

    Example, with less memory: repdrift run studies/lora_vs_full.yaml --schedule layer --memory-cap 64
    """
    from repdrift.cli.outcome import print_outcome
    from repdrift.study.runner import run_study

    study, config_path = o.study_from(
        study_file, model=model, data_dir=data_dir, results_dir=results_dir, base_dir=base_dir
    )
    study = study.model_copy(update={"extraction": changed(study.extraction, extraction)})
    print_outcome(run_study(study, config_path, tasks=task))
