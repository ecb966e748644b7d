"""The time, memory and disk that a study would take, by stage, before anything of it is run. Nothing is trained or written."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from repdrift.core.words import counted
from repdrift.drift import LayerSize
from repdrift.models import is_causal_decoder, task_skeleton, width_of
from repdrift.study.disk_space import set_bytes, set_rows
from repdrift.study.inputs import StudyInputs
from repdrift.study.random_changes import random_change_count
from repdrift.study.readiness import least_checkpoints, not_trained, ready_jobs
from repdrift.study.runs import RunId
from repdrift.study.tuning_stage import open_trials
from repdrift.training import TrainingJob, prepared, saved_bytes
from repdrift.training.bfloat16_products import products_in
from repdrift.training.memory_accounting import MemoryAccount, account
from repdrift.training.options import Precision

_PROBE_SIDE = 1024
_PROBE_S = 0.5


@dataclass(frozen=True)
class Estimate:
    """The estimate for one kind of run. runs: how many of it are left. A number that is not known is None.

    least_s: seconds of one run at least. saved: bytes on the disk for one run, its checkpoints among them. loaded: bytes of the full weights that
    main memory holds before they are quantised; None if they are not. checkpoints: how many a run saves. steps: optimiser steps, about, where inputs are as many
    as rows. rising: those in which the learning rate rises.
    """

    words: str
    runs: int
    memory: MemoryAccount | None
    least_s: float | None
    saved: int | None
    loaded: int | None = None
    checkpoints: int = 0
    steps: int | None = None
    rising: int = 0


@dataclass(frozen=True)
class DryRun:
    """The estimates of a study. rate: floating-point operations a second in products of float32 matrices, measured on this machine.

    bfloat16_rate: in those of bfloat16; None where nothing trains in it.
    tuning: the trials that are left, None if the study does not tune. analysis_memory: bytes for one layer of the largest task. outcomes: the
    kinds that are measured; outcomes_s: seconds at least for all models, of running them alone.
    """

    training: list[Estimate]
    done: int
    rate: float
    set_bytes: int
    sets: int
    extraction_s: float | None
    extraction_memory: int | None
    tuning: list[Estimate] | None = None
    analysis_memory: int | None = None
    outcomes: tuple[str, ...] = ()
    outcomes_s: float | None = None
    bfloat16_rate: float | None = None


def dry_run(inputs: StudyInputs, runs: Sequence[RunId]) -> DryRun:
    """Check a study as `run` does, and estimate what is left of it. Raises what ready_jobs() raises; nothing is written."""
    jobs = ready_jobs(inputs, runs, before_tuning=inputs.config.tune is not None)
    # Without a chosen rate, a run that is trained cannot be told from one that is not: then all are counted as left.
    left = not_trained(inputs, jobs)
    kinds: dict[tuple[str, str], list[TrainingJob]] = {}
    for _, job in left:
        kinds.setdefault((job.spec.name, job.arm.name), []).append(job)
    precisions: set[Precision] = {"float32", *(job.options.precision for _, job in jobs)}
    rates = {precision: matrix_product_rate(precision) for precision in precisions}
    rate = rates["float32"]
    tasks = list(dict.fromkeys(run.task for run in runs))
    of_task = {task: [run for run in runs if run.task == task] for task in tasks}
    sets = {task: 2 + len(mine) + random_change_count(inputs.config, mine) for task, mine in of_task.items()}
    if inputs.config.analysis.equal_skill:  # then their checkpoints are extracted too
        for run, job in jobs:
            sets[run.task] += least_checkpoints(job)
    weights = None if inputs.skeleton is None else sum(p.numel() for p in inputs.skeleton.parameters())
    extraction_s = None
    if weights is not None:
        tokens = sum(sets[task] * sum(len(ids) for ids in inputs.sample_set(task).input_ids) for task in tasks)
        extraction_s = 2 * weights * tokens / rate
    return DryRun(
        [_estimate(inputs, group, rates) for group in kinds.values()],
        len(jobs) - len(left),
        rate,
        sum(set_bytes(inputs, task) * sets[task] for task in tasks),
        sum(sets.values()),
        extraction_s,
        None if weights is None else 4 * weights,
        None if inputs.config.tune is None else _trials(inputs, runs, rates),
        max((size for task in tasks if (size := _analysis_bytes(inputs, task, sets[task])) is not None), default=None),
        tuple(inputs.config.chosen_outcomes()),
        None if weights is None else 2 * weights * evaluated_tokens(inputs, [job for _, job in jobs]) / rate,
        rates.get("bfloat16"),
    )


def evaluated_tokens(inputs: StudyInputs, jobs: Sequence[TrainingJob]) -> float:
    """Tokens that all models read for their outcomes, general text and written continuations left out."""
    chosen, tokens = inputs.config.chosen_outcomes(), 0.0
    for job in jobs:
        lengths = [len(ids) for ids in inputs.sample_set(job.spec.name).input_ids]
        if "task_scores" in chosen or "flips" in chosen:
            tokens += sum(lengths) / len(lengths) * len(job.validation_rows().rows)
        if "outputs" in chosen and is_causal_decoder(inputs.model_config):
            tokens += sum(lengths)
    return tokens


def _trials(inputs: StudyInputs, runs: Sequence[RunId], rates: Mapping[str, float]) -> list[Estimate]:
    """Estimates for the trials that are left, one for each task and arm. A trial trains on all rows but those held out, and is not saved."""
    found: list[Estimate] = []
    for trials in open_trials(inputs, runs):
        each = _estimate(inputs, [trials.job] * trials.left, rates, rows=trials.rows)
        found.append(replace(each, saved=None, checkpoints=0))
    return found


def _analysis_bytes(inputs: StudyInputs, task: str, sets: int) -> int | None:
    """Bytes that measuring one layer of a task takes; None if the width is not known."""
    width, options = width_of(inputs.model_config), inputs.config.analysis
    if width is None:
        return None
    size = LayerSize(sets, set_rows(inputs, task), width, options.replicates)
    return size.needed_bytes(options.measures)


def _estimate(
    inputs: StudyInputs, group: Sequence[TrainingJob], rates: Mapping[str, float], *, rows: int | None = None
) -> Estimate:
    job = group[0]
    classes = job.classes()
    words = f"{job.spec.name}, {job.arm.name}"
    skeleton = task_skeleton(
        inputs.model_config, job.spec.kind, num_labels=len(classes.values) if classes is not None else None
    )
    if skeleton is None:
        return Estimate(words, len(group), None, None, None)
    full = sum(p.numel() * p.element_size() for p in skeleton.parameters())
    tuned = prepared(skeleton, job.arm, job.spec.kind)
    model = tuned.model
    every, trained = _numbers(model), _numbers(model, trained=True)
    samples = inputs.sample_set(job.spec.name)
    lengths = [len(ids) for ids in samples.input_ids]
    longest = min(max(lengths), job.options.max_length or max(lengths))
    held = job.held_out() if rows is None else None
    n_rows = rows if rows is not None else len((job.training_rows() if held is None else held.to_train).rows)
    tokens = sum(lengths) / len(lengths) * n_rows * job.options.epochs
    # A product each way and, for what trains, one for its gradient (Kaplan et al. 2020: 6 operations a weight and token).
    forward = 2 * every * (2 if job.options.gradient_checkpointing else 1)
    least_s = tokens * (forward + 2 * every + 2 * trained) / rates[job.options.precision]
    checkpoints = least_checkpoints(job)
    saved = saved_bytes(model) * (1 + checkpoints)
    memory = account(model, job.spec.kind, job.options, batch=job.options.batch_size, length=longest)
    steps, loaded = job.options.steps(n_rows), None if tuned.quantised is None else full
    rising = job.options.rising_steps(steps)
    return Estimate(words, len(group), memory, least_s, saved, loaded, checkpoints, steps, rising)


def _numbers(model: torch.nn.Module, *, trained: bool = False) -> int:
    """The weights that take part in matrix products: an embedding is looked up."""
    tables = {id(m.weight) for m in model.modules() if isinstance(m, torch.nn.Embedding)}
    return sum(p.numel() for p in model.parameters() if id(p) not in tables and (p.requires_grad or not trained))


def matrix_product_rate(precision: Precision = "float32") -> float:
    """Floating-point operations a second in products of matrices of this type, measured for half a second on this machine."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    a = torch.ones(_PROBE_SIDE, _PROBE_SIDE, device=device, dtype=getattr(torch, precision))
    with products_in(precision):
        (a @ a).sum().item()
        began, times = time.perf_counter(), 0
        while time.perf_counter() - began < _PROBE_S:
            (a @ a)[0, 0].item()
            times += 1
        return 2 * _PROBE_SIDE**3 * times / (time.perf_counter() - began)


