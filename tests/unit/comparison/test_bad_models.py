"""One bad model never takes the others along, whatever goes wrong with it and when."""

import json
import shutil

import pytest
import torch

from repdrift.comparison import base_model, by_rows, comparing, tuned_models
from repdrift.comparison.comparing import compare
from repdrift.core.errors import ConfigError, ModelError
from repdrift.core.records.comparison import COMPARISON_FILE
from tests.command_line import run_here
from tests.tiny_models import save_llama
from tests.unit.comparison.tiny_comparisons import run

BOTH = pytest.mark.parametrize("accumulate", ["rows", "moments"])


def _set(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.fixture(scope="module")
def bad_models(models, tmp_path_factory):
    """Paths from which no model can be compared, each with what must be said of it."""
    root = tmp_path_factory.mktemp("bad")

    def copied(name, **values):
        shutil.copytree(models["full"], root / name)
        _set(root / name, **values)
        return root / name

    pickled = copied("pickled")
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    above = root / "above"
    shutil.copytree(models["full"], above / "checkpoint-10")
    (root / "own.gguf").write_bytes(b"GGUF")
    (root / "nothing").mkdir()
    return {
        root / "absent": "there is no folder",
        "nobody/nothing": "could not be loaded from the Hugging Face hub",
        root / "nothing": "the folder is empty",
        models["full"] / "model.safetensors": "is a file, and a model is a folder",
        root / "own.gguf": "truncated or damaged",
        above: "checkpoint-10",
        pickled: "a pickle, which is not loaded",
        copied("quantised", quantization_config={"quant_method": "bitsandbytes", "load_in_4bit": True}): "bitsandbytes",
        copied("unknown", model_type="nonesuch"): "the installed transformers does not have",
        copied("odd", hidden_act="nonesuch"): "nonesuch",
        save_llama(root / "other"): "tokenizer",
    }


@BOTH
def test_whatever_is_wrong_with_a_path_is_said_and_the_others_are_compared(bad_models, models, texts, accumulate):
    refs = [*map(str, bad_models), str(models["full"]), str(models["a"])]
    result = compare(str(models["base"]), refs, data=str(texts), accumulate=accumulate, controls=False)
    *bad, full, adapter = result.models
    assert [full.status, adapter.status] == ["compared"] * 2
    for (path, said), model in zip(bad_models.items(), bad, strict=True):
        assert model.status == "not comparable", path
        assert said in (model.reason or ""), path
        assert any(str(model.reason) in warning for warning in result.warnings)
    alone = run(models, ["full", "a"], texts, accumulate=accumulate, controls=False)
    for one, other in zip(alone.models, (full, adapter), strict=True):
        assert [at.drift for at in one.layers] == pytest.approx([at.drift for at in other.layers], abs=1e-9)


def test_command_says_each_without_a_traceback(bad_models, models, texts, tmp_path):
    refs = " ".join(f"'{path}'" for path in bad_models)
    command = f"python -m repdrift compare {models['base']} {refs} --data {texts} --no-controls --output-dir {tmp_path}"
    done = run_here(command, tmp_path, fails=True)
    for said in bad_models.values():
        assert said in done.stderr
    assert not (tmp_path / COMPARISON_FILE).exists()


@pytest.mark.parametrize(
    "error", [KeyError("x"), RuntimeError("x"), ImportError("x"), AttributeError("x"), Exception("x")]
)
@BOTH
def test_any_exception_while_one_model_is_loaded_is_its_own(error, accumulate, models, texts, monkeypatch):
    load = tuned_models.load_tuned_backbone

    def loads(source, **options):
        if source.path == models["full"]:
            raise error
        return load(source, **options)

    monkeypatch.setattr(tuned_models, "load_tuned_backbone", loads)
    result = run(models, ["full", "a"], texts, accumulate=accumulate, controls=False)
    assert [m.status for m in result.models] == ["not comparable", "compared"]
    said = "not enough memory" if isinstance(error, MemoryError) else type(error).__name__
    assert said in (result.models[0].reason or "")


@pytest.mark.parametrize("error", [RuntimeError("x"), MemoryError("x")], ids=lambda e: type(e).__name__)
@BOTH
def test_adapters_that_cannot_be_put_on_together_are_run_one_by_one(error, accumulate, models, texts, monkeypatch):
    alone = run(models, ["a", "b"], texts, accumulate=accumulate, controls=False)
    monkeypatch.setattr(base_model, "load_adapters", _raise(error))
    result = run(models, ["a", "b"], texts, accumulate=accumulate, controls=False)
    for one, other in zip(result.models, alone.models, strict=True):
        assert [at.drift for at in one.layers] == pytest.approx([at.drift for at in other.layers], abs=1e-9)
        assert "cannot be put on the base model" in (one.weights or "")


MEMORY = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
]


