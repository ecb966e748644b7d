"""Comparisons of the tiny models, and the samples that they read."""

from repdrift.comparison.comparing import compare
from repdrift.models import load_tokenizer, resolve_model
from repdrift.tasks import build_sample_set, load_rows, spec_of_file


def samples_of(base, texts):
    """The sample set of a file of texts, as a base model reads it."""
    spec = spec_of_file(texts)
    rows = load_rows(spec, "validation", labelled=False)
    return build_sample_set(spec, rows.rows, load_tokenizer(resolve_model(str(base))), max_length=64)


def run(models, names, texts, **options):
    """Compare the base model of the fixture `models` with the ones of these names."""
    return compare(str(models["base"]), [str(models[name]) for name in names], data=str(texts), **options)
