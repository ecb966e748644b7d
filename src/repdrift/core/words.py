"""Numbers and names as people read them: one function for each kind of number, one table of display names.

All texts are plain. A page or a table escapes them for itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

from repdrift.core.records.results import ALL_TASKS
from repdrift.core.shown_text import for_terminal

_METHODS = {
    "full_finetune": "full fine-tuning",
    "lora": "LoRA",
    "dora": "DoRA",
    "rslora": "rsLoRA",
    "pissa": "PiSSA",
    "ia3": "(IA)3",
    "biases": "bias-only tuning",
    "layer_norm": "LayerNorm-only tuning",
    "prefix_tuning": "prefix tuning",
    "prompt_tuning": "prompt tuning",
    "p_tuning": "P-tuning",
    "base": "base model",
}
_TASKS = {
    "mrpc": "MRPC",
    "rte": "RTE",
    "squad_v2": "SQuAD 2.0",
    "squad_v2_words": "SQuAD 2.0 in words",
    "short_chats": "short chats",
    "sst2": "SST-2",
    ALL_TASKS: "all tasks",
}
_POOLINGS = {
    "mean": "the mean over real tokens",
    "mean_without_sinks": "the mean over real tokens without attention sinks",
    "mean_skip_first": "the mean over real tokens without the first",
    "first": "the first token",
    "cls": "the CLS token",
    "last": "the last real token",
    "tokens": "none: every real token is a row",
}
_SMALLEST_PVALUE = 1e-4
_LEVELS = (0.05, 0.01, 0.001)
_LEAST_WRITTEN = 1e-6
"""Nobody counts the zeros of a smaller number; exact values are in the tables for programs."""
_LEAST_PERCENT = 0.001
_ROUNDING_OF_SHARES = 1e-9
"""A share that is nearer to all than this is all, but for rounding."""
_ROUNDING_OF_DRIFT = 1e-12
_MARKDOWN = re.compile(r"[\\`*{}\[\]<>|#$~&]|(?<![^\W_])_|_(?![^\W_])")
_MARKDOWN_LIST = re.compile(r"^(\d*)([-+=.)])(?=\s|$|=|-)")
"""The beginning of a line that would make it an item of a list, or its neighbour a heading."""


def method_title(method: str) -> str:
    """Returns the display name of a method, `LoRA`; a method without one keeps its name."""
    return _METHODS.get(method, method)


def method_in_full(method: str, words: Mapping[str, str]) -> str:
    """Returns the display name of a method with what it is, once: `LoRA, rank 8`, `my_arm (LoRA, rank 64)`.

    words: what each method is, by its name. A method that is not among them has its name alone.
    """
    title, what = method_title(method), words.get(method, "")
    if not what:
        return title
    return what if what.lower().startswith(title.lower()) else f"{title} ({what})"


def task_title(task: str) -> str:
    """Returns the display name of a task, `SST-2`; a task without one keeps its name."""
    return _TASKS.get(task, task)


def sentence_case(text: str) -> str:
    """Returns a text with a capital first, unless its first word is a name with a digit, a dot or an underscore in it."""
    first = text.split(maxsplit=1)[0] if text.strip() else ""
    return text if any(c.isdigit() or c in "_." for c in first) else text[:1].upper() + text[1:]


def pvalue(value: float | None, *, missing: str = "none") -> str:
    """A p-value in two significant digits: `0.031`, `< 0.0001`, `> 0.99`; `missing` for None and NaN.

    A value that would be rounded to a usual level of a test has a third digit, so that it's seen on which side it lies: `0.0504`.
    """
    if value is None or math.isnan(value):
        return missing
    if value < _SMALLEST_PVALUE:
        return f"< {_SMALLEST_PVALUE:.4f}"
    if 0.995 <= value < 1:
        return "> 0.99"
    text = f"{value:.2g}"
    return f"{value:.3g}" if float(text) in _LEVELS else text


def p_equals(value: float) -> str:
    """A p-value with its symbol, for sentences: `p = 0.031`, `p < 0.0001`."""
    text = pvalue(value)
    return f"p {text}" if text[0] in "<>" else f"p = {text}"


def number(value: float | None, *, missing: str = "missing") -> str:
    """A number for a table, in three significant digits: `0.0312`, `0.000031`, `1,230`; `missing` for None and NaN."""
    return missing if value is None or math.isnan(value) else _in_digits(value, 3)


def short_number(value: float) -> str:
    """A number for a sentence or a label, in two significant digits: `0.31`, `0.0042`, `12`, `1,200`, `below 0.000001`."""
    return _in_digits(value, 2)


def _in_digits(value: float, digits: int) -> str:
    """A number in so many significant digits, never in powers of ten; `0` for nothing but 0, with no sign before it."""
    if not math.isfinite(value):
        return "not known" if math.isnan(value) else "without limit"
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits}g}")
    if abs(rounded) < _LEAST_WRITTEN:
        return f"below {_LEAST_WRITTEN:.6f}" if value > 0 else "just below 0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{places}f}"


def signed_digits(value: float) -> str:
    """A difference in two significant digits with its sign: `+0.012`, `-0.30`; `0` for none."""
    text = short_number(value)
    return text if value <= 0 else f"+{text}" if text[0].isdigit() else "just above 0"


def short_drift(value: float) -> str:
    """A drift as `short_number` writes it; 0 for one that is what rounding in float64 leaves of two equal sets."""
    return short_number(0.0 if abs(value) <= _ROUNDING_OF_DRIFT else value)


def score_number(value: float) -> str:
    """A score or loss: in three decimals, as scores have them, or in three digits from 1 on: `0.873`, `2.31`, `12.3`.

    One below 1 that would be rounded to 1 is `above 0.999`, and one above 0 that would be rounded to 0 has its digits.
    """
    if 0.9995 <= value < 1:
        return "above 0.999"
    return f"{value:.3f}" if 0.0005 <= abs(value) < 0.9995 or value in (0, 1) else number(value)


def percent(share: float | None, *, missing: str = "none") -> str:
    """A measured share in percent, in two significant digits: `31 %`, `0.62 %`; `missing` for None and NaN.

    What is not 0 or not all is never `0 %` or `100 %`: `below 0.001 %`, `99.7 %`, `above 99.9 %`.
    """
    return missing if share is None or math.isnan(share) else f"{percent_digits(share)} %"


def percent_digits(share: float) -> str:
    """The number of `percent` without its sign, for a column whose head has it."""
    value = 100 * (1.0 if abs(share - 1) < _ROUNDING_OF_SHARES else share)
    if 0 < abs(value) < _LEAST_PERCENT:
        return f"below {_LEAST_PERCENT}" if value > 0 else "just below 0"
    if 99.5 <= value < 100:
        return f"{value:.1f}" if value < 99.95 else "above 99.9"
    if 100 < value < 105:
        return f"{value:.0f}" if value >= 100.5 else "just above 100"
    return short_number(value)


def whole_percent(share: float) -> str:
    """A measured share in whole percent, where a rough number will do: `31 %`, `below 1 %`, `above 99 %`."""
    value = 100 * share
    if 0 < abs(value) < 0.5:
        return "below 1 %" if value > 0 else "just below 0 %"
    return "above 99 %" if 99.5 <= value < 100 else f"{round(value) + 0:d} %"


def reduction_in_words(reduction: float, than: str = "") -> str:
    """A reduction, 1 - a / b, for a sentence on a: `31 % less than b`; `3.4 times as much as b` from twice as much on.

    than: the name of b; without it the sentence ends before `than` or `as`.
    """
    as_much = f" as {than}" if than else ""
    if reduction <= -1:
        return f"{short_number(1 - reduction)} times as much{as_much}"
    size = percent_digits(abs(reduction)).replace("below", "less than").replace("above", "more than")
    if size == "0":
        return f"as much{as_much}"
    return f"{size} % {'less' if reduction > 0 else 'more'}{f' than {than}' if than else ''}"


def reduction_range(low: float, high: float) -> str:
    """The ends of an interval of a reduction as what a does: `41 to 57 % less`, `3 to 12 % more`, `12 % more to 31 % less`."""
    if low > 0 and high < 1:
        return f"{percent_digits(low)} to {percent_digits(high)} % less"
    if high < 0 and low > -1:
        return f"{percent_digits(-high)} to {percent_digits(-low)} % more"
    if high <= -1:
        return f"{short_number(1 - high)} to {short_number(1 - low)} times as much"
    return f"{reduction_in_words(low)} to {reduction_in_words(high)}"


def times(factor: float) -> str:
    """A factor above 0, in two decimals, or in two digits where it is small or large: `1.25`, `0.0019`, `11,000`.

    One that would be rounded to 1 says on which side of it it lies.
    """
    if abs(factor - 1) < 0.005:
        off = factor - 1
        return "1" if abs(off) < _ROUNDING_OF_DRIFT else "just above 1" if off > 0 else "just below 1"
    return f"{factor:.2f}" if 0.1 <= factor < 9.995 else short_number(factor)


def percent_range(low: float | None, high: float | None, *, missing: str = "none") -> str:
    """The ends of an interval of shares in percent: `12 to 31 %`; `missing` if an end is None or NaN."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return missing
    return f"{percent_digits(low)} to {percent_digits(high)} %"


