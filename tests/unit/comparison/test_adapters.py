"""Adapters in a comparison: the numbers of each are those that it has alone, and those of its merged float32 model."""

import json
import shutil

import pytest
import torch
from peft import IA3Config, LoraConfig, TrainableTokensConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import LlamaForCausalLM

from repdrift.comparison import base_model
from repdrift.comparison.comparing import compare
from repdrift.models import load_tokenizer, quiet_transformers, resolve_model, save_model
from tests.tiny_models import VOCABULARY
from tests.unit.models.adapter_kinds import save_moved
from tests.unit.models.test_model_settings import edit

pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*merge.*"),
    pytest.mark.filterwarnings("ignore:.*save_embedding_layers.*"),
]

LORA = {"task_type": "CAUSAL_LM", "r": 4}
ADAPTERS = {
    "attention": LoraConfig(**LORA, target_modules=["q_proj", "v_proj"], use_rslora=True, lora_alpha=3),
    "mlp": LoraConfig(
        **LORA, target_modules=["down_proj", "up_proj"], rank_pattern={"up_proj": 2}, alpha_pattern={"down_proj": 17},
        layers_to_transform=[0, 2],
    ),
    "dora": LoraConfig(**LORA, target_modules=["q_proj", "o_proj"], use_dora=True),
    "head": LoraConfig(**LORA, target_modules=["q_proj", "lm_head"]),
    "norms": LoraConfig(**LORA, target_modules=["k_proj"], modules_to_save=["post_attention_layernorm"]),
    "tokens": TrainableTokensConfig(task_type="CAUSAL_LM", target_modules=["embed_tokens"], token_indices=[4, 5, 9, 20]),
    "ia3": IA3Config(task_type="CAUSAL_LM", target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"]),
    "pissa": LoraConfig(**LORA, target_modules=["q_proj"], init_lora_weights="pissa"),
}  # fmt: skip


@pytest.fixture(scope="module")
def llamas(tiny_llama, tmp_path_factory):
    """A Llama with a head, adapters of several kinds on it, and the merged model of each."""
    folder = tmp_path_factory.mktemp("llamas")
    torch.manual_seed(3)
    with quiet_transformers():
        base = LlamaForCausalLM.from_pretrained(tiny_llama)
    save_model(base, load_tokenizer(resolve_model(str(tiny_llama))), folder / "base")
    for name, config in ADAPTERS.items():
        with quiet_transformers():
            adapted = save_moved(folder / "base", folder / name, config, get_peft_model)
            adapted.merge_and_unload().save_pretrained(folder / f"merged_{name}")
    # Saved beside its matrices, as peft does where the vocabulary was resized or the embedding is named.
    embedding = LlamaForCausalLM.from_pretrained(folder / "base")
    torch.nn.init.normal_(embedding.model.embed_tokens.weight, std=0.4)
    with quiet_transformers():
        save_moved(folder / "base", folder / "embedding", ADAPTERS["attention"], get_peft_model)
    stored = load_file(folder / "embedding/adapter_model.safetensors")
    stored["base_model.model.model.embed_tokens.weight"] = embedding.model.embed_tokens.weight.detach()
    save_file(stored, folder / "embedding/adapter_model.safetensors")
    merged = LlamaForCausalLM.from_pretrained(folder / "merged_attention")
    merged.model.embed_tokens.weight.data.copy_(embedding.model.embed_tokens.weight)
    merged.save_pretrained(folder / "merged_embedding")
    return folder


ALL = [*ADAPTERS, "embedding"]


def numbers(result):
    return {model.name: [at.drift for at in model.layers] for model in result.models}


@pytest.mark.parametrize(
    "options",
    [
        {"accumulate": "rows"},
        {"accumulate": "moments"},
        {"accumulate": "moments", "pooling": "tokens", "token_budget": 70},
    ],
)
def test_whatever_is_beside_it_an_adapter_has_the_numbers_of_its_merged_model(llamas, texts, options):
    options = {"data": str(texts), "controls": False, **options}
    together = compare(str(llamas / "base"), [str(llamas / name) for name in ALL], **options)
    assert [m.status for m in together.models] == ["compared"] * len(ALL), [m.reason for m in together.models]
    backwards = compare(str(llamas / "base"), [str(llamas / name) for name in reversed(ALL)], **options)
    merged = compare(str(llamas / "base"), [str(llamas / f"merged_{name}") for name in ALL], **options)
    truth, found, again = numbers(merged), numbers(together), numbers(backwards)
    for name in ALL:
        assert found[name] == pytest.approx(truth[f"merged_{name}"], rel=1e-3, abs=2e-6), name
        assert again[name] == pytest.approx(found[name], rel=1e-4, abs=1e-7), name
    shared = {m.name for m in together.models if m.weights == "the base model's, in memory once"}
    assert shared == {"attention", "mlp", "dora", "head"}
    # The change of the weights is that of the two full models.
    for one, other in zip(together.models, merged.models, strict=True):
        for at, by in zip(one.layers, other.layers, strict=True):
            expected = by.weights["weight_relative_change"]
            assert at.weights.get("weight_relative_change", 0.0) == pytest.approx(expected, rel=1e-3, abs=1e-7), (
                one.name
            )


def test_adapter_on_a_mixture_of_experts_has_the_numbers_of_its_merged_model(tiny_llama, texts, tmp_path):
    from transformers import MixtralConfig, MixtralForCausalLM

    torch.manual_seed(3)
    config = MixtralConfig(
        vocab_size=VOCABULARY, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
        intermediate_size=32, num_local_experts=2, max_position_embeddings=64, initializer_range=0.2, bos_token_id=2,
    )  # fmt: skip
    save_model(MixtralForCausalLM(config), load_tokenizer(resolve_model(str(tiny_llama))), tmp_path / "base")
    experts = LoraConfig(
        **LORA, target_modules=["q_proj"], target_parameters=["experts.gate_up_proj", "experts.down_proj"]
    )
    with quiet_transformers():
        adapted = save_moved(tmp_path / "base", tmp_path / "a", experts, get_peft_model, MixtralForCausalLM)
        adapted.merge_and_unload().save_pretrained(tmp_path / "merged")
    found = compare(str(tmp_path / "base"), [str(tmp_path / "a"), str(tmp_path / "merged")], data=str(texts)).models
    assert [at.drift for at in found[0].layers] == pytest.approx(
        [at.drift for at in found[1].layers], rel=1e-3, abs=1e-6
    )
    assert all(at.random_change_drift for at in found[0].layers)
    assert found[0].layers[0].weights["weight_relative_change"] > 0


def test_the_random_change_is_there_for_every_kind(llamas, texts):
    names = ["ia3", "dora", "embedding", "tokens"]
    result = compare(str(llamas / "base"), [str(llamas / name) for name in names], data=str(texts))
    for model in result.models:
        assert all(at.random_change_drift is not None and at.random_change_drift > 0 for at in model.layers), model.name


@pytest.mark.parametrize("accumulate", ["rows", "moments"])
def test_a_base_model_that_changes_while_adapters_run_on_it_is_found_out(llamas, texts, monkeypatch, accumulate):
    options = {"data": str(texts), "accumulate": accumulate, "controls": False}
    refs = [str(llamas / "attention"), str(llamas / "mlp")]
    truth = numbers(compare(str(llamas / "base"), refs, **options))
    put_on = base_model.load_adapters

    def writes(module, *_):
        module.weight.data.mul_(1.001)  # as peft merges and unmerges: through `.data`, which version counters miss

    def spoiling(*args):
        adapted = put_on(*args)
        adapted.backbone.layers[0].mlp.gate_proj.register_forward_hook(writes)
        return adapted

    monkeypatch.setattr(base_model, "load_adapters", spoiling)
    monkeypatch.setattr(base_model, "require_repeatable", lambda *_: None)
    found = compare(str(llamas / "base"), refs, **options)
    assert numbers(found) == {name: pytest.approx(values, rel=1e-6) for name, values in truth.items()}
    assert all("the base model changed (layers.0.mlp.gate_proj.weight)" in m.weights for m in found.models)


def _without(llamas, folder, name, keep):
    """A copy of an adapter with those of its tensors for which `keep` gives a name, under that name."""
    shutil.copytree(llamas / name, folder)
    path = folder / "adapter_model.safetensors"
    tensors = {keep(n): t for n, t in load_file(path).items() if keep(n)}
    save_file(tensors, path, metadata={"format": "pt"})
    return str(folder)


DAMAGES = {
    "a layer": (lambda n: None if "layers.1." in n else n, r"calls for 12 tensors in the model, and 4 of them are not in its files: model\.layers\.1"),
    "all A": (lambda n: None if "lora_A" in n else n, "12 tensors in the model, and 6 of them are not in its files.*lora_A"),
    "one B": (lambda n: None if "layers.2.self_attn.q_proj.lora_B" in n else n, "1 of them are not in its files: .*layers.2.self_attn.q_proj.lora_B"),
    "everything": (lambda _: None, "holds no tensor at all"),
    "its module": (lambda n: n.replace("q_proj", "z_proj"), "is not whole|has no place"),
}  # fmt: skip


@pytest.mark.parametrize("left_out", DAMAGES)
def test_an_adapter_that_lacks_tensors_is_refused_and_they_are_named(llamas, texts, tmp_path, left_out):
    import re

    keep, reason = DAMAGES[left_out]
    refs = [_without(llamas, tmp_path / "part", "attention", keep), str(llamas / "mlp")]
    result = compare(str(llamas / "base"), refs, data=str(texts), controls=False)
    assert [m.status for m in result.models] == ["not comparable", "compared"]
    assert re.search(reason, result.models[0].reason), result.models[0].reason
    assert result.models[1].weights == "the base model's, in memory once"


def test_bad_adapters_leave_the_others_on_the_shared_base(llamas, texts, tmp_path):
    """Whatever the fault, and although each fault leaves a half-changed base model behind."""
    bad = [_without(llamas, tmp_path / f"bad{k}", "attention", keep) for k, (keep, _) in enumerate(DAMAGES.values())]
    for folder, change in ((tmp_path / "bytes", torch.int8), (tmp_path / "eighths", torch.float8_e4m3fn)):
        shutil.copytree(llamas / "attention", folder)
        path = folder / "adapter_model.safetensors"
        save_file({name: t.to(change) for name, t in load_file(path).items()}, path)
        bad.append(str(folder))
    # Trained on the backbone itself, whose modules have shorter names.
    headless = _without(
        llamas, tmp_path / "headless", "attention", lambda n: n.replace("model.model.model.", "model.model.")
    )
    refs = [*bad[:3], str(llamas / "attention"), *bad[3:], headless, str(llamas / "mlp")]
    result = compare(str(llamas / "base"), refs, data=str(texts), controls=False)
    by_name = {model.name: model for model in result.models}
    assert [m.name for m in result.models if m.status == "compared"] == ["attention", "headless", "mlp"]
    assert by_name["attention"].weights == by_name["mlp"].weights == "the base model's, in memory once"
    assert "its files call the backbone 'nothing'" in by_name["headless"].weights
    assert [at.drift for at in by_name["headless"].layers] == pytest.approx(
        [at.drift for at in by_name["attention"].layers]
    )
    assert "int8, where float32 is expected" in by_name["bytes"].reason
    assert "float8_e4m3fn, which is quantised" in by_name["eighths"].reason


RENAMED = {
    "the adapter's name": lambda n: n.replace(".weight", ".default.weight"),
    "no prefix": lambda n: n.removeprefix("base_model.model."),
    "compiled": lambda n: n.replace("base_model.model.", "base_model.model._orig_mod."),
    "data parallel": lambda n: f"module.{n}",
}


@pytest.mark.parametrize("how", RENAMED)
def test_names_that_hold_more_or_less_are_read(llamas, texts, tmp_path, how):
    other = _without(llamas, tmp_path / "other", "attention", RENAMED[how])
    result = compare(str(llamas / "base"), [other, str(llamas / "attention")], data=str(texts), controls=False)
    assert [m.status for m in result.models] == ["compared"] * 2, result.models[0].reason
    assert [at.drift for at in result.models[0].layers] == [at.drift for at in result.models[1].layers]


def test_two_adapters_in_one_file_are_refused(llamas, texts, tmp_path):
    folder = tmp_path / "two"
    shutil.copytree(llamas / "attention", folder)
    tensors = load_file(folder / "adapter_model.safetensors")
    both = {n.replace(".weight", f".{a}.weight"): t.clone() for n, t in tensors.items() for a in ("default", "other")}
    save_file(both, folder / "adapter_model.safetensors")
    result = compare(str(llamas / "base"), [str(folder), str(llamas / "mlp")], data=str(texts), controls=False)
    assert "which are one tensor of an adapter" in result.models[0].reason


def test_an_adapter_whose_files_lack_the_resized_embedding_is_refused_with_the_remedy(llamas, texts, tmp_path):
    with quiet_transformers():
        larger = LlamaForCausalLM.from_pretrained(llamas / "base")
        larger.resize_token_embeddings(VOCABULARY + 2)
        larger.save_pretrained(tmp_path / "larger")
        save_moved(
            tmp_path / "larger",
            tmp_path / "resized",
            LoraConfig(**LORA, target_modules=["embed_tokens"]),
            get_peft_model,
        )
    result = compare(
        str(llamas / "base"), [str(tmp_path / "resized"), str(llamas / "mlp")], data=str(texts), controls=False
    )
    assert f"model.resize_token_embeddings({VOCABULARY + 2})" in result.models[0].reason


def test_parts_behind_the_hidden_states_are_said(llamas, texts):
    result = compare(str(llamas / "base"), [str(llamas / "head")], data=str(texts), controls=False)
    assert result.models[0].notes == [
        "Its files also hold lm_head, behind the hidden states or beside them, which takes no part in the drift."
    ]
    own = {change.outcome: change.value for change in result.models[0].outputs.changes}
    assert result.models[0].outputs.changes == [] or own["output_kl"] > 0, "but in what the model puts out"


@pytest.mark.parametrize("accumulate", ["rows", "moments"])
def test_another_base_is_noted_unless_its_weights_are_the_same(llamas, texts, tmp_path, monkeypatch, accumulate):
    shutil.copytree(llamas / "base", tmp_path / "copy")
    (tmp_path / "link").symlink_to(llamas / "base")
    with quiet_transformers():
        other = LlamaForCausalLM.from_pretrained(llamas / "base")
        other.model.save_pretrained(tmp_path / "headless")
        other.model.layers[1].mlp.up_proj.weight.data[0, 0] += 1e-3
        other.save_pretrained(tmp_path / "other")
        larger = LlamaForCausalLM.from_pretrained(llamas / "base")
        larger.resize_token_embeddings(VOCABULARY + 2)
        larger.save_pretrained(tmp_path / "larger")
    shutil.copytree(llamas / "base", tmp_path / "relu")
    edit(tmp_path / "relu/config.json", hidden_act="relu")
    monkeypatch.chdir(tmp_path)
    notes = {
        str(llamas / "base") + "/": None,
        "link": None,
        "./copy": None,
        str(tmp_path / "headless"): None,
        "larger": None,  # the same rows, and two more
        "other": "whose weights are not those of",
        "relu": "whose configuration has other settings: hidden_act (relu; base: silu)",
        "somebody/else": "unless the two are the same",
        "/nowhere/else": "unless the two are the same",
    }
    refs = []
    for number, named in enumerate(notes):
        for name in ("attention", "norms"):  # the second has weights of its own
            folder = tmp_path / f"{name}{number}"
            shutil.copytree(llamas / name, folder)
            config = json.loads((folder / "adapter_config.json").read_text()) | {"base_model_name_or_path": named}
            (folder / "adapter_config.json").write_text(json.dumps(config))
            refs.append(str(folder))
    result = compare(str(llamas / "base"), refs, data=str(texts), controls=False, accumulate=accumulate)
    for number, (named, said) in enumerate(notes.items()):
        for model in result.models[2 * number : 2 * number + 2]:
            found = [note for note in model.notes if "It was trained on" in note]
            assert len(found) == (0 if said is None else 1), (named, model.notes)
            assert said is None or (said in found[0] and named in found[0])


def test_nothing_is_asked_of_the_hub(llamas, texts, tmp_path, monkeypatch):
    import socket

    from huggingface_hub import constants
    from peft import get_peft_model_state_dict

    asked = []

    def connects(*_args, **_kwargs):
        asked.append(_args)
        raise OSError("no network")

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "getaddrinfo", connects)
    for name in ("attention", "embedding", "ia3"):
        shutil.copytree(llamas / name, tmp_path / name)
        path = tmp_path / name / "adapter_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": "somebody/else"}))
    refs = [str(tmp_path / name) for name in ("attention", "embedding", "ia3")]
    result = compare(str(llamas / "base"), refs, data=str(texts), controls=False)
    assert [m.status for m in result.models] == ["compared"] * 3
    assert not asked
    # The same question, as peft asks it by itself: the test can fail.
    with quiet_transformers():
        model = get_peft_model(LlamaForCausalLM.from_pretrained(llamas / "base"), ADAPTERS["attention"])
    model.peft_config["default"].base_model_name_or_path = "somebody/else"
    with pytest.warns(UserWarning, match="config"):
        get_peft_model_state_dict(model)
    assert asked


def test_added_rows_leave_the_weights_and_the_random_change(llamas, texts, tmp_path):
    with quiet_transformers():
        model = LlamaForCausalLM.from_pretrained(llamas / "merged_mlp")
        rows = model.get_input_embeddings().weight.shape[0]
        model.resize_token_embeddings(rows + 2)
        model.save_pretrained(tmp_path / "resized")
    found = compare(str(llamas / "base"), [str(tmp_path / "resized")], data=str(texts)).models[0]
    assert all(at.random_change_drift is not None for at in found.layers)
    assert found.layers[0].weights["weight_relative_change"] > 0
    assert any(
        f"has {rows + 2} rows, in the base model {rows}: the {rows} rows that both have" in note for note in found.notes
    )
