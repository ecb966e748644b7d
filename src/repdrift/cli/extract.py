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
    schedule: Annotated[
        str | None,
        typer.Option(
            help="sample: batches through the whole model; layer: one block's weights at a time, for a model larger than memory; auto.",
            show_default="the study's, or auto",
        ),
    ] = None,
    memory_cap: Annotated[
        int | None, typer.Option(help="MiB for the activations of one batch.", show_default="128, on a GPU a quarter")
    ] = None,
    random_change: Annotated[
        str | None,
        typer.Option(
            help="Control: the base model moved at random as far as training moved the run of the `first` seed of each task "
            "and method, of `all` runs, or of `none`.",
            show_default="the study's, or first",
        ),
    ] = None,
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

    Same model, samples and settings: the set on disk is reused. Rows go to the final files as they come, the metadata is
    written last; killed at any moment, the same command goes on from there. Under torchrun the samples are shared out.

    Example: repdrift extract --config studies/demo.yaml --task mrpc --method lora --seed 42

    Example, checkpoints: repdrift extract --config studies/demo.yaml --task mrpc --checkpoint all

    Example, two processes: torchrun --standalone --nproc-per-node 2 -m repdrift extract --config studies/demo.yaml
    """
    from typing import get_args

    from repdrift.core.errors import UnknownNameError
    from repdrift.core.progress import is_first_process
    from repdrift.extraction.options import ExtractionOptions, RandomChangeChoice, Schedule
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
    if schedule is not None and schedule not in get_args(Schedule):
        raise UnknownNameError.of("schedule", schedule, get_args(Schedule))
    if random_change is not None and random_change not in get_args(RandomChangeChoice):
        raise UnknownNameError.of("random change", random_change, get_args(RandomChangeChoice))
    if samples is not None and samples < 4:
        raise typer.BadParameter("at least 4 samples are needed", param_hint="--samples")
    if memory_cap is not None and memory_cap < 1:
        raise typer.BadParameter("at least 1 MiB is needed", param_hint="--memory-cap")
    changes = {
        "pooling": pooling,
        "samples": samples,
        "layers": tuple(layer) if layer else None,
        "schedule": schedule,
        "random_change": random_change,
        "memory_cap_bytes": memory_cap * (1 << 20) if memory_cap else None,
    }
    extraction = ExtractionOptions.model_validate(
        {**study.extraction.model_dump(), **{k: v for k, v in changes.items() if v is not None}}
    )
    study = study.model_copy(update={"extraction": extraction})
    runs = planned_runs(study, o.selection_of(task, method, seed))
    written = StudyStages(study, config_path).extract(runs, checkpoint=checkpoint)
    if not is_first_process():
        return
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
