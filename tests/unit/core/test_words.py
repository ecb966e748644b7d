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
        (1.0, "1"), (0.9951, "> 0.99"), (0.0314, "0.031"), (0.05, "0.05"), (0.0504, "0.0504"), (0.0497, "0.0497"), (0.00998, "0.00998"),
        (0.000292, "0.00029"), (1e-4, "0.0001"), (9.9e-5, "< 0.0001"), (2.9e-6, "< 0.0001"), (0.0, "< 0.0001"),
    ],
)  # fmt: skip
def test_pvalues_have_two_digits_and_show_on_which_side_of_a_level_they_lie(value, text):
    assert words.pvalue(value) == text


def test_a_pvalue_in_a_sentence_has_one_sign():
    assert [words.p_equals(p) for p in (0.0314, 1e-9, 0.999)] == ["p = 0.031", "p < 0.0001", "p > 0.99"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (-0.0, "0"), (0.31416, "0.314"), (-0.001, "-0.00100"), (0.00099, "0.000990"), (3.14e-6, "0.00000314"), (1234.5, "1,230"),
        (9.996, "10.0"), (9.9e-7, "below 0.000001"), (-9.9e-7, "just below 0"), (math.inf, "without limit"),
    ],
)  # fmt: skip
def test_table_numbers_have_three_digits_and_no_power_of_ten(value, text):
    assert words.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (-0.0, "0"), (0.314, "0.31"), (0.0994, "0.099"), (0.0996, "0.10"), (0.0042, "0.0042"), (0.00049, "0.00049"), (-0.003, "-0.0030"),
        (8e-6, "0.0000080"), (2e-7, "below 0.000001"), (-2e-7, "just below 0"), (12.3, "12"), (1234.5, "1,200"), (0.996, "1.0"), (math.nan, "not known"),
    ],
)  # fmt: skip
def test_short_numbers_have_two_digits(value, text):
    assert words.short_number(value) == text


def test_a_reduction_says_how_much_less_or_how_many_times_as_much():
    said = [words.reduction_in_words(r) for r in (0.312, 0.0, -0.0, -0.5, -1.0, -2.4, -10_579.5, 1e-7, -1e-7, 1.2)]
    assert said == [
        "31 % less", "as much", "as much", "50 % more", "2.0 times as much", "3.4 times as much", "11,000 times as much",
        "less than 0.001 % less", "less than 0.001 % more", "120 % less",
    ]  # fmt: skip
    assert [words.reduction_in_words(r) for r in (0.99986, 0.996)] == ["more than 99.9 % less", "99.6 % less"]
    assert words.reduction_in_words(0.312, "full fine-tuning") == "31 % less than full fine-tuning"
    assert words.reduction_in_words(-3, "full fine-tuning") == "4.0 times as much as full fine-tuning"
    assert words.reduction_in_words(0, "full fine-tuning") == "as much as full fine-tuning"


def test_an_interval_of_a_reduction_says_which_way_each_end_lies():
    ends = [(0.41, 0.57), (-0.3, -0.12), (-3, -1.5), (-0.12, 0.31), (-1.4, 0.5), (0.0, 0.2), (-0.2, -1e-7)]
    assert [words.reduction_range(*each) for each in ends] == [
        "41 to 57 % less", "12 to 30 % more", "2.5 to 4.0 times as much", "12 % more to 31 % less", "2.4 times as much to 50 % less",
        "as much to 20 % less", "below 0.001 to 20 % more",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("factor", "text"),
    [
        (1.25, "1.25"), (0.87, "0.87"), (0.0019, "0.0019"), (12.34, "12"), (1234.5, "1,200"), (9.996, "10"), (1.004, "just above 1"),
        (0.996, "just below 1"), (1.0, "1"), (1.006, "1.01"),
    ],
)  # fmt: skip
def test_a_factor_is_not_rounded_to_no_change(factor, text):
    assert words.times(factor) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.3116, "31 %"), (0.0312, "3.1 %"), (0.00623, "0.62 %"), (-0.0034, "-0.34 %"), (0.0, "0 %"), (-0.0, "0 %"), (4e-5, "0.0040 %"),
        (1e-6, "below 0.001 %"), (-1e-6, "just below 0 %"), (0.994, "99 %"), (0.9951, "99.5 %"), (0.9994, "99.9 %"), (0.9996, "above 99.9 %"),
        (1.0, "100 %"), (1 - 1e-12, "100 %"), (1.003, "just above 100 %"), (1.04, "104 %"), (1.43, "140 %"), (-12.3, "-1,200 %"),
    ],
)  # fmt: skip
def test_a_share_that_is_not_none_or_all_is_not_written_so(share, text):
    assert words.percent(share) == text


def test_percentages():
    assert words.percent_range(0.12, 0.3116) == "12 to 31 %"
    assert words.percent_range(-1e-6, 0.12) == "just below 0 to 12 %"
    assert [words.chosen_percent(share) for share in (0.95, 0.2, 0.025)] == ["95 %", "20 %", "2.5 %"]
    assert [words.chosen_percent(share) for share in (0.9999999, 1e-7, 0.07, 0.29)] == [
        "99.99999 %",
        "0.00001 %",
        "7 %",
        "29 %",
    ]
    shares = (0.312, -0.312, -0.002, 0.002, 0.998, 1.0, 0.0, -0.0)
    said = ["31 %", "-31 %", "just below 0 %", "below 1 %", "above 99 %", "100 %", "0 %", "0 %"]
    assert [words.whole_percent(share) for share in shares] == said


@pytest.mark.parametrize("absent", [None, math.nan])
def test_missing_numbers_are_said_to_be_missing(absent):
    assert [show(absent) for show in (words.pvalue, words.number, words.percent)] == ["none", "missing", "none"]
    assert words.number(absent, missing="") == ""
    assert words.percent_range(absent, 0.5) == words.percent_range(0.5, absent) == "none"


@pytest.mark.parametrize("write", [words.number, words.short_number, words.percent, words.whole_percent, words.signed_digits, words.percent_digits])  # fmt: skip
def test_no_number_but_0_is_written_as_0_and_nothing_in_powers_of_ten(write):
    for value in [
        sign * digit * 10.0**power for power in range(-12, 7) for digit in (1, 4.9, 5.1, 9.96) for sign in (1, -1)
    ]:
        said = write(value)
        assert "e" not in said.replace("below", "").replace("above", ""), (value, said)
        first = said.partition(" ")[0].replace(",", "").lstrip("+-")
        assert not first.replace(".", "").isdigit() or float(first) != 0, (value, said)
    assert write(0.0) == write(-0.0)
    assert write(0.0).startswith("0")


def test_scores_have_three_decimals_and_say_what_is_not_quite_0_or_1():
    values = (0.8734, 0.9, 0.0, 1.0, 0.9996, 0.0004, 2.345, 12.34, 123.4)
    assert [words.score_number(v) for v in values] == [
        "0.873", "0.900", "0.000", "1.000", "above 0.999", "0.000400", "2.35", "12.3", "123",
    ]  # fmt: skip


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


def test_a_difference_has_its_sign_and_none_for_nothing():
    assert [words.signed_digits(v) for v in (0.0123, -0.5, 0.0, -0.0)] == ["+0.012", "-0.50", "0", "0"]
