"""What is said of a folder from which no model can be loaded: what lies there, and what to do."""

import json

import pytest

from repdrift.core.errors import ModelError
from repdrift.models import load_backbone, resolve_model

FOLDERS = {
    "empty": ([], "the folder is empty"),
    "checkpoints": (
        ["checkpoint-1000/config.json", "checkpoint-200/config.json"],
        r"checkpoint-200, .*checkpoint-1000\.",
    ),
    "deeper": (["seed_1/final_model/adapter_config.json"], "seed_1/final_model"),
    "empty checkpoint": (["checkpoint-500/", "trainer.log"], "checkpoint-500, none of which holds a model"),
    "fsdp": ([".metadata", "__0_0.distcp", "__1_0.distcp"], "FSDP's parts.*accelerate merge-weights"),
    "fsdp below": (["pytorch_model_fsdp_0/__0_0.distcp"], "FSDP's parts"),
    "deepspeed": (
        ["global_step50/mp_rank_00_model_states.pt", "zero_to_fp32.py", "latest"],
        r"DeepSpeed.*zero_to_fp32\.py",
    ),
    "megatron": (["latest_checkpointed_iteration.txt", "iter_0000100/common.pt"], "Megatron"),
    "optimizer": (["optimizer.pt", "scheduler.pt", "trainer_state.json"], "state of a trainer"),
    "diffusers": (["model_index.json", "unet/config.json", "text_encoder/config.json"], "diffusers.*text_encoder"),
    "sentences": (["modules.json", "0_Transformer/config.json"], "sentence-transformers.*0_Transformer"),
    "tokenizer": (["tokenizer.json", "tokenizer_config.json"], "a tokenizer alone"),
    "pickles": (["pytorch_model.bin"], "a pickle, which is not loaded"),
    "meta": (["params.json", "consolidated.00.pth"], "Meta's own layout"),
    "tensorflow": (["tf_model.h5"], "weights of TensorFlow"),
    "no config": (["model.safetensors"], "but no config.json"),
    "no adapter config": (["adapter_model.safetensors"], "but no adapter_config.json"),
    "two gguf": (["a.gguf", "b.gguf"], r"2 GGUF files.*a\.gguf, .*b\.gguf"),
    "notes": (["readme.md"], "found readme.md"),
}


def _fill(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
        else:
            path.write_text("{}")
    return folder


@pytest.mark.parametrize("kind", FOLDERS)
def test_folder_without_a_model_is_described(kind, tmp_path):
    files, said = FOLDERS[kind]
    with pytest.raises(ModelError, match=said):
        resolve_model(str(_fill(tmp_path / "it", files)))


def test_hub_cache_is_named_with_the_folder_inside(tmp_path):
    cache = tmp_path / "models--owner--name"
    _fill(cache, ["snapshots/1aa/config.json", "snapshots/2bb/config.json"])
    (cache / "refs").mkdir()
    (cache / "refs/main").write_text("2bb")
    for given in (cache, cache / "snapshots"):
        with pytest.raises(ModelError, match=r"cache of the Hugging Face hub.*Give \S*2bb, \S*1aa"):
            resolve_model(str(given))
    with pytest.raises(ModelError, match="owner/name"):
        resolve_model(str(tmp_path))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["global_step50/", "zero_to_fp32.py"], "DeepSpeed"),
        (["pytorch_model_fsdp_0/__0_0.distcp"], "FSDP"),
        (["pytorch_model-00001-of-00002.bin"], "a pickle"),
        (["model-00001-of-00002.safetensors"], "neither model.safetensors nor the index"),
        ([], "Copy or download the weights"),
    ],
)
def test_configuration_without_weights_says_what_is_there(files, said, tiny_bert, tmp_path):
    _fill(tmp_path, files)
    (tmp_path / "config.json").write_text((tiny_bert / "config.json").read_text())
    with pytest.raises(ModelError, match=said):
        load_backbone(resolve_model(str(tmp_path)))


def test_shards_that_the_index_names_and_nobody_has_are_named(tiny_bert, tmp_path):
    (tmp_path / "config.json").write_text((tiny_bert / "config.json").read_text())
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors"}}))
    with pytest.raises(ModelError, match=r"lacks 1 of 1 weight shards: model-00001-of-00002\.safetensors"):
        load_backbone(resolve_model(str(tmp_path)))
    index.write_text(json.dumps({"weight_map": {"a": "../elsewhere.safetensors"}}))
    with pytest.raises(ModelError, match="not in its folder"):
        load_backbone(resolve_model(str(tmp_path)))


def test_path_that_is_not_there_says_how_far_it_goes(tmp_path):
    (tmp_path / "run_a").mkdir()
    with pytest.raises(ModelError, match=r"there is no folder \S*run_b; \S* holds run_a"):
        resolve_model(str(tmp_path / "run_b"))
    (tmp_path / "weights.pt").write_bytes(b"x")
    with pytest.raises(ModelError, match="is a file, and a model is a folder"):
        resolve_model(str(tmp_path / "weights.pt"))
    with pytest.raises(ModelError, match="no path that can be looked at|neither a folder"):
        resolve_model("/" + "x" * 5000)
