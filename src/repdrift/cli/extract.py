"""repdrift extract: representations of trained models, and of their base model."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from repdrift.cli import options as o
from repdrift.cli.field_options import changed, with_field_options
from repdrift.cli.own_task import OwnTask, with_own_task
from repdrift.core.progress import tell, tell_json
from repdrift.extraction.options import ExtractionOptions


@with_field_options(ExtractionOptions, "extraction", panel="Extraction", unless_given=o.THE_STUDYS)
def extract(
    *,
    study_file: o.StudyFile = None,
    config: o.Config = None,
    overrides: o.Overrides = None,
    task: o.Task = None,
    method: o.Method = None,
    seed: o.Seed = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            help="`all`, or the training step of a saved checkpoint. Without it: the final model.", show_default=False
        ),
    ] = None,
    extraction: dict[str, Any],
    model: o.Model = None,
    data_dir: o.DataDir = None,
    results_dir: o.ResultsDir = None,
    base_dir: o.BaseDir = None,
    data: o.Data = None,
    text_column: o.TextColumn = None,
    label_column: o.LabelColumn = None,
    id_column: o.IdColumn = None,
    group_column: o.GroupColumn = None,
    prompt_column: o.PromptColumn = None,
    completion_column: o.CompletionColumn = None,
    messages_column: o.MessagesColumn = None,
    kind: o.Kind = None,
    separator: o.Separator = None,
    encoding: o.Encoding = None,
    header: o.Header = None,
    as_json: bool = typer.Option(False, "--json", help="Print the sets as JSON."),
) -> None:
    """Extract layer-wise representations of the trained models of a study, and of the base model.

    A set on disk is reused if model, samples and settings are the same. Rows go to the final files as they come, and the
    metadata is written last: if the command is killed, run it again and it goes on from there. Under torchrun the
    processes share the samples.

    Example: repdrift extract --config studies/demo.yaml --task mrpc --method lora --seed 42

    Example, checkpoints: repdrift extract --config studies/demo.yaml --task mrpc --checkpoint all

    Example, two processes: torchrun --standalone --nproc-per-node 2 -m repdrift extract --config studies/demo.yaml
    """
    from repdrift.core.progress import is_first_process
    from repdrift.study.extraction_stage import extract_runs
    from repdrift.study.inputs import StudyInputs
    from repdrift.study.runs import planned_runs

    study, config_path = o.study_from(
        config,
        study_file=study_file,
        overrides=overrides,
        model=model,
        data_dir=data_dir,
        results_dir=results_dir,
        base_dir=base_dir,
    )
    own = OwnTask(
        data=data,
        text_column=text_column,
        label_column=label_column,
        id_column=id_column,
        group_column=group_column,
        prompt_column=prompt_column,
        completion_column=completion_column,
        messages_column=messages_column,
        kind=kind,
        separator=separator,
        encoding=encoding,
        header=header,
    )
    o.require_once(config_path, ["tasks"] if own.data is not None else [])
    study = with_own_task(study, task, own)
    o.require_once(config_path, extraction, "extraction")
    study = study.model_copy(update={"extraction": changed(study.extraction, extraction)})
    runs = planned_runs(study, tasks=task, methods=method, seeds=seed)
    written = extract_runs(StudyInputs(study, config_path), runs, checkpoint=checkpoint)
    if not is_first_process():
        return
    if as_json:
        tell_json(
            [
                {
                    "folder": str(done.folder),
                    "extracted_now": done.extracted_now,
                    "key": done.metadata.key,
                    "shape": done.metadata.shape,
                    "layers": done.metadata.layers,
                    "sites": done.metadata.site_layers,
                    "sites_left_out": done.metadata.sites_left_out,
                }
                for done in written
            ]
        )
    else:
        for done in written:
            tell(str(done.folder))
