"""The reference is complete: every field of a study file is described, every public name of a package has its page."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from repdrift.study.config import StudyConfig
from repdrift.training import TrainingOptions, tuning_kinds
from tests.documentation.pages import DOCS, ROOT, blocks

sys.path.insert(0, str(DOCS / "_extensions"))
from field_words import default_words, field_descriptions, limits, records_within, type_words

RECORDS = [
    *records_within(StudyConfig),
    TrainingOptions,
    *(tuning_kinds.get(name).options for name in tuning_kinds.names()),
]
DESCRIBED_ELSEWHERE = {"TrainingOverrides"}
"""Made of another record by a program: its fields are those of TrainingOptions."""
NOT_FOR_IMPORT = {
    "report.page",
    "report.page.study",
    "report.glance",
    "drift.inference",
    "drift.measured_outcomes",
    "drift.summary",
}
"""Packages whose `__all__` is for repdrift's own use; so is that of everything in `core/`."""


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_every_field_of_a_study_file_is_described(record):
    if record.__name__ not in DESCRIBED_ELSEWHERE:
        assert set(record.model_fields) - set(field_descriptions(record)) == set()


def test_every_part_of_a_study_file_is_on_its_page():
    shown = {block.argument.rpartition(".")[2] for block in blocks() if block.kind == "{fields-of}"}
    shown |= {tuning_kinds.get(name).options.__name__ for name in tuning_kinds.names()}
    assert {record.__name__ for record in RECORDS} - DESCRIBED_ELSEWHERE - shown == set()


def test_every_package_with_public_names_has_its_page():
    folder = ROOT / "src" / "repdrift"
    public = {
        ".".join(("repdrift", *path.parent.relative_to(folder).parts))
        for path in folder.rglob("__init__.py")
        if re.search(r"^__all__ = ", path.read_text(encoding="utf-8"), re.MULTILINE)
        and folder / "core" not in path.parents
    }
    shown = {block.argument for block in blocks() if block.kind == "{public-names}"}
    assert public - {f"repdrift.{name}" for name in NOT_FOR_IMPORT} == shown


def test_types_limits_and_defaults_are_in_words():
    seeds = StudyConfig.model_fields["seeds"]
    assert type_words(seeds.annotation) == "list of whole number"
    assert default_words(seeds) == "default [42, 1337, 2024]"
    assert type_words(dict[str, float | None]) == "mapping from text to number or null"
    assert type_words(Path | None) == "path or null"
    assert limits(TrainingOptions.model_fields["epochs"]) == "above 0, at most 10,000"
    assert default_words(StudyConfig.model_fields["model"]) == "required"
