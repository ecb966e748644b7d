"""Results of a study that know how its runs were trained."""

from dataclasses import replace

from repdrift.core.records.run import Tuning
from repdrift.core.records.trained_run import TrainedRun, TrainingCurve
from tests.unit.report.synthetic_results import Synthetic, report_data

SMALL = Synthetic(tasks=("mrpc", "sst2"), layers=2, seeds=(1, 2), model="some/model")
RATES = {"full_finetune": 1e-4, "lora": 2e-3}


def training(run, **changes):
    lora = run.method == "lora"
    options = {"rank": 8, "alpha": 16.0, "dropout": 0.05, "target_modules": ["query", "value"]} if lora else {}
    return TrainedRun(
        **{
            "task": run.task, "method": run.method, "seed": run.seed, "folder": f"../{run.method}_{run.task}_{run.seed}", "key": f"key {run.seed}",
            "weights_digest": f"weights {run.method} {run.seed}", "base_digest": "base", "as_planned": True,
            "tuning": Tuning(kind=run.method, options=options, words="LoRA, rank 8" if lora else "full fine-tuning",
                trained_parameters=1_234 if lora else 50_000, head_parameters=2, all_parameters=51_234 if lora else 50_000),
            "hyperparameters": {"learning_rate": RATES.get(run.method, 1e-3), "epochs": 3.0, "batch_size": 16, "precision": "float32", "max_length_used": 128},
            "data_source": "here", "data_fingerprint": f"rows of {run.task}", "n_train": 320 if run.task == "sst2" else 200, "n_validation": 100,
            "device": "cpu", "started": "2026-01-01T00:00:00+00:00", "wall_time_s": 12.5, "versions": {"repdrift": "0.1.0", "torch": "2.8.0"},
            "curves": [TrainingCurve(name="loss", steps=[1, 2], values=[0.75, None], points=200), TrainingCurve(name="f1", steps=[2], values=[0.5], points=1)],
        }
        | changes
    )  # fmt: skip


def trained_study(only=lambda _run: True, changes=None, results=None, **study):
    """The data. only: which runs have their folder. changes: of every training. results: of the results."""
    data = report_data(replace(SMALL, **study))
    runs = [run for run in data.results.runs if run.status == "ok" and run.step == 0 and only(run)]
    found = [training(run, **(changes or {})) for run in runs]
    return replace(data, results=data.results.model_copy(update={"trained": found, **(results or {})}))
