"""A study on disk whose sets hold sites inside the blocks, tuned by known amounts."""

import numpy as np
import torch

from repdrift.drift import BaseSets, DriftPlan, PlannedSet
from repdrift.drift.sample_intervals import SamplingOptions
from repdrift.stores import RepresentationSetWriter
from tests.unit.drift.study_on_disk import judged

LAYERS, N, P = 2, 40, 10
BY_BLOCK = ("attn_out", "mlp_out")
AMOUNTS = {"resid_post": 0.3, "attn_out": 0.1, "mlp_out": 0.6, "embeddings": 0.0, "final_norm": 0.3}
"""Noise by site, in standard deviations of the base rows, for full fine-tuning; LoRA has half of it."""
SHARE = {"full_finetune": 1.0, "lora": 0.5}


def places(sites):
    return [
        (site, layer)
        for site in sites
        for layer in ({"embeddings": [-1], "final_norm": [LAYERS]}.get(site) or range(LAYERS))
    ]


def write(folder, rows, task, method, seed, sites, **changes):
    of_sites = {}
    for site, layer in places([site for site in sites if site != "resid_post"]):
        of_sites.setdefault(site, []).append(layer)
    fields = {
        "task": task, "method": method, "seed": seed, "step": 0, "model": "tiny",
        "weights_digest": "base0" if method in ("base", "random_change") else f"{method}{seed}",
        "base_weights_digest": None if method == "base" else "base0", "sample_set_fingerprint": f"fingerprint-{task}", "sample_ids": [str(i) for i in range(N)],
        "truncated_samples": 0, "pooling": "mean", "compute_dtype": "float32", "run_metrics": {"accuracy": 0.8}, "created": "now", "versions": {},
    }  # fmt: skip
    fields |= {} if method == "base" else {"run_learnt": judged(True)}
    fields |= changes
    key = f"{task}{method}{seed}{folder.name}"
    with RepresentationSetWriter(folder, key=key, n_rows=N, layers=range(LAYERS), sites=of_sites) as writer:
        tensors = {place: torch.tensor(rows[place], dtype=torch.float32) for place in places(sites)}
        residual = {layer: tensor for (site, layer), tensor in tensors.items() if site == "resid_post"}
        inside = {place: tensor for place, tensor in tensors.items() if place[0] != "resid_post"}
        writer.write_batch(0, torch.arange(N), residual, inside)
        writer.finish(**fields)


class SiteStudy:
    """Sets of a base model, of its second extraction, and of models of two methods. without: sites that a set lacks, by its name."""

    def __init__(
        self, root, tasks=("t",), seeds=(1, 2, 3), sites=tuple(AMOUNTS), amounts=None, without=None, constant=()
    ):
        self.root, self.tasks, self.seeds = root, list(tasks), list(seeds)
        amounts, without = {**AMOUNTS, **(amounts or {})}, without or {}
        for number, task in enumerate(tasks):
            g = np.random.default_rng(number)
            base = {place: 3 + g.normal(size=(N, P)) * np.linspace(0.5, 2, P) for place in places(sites)}
            base |= {place: np.full((N, P), 2.0) for place in base if place[0] in constant}
            again = {place: rows + 1e-6 * g.normal(size=rows.shape) for place, rows in base.items()}
            self._write("base", task, "base", None, base, sites, without)
            self._write("identity", task, "base", None, again, sites, without)
            for method, share in SHARE.items():
                for seed in seeds:
                    tuned = {
                        place: rows + share * amounts[place[0]] * rows.std(axis=0) * g.normal(size=rows.shape)
                        for place, rows in base.items()
                    }
                    self._write("run", task, method, seed, tuned, sites, without)

    def _write(self, kind, task, method, seed, rows, sites, without):
        name = f"{method}{seed}" if kind == "run" else kind
        held = [site for site in sites if site not in without.get(name, {})]
        reasons = {site: reason for site, reason in without.get(name, {}).items() if reason}
        write(self.folder(task, name), rows, task, method, seed, held, sites_left_out=reasons)

    def folder(self, task, name):
        return self.root / task / name

    def plan(self, **changes):
        runs = [(t, m, s) for t in self.tasks for m in SHARE for s in self.seeds]
        options = {
            "study": "test", "model": "tiny", "tasks": self.tasks, "methods": list(SHARE), "seeds": self.seeds,
            "sets": [PlannedSet(t, m, s, 0, self.folder(t, f"{m}{s}"), f"make {t} {m} {s}") for t, m, s in runs],
            "bases": {t: BaseSets(self.folder(t, "base"), self.folder(t, "identity"), f"make base {t}") for t in self.tasks},
            "measures": ("cka", "cosine"), "target_reduction": 0.2, "alpha": 0.05, "sampling": SamplingOptions(replicates=400),
        }  # fmt: skip
        return DriftPlan(**{**options, **changes})
