"""Texts token by token: values stand at the token that they predict, and pieces of text join to the text."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from repdrift.models import load_tokenizer, resolve_model
from repdrift.outcomes.base_outputs import run_base
from repdrift.outcomes.options import OutputOptions
from repdrift.outcomes.output_pass import read_outputs
from repdrift.outcomes.token_strips import pieces, token_strips, without_secret_pieces
from repdrift.tasks import build_sample_set, read_own_file
from tests.tiny_models import save_language_model, sentence


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A language model, and one whose head was changed for the token `quickly`."""
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("two")
    base = save_language_model(folder / "base")
    tuned = save_language_model(folder / "tuned")
    model = AutoModelForCausalLM.from_pretrained(tuned)
    token = load_tokenizer(resolve_model(str(base))).convert_tokens_to_ids("cat")
    with torch.no_grad():
        model.model.embed_tokens.weight[token] += 3.0
    model.save_pretrained(tuned)
    rows = [sentence(i, 8).replace("cat", "dog") for i in range(12)]
    rows[5] = "the dog saw cat and ran on"
    path = folder / "texts.txt"
    path.write_text("".join(f"{row}\n" for row in rows))
    read = read_own_file(path)
    source = resolve_model(str(base))
    samples = build_sample_set(read.spec, read.rows.rows, load_tokenizer(source), max_length=32)
    return source, resolve_model(str(tuned)), samples


def test_values_are_the_kl_of_each_token_and_stand_where_it_is_predicted(two):
    source, tuned, samples = two
    base = run_base(source, samples, OutputOptions())
    read = read_outputs(base, tuned, samples, outcomes=["output_kl"])
    strips = token_strips(read, base, "task", most=20)
    assert [strip.sample for strip in strips] == ["5"]  # in the others nothing changed
    (strip,) = strips
    from transformers import AutoModelForCausalLM

    ids = torch.tensor([list(samples.input_ids[5])])
    logs = [
        torch.log_softmax(AutoModelForCausalLM.from_pretrained(of.path)(ids).logits[0].double(), dim=-1)
        for of in (source, tuned)
    ]
    expected = (logs[0].exp() * (logs[0] - logs[1])).sum(dim=-1)
    values = np.array(strip.values[1:], dtype=float)
    assert strip.values[0] is None
    assert values == pytest.approx(expected[:-1].detach().numpy(), abs=1e-5)
    assert strip.mean == pytest.approx(values.mean(), abs=1e-6)
    assert "".join(strip.tokens) == samples.tokenizer.decode(
        list(samples.input_ids[5]), clean_up_tokenization_spaces=False
    )
    at = [piece.strip() for piece in strip.tokens].index("cat")
    assert not values[:at].any()  # nothing before the word is predicted otherwise
    assert (values[at:] > 0).all()


class _Bytes:
    """A tokenizer of bytes, of which several make one character."""

    def decode(self, ids: list[int], **_options: object) -> str:
        return bytes(ids).decode("utf-8", "replace")


@pytest.mark.parametrize("text", ["plain", "naïve 😀!", "\u202eabc", "", "क्षि"])
def test_pieces_join_to_the_text_and_no_half_character_is_shown(text):
    found = pieces(list(text.encode()), _Bytes())
    assert "".join(found) == text
    assert not any("\ufffd" in piece for piece in found)
    assert len(found) == len(text.encode())


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (["my", " password", "=", "hun", "ter22", " ok"], ["my", " password", "=", "…", "…", " ok"]),
        (["no", " secret", " here"], ["no", " secret", " here"]),
        (["hf_", "abcdefghij", "klmnopqrst", "uv", "!"], ["hf_", "…", "…", "…", "!"]),
        ([], []),
    ],
)
def test_a_secret_that_many_tokens_make_is_hidden(found, expected):
    assert without_secret_pieces(found) == expected
