"""Measures what outcomes add to the extraction of a study, in CPU seconds: shared passes, and passes of their own, in one run.

    python benchmarks/outcomes/study_cost.py MODEL [--samples 48] [--rounds 2] [--probes] [--general-text]

MODEL: a causal language model, an encoder (whose outcomes are task scores, and probes if they are asked for), or `small-head`: 30 blocks of width 576
with random weights and a vocabulary of the words of the texts. One LoRA model is trained for a few steps first.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from repdrift.core.records.run import RUN_FILE
from repdrift.models import load_config, load_task_model, load_tokenizer, resolve_model
from repdrift.models.causality import is_causal_decoder
from repdrift.study.config import parse_study
from repdrift.study.evaluation_stage import evaluate_runs
from repdrift.study.extraction_stage import extract_runs
from repdrift.study.inputs import StudyInputs
from repdrift.study.runs import RunId, planned_runs
from repdrift.study.training_stage import find_run, train_runs
from repdrift.tasks import read_documents

_WORDS = 36
"""Of each text: about 48 tokens."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--samples", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--probes", action="store_true")
    parser.add_argument("--general-text", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = list(islice(_texts(), given.samples))
        model = saved_small_head(folder / "model", texts) if given.model == "small-head" else saved(given.model, folder)
        inputs = study_of(folder, model, texts, probes=given.probes, general_text=given.general_text)
        (run,) = planned_runs(inputs.config)
        train_runs(inputs, [run])
        found: dict[str, list[float]] = {"extraction": [], "shared": [], "own passes": []}
        for _ in range(given.rounds):
            for what, seconds in found.items():
                seconds.append(measured(inputs, run, what))
    alone, shared, own = (float(np.mean(seconds)) for seconds in found.values())
    print(
        f"extraction {alone:.2f} s; with outcomes in shared passes {shared:.2f} s ({shared / alone:.2f} times), in passes of their own "
        f"{own:.2f} s ({own / alone:.2f} times), CPU time"
    )


def saved(model: str, folder: Path) -> str:
    """The model, or a copy in safetensors of one that is packed as GGUF, which takes long to unpack whenever it is loaded."""
    source = resolve_model(model)
    if not source.gguf_file:
        return model
    load_task_model(source, "causal_lm").save_pretrained(folder / "model")
    load_tokenizer(source).save_pretrained(folder / "model")
    return str(folder / "model")


def measured(inputs: StudyInputs, run: RunId, what: str) -> float:
    """CPU seconds of the stages of one run; the base model's part is done before, since all runs of a task share it."""
    fresh = StudyInputs(inputs.config)
    extract_runs(fresh, [run], outputs_too=what == "shared")
    if what != "extraction":
        evaluate_runs(fresh, [run])
    results = inputs.config.results_dir
    for path in (*results.glob("phase3_representations/*"), *results.glob("outcomes/cont_*")):
        shutil.rmtree(path)
    trained = find_run(inputs, run)
    whole = (trained.folder / RUN_FILE).read_bytes()
    if what == "own passes":
        trained.record.model_copy(update={"row_scores_sha256": None}).write(trained.folder / RUN_FILE)
    fresh = StudyInputs(inputs.config)
    fresh.sample_set(run.task)
    try:
        return timed(lambda: extract_runs(fresh, [run], outputs_too=what == "shared")) + (
            timed(lambda: evaluate_runs(fresh, [run])) if what != "extraction" else 0.0
        )
    finally:
        (trained.folder / RUN_FILE).write_bytes(whole)
        for path in (*results.glob("phase3_representations/*"), *results.glob("outcomes/cont_*")):
            shutil.rmtree(path)


def timed(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def study_of(folder: Path, model: str, texts: list[str], *, probes: bool, general_text: bool) -> StudyInputs:
    """A study of one LoRA model: texts continued by a causal model, or told apart by an encoder."""
    is_causal = is_causal_decoder(load_config(resolve_model(model)))
    rows = [_row(text, number) for number, text in enumerate(texts)]
    for split, part in (("train", rows[:8]), ("validation", rows)):
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part), encoding="utf-8")
    task: dict[str, Any] = {"name": "cont", **{s: str(folder / f"{s}.jsonl") for s in ("train", "validation")}}
    task |= (
        {"kind": "causal_lm", "prompt_column": "prompt", "completion_column": "completion"}
        if is_causal
        else {"text_columns": ["prompt"], "label_column": "label"}
    )
    content = {
        "name": "cost", "model": model, "tasks": [task], "methods": ["lora"], "seeds": [1], "results_dir": str(folder / "results"),
        "base_dir": str(folder / "base"), "data_dir": str(folder), "extraction": {"random_change": "none"},
        "outcomes": ["outputs", "task_scores", *(["probes"] if probes else [])], "training": {"all": {"epochs": 1, "batch_size": 4}},
    }  # fmt: skip
    if not general_text:
        content["general_text"] = False
    return StudyInputs(parse_study(content, where="benchmark"))


def _row(text: str, number: int) -> dict[str, Any]:
    words = text.split(" ")
    return {"prompt": " ".join(words[:-4]), "completion": " " + " ".join(words[-4:]), "label": number % 2}


def _texts() -> Iterator[str]:
    for row in read_documents().rows.rows:
        words = row["text"].split()
        for start in range(0, len(words) - _WORDS, _WORDS):
            yield " ".join(words[start : start + _WORDS])


def saved_small_head(folder: Path, texts: list[str]) -> str:
    """Saves a language model of SmolLM2's blocks with random weights, whose vocabulary is the words of the texts."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = ["<unk>", "</s>", *sorted({word for text in texts for word in text.split()})]
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))  # noqa: S106 (a token)
    tokenizer.pre_tokenizer = Whitespace()  # pyright: ignore[reportAttributeAccessIssue]
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="</s>").save_pretrained(folder)  # noqa: S106
    config = LlamaConfig(
        vocab_size=len(words), hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3, max_position_embeddings=512,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return str(folder)


if __name__ == "__main__":
    main()
