import pytest

from repdrift.core.errors import DataError
from repdrift.models import load_tokenizer, resolve_model
from repdrift.tasks import TaskSpec, build_sample_set
from repdrift.tasks.continuation import Continuation
from repdrift.tasks.continuation_text import CompletionCutAwayError, ContinuationEncoder, prompted

CHATML = "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"


def prompts(template=None, columns=("prompt",), **settings):
    return TaskSpec(
        "own", "causal_lm", columns, "completion", "own", continuation=Continuation(template=template, **settings)
    )


def chats(template=None, **settings):
    return TaskSpec("own", "causal_lm", ("messages",), None, "own", continuation=Continuation(template, **settings))


def letters(*, eos: str | None = "</s>", bos: str | None = None, specials=(), merges=()):
    """A tokenizer with a token for each character, and for each of `merges`."""
    from tokenizers import AddedToken, Tokenizer, models, processors
    from transformers import PreTrainedTokenizerFast

    characters = [chr(i) for i in range(32, 127)] + ["\n"]
    vocabulary = {token: i for i, token in enumerate([*characters, *("".join(pair) for pair in merges)])}
    tokenizer = Tokenizer(models.BPE(vocabulary, list(merges)))
    names = [name for name in (eos, bos, *specials) if name]
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in names])
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, tokenizer.token_to_id(bos))]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=eos, bos_token=bos, extra_special_tokens=list(specials)
    )


def told(encoded, tokenizer):
    """Tokens of the completions, in brackets among the others."""
    mask, text, inside = encoded.completion_mask, "", 0
    for token, mark in zip([*encoded.input_ids, None], [*mask, 0], strict=True):
        text += "[" * (mark > inside) + "]" * (mark < inside)
        inside = mark
        text += tokenizer.decode([token], clean_up_tokenization_spaces=False) if token is not None else ""
    return text


def masks_of(samples):
    return [list(mask) for mask in samples.completion_masks]


@pytest.mark.parametrize("bos", [None, "<s>"])
def test_completion_follows_the_prompt_and_ends_with_the_end_token(bos):
    tokenizer = letters(bos=bos)
    row = {"prompt": "2 + 2 = ", "completion": "4"}
    assert (
        told(ContinuationEncoder(prompts(), tokenizer, max_length=30).encode(row), tokenizer)
        == f"{bos or ''}2 + 2 = [4</s>]"
    )


def test_an_end_token_in_the_text_is_not_written_twice():
    tokenizer = letters()
    row = {"prompt": "a", "completion": "b</s>"}
    assert told(ContinuationEncoder(prompts(), tokenizer, max_length=30).encode(row), tokenizer) == "a[b</s>]"


def test_spaces_before_the_completion_in_a_template_belong_to_it():
    spec = prompts("Q: {q} {{x}}\nA:  {completion}", columns=("q",))
    found = prompted({"q": "{why}", "completion": "so"}, spec)
    assert (found.prompt, found.completion) == ("Q: {why} {x}\nA:", "  so")


def test_border_inside_a_token_tokenises_the_prompt_as_generation_sees_it():
    tokenizer = letters(merges=[(" ", "P")])
    encoder = ContinuationEncoder(prompts(), tokenizer, max_length=30)
    crossing = encoder.encode({"prompt": "A: ", "completion": "Pa"})
    assert list(crossing.input_ids)[:3] == tokenizer("A: ", add_special_tokens=False)["input_ids"]
    assert crossing.apart
    assert told(crossing, tokenizer) == "A: [Pa</s>]"
    whole = encoder.encode({"prompt": "A:", "completion": " Pa"})
    assert not whole.apart
    assert len(whole.input_ids) == 5  # "A", ":", " P", "a" and the end token


def test_completion_cut_away_is_left_out_and_one_cut_in_part_is_counted():
    tokenizer = letters()
    rows = [{"prompt": "p" * n, "completion": "cc"} for n in (1, 2, 3, 6, 8)]
    samples = build_sample_set(prompts(), rows, tokenizer, max_length=8)
    assert samples.sample_ids == ("0", "1", "2", "3")
    assert masks_of(samples)[-1] == [0] * 6 + [1] * 2
    assert any("1 of 5 samples were left out; the first: sample '4'" in note for note in samples.notes)
    assert any("1 sample of 4 with a completion that the limit of 8 tokens cuts off" in note for note in samples.notes)
    with pytest.raises(DataError, match=r"5 of 5 samples cannot be used.*leaves nothing of the completion"):
        build_sample_set(prompts(), [{**row, "prompt": "p" * 9} for row in rows], tokenizer, max_length=8)


