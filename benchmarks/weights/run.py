"""What measuring the change of weights costs, against torch.linalg.svd and the peft package's own search for intruders.

Usage: python benchmarks/weights/run.py [--only MiniLM|SmolLM2|2048x8192|4096x14336] [--every N] [--without-svd] [--float32] [--peft]
Prints a row for each contender: seconds of processor time, the largest difference from the decomposition, and counts of intruders.
"""

from __future__ import annotations

import argparse
import re
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from repdrift.models import load_backbone, resolve_model
from repdrift.weights.gram_spectrum import GramSpectrum, columns_of
from repdrift.weights.singular_subspaces import INTRUDER_COSINE, LEADING, BaseMatrix
from repdrift.weights.spectrum import carrying

T = TypeVar("T")
SHAPES = {"2048x8192": (2048, 8192), "4096x14336": (4096, 14336)}
MODELS = {"MiniLM": "packaged:minilm", "SmolLM2": "packaged:smollm2-135m"}
DENSE, LOW_RANK, RANK = 0.02, 0.3, 4
"""Spectral size of the change beside the base's largest singular value: of dense noise, and of a part of rank 4."""


@dataclass(frozen=True)
class Numbers:
    """What is measured of one matrix."""

    stable_rank: float
    rank_90: int
    left: float
    right: float
    intruders: int


def by_gram(base: Tensor, change: Tensor) -> Numbers:
    """repdrift: Gram matrices of the smaller side, in float64."""
    turned = change.T if change.shape[0] > change.shape[1] else change
    values = GramSpectrum(columns_of(turned)).singular_values()
    found = BaseMatrix(base).compared(change, k=LEADING, limit=INTRUDER_COSINE)
    stable, rank = float((values**2).sum() / values[0] ** 2), carrying(torch.from_numpy(values), 0.9)
    return Numbers(stable, rank, found.alignment_left or 0.0, found.alignment_right or 0.0, found.intruders or 0)


def by_svd(base: Tensor, change: Tensor, dtype: torch.dtype) -> Numbers:
    """Full decompositions of base, tuned matrix and change by torch.linalg.svd."""
    base, change = base.to(dtype), change.to(dtype)
    u, _, v = torch.linalg.svd(base, full_matrices=False)
    x, _, y = torch.linalg.svd(base + change, full_matrices=False)
    values = torch.linalg.svdvals(change).double()
    left = float((u[:, :LEADING].T @ x[:, :LEADING]).square().sum() / LEADING)
    right = float((v[:LEADING] @ y[:LEADING].T).square().sum() / LEADING)
    new = int(((u.T @ x[:, :LEADING]).abs().amax(dim=0) < INTRUDER_COSINE).sum())
    return Numbers(float(values.square().sum() / values[0] ** 2), carrying(values, 0.9), left, right, new)


def changed(base: Tensor, seed: int, rank: int = RANK) -> Tensor:
    """A change of `base`: dense noise and a part of low rank."""
    g = torch.Generator().manual_seed(seed)
    m, n = base.shape
    size = torch.linalg.matrix_norm(base.float()) / min(m, n) ** 0.5
    dense = torch.randn(m, n, generator=g) / (m**0.5 + n**0.5)
    low = torch.randn(m, rank, generator=g) @ torch.randn(rank, n, generator=g) / (m * n) ** 0.5
    # Laid out in memory as the base is: an embedding and its change are both stored with a row for each token.
    return torch.empty_like(base, dtype=torch.float32).copy_(10 * size * (DENSE * dense + LOW_RANK * low))


