"""Numbers and names as people read them: one function for each kind of number, one table of display names.

All texts are plain. A page or a table escapes them for itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence

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
_SMALLEST_PVALUE = 1e-6
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
    """A p-value in two significant digits: `0.031`, `2.9e-06`, `< 1e-06`; `missing` for None and NaN."""
    if value is None or math.isnan(value):
        return missing
    return "< 1e-06" if value < _SMALLEST_PVALUE else f"{value:.2g}"


def p_equals(value: float) -> str:
    """A p-value with its symbol, for sentences: `p = 0.031`, `p < 1e-06`."""
    text = pvalue(value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def number(value: float | None, *, missing: str = "missing") -> str:
    """A drift for a table, in four decimals or two digits: `0.0312`, `3.1e-05`; `missing` for None and NaN."""
    if value is None or math.isnan(value):
        return missing
    return f"{value + 0.0:.4f}" if value == 0 or abs(value) >= 1e-3 else f"{value:.1e}"


def short_number(value: float) -> str:
    """A drift for a sentence or a label, in two digits at most: `0.31`, `0.004`, `2e-06`."""
    if value == 0 or abs(value) >= 0.0995:
        return f"{value + 0.0:.2f}"
    return f"{value:.3f}" if abs(value) >= 0.0005 else f"{value:.0e}"


def two_digits(value: float) -> str:
    """A number in two significant digits, for what is read at a glance: `0.45`, `12`, `1,200`, `3.1e-05`."""
    rounded = float(f"{value:.2g}") + 0.0
    return f"{rounded:,.0f}" if abs(rounded) >= 10 else f"{rounded:#.2g}"


def signed_digits(value: float) -> str:
    """A difference in two significant digits with its sign: `+0.012`, `-0.3`; `0.0` for none."""
    text = two_digits(value)
    return f"+{text}" if value > 0 else text


def short_drift(value: float) -> str:
    """A drift as `short_number` writes it; 0 for one that is what rounding in float64 leaves of two equal sets."""
    return short_number(0.0 if abs(value) <= _ROUNDING_OF_DRIFT else value)


_NEARLY_ALL = 0.9995
"""From here on a share would be rounded to 100.0 %, which says that nothing is left."""


def percent(share: float | None, *, missing: str = "none") -> str:
    """A measured share in percent, with one decimal: `31.2 %`; `missing` for None and NaN."""
    return missing if share is None or math.isnan(share) else f"{_in_hundredths(share)} %"


def _in_hundredths(share: float) -> str:
    """A share times 100 with one decimal. A tiny negative one is `0.0`: a sign before nothing would be read as a decrease."""
    return f"{round(100 * share, 1) + 0.0:.1f}"


def whole_percent(share: float) -> str:
    """A measured share in whole percent, where a rough number will do: `31 %`."""
    return f"{round(100 * share) + 0:d} %"


def reduction_in_words(reduction: float, than: str = "") -> str:
    """A reduction, 1 - a / b, for a sentence on a: `31.2 % less than b`; `3.4 times as much as b` from twice as much on.

    than: the name of b; without it the sentence ends before `than` or `as`.
    """
    if reduction > -1:
        size = "more than 99.9 %" if reduction >= _NEARLY_ALL else percent(abs(reduction))
        return f"{size} {'less' if reduction >= 0 else 'more'}{f' than {than}' if than else ''}"
    return f"{times(1 - reduction)} times as much{f' as {than}' if than else ''}"


def reduction_at_a_glance(reduction: float, than: str = "") -> str:
    """A reduction as `reduction_in_words` has it, in two significant digits: `31 % less than b`, `1.2 times as much as b`."""
    if not -1 < reduction < 0.995 or reduction == 0:
        return reduction_in_words(reduction, than)
    size = f"{two_digits(abs(100 * reduction))} % {'less' if reduction > 0 else 'more'}"
    return f"{size} than {than}" if than else size


def times(factor: float) -> str:
    """A factor above 0, in two digits behind the point, or in two digits where it is small: `1.25`, `0.0019`, `10,581`."""
    if factor < 0.1:
        return f"{factor:.2g}"
    return f"{factor:.2f}" if factor < 10 else f"{factor:,.1f}" if factor < 100 else f"{factor:,.0f}"


def percent_range(low: float | None, high: float | None, *, missing: str = "none") -> str:
    """The ends of an interval of shares in percent: `12.0 to 31.2 %`; `missing` if an end is None or NaN."""
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return missing
    return f"{_in_hundredths(low)} to {_in_hundredths(high)} %"


def chosen_percent(share: float) -> str:
    """A share that someone chose, such as a confidence, in as few digits as it needs: `95 %`, `2.5 %`."""
    return f"{100 * share:g} %"


def pooling_words(pooling: str) -> str:
    """Returns a pooling in words, for a methods section: `the mean over real tokens`; one without words keeps its name."""
    return _POOLINGS.get(pooling, pooling)


def pooled_part(pool_over: str) -> str:
    """Words behind the name of a pooling that takes a part of each sample: ` over the tokens of the completion alone`; "" for all."""
    return "" if pool_over == "all" else f" over the tokens of the {pool_over} alone"


def scores(metrics: Mapping[str, float | None]) -> str:
    """Scores of a trained model with their names: `accuracy 0.873, f1 0.900`. Missing scores are not named."""
    return ", ".join(f"{name} {value:.3f}" for name, value in metrics.items() if value is not None)


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
