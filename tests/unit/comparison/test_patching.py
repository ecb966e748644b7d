"""Patching in a comparison: the laws that its shares keep, and what is said of them."""

import json
import shutil

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from repdrift.comparison.comparing import compare
from repdrift.core.errors import ConfigError, UnknownNameError
from repdrift.core.records.comparison import Comparison
from tests.command_line import run_here
from tests.tiny_models import write_sentences


def change_of(base, folder, matches, noise=0.3):
    """Saves `base` with noise added to the parameters whose name `matches`."""
    model = AutoModelForCausalLM.from_pretrained(base)
    generator = torch.Generator().manual_seed(3)
    for name, parameter in model.named_parameters():
        if matches(name):
            parameter.data += noise * torch.randn(parameter.shape, generator=generator)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def language_models(tiny_language_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("patched")
    changes = {
        "block_1": lambda name: "layers.1." in name,
        "embeddings": lambda name: "embed_tokens" in name,
        "head": lambda name: "lm_head" in name,
        "all": lambda name: "lm_head" not in name and name != "model.norm.weight",
        "same": lambda _: False,
    }
    found = {name: change_of(tiny_language_model, folder / name, matches) for name, matches in changes.items()}
    return {"base": tiny_language_model, **found}


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return write_sentences(tmp_path_factory.mktemp("texts") / "lines.txt", 14)


def patched(models, names, texts, **options):
    tuned = [str(models[name]) for name in names]
    fixed = {"layers": (0,), "controls": False, "patch": True}
    return compare(str(models["base"]), tuned, data=str(texts), **{**fixed, **options})


@pytest.fixture(scope="module")
def result(language_models, texts, tmp_path_factory):
    names = [name for name in language_models if name != "base"]
    return patched(language_models, names, texts, output_dir=tmp_path_factory.mktemp("out"))


@pytest.fixture(scope="module")
def by_name(result):
    return {found.model: found for found in result.patching}


def shares(found):
    return [at.undone.share for at in found.layers], [at.brought.share for at in found.layers]


def test_change_in_one_block_goes_through_that_block_and_all_above_it(by_name):
    assert shares(by_name["block_1"]) == ([0, 1, 1], [0, 1, 1])


def test_change_below_every_block_goes_through_all_of_them(by_name):
    assert shares(by_name["embeddings"]) == ([1, 1, 1], [1, 1, 1])


def test_change_above_every_block_goes_through_none(by_name):
    assert shares(by_name["head"]) == ([0, 0, 0], [0, 0, 0])
    assert any("final norm or a head differs" in note for note in by_name["head"].notes)


def test_last_state_with_an_equal_head_gives_the_other_output_exactly(by_name):
    last = by_name["all"].layers[-1]
    assert (last.undone.distance, last.brought.distance) == (0, 0)
    assert (last.undone.share, last.brought.share) == (1, 1)
    assert not by_name["all"].notes


def test_equal_models_have_nothing_to_explain(by_name):
    found = by_name["same"]
    assert found.status == "not patched"
    assert found.layers == []
    assert found.change == 0
    assert "no change to explain" in found.reason


def test_shares_are_those_of_a_float64_program(language_models, texts, by_name):
    base, tuned = (
        AutoModelForCausalLM.from_pretrained(language_models[name]).double().eval() for name in ("base", "all")
    )
    tokenizer = AutoTokenizer.from_pretrained(language_models["base"])

    def log_probabilities(model, ids, layer=None, state=None):
        handle = None
        if layer is not None:
            handle = model.model.layers[layer].register_forward_hook(lambda *_: state)
        logits = model(input_ids=ids).logits[0, :-1]
        if handle is not None:
            handle.remove()
        return torch.log_softmax(logits, dim=1)

    def states(model, ids):
        # Of the last block, transformers gives the state behind the final norm; layers 0 and 1 are enough here.
        return model(input_ids=ids, output_hidden_states=True).hidden_states[1:-1]

    def kl(p, q):
        return float((p.exp() * (p - q)).sum())

    change, left, rows = np.zeros(2), np.zeros((2, 2)), 0
    with torch.inference_mode():
        for line in texts.read_text().splitlines():
            ids = torch.tensor([tokenizer(line)["input_ids"]])
            p, q = log_probabilities(base, ids), log_probabilities(tuned, ids)
            change += (kl(p, q), kl(q, p))
            rows += len(p)
            for layer in range(2):
                left[layer, 0] += kl(p, log_probabilities(tuned, ids, layer, states(base, ids)[layer]))
                left[layer, 1] += kl(q, log_probabilities(base, ids, layer, states(tuned, ids)[layer]))
    found = by_name["all"]
    np.testing.assert_allclose([found.change, found.change_back], change / rows, rtol=1e-4)
    undone, brought = shares(found)
    np.testing.assert_allclose(undone[:2], 1 - left[:, 0] / change[0], atol=2e-4)
    np.testing.assert_allclose(brought[:2], 1 - left[:, 1] / change[1], atol=2e-4)
    assert 0 < min(undone) < 0.9


def test_zero_drift_beside_changed_outputs_is_no_training_without_a_step(result):
    said = [warning for warning in result.warnings if "drift is zero" in warning]
    assert any(w.startswith(("block_1 and head", "head and block_1")) and "or the head" in w for w in said)
    assert any(w.startswith("same changes nothing") for w in said)


def test_intervals_hold_the_share_and_few_samples_have_none(language_models, texts, by_name):
    middle = by_name["all"].layers[1].undone
    assert middle.low < middle.share < middle.high
    few = patched(language_models, ["all"], texts, patch_samples=8).patching[0]
    assert few.samples == 8
    assert few.layers[1].undone.low is None
    assert any("8 samples, and an interval needs 10" in note for note in few.notes)


def test_batches_and_chosen_layers_change_nothing(language_models, texts, by_name):
    found = patched(language_models, ["all"], texts, token_budget=20, patch_layers=(1,)).patching[0]
    assert [at.layer for at in found.layers] == [1]
    assert found.layers[0].undone.share == pytest.approx(by_name["all"].layers[1].undone.share, abs=1e-4)


def test_everything_stands_in_the_files(result, tmp_path_factory):
    folder = next(path for path in tmp_path_factory.getbasetemp().glob("out*") if (path / "patching.csv").is_file())
    read = Comparison.read(folder / "comparison.json")
    assert read.patching == result.patching
    rows = (folder / "patching.csv").read_text().splitlines()
    assert len(rows) == 1 + 4 * 2 * 3 + 1
    assert any("same,base," in row and "no change to explain" in row for row in rows)
    text = (folder / "comparison.md").read_text()
    assert "## Which layers the output change goes through" in text
    assert "undoes 100 %" in text
    for kind in ("png", "pdf"):
        assert (folder / f"patched_share_by_layer.{kind}").stat().st_size > 5000


def test_command_says_cost_and_answer(language_models, texts, tmp_path):
    for name in ("base", "block_1"):  # short names, so that the headline has room for all that was found
        shutil.copytree(language_models[name], tmp_path / name)
    found = run_here(
        f"python -m repdrift compare base block_1 --data {texts} --patch --patch-layers 1 --no-controls --layer 0 --output-dir out",
        tmp_path,
    )
    assert "1 layer in both directions, 4 forward passes for each of 14 samples" in found.stderr
    said = "putting the base's state back after layer 1 undoes 100 % [100, 100] of the output change"
    assert said in " ".join(found.stdout.partition("\n\n")[0].split())
    assert said in (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8").replace("\\", "")
    assert json.loads((tmp_path / "out" / "comparison.json").read_text())["patching"][0]["layers"][0]["layer"] == 1


def test_a_model_without_a_head_is_named_with_the_reason(tiny_llama, language_models, texts):
    found = patched({**language_models, "base": tiny_llama}, ["all"], texts)
    assert [each.status for each in found.patching] == ["not patched"]
    assert "head" in str(found.patching[0].reason)
    assert found.compared


def test_wrong_options_are_refused(language_models, texts):
    with pytest.raises(UnknownNameError, match="layer 7 not in"):
        patched(language_models, ["all"], texts, patch_layers=(7,))
    with pytest.raises(ConfigError, match="patch_layers"):
        patched(language_models, ["all"], texts, patch=False, patch_layers=(1,))