def matrices(model: nn.Module) -> Iterator[Tensor]:
    """Every matrix of a model, outputs first: those of linear layers, and embeddings, whose output is a row.

    An embedding of fewer rows than vectors are compared (the two types of tokens) is left out.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear):
            yield module.weight.detach()
        elif isinstance(module, nn.Embedding) and module.num_embeddings > LEADING:
            yield module.weight.detach().T


def timed(run: Callable[[], T]) -> tuple[T, float]:
    """The result, and seconds of processor time."""
    start = time.process_time()
    result = run()
    return result, time.process_time() - start


def compare(name: str, bases: list[Tensor], *, in_float64: bool, with_svd: bool = True) -> None:
    """Measure all matrices by each contender, and print the rows."""
    contenders: dict[str, Callable[[Tensor, Tensor], Numbers]] = {
        "repdrift": by_gram,
        "torch.linalg.svd, float32": lambda w, d: by_svd(w, d, torch.float32),
    }
    if in_float64:
        contenders["torch.linalg.svd, float64"] = lambda w, d: by_svd(w, d, torch.float64)
    if not with_svd:
        contenders = {"repdrift": by_gram}
    changes = [changed(w, seed) for seed, w in enumerate(bases)]
    found: dict[str, list[Numbers]] = {}
    seconds: dict[str, float] = {}
    for label, run in contenders.items():
        found[label], seconds[label] = timed(lambda run=run: [run(w, d) for w, d in zip(bases, changes, strict=True)])
    reference = found[list(contenders)[-1]]
    for label, numbers in found.items():
        pairs = list(zip(numbers, reference, strict=True))
        stable = max(abs(a.stable_rank / b.stable_rank - 1) for a, b in pairs)
        ends = max(max(abs(a.left - b.left), abs(a.right - b.right)) for a, b in pairs)
        ranks = sum(a.rank_90 != b.rank_90 for a, b in pairs)
        new = [sum(n.intruders for n in numbers), sum(a.intruders != b.intruders for a, b in pairs)]
        print(
            f"| {name} ({len(bases)}) | {label} | {seconds[label]:.1f} | {seconds['repdrift'] / seconds[label]:.2f} | {stable:.0e} | {ranks} | {ends:.0e} "
            f"| {new[0]} | {new[1]} |",
            flush=True,
        )


def against_peft(ref: str) -> None:
    """Intruders that peft's `reduce_intruder_dimension` finds in a LoRA on every linear layer, module by module, against repdrift's."""
    from peft import LoraConfig, get_peft_model
    from peft.tuners.lora.intruders import reduce_intruder_dimension
    from peft.tuners.lora.layer import LoraLayer

    warnings.simplefilter("ignore")
    model: Any = get_peft_model(load_backbone(resolve_model(ref)), LoraConfig(r=RANK, target_modules="all-linear"))
    g = torch.Generator().manual_seed(0)
    layers = {name: module for name, module in model.named_modules() if isinstance(module, LoraLayer)}
    for module in layers.values():
        a, b = module.lora_A["default"].weight.data, module.lora_B["default"].weight.data
        size = torch.linalg.matrix_norm(module.get_base_layer().weight.data) / min(b.shape[0], a.shape[1]) ** 0.5
        a.copy_(torch.randn(a.shape, generator=g) / a.shape[1] ** 0.5)
        b.copy_(10 * LOW_RANK * size * torch.randn(b.shape, generator=g) / b.shape[0] ** 0.5)

    def ours() -> dict[str, int]:
        found: dict[str, int] = {}
        for name, module in layers.items():
            a, b = (x["default"].weight.detach().double() for x in (module.lora_A, module.lora_B))
            matrix = BaseMatrix(module.get_base_layer().weight.detach())
            scaled = (b * module.scaling["default"], a)
            found[name] = matrix.compared(scaled, k=LEADING, limit=INTRUDER_COSINE).intruders or 0
        return found

    counts, seconds = timed(ours)
    lines: list[str] = []
    _, theirs_s = timed(
        lambda: reduce_intruder_dimension(
            model, top_k=LEADING, threshold_epsilon=INTRUDER_COSINE, logging_sink=lines.append
        )
    )
    theirs = {
        m[1]: int(m[2] or 0) for line in lines if (m := re.match(r"(.+): (?:No intruders|Intruders: (\d+))", line))
    }
    differ = [name for name in counts if counts[name] != theirs.get(name)]
    print(
        f"{ref}, LoRA r = {RANK} on {len(counts)} linear layers: repdrift {sum(counts.values())} intruders in {seconds:.1f} s, peft {sum(theirs.values())} in "
        f"{theirs_s:.1f} s (with its repair); other counts in {len(differ)} layers {differ[:3]}",
        flush=True,
    )


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=[*MODELS, *SHAPES])
    parser.add_argument("--every", type=int, default=1, help="take every so many-th matrix of a model")
    parser.add_argument(
        "--without-svd", action="store_true", help="repdrift alone, which takes minutes instead of an hour"
    )
    parser.add_argument("--float32", action="store_true", help="leave out torch.linalg.svd in float64, the reference")
    parser.add_argument("--peft", action="store_true", help="only the comparison with peft, on MiniLM")
    chosen = parser.parse_args()
    if chosen.peft:
        against_peft(MODELS["MiniLM"])
        return
    print(
        "| matrices | contender | seconds | repdrift / this | stable rank | rank 90 % differs | alignment | intruders | counts that differ |"
    )
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for name, ref in MODELS.items():
        if chosen.only in (None, name):
            bases = list(matrices(load_backbone(resolve_model(ref))))[:: chosen.every]
            compare(name, bases, in_float64=not chosen.float32, with_svd=not chosen.without_svd)
    for name, (m, n) in SHAPES.items():
        if chosen.only in (None, name):
            g = np.random.default_rng(0)
            scales = torch.from_numpy(
                np.exp(-3.0 * np.arange(m) / m)
            ).float()  # a spectrum that falls, as trained ones do
            base = (
                torch.linalg.qr(torch.from_numpy(g.normal(size=(m, m))).float()).Q * scales @ torch.randn(m, n) / n**0.5
            )
            compare(name, [base], in_float64=not chosen.float32, with_svd=not chosen.without_svd)


if __name__ == "__main__":
    main()