def chosen_percent(share: float) -> str:
    """A share that someone chose, such as a confidence, in all the digits that it has: `95 %`, `2.5 %`, `99.99999 %`."""
    return f"{Decimal(f'{100 * share:.12g}'):f} %"


def pooling_words(pooling: str) -> str:
    """Returns a pooling in words, for a methods section: `the mean over real tokens`; one without words keeps its name."""
    return _POOLINGS.get(pooling, pooling)


def pooled_part(pool_over: str) -> str:
    """Words behind the name of a pooling that takes a part of each sample: ` over the tokens of the completion alone`; "" for all."""
    return "" if pool_over == "all" else f" over the tokens of the {pool_over} alone"


def scores(metrics: Mapping[str, float | None]) -> str:
    """Scores of a trained model with their names: `accuracy 0.873, f1 0.900`. Missing scores are not named."""
    return ", ".join(f"{name} {score_number(value)}" for name, value in metrics.items() if value is not None)


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """A count with its noun: `1 layer`, `24 layers`. `plural` is for nouns that take more than an `s`."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def listed(names: Sequence[str], *, last: str = "and") -> str:
    """Names as a list in a sentence: `a`, `a and b`, `a, b and c`; `none` for no name."""
    if len(names) < 2:
        return names[0] if names else "none"
    return f"{', '.join(names[:-1])} {last} {names[-1]}"


def some_listed(names: Sequence[str], *, most: int = 4) -> str:
    """Names as a list that names at most so many: `a, b and c`; `a, b, c and 4 more`."""
    if len(names) <= most:
        return listed(names)
    return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"


def first_apart(names: Sequence[str], more: str = "more", *, most: int = 3) -> str:
    """Names that have commas, at most so many of them, and how many others there are: `a; b; c; and 4 more`."""
    return "; ".join([*names[:most], *([f"and {len(names) - most} {more}"] if len(names) > most else [])])


def models_named(names: Sequence[str]) -> str:
    """Models in a sentence: `a`, `a and b`; from three on with their number, `7 models (a, b, c and 4 more)`."""
    return listed(names) if len(names) < 3 else f"{len(names)} models ({some_listed(names)})"


def models_apart(names: Sequence[str]) -> str:
    """Models whose names have commas: `a; b`, from four on with their number, `7 models (a; b; c and 4 more)`."""
    if len(names) < 4:
        return "; ".join(names)
    return f"{len(names)} models ({'; '.join(names[:3])} and {len(names) - 3} more)"


def layer_ranges(layers: Collection[int]) -> str:
    """Layer numbers with neighbours joined to ranges: `0, 3 to 7`; `none` for no layer."""
    ranges: list[list[int]] = []
    for layer in sorted(layers):
        if ranges and layer == ranges[-1][1] + 1:
            ranges[-1][1] = layer
        else:
            ranges.append([layer, layer])
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in ranges) or "none"


def layers_named(layers: Collection[int]) -> str:
    """Layer numbers with their noun, for sentences: `layer 3`, `layers 0, 3 to 7`; `no layer` for none."""
    if not layers:
        return "no layer"
    return f"{'layer' if len(layers) == 1 else 'layers'} {layer_ranges(layers)}"


def markdown_text(text: str) -> str:
    """Escapes a text from outside, such as a name or a sample, so that Markdown and HTML readers show it as it is.

    The result is one line, and neither a heading, a list, a table's cell, a link, a formula nor an entity begins in it.
    """
    line = " ".join(for_terminal(text).split())
    return _MARKDOWN_LIST.sub(r"\1\\\2", _MARKDOWN.sub(r"\\\g<0>", line))
