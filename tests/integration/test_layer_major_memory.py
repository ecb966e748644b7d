"""A model larger than the memory that the process may use cannot be loaded, but layer-major extraction runs it."""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

BLOCKS, WIDTH, INNER, VOCABULARY = 24, 768, 1696, 1000
BLOCK_BYTES = 4 * (4 * WIDTH * WIDTH + 3 * WIDTH * INNER + 2 * WIDTH)
ALLOWED_BYTES = 200 << 20  # beyond what the interpreter and the libraries take before a model is touched

PROGRAM = """
import json, os, resource, sys, tempfile
import torch
from transformers import AutoConfig, AutoModel, LlamaModel
from repdrift.extraction import layer_major
from repdrift.batches.batching import BatchPlan
from repdrift.extraction.model_inputs import sample_set_of
from repdrift.extraction.extracting import extract
from repdrift.models import load_backbone, resolve_model
from repdrift.models.lazy_model import load_lazy_model

stores = []

class Watched(layer_major.ActivationStore):
    def __exit__(self, *error):
        stores.append((self.memory_bytes, self.file_bytes))
        super().__exit__(*error)

layer_major.ActivationStore, layer_major.ACTIVATION_CAP_BYTES = Watched, 1 << 19

def status(field):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))

def attempt(folder, what, allowed):
    source = resolve_model(folder)
    g = torch.Generator().manual_seed(0)
    inputs = {"input_ids": torch.randint(3, 1000, (24, 16), generator=g), "attention_mask": torch.ones(24, 16, dtype=torch.long)}
    samples = sample_set_of(inputs)
    baseline = status("VmRSS")
    if allowed:
        limit = status("VmData") + allowed
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    found = {}
    def pool(layer, batch, hidden):
        found.setdefault(layer, torch.empty(24, hidden.shape[2]))[batch.sample_indices] = hidden.mean(dim=1)
    if what == "weights":
        AutoModel.from_config(AutoConfig.from_pretrained(folder))
    elif what == "whole":
        found = {int(name[6:]): rows for name, rows in extract(load_backbone(source), samples).items()}
    else:
        tempfile.tempdir = folder
        model = load_lazy_model(source)
        layer_major.run_layer_major(model, BatchPlan(samples, token_budget=64), range(model.depth), pool)
        in_memory, in_file = stores[-1]
        assert model.depth == 1 or in_file > in_memory > 0
    return {
        "peak": status("VmHWM") - baseline,
        "finite": all(bool(torch.isfinite(rows).all()) for rows in found.values()),
        "layers": sorted(found),
        "last": found[max(found)].double().norm(dim=1).tolist(),
    }

# Each attempt in a child of its own, so that the libraries are imported once and a limit binds one attempt; first a
# small model here, so that what is imported on use counts as the libraries'.
attempt(sys.argv[2], "layer", 0)
attempt(sys.argv[2], "whole", 0)
for folder, what, allowed in json.loads(sys.argv[1]):
    child = os.fork()
    if not child:
        try:
            found = attempt(folder, what, allowed)
        except Exception as error:
            found = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(found), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


def _write_checkpoint(folder, depth, *, like=None):
    """Write a random Llama with one shard for each block; only one shard is in memory at a time."""
    folder.mkdir()
    config = {
        "model_type": "llama", "architectures": ["LlamaModel"], "hidden_size": WIDTH, "intermediate_size": INNER,
        "num_hidden_layers": depth, "num_attention_heads": 12, "num_key_value_heads": 12, "vocab_size": VOCABULARY,
        "dtype": "float32",
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    g = torch.Generator().manual_seed(1)
    shapes = {
        **{f"self_attn.{name}_proj.weight": (WIDTH, WIDTH) for name in "qkvo"},
        **{f"mlp.{name}_proj.weight": (INNER, WIDTH) for name in ("gate", "up")},
        "mlp.down_proj.weight": (WIDTH, INNER),
        "input_layernorm.weight": (WIDTH,),
        "post_attention_layernorm.weight": (WIDTH,),
    }
    names = {}
    for block in range(depth):
        shard = f"model-{block:05d}.safetensors"
        names.update({f"layers.{block}.{name}": shard for name in shapes})
        if like is not None:
            (folder / shard).hardlink_to(like / shard)
            continue
        tensors = {f"layers.{block}.{name}": torch.randn(shape, generator=g) * 0.03 for name, shape in shapes.items()}
        save_file(tensors, folder / shard, metadata={"format": "pt"})
    rest = {"embed_tokens.weight": torch.randn(VOCABULARY, WIDTH, generator=g), "norm.weight": torch.ones(WIDTH)}
    save_file(rest, folder / "model-rest.safetensors", metadata={"format": "pt"})
    names.update(dict.fromkeys(rest, "model-rest.safetensors"))
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))
    return folder


@pytest.fixture(scope="module")
def attempts(tmp_path_factory):
    """The result of each attempt: memory for the weights alone, loading, both schedules, and half as many blocks."""
    folder = tmp_path_factory.mktemp("checkpoints")
    deep = _write_checkpoint(folder / "deep", BLOCKS)
    half = _write_checkpoint(folder / "half", BLOCKS // 2, like=deep)
    small = _write_checkpoint(folder / "small", 1)
    plan = {
        "weights": (deep, "weights", ALLOWED_BYTES),
        "whole": (deep, "whole", ALLOWED_BYTES),
        "layer": (deep, "layer", ALLOWED_BYTES),
        "half": (half, "layer", ALLOWED_BYTES),
        "unlimited": (deep, "whole", 0),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps([(str(path), *rest) for path, *rest in plan.values()]), str(small)],
        # Loading in threads adds their stacks to what is limited.
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "HF_DEACTIVATE_ASYNC_LOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == len(plan), done.stderr[-2000:]
    shutil.rmtree(folder)
    return dict(zip(plan, map(json.loads, lines), strict=True))


@pytest.mark.parametrize("attempt", ["weights", "whole"])
def test_the_model_does_not_fit_into_the_memory_allowed(attempts, attempt):
    assert BLOCKS * BLOCK_BYTES > 2.5 * ALLOWED_BYTES
    assert any(sign in attempts[attempt]["error"] for sign in ("can't allocate memory", "Cannot allocate memory"))


def test_layer_major_extracts_from_it_all_the_same(attempts):
    found = attempts["layer"]
    assert "error" not in found, found["error"]
    assert found["finite"]
    assert found["layers"] == list(range(BLOCKS))
    assert found["last"] == pytest.approx(attempts["unlimited"]["last"], rel=1e-4)


def test_peak_memory_does_not_grow_with_depth(attempts):
    deep, half = attempts["layer"]["peak"], attempts["half"]["peak"]
    assert (
        deep < half + 2 * BLOCK_BYTES
    )  # twelve blocks more; usually under a tenth of one, but allocators vary under load
    assert deep < 6 * BLOCK_BYTES  # of 24
    assert attempts["unlimited"]["peak"] > BLOCKS * BLOCK_BYTES  # the measure sees weights
