"""Tiny models, data and studies; those that tests only read are made once in a session."""

from __future__ import annotations

import gc
import importlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tiny_models import save_adapter, save_bert, save_language_model, save_llama, save_tuned, sentence

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.pop("REPDRIFT_DATA", None)
os.environ.pop("REPDRIFT_CONFIG", None)


_MANY_OBJECTS = 20_000


def pytest_runtest_setup() -> None:
    """Takes what outlives the tests before out of later garbage collections: collected tests and imports are a million objects.

    repdrift collects after each model that it lets go; with all of them to look at, each time took a second and more.
    """
    if len(gc.get_objects(generation=2)) > _MANY_OBJECTS:
        gc.collect()
        gc.freeze()


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of 3 layers, width 16. Nobody may write to its folder."""
    return save_bert(tmp_path_factory.mktemp("models") / "tiny-bert")


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of 3 layers, width 16. Nobody may write to its folder."""
    return save_llama(tmp_path_factory.mktemp("models") / "tiny-llama")


@pytest.fixture(scope="session")
def tiny_language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of 3 layers, width 16, with a head for the next token. Nobody may write to its folder."""
    return save_language_model(tmp_path_factory.mktemp("models") / "tiny-language-model")


@pytest.fixture(scope="session")
def tuned_bert(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Path:
    """A full fine-tune of the tiny BERT. Nobody may write to its folder."""
    return save_tuned(tiny_bert, tmp_path_factory.mktemp("models") / "tuned-bert")


@pytest.fixture(scope="session")
def bert_adapter(tmp_path_factory: pytest.TempPathFactory, tiny_bert: Path) -> Path:
    """A LoRA adapter of the tiny BERT. Nobody may write to its folder."""
    return save_adapter(tiny_bert, tmp_path_factory.mktemp("models") / "bert-adapter")


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with sst2 and squad_v2: 24 training and 20 validation rows each."""
    folder = tmp_path_factory.mktemp("data")
    for split, count in (("train", 24), ("validation", 20)):
        start = 0 if split == "train" else 100
        sentences = [{"sentence": sentence(start + i, 4 + i % 7), "label": i % 2, "idx": i} for i in range(count)]
        questions = []
        for i in range(count):
            context = sentence(start + i, 12 + i % 9)
            words = context.split()
            answer = words[3] if i % 2 else None
            begin = len(" ".join(words[:3])) + 1
            answers = {"text": [answer], "answer_start": [begin]} if answer else {"text": [], "answer_start": []}
            questions.append(
                {"id": f"{split}-{i}", "question": sentence(i, 4) + " ?", "context": context, "answers": answers}
            )
        for task, rows in (("sst2", sentences), ("squad_v2", questions)):
            path = folder / task / f"{split}.jsonl"
            path.parent.mkdir(exist_ok=True)
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


@pytest.fixture
def offline_wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of W&B's runs, with the real client switched offline.

    The client keeps the settings of the first run in its process: it is taken down before the test and after it.
    """
    import wandb

    for name, value in {"MODE": "offline", "SILENT": "true", "DIR": tmp_path, "CACHE_DIR": tmp_path / "cache", "DATA_DIR": tmp_path / "data"}.items():  # fmt: skip
        monkeypatch.setenv(f"WANDB_{name}", str(value))
    wandb.teardown()
    yield tmp_path / "wandb"
    wandb.teardown()


@pytest.fixture
def tiny_study(tmp_path: Path, tiny_bert: Path, tiny_data: Path) -> Path:
    """A study file: the tiny BERT, two tasks, two methods, two seeds, a few steps, with checkpoints."""
    path = tmp_path / "tiny.yaml"
    path.write_text(
        f"""
name: tiny
model: {tiny_bert}
data_dir: {tiny_data}
tasks: [squad_v2, sst2]
methods: [full_finetune, lora]
seeds: [1, 2]
training:
  all: {{epochs: 1, batch_size: 8, max_length: 32, doc_stride: 8, checkpoint_every: 2, learning_rate: 0.01}}
results_dir: {tmp_path}/results
base_dir: {tmp_path}/base_representations
""",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def wrong_four_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives bitsandbytes the fault that version 0.50 has on CPUs with AVX-512: rows that end inside of a group of 64 numbers come back wrongly."""
    functional = importlib.import_module("bitsandbytes.functional")
    real = functional.dequantize_4bit

    def wrong(packed, state=None, *args, **kwargs):
        found = real(packed, state, *args, **kwargs)
        if found.shape[-1] % 64:
            found[..., -1] += 0.5
        return found

    monkeypatch.setattr(functional, "dequantize_4bit", wrong)
