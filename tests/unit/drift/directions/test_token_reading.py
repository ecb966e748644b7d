"""Tokens read from planted shifts: the token whose direction was added is first and beyond chance, noise names none, texts are escaped."""

import numpy as np
import pytest
import torch

from repdrift.core.directions_words import directions_section
from repdrift.core.errors import DegenerateInputError, OutcomeNotApplicable
from repdrift.core.records.directions import ReadToken, TokenReading
from repdrift.core.worded_section import section_markdown
from repdrift.drift.directions import token_reading
from repdrift.drift.directions.measuring import DirectionSettings, model_directions
from repdrift.drift.directions.random_change import RandomRows
from repdrift.drift.directions.tables import token_rows
from repdrift.drift.directions.token_reading import TokenReadings, token_text
from repdrift.drift.directions.unembedding import Unembedding
from repdrift.models import find_blocks, load_tokenizer, resolve_model
from repdrift.similarity.directions.differences import differences
from tests.tiny_models import save_bert, save_language_model

WIDTH, PLANTED = 96, 17


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return resolve_model(str(save_language_model(tmp_path_factory.mktemp("lm") / "lm")))


@pytest.fixture(scope="module")
def wide(source):
    """A wider model of the same tokens, so that chance is small, and its unembedding matrix."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    tokenizer = load_tokenizer(source)
    config = LlamaConfig(
        vocab_size=len(tokenizer) + 3, hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        initializer_range=0.2, pad_token_id=0, bos_token_id=2, eos_token_id=3,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    matrix = model.lm_head.weight.detach().double().numpy().copy()
    return TokenReadings(Unembedding(model, find_blocks(model)), tokenizer), matrix


def rows(seed, scale=1.0):
    return scale * np.random.default_rng(seed).normal(size=(40, WIDTH))


def measured(x, y, tokens):
    layers = [{0: torch.tensor(table, dtype=torch.float32)} for table in (x, y)]
    return model_directions(*layers, DirectionSettings(), tokens=tokens)


def test_shift_along_a_tokens_direction_names_that_token_alone(wide):
    tokens, matrix = wide
    x = rows(1)
    found = measured(x, x + 0.4 * matrix[PLANTED] + rows(2, 0.01), tokens)
    at = found.layers[0].tokens
    assert at.top[0].token_id == PLANTED
    assert at.top[0].beyond_chance
    assert not any(token.beyond_chance for token in at.top[1:])
    assert at.agreement > 0.9
    assert next(share.share for share in found.layers[0].shares if share.kind == "shift") > 0.98
    words = directions_section(found)
    assert f'In layer 0 the shift points toward "{at.top[0].token}"' in " ".join(words.answer)
    assert "not of general text" in " ".join(words.notes)
    table = token_rows({"model": "m"}, found)
    assert (table[0]["token_id"], table[0]["side"], table[0]["rank"]) == (PLANTED, "raised", 1)


def test_token_that_reacts_to_any_direction_does_not_stand_before_the_one_that_was_planted(source):
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    tokenizer = load_tokenizer(source)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        initializer_range=0.2, pad_token_id=0, bos_token_id=2, eos_token_id=3,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        model.lm_head.weight[30] *= 20
    planted = model.lm_head.weight[PLANTED].detach().double().numpy().copy()
    tokens = TokenReadings(Unembedding(model, find_blocks(model)), tokenizer)
    x = rows(14)
    at = measured(x, x + planted, tokens).layers[0].tokens
    assert abs(next(t.logit for t in (*at.top, *at.bottom) if t.token_id == PLANTED)) > 0
    assert at.top[0].token_id == PLANTED


def test_tokens_stand_beside_those_of_a_random_change_and_are_named_only_beyond_it(wide):
    tokens, matrix = wide
    x = torch.tensor(rows(1), dtype=torch.float32)
    tuned = x + torch.tensor(0.4 * matrix[PLANTED] + 0.1 * rows(8)[0], dtype=torch.float32)
    noise = x + torch.tensor(rows(6)[0], dtype=torch.float32)
    there = x + torch.tensor(0.4 * matrix[PLANTED], dtype=torch.float32)

    def beside(random, part=None):
        control = RandomRows({0: random if part is None else random[part]}, part)
        found = model_directions({0: x}, {0: tuned}, DirectionSettings(), tokens=tokens, random_change=control)
        return found, found.layers[0].tokens, found.layers[0].beside_random.random_tokens

    alone = measured(x.numpy(), tuned.numpy(), tokens).layers[0].tokens
    for part in (None, torch.arange(0, 40, 2)):
        found, own, random = beside(noise, part)
        assert [(t.token_id, t.beyond_chance) for t in own.top] == [(t.token_id, t.beyond_chance) for t in alone.top]
        assert [t.score for t in own.top] == pytest.approx([t.score for t in alone.top], rel=1e-4)
        assert own.top[0].beyond_chance
        assert not any(t.beyond_chance for t in (*random.top, *random.bottom))
    assert "and than a random change of the weights" in " ".join(directions_section(found).answer)
    table = token_rows({"model": "m"}, found)
    assert {row["of"] for row in table} == {"model", "random_change"}
    assert next(row for row in table if row["of"] == "random_change")["token_id"] == random.top[0].token_id

    found, own, random = beside(
        there
    )  # a random change that moves along this token just as purely: then it tells nothing of training
    assert random.top[0].token_id == own.top[0].token_id == PLANTED
    assert random.top[0].score > own.top[0].score > own.chance
    assert not any(t.beyond_chance for t in own.top)
    assert "points toward no token more than random directions" in " ".join(directions_section(found).answer)


def test_shift_away_from_a_token_lowers_it(wide):
    tokens, matrix = wide
    x = rows(3)
    at = measured(x, x - 0.4 * matrix[PLANTED], tokens).layers[0].tokens
    assert at.bottom[0].token_id == PLANTED
    assert at.bottom[0].score < -at.chance


def test_noise_and_random_shifts_name_no_token(wide):
    tokens, _ = wide
    x = rows(4)
    for tuned in (x + rows(5), x + rows(6)[0]):
        found = measured(x, tuned, tokens)
        assert not any(t.beyond_chance for t in (*found.layers[0].tokens.top, *found.layers[0].tokens.bottom))
        assert "points toward no token more than random directions" in " ".join(directions_section(found).answer)


def test_direction_in_which_the_samples_scatter_anyway_is_within_chance(wide):
    tokens, matrix = wide
    x = rows(7, 0.01) + rows(20)[0] + np.random.default_rng(8).normal(size=(40, 1)) * matrix[PLANTED]
    at = measured(x, x + 0.5 * matrix[PLANTED], tokens).layers[0].tokens
    assert not any(token.beyond_chance for token in (*at.top, *at.bottom))


def test_rows_that_only_fill_up_the_vocabulary_are_not_named(wide):
    tokens, matrix = wide
    x = rows(9)
    at = measured(x, x + matrix[-1], tokens).layers[0].tokens
    assert max(t.token_id for t in (*at.top, *at.bottom)) < len(matrix) - 3


def test_logits_are_those_of_the_closed_form_about_their_mean(wide):
    tokens, matrix = wide
    x = rows(10) + 0.5
    shift = 0.05 * rows(11)[0]
    at = tokens.read(0, differences(x, x + shift))
    h = x.mean(axis=0)
    scale = np.sqrt(np.square(h).mean() + 1e-6)
    slopes = matrix[:-3] @ ((shift - h * (h @ shift) / (WIDTH * scale**2)) / scale)
    slopes -= slopes.mean()
    for token in (*at.top, *at.bottom):
        assert token.logit == pytest.approx(slopes[token.token_id], rel=1e-3, abs=1e-4)
    draws = token_reading._directions(differences(x, x + shift).centred_base, 0).numpy() * np.linalg.norm(shift)
    jacobian = matrix[:-3] @ (np.eye(WIDTH) - np.outer(h, h) / (WIDTH * scale**2)) / scale
    given = draws @ jacobian.T
    given -= given.mean(axis=1, keepdims=True)
    spreads = [np.sqrt(np.square(half).mean(axis=0)) for half in (given[:32], given[32:])]
    scores = slopes / np.maximum(*spreads)
    assert [t.token_id for t in at.top] == list(np.argsort(-scores)[:10])
    assert [t.score for t in at.top] == pytest.approx(list(-np.sort(-scores)[:10]), rel=1e-3)
    left_out = []
    for k in range(64):
        kept = [
            np.sqrt(np.square(np.delete(half, k - start, axis=0) if start <= k < start + 32 else half).mean(axis=0))
            for start, half in ((0, given[:32]), (32, given[32:]))
        ]
        left_out.append(np.abs(given[k] / np.maximum(*kept)).max())
    assert at.chance == pytest.approx(max(left_out), rel=1e-3)
    with pytest.raises(DegenerateInputError, match="exactly zero"):
        tokens.read(0, differences(x, x))


def test_head_is_read_from_files_and_a_model_without_one_is_left_out_with_the_reason(source, tmp_path):
    unembedding = Unembedding.of(source)
    assert unembedding.width == 16
    with pytest.raises(OutcomeNotApplicable, match="no language-modelling head in its files"):
        Unembedding.of(resolve_model(str(save_bert(tmp_path / "bert"))))
    x = rows(12)
    found = measured(x, x + 1, "it has no head.")
    assert found.layers[0].tokens is None
    assert "No tokens are read from the shifts: it has no head." in directions_section(found).left_out


class _Tokenizer:
    def __init__(self, name, text):
        self.name, self.text = name, text

    def convert_ids_to_tokens(self, _number):
        return self.name

    def decode(self, _numbers, **_options):
        return self.text


@pytest.mark.parametrize(
    ("name", "text", "shown"),
    [
        ("Ġgood", " good", " good"),
        ("▁good", "good", " good"),
        ("âĢ", "\ufffd", "âĢ"),
        ("x", "\x1b[31m\u202e", r"\x1b[31m\u202e"),
        ("</s>", "</s>", "</s>"),
    ],
)
def test_text_of_a_token_keeps_its_blank_and_no_character_that_a_terminal_obeys(name, text, shown):
    assert token_text(_Tokenizer(name, text), 5) == shown


def test_tokens_are_escaped_on_the_way_to_markdown(wide):
    x = rows(13)
    found = measured(x, x + 1, None)
    bad = ReadToken(token_id=1, token="<script>|\u202e\n", logit=2.0, score=3.0, beyond_chance=True)
    reading = TokenReading(top=[bad], bottom=[bad], chance=1.0, draws=2, agreement=1.0)
    layer = found.layers[0].model_copy(update={"tokens": reading})
    text = "\n".join(section_markdown(directions_section(found.model_copy(update={"layers": [layer]}))))
    assert "<script>" not in text
    assert "\u202e" not in text
    assert r"\<script\>" in text
