"""Models are gone from memory when their set is written, without a search for cycles of references."""

import gc

import pytest
from transformers import BertModel

from repdrift.extraction import ExtractionJob, ExtractionOptions, extract_set
from repdrift.models import load_tokenizer, resolve_model
from repdrift.tasks import build_sample_set, load_rows, spec_of_file
from tests.tiny_models import write_sentences


def _models_in_memory() -> int:
    return sum(type(thing) is BertModel for thing in gc.get_objects())


@pytest.mark.parametrize("schedule", ["sample", "layer"])
@pytest.mark.parametrize("tuned", [None, "tuned_bert", "bert_adapter"])
def test_model_is_freed_when_its_set_is_written(request, tiny_bert, tmp_path, tuned, schedule):
    base = resolve_model(str(tiny_bert))
    spec = spec_of_file(write_sentences(tmp_path / "texts.txt", 40))
    rows = load_rows(spec, "validation", labelled=False)
    samples = build_sample_set(spec, rows.rows, load_tokenizer(base), max_length=64)
    source = None if tuned is None else resolve_model(str(request.getfixturevalue(tuned)))
    method, seed = ("base", None) if source is None else ("lora" if source.is_adapter else "full_finetune", 1)
    options = ExtractionOptions(schedule=schedule)
    job = ExtractionJob("job", method, seed, 0, base, samples, options, tuned=source, num_labels=2)
    gc.collect()
    gc.disable()
    try:
        before = _models_in_memory()
        extract_set(job, tmp_path / "set")
        assert _models_in_memory() == before
    finally:
        gc.enable()
