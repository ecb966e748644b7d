"""A set is of a model's weights and of the settings that give them their meaning: neither is exchanged unseen."""

import shutil
from dataclasses import replace

import pytest
import torch

from repdrift.extraction import ExtractionJob, ExtractionOptions, extract_set
from repdrift.models import resolve_model
from repdrift.stores import open_set
from tests.resealed import edit_record
from tests.unit.models.test_model_settings import edit

LENGTHS_BUDGET = 40


@pytest.fixture
def base(tmp_path, tiny_bert):
    return shutil.copytree(tiny_bert, tmp_path / "bert")


@pytest.fixture
def adapter(tmp_path, bert_adapter):
    return shutil.copytree(bert_adapter, tmp_path / "adapter")


def job(base, samples, tuned=None, **options):
    return ExtractionJob(
        "job", "base" if tuned is None else "lora", None if tuned is None else 1, 0, resolve_model(str(base)), samples,
        ExtractionOptions(token_budget=LENGTHS_BUDGET, **options), tuned=None if tuned is None else resolve_model(str(tuned)), num_labels=2,
    )  # fmt: skip


def layers(folder):
    stored = open_set(folder)
    return torch.stack([stored.layer(layer) for layer in stored.layers])


def test_a_set_of_a_changed_configuration_is_made_anew_under_the_same_key(base, samples, tmp_path, capsys):
    first, _ = extract_set(job(base, samples), tmp_path / "set")
    before = layers(tmp_path / "set").clone()
    assert set(first.settings) == {"base/config.json"}
    assert extract_set(job(base, samples), tmp_path / "set")[1] is False
    edit(base / "config.json", hidden_act="relu")
    second, new = extract_set(job(base, samples), tmp_path / "set")
    assert new
    assert (second.key, second.settings != first.settings) == (first.key, True)
    assert not torch.equal(layers(tmp_path / "set"), before)
    assert "of the same weights, with another base/config.json" in capsys.readouterr().err
    edit(base / "config.json", hidden_act="gelu")
    assert extract_set(job(base, samples), tmp_path / "set")[1] is True
    assert torch.equal(layers(tmp_path / "set"), before)


def test_a_changed_scaling_of_an_adapter_makes_its_set_anew(base, adapter, samples, tmp_path):
    first, _ = extract_set(job(base, samples, adapter), tmp_path / "set")
    assert set(first.settings) == {"base/config.json", "tuned/adapter_config.json"}
    edit(adapter / "adapter_config.json", lora_alpha=999)
    second, new = extract_set(job(base, samples, adapter), tmp_path / "set")
    assert new
    assert first.adapter is not None
    assert second.adapter is not None
    assert second.adapter[0].scaling != first.adapter[0].scaling


def test_a_set_of_an_older_version_is_taken(base, samples, tmp_path):
    extract_set(job(base, samples), tmp_path / "set")
    edit_record(tmp_path / "set/metadata.json", lambda content: content.pop("settings"))
    edit(base / "config.json", hidden_act="relu")
    assert extract_set(job(base, samples), tmp_path / "set")[1] is False


def test_an_unfinished_set_does_not_go_on_with_another_configuration(base, samples, tmp_path, interrupted_after):
    with interrupted_after(1):
        extract_set(job(base, samples), tmp_path / "cut")
    edit(base / "config.json", hidden_act="relu")
    extract_set(job(base, samples), tmp_path / "cut")
    extract_set(job(base, samples), tmp_path / "whole")
    assert torch.equal(layers(tmp_path / "cut"), layers(tmp_path / "whole"))


def test_a_set_of_an_older_version_is_reused_and_gets_its_groups(base, samples, tmp_path):
    old, _ = extract_set(job(base, samples), tmp_path / "set")
    assert old.sample_groups is None
    for field in ("sample_groups", "sample_group_unit"):  # as an older version wrote it
        edit_record(tmp_path / "set" / "metadata.json", lambda content, field=field: content.pop(field))
    names = tuple(str(number // 2) for number in range(len(samples)))
    grouped = replace(samples, groups=names, group_unit="paragraph")
    now, new = extract_set(job(base, grouped), tmp_path / "set")
    assert (new, now.key) == (False, old.key)
    assert open_set(tmp_path / "set").metadata == now
    assert (now.sample_groups, now.sample_group_unit) == (list(names), "paragraph")
    assert now.files == old.files
