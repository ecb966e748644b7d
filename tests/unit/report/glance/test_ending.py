"""The end of a command keeps to 25 lines and to the width of the terminal, whatever the study, and says what it left out."""

import io
import re

import pytest
from rich.cells import cell_len

from repdrift.report.glance import Screen, comparison_glance, screen_of, study_glance
from tests.unit.report.glance.endings import PLACES, compared, comparison, comparison_end, fits, study_end
from tests.unit.report.synthetic_results import Synthetic

SCREENS = [Screen(80), Screen(100), Screen(120), Screen(80, unicode=False)]
ORDER = "x\x1b[2J\u202e\n| <b>" + "y" * 60
WIDE = "微调方法" * 12
STUDIES = {
    "plain": Synthetic(),
    "one layer": Synthetic(layers=1),
    "96 layers": Synthetic(layers=96, tasks=("sst2", "rte")),
    "12 arms": Synthetic(
        tasks=("sst2", "rte"), methods=("full_finetune", "lora", *(f"arm_{i}" for i in range(10))), layers=4
    ),
    "one seed": Synthetic(seeds=(1,), layers=4),
    "missing runs": Synthetic(missing=(("rte", "lora", 42), ("mrpc", "lora", 42), ("mrpc", "lora", 123), ("mrpc", "lora", 456)), layers=4),
    "one method": Synthetic(methods=("full_finetune",), layers=4),
    "negative drift": Synthetic(negative_below=3, layers=4),
    "hostile names": Synthetic(tasks=(ORDER, WIDE), methods=("full_finetune", ORDER, WIDE), layers=6, metrics=False),
    "not learnt": Synthetic(not_learnt=(("sst2", "lora", 42),), layers=4),
    "older files": Synthetic(learnt=None, inference=False, layers=4),
    "no noise floor": Synthetic(identity=False, layers=4),
    "many warnings": Synthetic(warnings=[f"Warning number {i}, which is about {'many ' * 30}things." for i in range(40)], layers=4),
}  # fmt: skip


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_ends_on_one_screen(name):
    study = STUDIES[name]
    table = study.table()
    results = study.results(table)
    for screen in SCREENS:
        lines = study_glance(results, table, PLACES, screen)
        fits(lines, screen, ascii_only=not screen.unicode and name != "hostile names")
        assert lines[-1] == "results: out/results.json"


def test_columns_stand_below_each_other():
    for name in ("plain", "hostile names", "12 arms"):
        lines = study_end(STUDIES[name])
        head = next(i for i, line in enumerate(lines) if line.endswith("by layer"))
        end = next(i for i in range(head, len(lines)) if lines[i].startswith("by layer:"))
        place = cell_len(lines[head].removesuffix("by layer"))
        for line in lines[head + 1 : end]:
            cut = line.rstrip("▁▂▃▄▅▆▇█·")
            assert cell_len(cut) == place, (name, line)


def test_the_drift_of_every_task_and_method_stands_in_the_table():
    study = Synthetic(layers=6)
    lines = study_end(study)
    table = study.table()
    primary = table[(table.measure == "cka") & (table.method == "lora") & (table.task == "rte")]
    per_seed = primary.groupby("seed").drift.mean()
    row = next(line for i, line in enumerate(lines) if "LoRA" in line and "RTE" in lines[i - 1])
    mean, spread = row.split("±")[0].split()[-1], row.split("±")[1].split()[0]
    places = len(mean.partition(".")[2])
    assert mean == f"{per_seed.mean():.{places}f}"
    assert spread == f"{per_seed.std():.{places}f}"
    assert float(spread) > 0


def test_methods_alone_are_shown_where_every_task_and_method_has_no_room():
    lines = study_end(STUDIES["12 arms"], Screen(80))
    assert any(line.startswith("method, over all tasks") for line in lines)
    assert sum("arm_" in line for line in lines if not line.startswith(("At", " ", "by"))) >= 5


def test_rows_without_room_are_counted():
    models = [compared(f"model-{i:02}", [0.01 * (i + 1)] * 4) for i in range(60)]
    lines = comparison_end(comparison(*models), Screen(80))
    fits(lines, Screen(80))
    text = " ".join(" ".join(lines).split())
    rows = [line for line in lines if line.startswith("model-")]
    assert f"{60 - len(rows)} more rows in comparison.md" in text
    assert rows[0].startswith("model-59"), "those that drift most come first where not all have room"


