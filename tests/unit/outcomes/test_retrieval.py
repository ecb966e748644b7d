"""Retrieval: the rank of the right passage, held to a float64 program of its own; ties, repeated texts, adapters, and input that gives no pairs."""

import csv

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

from repdrift.core.errors import ConfigError, DataError, NonFiniteError
from repdrift.core.records.outcomes import ON_BENCHMARK
from repdrift.models import load_tokenizer, resolve_model
from repdrift.outcomes.kinds.retrieval import ranks
from repdrift.outcomes.outcome import ScoredRows, Subject, outcomes
from repdrift.outcomes.retrieval_texts import RetrievalOptions, TextPairs, read_pairs
from repdrift.study.chosen_outcomes import chosen_outcomes
from repdrift.tasks import SampleSet
from tests.tiny_models import save_adapter, save_bert, save_llama, save_tuned, sentence

KIND = outcomes.get("retrieval")
PAIRS = [(sentence(n, 4 + n % 3), sentence(100 + n // 2, 9)) for n in range(40)]
"""Forty queries, two on each of twenty passages."""


def write_pairs(path, pairs=PAIRS, columns=("query", "passage")):
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["id", *columns])
        rows.writerows([f"q{n}", *pair] for n, pair in enumerate(pairs))
    return path


@pytest.fixture
def file(tmp_path):
    return write_pairs(tmp_path / "pairs.csv")


def options_of(file, **more):
    return KIND.options({"source": str(file), "text_columns": ["query", "passage"], **more})


def subject_of(base, tuned, *, task_kind="classification"):
    source = resolve_model(str(base))
    samples = SampleSet("t", ("a",), ((1, 2),), None, 0, "test", tokenizer=load_tokenizer(source))
    return Subject(
        task="t", method="lora", seed=1, step=0, task_kind=task_kind, num_labels=2, base=source, tuned=resolve_model(str(tuned)),
        samples=samples, score_rows=lambda: ScoredRows([], None, [], ""), rows_fingerprint="",
    )  # fmt: skip


def vectors_by_hand(folder, texts, pooling):
    model, tokenizer = AutoModel.from_pretrained(folder).double().eval(), AutoTokenizer.from_pretrained(folder)
    found = []
    for text in texts:  # one at a time: no padding
        with torch.inference_mode():
            states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        found.append({"mean": states.mean(0), "cls": states[0], "last": states[-1]}[pooling].numpy())
    return np.array(found)


def ranks_by_hand(folder, pooling="mean"):
    passages = list(dict.fromkeys(passage for _, passage in PAIRS))
    queries = vectors_by_hand(folder, [query for query, _ in PAIRS], pooling)
    wanted = vectors_by_hand(folder, passages, pooling)
    found = []
    for vector, (query, passage) in zip(queries, PAIRS, strict=True):
        cosine = [vector @ other / np.linalg.norm(vector) / np.linalg.norm(other) for other in wanted]
        also = {p for q, p in PAIRS if q == query}
        own = cosine[passages.index(passage)]
        found.append(1 + sum(c > own for c, text in zip(cosine, passages, strict=True) if text not in also))
    return np.array(found, dtype=float)


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_ranks_are_those_of_a_float64_program(file, tmp_path, pooling):
    base = save_bert(tmp_path / "base")
    tuned = save_tuned(base, tmp_path / "tuned", noise=0.3)
    measured = KIND.measure(subject_of(base, tuned), options_of(file, pooling=pooling))
    rank, first = measured.items
    assert (rank.info.name, first.info.name, rank.inputs) == ("retrieval", "retrieval_first", ON_BENCHMARK)
    np.testing.assert_allclose(1 / rank.values, ranks_by_hand(tuned, pooling), atol=1e-9)
    np.testing.assert_allclose(1 / rank.base_values, ranks_by_hand(base, pooling), atol=1e-9)
    np.testing.assert_array_equal(first.values, ranks_by_hand(tuned, pooling) == 1)
    assert len(set(rank.groups)) == 20
    assert not np.array_equal(rank.values, rank.base_values)


def test_an_adapter_and_a_decoder_are_read_as_they_run(file, tmp_path):
    from peft import PeftModel

    base = save_llama(tmp_path / "base")
    adapter = save_adapter(base, tmp_path / "adapter")
    headed = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2)
    PeftModel.from_pretrained(headed, adapter).merge_and_unload().model.save_pretrained(tmp_path / "merged")
    AutoTokenizer.from_pretrained(base).save_pretrained(tmp_path / "merged")
    measured = KIND.measure(subject_of(base, adapter), options_of(file, pooling="last"))
    np.testing.assert_allclose(1 / measured.items[0].values, ranks_by_hand(tmp_path / "merged", "last"), atol=1e-9)


def test_a_model_that_is_its_base_loses_exactly_nothing(file, tmp_path):
    base = save_bert(tmp_path / "base")
    measured = KIND.measure(subject_of(base, base), options_of(file))
    for items in measured.items:
        np.testing.assert_array_equal(items.values, items.base_values)


def pairs_of(partners, n_passages, also=None):
    """Pairs without texts, for what only needs to know which belong together."""
    empty = SampleSet("p", tuple(f"passage {i + 1}" for i in range(n_passages)), ((1,),) * n_passages, None, 0, "test")
    right = also or [frozenset({p}) for p in partners]
    return TextPairs([str(i) for i in range(len(partners))], empty, empty, partners, right)


def test_a_model_to_which_all_texts_are_alike_is_at_chance_and_not_at_the_top():
    same = np.ones((12, 3)) / np.sqrt(3)
    found = ranks(same, same, pairs_of(list(range(12)), 12))
    np.testing.assert_allclose(found, 1 + 11 / 2)


def test_a_perfect_model_has_rank_one_and_a_reversed_one_the_last():
    corners = np.eye(12)
    assert (ranks(corners, corners, pairs_of(list(range(12)), 12)) == 1).all()
    turned = ranks(-corners, corners, pairs_of(list(range(12)), 12))
    assert (turned == 12).all()


def test_a_passage_beside_an_equal_query_is_not_held_against_it():
    passages = np.eye(12)
    queries = passages[[1, 1]]
    both = [frozenset({0, 1})] * 2
    # The first pair wants passage 0, which is as far as the ten others: ranks 1 to 11 shared.
    assert list(ranks(queries, passages, pairs_of([0, 1], 12, both))) == [1 + 10 / 2, 1]
    assert ranks(queries, passages, pairs_of([0, 1], 12))[0] == 1 + 1 + 10 / 2


def test_what_was_read_stands_in_the_notes(file, tmp_path):
    base = save_bert(tmp_path / "base")
    notes = KIND.measure(subject_of(base, base), options_of(file, max_length=6)).notes
    assert notes[0] == f"40 queries look for 20 passages of file {file}."
    assert "20 passages of 20 cut at 6 tokens." in notes
    expected = np.mean([1 / rank for rank in range(1, 21)])
    assert f"Retrieval by chance: reciprocal rank {expected:.3f}, right passage first 0.050." in notes


def test_pairs_are_chosen_by_their_ids_and_not_by_their_order(tmp_path):
    tokenizer = load_tokenizer(resolve_model(str(save_bert(tmp_path / "base"))))
    columns = ("query", "passage")

    def chosen(name, pairs):
        options = RetrievalOptions(source=str(write_pairs(tmp_path / name, pairs)), text_columns=columns, pairs=25)
        return len(read_pairs(options, tokenizer).ids)

    assert chosen("a.csv", PAIRS) == 25
    every = RetrievalOptions(source=str(tmp_path / "a.csv"), text_columns=columns, pairs=0)
    assert len(read_pairs(every, tokenizer).ids) == 40


def test_the_key_follows_texts_and_partners(file, tmp_path):
    base = save_bert(tmp_path / "base")
    key = KIND.for_key(subject_of(base, base), options_of(file))
    turned = write_pairs(tmp_path / "turned.csv", [(q, PAIRS[-1 - n][1]) for n, (q, _) in enumerate(PAIRS)])
    assert KIND.for_key(subject_of(base, base), options_of(file)) == key
    assert KIND.for_key(subject_of(base, base), options_of(turned)) != key
    before = KIND.that_count(options_of(file))
    write_pairs(file, PAIRS[::-1])
    assert KIND.that_count(options_of(file)) != before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (True, "name behind it what is to be found"),
        ({}, "source"),
        ({"source": "pairs.csv", "pooling": "max"}, "pooling"),
        ({"source": "pairs.csv", "text_columns": ["query"]}, "text_columns"),
        ({"source": "pairs.csv", "pair": 3}, "pair"),
    ],
)
def test_faulty_options_are_named(given, said):
    with pytest.raises(ConfigError, match=said):
        KIND.options(given)


