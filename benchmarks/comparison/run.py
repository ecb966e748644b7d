"""What `repdrift compare` costs beside the two forward passes that nothing can save: processes in turn, in one run.

    python benchmarks/comparison/run.py --data-dir path/to/tasks                            MiniLM, 750 sentences of SST-2
    python benchmarks/comparison/run.py --data-dir path/to/tasks --model packaged:smollm2-135m --samples 300

The tuned model is the base model with noise on every matrix, saved in full. Each round starts every contender once as a
process of its own, in an order that is turned from round to round:

    imports         only imports what `repdrift compare` imports
    two passes      loads both models and runs both over the samples, in the batches of `repdrift compare`; keeps nothing
    compare         the whole command, with controls, table, summary and figures
    first answer    the same process, up to the line that gives the drift of the model
    no controls     the same command with --no-controls
    modeldiffr      `modeldiffr layers` on the same models and texts, if that package is installed; it takes decoders only
                    (no controls, no intervals)

Seconds are medians over the rounds. Two ratios are printed: of the whole to the passes and the imports together, and of
the whole less the imports to the passes alone; both are taken within a round.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

TARGET = 1.35
IMPORTS = (
    "import repdrift.cli.main, repdrift.cli.compare, repdrift.comparison.comparing, repdrift.comparison.output, "
    "repdrift.report.comparison_figure, rich.table, matplotlib.backends.backend_agg, matplotlib.backends.backend_pdf; "
    "from repdrift.similarity import measure; measure('cka'); "
    "from repdrift.models import load_config, load_tokenizer, resolve_model; "
    "from transformers import AutoModel; import sys; "
    "config = load_config(resolve_model(sys.argv[1])); AutoModel._model_mapping[type(config)]"
)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="packaged:minilm")
    parser.add_argument("--samples", type=int, default=750)
    parser.add_argument("--data-dir", required=True, help="folder with sst2/validation.parquet")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--passes-of", nargs=3, metavar=("BASE", "TUNED", "TEXTS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.passes_of:
        print(json.dumps(two_passes(*args.passes_of)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base, tuned = save_pair(args.model, folder)
        texts = folder / "texts.txt"
        texts.write_text("".join(line + "\n" for line in sentences(args.data_dir, args.samples)), encoding="utf-8")
        rounds = [one_round(base, tuned, texts, folder, turn) for turn in range(args.rounds)]
    report(rounds)


def save_pair(ref: str, folder: Path) -> tuple[Path, Path]:
    """Saves the base model and a tuned one with weights, configuration and tokenizer; returns the folders."""
    import torch

    from repdrift.models import load_backbone, load_tokenizer, resolve_model, save_model

    source = resolve_model(ref)
    model, tokenizer = load_backbone(source), load_tokenizer(source)
    save_model(model, tokenizer, folder / "base")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.add_(1e-3 * torch.randn(parameter.shape, generator=generator))
    save_model(model, tokenizer, folder / "tuned")
    return folder / "base", folder / "tuned"


def sentences(data_dir: str, count: int) -> list[str]:
    """Reads the first `count` sentences of SST-2's validation split."""
    import pandas as pd

    found = pd.read_parquet(Path(data_dir) / "sst2" / "validation.parquet")["sentence"].str.strip().tolist()
    return found[:count]


def two_passes(base: str, tuned: str, texts: str) -> dict[str, float]:
    """Runs both models over the samples; returns the seconds of the two passes alone, and of loading both models."""
    import torch

    from repdrift.comparison.inputs import comparison_inputs
    from repdrift.extraction import RepresentationExtractor
    from repdrift.models import load_backbone
    from repdrift.tasks import FileFormat

    inputs = comparison_inputs(
        base, [tuned], data=texts, data_dir=None, text_columns=None, id_column=None, file_format=FileFormat(), samples=None,
        max_length=None, revision=None,
    )  # fmt: skip
    found = {"passes": 0.0, "loading": 0.0}
    for source in (inputs.base, inputs.tuned[0].source):
        clock = time.perf_counter()
        model = load_backbone(source)
        plan = RepresentationExtractor(model).plan(inputs.samples)
        batches = list(plan)
        found["loading"] += time.perf_counter() - clock
        clock = time.perf_counter()
        with torch.inference_mode():
            for batch in batches:
                model(input_ids=batch.inputs["input_ids"], attention_mask=batch.inputs["attention_mask"])
        found["passes"] += time.perf_counter() - clock
    return found


