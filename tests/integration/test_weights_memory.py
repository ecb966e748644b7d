"""Weights of a model larger than the memory that the process may use are measured one matrix at a time: full models, adapters, likeness."""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

BLOCKS, WIDTH, INNER, VOCABULARY = 12, 128, 12_288, 200
MODEL_BYTES = 4 * BLOCKS * (4 * WIDTH * WIDTH + 3 * WIDTH * INNER)
ALLOWED_BYTES = 64 << 20  # beyond what the interpreter and the libraries take before a model is touched
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "HF_DEACTIVATE_ASYNC_LOAD": "1",
    # The limit counts addresses. glibc keeps those of blocks that were freed, 64 MB and more, and how many of them differs from run to run; with
    # this, blocks of 1 MB and more go back at once, so that what counts is what is held.
    "MALLOC_MMAP_THRESHOLD_": str(1 << 20),
}  # fmt: skip

PROGRAM = """
import json, resource, sys
from repdrift.models import load_backbone, resolve_model
from repdrift.weights import base_matrices, moved_weights
from repdrift.weights.change_likeness import change_likenesses

def status(field):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))

def measured(base, paths):
    opened, models = base_matrices(resolve_model(base)), {path: resolve_model(path) for path in paths}
    return moved_weights(opened, models), change_likenesses(opened, models)

base, small, other, small_adapter, allowed, *tuned = sys.argv[1:]
# What is imported on use counts as the libraries'.
measured(small, [other, small_adapter])
before = status("VmRSS")
limit = status("VmData") + int(allowed)
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
found, alike = measured(base, tuned)
peak = status("VmHWM") - before
try:
    load_backbone(resolve_model(base))
    whole = "loaded"
except Exception as error:
    whole = type(error).__name__
changed = {path: [at.module for at in model.weights if at.change_norm > 0] for path, model in found.models.items()}
cosines = {f"{i} {j}": groups[0].cosine for (i, j), groups in alike.groups.items()}
print(json.dumps({"peak": peak, "missing": found.missing | alike.missing, "changed": changed, "whole": whole, "cosines": cosines}))
"""


def _write(folder, depth, moved=None):
    """Write a random Llama with one shard for each block; `moved` is a block whose `up` gets a rank-1 change."""
    folder.mkdir()
    config = {
        "model_type": "llama", "architectures": ["LlamaModel"], "hidden_size": WIDTH, "intermediate_size": INNER,
        "num_hidden_layers": depth, "num_attention_heads": 4, "num_key_value_heads": 4, "vocab_size": VOCABULARY, "dtype": "float32",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    shapes = {
        **{f"self_attn.{name}_proj.weight": (WIDTH, WIDTH) for name in "qkvo"},
        **{f"mlp.{name}_proj.weight": (INNER, WIDTH) for name in ("gate", "up")},
        "mlp.down_proj.weight": (WIDTH, INNER),
        "input_layernorm.weight": (WIDTH,),
        "post_attention_layernorm.weight": (WIDTH,),
    }
    names = {}
    for block in range(depth):
        g = torch.Generator().manual_seed(block)
        tensors = {f"layers.{block}.{name}": torch.randn(shape, generator=g) * 0.03 for name, shape in shapes.items()}
        if block == moved:
            tensors[f"layers.{block}.mlp.up_proj.weight"] += torch.ones(INNER, 1) * torch.linspace(0, 0.01, WIDTH)
        save_file(tensors, folder / f"model-{block:05d}.safetensors", metadata={"format": "pt"})
        names.update(dict.fromkeys(tensors, f"model-{block:05d}.safetensors"))
    rest = {"embed_tokens.weight": torch.ones(VOCABULARY, WIDTH), "norm.weight": torch.ones(WIDTH)}
    save_file(rest, folder / "model-rest.safetensors", metadata={"format": "pt"})
    names.update(dict.fromkeys(rest, "model-rest.safetensors"))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))
    return folder


def _adapter(folder, block):
    """Write a LoRA adapter on `up` of one block that adds the rank-1 change of `_write`."""
    folder.mkdir()
    config = {
        "peft_type": "LORA", "r": 1, "lora_alpha": 1, "target_modules": ["up_proj"], "layers_to_transform": [block], "bias": "none",
    }  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(config))
    name = f"base_model.model.layers.{block}.mlp.up_proj"
    change = {
        f"{name}.lora_A.weight": torch.linspace(0, 0.01, WIDTH)[None],
        f"{name}.lora_B.weight": torch.ones(INNER, 1),
    }
    save_file(change, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.skipif(sys.platform != "linux", reason="limits and peaks are read as Linux has them")
def test_model_larger_than_the_limit_is_measured(tmp_path):
    base, tuned = _write(tmp_path / "base", BLOCKS), _write(tmp_path / "tuned", BLOCKS, moved=7)
    adapter, elsewhere = _adapter(tmp_path / "adapter", 7), _adapter(tmp_path / "elsewhere", 3)
    small, other = _write(tmp_path / "small", 1), _write(tmp_path / "other", 1, moved=0)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, (base, small, other, _adapter(tmp_path / "small_adapter", 0), ALLOWED_BYTES, tuned, adapter, elsewhere))],
        env={**os.environ, **ENVIRONMENT},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert not found["missing"]
    assert found["changed"] == {str(path): ["mlp.up_proj.weight"] for path in (tuned, adapter, elsewhere)}
    assert found["cosines"] == pytest.approx({"0 1": 1.0, "0 2": 0.0, "1 2": 0.0}, abs=1e-5)
    assert MODEL_BYTES > 3 * ALLOWED_BYTES
    assert found["whole"] != "loaded"
    assert found["peak"] < ALLOWED_BYTES
