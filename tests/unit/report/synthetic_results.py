"""Results of studies that were never run, in realistic shapes: drift grows with the layer, LoRA drifts less by a known factor.

Reductions and tests come from the analysis's own code, so that the files are as `repdrift analyze` would write them; what else
is inferred is filled by `synthetic_inference`.
"""

from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from repdrift.core.records.results import DRIFT_COLUMNS, RESULTS_FILE, TABLE_CSV, TABLE_PARQUET, DriftResults
from repdrift.core.records.study_info import Control, RunStatus, SanityCheck, StudyInfo
from repdrift.report.report_data import ReportData
from tests.unit.drift.study_on_disk import judged
from tests.unit.report.synthetic_inference import MARGIN, base_inference, enriched

MEASURES = ("cka", "cka_biased", "cosine", "cosine_centered")
SHARES = {"cka": 1.0, "cka_biased": 0.6, "cosine": 0.1, "cosine_centered": 0.7}
WEIGHT_MEASURE = "weight_relative_change"
METRICS = {"squad_v2": ("exact_match", "f1"), "mrpc": ("accuracy", "f1")}


@dataclass
class Synthetic:
    """One study. `lora_share`: drift of LoRA as a share of full fine-tuning's; `missing`: runs that are not there."""

    tasks: tuple[str, ...] = ("squad_v2", "mrpc", "sst2", "rte")
    methods: tuple[str, ...] = ("full_finetune", "lora")
    seeds: tuple[int, ...] = (42, 123, 456)
    layers: int = 24
    measures: tuple[str, ...] = MEASURES
    model: str = "smollm2-135m"
    name: str = "synthetic"
    lora_share: float = 0.7
    shares: dict[str, float] = field(default_factory=dict)
    """Drift of other methods as a share of full fine-tuning's."""
    method_words: dict[str, str] = field(default_factory=dict)
    top_drift: float = 0.8
    noise: float = 0.08
    negative_below: int = 0
    """Layers below this one have slightly negative drift, as an unbiased estimate of no drift has."""
    identity: bool = True
    missing: tuple[tuple[str, str, int], ...] = ()
    metrics: bool = True
    weights: bool = False
    """Rows of a measure of the weights too, which has a value but no drift, samples or noise."""
    random_change: bool = True
    inference: bool = True
    """All that the results can hold; without it reductions and tests alone, with no interval."""
    checkpoints: tuple[int, ...] = ()
    """Steps before the final model that every run has sets of."""
    warnings: list[str] = field(default_factory=list)
    learnt: bool | None = True
    """Whether every model has learnt its task; None: files of an older version, which do not say."""
    not_learnt: tuple[tuple[str, str, int], ...] = ()
    """Models that have not, whatever `learnt` says."""

    @property
    def compared(self) -> list[str]:
        """The methods that are compared with full fine-tuning; LoRA if there is no other."""
        return [method for method in self.methods if method != "full_finetune"] or ["lora"]

    def table(self) -> pd.DataFrame:
        """The tidy table of the runs that are there."""
        g = np.random.default_rng(7)
        rows = []
        for number, task in enumerate(self.tasks):
            scale = self.top_drift * (1 - 0.22 * (number % 4))
            for method in self.methods:
                share = {"lora": self.lora_share, **self.shares}.get(method, 1.0)
                for seed in self.seeds:
                    wobble = np.exp(self.noise * g.normal(size=self.layers))
                    depth = (np.arange(self.layers) + 1) / self.layers
                    drift = scale * share * depth**2.5 * wobble
                    drift[: self.negative_below] = -0.004 * np.abs(g.normal(size=self.negative_below))
                    if (task, method, seed) not in self.missing:
                        rows += self._rows(task, method, seed, 0, drift)
                        for step in self.checkpoints:
                            reached = 1 - np.exp(-3 * step / max(self.checkpoints))
                            rows += self._rows(task, method, seed, step, reached * drift)
        table = pd.DataFrame(rows, columns=list(DRIFT_COLUMNS))
        table["above_noise"] = table["above_noise"].astype("boolean")
        table["interval"] = table["interval"].astype("str")
        table["n"] = table["n"].astype("Int64")
        return table

    def _rows(self, task, method, seed, step, drift):
        for layer, top in enumerate(drift.tolist()):
            for measure in self.measures:
                value, floor = top * SHARES[measure], 1e-6 * (1 + layer)
                yield {
                    "task": task, "method": method, "seed": seed, "step": step, "site": "resid_post", "layer": layer, "measure": measure,
                    "value": 1 - value, "drift": value, "drift_low": value - 0.01, "drift_high": value + 0.01, "interval": "bootstrap percentile", "n": 750,
                    "mispaired_value": 0.003, "noise_floor": floor if self.identity else np.nan,
                    "above_noise": value > floor if self.identity else pd.NA,
                    "seed_ceiling_drift": 0.5 * value if len(self.seeds) > 1 else np.nan,
                    "random_change_drift": 0.15 * value if self.random_change else np.nan,
                }  # fmt: skip
            if self.weights:
                key = {"task": task, "method": method, "seed": seed, "step": step, "layer": layer}
                yield {**key, "measure": WEIGHT_MEASURE, "value": 0.02, "n": pd.NA, "above_noise": pd.NA}

    def results(self, table: pd.DataFrame) -> DriftResults:
        """The results of that table."""
        found = base_inference(self, table)
        if self.inference:
            found = enriched(found, self, table)
        warnings = found.pop("warnings")
        return DriftResults(
            created="2026-01-05T12:00:00+00:00",
            versions={"repdrift": "0.1.0", "torch": "2.8.0"},
            study=StudyInfo(
                name=self.name, model=self.model, model_revision="abc123", tasks=list(self.tasks), methods=list(self.methods),
                seeds=list(self.seeds), n_layers=self.layers, pooling="mean", primary_measure=self.measures[0],
                measures=[*self.measures, WEIGHT_MEASURE] if self.weights else list(self.measures), reference_method="full_finetune", comparison_method=self.compared[0], comparison_methods=self.compared, method_words=self.method_words,
                target_reduction=0.2, alpha=0.05, equivalence_margin=MARGIN if self.inference else None, replicates=10_000 if self.inference else 0,
            ),
            runs=self.runs(),
            **found,
            controls=list(self._controls(table)),
            sanity=[
                SanityCheck(name="identity drift is noise", passed=True if self.identity else None, detail="At most 0.00002."),
                SanityCheck(name="first layer drifts little", passed=False, detail="The largest drift in layer 0 is 0.41."),
            ],
            warnings=[*self.warnings, *warnings],
        )  # fmt: skip

    def runs(self):
        """The status of every planned run."""
        return [
            self._run(t, m, s, step) for t in self.tasks for m in self.methods for s in self.seeds for step in (0, *self.checkpoints)
        ]  # fmt: skip

    def _run(self, task, method, seed, step):
        if (task, method, seed) in self.missing:
            reason = f"no finished run; make it with: repdrift train --task {task} --method {method} --seed {seed}"
            return RunStatus(task=task, method=method, seed=seed, step=step, status="missing", reason=reason)
        names = METRICS.get(task, ("accuracy",)) if self.metrics else ()
        wobble = 0.02 * np.sin(7.0 * self.seeds.index(seed) + 3.0 * self.methods.index(method) + self.tasks.index(task))
        scores = {name: 0.7 + 0.01 * place + wobble for place, name in enumerate(names)}
        return RunStatus(
            task=task, method=method, seed=seed, step=step, status="ok", n_samples=750, sample_set_fingerprint="f0", metrics=scores,
            learnt=self._learnt(task, method, seed, step),
        )  # fmt: skip

    def _learnt(self, task, method, seed, step):
        learnt = self.learnt and (task, method, seed) not in self.not_learnt
        return None if step or learnt is None else judged(learnt, 0.8 if learnt else 0.5)

    def _controls(self, table):
        groups = table[table.step == 0].groupby(["task", "method", "layer", "measure"]).drift
        means, counts = groups.mean().to_dict(), groups.count().to_dict()
        for key in product(self.tasks, range(self.layers), self.measures):
            common = dict(zip(("task", "layer", "measure"), key, strict=True))
            if self.identity:
                value = 1e-6 * (1 + key[1])
                yield Control(name="identity", method=None, value=1 - value, drift=value, repeats=1, **common)
            for method in self.methods:
                place = key[0], method, *key[1:]
                if place not in means:
                    continue
                of_method = {**common, "method": method}
                yield Control(name="mispaired", value=0.003, drift=0.997, spread=0.01, repeats=10, **of_method)
                if self.random_change:
                    moved = 0.15 * means[place]
                    yield Control(
                        name="random_change", value=1 - moved, drift=moved, repeats=counts[place], **of_method
                    )
                if counts[place] > 1:
                    between = 0.5 * means[place]
                    yield Control(name="seed_ceiling", value=1 - between, drift=between, repeats=3, **of_method)


def report_data(study: Synthetic) -> ReportData:
    """Results and table of `study` as the report reads them, without a disk between."""
    table = study.table()
    return ReportData(study.results(table), table, TABLE_PARQUET)


def write_results(folder: Path, study: Synthetic) -> Path:
    """Write the results and both tables of `study` to `folder`; returns the results file."""
    folder.mkdir(parents=True, exist_ok=True)
    table = study.table()
    study.results(table).write(folder / RESULTS_FILE)
    table.to_parquet(folder / TABLE_PARQUET, index=False)
    table.to_csv(folder / TABLE_CSV, index=False)
    return folder / RESULTS_FILE
