"""Make the sample texts that the package ships: `python scripts/make_sample_data.py [FOLDER]`.

Everything is put together from the hand-written phrases in scripts/sample_data by a seeded generator, so that running
it again gives the same bytes. Validation uses subjects, names, places and numbers that training does not.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from sample_data import events, passages, reviews

Row = dict[str, Any]
ROWS = {"sst2": (200, 120), "mrpc": (120, 80), "rte": (120, 80), "squad_v2": (80, 60)}
SPLITS = ("train", "validation")


def sst2(split: str, count: int, rng: random.Random) -> list[Row]:
    """Sentences of opinion, half of them positive."""
    subjects = reviews.TRAIN if split == "train" else reviews.VALIDATION
    rows: list[Row] = []
    seen: set[str] = set()
    while len(rows) < count:
        label = len(rows) % 2
        subject = rng.choice(list(subjects))
        praise, complaints = subjects[subject]
        mine, other = (praise, complaints) if label else (complaints, praise)
        first, second = rng.sample(mine, 2)
        form = rng.choice(reviews.SIMPLE + reviews.CONTRAST * 2 + reviews.DOUBLE)
        text = form.format(s=subject, a=first, a2=second, b=rng.choice(other))
        if text not in seen:
            seen.add(text)
            rows.append({"sentence": text, "label": label, "idx": len(rows)})
    return rows


def _values(split: str, rng: random.Random) -> dict[str, str]:
    return {
        "name": rng.choice(events.NAMES[split]),
        "town": rng.choice(events.TOWNS[split]),
        "count": rng.choice(events.COUNTS[split]),
        "day": rng.choice(events.DAYS[split]),
    }


def _changed(values: dict[str, str], form: str, split: str, rng: random.Random) -> dict[str, str]:
    slots = [slot for slot in values if "{" + slot in form]
    slot = rng.choice(slots)
    pool = {"name": events.NAMES, "town": events.TOWNS, "count": events.COUNTS, "day": events.DAYS}[slot][split]
    return {**values, slot: rng.choice([value for value in pool if value != values[slot]])}


def _filled(form: str, values: dict[str, str]) -> str:
    return form.format(**values, count_cap=values["count"][0].upper() + values["count"][1:])


def mrpc(split: str, count: int, rng: random.Random) -> list[Row]:
    """Pairs of sentences: the same facts in other words, or one fact changed."""
    rows: list[Row] = []
    seen: set[tuple[str, str]] = set()
    while len(rows) < count:
        label = len(rows) % 2
        first, second = rng.choice(events.FRAMES)[:2]
        if rng.random() < 0.5:
            first, second = second, first
        values = _values(split, rng)
        other = values if label else _changed(values, second, split, rng)
        pair = (_filled(first, values), _filled(second, other))
        if pair not in seen:
            seen.add(pair)
            rows.append({"sentence1": pair[0], "sentence2": pair[1], "label": label, "idx": len(rows)})
    return rows


def rte(split: str, count: int, rng: random.Random) -> list[Row]:
    """A text and a statement that follows from it (0) or does not (1)."""
    rows: list[Row] = []
    seen: set[tuple[str, str]] = set()
    while len(rows) < count:
        label = len(rows) % 2
        first, second, entailed, unsupported = rng.choice(events.FRAMES)
        values = _values(split, rng)
        text = _filled(rng.choice([first, second]), values)
        statement = _filled(entailed, values) if label == 0 else _filled(unsupported, values)
        if label == 1 and rng.random() < 0.4:  # the statement that would follow, but of another place or person
            statement = _filled(entailed, _changed(values, entailed, split, rng))
        if (text, statement) not in seen:
            seen.add((text, statement))
            rows.append({"sentence1": text, "sentence2": statement, "label": label, "idx": len(rows)})
    return rows


def squad_v2(split: str, count: int, rng: random.Random) -> list[Row]:
    """Questions about short passages; two in five have no answer in the passage."""
    rows: list[Row] = []
    seen: set[tuple[str, str]] = set()
    while len(rows) < count:
        passage, questions = passages.PASSAGES[len(rows) // 5 % len(passages.PASSAGES)]
        values = {slot: rng.choice(pools[SPLITS.index(split)]) for slot, pools in passages.SLOTS.items()}
        context = passage.format(**values)
        for question, slot in questions[: count - len(rows)]:
            if (context, question) in seen:
                continue
            seen.add((context, question))
            answers: Row = {"text": [], "answer_start": []}
            if slot is not None:
                start = passage[: passage.index("{" + slot + "}")].format(**values)
                answers = {"text": [values[slot]], "answer_start": [len(start)]}
            row = {
                "id": f"{split}-{len(rows)}",
                "title": values["town"],
                "context": context,
                "question": question,
                "answers": answers,
            }
            rows.append(row)
    return rows


def main(folder: Path) -> None:
    """Write `<task>/{train,validation}.jsonl` below `folder`."""
    makers = {"sst2": sst2, "mrpc": mrpc, "rte": rte, "squad_v2": squad_v2}
    for task, make in makers.items():
        for split, count in zip(SPLITS, ROWS[task], strict=True):
            rows = make(split, count, random.Random(f"{task}/{split}"))  # noqa: S311 (texts, not secrets)
            path = folder / task / f"{split}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "src/repdrift/tasks/samples")
