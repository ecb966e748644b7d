"""Tiny models that were tuned by a known amount."""

import shutil

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from repdrift.models import load_task_model, load_tokenizer, resolve_model, save_model

PATHS = {"tiny_bert": "encoder.layer", "tiny_llama": "layers"}
QUERY = {"tiny_bert": "attention.self.query.weight", "tiny_llama": "self_attn.q_proj.weight"}


def headed(base, folder, amount=0.0, **changes):
    """A fine-tune of `base` with a classification head, on disk; every weight moved by noise of `amount`."""
    torch.manual_seed(3)
    model = load_task_model(base, "classification", num_labels=2)
    for parameter in model.parameters():
        parameter.add_(torch.randn_like(parameter) * amount)
    for name, change in changes.items():
        model.get_parameter(name).add_(change)
    save_model(model, load_tokenizer(base), folder)
    return resolve_model(str(folder))


def rewritten(folder, target, change):
    """A copy of a model's folder with other tensors: `change` maps their dict to the new one."""
    shutil.copytree(folder, target)
    (target / "model.safetensors").unlink()
    save_file(change(load_file(folder / "model.safetensors")), target / "model.safetensors", metadata={"format": "pt"})
    return resolve_model(str(target))


def adapted_model(base, *, std=0.5, task="classification", **options):
    """`base` with a task head and a LoRA adapter whose B is random, or zero for std 0."""
    torch.manual_seed(0)
    model = load_task_model(base, task, num_labels=2)
    adapted = get_peft_model(model, LoraConfig(task_type="SEQ_CLS", **{"r": 4, "lora_alpha": 8, **options}))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name or "lora_embedding_B" in name:
            torch.nn.init.normal_(parameter, std=std)
    return adapted.eval()
