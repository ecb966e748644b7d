"""Make the sample texts that the package ships: `python scripts/make_sample_data.py [FOLDER]`.

Everything is put together from the hand-written phrases in scripts/sample_data by a seeded generator, so that running
it again gives the same bytes. Validation uses subjects, events, passages, names, places and numbers that training does not.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from sample_data import chats, events, passages, reviews

Row = dict[str, Any]
ROWS = {"sst2": (320, 120), "mrpc": (200, 100), "rte": (240, 100), "squad_v2": (240, 80), "short_chats": (200, 80)}
OWN_OPEN_STATEMENTS = 0.15
"""Share of the statements that do not follow which are about the text's own event; the others are about another event."""
SPLITS = ("train", "validation")


def sst2(split: str, count: int, rng: random.Random) -> list[Row]:
    """Sentences of opinion, half of them positive."""
    rows: list[Row] = []
    seen: set[str] = set()
    while len(rows) < count:
        label = len(rows) % 2
        subject = rng.choice(list(reviews.SUBJECTS[split]))
        first, second = rng.sample(reviews.SUBJECTS[split][subject][1 - label], 2)
        text = rng.choice(reviews.FORMS[split]).format(s=subject, a=first, a2=second)
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


def _filled(form: str, values: dict[str, str]) -> str:
    return form.format(**values, count_cap=values["count"][0].upper() + values["count"][1:])


def mrpc(split: str, count: int, rng: random.Random) -> list[Row]:
    """Pairs of sentences: the same event in other words, or another event of the same place, day and people."""
    rows: list[Row] = []
    seen: set[str] = set()
    while len(rows) < count:
        label = len(rows) % 2
        event, other = rng.sample(events.FRAMES[split], 2)
        wording = rng.randrange(2)
        values = _values(split, rng)
        second = (event if label else other)[1 - wording]
        texts = (_filled(event[wording], values), _filled(second, values))
        if seen.isdisjoint(texts):
            seen.update(texts)
            rows.append({"sentence1": texts[0], "sentence2": texts[1], "label": label, "idx": len(rows)})
    return rows


def rte(split: str, count: int, rng: random.Random) -> list[Row]:
    """A text and a statement that follows from it (0) or does not (1)."""
    rows: list[Row] = []
    seen: set[str] = set()
    while len(rows) < count:
        label = len(rows) % 2
        event, other = rng.sample(events.FRAMES[split], 2)
        values = _values(split, rng)
        text = _filled(event[rng.randrange(2)], values)
        statement = _filled(event[2], values)
        if label:
            statement = _filled(event[3] if rng.random() < OWN_OPEN_STATEMENTS else other[2], values)
        if text not in seen:
            seen.add(text)
            rows.append({"sentence1": text, "sentence2": statement, "label": label, "idx": len(rows)})
    return rows


def squad_v2(split: str, count: int, rng: random.Random) -> list[Row]:
    """Questions about short passages; two in five have no answer in the passage."""
    rows: list[Row] = []
    seen: set[tuple[str, str]] = set()
    while len(rows) < count:
        passage, questions = passages.PASSAGES[split][len(rows) // 5 % len(passages.PASSAGES[split])]
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


def short_chats(split: str, count: int, rng: random.Random) -> list[Row]:
    """Chats with the help desk of a library: one answer or two, a system turn in every third."""
    rows: list[Row] = []
    seen: set[str] = set()
    while len(rows) < count:
        pools = {"book": chats.BOOKS, "day": chats.DAYS, "hour": chats.HOURS, "number": chats.NUMBERS}
        values = {slot: rng.choice(pool[split]) for slot, pool in pools.items()}
        talks = [rng.choice(chats.TALKS), *([rng.choice(chats.FAREWELLS)] if len(rows) % 2 else [])]
        messages = [{"role": "system", "content": chats.SYSTEM}] if len(rows) % 3 == 0 else []
        for questions, answer in talks:
            messages.append({"role": "user", "content": rng.choice(questions).format(**values)})
            messages.append({"role": "assistant", "content": answer.format(**values)})
        if (text := json.dumps(messages)) not in seen:
            seen.add(text)
            rows.append({"id": f"{split}-{len(rows)}", "messages": messages})
    return rows


def main(folder: Path) -> None:
    """Write `<task>/{train,validation}.jsonl` below `folder`."""
    makers = {"sst2": sst2, "mrpc": mrpc, "rte": rte, "squad_v2": squad_v2, "short_chats": short_chats}
    for task, make in makers.items():
        for split, count in zip(SPLITS, ROWS[task], strict=True):
            rows = make(split, count, random.Random(f"{task}/{split}"))  # noqa: S311 (texts, not secrets)
            path = folder / task / f"{split}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "src/repdrift/tasks/samples")
