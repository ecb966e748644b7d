"""Measures drift by layer under the poolings of a decoder, and what the search for attention sinks costs.

    python benchmarks/decoder_pooling/tune.py FOLDER --questions path/to/squad_v2/train.parquet --stop-at 50
    python benchmarks/decoder_pooling/run.py FOLDER --data-dir path/to/tasks               the table of docs/explanation/decoder_pooling.md
    python benchmarks/decoder_pooling/run.py FOLDER --data-dir path/to/tasks --cost        time and batches beside plain mean

FOLDER holds `base` and `tuned`, as tune.py writes them.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from repdrift.comparison.comparing import compare
from repdrift.comparison.inputs import comparison_inputs
from repdrift.core.records.comparison import Comparison
from repdrift.core.records.representation_set import SINK_POOLING
from repdrift.core.sink_words import sinks_in_words
from repdrift.extraction import RepresentationExtractor
from repdrift.extraction.sink_mask import SinkMask
from repdrift.models import load_backbone, resolve_model
from repdrift.tasks import FileFormat

POOLINGS = ("mean", SINK_POOLING, "last")


def main() -> None:
    """Print the table, or the cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", default="mrpc")
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--cost", action="store_true", help="measure time instead of drift")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if given.cost:
        _print_cost(given)
    else:
        _print_table(given)


def _print_table(given: argparse.Namespace) -> None:
    found = {pooling: _compared(given, pooling) for pooling in POOLINGS}
    sinks = found[SINK_POOLING].sinks
    if sinks is not None:
        print(f"\n{sinks_in_words(sinks)}\n")
    standardised = [(pooling, "cka_standardized") for pooling in POOLINGS[:2]]
    columns = [*((pooling, "cka") for pooling in POOLINGS), *standardised]
    heads = [*POOLINGS, *(f"{pooling}, standardised" for pooling, _ in standardised)]
    print("| layer | " + " | ".join(heads) + " | largest share of one feature: mean | " + SINK_POOLING + " |")
    print("|---" * (len(heads) + 3) + "|")
    for place, at in enumerate(found["mean"].models[0].layers):
        drifts = [found[p].models[0].layers[place].values[name] for p, name in columns]
        cells = ["" if value is None else f"{1 - value:.5f}" for value in drifts]
        shares = [f"{found[p].base_layers[place].top_feature_share:.0%}" for p in POOLINGS[:2]]
        print(f"| {at.layer} | " + " | ".join([*cells, *shares]) + " |")


def _compared(given: argparse.Namespace, pooling: str) -> Comparison:
    return compare(
        str(given.folder / "base"),
        str(given.folder / "tuned"),
        data=given.data,
        data_dir=given.data_dir,
        samples=given.samples,
        pooling=pooling,
        measures=("cka", "cka_standardized"),
        controls=False,
    )


def _print_cost(given: argparse.Namespace) -> None:
    base = str(given.folder / "base")
    inputs = comparison_inputs(
        base, [str(given.folder / "tuned")], data=given.data, data_dir=given.data_dir,
        text_columns=None, id_column=None, file_format=FileFormat(), samples=given.samples, max_length=None, revision=None,
    )  # fmt: skip
    model = load_backbone(resolve_model(base))
    seconds: dict[str, list[float]] = {"mean": [], "base model, sinks unknown": [], "sinks known": []}
    for _ in range(given.rounds):
        mask = SinkMask()
        for name, taken in seconds.items():
            extractor = RepresentationExtractor(
                model, pooling="mean" if name == "mean" else SINK_POOLING, sinks=None if name == "mean" else mask
            )
            start = time.process_time()
            extractor.extract(inputs.samples, what=name)
            taken.append(time.process_time() - start)
            print(f"{name}: {taken[-1]:.2f} CPU seconds, {extractor.token_budget} tokens a batch", flush=True)
    for name, values in seconds.items():
        ratios = [value / plain for value, plain in zip(values, seconds["mean"], strict=True)]
        print(f"{name}: {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}) times plain mean")


if __name__ == "__main__":
    main()
