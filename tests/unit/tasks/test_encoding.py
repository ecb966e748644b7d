import pytest

from repdrift.core.errors import DataError
from repdrift.models import load_tokenizer, resolve_model
from repdrift.tasks import TaskSpec, build_sample_set, effective_max_length


@pytest.fixture(scope="module")
def tokenizer(tiny_bert):
    return load_tokenizer(resolve_model(str(tiny_bert)))


def test_decoder_pairs_are_kept_apart(tiny_llama):
    tokenizer = load_tokenizer(resolve_model(str(tiny_llama)))
    spec = TaskSpec("pairs", "classification", ("a", "b"), None, "pairs")
    rows = [
        {"a": "the cat", "b": "sat"},
        {"a": "the", "b": "cat sat"},
        {"a": "dog", "b": "ran"},
        {"a": "bird", "b": "flew"},
    ]
    samples = build_sample_set(spec, rows, tokenizer, max_length=16)
    ends = [tokenizer(text)["input_ids"] for text in ("the cat sat", "the\ncat sat")]
    assert list(samples.input_ids[1]) == ends[1]


def test_more_tokens_than_the_model_takes_are_refused(tokenizer, tiny_bert):
    from transformers import AutoConfig

    with pytest.raises(DataError, match="max_length 100 is more than the model's maximum of 64"):
        effective_max_length(tokenizer, AutoConfig.from_pretrained(tiny_bert), 100)