def test_tokenizer_that_cuts_beginnings_keeps_the_completion_and_the_start_token():
    tokenizer = letters(bos="<s>")
    tokenizer.truncation_side = "left"
    encoder = ContinuationEncoder(prompts(), tokenizer, max_length=6)
    assert told(encoder.encode({"prompt": "abcdef", "completion": "xy"}), tokenizer) == "<s>ef[xy</s>]"
    with pytest.raises(CompletionCutAwayError, match="nothing of the prompt is left"):
        encoder.encode({"prompt": "abcdef", "completion": "vwxyz"})


def test_chat_template_marks_every_assistant_turn_with_its_end():
    tokenizer = letters(specials=["<end>", "<user>", "<assistant>"])
    tokenizer.chat_template = CHATML
    turns = [("user", "hi"), ("assistant", "ho"), ("user", "by"), ("assistant", "ok"), ("user", "x")]
    row = {"messages": [{"role": role, "content": text} for role, text in turns]}
    encoded = ContinuationEncoder(chats(), tokenizer, max_length=60).encode(row)
    # The line break behind the end of turn is nobody's to learn, and what stands behind the last answer is not read.
    assert told(encoded, tokenizer) == "<user>hi<end>\n<assistant>[ho<end>]\n<user>by<end>\n<assistant>[ok<end>]"


def test_chat_without_template_has_the_plain_layout():
    tokenizer = letters(bos="<s>")
    turns = [("system", "Be."), ("user", "hi"), ("assistant", "ho"), ("user", "by"), ("assistant", "ok")]
    row = {"messages": [{"role": role, "content": text} for role, text in turns]}
    encoded = ContinuationEncoder(chats(), tokenizer, max_length=90).encode(row)
    assert told(encoded, tokenizer) == (
        "<s>System: Be.\n\nUser: hi\n\nAssistant:[ ho</s>]\n\nUser: by\n\nAssistant:[ ok</s>]"
    )


def test_tokenizer_without_end_token_needs_a_template_that_closes_a_turn():
    tokenizer = letters(eos=None, specials=["<end>"])
    row = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    for spec in (prompts(), chats()):
        with pytest.raises(DataError, match=r"no end token.*eos_token in tokenizer_config.json"):
            ContinuationEncoder(spec, tokenizer, max_length=20)
    assert told(ContinuationEncoder(chats(CHATML), tokenizer, max_length=60).encode(row), tokenizer).endswith(
        "[b<end>]"
    )
    open_end = "{% for m in messages %}{{ m.role }}:{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
    with pytest.raises(DataError, match="closes the assistant's turn with no special token"):
        ContinuationEncoder(chats(open_end), tokenizer, max_length=60).encode(row)
    assert told(ContinuationEncoder(chats(open_end), letters(), max_length=60).encode(row), letters()).endswith(
        "[b\n</s>]"
    )


def test_template_that_rewrites_earlier_turns_is_refused():
    tokenizer = letters()
    late = (
        "{% for m in messages %}{{ m.role }}:{% if loop.last %}(thinks){% endif %}{{ m.content }}</s>{% endfor %}"
        "{% if add_generation_prompt %}assistant:{% endif %}"
    )
    turns = [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]
    row = {"messages": [{"role": role, "content": text} for role, text in turns]}
    with pytest.raises(DataError, match="turn"):
        ContinuationEncoder(chats(late), tokenizer, max_length=90).encode(row)
    with pytest.raises(DataError, match="does not take this chat: no system"):
        ContinuationEncoder(chats("{{ raise_exception('no system') }}"), tokenizer, max_length=90).encode(row)


def test_template_that_writes_the_date_gives_one_text_on_every_day():
    tokenizer = letters()
    dated = "{{ strftime_now('%Y-%m-%d') }}" + CHATML
    row = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    encoded = ContinuationEncoder(chats(dated), tokenizer, max_length=90).encode(row)
    assert told(encoded, tokenizer).startswith("2024-07-26")


def test_sample_set_has_the_tokens_of_prompt_and_completion(tiny_language_model):
    tokenizer = load_tokenizer(resolve_model(str(tiny_language_model)))
    rows = [{"prompt": "the cat sat", "completion": " ".join(["on"] * n)} for n in (1, 2, 3, 4)]
    samples = build_sample_set(prompts(), rows, tokenizer, max_length=30)
    assert masks_of(samples) == [[0] * 3 + [1] * (n + 1) for n in (1, 2, 3, 4)]
    assert all(ids[-1] == tokenizer.eos_token_id for ids in samples.input_ids)
    other = build_sample_set(
        prompts(), [{"prompt": "the cat", "completion": "sat on"}, *rows[1:]], tokenizer, max_length=30
    )
    assert list(other.input_ids[0]) == list(samples.input_ids[0])
    assert other.fingerprint != samples.fingerprint  # the same tokens, with another border
    assert masks_of(samples.part([2, 0])) == [masks_of(samples)[2], masks_of(samples)[0]]
