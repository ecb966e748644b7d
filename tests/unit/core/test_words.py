import math
from html import escape

import pytest
from markdown_it import MarkdownIt

from repdrift.core import words
from repdrift.core.records.run import FULL_FINETUNE, LORA
from repdrift.tasks import tasks
from repdrift.training.tuning_kind import tuning_kinds


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (0.0314, "0.031"),
        (0.05, "0.05"),
        (2.92e-6, "2.9e-06"),
        (1e-6, "1e-06"),
        (9.9e-7, "< 1e-06"),
        (0.0, "< 1e-06"),
    ],
)
def test_pvalues_have_two_digits_and_end_at_a_millionth(value, text):
    assert words.pvalue(value) == text


def test_a_pvalue_in_a_sentence_has_one_sign():
    assert [words.p_equals(p) for p in (0.0314, 1e-9)] == ["p = 0.031", "p < 1e-06"]


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0.0000"), (0.31416, "0.3142"), (-0.001, "-0.0010"), (0.00099, "9.9e-04")]
)
def test_table_numbers_keep_two_digits_when_small(value, text):
    assert words.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.00"),
        (0.314, "0.31"),
        (0.0994, "0.099"),
        (0.0996, "0.10"),
        (0.0042, "0.004"),
        (0.00049, "5e-04"),
        (-0.003, "-0.003"),
        (2e-6, "2e-06"),
    ],
)
def test_short_numbers_keep_a_digit(value, text):
    assert words.short_number(value) == text


def test_a_reduction_says_how_much_less_or_how_many_times_as_much():
    said = [words.reduction_in_words(r) for r in (0.312, 0.0, -0.5, -1.0, -2.4, -10_579.5)]
    assert said == [
        "31.2 % less",
        "0.0 % less",
        "50.0 % more",
        "2.00 times as much",
        "3.40 times as much",
        "10,580 times as much",
    ]
    assert words.reduction_in_words(0.99986) == "more than 99.9 % less"
    assert words.reduction_in_words(0.312, "full fine-tuning") == "31.2 % less than full fine-tuning"
    assert words.reduction_in_words(-3, "full fine-tuning") == "4.00 times as much as full fine-tuning"
    assert [words.times(f) for f in (1.25, 0.87, 0.0019, 12.34, 1234.5)] == ["1.25", "0.87", "0.0019", "12.3", "1,234"]


def test_percentages():
    assert words.percent(0.3116) == "31.2 %"
    assert words.percent_range(0.12, 0.3116) == "12.0 to 31.2 %"
    assert [words.chosen_percent(share) for share in (0.95, 0.2, 0.025)] == ["95 %", "20 %", "2.5 %"]
    assert [words.whole_percent(share) for share in (0.312, -0.312, -0.002)] == ["31 %", "-31 %", "0 %"]


def test_no_sign_stands_before_nothing():
    assert [words.percent(share) for share in (-0.0, -0.0004, -0.0006)] == ["0.0 %", "0.0 %", "-0.1 %"]
    assert words.percent_range(-0.0001, 0.12) == "0.0 to 12.0 %"
    assert [words.number(-0.0), words.short_number(-0.0)] == ["0.0000", "0.00"]


@pytest.mark.parametrize("absent", [None, math.nan])
def test_missing_numbers_are_said_to_be_missing(absent):
    assert [show(absent) for show in (words.pvalue, words.number, words.percent)] == ["none", "missing", "none"]
    assert words.number(absent, missing="") == ""
    assert words.percent_range(absent, 0.5) == words.percent_range(0.5, absent) == "none"


def test_scores_have_their_names_and_missing_ones_are_not_named():
    assert words.scores({"accuracy": 0.8734, "f1": 0.9, "loss": None}) == "accuracy 0.873, f1 0.900"