def dry_run_lines(found: DryRun, jobs: Sequence[str] = ()) -> list[str]:
    """The estimates in lines for people. jobs: lines on the single jobs, which stand behind the totals."""
    total_bytes = sum(e.saved * e.runs for e in found.training if e.saved is not None)
    left = sum(e.runs for e in found.training)
    lines: list[str] = []
    if found.tuning is not None:
        trials = sum(e.runs for e in found.tuning)
        lines.append(f"tuning: {counted(trials, 'trial')} to make; at least {time_in_words(_total_s(found.tuning))}")
        lines += [_line(e, "trial") for e in found.tuning]
    lines.append(
        f"training: {counted(left, 'model')} to train, {found.done} trained already; at least {time_in_words(_total_s(found.training))}, "
        f"{size_in_words(total_bytes)} on the disk"
    )
    lines += [_line(e, "run") for e in found.training]
    took = "time not known" if found.extraction_s is None else f"at least {time_in_words(found.extraction_s)}"
    memory = (
        ""
        if found.extraction_memory is None
        else f", memory at least {size_in_words(found.extraction_memory)} (weights)"
    )
    analysis = (
        "" if found.analysis_memory is None else f", memory about {size_in_words(found.analysis_memory)} for one layer"
    )
    lines += [
        f"extraction: {counted(found.sets, 'representation set')}: {took}{memory}, {size_in_words(found.set_bytes)} on the disk",
        f"outcomes: {_outcomes(found)}",
        f"analysis and figures: time not estimated{analysis}",
        *jobs,
        f"Times are from the operations of each training and the {found.rate / 1e9:.0f} GFLOP/s that this machine reaches in float32 matrix "
        f"products now{_in_bfloat16(found)}; a training reaches a part of that. Memory is that of a batch of the longest inputs, counted tensor by "
        "tensor; the program itself and what an allocator keeps come on top. Saved states are not in the disk's number.",
        "Nothing was trained or written.",
    ]
    return lines


