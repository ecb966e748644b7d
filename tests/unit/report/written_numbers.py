"""Numbers in a text that a reader has to count: more than three significant digits, or a power of ten in a program's notation."""

import re

MOST_DIGITS = 3
ALLOWED = {
    r"\d\.\d+ ±": "a mean has the decimals of its spread",
    r"±(?:\d+\.)?\d+": "a spread has the decimals of its mean",
    r"(?:learning )?rates? (?:of |at )?[\d.e-]+(?:(?:, | and | to )[\d.e-]+)*": "a learning rate is written as it is set",
    r"(?<![\d.])1\.000(?!\d)": "all of a score, in three decimals as every score",
    r"\b\d+(?:\.\d+){2,}\b": "a version",
    r"\b(?:repdrift|torch|transformers|peft|numpy|python) \d[\w.]*": "a version",
    r"\b\d{4}-\d\d-\d\d[\dT:+. ]*": "a date",
    r"\b[0-9a-f]{8,64}\b": "a digest",
    r"(?<![\d.])\d{1,3}(?:,\d{3})+(?![\d.])|(?<![\d.])\d+(?![\d.])": "a count, a seed, a step or a layer",
    r"-?\d+\.\d+ ?(?:MB|GB|MiB|GiB|s)\b": "a size or a time",
}
"""What may be written otherwise, and why."""
_DECIMAL = re.compile(r"(?<![\w.])[-+]?\d[\d,]*\.\d+(?![\w.]*\w)")
_POWER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?e[-+]?\d+(?!\w)")


def numbers_to_count(text):
    """The numbers of a text that are too long or in a program's notation, each with the words around it."""
    spared = [match.span() for pattern in ALLOWED for match in re.finditer(pattern, text)]
    found = [m for m in _DECIMAL.finditer(text) if _digits(m.group()) > MOST_DIGITS] + list(_POWER.finditer(text))
    return [
        f"{match.group()} in: {' '.join(text[max(0, match.start() - 60) : match.end() + 20].split())}"
        for match in found
        if not any(start <= match.start() and match.end() <= end for start, end in spared)
    ]


def _digits(number):
    return len(number.lstrip("+-0.,").replace(".", "").replace(",", ""))
