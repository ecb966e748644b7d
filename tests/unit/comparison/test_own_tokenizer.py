"""Models with another tokenizer: refused unless asked for, then compared by the layer grid over texts or words."""

import numpy as np
import pytest
import torch

from repdrift.comparison import compare
from repdrift.comparison.own_rows import word_rows
from repdrift.core.errors import ModelError
from repdrift.extraction import RepresentationExtractor
from repdrift.models import load_backbone, resolve_model
from tests.unit.comparison.tiny_comparisons import samples_of

OPTIONS = {"controls": False, "sections": ("grid",)}


def test_another_tokenizer_is_refused_unless_it_is_asked_for(tiny_bert, tiny_llama, texts):
    with pytest.raises(ModelError, match=r"(?s)another tokenizer.*--own-tokenizer"):
        compare(str(tiny_bert), [str(tiny_llama)], data=str(texts), **OPTIONS)
    with pytest.raises(ModelError, match=r"(?s)another tokenizer.*--with grid"):
        compare(str(tiny_bert), [str(tiny_llama)], data=str(texts), controls=False, sections=(), own_tokenizer="text")


def test_encoder_and_decoder_are_compared_over_texts_each_with_its_own_tokens(tiny_bert, tiny_llama, tuned_bert, texts):
    result = compare(
        str(tiny_bert), [str(tiny_llama), str(tuned_bert)], data=str(texts), own_tokenizer="text", **OPTIONS
    )
    llama, tuned = result.models
    assert (llama.status, tuned.status) == ("compared by grid", "compared")
    assert "tokenizer of its own (--own-tokenizer text)" in llama.notes[0]
    assert llama.outputs is None
    grid = llama.moved.grid
    assert (grid.row_is, grid.rows, grid.by_number) == ("text", result.samples, False)
    assert any("pooled by mean for the base model and mean_without_sinks for this one" in note for note in grid.notes)
    assert any("attention sinks by its own norms" in note for note in grid.notes)
    own = RepresentationExtractor(load_backbone(resolve_model(str(tiny_llama))), pooling="mean").extract(
        samples_of(tiny_llama, texts)
    )
    base = RepresentationExtractor(load_backbone(resolve_model(str(tiny_bert))), pooling="mean").extract(
        samples_of(tiny_bert, texts)
    )
    from repdrift.similarity import measure

    values = np.array(next(m for m in grid.matrices if m.kind == "base_tuned").values)
    expected = np.array([[measure("cka")(base[i], own[j]) for j in sorted(own)] for i in sorted(base)])
    assert values == pytest.approx(expected, abs=1e-5)  # no token of a random model is a sink
    assert all(at.moved is None for at in grid.of_tuned)


def test_words_pair_the_tokens_of_both(tiny_bert, tiny_llama, texts):
    result = compare(str(tiny_bert), [str(tiny_llama)], data=str(texts), own_tokenizer="word", **OPTIONS)
    grid = result.models[0].moved.grid
    assert grid.row_is == "word"
    assert grid.rows > result.samples
    assert f"jackknife over {result.samples} texts" in grid.interval
    assert any(note.startswith("A row is a word") for note in grid.notes)


def test_a_models_own_words_are_means_over_its_tokens(tiny_bert, texts):
    samples = samples_of(tiny_bert, texts)
    model = load_backbone(resolve_model(str(tiny_bert)))
    tokens = RepresentationExtractor(model, pooling="tokens").extract(samples)
    starts = np.cumsum([0, *samples.lengths])
    words = [(0, (1,)), (3, (1, 2)), (len(samples) - 1, (2, 0, 1))]
    rows = word_rows(RepresentationExtractor(model, pooling="tokens", token_budget=30), samples, words, what="words")
    for layer, values in rows.items():
        for row, (sample, over) in zip(values, words, strict=True):
            expected = torch.stack([tokens[layer][starts[sample] + at] for at in over]).mean(dim=0)
            assert torch.allclose(row, expected, atol=1e-5)


def test_the_same_model_read_by_words_of_another_tokenizer_is_itself(tiny_llama, texts, tmp_path):
    """Ids of two words are exchanged in tokenizer and embedding alike: other tokens, the same model."""
    import json
    import shutil

    from transformers import LlamaModel

    other = tmp_path / "other"
    shutil.copytree(tiny_llama, other)
    tokenizer = json.loads((other / "tokenizer.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    a, b = vocabulary["the"], vocabulary["cat"]
    vocabulary["the"], vocabulary["cat"] = b, a
    (other / "tokenizer.json").write_text(json.dumps(tokenizer))
    model = LlamaModel.from_pretrained(other)
    with torch.no_grad():
        model.embed_tokens.weight[[a, b]] = model.embed_tokens.weight[[b, a]].clone()
    model.save_pretrained(other)
    for by in ("text", "word"):
        grid = compare(str(tiny_llama), [str(other)], data=str(texts), own_tokenizer=by, **OPTIONS).models[0].moved.grid
        assert [at.value for at in grid.of_tuned] == pytest.approx([1.0] * 3, abs=1e-6)
        assert all(at.best == at.layer and at.moved is None for at in grid.of_tuned)
        assert grid.by_number


def test_rows_of_tokens_cannot_be_paired(tiny_bert, tiny_llama, texts):
    with pytest.raises(ModelError, match=r"--own-tokenizer word"):
        compare(
            str(tiny_bert),
            [str(tiny_llama)],
            data=str(texts),
            own_tokenizer="text",
            pooling="tokens",
            accumulate="rows",
            **OPTIONS,
        )


def test_texts_that_were_cut_are_counted_for_each(tiny_bert, tiny_llama, texts):
    result = compare(str(tiny_bert), [str(tiny_llama)], data=str(texts), own_tokenizer="word", max_length=7, **OPTIONS)
    notes = result.models[0].moved.grid.notes
    assert any("stand where a text was cut" in note for note in notes)
    by_text = compare(str(tiny_bert), [str(tiny_llama)], data=str(texts), own_tokenizer="text", max_length=7, **OPTIONS)
    assert any(
        note.startswith("Texts were cut for each model by itself") for note in by_text.models[0].moved.grid.notes
    )
