import json

import pandas as pd
import pytest

from repdrift.core.errors import DataError
from repdrift.models import load_tokenizer, resolve_model
from repdrift.tasks import build_sample_set, choose_rows, task
from repdrift.tasks.checked_rows import checked_rows
from repdrift.tasks.data_files import read_table


@pytest.fixture(scope="module")
def tokenizer(tiny_bert):
    return load_tokenizer(resolve_model(str(tiny_bert)))


def test_the_three_formats_give_the_same_sample_set(tmp_path, tokenizer):
    rows = [
        {"sentence": f"the {w} sat, on the dog", "label": i % 2, "idx": i}
        for i, w in enumerate(["cat", "dog", "bird", "tree", "town"])
    ]
    frame = pd.DataFrame(rows)
    frame.to_parquet(tmp_path / "x.parquet")
    frame.to_csv(tmp_path / "x.csv", index=False)
    (tmp_path / "x.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    sets = [
        build_sample_set(
            task("sst2"), checked_rows(read_table(tmp_path / f"x.{end}"), task("sst2"))[0], tokenizer, max_length=16
        )
        for end in ("parquet", "csv", "jsonl")
    ]
    assert len({s.fingerprint for s in sets}) == 1


def _rows(count):
    return [{"sentence": f"the cat {'very ' * (i % 5)}sat", "label": 0, "idx": i} for i in range(count)]


def test_fingerprint_sees_text_ids_and_order(tokenizer):
    spec, rows = task("sst2"), _rows(6)
    base = build_sample_set(spec, rows, tokenizer, max_length=16).fingerprint
    other_text = [*rows[:5], {**rows[5], "sentence": "the dog sat"}]
    other_id = [*rows[:5], {**rows[5], "idx": 99}]
    for changed in (other_text, other_id, rows[::-1], rows[:5]):
        assert build_sample_set(spec, changed, tokenizer, max_length=16).fingerprint != base
    assert build_sample_set(spec, rows, tokenizer, max_length=30).fingerprint == base, (
        "nothing was cut: the same inputs"
    )


def test_choice_of_samples_does_not_depend_on_the_order_of_the_file(tokenizer):
    spec, rows = task("sst2"), _rows(40)
    chosen = build_sample_set(spec, rows, tokenizer, max_length=16, n_samples=10)
    shuffled = build_sample_set(spec, rows[::-1], tokenizer, max_length=16, n_samples=10)
    assert set(chosen.sample_ids) == set(shuffled.sample_ids)
    assert list(chosen.sample_ids) == sorted(chosen.sample_ids, key=int), "the file's order is kept"
    assert chosen.sample_ids != tuple(str(i) for i in range(10)), "not simply the first ten"


def test_smaller_choice_is_part_of_the_larger():
    small, large = (choose_rows(task("sst2"), _rows(40), n) for n in (8, 20))
    assert all(row in large for row in small)


def test_too_few_and_double_samples_are_refused(tokenizer):
    with pytest.raises(DataError, match="has 3 samples.*at least 4"):
        build_sample_set(task("sst2"), _rows(3), tokenizer, max_length=16)
    with pytest.raises(DataError, match="sample id '1' is there twice"):
        build_sample_set(task("sst2"), [*_rows(4), _rows(2)[1]], tokenizer, max_length=16)


def test_cut_samples_are_counted(tokenizer):
    samples = build_sample_set(task("sst2"), _rows(10), tokenizer, max_length=6)
    lengths = [len(tokenizer(row["sentence"])["input_ids"]) for row in _rows(10)]
    assert samples.truncated_samples == sum(length > 6 for length in lengths) > 0
    assert max(samples.lengths) == 6
