"""GGUF files of one's own: found by path or folder; what cannot be read whole is refused by name."""

import shutil

import pytest
import torch

from repdrift.comparison.comparing import compare
from repdrift.core.errors import ModelError
from repdrift.models import load_backbone, load_config, load_task_model, load_tokenizer, resolve_model, source_notes
from repdrift.models.checkpoint import stored_tensors
from repdrift.models.gguf_file import read_gguf_header
from repdrift.models.loading import save_model
from repdrift.training import Arm, prepared
from repdrift.weights import compare_weights
from tests.tiny_gguf import save_gguf
from tests.tiny_models import VOCABULARY, write_sentences


def _llama(seed=0, **config):
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=1,
            intermediate_size=64, max_position_embeddings=64, initializer_range=0.2, **config,
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def gguf_model(tmp_path_factory, tiny_llama):
    """A folder with one GGUF file, and the files of its tokenizer beside it."""
    folder = tmp_path_factory.mktemp("gguf")
    save_gguf(_llama(), folder / "model.gguf", "llama", quantised=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_llama / name, folder)
    return folder


def test_file_and_folder_give_the_same_model(gguf_model, tiny_llama):
    by_folder, by_file = resolve_model(str(gguf_model)), resolve_model(str(gguf_model / "model.gguf"))
    assert by_folder.weights_digest() == by_file.weights_digest()
    assert not by_file.is_adapter
    assert "GGUF file in Q8_0" in source_notes(by_file)[0]
    read = load_tokenizer(by_file)("the cat sat")["input_ids"]
    assert read == load_tokenizer(resolve_model(str(tiny_llama)))("the cat sat")["input_ids"]
    assert read_gguf_header(gguf_model / "model.gguf").architecture == "llama"


def test_it_loads_without_a_bar_and_its_adapter_is_saved_without_asking_the_hub(
    gguf_model, tmp_path, monkeypatch, capfd
):
    def asked(*_):
        raise AssertionError("the hub was asked")

    monkeypatch.setattr("peft.utils.save_and_load.check_file_exists_on_hf_hub", asked)
    base = resolve_model(str(gguf_model))
    adapted = prepared(
        load_task_model(base, "classification", num_labels=2), Arm.of_kind("lora"), "classification"
    ).model
    save_model(adapted, load_tokenizer(base), tmp_path / "adapter")
    assert capfd.readouterr().err == ""
    saved = resolve_model(str(tmp_path / "adapter"))
    assert not any("embed_tokens" in name for name in stored_tensors(saved))
    on_table = Arm.of_kind("lora", target_modules=("embed_tokens", "q_proj"))
    adapted = prepared(load_task_model(base, "classification", num_labels=2), on_table, "classification").model
    save_model(adapted, load_tokenizer(base), tmp_path / "with_table")
    names = list(stored_tensors(resolve_model(str(tmp_path / "with_table"))))
    assert any("lora_embedding_A" in name for name in names), names


def test_gguf_is_compared_as_base_and_as_tuned_model(gguf_model, tmp_path):
    tuned = _llama()
    with torch.no_grad():
        for name, parameter in tuned.named_parameters():
            if "layers" in name:
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)))
    tuned.save_pretrained(tmp_path / "full")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(gguf_model / name, tmp_path)  # of both files
    save_gguf(tuned, tmp_path / "tuned.gguf", "llama")
    deeper = _llama()
    deeper.config.num_hidden_layers = 2
    save_gguf(type(deeper)(deeper.config), tmp_path / "deep.gguf", "llama")
    texts = write_sentences(tmp_path / "texts.txt", 40)
    refs = [str(tmp_path / "full"), str(tmp_path / "tuned.gguf"), str(tmp_path / "deep.gguf")]
    for accumulate, of_deeper in (("rows", "compared by grid"), ("moments", "not comparable")):
        result = compare(str(gguf_model), refs, data=str(texts), accumulate=accumulate, control_samples=32)
        full, packed, deep = result.models
        assert [m.status for m in result.models] == ["compared", "compared", of_deeper], result.models
        assert [at.drift for at in full.layers] == pytest.approx([at.drift for at in packed.layers], abs=1e-5)
        assert full.layers[0].drift > 1e-3
        assert full.layers[0].weights["weight_relative_change"] == pytest.approx(
            packed.layers[0].weights["weight_relative_change"], rel=1e-4
        )
        assert packed.layers[0].random_change_drift is not None
        assert "it has 2 layers" in deep.reason
        assert any("On the base model" in w and "Q8_0" in w for w in result.warnings)


def test_weights_of_a_gguf_file_are_compared_with_a_checkpoint(tmp_path):
    model = _llama()
    model.save_pretrained(tmp_path / "full")
    save_gguf(model, tmp_path / "same.gguf", "llama")
    same, full = resolve_model(str(tmp_path / "same.gguf")), resolve_model(str(tmp_path / "full"))
    assert [change.change_norm for change in compare_weights(full, same, "layers").changes] == [0.0] * 29


