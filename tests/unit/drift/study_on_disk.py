"""Representation sets of known relation: tuned = base + method's own amount of noise."""

import numpy as np
import torch

from repdrift.core.records.run import Learnt
from repdrift.drift import BaseSets, DriftPlan, PlannedSet
from repdrift.drift.sample_intervals import SamplingOptions
from repdrift.stores import RepresentationSetWriter


def judged(learnt, score=0.8, constant=0.5):
    """A model's comparison with the best constant answer: learnt, not learnt, or not known (None)."""
    ends = (None, None) if learnt is None else (score - constant - 0.05, score - constant + 0.05)
    return Learnt(
        metric="accuracy", score=score, constant_answer="'b' for every row", constant_score=constant, difference=score - constant,
        low=ends[0], high=ends[1], n_items=400, n_groups=400, learnt=learnt, sentence="said by the run",
    )  # fmt: skip


LAYERS, N, P = 3, 40, 12
NOISE = {"full_finetune": 0.6, "lora": 0.3, "lora_r64": 0.4, "dora": 0.6}


def write_set(folder, task, method, seed, tensors, **changes):
    fields = {
        "key": f"{task}{method}{seed}", "task": task, "method": method, "seed": seed, "step": 0, "model": "tiny", "weights_digest": f"{method}{seed}",
        "base_weights_digest": "base0", "sample_set_fingerprint": f"fingerprint-{task}", "sample_ids": [str(i) for i in range(N)],
        "truncated_samples": 0, "pooling": "mean", "dtype": "float32", "compute_dtype": "float32", "layers": list(range(LAYERS)),
        "shape": [N, P], "run_metrics": {"accuracy": 0.8}, "created": "now", "versions": {},
    }  # fmt: skip
    fields |= {"weights_digest": "base0"} if method == "base" else {"run_learnt": judged(True)}
    fields |= changes
    options = {name: fields[name] for name in ("key", "settings", "layers") if name in fields}
    with RepresentationSetWriter(folder, n_rows=len(tensors[0]), **options) as writer:
        for layer, tensor in enumerate(tensors):
            writer.write_layer(layer, torch.tensor(tensor, dtype=torch.float32))
        writer.finish(**fields)


class Study:
    """A study on disk, to be damaged in tests."""

    def __init__(self, root, tasks=("mrpc", "sst2"), seeds=(1, 2, 3), methods=("full_finetune", "lora")):
        self.root, self.tasks, self.seeds, self.methods = root, list(tasks), list(seeds), list(methods)
        g = np.random.default_rng(0)
        for task in self.tasks:
            base = [g.normal(size=(N, P)) * np.linspace(0.3, 2, P) + 5 for _ in range(LAYERS)]
            write_set(self.base(task), task, "base", None, base)
            write_set(self.identity(task), task, "base", None, [b + 1e-6 * g.normal(size=b.shape) for b in base])
            for method in self.methods:
                for seed in self.seeds:
                    tuned = [b + (layer + 1) * NOISE[method] * g.normal(size=b.shape) for layer, b in enumerate(base)]
                    write_set(self.folder(task, method, seed), task, method, seed, tuned)

    def base(self, task):
        return self.root / "base" / task / "step_000000"

    def identity(self, task):
        return self.root / "base" / task / "identity"

    def folder(self, task, method, seed):
        return self.root / "sets" / f"{task}_{method}_seed{seed}" / "step_000000"

    def plan(self, **changes):
        options = {
            "study": "test", "model": "tiny", "tasks": self.tasks, "methods": self.methods, "seeds": self.seeds,
            "sets": [PlannedSet(t, m, s, 0, self.folder(t, m, s), f"make {t} {m} {s}") for t in self.tasks for m in self.methods for s in self.seeds],
            "bases": {t: BaseSets(self.base(t), self.identity(t), f"make base {t}") for t in self.tasks},
            "measures": ("cka", "cka_biased", "cosine", "cosine_centered"), "target_reduction": 0.2, "alpha": 0.05,
            "sampling": SamplingOptions(replicates=400),
        }  # fmt: skip
        return DriftPlan(**{**options, **changes})