def _in_bfloat16(found: DryRun) -> str:
    return (
        "" if found.bfloat16_rate is None else f" ({found.bfloat16_rate / 1e9:.0f} in bfloat16, for what trains in it)"
    )


def _outcomes(found: DryRun) -> str:
    if not found.outcomes:
        return "none (outcomes: in the study file)"
    took = "time not known" if found.outcomes_s is None else f"at least {time_in_words(found.outcomes_s)}"
    probes = ", and the probes" if "probes" in found.outcomes else ""
    return f"{', '.join(found.outcomes)}: {took} for running the models{probes}; a few bytes an item on the disk"


def _total_s(estimates: Sequence[Estimate]) -> float:
    return sum(e.least_s * e.runs for e in estimates if e.least_s is not None)


def _line(e: Estimate, what: str) -> str:
    memory = (
        "memory not known" if e.memory is None else f"memory about {size_in_words(e.memory.peak)} ({_parts(e.memory)})"
    )
    took = "time not known" if e.least_s is None else f"at least {time_in_words(e.least_s)} each"
    of_them = f" ({counted(e.checkpoints, 'checkpoint')} among it)" if e.checkpoints else ""
    saved = "" if e.saved is None else f", {size_in_words(e.saved)} each on the disk{of_them}"
    loaded = (
        ""
        if e.loaded is None
        else f"; {size_in_words(e.loaded)} of main memory first, for the full weights before they are quantised"
    )
    steps = (
        ""
        if e.steps is None
        else f"about {counted(e.steps, 'step')}, with a rate that rises over the first {e.rising}; "
    )
    return f"  {e.words} ({counted(e.runs, what)}): {steps}{memory}; {took}{saved}{loaded}"


def _parts(memory: MemoryAccount) -> str:
    return (
        f"weights {size_in_words(memory.weights)}, gradients {size_in_words(memory.gradients)}, optimiser {size_in_words(memory.optimizer)}, "
        f"all else {size_in_words(memory.passing)} at the peak"
    )


def size_in_words(count: int) -> str:
    """Bytes in words."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def time_in_words(seconds: float) -> str:
    """Seconds in words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
