"""Measures how long extraction takes in relation to the plain forward pass.

    python benchmarks/extraction/run.py                                   MiniLM and SmolLM2-135M, 128 tokens, float32
    python benchmarks/extraction/run.py --model packaged:minilm --rounds 9
    python benchmarks/extraction/run.py --memory                           peak memory at two sample counts
    python benchmarks/extraction/write_throughput.py                       how fast `tokens` are written

Every round runs each variant once over the same batches, and starts with another variant. A ratio is taken within a round.
Printed are the median, smallest and largest ratio of the rounds. Absolute times are for orientation.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from torch import nn

from repdrift.batches.batching import BatchPlan
from repdrift.comparison.paired_pass import ModelRun, stream
from repdrift.core.records.representation_set import Pooling
from repdrift.extraction import RepresentationExtractor
from repdrift.models import load_backbone, resolve_model
from repdrift.stores import RepresentationSetWriter
from repdrift.tasks import SampleSet, token_ids

MODELS = {"packaged:minilm": 96, "packaged:smollm2-135m": 16}
"""Number of samples by model: a pass then takes a few seconds on two cores."""
TARGETS = {
    "ours: pooled, all layers": 1.02,
    "ours: pooled, stored": 1.02,
    "ours: pooled, three sites": 1.03,
    "ours: paired streaming, pooled": 1.05,
    "ours: paired streaming, token moments": 1.15,
}


def sample_set(vocabulary: int, n: int, tokens: int) -> SampleSet:
    """Samples of random tokens. All have one length, so that no variant gains from less padding."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(1000, vocabulary - 1000, (n, tokens), generator=generator)
    rows = tuple(token_ids(row.tolist()) for row in ids)
    return SampleSet("benchmark", tuple(map(str, range(n))), rows, None, 0, "random tokens")


