"""Tiny real models and tasks: random weights, built from configs, with tokenizers of a few words."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.pop("REPDRIFT_DATA", None)
os.environ.pop("REPDRIFT_CONFIG", None)

WORDS = [
    "the",
    "a",
    "an",
    "cat",
    "dog",
    "bird",
    "house",
    "tree",
    "river",
    "town",
    "ran",
    "sat",
    "flew",
    "saw",
    "big",
    "small",
    "red",
    "old",
    "new",
    "good",
    "bad",
    "was",
    "is",
    "in",
    "on",
    "by",
    "of",
    "and",
    "to",
    "what",
    "who",
    "where",
    "when",
    "did",
    "do",
    "not",
    "very",
    "quickly",
    "slowly",
    "happy",
    "sad",
    "film",
    "food",
    "train",
    "book",
    "garden",
    "bridge",
    "one",
    "two",
    "three",
    "four",
    "five",
    ".",
    ",",
    "?",
]


def _tokenizer(folder: Path, *, separates: bool) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {word: number for number, word in enumerate([*special, *WORDS, "\n"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split("\n", "isolated"), pre_tokenizers.WhitespaceSplit()]
        if separates
        else [pre_tokenizers.Whitespace()]
    )
    if separates:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
        PreTrainedTokenizerFast(
            tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
            model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        ).save_pretrained(folder)  # fmt: skip
    else:
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", eos_token="[SEP]").save_pretrained(
            folder
        )


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of 3 layers, width 16."""
    import torch
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("models") / "tiny-bert"
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS) + 5, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64, initializer_range=0.2,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    _tokenizer(folder, separates=True)
    return folder


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of 3 layers, width 16."""
    import torch
    from transformers import LlamaConfig, LlamaModel

    folder = tmp_path_factory.mktemp("models") / "tiny-llama"
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(WORDS) + 5, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=1,
        intermediate_size=32, max_position_embeddings=64, initializer_range=0.2, pad_token_id=0, bos_token_id=2, eos_token_id=3,
    )  # fmt: skip
    LlamaModel(config).save_pretrained(folder)
    _tokenizer(folder, separates=False)
    return folder


def _sentence(number: int, length: int) -> str:
    return " ".join(WORDS[(number * 7 + step * (3 + number % 5)) % (len(WORDS) - 3)] for step in range(length))


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with sst2 and squad_v2: 24 training and 20 validation rows each."""
    folder = tmp_path_factory.mktemp("data")
    for split, count in (("train", 24), ("validation", 20)):
        start = 0 if split == "train" else 100
        sentences = [{"sentence": _sentence(start + i, 4 + i % 7), "label": i % 2, "idx": i} for i in range(count)]
        questions = []
        for i in range(count):
            context = _sentence(start + i, 12 + i % 9)
            words = context.split()
            answer = words[3] if i % 2 else None
            begin = len(" ".join(words[:3])) + 1
            answers = {"text": [answer], "answer_start": [begin]} if answer else {"text": [], "answer_start": []}
            questions.append(
                {"id": f"{split}-{i}", "question": _sentence(i, 4) + " ?", "context": context, "answers": answers}
            )
        for task, rows in (("sst2", sentences), ("squad_v2", questions)):
            path = folder / task / f"{split}.jsonl"
            path.parent.mkdir(exist_ok=True)
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


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
