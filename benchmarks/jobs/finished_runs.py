"""Writes the results folder of a tuned study in which every run is trained: records as real ones, and files of the sizes that they name but without content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from repdrift.core.fingerprint import config_sha256
from repdrift.core.records.run import RUN_FILE, RunRecord
from repdrift.core.records.tuning import TuningRecord, TuningTrial
from repdrift.study.config import StudyConfig, parse_study
from repdrift.study.inputs import StudyInputs
from repdrift.study.runs import RunId, planned_runs
from repdrift.study.tuned_rates import tuning_folder

TASKS = ("sst2", "mrpc", "rte", "squad_v2")
SEEDS = (11, 23, 37, 53, 71)
CHECKPOINTS = (120, 240, 360, 480, 600, 720, 840)
FILES = ("config.json", "model.safetensors", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt")  # fmt: skip
_STARTED = "2026-01-02T03:04:05+00:00"
_SCORES: dict[str, float | None] = {
    "accuracy": 0.8700361010830325,
    "f1": 0.8700361010830325,
    "loss": 0.31846117973327637,
}
_VERSIONS = {"repdrift": "0.1.0", "torch": "2.13.0", "transformers": "5.0.0", "peft": "0.18.0", "tokenizers": "0.22.0"}


def study_of(folder: Path, base_model: Path, arms: int) -> StudyConfig:
    """Returns a study of 4 tasks and 5 seeds with so many arms: 3 give 60 runs, 12 give 240."""
    lora = [{"name": f"lora_r{rank}", "kind": "lora", "rank": rank} for rank in range(1, arms)]
    content: dict[str, Any] = {
        "name": "synthetic",
        "model": str(base_model),
        "tasks": list(TASKS),
        "methods": ["full_finetune", *lora],
        "reference": "full_finetune",
        "seeds": list(SEEDS),
        "data_dir": str(folder / "no_data"),
        "results_dir": str(folder / "results"),
        "base_dir": str(folder / "base"),
        "training": {"all": {"checkpoint_every": CHECKPOINTS[0]}},
        "tune": {"trials": 5},
    }
    return parse_study(content, where="the benchmark")


def write_study(config: StudyConfig) -> StudyInputs:
    """Write the choices of rates and the finished runs of a study; returns its inputs."""
    inputs = StudyInputs(config)
    for task in config.task_names:
        for method in config.method_names:
            _choice(inputs, task, method).write(tuning_folder(config, task, method) / "choice.json")
    for number, run in enumerate(planned_runs(config)):
        write_run(inputs, run, config.results_dir / f"{run.method}_20260102_{number:06d}")
    return inputs


def write_run(inputs: StudyInputs, run: RunId, folder: Path, started: str = _STARTED) -> RunRecord:
    """Write a finished run; returns its record."""
    digest = config_sha256({"run": str(run), "at": str(folder)})
    models = ["final_model", *(f"checkpoints/step_{step:06d}" for step in CHECKPOINTS)]
    names = [f"{model}/{name}" for model in models for name in FILES]
    record = RunRecord(
        key=digest, task=run.task, task_kind="classification", method=run.method, seed=run.seed, base_model=inputs.config.model,
        base_digest=inputs.base.weights_digest(), base_settings=inputs.base_settings, weights_digest=digest,
        files={name: config_sha256({"of": name, "run": digest}) for name in names}, file_sizes=dict.fromkeys(names, 0),
        hyperparameters=inputs.hyperparameters(run.task, run.method), data_source="the benchmark", data_fingerprint=digest, n_train=2490, n_validation=277,
        metrics=_SCORES, checkpoints=list(CHECKPOINTS),
        checkpoint_scores=dict.fromkeys(CHECKPOINTS, _SCORES),
        versions=_VERSIONS, device="cpu", started=started, wall_time_s=900.0, peak_memory_bytes=1 << 30,
    )  # fmt: skip
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    record.write(folder / RUN_FILE)
    return record


def _choice(inputs: StudyInputs, task: str, method: str) -> TuningRecord:
    config, section = inputs.config, inputs.config.tune
    assert section is not None
    arm = config.arm(task, method)
    rates = section.rates(method, arm.tuning.usual_rates)
    trials = [
        TuningTrial(
            key=f"{task}{method}{rate}", learning_rate=rate, outcome="finished", metric="accuracy", score=0.9 - rate, low=0.8, high=0.95,
            constant_score=0.5, metrics={"accuracy": 0.9, "loss": 0.3}, scores_along=dict.fromkeys(CHECKPOINTS, 0.8), n_train=2000, n_held_out=490,
            steps=920, started=_STARTED, wall_time_s=800.0, device="cpu", versions=_VERSIONS,
        )
        for rate in rates
    ]  # fmt: skip
    settings = {k: v for k, v in config.hyperparameters(task, method).items() if k != "learning_rate"}
    return TuningRecord(
        key=f"{task}{method}", task=task, method=method, words=arm.words, sampler=section.sampler, rates=rates, n_trials=section.n_trials,
        pruning=section.pruning, seed=section.trial_seed(config.seeds), held_out=section.held_out, held_out_rows="490", hyperparameters=settings,
        base_model=config.model, base_digest=inputs.base.weights_digest(), base_settings=inputs.base_settings, data_source="the benchmark",
        data_fingerprint="f", trials=trials, learning_rate=rates[0], at_edge="lowest", created=_STARTED,
    )  # fmt: skip