class Bench:
    """One model, a copy with changed weights, and the variants as functions without arguments."""

    def __init__(self, ref: str, n: int, tokens: int, folder: Path) -> None:
        source = resolve_model(ref)
        self.base, self.tuned = load_backbone(source), load_backbone(source)
        with torch.no_grad():
            for parameter in self.tuned.parameters():
                parameter.add_(1e-3 * torch.randn_like(parameter))
        self.folder = folder
        self.samples = sample_set(self.base.config.vocab_size, n, tokens)
        self.extractor = RepresentationExtractor(self.base)
        start = time.perf_counter()
        self.three_sites = RepresentationExtractor(self.base, sites=("attn_out", "mlp_out"))
        self.sites_s = time.perf_counter() - start
        self.plan = BatchPlan(self.samples, token_budget=self.extractor.token_budget)
        self.stored = 0
        self.tokens_base, self.tokens_tuned = (self.paired_run(m, pooling="tokens") for m in (self.base, self.tuned))
        self.mean_base, self.mean_tuned = (self.paired_run(m, pooling="mean") for m in (self.base, self.tuned))

    def paired_run(self, model: nn.Module, *, pooling: Pooling) -> ModelRun:
        """A model in paired streaming, in the large batches that `repdrift compare --accumulate moments` takes."""
        return ModelRun(RepresentationExtractor(model, pooling=pooling, memory_cap_bytes=128 << 20), nullcontext)

    def variants(self) -> dict[str, tuple[Callable[[], None], int]]:
        """For each variant its function, and the number of plain forward passes that it is compared with."""
        found: dict[str, tuple[Callable[[], None], int]] = {
            "plain forward": (self.plain, 1),
            "ours: pooled, all layers": (self.pooled, 1),
            "ours: pooled, stored": (self.pooled_stored, 1),
            "ours: pooled, three sites": (self.pooled_sites, 1),
            "ours: paired streaming, pooled": (lambda: self.paired(self.mean_base, self.mean_tuned), 2),
            "ours: paired streaming, token moments": (lambda: self.paired(self.tokens_base, self.tokens_tuned), 2),
            "hidden_states kept, then pooled": (self.hidden_states, 1),
        }
        try:
            import nnsight  # noqa: F401
        except ImportError:
            print("(nnsight is not installed: pip install nnsight)")
        else:
            found["nnsight: pooled in the trace"] = (self.nnsight, 1)
        return found

    def plain(self) -> None:
        with torch.inference_mode():
            for batch in self.plan:
                self.base(input_ids=batch.inputs["input_ids"], attention_mask=batch.inputs["attention_mask"])

    def pooled(self) -> None:
        self.extractor.extract(self.samples)

    def pooled_sites(self) -> None:
        self.three_sites.extract_sites(self.samples)

    def pooled_stored(self) -> None:
        self.stored += 1
        writer = RepresentationSetWriter(
            self.folder / str(self.stored), key="k", layers=self.extractor.layers, n_rows=len(self.samples),
            plan=self.plan.settings, n_batches=len(self.plan),
        )  # fmt: skip
        with writer:
            for batch in self.extractor.batches(self.plan):
                writer.write_batch(batch.number, batch.rows, batch.layers)
            writer.finish(
                task="benchmark", method="base", seed=None, step=0, model="m", weights_digest="w",
                sample_set_fingerprint="s", sample_ids=list(self.samples.sample_ids), truncated_samples=0, pooling="mean",
                compute_dtype="float32", created="now", versions={},
            )  # fmt: skip

    def paired(self, base: ModelRun, tuned: ModelRun) -> None:
        plan = base.extractor.plan(self.samples)
        stream(base, [tuned], plan, range(len(plan)))

    def hidden_states(self) -> None:
        kept: list[tuple[torch.Tensor, ...]] = []
        with torch.inference_mode():
            for batch in self.plan:
                ids, mask = batch.inputs["input_ids"], batch.inputs["attention_mask"]
                kept.append(self.base(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states)
            for states, batch in zip(kept, self.plan, strict=True):
                mask = batch.inputs["attention_mask"].unsqueeze(2)
                for hidden in states[1:]:
                    (hidden * mask).sum(1) / mask.sum(1)

    def nnsight(self) -> None:
        import nnsight

        wrapped = nnsight.NNsight(self.base)
        blocks = self.extractor.blocks.path
        with torch.inference_mode():
            for batch in self.plan:
                ids, mask = batch.inputs["input_ids"], batch.inputs["attention_mask"]
                weights = (mask.float() / mask.sum(1, keepdim=True)).unsqueeze(1)
                with wrapped.trace(input_ids=ids, attention_mask=mask):
                    pooled = nnsight.save([])
                    for block in wrapped.get(blocks):
                        output = block.output
                        hidden = output[0] if isinstance(output, tuple) else output
                        pooled.append(torch.bmm(weights, hidden).squeeze(1))
                if len(pooled) != len(self.extractor.layers):
                    raise RuntimeError("nnsight did not see every block")


def compare(ref: str, n: int, tokens: int, rounds: int, only: str = "") -> list[dict[str, object]]:
    """The ratio of every variant to the plain forward pass of the same round."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(ref, n, tokens, Path(folder))
        variants = {name: v for name, v in bench.variants().items() if name == "plain forward" or only in name}
        print(f"{ref}: the sites were found in {bench.sites_s:.2f} s, once for a model", file=sys.stderr)
        names = list(variants)
        for run, _ in variants.values():
            run()  # warm-up
        seconds: dict[str, list[float]] = {name: [] for name in names}
        for turn in range(rounds):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                start = time.perf_counter()
                variants[name][0]()
                seconds[name].append(time.perf_counter() - start)
    rows = []
    for name in names:
        forwards = variants[name][1]
        ratios = [s / (forwards * p) for s, p in zip(seconds[name], seconds["plain forward"], strict=True)]
        rows.append(
            {
                "model": ref,
                "variant": name,
                "against": f"{forwards} x plain forward",
                "ratio": round(statistics.median(ratios), 3),
                "from": round(min(ratios), 3),
                "to": round(max(ratios), 3),
                "best over best": round(min(seconds[name]) / (forwards * min(seconds["plain forward"])), 3),
                "median_s": round(statistics.median(seconds[name]), 3),
                "target": TARGETS.get(name),
            }
        )
    return rows


def peak_memory(ref: str, tokens: int, counts: tuple[int, int]) -> None:
    """Print the peak memory of a pooled extraction to disk, beyond the loaded model. Each runs in a process of its own."""
    for n in counts:
        command = [sys.executable, __file__, "--child", ref, "--samples", str(n), "--tokens", str(tokens)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        print(f"{ref}: {n} samples x {tokens} tokens: peak {found['beyond_mib']:.0f} MiB beyond the loaded model")


def _child(ref: str, n: int, tokens: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = resolve_model(ref)
        model = load_backbone(source)
        samples = sample_set(model.config.vocab_size, n, tokens)
        extractor = RepresentationExtractor(model)
        plan = extractor.plan(samples)
        _reset_peak()
        before = _resident_mib("VmRSS")
        writer = RepresentationSetWriter(
            Path(folder), key="k", layers=extractor.layers, n_rows=len(samples), plan=plan.settings, n_batches=len(plan)
        )
        with writer:
            for batch in extractor.batches(plan):
                writer.write_batch(batch.number, batch.rows, batch.layers)
        print(json.dumps({"beyond_mib": _resident_mib("VmHWM") - before}))


def _reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts again from here


def _resident_mib(field: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print the table, and as JSON with --json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="folder or packaged:NAME; may be repeated")
    parser.add_argument(
        "--only", default="", help="measure only variants with this in their name, beside the plain forward pass"
    )
    parser.add_argument("--samples", type=int, help="samples of a pass")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--memory", action="store_true", help="measure peak memory instead")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        _child(given.child, given.samples, given.tokens)
        return
    rows: list[dict[str, object]] = []
    for ref in given.model or MODELS:
        n = given.samples or MODELS.get(ref, 32)
        if given.memory:
            peak_memory(ref, given.tokens, (n, 8 * n))
        else:
            rows += compare(ref, n, given.tokens, given.rounds, given.only)
    if given.json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        target = f"target {row['target']}" if row["target"] else ""
        print(
            f"{row['model']:<24}{row['variant']:<40}{row['ratio']:>7} x ({row['from']} to {row['to']}; best/best "
            f"{row['best over best']})  {row['against']:<18} {row['median_s']:>8} s  {target}"
        )
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main()