@pytest.mark.parametrize("error", [*MEMORY, IndexError("index out of range in self")], ids=lambda e: type(e).__name__)
@BOTH
def test_any_exception_while_one_model_runs_is_its_own(error, accumulate, models, texts, monkeypatch):
    load = tuned_models.load_tuned_backbone

    def breaks(source, **options):
        model = load(source, **options)
        model.forward = _raise(error)
        return model

    monkeypatch.setattr(tuned_models, "load_tuned_backbone", breaks)
    result = run(models, ["full", "a"], texts, accumulate=accumulate, controls=False)
    assert [m.status for m in result.models] == ["not comparable", "compared"]
    reason = result.models[0].reason or ""
    assert result.models[0].layers == []
    assert ("memory does not suffice" if error in MEMORY else "it cannot be run: IndexError") in reason


def _raise(error):
    def forward(*_args, **_kwargs):
        raise error

    return forward


def test_weights_that_vanish_after_the_run_do_not_lose_the_result(models, texts, tmp_path, monkeypatch):
    folder = tmp_path / "passing"
    shutil.copytree(models["full"], folder)
    compare_by_rows = comparing.compare_by_rows

    def and_delete(*args):
        measured = compare_by_rows(*args)
        shutil.rmtree(folder)
        return measured

    monkeypatch.setattr(comparing, "compare_by_rows", and_delete)
    result = compare(str(models["base"]), [str(folder)], data=str(texts), controls=False)
    assert result.models[0].status == "compared"
    assert result.models[0].weights_digest is None
    assert "could not be read after it was run" in result.models[0].notes[-1]


@pytest.mark.parametrize("damage", ["config", "weights", "absent", "quantised", "running"])
def test_bad_base_ends_the_command_with_one_message(damage, models, texts, tmp_path, monkeypatch):
    base = tmp_path / "base"
    if damage != "absent":
        shutil.copytree(models["base"], base)
    if damage == "config":
        (base / "config.json").write_text("{")
    elif damage == "weights":
        (base / "model.safetensors").write_bytes(b"")
    elif damage == "quantised":
        _set(base, quantization_config={"quant_method": "gptq", "bits": 4})
    elif damage == "running":
        monkeypatch.setattr(by_rows, "placed_rows", _raise(RuntimeError("broken")))
    done = run_here(
        f"python -m repdrift compare {base} {models['full']} --data {texts} --no-controls", tmp_path, fails=True
    )
    lines = [line for line in done.stderr.splitlines() if "repdrift: error" in line]
    assert len(lines) == 1
    assert str(base) in lines[0]


def test_adapter_or_full_model_of_one_folder_is_chosen_and_said(models, texts, tmp_path):
    folder = tmp_path / "both"
    shutil.copytree(models["full"], folder)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(models["a"] / name, folder)
    plain = run(models, ["full", "a"], texts, controls=False)
    drifts = {m.kind: [at.drift for at in m.layers] for m in plain.models}
    for as_kind, kind in ((None, "PEFT adapter"), ("adapter", "PEFT adapter"), ("model", "full model")):
        result = compare(str(models["base"]), [str(folder)], data=str(texts), controls=False, as_kind=as_kind)
        (model,) = result.models
        assert model.kind == kind
        assert [at.drift for at in model.layers] == pytest.approx(drifts[kind], abs=1e-9)
        assert f"the {kind.removeprefix('PEFT ')} was taken" in model.notes[0]
    as_base = compare(str(folder), [str(models["full"])], data=str(texts), controls=False)
    assert as_base.compared[0].mean_drift == pytest.approx(0.0, abs=1e-9)
    assert any(w.startswith("On the base model: Its folder holds an adapter") for w in as_base.warnings)
    with pytest.raises(ConfigError, match=r"as_kind \(--as\) should be adapter or model, got 'lora'"):
        compare(str(models["base"]), [str(folder)], data=str(texts), as_kind="lora")  # pyright: ignore[reportArgumentType]


def test_model_of_another_type_and_width_is_refused(models, texts, tmp_path):
    from transformers import BertConfig, BertModel

    _, wide = save_llama(tmp_path / "llama"), BertConfig.from_pretrained(models["base"])
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "llama" / name).unlink()
    wide.hidden_size = 24
    BertModel(wide).save_pretrained(tmp_path / "wide")
    llama, bert = compare(
        str(models["base"]), [str(tmp_path / "llama"), str(tmp_path / "wide")], data=str(texts), controls=False
    ).models
    assert llama.notes == ["It is a model of type 'llama', the base model of type 'bert': it was hardly tuned from it."]
    assert bert.notes[0] == "It is 24 features wide, the base model 16: it was hardly tuned from it."
    _set(tmp_path / "llama", hidden_size=32)
    with pytest.raises(ModelError, match="of type 'llama'.*32 features wide.*Compare it with the model"):
        compare(str(models["base"]), [str(tmp_path / "llama")], data=str(texts), controls=False)