def test_a_model_that_was_not_compared_has_its_row():
    result = comparison(
        compared("a", [0.1, 0.2]),
        compared("b", [], status="not comparable", reason="it has another tokenizer"),
        compared("c", [], status="compared by grid", reason="It has 4 layers."),
        warnings=["b was not compared: it has another tokenizer"],
    )
    lines = comparison_end(result)
    headline = " ".join(lines[: lines.index("")])
    assert headline.endswith("c is compared by the layer grid alone. b could not be compared.")
    rows = {line.split()[0]: line.split()[1:] for line in lines if line[:2] in ("a ", "b ", "c ")}
    assert rows["a"][0] == "0.15"
    assert rows["b"] == ["none"]
    assert rows["c"] == ["grid", "alone"]
    assert "mind: b was not compared: it has another tokenizer" in lines


def test_name_of_a_model_is_not_changed_in_the_headline():
    lines = comparison_end(comparison(compared("lower-case", [0.1])))
    assert lines[0].startswith("lower-case against base: mean drift 0.10, most in layer 0 (0.10")


class _Stream(io.StringIO):
    def __init__(self, encoding):
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self):
        return self._encoding


@pytest.mark.parametrize(
    ("encoding", "unicode"), [("utf-8", True), ("ascii", False), ("cp1252", False), ("unheard-of", False)]
)
def test_marks_are_those_that_the_encoding_has(encoding, unicode):
    assert screen_of(_Stream(encoding)).unicode is unicode


@pytest.mark.parametrize(("columns", "width"), [("20", 80), ("97", 97), ("400", 120)])
def test_width_is_that_of_the_terminal_within_limits(monkeypatch, columns, width):
    monkeypatch.setenv("COLUMNS", columns)
    assert screen_of(_Stream("utf-8")).width == width


def test_an_interval_that_claims_less_than_the_others_is_marked():
    study = Synthetic(tasks=("sst2", "rte"), layers=3)
    table = study.table()
    results = study.results(table)

    def narrowed(reduction):
        kept = [i for i in reduction.intervals if i.over == "samples"]
        return (
            reduction.model_copy(update={"intervals": kept})
            if (reduction.task, reduction.layer) == ("rte", None)
            else reduction
        )

    mixed = results.model_copy(update={"reductions": [narrowed(r) for r in results.reductions]})
    lines = study_glance(mixed, table, PLACES, Screen(100))
    rows = [line for line in lines if "LoRA" in line and "%" in line and "[" in line and "±" in line]
    assert ["]~" in row for row in rows] == [False, True]
    assert "~: interval over samples alone" in " ".join(lines)
    assert "~" not in "".join(study_glance(results, table, PLACES, Screen(100)))


def test_the_score_is_named_and_models_that_have_not_learnt_mark_what_rests_on_them():
    lines = study_end(STUDIES["not learnt"], Screen(90))
    assert "accuracy" in next(line for line in lines if line.endswith("by layer"))
    row = next(line for i, line in enumerate(lines) if "LoRA" in line and "SST-2" in lines[i - 1])
    assert re.search(r"\]\* +0\.700\* ", row)
    assert sum("*" in line for line in lines if "±" in line) == 1


def test_long_paths_and_warnings_leave_room_for_a_row():
    warnings = [f"m{i}: It was trained on 'x{i}', {'which is long ' * 20}." for i in range(9)]
    first = ["In layer 3 of the base model one feature holds over half of the variance. " * 6]
    result = comparison(
        *(compared(f"m{i}", [0.1 * i] * 4) for i in range(9)), warnings=[*first, *warnings], headline=first
    )
    places = {name: "/" + "folder/" * 20 + name for name in ("page", "summary", "figures")}
    for screen in SCREENS:
        lines = comparison_glance(result, places, screen)
        height = sum(max(1, -(-cell_len(line) // screen.width)) for line in lines)
        assert height <= 25, "\n".join(lines)
        assert any(line.startswith("m8") for line in lines), "the model that drifts most"
        shown = sum(bool(re.match(r"m\d +0", line)) for line in lines)
        text = " ".join(" ".join(lines).split())
        assert shown == 9 or re.search(rf"\b{9 - shown} more rows? in comparison\.md", text)
        assert lines[0].startswith("mind: In layer 3")
