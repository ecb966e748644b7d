"""repdrift evaluate: what trained models can do, item by item, beside the drift of their representations."""

from __future__ import annotations

from typing import Annotated

import typer

from repdrift.cli import options as o
from repdrift.core.progress import tell, tell_json


def evaluate(
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
            help="`all`, or the training step of a saved checkpoint. Without it: the final model, and checkpoints that were measured before.",
            show_default=False,
        ),
    ] = None,
    model: o.Model = None,
    data_dir: o.DataDir = None,
    results_dir: o.ResultsDir = None,
    base_dir: o.BaseDir = None,
    as_json: bool = typer.Option(False, "--json", help="Print what was measured as JSON."),
) -> None:
    """Measure the outcomes of the trained models of a study: task scores, flips, probes, and what the study names besides.

    Which ones is said by `outcomes:` in the study file; without it all that apply are measured. What was measured before for the same
    weights, samples and options is kept, so that a command that was killed goes on with the next outcome. Probes read the
    representations, so extract first. Under torchrun the processes share the batches of what two models put out.

    Example: repdrift evaluate --config studies/demo.yaml --task mrpc --method lora --seed 42
    """
    from repdrift.core.progress import is_first_process
    from repdrift.study.evaluation_stage import evaluate_runs
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
    runs = planned_runs(study, tasks=task, methods=method, seeds=seed)
    evaluated = evaluate_runs(StudyInputs(study, config_path), runs, checkpoint=checkpoint)
    if not is_first_process():
        return
    if as_json:
        tell_json(
            [
                {
                    "task": done.run.task,
                    "method": done.run.method,
                    "seed": done.run.seed,
                    "step": done.step,
                    "folder": str(done.folder),
                    "measured_now": list(done.measured_now),
                    "outcomes": {
                        name: {
                            "key": record.key,
                            "items": record.n_items,
                            "measured": [info.name for info in record.outcomes],
                            "not_applicable": [left_out.reason for left_out in record.not_applicable],
                        }
                        for name, record in done.records.items()
                    },
                }
                for done in evaluated
            ]
        )
        return
    for done in evaluated:
        tell(str(done.folder))
