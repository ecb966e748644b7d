"""repdrift status: the progress of a study."""

from __future__ import annotations

import typer

from repdrift.cli import options as o
from repdrift.core.progress import tell, tell_json


def status(
    config: o.Config = None,
    results_dir: o.ResultsDir = None,
    base_dir: o.BaseDir = None,
    as_json: bool = typer.Option(False, "--json", help="Print as JSON."),
) -> None:
    """Show which runs of a study are trained and extracted, and what its design can show.

    Example: repdrift status --config demo_output/demo.yaml (which `repdrift demo` leaves)
    """
    from repdrift.study.design_notes import design_notes
    from repdrift.study.status import study_status

    study, config_path = o.study_from(config, results_dir=results_dir, base_dir=base_dir)
    progress = study_status(study, config_path)
    if as_json:
        rows = [
            {
                "task": p.run.task,
                "method": p.run.method,
                "seed": p.run.seed,
                "trained": p.trained,
                "representations": p.representations,
                "random_change": p.random_change,
                "faults": list(p.faults),
            }
            for p in progress
        ]
        tell_json(rows)
        return
    for note in design_notes(study):
        tell(f"note: {note}")
    for p in progress:
        state = "trained" if p.trained else "not trained"
        # By design most runs have no random change, so a missing one is not mentioned.
        control = "" if p.random_change == "missing" else f", random change {p.random_change}"
        tell(
            f"{p.run.task:<12} {p.run.method:<14} seed {p.run.seed:<6} {state:<12} representations {p.representations}{control}"
        )
    for fault in dict.fromkeys(fault for p in progress for fault in p.faults):
        tell(f"fault: {fault}")
    done = sum(p.trained and p.representations == "finished" for p in progress)
    tell(f"{done} of {len(progress)} runs trained and extracted")