def test_it_is_measured_only_where_a_study_names_it():
    assert "retrieval" not in chosen_outcomes(None)
    assert chosen_outcomes({"retrieval": "squad_v2"})["retrieval"]["source"] == "squad_v2"


def test_input_without_pairs_is_refused(tmp_path):
    base = save_bert(tmp_path / "base")
    tokenizer = load_tokenizer(resolve_model(str(base)))
    few = write_pairs(tmp_path / "few.csv", PAIRS[:6])
    with pytest.raises(DataError, match="3 different passages in column 'passage' among 6 pairs; at least 10"):
        read_pairs(RetrievalOptions(source=str(few), text_columns=("query", "passage")), tokenizer)
    one = tmp_path / "one.csv"
    one.write_text("text\n" + "\n".join(query for query, _ in PAIRS))
    with pytest.raises(DataError, match="a pair is two texts, and one column was found"):
        read_pairs(RetrievalOptions(source=str(one)), tokenizer)
    with pytest.raises(ConfigError, match="need not belong together"):
        read_pairs(RetrievalOptions(source="mrpc"), tokenizer)


def test_a_model_that_gives_nan_is_named(file, tmp_path):
    base = save_bert(tmp_path / "base")
    broken = AutoModel.from_pretrained(base)
    for parameter in broken.parameters():
        parameter.data.fill_(float("nan"))
    broken.save_pretrained(tmp_path / "broken")
    AutoTokenizer.from_pretrained(base).save_pretrained(tmp_path / "broken")
    with pytest.raises(NonFiniteError, match="t, lora, seed 1"):
        KIND.measure(subject_of(base, tmp_path / "broken"), options_of(file))
