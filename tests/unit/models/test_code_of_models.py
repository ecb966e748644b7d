"""Code that a model's folder names is never run, whatever is typed, and no loader of the package may run it."""

import ast
import io
import json
import shutil
from pathlib import Path

import pytest

import repdrift
from repdrift.core.errors import ModelError
from repdrift.models import load_backbone, load_config, load_tokenizer, load_tuned_backbone, resolve_model, source_notes

_LOADERS = {"from_pretrained", "from_config"}
_WITHOUT_CODE = {"PeftConfig", "PeftModel"}  # peft runs no code of a folder, and takes no such argument


def test_every_loader_of_the_package_refuses_code():
    calls = []
    for path in Path(repdrift.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _LOADERS:
                owner = ast.unparse(node.func.value)
                if owner not in _WITHOUT_CODE:
                    calls.append((f"{path.name}:{node.lineno}", {k.arg: ast.unparse(k.value) for k in node.keywords}))
    assert len(calls) >= 5
    assert [where for where, given in calls if given.get("trust_remote_code") != "False"] == []


@pytest.fixture
def booby_trap(tuned_bert, tmp_path, monkeypatch):
    """A copy of a model with code beside it that leaves a file behind when it is run; "y" is what a user would type."""
    folder, mark = tmp_path / "model", tmp_path / "RAN"
    shutil.copytree(tuned_bert, folder)
    (folder / "mine.py").write_text(
        f"open({str(mark)!r}, 'w').write('x')\n"
        "from transformers import BertConfig, BertModel, PreTrainedTokenizerFast\n"
        "class Mine(PreTrainedTokenizerFast): pass\nclass MyConfig(BertConfig): pass\nclass MyModel(BertModel): pass\n"
    )
    monkeypatch.setattr("sys.stdin", io.StringIO("y\ny\ny\n"))
    yield folder
    assert not mark.exists()


def _set(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_model_with_code_beside_it_runs_as_the_architecture_of_transformers(booby_trap):
    _set(booby_trap / "config.json", auto_map={"AutoConfig": "mine.MyConfig", "AutoModel": "mine.MyModel"})
    source = resolve_model(str(booby_trap))
    assert type(load_backbone(source)).__name__ == "BertModel"
    load_tuned_backbone(source)
    assert "code of its own, which is never run" in source_notes(source)[0]


def test_model_of_an_architecture_that_only_its_code_has_is_named(booby_trap):
    _set(
        booby_trap / "config.json",
        auto_map={"AutoConfig": "mine.MyConfig", "AutoModel": "mine.MyModel"},
        model_type="mine",
    )
    with pytest.raises(ModelError, match=r"type 'mine' \(BertFor.*never run.*converted"):
        load_backbone(resolve_model(str(booby_trap)))


def test_tokenizer_with_code_beside_it_is_read_without_it(booby_trap, tuned_bert):
    _set(booby_trap / "tokenizer_config.json", tokenizer_class="Mine", auto_map={"AutoTokenizer": [None, "mine.Mine"]})
    read = load_tokenizer(resolve_model(str(booby_trap)))("the cat sat .")
    assert read == load_tokenizer(resolve_model(str(tuned_bert)))("the cat sat .")


def test_tokenizer_that_only_its_code_can_read_is_named(booby_trap):
    _set(booby_trap / "tokenizer_config.json", tokenizer_class="Mine", auto_map={"AutoTokenizer": ["mine.Mine", None]})
    (booby_trap / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match="code of its own, which is never run"):
        load_tokenizer(resolve_model(str(booby_trap)))


def test_attention_of_another_package_or_of_the_hub_is_replaced(tuned_bert, tmp_path):
    import torch

    plain = load_backbone(resolve_model(str(tuned_bert))).state_dict()
    for number, asked in enumerate(["flash_attention_2", "flash_attention_3", "somebody/kernel", "flex_attention"]):
        folder = tmp_path / str(number)
        shutil.copytree(tuned_bert, folder)
        _set(folder / "config.json", attn_implementation=asked)
        source = resolve_model(str(folder))
        model = load_backbone(source)
        assert model.config._attn_implementation in ("sdpa", "eager")
        assert all(torch.equal(tensor, plain[name]) for name, tensor in model.state_dict().items())
        assert repr(asked) in source_notes(source)[0]


@pytest.mark.parametrize("given", ["float16", "torch.bfloat16", "bf16", "auto", "int4", 3, {"x": 1}, None])
def test_number_type_in_the_configuration_never_stands_in_the_way(given, tuned_bert, tmp_path):
    for key in ("dtype", "torch_dtype"):
        folder = tmp_path / key
        shutil.copytree(tuned_bert, folder)
        _set(folder / "config.json", **{key: given})
        assert load_config(resolve_model(str(folder))).model_type == "bert"


def test_tokenizer_is_not_blamed_for_a_broken_configuration(tuned_bert, tmp_path):
    shutil.copytree(tuned_bert, tmp_path / "m")
    (tmp_path / "m/config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config\.json cannot be read as JSON"):
        load_tokenizer(resolve_model(str(tmp_path / "m")))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"model_type": None}, "names no model_type"),
        ({"model_type": "no_such_model"}, "which the installed transformers does not have"),
        ({"hidden_size": "wide"}, "no configuration could be read|cannot load"),
        (
            {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}},
            r"quantised \(bitsandbytes\)",
        ),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "quantised"),
        ({"hidden_size": 24, "num_attention_heads": 3}, "another shape|size mismatch|mismatch"),
        ({"num_attention_heads": 7}, "cannot load"),
    ],
)
def test_configuration_that_cannot_be_followed_is_one_message(values, said, tuned_bert, tmp_path):
    shutil.copytree(tuned_bert, tmp_path / "m")
    _set(tmp_path / "m/config.json", **values)
    with pytest.raises(ModelError, match=said):
        load_tuned_backbone(resolve_model(str(tmp_path / "m")))
