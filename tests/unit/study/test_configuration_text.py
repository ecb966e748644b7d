"""A study as a file again: it means what the study means, and holds no secret."""

import pytest
import yaml

from repdrift.study.config import packaged_studies, packaged_study, parse_study
from repdrift.study.configuration_text import configuration_text

OWN = {"name": "own", "train": "t.csv", "validation": "v.csv", "text_columns": ["text"], "label_column": "label"}


def _again(config):
    return parse_study(yaml.safe_load(configuration_text(config)), where="again")


@pytest.mark.parametrize("name", packaged_studies())
def test_packaged_studies_come_back_as_they_are(name):
    assert _again(packaged_study(name)) == packaged_study(name)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"tune": None},
        {"tune": False},
        {"tune": {"trials": 3}},
        {"general_text": False},
        {"general_text": "texts.jsonl"},
        {"methods": ["full_finetune", {"name": "wide", "kind": "lora", "rank": 64}]},
        {"tasks": [OWN]},
        {"outcomes": ["probes"]},
        {"analysis": {"replicates": 0, "equal_skill_score": {"sst2": 0.8}}},
    ],
)
def test_whatever_a_study_says_is_said_again(more):
    config = parse_study({"name": "s", "model": "m", "tasks": ["sst2"], **more}, where="here")
    again = _again(config)
    assert again == config
    assert (again.tune is None) == (config.tune is None)
    assert (again.general_text is None) == (config.general_text is None)


def test_overrides_stand_in_it():
    config = packaged_study("demo").model_copy(update={"seeds": (7,), "model": "other"})
    said = yaml.safe_load(configuration_text(config))
    assert (said["seeds"], said["model"]) == ([7], "other")


def test_no_secret_stands_in_it():
    key = "AKIAABCDEFGHIJKLMNOP"
    entry = {**OWN, "train": f"s3://{key}:s3cr3tS3cr3t@bucket/t.csv"}
    config = parse_study(
        {"name": "s", "model": "m", "tasks": [entry], "data_dir": "s3://u:passw0rdpass@b/x"}, where="here"
    )
    text = configuration_text(config)
    for secret in (key, "s3cr3tS3cr3t", "passw0rdpass"):
        assert secret not in text
    assert yaml.safe_load(text)["tasks"][0]["name"] == "own"
