"""Notes on what a study's design can show, printed before it trains or runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from repdrift.core.errors import RepdriftError
from repdrift.core.progress import say
from repdrift.core.words import counted, listed, method_title
from repdrift.models import depth_of, load_config, resolve_model
from repdrift.models.model_files import PACKAGED_PREFIX
from repdrift.planning.reach import reach_notes
from repdrift.study.config import StudyConfig
from repdrift.study.runs import RunId, planned_runs


def design_notes(config: StudyConfig, runs: Sequence[RunId] | None = None) -> list[str]:
    """At most five plain sentences on which claims of a study can become significant, and how many seeds would do.

    runs: a part of the study's runs; None for all of them. Neither weights nor data are read. The number of layers is
    read from the configuration of a model on this machine. For a model on the hub nothing is said about its layers.
    """
    runs = planned_runs(config) if runs is None else runs
    planned = {run.method for run in runs}
    compared = [name for name in config.method_names if name != config.reference]
    if config.reference not in planned:
        absent = method_title(config.reference)
        return [f"no {absent} model is planned, so nothing can be said about which method drifts less"]
    if not planned.intersection(compared):
        absent = listed([method_title(name) for name in compared], last="or") if compared else "other"
        return [f"no {absent} model is planned, so nothing can be said about which method drifts less"]
    tasks = list(dict.fromkeys(run.task for run in runs))
    seeds = len({run.seed for run in runs})
    return reach_notes(
        tasks,
        seeds,
        reference=config.reference,
        comparisons=[name for name in compared if name in planned],
        alpha=config.analysis.alpha,
        n_layers=layer_count(config),
    )


def say_design_notes(config: StudyConfig, runs: Sequence[RunId] | None = None) -> None:
    """Print `design_notes` and `checkpoints_note` to standard error, each as a line that begins with `note:`."""
    last = checkpoints_note(config, runs)
    for note in (*design_notes(config, runs), *([last] if last else [])):
        say(f"note: {note}")


def checkpoints_note(config: StudyConfig, runs: Sequence[RunId] | None = None) -> str | None:
    """Returns a sentence if runs of methods that are compared save no checkpoints, without which there is no comparison at equal skill."""
    runs = planned_runs(config) if runs is None else runs
    methods = {run.method for run in runs}
    if not config.analysis.equal_skill or config.reference not in methods or len(methods) < 2:
        return None
    options = {(run.task, run.method): config.training_options(run.task, run.method) for run in runs}
    without = [key for key, each in options.items() if each.checkpoints is None and each.checkpoint_every is None]
    if not without:
        return None
    which = (
        "no run saves"
        if len(without) == len(options)
        else f"{counted(len(without), 'kind')} of runs of {len(options)} save no"
    )
    return (
        f"{which} checkpoints, so that methods can be compared at the end of training alone: training.all.checkpoints, such as 8, "
        "lets them be compared at equal skill too (docs/explanation/equal_skill.md)"
    )


def layer_count(config: StudyConfig) -> int | None:
    """Blocks of the study's model, from its configuration; None if it is not on this machine or does not say.

    None too for a GGUF file, whose configuration is slow to read, and for an encoder-decoder, which has two stacks.
    """
    if not (config.model.startswith(PACKAGED_PREFIX) or Path(config.model).expanduser().is_dir()):
        return None
    try:
        source = resolve_model(config.model, revision=config.revision, prefer="model")
        if source.gguf_file is not None or source.is_adapter:
            return None
        settings = load_config(source)
    except RepdriftError:  # the stage that loads the model says what is wrong with it
        return None
    return None if settings.is_encoder_decoder else depth_of(settings)
