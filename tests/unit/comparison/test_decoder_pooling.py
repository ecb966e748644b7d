"""A comparison of decoders leaves out the base model's attention sinks, alike in every model, and says so."""

import json

import pytest
import torch
from typer.testing import CliRunner

from repdrift.cli.main import app
from repdrift.comparison.comparing import compare
from repdrift.comparison.output import summary, write_comparison
from repdrift.core.records.comparison import Comparison
from repdrift.core.records.representation_set import SINK_POOLING
from repdrift.extraction import extract, find_sinks
from repdrift.models import load_backbone, load_tuned_backbone, resolve_model
from repdrift.similarity import measure
from tests.planted_sinks import planted_positions, save_with_sinks
from tests.tiny_models import save_adapter, save_tuned
from tests.unit.comparison.tiny_comparisons import samples_of


@pytest.fixture(scope="module")
def decoders(tiny_llama, tmp_path_factory):
    folder = tmp_path_factory.mktemp("decoders")
    base = save_with_sinks(tiny_llama, folder / "base")
    return {
        "base": base,
        "full": save_tuned(base, folder / "full"),
        "lora": save_adapter(base, folder / "lora", target_modules=["q_proj", "v_proj"]),
        "zero": save_adapter(base, folder / "zero", std=0.0, target_modules=["q_proj"]),
    }


@pytest.fixture(scope="module")
def found(decoders, texts):
    tuned = [str(decoders[name]) for name in ("full", "lora", "zero")]
    return compare(str(decoders["base"]), tuned, data=str(texts), control_samples=20)


def _by_hand(decoders, name, texts):
    samples = samples_of(decoders["base"], texts)
    base = load_backbone(resolve_model(str(decoders["base"])))
    sinks = find_sinks(base, samples)
    assert sinks.positions == planted_positions(samples)
    tuned = load_tuned_backbone(resolve_model(str(decoders[name])))
    rows = [extract(model, samples, pooling=SINK_POOLING, sinks=sinks) for model in (base, tuned)]
    return [1 - measure("cka")(rows[0][layer], rows[1][layer]) for layer in rows[0]], sinks


def test_decoders_are_compared_without_their_sinks(decoders, found, texts):
    assert found.pooling == SINK_POOLING
    drifts, sinks = _by_hand(decoders, "full", texts)
    full = next(model for model in found.models if model.name == "full")
    assert [at.drift for at in full.layers] == pytest.approx(drifts, abs=1e-6)
    assert found.sinks is not None
    assert (found.sinks.digest, found.sinks.sinks) == (sinks.digest, sinks.sinks)
    assert all(count.text for count in found.sinks.most_common)


def test_an_adapter_that_changes_nothing_has_no_drift(found):
    zero = next(model for model in found.models if model.name == "zero")
    assert [at.drift for at in zero.layers] == pytest.approx([0, 0, 0], abs=1e-12)
    assert any("changes nothing" in warning for warning in found.warnings)
    assert all((at.noise_floor or 0) < 1e-6 for at in found.base_layers)
    assert all(at.random_change_drift is not None for at in found.models[0].layers)


def test_sums_give_the_drift_that_rows_give(decoders, found, texts):
    tuned = [str(decoders[name]) for name in ("full", "lora")]
    sums = compare(str(decoders["base"]), tuned, data=str(texts), accumulate="moments", control_samples=20)
    assert sums.accumulated == "moments"
    assert sums.sinks is not None
    assert found.sinks is not None
    assert sums.sinks.digest == found.sinks.digest
    for model in sums.models:
        same = next(other for other in found.models if other.name == model.name)
        assert [at.drift for at in model.layers] == pytest.approx([at.drift for at in same.layers], abs=1e-5)
        assert all(at.random_change_drift is not None for at in model.layers)


def test_every_output_says_what_is_left_out(found, tmp_path):
    write_comparison(found, tmp_path)
    read = Comparison.read(tmp_path / "comparison.json")
    assert read.sinks == found.sinks
    assert "positions" not in json.loads((tmp_path / "comparison.json").read_text())["sinks"]
    assert f"leaves out {found.sinks.sinks} of" in (tmp_path / "comparison.md").read_text()


def test_mean_by_name_is_said_to_speak_of_one_feature(decoders, texts, tmp_path):
    command = ["compare", str(decoders["base"]), str(decoders["full"]), "--data", str(texts), "--pooling", "mean"]
    command += ["--no-controls", "--output-dir", str(tmp_path)]
    printed = CliRunner().invoke(app, command, catch_exceptions=False).stdout
    found = Comparison.read(tmp_path / "comparison.json")
    assert found.sinks is None
    assert len(found.headline) == 1
    assert all(at.values["cka_standardized"] is not None for at in found.models[0].layers)
    assert "one feature holds over half of the variance" in found.headline[0]
    assert "--pooling mean_without_sinks" in found.headline[0]
    lines = summary(found).splitlines()
    assert lines[2].startswith("**In layer"), "before every number"
    assert "| drift, scaled |" in summary(found)
    assert len(printed.splitlines()) <= 25
    before_numbers = " ".join(printed[: printed.index(f"{decoders['full'].name} against")].split())
    assert before_numbers.startswith("mind: In layer")
    assert "one feature holds over half of the variance" in before_numbers
    assert "beside plain drift" in before_numbers
    sums = compare(
        str(decoders["base"]),
        str(decoders["full"]),
        data=str(texts),
        pooling="mean",
        accumulate="moments",
        controls=False,
    )
    assert "--accumulate rows" in sums.headline[0]


def test_encoders_keep_the_mean(tiny_bert, tuned_bert, texts):
    auto = compare(str(tiny_bert), str(tuned_bert), data=str(texts), controls=False)
    named = compare(str(tiny_bert), str(tuned_bert), data=str(texts), controls=False, pooling="mean")
    assert auto.pooling == "mean"
    assert auto.sinks is None
    assert [at.drift for at in auto.models[0].layers] == [at.drift for at in named.models[0].layers]


def test_a_decoder_without_sinks_has_the_numbers_of_the_mean(tiny_llama, tmp_path, texts):
    tuned = save_tuned(tiny_llama, tmp_path / "tuned")
    both = [
        compare(str(tiny_llama), str(tuned), data=str(texts), controls=False, pooling=pooling, token_budget=64)
        for pooling in ("auto", "mean")
    ]
    assert both[0].sinks is not None
    assert both[0].sinks.sinks == 0
    assert [at.drift for at in both[0].models[0].layers] == [at.drift for at in both[1].models[0].layers]
    assert torch.tensor([at.drift for at in both[0].models[0].layers]).gt(0).all()
