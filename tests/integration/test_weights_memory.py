"""Weights of a model larger than the memory that the process may use are measured one matrix at a time."""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

BLOCKS, WIDTH, INNER, VOCABULARY = 12, 128, 12_288, 200
MODEL_BYTES = 4 * BLOCKS * (4 * WIDTH * WIDTH + 3 * WIDTH * INNER)
ALLOWED_BYTES = 128 << 20  # beyond what the interpreter and the libraries take before a model is touched

PROGRAM = """
import json, resource, sys
from repdrift.models import load_backbone, resolve_model
from repdrift.weights import base_matrices, moved_weights

def status(field):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))

base, small, other, allowed, *tuned = sys.argv[1:]
# What is imported on use counts as the libraries'.
moved_weights(base_matrices(resolve_model(small)), {"small": resolve_model(other)})
before = status("VmRSS")
limit = status("VmData") + int(allowed)
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
found = moved_weights(base_matrices(resolve_model(base)), {path: resolve_model(path) for path in tuned})
peak = status("VmHWM") - before
try:
    load_backbone(resolve_model(base))
    whole = "loaded"
except Exception as error:
    whole = type(error).__name__
changed = {path: [at.module for at in model.weights if at.change_norm > 0] for path, model in found.models.items()}
print(json.dumps({"peak": peak, "missing": found.missing, "changed": changed, "whole": whole}))
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


@pytest.mark.skipif(sys.platform != "linux", reason="limits and peaks are read as Linux has them")
def test_model_larger_than_the_limit_is_measured(tmp_path):
    base, tuned = _write(tmp_path / "base", BLOCKS), _write(tmp_path / "tuned", BLOCKS, moved=7)
    small, other = _write(tmp_path / "small", 1), _write(tmp_path / "other", 1, moved=0)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(base), str(small), str(other), str(ALLOWED_BYTES), str(tuned)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "HF_DEACTIVATE_ASYNC_LOAD": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert not found["missing"]
    assert found["changed"][str(tuned)] == ["mlp.up_proj.weight"]
    assert MODEL_BYTES > 1.7 * ALLOWED_BYTES
    assert found["whole"] != "loaded"
    assert found["peak"] < ALLOWED_BYTES
