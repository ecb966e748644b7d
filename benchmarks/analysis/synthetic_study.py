"""A study on disk at the size of a real one: sets with a decaying spectrum, a common mean and one massive feature."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch

from repdrift.core.records.representation_set import BASE_METHOD
from repdrift.drift import BaseSets, DriftPlan, PlannedSet
from repdrift.drift.sample_intervals import SamplingOptions
from repdrift.stores import RepresentationSetWriter

METHODS = {"full_finetune": 1.0, "lora": 0.75}


@dataclass(frozen=True)
class Size:
    """The size of a study."""

    tasks: int = 4
    seeds: int = 3
    layers: int = 24
    samples: int = 750
    features: int = 2048
    replicates: int = 10_000

    @property
    def n_bytes(self) -> int:
        """The sets on disk: base, its second extraction, the runs and a size-matched control for each method."""
        sets = self.tasks * (2 + len(METHODS) * (self.seeds + 1))
        return sets * self.layers * self.samples * self.features * 4


def write_study(folder: Path, size: Size) -> DriftPlan:
    """Write every set below `folder`, unless it is there, and return the plan of its analysis."""
    sets: list[PlannedSet] = []
    controls: list[PlannedSet] = []
    bases: dict[str, BaseSets] = {}
    for number in range(size.tasks):
        task = f"task{number}"
        bases[task] = BaseSets(folder / "base" / task, folder / "identity" / task, "")
        _write(bases[task].folder, size, task, BASE_METHOD, None, 0.0)
        _write(bases[task].identity, size, task, BASE_METHOD, None, 1e-6)
        for method, share in METHODS.items():
            for seed in range(size.seeds):
                plan = PlannedSet(task, method, seed, 0, folder / task / f"{method}{seed}", "")
                _write(plan.folder, size, task, method, seed, share * (0.08 + 0.01 * seed))
                sets.append(plan)
    return DriftPlan(
        study="synthetic",
        model=None,
        tasks=list(bases),
        methods=list(METHODS),
        seeds=list(range(size.seeds)),
        sets=sets,
        bases=bases,
        measures=("cka", "cka_biased", "cosine", "cosine_centered"),
        target_reduction=0.2,
        alpha=0.05,
        equivalence_margin=1.25,
        sampling=SamplingOptions(replicates=size.replicates),
        random_changes=controls,
    )


def _write(folder: Path, size: Size, task: str, method: str, seed: int | None, amount: float) -> None:
    if (folder / "metadata.json").is_file():
        return
    writer = RepresentationSetWriter(folder, key=folder.name, layers=list(range(size.layers)), n_rows=size.samples)
    with writer:
        for layer in range(size.layers):
            writer.write_layer(layer, _layer(size, task, layer, amount * (layer + 1), f"{method}{seed}"))
        writer.finish(
            task=task,
            method=method,
            seed=seed,
            step=0,
            model="synthetic",
            weights_digest="base" if method == BASE_METHOD else f"{method}{seed}{task}",
            base_weights_digest="base",
            sample_set_fingerprint=task,
            sample_ids=[str(i) for i in range(size.samples)],
            truncated_samples=0,
            pooling="mean",
            dtype="float32",
            compute_dtype="float32",
            run_metrics={"accuracy": 0.8 - amount},
            created="",
            versions={},
        )


def _layer(size: Size, task: str, layer: int, amount: float, who: str) -> torch.Tensor:
    """Draw a layer (samples, features): the base layer, which depends on task and layer alone, plus the model's own part."""
    spectrum = torch.arange(1, 129, dtype=torch.float32) ** -0.7
    rows = _normal(f"{task} {layer}", size.samples, 128) * spectrum
    mixing = _normal(f"mixing {layer}", 128, size.features)
    own = _normal(f"{task} {layer} {who}", size.samples, 128) * spectrum
    base = rows @ mixing + amount * (own @ mixing) + 3
    base[:, 7] += 20 * rows[:, 0]
    return base


def _normal(name: str, *shape: int) -> torch.Tensor:
    digest = hashlib.sha256(name.encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
    return torch.randn(shape, generator=generator)
