"""repdrift train: fine-tune one model, or all models of a study."""

from __future__ import annotations

import typer

from repdrift.cli import options as o
from repdrift.cli.own_task import OwnTask, with_own_task
from repdrift.core.progress import tell, tell_json


def train(
    study_file: o.StudyFile = None,
    config: o.Config = None,
    overrides: o.Overrides = None,
    task: o.Task = None,
    method: o.Method = None,
    seed: o.Seed = None,
    model: o.Model = None,
    data_dir: o.DataDir = None,
    results_dir: o.ResultsDir = None,
    data: o.Data = None,
    train_data: o.TrainData = None,
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
    as_json: bool = typer.Option(False, "--json", help="Print the finished runs as JSON."),
) -> None:
    """Fine-tune models: one run, or every run of a study that is not finished yet.

    Nothing is extracted here. A finished run with the same data, model and settings is not trained again. Lines that begin
    with `note:` say what the whole study can show (see `repdrift power`).

    Example: repdrift train --config studies/demo.yaml --task mrpc --method lora --seed 42

    Example, a task of your own: repdrift train --config demo --task tickets --data val.csv --train-data train.csv
    --text-column body --label-column urgent
    """
    from repdrift.core.learnt_words import JudgedModel, learnt_cautions, learnt_in_short
    from repdrift.core.words import scores
    from repdrift.study.design_notes import say_design_notes
    from repdrift.study.inputs import StudyInputs
    from repdrift.study.runs import planned_runs
    from repdrift.study.training_stage import train_runs

    study, config_path = o.study_from(
        config, study_file=study_file, overrides=overrides, model=model, data_dir=data_dir, results_dir=results_dir
    )
    own = OwnTask(
        data=data,
        train_data=train_data,
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
    runs = planned_runs(study, tasks=task, methods=method, seeds=seed)
    say_design_notes(study)  # about the whole study, since each run is compared with the others
    finished = train_runs(StudyInputs(study, config_path), runs)
    if as_json:
        tell_json(
            [
                {"folder": str(done.folder), "trained_now": done.trained_now, **done.record.model_dump(mode="json")}
                for done in finished
            ]
        )
    else:
        judged = [
            JudgedModel(r.task, r.method, r.seed, done.record.learnt) for r, done in zip(runs, finished, strict=True)
        ]
        for caution in learnt_cautions(judged):
            tell(f"note: {caution}")
        for run, done in zip(runs, finished, strict=True):
            tell(f"{done.folder}  {run}: {scores(done.record.metrics)}; learnt: {learnt_in_short(done.record.learnt)}")
