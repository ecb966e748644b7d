"""Measures how extraction and analysis grow with width, layers, samples, tokens, seeds, measures: slopes in log-log.

Run: python benchmarks/scale/run.py [--quick]

Models of the shape of Llama with random weights, one thread. Each point runs in a forked process of its own: processor seconds, peak
memory beyond what the process had, and bytes of the files that were written, beside the closed form of them.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import multiprocessing.connection
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.analysis.synthetic_study import METHODS, Size, write_study


@dataclass(frozen=True)
class Forward:
    """An extraction: the sizes of its model and of its input."""

    width: int = 512
    layers: int = 4
    samples: int = 16
    tokens: int = 64


@dataclass(frozen=True)
class Analysed:
    """An analysis: the size of its study, and its measures."""

    size: Size
    measures: int = 4


@dataclass(frozen=True)
class Cost:
    """What a point took."""

    seconds: float
    memory: int
    disk: int
    closed_form: int


_SMALL = Size(tasks=1, seeds=3, layers=4, samples=400, features=512, replicates=2000)


def slopes(sizes: list[float], costs: list[float]) -> tuple[float, float]:
    """The slope in log-log by least squares over all points, and that between the last two."""
    x, y = [math.log(s) for s in sizes], [math.log(c) for c in costs]
    middle = sum(x) / len(x)
    fitted = sum((a - middle) * b for a, b in zip(x, y, strict=True)) / sum((a - middle) ** 2 for a in x)
    return fitted, (y[-1] - y[-2]) / (x[-1] - x[-2])


def main() -> None:
    """Measure every series and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two points a series, to see that it runs")
    points = 2 if parser.parse_args().quick else 3
    torch.set_num_threads(1)
    print(
        "| stage | grows with | sizes | seconds | slope of seconds (last two) | peak MB | slope of memory (last two) | disk, MB | closed form |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name, sizes in {
        "width": [512, 1024, 2048],
        "layers": [2, 4, 8],
        "samples": [8, 16, 32],
        "tokens": [64, 128, 256],
    }.items():
        _series("extraction", name, sizes[:points], lambda n, name=name: _extraction(replace(Forward(), **{name: n})))
    for name, sizes in {
        "features": [512, 1024, 2048],
        "layers": [4, 8, 16],
        "samples": [400, 800, 1600],
        "seeds": [2, 4, 8],
        "replicates": [2000, 4000, 8000],
    }.items():
        _series(
            "analysis", name, sizes[:points], lambda n, name=name: _analysis(Analysed(replace(_SMALL, **{name: n})))
        )
    _series("analysis", "measures", [1, 2, 4][:points], lambda n: _analysis(Analysed(_SMALL, n)))


def _series(stage: str, name: str, sizes: list[int], cost: Callable[[int], Cost]) -> None:
    found = [cost(size) for size in sizes]
    time_slope = slopes([float(s) for s in sizes], [c.seconds for c in found])
    memory_slope = slopes([float(s) for s in sizes], [max(c.memory, 1.0) for c in found])
    print(
        f"| {stage} | {name} | {_list(sizes)} | {', '.join(f'{c.seconds:.2f}' for c in found)} | {time_slope[0]:.2f} ({time_slope[1]:.2f}) | "
        f"{', '.join(f'{c.memory / 1e6:.0f}' for c in found)} | {memory_slope[0]:.2f} ({memory_slope[1]:.2f}) | "
        f"{', '.join(f'{c.disk / 1e6:.3f}' for c in found)} | {', '.join(f'{c.closed_form / 1e6:.3f}' for c in found)} |",
        flush=True,
    )


def _list(sizes: list[int]) -> str:
    return ", ".join(map(str, sizes))


def _extraction(forward: Forward) -> Cost:
    return _apart(_extract, forward)


def _analysis(analysed: Analysed) -> Cost:
    return _apart(_analyse, analysed)


def _apart(work: Callable[..., Cost], what: Forward | Analysed) -> Cost:
    """Run in a forked process. work: is given its folder and a function that it calls when the measured part begins."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as scratch:
        process = context.Process(target=_measured, args=(work, what, Path(scratch), sender))
        process.start()
        sender.close()
        try:
            return receiver.recv()
        except EOFError:
            raise SystemExit(f"the process that measured {what} died") from None
        finally:
            process.join()


def _measured(
    work: Callable[..., Cost], what: object, folder: Path, sender: multiprocessing.connection.Connection
) -> None:
    began = {"seconds": 0.0, "memory": 0}

    def begin() -> None:
        began.update(seconds=time.process_time(), memory=_peak())

    cost = work(what, folder, begin)
    sender.send(replace(cost, seconds=time.process_time() - began["seconds"], memory=_peak() - int(began["memory"])))


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _extract(forward: Forward, folder: Path, begin: Callable[[], None]) -> Cost:
    from transformers import LlamaConfig, LlamaModel

    from benchmarks.extraction.run import sample_set
    from repdrift.batches.batching import BatchPlan
    from repdrift.extraction import RepresentationExtractor
    from repdrift.stores import RepresentationSetWriter

    config = LlamaConfig(
        vocab_size=3000,
        hidden_size=forward.width,
        intermediate_size=4 * forward.width,
        num_hidden_layers=forward.layers,
        num_attention_heads=forward.width // 64,
    )
    torch.manual_seed(0)
    extractor = RepresentationExtractor(LlamaModel(config).eval(), pooling="mean")
    samples = sample_set(3000, forward.samples, forward.tokens)
    plan = BatchPlan(samples, token_budget=extractor.token_budget)
    begin()
    writer = RepresentationSetWriter(
        folder / "set", key="k", layers=extractor.layers, n_rows=len(samples), plan=plan.settings, n_batches=len(plan)
    )
    with writer:
        for batch in extractor.batches(plan):
            writer.write_batch(batch.number, batch.rows, batch.layers)
        writer.finish(
            task="benchmark", method="base", seed=None, step=0, model="m", weights_digest="w", sample_set_fingerprint="s",
            sample_ids=list(samples.sample_ids), truncated_samples=0, pooling="mean", compute_dtype="float32", created="now", versions={},
        )  # fmt: skip
    return Cost(0, 0, _layer_bytes(folder), forward.samples * forward.width * forward.layers * 4)


def _analyse(analysed: Analysed, folder: Path, begin: Callable[[], None]) -> Cost:
    from repdrift.drift import analyze

    size = analysed.size
    plan = write_study(folder, size)
    plan = replace(plan, measures=plan.measures[: analysed.measures])
    begin()
    analyze(plan, folder / "analysis")
    sets = size.tasks * (2 + len(METHODS) * size.seeds)
    return Cost(0, 0, _layer_bytes(folder), sets * size.layers * size.samples * size.features * 4)


def _layer_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("layer_*.*"))


if __name__ == "__main__":
    main()
