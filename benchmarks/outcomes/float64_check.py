"""Holds forgetting and divergences of a real language model to an independent program in float64: whole models, one text at a time.

    python benchmarks/outcomes/float64_check.py MODEL [--documents 6] [--tokens 48]

MODEL: a language model, saved with its head. Its fine-tunes are made here: noise on every matrix of the blocks (saved whole), and a
random LoRA adapter. The reference shares no code with the package: transformers in float64, the textbook sums.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from scipy.special import log_softmax, logsumexp
from transformers import AutoModelForCausalLM

from repdrift.models import ModelSource, load_task_model, load_tokenizer, resolve_model
from repdrift.outcomes.output_pass import read_outputs
from repdrift.tasks import SampleSet, document_samples, read_documents


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("model")
    arguments.add_argument("--documents", type=int, default=6)
    arguments.add_argument("--tokens", type=int, default=48)
    given = arguments.parse_args()
    base = resolve_model(given.model)
    samples = document_samples(read_documents(documents=given.documents), load_tokenizer(base), max_length=given.tokens)
    with tempfile.TemporaryDirectory() as folder:
        # A copy that transformers reads by itself: the source may be a GGUF file.
        load_task_model(base, "causal_lm").save_pretrained(Path(folder) / "base")
        load_tokenizer(base).save_pretrained(Path(folder) / "base")
        base = resolve_model(str(Path(folder) / "base"))
        for name, path in (
            ("itself", base.path),
            ("noise of 1 %", noised(base, Path(folder) / "small", 0.01)),
            ("noise of 30 %", noised(base, Path(folder) / "large", 0.3)),
            ("LoRA", adapter(base, Path(folder) / "lora")),
        ):
            print_check(name, base, resolve_model(str(path)), samples)


def noised(base: ModelSource, folder: Path, share: float) -> Path:
    """Saves the model with noise on every matrix of its blocks, of this share of the matrix's own spread."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(base.path, dtype=torch.float32)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "layers" in name and weight.dim() == 2:
                weight.add_(share * weight.std() * torch.randn_like(weight))
    model.save_pretrained(folder)
    return folder


def adapter(base: ModelSource, folder: Path) -> Path:
    """Saves a LoRA adapter on every linear module whose B is random."""
    torch.manual_seed(1)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base.path, dtype=torch.float32),
        LoraConfig(task_type="CAUSAL_LM", r=4, target_modules="all-linear"),
    )
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.02)
    model.save_pretrained(folder)
    return folder


def print_check(name: str, base: ModelSource, tuned: ModelSource, samples: SampleSet) -> None:
    """Prints the values and their largest differences from the reference."""
    found = read_outputs(base, tuned, samples).items
    loss, base_loss, kl, js = reference(base, tuned, samples)
    forgetting = found["forgetting"]
    print(
        f"{name}: forgetting {np.mean(loss - base_loss):.6g}, off by {np.abs(forgetting.value - loss).max():.1e} nats a token at most; "
        f"KL {kl.mean():.6g}, off by {np.abs(found['output_kl'].value - kl).max():.1e} ({relative(found['output_kl'].value, kl):.1e} of it); "
        f"JS {js.mean():.6g}, off by {np.abs(found['output_js'].value - js).max():.1e} ({relative(found['output_js'].value, js):.1e} of it)"
    )


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference as a share of the expected value; 0 where both are 0."""
    return float(np.max(np.abs(found - expected) / np.where(expected > 1e-12, expected, np.inf)))


def reference(base: ModelSource, tuned: ModelSource, samples: SampleSet) -> list[np.ndarray]:
    """Losses of the tuned and of the base model, KL and JS, a mean for each text."""
    models = [loaded(base, base), loaded(base, tuned)]
    rows: list[tuple[float, float, float, float]] = []
    for ids in samples.input_ids:
        given = torch.tensor(list(ids))[None]
        with torch.no_grad():
            p, q = (log_softmax(model(input_ids=given).logits[0, :-1].double().numpy(), axis=1) for model in models)
        at = np.arange(len(p)), given[0, 1:].numpy()
        middle = logsumexp([p, q], axis=0) - np.log(2)
        kl = (np.exp(p) * (p - q)).sum(axis=1)
        js = (np.exp(p) * (p - middle) + np.exp(q) * (q - middle)).sum(axis=1) / 2
        rows.append((-q[at].mean(), -p[at].mean(), kl.mean(), js.mean()))
    return list(np.array(rows).T)


def loaded(base: ModelSource, source: ModelSource) -> torch.nn.Module:
    """The whole model in float64."""
    model = AutoModelForCausalLM.from_pretrained(base.path if source.is_adapter else source.path, dtype=torch.float64)
    return PeftModel.from_pretrained(model, source.path).eval().double() if source.is_adapter else model.eval()


if __name__ == "__main__":
    main()
