"""Fine-tunes a small decoder on questions with answers, so that there is a tuned model to measure.

Writes the base model and the tuned one as float32 safetensors: FOLDER/base and FOLDER/tuned. Every weight is trained, and
the loss is that of the answer's tokens. A run that was stopped goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from repdrift.models import resolve_model

_IGNORED = -100


def main() -> None:
    """Train, and write both models."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where both models go")
    parser.add_argument("--questions", type=Path, required=True, help="a parquet file in the format of SQuAD")
    parser.add_argument("--base", default="packaged:smollm2-135m")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument(
        "--stop-at", type=int, help="save the model after this step; the learning rate falls as for all --steps"
    )
    parser.add_argument("--batch", type=int, default=4, help="questions in a step")
    parser.add_argument("--learning-rate", type=float, default=2e-5)
    parser.add_argument("--max-length", type=int, default=160, help="longer examples are left out")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.manual_seed(given.seed)
    torch.set_flush_denormal(True)  # squared gradients of rare tokens become denormal numbers, which are slow
    model, tokenizer = _base_model(given.base, given.folder / "base")
    examples = _examples(given.questions, tokenizer, given.max_length)
    random.Random(given.seed).shuffle(examples)  # noqa: S311 (an order, not a secret)
    print(f"{len(examples)} examples of at most {given.max_length} tokens", flush=True)
    _train(model, examples, given)
    model.save_pretrained(given.folder / "tuned")
    tokenizer.save_pretrained(given.folder / "tuned")


def _base_model(ref: str, folder: Path) -> tuple[Any, Any]:
    """The base model in float32. Its weights are written to `folder` first, which reads faster than a quantised file."""
    if not (folder / "config.json").is_file():
        source = resolve_model(ref)
        named = {"gguf_file": source.gguf_file} if source.gguf_file else {}
        tokenizer = AutoTokenizer.from_pretrained(source.path, **named)
        read: Any = AutoModelForCausalLM.from_pretrained(source.path, dtype=torch.float32, **named)
        if hasattr(read.config, "quantization_config"):
            del read.config.quantization_config
        model = type(read)(read.config)
        model.load_state_dict(read.state_dict())
        tokenizer.save_pretrained(folder)
        model.save_pretrained(folder)
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), AutoTokenizer.from_pretrained(folder)


def _examples(path: Path, tokenizer: Any, max_length: int) -> list[tuple[list[int], int]]:
    """Token ids of each question with its passage and answer, and how many of them come before the answer."""
    found = []
    for row in pd.read_parquet(path).to_dict("records"):
        texts = row["answers"]["text"]
        if len(texts) == 0:
            continue
        asked = tokenizer(f"{row['context']}\nQuestion: {row['question']}\nAnswer:")["input_ids"]
        answer = tokenizer(f" {texts[0]}.\n")["input_ids"]
        if len(asked) + len(answer) <= max_length:
            found.append((asked + answer, len(asked)))
    return found


def _train(model: Any, examples: list[tuple[list[int], int]], given: argparse.Namespace) -> None:
    optimiser = torch.optim.AdamW(model.parameters(), lr=given.learning_rate, weight_decay=0.0)
    warm_up = max(1, given.steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warm_up, (given.steps - step) / (given.steps - warm_up))
    )
    saved = given.folder / "training.pt"
    start = 0
    if saved.is_file():
        state = torch.load(saved, weights_only=True)
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        schedule.load_state_dict(state["schedule"])
        start = state["step"]
    model.train()
    for step in range(start, given.stop_at or given.steps):
        batch = [examples[(step * given.batch + number) % len(examples)] for number in range(given.batch)]
        loss = model(**_padded(batch)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
        if step % 5 == 0:
            print(f"step {step}: loss {loss.item():.3f}", flush=True)
        if (step + 1) % 50 == 0:
            state = {
                "model": model.state_dict(),
                "optimiser": optimiser.state_dict(),
                "schedule": schedule.state_dict(),
            }
            torch.save({**state, "step": step + 1}, saved)


def _padded(batch: list[tuple[list[int], int]]) -> dict[str, torch.Tensor]:
    width = max(len(ids) for ids, _ in batch)
    ids = torch.zeros((len(batch), width), dtype=torch.long)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, _IGNORED)
    for row, (tokens, asked) in enumerate(batch):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
        labels[row, asked : len(tokens)] = torch.tensor(tokens[asked:])
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


if __name__ == "__main__":
    main()
