"""Facts about samples: texts, labels and columns that no model reads."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from repdrift.core.errors import UnknownNameError
from repdrift.tasks import read_own_file
from repdrift.tasks.builtin.sst2 import SST2
from repdrift.tasks.sample_facts import TEXT_KEPT, cell_text, facts_of, shortened_text


def test_labels_have_their_names_and_may_be_missing() -> None:
    rows = [{"sentence": "good", "label": 1, "idx": 0}, {"sentence": "bad", "label": 0, "idx": 1}]
    assert facts_of(SST2, rows).labels == ("positive", "negative")
    unlabelled = facts_of(SST2, [{"sentence": "good", "idx": 0}])
    assert unlabelled.labels is None
    assert unlabelled.texts == ("good",)


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, None), (float("nan"), None), ("  ", None), (3.0, "3"), (0.5, "0.5"), (True, "true"), (Decimal(2), "2")],
)
def test_cells_as_texts(value: object, text: str | None) -> None:
    assert cell_text(value) == text


def test_long_texts_and_cells_are_cut() -> None:
    assert shortened_text("x" * 1_000_000) == "x" * TEXT_KEPT + "… (1,000,000 characters)"
    assert len(cell_text("y" * 500) or "") == 80


def test_columns_of_a_users_file_are_kept_and_are_no_part_of_the_data(tmp_path: Path) -> None:
    path = tmp_path / "own.csv"
    path.write_text("text,topic,score\n" + "".join(f"line {i},t{i % 2},{i / 2 if i else ''}\n" for i in range(6)))
    plain = read_own_file(path, text_columns=["text"])
    found = read_own_file(path, text_columns=["text"], sample_columns=["topic", "score"])
    assert found.rows.fingerprint == plain.rows.fingerprint
    facts = facts_of(found.spec, found.rows.rows)
    assert facts.columns["topic"] == ("t0", "t1") * 3
    assert facts.columns["score"][:3] == (None, "0.5", "1.0")
    assert facts.part([5, 0]).columns["topic"] == ("t1", "t0")
    assert facts.without_texts().texts is None
    assert read_own_file(path, sample_columns=["topic"]).spec.text_columns == ("text",)
    with pytest.raises(UnknownNameError, match="topics"):
        read_own_file(path, sample_columns=["topics"])
