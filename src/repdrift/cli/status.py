"""repdrift status: the progress of a study."""

from __future__ import annotations

import typer

from repdrift.cli import options as o
from repdrift.core.progress import tell, tell_json

_TRAINED = {"yes": "trained, has learnt", "no": "trained, has not learnt", "not known": "trained, learnt: not known"}


def status(
    study_file: o.StudyFile = None,
    config: o.Config = None,
    overrides: o.Overrides = None,
    results_dir: o.ResultsDir = None,
    base_dir: o.BaseDir = None,
    as_json: bool = typer.Option(False, "--json", help="Print as JSON."),
) -> None:
    """Show how a study stands: its jobs, the time left, which models have learnt their task, and what its design can show.

    The first line answers. Then come notes, every run, and the jobs that run, failed, are stale (made with other settings or of other inputs than the
    study has now), or wait. Files are read, and nothing else: a changed data file is seen by the job alone.

    Example: repdrift status demo_output/demo.yaml (which `repdrift demo` leaves)
    """
    from repdrift.core.learnt_words import learnt_cautions, learnt_in_short
    from repdrift.study.design_notes import design_notes
    from repdrift.study.jobs.job_status import study_standing
    from repdrift.study.jobs.job_status_words import answer, job_lines, standing_json
    from repdrift.study.status import judged, study_status
    from repdrift.study.tuning_report import tuning_lines, tuning_of

    study, config_path = o.study_from(
        config, study_file=study_file, overrides=overrides, results_dir=results_dir, base_dir=base_dir
    )
    progress = study_status(study, config_path)
    standing = study_standing(study, config_path, progress)
    if as_json:
        runs = [
            {
                "task": p.run.task,
                "method": p.run.method,
                "seed": p.run.seed,
                "trained": p.trained,
                "learnt": p.record.learnt.learnt if p.record is not None and p.record.learnt is not None else None,
                "representations": p.representations,
                "random_change": p.random_change,
                "outcomes": p.outcomes,
                "faults": list(p.faults),
            }
            for p in progress
        ]
        tell_json({**standing_json(standing), "runs": runs})
        return
    tell(answer(standing))
    for note in standing.notes:
        tell(f"note: {note}")
    for caution in learnt_cautions(judged(progress)):
        tell(f"note: {caution}")
    for caution in tuning_of(study).cautions:
        tell(f"note: {caution}")
    for note in design_notes(study):
        tell(f"note: {note}")
    for line in tuning_lines(study):
        tell(line)
    wide = [max(len(name) for name in names) for names in (study.task_names, study.method_names)]
    for p in progress:
        state = "not trained" if p.record is None else _TRAINED[learnt_in_short(p.record.learnt)]
        # By design most runs have no random change, so a missing one is not mentioned.
        control = "" if p.random_change == "missing" else f", random change {p.random_change}"
        control += "" if p.outcomes in ("missing", "not wanted") else f", outcomes {p.outcomes}"
        tell(
            f"{p.run.task:<{wide[0]}}  {p.run.method:<{wide[1]}}  seed {p.run.seed:<6} {state:<26} representations {p.representations}{control}"
        )
    for line in job_lines(standing):
        tell(line)
    for fault in dict.fromkeys(fault for p in progress for fault in p.faults):
        tell(f"fault: {fault}")
    done = sum(p.trained and p.representations == "finished" for p in progress)
    tell(f"{done} of {len(progress)} runs trained and extracted")