def test_lists_are_joined_as_in_a_sentence():
    assert [words.listed(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "none",
        "a",
        "a and b",
        "a, b and c",
    ]
    assert words.listed(["a", "b"], last="or") == "a or b"


def test_counted_things_have_their_number():
    assert [words.counted(n, "layer") for n in (0, 1, 2)] == ["0 layers", "1 layer", "2 layers"]
    assert words.counted(2, "analysis", "analyses") == "2 analyses"


def test_neighbouring_layers_are_joined():
    assert words.layer_ranges({7, 3, 4, 0, 6}) == "0, 3 to 4, 6 to 7"
    assert words.layer_ranges([]) == "none"
    assert [words.layers_named(layers) for layers in ([], [3], [3, 4])] == ["no layer", "layer 3", "layers 3 to 4"]


def test_built_in_methods_and_tasks_have_display_names_and_others_keep_theirs():
    assert [words.method_title(m) for m in (FULL_FINETUNE, LORA)] == ["full fine-tuning", "LoRA"]
    usual = ("dora", "rslora", "pissa", "ia3", "biases", "layer_norm", "prefix_tuning", "prompt_tuning", "p_tuning")
    assert set(usual) <= set(tuning_kinds.names())
    assert all(words.method_title(kind) != kind for kind in usual)
    assert all(words.task_title(t) != t for t in tasks())
    assert words.task_title("all") == "all tasks"
    assert [words.method_title("lora_r64"), words.task_title("reviews")] == ["lora_r64", "reviews"]


def test_a_method_is_named_with_what_it_is_once():
    said = {"lora": "LoRA, rank 8", "lora_r64": "LoRA, rank 64", "ia3": "(IA)3"}
    full = [words.method_in_full(name, said) for name in ("lora", "lora_r64", "ia3", "full_finetune")]
    assert full == ["LoRA, rank 8", "lora_r64 (LoRA, rank 64)", "(IA)3", "full fine-tuning"]


def test_a_sentence_has_a_capital_but_names_of_ones_own_stay():
    said = ["full fine-tuning drifts", "LoRA drifts", "lora_r64 drifts", "r8 drifts", ""]
    assert [words.sentence_case(text) for text in said] == ["Full fine-tuning drifts", *said[1:]]


@pytest.mark.parametrize(
    "text",
    ["<img src=q onerror=alert(1)>", "[a](javascript:alert(1))", "![a](http://h/x)", "a|b", "`code`", "**b** _i_ ~~s~~ snake_case",
     "&lt;b&gt;", "# head", "- item", "+ item", "1. item", "1) item", "===", "---", "> quote", "\\", "-0.3", "1.5 %"],
)  # fmt: skip
def test_markdown_shows_a_text_as_it_is(text):
    shown = words.markdown_text(text)
    page = (
        MarkdownIt("commonmark", {"html": True})
        .enable(["table", "strikethrough"])
        .render(f"Before\n{shown}\n\n- {shown}")
    )
    assert page == f"<p>Before\n{escape(text)}</p>\n<ul>\n<li>{escape(text)}</li>\n</ul>\n"


def test_markdown_is_one_line_without_formulas():
    assert words.markdown_text("a\n\n# $x$\r\n\x1b") == r"a \# \$x\$\r \x1b".replace(r"\r", r"\\r").replace(
        r"\x1b", r"\\x1b"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.4481, "0.45"),
        (0.3, "0.30"),
        (0.0, "0.0"),
        (-0.0, "0.0"),
        (9.96, "10"),
        (12.4, "12"),
        (1234.5, "1,200"),
        (0.996, "1.0"),
        (3.14e-5, "3.1e-05"),
        (-0.0123, "-0.012"),
    ],
)
def test_two_digits_are_two_whatever_the_size(value, text):
    assert words.two_digits(value) == text


def test_a_difference_has_its_sign_and_none_for_nothing():
    assert [words.signed_digits(v) for v in (0.0123, -0.5, 0.0, -0.0)] == ["+0.012", "-0.50", "0.0", "0.0"]


def test_a_reduction_at_a_glance_has_two_digits_and_never_says_that_nothing_is_left():
    said = [words.reduction_at_a_glance(r, "b") for r in (0.312, 0.00312, -0.1188, -2.4, 0.996, 0.99999, 0.0)]
    assert said == [
        "31 % less than b",
        "0.31 % less than b",
        "12 % more than b",
        "3.40 times as much as b",
        "99.6 % less than b",
        "more than 99.9 % less than b",
        "0.0 % less than b",
    ]
