"""DriftCallback: its numbers are those of extraction and measure, and training goes on as if it were not there."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, PrefixTuningConfig, get_peft_model
from transformers import Trainer, TrainerCallback, TrainingArguments

import repdrift
from repdrift.core.errors import ConfigError, DataError, ModelError
from repdrift.extraction import extract, find_sinks
from repdrift.models import load_task_model, load_tokenizer, quiet_transformers, resolve_model
from repdrift.similarity import measure
from tests.tiny_models import sentence

TEXTS = [sentence(number, 3 + number % 6) for number in range(12)]


class Reports(TrainerCallback):
    """Stands for W&B or TensorBoard: keeps what is logged."""

    def __init__(self) -> None:
        self.logged: list[tuple[int, dict[str, Any]]] = []

    def on_log(self, args, state, control, logs=None, **rest) -> None:
        del args, control, rest
        self.logged.append((state.global_step, dict(logs or {})))

    @property
    def drifts(self):
        return [(step, logs) for step, logs in self.logged if any(name.startswith("drift/") for name in logs)]


class Modes(TrainerCallback):
    """Holds that the callback before it left every module in training mode."""

    def on_step_end(self, args, state, control, **rest: Any) -> None:
        del args, state, control
        assert all(module.training for module in rest["model"].modules())


def model_of(base, adapter=None) -> Any:
    torch.manual_seed(1)
    model = load_task_model(resolve_model(str(base)), "classification", num_labels=2)
    with quiet_transformers():
        return model if adapter is None else get_peft_model(model, adapter)


def inputs_of(base):
    return dict(load_tokenizer(resolve_model(str(base)))(TEXTS))


def trainer_of(base, tmp_path, callbacks, model, **options) -> Trainer:
    tokenizer = load_tokenizer(resolve_model(str(base)))
    rows = [{"labels": i % 2, **tokenizer(sentence(i + 50, 5))} for i in range(16)]
    arguments = TrainingArguments(
        output_dir=str(tmp_path), max_steps=4, per_device_train_batch_size=4, learning_rate=1e-2, report_to=[], disable_tqdm=True,
        save_strategy="no", logging_steps=2, use_cpu=True, dataloader_pin_memory=False, **{"eval_strategy": "steps", "eval_steps": 2} | options,
    )  # fmt: skip
    with quiet_transformers():
        return Trainer(model=model, args=arguments, train_dataset=rows, eval_dataset=rows[:4], callbacks=callbacks)  # pyright: ignore


def trained(*arguments, **options) -> Trainer:
    trainer = trainer_of(*arguments, **options)
    with quiet_transformers():
        trainer.train()
    return trainer


@pytest.mark.parametrize("name", ["tiny_bert", "tiny_llama"])
def test_logged_drift_is_that_of_extraction_and_measure(name, request, tmp_path):
    base, reports = request.getfixturevalue(name), Reports()
    before, after, inputs = model_of(base), model_of(base), inputs_of(base)
    trained(base, tmp_path, [repdrift.DriftCallback(None, inputs), reports], after)
    pooled: Any = {"pooling": "mean"}
    if name == "tiny_llama":
        pooled = {"pooling": "mean_without_sinks", "sinks": find_sinks(before, inputs)}
    rows = extract(before, inputs, **pooled), extract(after, inputs, **pooled)
    expected = {layer: 1 - measure("cka")(rows[0][layer], rows[1][layer]) for layer in rows[0]}
    assert [step for step, _ in reports.drifts] == [2, 4]
    last = reports.drifts[-1][1]
    assert {n: v for n, v in last.items() if "layer" in n} == pytest.approx(
        {f"drift/{layer}": value for layer, value in expected.items()}, rel=1e-6, abs=1e-9
    )
    assert last["drift/mean"] == pytest.approx(np.mean(list(expected.values())))
    assert last["drift/mean"] > 0.001
    assert "epoch" in last


@pytest.mark.parametrize("kind", ["full", "lora", "prefix", "checkpointing", "bfloat16"])
def test_training_ends_with_the_same_bytes_as_without_it(kind, tiny_llama, tmp_path):
    adapters: dict[str, Any] = {
        "lora": lambda: LoraConfig(task_type="SEQ_CLS", r=2, lora_dropout=0.3),
        "prefix": lambda: PrefixTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=3),
    }
    named = TrainingArguments.__dataclass_fields__
    checkpointing = "activation_checkpointing" if "activation_checkpointing" in named else "gradient_checkpointing"
    extra: Any = {"checkpointing": {checkpointing: True}, "bfloat16": {"bf16": True}}.get(kind, {})
    found, reports, losses = [], Reports(), []
    for callbacks in ([], [repdrift.DriftCallback(str(tiny_llama), inputs_of(tiny_llama), every=1), reports, Modes()]):
        model = model_of(tiny_llama, adapters[kind]() if kind in adapters else None)
        model.config.attention_dropout = 0.0
        trainer = trained(tiny_llama, tmp_path, callbacks, model, eval_strategy="no", **extra)
        found.append({name: p.detach().clone() for name, p in model.named_parameters()})
        losses.append([(log["step"], log["loss"]) for log in trainer.state.log_history if "loss" in log])
        assert model.training
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    assert losses[0] == losses[1]
    assert [step for step, _ in losses[0]] == [2, 4]
    assert [step for step, _ in reports.drifts] == [1, 2, 3, 4]
    means = [logs["drift/mean"] for _, logs in reports.drifts]
    assert means[-1] > 1e-6


def test_dropout_draws_the_same_numbers_with_it(tiny_bert, tmp_path):
    """BERT drops out by default: a generator that was moved would give other weights."""
    found = []
    for callbacks in ([], [repdrift.DriftCallback(None, inputs_of(tiny_bert), every=1)]):
        model = model_of(tiny_bert)
        trained(tiny_bert, tmp_path, callbacks, model)
        found.append({name: p.detach().clone() for name, p in model.named_parameters()})
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_base_as_path_model_and_none_are_one(tiny_bert, tmp_path):
    found = []
    for base in (None, str(tiny_bert), model_of(tiny_bert)):
        reports = Reports()
        trained(
            tiny_bert,
            tmp_path,
            [repdrift.DriftCallback(base, inputs_of(tiny_bert), every=4), reports],
            model_of(tiny_bert),
        )
        found.append([logs for _, logs in reports.drifts])
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 1


def test_rows_are_of_chosen_layers_and_missing_stays_missing(tiny_bert, tmp_path):
    callback, reports = (
        repdrift.DriftCallback(None, inputs_of(tiny_bert), every=2, layers=[1], pooling="last"),
        Reports(),
    )
    trainer = trained(tiny_bert, tmp_path, [callback, reports], model := model_of(tiny_bert))
    assert set(reports.drifts[0][1]) == {"drift/layer_1", "drift/mean", "epoch"}
    assert {"drift/layer_1", "step"} <= set(next(log for log in trainer.state.log_history if "drift/mean" in log))
    same = repdrift.DriftCallback(None, {"input_ids": [[5, 6, 7]] * 5}, every=1)
    same.on_train_begin(trainer.args, type(trainer.state)(is_world_process_zero=True), None, model=model)
    assert same.drift(model) == {}  # rows that do not vary have no CKA


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"every": 0}, ConfigError, "got 0"),
        ({"every": True}, ConfigError, "got True"),
        ({"base": 3}, ModelError, "base should be"),
        ({"sample_set": {"input_ids": [[5, 6]] * 3}}, DataError, "3 samples; at least 4"),
        ({"measure": "ckaa"}, LookupError, "cka"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_at_once(arguments, error, said, tiny_bert):
    with pytest.raises(error, match=said):
        repdrift.DriftCallback(**{"base": None, "sample_set": inputs_of(tiny_bert)} | arguments)


def test_what_cannot_be_measured_is_refused_before_the_first_step(tiny_bert, tiny_llama, bert_adapter, tmp_path):
    inputs = inputs_of(tiny_bert)

    def begun(callback, model, **options):
        with quiet_transformers():
            trainer_of(tiny_bert, tmp_path, [callback], model, **options).train()

    with pytest.raises(ConfigError, match="never evaluates"):
        begun(repdrift.DriftCallback(None, inputs), model_of(tiny_bert), eval_strategy="no")
    with pytest.raises(ModelError, match="is an adapter"):
        begun(repdrift.DriftCallback(str(bert_adapter), inputs), model_of(tiny_bert))
    with pytest.raises(ModelError, match=r"bfloat16.*rounding"):
        begun(repdrift.DriftCallback(model_of(tiny_bert).bfloat16(), inputs), model_of(tiny_bert))
    shallow = model_of(tiny_bert)
    shallow.bert.encoder.layer = shallow.bert.encoder.layer[:2]
    shallow.config.num_hidden_layers = 2
    with pytest.raises(ModelError, match="has 3 layers, and base has 2"):
        begun(repdrift.DriftCallback(shallow, inputs), model_of(tiny_bert))
    resumed = type("State", (), {"global_step": 5, "is_world_process_zero": True})()
    arguments = TrainingArguments(output_dir=str(tmp_path), eval_strategy="steps", eval_steps=2, use_cpu=True)
    with pytest.raises(ConfigError, match="continues at step 5"):
        repdrift.DriftCallback(None, inputs).on_train_begin(arguments, resumed, None, model=model_of(tiny_bert))


def test_training_that_diverges_goes_on_and_says_what_is_missing(tiny_bert, tmp_path, capsys):
    callback, reports, model = (
        repdrift.DriftCallback(None, inputs_of(tiny_bert), every=1),
        Reports(),
        model_of(tiny_bert),
    )

    class Spoil(TrainerCallback):
        def on_step_begin(self, args, state, control, **rest):
            del args, control, rest
            if state.global_step == 1:
                model.bert.encoder.layer[1].output.dense.weight.data.fill_(torch.nan)

    trained(tiny_bert, tmp_path, [Spoil(), callback, reports], model)
    assert [step for step, _ in reports.drifts] == [1]
    assert capsys.readouterr().err.count("nothing is logged at step 2") == 1


@pytest.mark.filterwarnings("ignore:'pin_memory'")
def test_example_in_the_documentation_runs(tiny_bert, tmp_path):
    page = (Path(__file__).parents[3] / "docs" / "howto" / "training.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?DriftCallback.*?)```", page, re.DOTALL)
    assert example is not None
    names: dict[str, Any] = {
        "model": model_of(tiny_bert), "tokenizer": load_tokenizer(resolve_model(str(tiny_bert))), "texts": TEXTS,
        "rows": trainer_of(tiny_bert, tmp_path, [], model_of(tiny_bert)).train_dataset, "folder": str(tmp_path),
    }  # fmt: skip
    with quiet_transformers():
        exec(example[1], names)  # noqa: S102 (our own page)
    history = names["trainer"].state.log_history
    assert any("drift/layer_2" in log and log["drift/mean"] > 0 for log in history)


def test_importing_the_package_loads_no_trainer():
    code = "import sys, repdrift; assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
