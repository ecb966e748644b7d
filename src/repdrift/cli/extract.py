"""repdrift extract: representations of trained models, and of their base model."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from repdrift.cli import options as o


def extract(
    config: o.Config = None,
    task: o.Task = None,
    method: o.Method = None,
    seed: o.Seed = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            help="`all`, or the training step of a saved checkpoint. Without it: the final model.", show_default=False
        ),
    ] = None,
    layer: Annotated[
        list[int] | None,
        typer.Option(
            "--layer", help="Layer (0 is the first block); may be repeated. Without it: all.", show_default=False
        ),
    ] = None,
    pooling: Annotated[
        str | None,
        typer.Option(help="mean, last, first, cls, mean_skip_first or tokens.", show_default="the study's, or mean"),
    ] = None,
    samples: Annotated[int | None, typer.Option(help="Validation samples.", show_default="the study's, or 750")] = None,
    model: o.Model = None,
    data_dir: o.DataDir = None,
    results_dir: o.ResultsDir = None,
    base_dir: o.BaseDir = None,
    data: o.Data = None,
    text_column: o.TextColumn = None,
    label_column: o.LabelColumn = None,
    id_column: o.IdColumn = None,
    kind: o.Kind = "classification",
    as_json: bool = typer.Option(False, "--json", help="Print the sets as JSON."),
) -> None:
    """Extract layer-wise representations of the trained models of a study, and of the base model.

    Same model, samples and settings: the set on disk is reused. Each set is written layer by layer, its metadata last.

    Example: repdrift extract --config studies/demo.yaml --task mrpc --method lora --seed 42

    Example, checkpoints: repdrift extract --config studies/demo.yaml --task mrpc --checkpoint all
    """
    from repdrift.core.errors import UnknownNameError
    from repdrift.extraction.options import ExtractionOptions
    from repdrift.extraction.pooling import POOLINGS
    from repdrift.study.plan import planned_runs
    from repdrift.study.stages import StudyStages

    study, config_path = o.study_from(
        config, model=model, data_dir=data_dir, results_dir=results_dir, base_dir=base_dir
    )
    study = o.with_own_task(
        study,
        task,
        data=data,
        train_data=None,
        text_column=text_column,
        label_column=label_column,
        id_column=id_column,
        kind=kind,
    )
    if pooling is not None and pooling not in POOLINGS:
        raise UnknownNameError.of("pooling", pooling, POOLINGS)
    if samples is not None and samples < 4:
        raise typer.BadParameter("at least 4 samples are needed", param_hint="--samples")
    changes = {"pooling": pooling, "samples": samples, "layers": tuple(layer) if layer else None}
    extraction = ExtractionOptions.model_validate(
        {**study.extraction.model_dump(), **{k: v for k, v in changes.items() if v is not None}}
    )
    study = study.model_copy(update={"extraction": extraction})
    runs = planned_runs(study, o.selection_of(task, method, seed))
    written = StudyStages(study, config_path).extract(runs, checkpoint=checkpoint)
    if as_json:
        typer.echo(
            json.dumps(
                [
                    {"folder": str(f), "extracted_now": new, "key": m.key, "shape": m.shape, "layers": m.layers}
                    for f, m, new in written
                ],
                indent=2,
            )
        )
    else:
        for folder, _, _ in written:
            typer.echo(str(folder))
