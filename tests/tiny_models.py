"""Builders of tiny models with random weights, of models tuned from them, and of sentences in their vocabulary.

Heavy libraries are imported where they are used: `tests/conftest.py` imports this file for every test.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

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
VOCABULARY = len(WORDS) + 5  # the special tokens and the line break


def sentence(number: int, length: int) -> str:
    """Returns sentence `number`, of `length` words; sentences with other numbers differ."""
    return " ".join(WORDS[(number * 7 + step * (3 + number % 5)) % (len(WORDS) - 3)] for step in range(length))


def write_sentences(path: Path, count: int) -> Path:
    """Write `count` sentences of 3 to 11 words to `path`, one a line."""
    path.write_text("".join(sentence(i, 3 + i % 9) + "\n" for i in range(count)), encoding="utf-8")
    return path


def save_bert(folder: Path, *, seed: int = 0, width: int = 16) -> Path:
    """Save a BERT of 3 layers, width 16 unless another is given, and its tokenizer, which separates pairs."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=width, num_hidden_layers=3, num_attention_heads=2, intermediate_size=2 * width,
        max_position_embeddings=64, initializer_range=0.2,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    _save_tokenizer(folder, separates=True)
    return folder


def save_llama(folder: Path, *, seed: int = 1, width: int = 16) -> Path:
    """Save a Llama of 3 layers, width 16 unless another is given, and its tokenizer, which has no padding token."""
    import torch
    from transformers import LlamaConfig, LlamaModel

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=width, num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=1,
        intermediate_size=2 * width, max_position_embeddings=64, initializer_range=0.2, pad_token_id=0, bos_token_id=2, eos_token_id=3,
    )  # fmt: skip
    LlamaModel(config).save_pretrained(folder)
    _save_tokenizer(folder, separates=False)
    return folder


def save_language_model(folder: Path, *, seed: int = 1, tied: bool = False) -> Path:
    """Save the Llama of `save_llama` with a head for the next token."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=1,
        intermediate_size=32, max_position_embeddings=64, initializer_range=0.2, pad_token_id=0, bos_token_id=2, eos_token_id=3,
        tie_word_embeddings=tied,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    _save_tokenizer(folder, separates=False)
    return folder


def save_tuned(base: Path, folder: Path, *, noise: float = 0.05, seed: int = 0) -> Path:
    """Save a full fine-tune of `base` with a classification head: noise is added to every matrix of its blocks."""
    import torch

    from repdrift.models import load_task_model, load_tokenizer, resolve_model, save_model

    source = resolve_model(str(base))
    model = load_task_model(source, "classification", num_labels=2)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "layer" in name and parameter.dim() == 2:
            parameter.data += noise * torch.randn(parameter.shape, generator=generator)
    save_model(model, load_tokenizer(source), folder)
    return folder


def save_adapter(base: Path, folder: Path, *, std: float = 0.5, seed: int = 0, **config: Any) -> Path:
    """Save a LoRA adapter of rank 2 on `base` with a classification head; B is random, or zero for std 0."""
    import torch
    from peft import LoraConfig, get_peft_model

    from repdrift.models import load_task_model, load_tokenizer, resolve_model, save_model

    source = resolve_model(str(base))
    torch.manual_seed(seed)
    model = get_peft_model(
        load_task_model(source, "classification", num_labels=2), LoraConfig(task_type="SEQ_CLS", r=2, **config)
    )
    for name, parameter in model.named_parameters():
        if "lora_B" in name and std:
            torch.nn.init.normal_(parameter, std=std)
        if name.endswith("bias") and parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    save_model(model, load_tokenizer(source), folder)
    return folder


def _save_tokenizer(folder: Path, *, separates: bool) -> None:
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
