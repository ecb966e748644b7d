"""A language model, models made from it by planted changes, general text, and a study of these models on disk."""

import shutil

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from repdrift.drift import BaseSets, DriftPlan, FirstTokensPlan, PlannedSet
from repdrift.drift.sample_intervals import SamplingOptions
from repdrift.models import load_tokenizer, resolve_model
from repdrift.stores import open_set
from repdrift.tasks import document_samples, read_documents
from tests.tiny_models import WORDS, save_language_model

WIDTH, LAYERS, POSITIONS, N = 96, 2, 3, 12
GENERAL, TASK = WORDS[:20], WORDS[20:50]
"""Words of general text alone, and words of the task alone."""
TARGET = "bridge"
EMBEDDINGS, HEAD = "model.embed_tokens.weight", "lm_head.weight"


def language_model(folder):
    """Saves a Llama of width 96 and 2 layers, whose head has the tokenizer's words."""
    from transformers import LlamaConfig, LlamaForCausalLM

    save_language_model(folder)
    tokenizer = load_tokenizer(resolve_model(str(folder)))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=64, max_position_embeddings=64, initializer_range=0.2, pad_token_id=0, bos_token_id=2, eos_token_id=3,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "proj" in name:  # blocks that add little, so that a shift of the embeddings passes them
                parameter.mul_(0.2)
    model.save_pretrained(folder)
    return folder


def changed(base, folder, change):
    """Copies a model's folder; `change` moves its tensors by name, in place."""
    shutil.copytree(base, folder)
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


def planted(base, *, seed=0, size=0.5):
    """A change that moves the words of general text, and no others, along the unembedding row of the target."""
    tokenizer = load_tokenizer(resolve_model(str(base)))

    def change(tensors):
        numbers = tokenizer.convert_tokens_to_ids(GENERAL)
        generator = torch.Generator().manual_seed(seed)
        row = tensors[HEAD][tokenizer.convert_tokens_to_ids(TARGET)]
        noise = 0.01 * torch.randn((len(numbers), WIDTH), generator=generator)
        tensors[EMBEDDINGS][numbers] += size * row + noise

    return change


def noise(seed, size=0.02):
    """A change that moves every matrix of the blocks at random."""

    def change(tensors):
        generator = torch.Generator().manual_seed(seed)
        for name in tensors:
            if "layers" in name and tensors[name].dim() == 2:
                tensors[name] += size * torch.randn(tensors[name].shape, generator=generator)

    return change


def documents(folder, count=N, words=GENERAL, first=None, shortest=5, name="general.txt"):
    """General text of `count` documents of these words, as its samples are read from a file. first: a word before each."""
    g = np.random.default_rng(5)
    lines = [" ".join(g.choice(words, size=shortest + i % 4)) for i in range(count)]
    path = folder / name
    path.write_text("".join(f"{'' if first is None else first + ' '}{line}\n" for line in lines), encoding="utf-8")
    return path


def samples_of(path, base):
    """The documents of a file as a model reads them."""
    tokenizer = load_tokenizer(resolve_model(str(base)))
    return document_samples(read_documents(str(path)), tokenizer, max_length=32)


def study(root, base, runs, general, *, sections=("directions", "first_tokens"), draws=1, positions=POSITIONS):
    """The plan of a study whose sets are of task samples. runs: folders of trained models by (method, seed)."""
    from repdrift.extraction import ExtractionJob, ExtractionOptions, extract_set

    source = resolve_model(str(base))
    task = documents(root, 30, TASK, shortest=6, name="task.txt")
    options = ExtractionOptions(pooling="mean", samples=None)
    samples = samples_of(task, base)
    job = ExtractionJob("sst2", "base", None, 0, source, samples, options)
    extract_set(job, root / "base/step_000000")
    extract_set(job, root / "base/identity")
    sets = []
    for (method, seed), folder in runs.items():
        tuned = resolve_model(str(folder / "final_model"))
        at = root / f"sets/{method}_{seed}"
        extract_set(ExtractionJob("sst2", method, seed, 0, source, samples, options, tuned=tuned), at)
        digest = open_set(at).metadata.weights_digest
        kept = root / f"kept/{method}_{seed}"
        sets.append(PlannedSet("sst2", method, seed, 0, at, "make", {digest: folder}, first_tokens_folder=kept))
    return DriftPlan(
        study="first", model=str(base), tasks=["sst2"], methods=list(dict.fromkeys(m for m, _ in runs)), seeds=sorted({s for _, s in runs}),
        sets=sets, bases={"sst2": BaseSets(root / "base/step_000000", root / "base/identity", "make base")}, measures=("cka",),
        target_reduction=0.2, alpha=0.05, sampling=SamplingOptions(replicates=0), sections=sections,
        first_tokens=FirstTokensPlan(general, positions, draws),
    )  # fmt: skip