def one_round(base: Path, tuned: Path, texts: Path, folder: Path, turn: int) -> dict[str, float]:
    """Starts every contender once; returns seconds by name."""
    compare = [sys.executable, "-m", "repdrift", "compare", str(base), str(tuned), "--data", str(texts)]
    found: dict[str, float] = {}

    def imports() -> None:
        found["imports"] = seconds([sys.executable, "-c", IMPORTS, str(base)])

    def passes() -> None:
        command = [sys.executable, __file__, "--data-dir", "-", "--passes-of", str(base), str(tuned), str(texts)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found.update({"two passes": (of := json.loads(output))["passes"], "loading both": of["loading"]})

    def whole() -> None:
        found["compare"], found["first answer"] = with_first_answer([*compare, "--output-dir", str(folder / "out")])

    def without_controls() -> None:
        found["no controls"] = seconds([*compare, "--no-controls", "--output-dir", str(folder / "out")])

    def peer() -> None:
        lines = texts.read_text(encoding="utf-8").splitlines()
        corpus = texts.with_suffix(".jsonl")  # it takes a .txt file for one text
        corpus.write_text("".join(json.dumps({"text": line}) + "\n" for line in lines), encoding="utf-8")
        command = [sys.executable, "-m", "modeldiffr", "layers", str(base), str(tuned), "--device", "cpu"]
        command += ["--dtype", "float32", "--corpus", str(corpus), "--field", "text"]
        command += ["--texts", str(len(lines)), "--max-tokens", "1000000000"]
        try:
            found["modeldiffr"] = seconds(command)
        except subprocess.CalledProcessError:
            print("modeldiffr does not run these models (it takes decoders)", file=sys.stderr)

    contenders = [imports, passes, whole, without_controls]
    if importlib.util.find_spec("modeldiffr") is not None:
        contenders.append(peer)
    shift = turn % len(contenders)
    for contender in [*contenders[shift:], *contenders[:shift]]:
        contender()
    return found


def seconds(command: list[str]) -> float:
    """Runs a command to its end and returns its wall-clock seconds. Raises CalledProcessError if it fails."""
    clock = time.perf_counter()
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    took = time.perf_counter() - clock
    if done.returncode:
        print(done.stderr[-300:], file=sys.stderr)
        done.check_returncode()
    return took


def with_first_answer(command: list[str]) -> tuple[float, float]:
    """Wall-clock seconds of the whole command, and until it has said the drift of the tuned model."""
    clock, answered = time.perf_counter(), float("nan")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr or ():
            if "the controls follow" in line:
                answered = time.perf_counter() - clock
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return time.perf_counter() - clock, answered


def report(rounds: list[dict[str, float]]) -> None:
    """Prints seconds and ratios: median, smallest and largest over the rounds."""
    for name in rounds[0]:
        row(name, [found[name] for found in rounds], "s")
    row("compare / (passes + imports)", [f["compare"] / (f["two passes"] + f["imports"]) for f in rounds], "")
    row("(compare - imports) / passes", [(f["compare"] - f["imports"]) / f["two passes"] for f in rounds], "")
    print(f"target: {TARGET} times the two passes, plus the imports")


def row(name: str, values: list[float], unit: str) -> None:
    """Prints one line."""
    print(f"{name:32s} {statistics.median(values):8.2f} {unit:1s}  ({min(values):.2f} to {max(values):.2f})")


if __name__ == "__main__":
    main()
