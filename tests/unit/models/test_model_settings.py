"""What gives weights their meaning is known by checksums: which changes count, and which say nothing about a number."""

import json
import shutil

import pytest

from repdrift.models import changed_files, resolve_model, settings_digests, tokenizer_digests


def edit(path, **entries):
    """Set entries of a JSON object in a file; those that are None are taken out."""
    content = json.loads(path.read_text()) | entries
    path.write_text(
        json.dumps(
            {
                name: value
                for name, value in content.items()
                if entries.get(name, value) is not None or name not in entries
            }
        )
    )


def digests(folder):
    source = resolve_model(str(folder))
    return {**settings_digests(source), **tokenizer_digests(source)}


@pytest.fixture
def copied(tmp_path, tiny_bert):
    return shutil.copytree(tiny_bert, tmp_path / "bert")


@pytest.fixture
def adapter(tmp_path, bert_adapter):
    return shutil.copytree(bert_adapter, tmp_path / "adapter")


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "relu"},
        {"layer_norm_eps": 1e-5},
        {"hidden_act": None},
        {"num_attention_heads": 4},
        {"rope_theta": 1e6},
        {"rope_parameters": {"rope_type": "linear", "factor": 2.0}},
        {"attention_multiplier": 0.5},
        {"is_decoder": True},
        {"attn_implementation": "eager"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_setting_that_changes_numbers_changes_the_digest(copied, change):
    before = digests(copied)
    edit(copied / "config.json", **change)
    assert changed_files(before, digests(copied)) == ["config.json"]


def test_who_wrote_a_configuration_and_its_layout_do_not_count(copied):
    before = digests(copied)
    path = copied / "config.json"
    edit(
        path,
        transformers_version="9.9",
        _name_or_path="/elsewhere",
        torch_dtype="bfloat16",
        dtype=None,
        use_cache=False,
    )
    content = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(content.items())), indent=7).replace("\n", "\r\n"))
    assert changed_files(before, digests(copied)) == []


def test_settings_of_the_parts_of_a_model_count_and_their_origin_does_not(copied):
    edit(copied / "config.json", text_config={"hidden_act": "gelu", "_name_or_path": "a", "torch_dtype": "float16"})
    before = digests(copied)
    edit(copied / "config.json", text_config={"hidden_act": "gelu", "_name_or_path": "b"})
    assert changed_files(before, digests(copied)) == []
    edit(copied / "config.json", text_config={"hidden_act": "silu"})
    assert changed_files(before, digests(copied)) == ["config.json"]


@pytest.mark.parametrize(
    "change",
    [
        {"lora_alpha": 999},
        {"r": 4},
        {"rank_pattern": {"query": 1}},
        {"alpha_pattern": {"query": 64}},
        {"use_rslora": True},
        {"target_modules": ["query"]},
        {"fan_in_fan_out": True},
        {"init_lora_weights": "pissa"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_setting_of_an_adapter_changes_the_digest(adapter, change):
    before = settings_digests(resolve_model(str(adapter)))
    edit(adapter / "adapter_config.json", **change)
    assert changed_files(before, settings_digests(resolve_model(str(adapter)))) == ["adapter_config.json"]


def test_where_the_base_of_an_adapter_lies_does_not_count(adapter):
    before = settings_digests(resolve_model(str(adapter)))
    edit(adapter / "adapter_config.json", base_model_name_or_path="/moved", inference_mode=False, revision="abc")
    assert settings_digests(resolve_model(str(adapter))) == before


def test_an_exchanged_line_of_a_vocabulary_an_added_token_and_a_new_file_are_named(copied):
    (copied / "vocab.txt").write_text("the\ncat\n")
    before = digests(copied)
    (copied / "vocab.txt").write_text("cat\nthe\n")
    edit(copied / "tokenizer_config.json", do_lower_case=False)
    (copied / "added_tokens.json").write_text('{"dog": 7}')
    assert changed_files(before, digests(copied)) == ["added_tokens.json", "tokenizer_config.json", "vocab.txt"]
    assert changed_files({}, digests(copied)) == []  # a record of an older version


def test_weights_and_notes_are_no_tokenizer(copied):
    before = digests(copied)
    for name in ("README.md", "model-00001-of-00002.safetensors", "generation_config.json", "training_args.bin"):
        (copied / name).write_text("x")
    assert digests(copied) == before
    assert not any(name.startswith("model") for name in before)