def test_several_files_are_named_and_an_image_projector_is_none(gguf_model, tmp_path):
    for name in ("a.gguf", "mmproj-model.gguf"):
        shutil.copy(gguf_model / "model.gguf", tmp_path / name)
    assert resolve_model(str(tmp_path)).gguf_file == "a.gguf"
    shutil.copy(gguf_model / "model.gguf", tmp_path / "b.gguf")
    with pytest.raises(ModelError, match=r"2 GGUF files. Give one of them: \S*a\.gguf, \S*b\.gguf"):
        resolve_model(str(tmp_path))


def test_gguf_file_beside_safetensors_takes_no_part_and_it_is_said(gguf_model, tiny_llama, tmp_path):
    shutil.copytree(tiny_llama, tmp_path / "m")
    shutil.copy(gguf_model / "model.gguf", tmp_path / "m")
    source = resolve_model(str(tmp_path / "m"))
    assert source.gguf_file is None
    assert "holds model.gguf as well, which took no part" in source_notes(source)[0]
    assert resolve_model(str(tmp_path / "m/model.gguf")).gguf_file == "model.gguf"


def test_part_of_a_split_file_is_named(gguf_model, tmp_path):
    shutil.copy(gguf_model / "model.gguf", tmp_path / "m-00001-of-00002.gguf")
    with pytest.raises(ModelError, match="parts of a split GGUF file.*llama-gguf-split"):
        load_config(resolve_model(str(tmp_path)))
    save_gguf(_llama(), tmp_path / "n.gguf", "llama", metadata={"split.count": 3})
    with pytest.raises(ModelError, match="one of the 3 parts"):
        load_backbone(resolve_model(str(tmp_path / "n.gguf")))


@pytest.mark.parametrize(
    ("kept", "said"), [(4, "truncated or damaged"), (900, "truncated or damaged"), (-64, "is truncated: ")]
)
def test_truncated_file_is_named(kept, said, gguf_model, tmp_path):
    content = (gguf_model / "model.gguf").read_bytes()
    (tmp_path / "m.gguf").write_bytes(content[:kept])
    with pytest.raises(ModelError, match=said):
        load_config(resolve_model(str(tmp_path)))
    with pytest.raises(ModelError, match=said):
        source_notes(resolve_model(str(tmp_path / "m.gguf")))


def test_more_blocks_than_any_model_has_are_refused_before_one_is_made(gguf_model, tmp_path):
    content, key = (gguf_model / "model.gguf").read_bytes(), b"llama.block_count"
    at = content.index(key) + len(key) + 4
    (tmp_path / "m.gguf").write_bytes(content[:at] + b"\xff\xff\xff\xff" + content[at + 4 :])
    with pytest.raises(ModelError, match=r"says llama\.block_count 4,294,967,295, and no model has more than 10,000"):
        load_config(resolve_model(str(tmp_path / "m.gguf")))


def test_file_that_only_has_the_name_is_named(tmp_path):
    (tmp_path / "m.gguf").write_bytes(b"safetensors, honestly" * 10)
    with pytest.raises(ModelError, match="no GGUF file: it does not begin with the letters GGUF"):
        load_config(resolve_model(str(tmp_path)))
    (tmp_path / "m.gguf").write_bytes(b"GGUF\x09\0\0\0" + b"\0" * 16)
    with pytest.raises(ModelError, match="GGUF of version 9"):
        load_config(resolve_model(str(tmp_path)))


def test_architecture_that_transformers_does_not_read_is_named(tmp_path):
    import gguf

    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "rwkv7")
    writer.add_tensor("token_embd.weight", torch.zeros(4, 4).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ModelError, match="architecture 'rwkv7'.*safetensors"):
        load_config(resolve_model(str(tmp_path)))
    assert "'rwkv7', for which nobody checked" in source_notes(resolve_model(str(tmp_path)))[-1]


def test_rotary_scaling_that_transformers_would_leave_out_is_refused(tmp_path):
    save_gguf(_llama(), tmp_path / "a.gguf", "llama", extra={"rope_freqs.weight": [1.0] * 8})
    save_gguf(_llama(), tmp_path / "b.gguf", "llama", metadata={"llama.rope.scaling.type": "yarn"})
    save_gguf(_llama(), tmp_path / "c.gguf", "llama", metadata={"llama.rope.scaling.type": "none"})
    for name, said in (("a", "rope_freqs"), ("b", "rope.scaling.type = yarn")):
        with pytest.raises(ModelError, match=f"scales its rotary positions .*{said}"):
            load_backbone(resolve_model(str(tmp_path / f"{name}.gguf")))
    load_backbone(resolve_model(str(tmp_path / "c.gguf")))


def test_tensors_without_a_place_in_the_model_are_refused(tmp_path):
    """transformers reads a Llama with biases in its attention from GGUF as one without them."""
    save_gguf(_llama(attention_bias=True), tmp_path / "m.gguf", "llama")
    with pytest.raises(ModelError, match="is not read whole"):
        load_backbone(resolve_model(str(tmp_path)))


def test_adapter_in_gguf_is_named(tmp_path):
    save_gguf(_llama(), tmp_path / "m.gguf", "llama", metadata={"general.type": "adapter"})
    with pytest.raises(ModelError, match="is an adapter in GGUF"):
        load_config(resolve_model(str(tmp_path)))
