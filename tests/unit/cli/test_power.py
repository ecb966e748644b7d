"""`repdrift power`: what a pilot asks for, what a design can reach, and the notes before anything is trained."""

import json
import math

import pytest
from scipy.stats import chi2
from typer.testing import CliRunner

from repdrift.cli.main import app, main
from repdrift.core.records.results import RESULTS_FILE, TABLE_CSV
from tests.unit.drift.study_on_disk import judged
from tests.unit.planning.pilots import A, B, pilot_results

FAST = ("--reduction", "0.6", "--max-seeds", "4")


@pytest.fixture
def pilot(tmp_path):
    def write(drifts):
        results, table = pilot_results(drifts)
        results.write(tmp_path / RESULTS_FILE)
        table.to_csv(tmp_path / TABLE_CSV, index=False)
        return str(tmp_path)

    return write


def _printed(*arguments):
    found = CliRunner().invoke(app, ["power", *arguments], catch_exceptions=False)
    assert found.exit_code == 0
    return found.stdout


def _row(printed, name, place=0):
    return [line for line in printed.splitlines() if line.strip().startswith(name)][place].split()


def _error(capsys, *arguments):
    with pytest.raises(SystemExit, match="1"):
        main(["power", *arguments])
    return capsys.readouterr().err


def test_a_pilot_gets_its_design_its_seeds_and_its_samples(pilot):
    printed = _printed(pilot({"a": A, "b": B}), *FAST, "--half-width", "0.05")
    assert "Claim: LoRA drifts more than 20 % less than full fine-tuning, in the mean over layers" in printed
    assert _row(printed, "a ")[:6] == ["a", "3", "and", "3", "0.05", "(just)"]
    assert _row(printed, "b ")[:6] == ["b", "3", "and", "2", "0.1", "-"]
    assert _row(printed, "b ")[-1] == "0"
    assert _row(printed, "a ", 1)[1] == "3"
    assert _row(printed, "all tasks together", 2)[3:] == ["2", "2"]
    assert "b: numbers differ; the power is that of 2 of each everywhere." in printed
    squares = sum(sum((math.log(x) - sum(map(math.log, side)) / 3) ** 2 for x in side) for side in A)
    low, high = (math.exp(math.sqrt(squares / chi2(4).ppf(level))) for level in (0.975, 0.025))
    assert (
        f"a: {math.exp(math.sqrt(squares / 4)):.3g} (95 % interval {low:.3g} to {high:.3g}, from 4 degrees" in printed
    )
    assert _row(printed, "a, LoRA")[-2:] == ["529", "1,936"]
    assert max(map(len, printed.splitlines())) <= 120


def test_models_of_a_pilot_that_have_not_learnt_stand_first(tmp_path):
    results, table = pilot_results({"a": A, "b": B})
    runs = [run.model_copy(update={"learnt": judged(False, 0.5)}) for run in results.runs]
    results.model_copy(update={"runs": runs}).write(tmp_path / RESULTS_FILE)
    table.to_csv(tmp_path / TABLE_CSV, index=False)
    lines = _printed(str(tmp_path), *FAST).splitlines()
    assert lines[1].startswith(f"note: {len(runs)} of {len(runs)} trained models have not learnt their task")


def test_json_holds_the_same_and_more(pilot):
    folder = pilot({"a": A, "b": B})
    found = json.loads(_printed(folder, *FAST, "--json", "--margin", "0", "--task", "a"))
    (plan,) = found["seed_plans"]
    assert (found["margin"], found["alpha"], found["power"], found["n_tests"]) == (0, 0.05, 0.8, 1)
    assert plan["seeds_now"] == 3
    assert plan["answers"][0]["reduction"] == 0.6
    assert plan["answers"][0]["needed"] == 3
    assert {p["task"] for p in found["sample_plans"]} == {"a"}
    default = json.loads(_printed(folder, "--max-seeds", "2", "--json"))
    assert default["reductions"] == [0.3, 0.4, 0.5]


def test_layers_are_corrected_by_holm_or_planned_as_one_test(pilot):
    folder = pilot({"a": A, "b": B})
    holm = json.loads(_printed(folder, *FAST, "--layers", "all", "--json"))
    assert holm["n_tests"] == 2
    assert [p["pilot"]["where"] for p in holm["seed_plans"]] == [
        "layer 0, of median spread",
        "layer 1, of largest spread",
    ]
    printed = _printed(folder, *FAST, "--layers", "24")
    assert "corrected by Holm for 24 layers" in printed
    assert _row(printed, "layer 0, of median spread")[-3:-1] == ["0.12", "-"], "24 / 200"
    assert "as if no other layer were tested" in _printed(folder, *FAST, "--layers", "max-t")


def test_pilots_that_are_none_are_one_readable_line(pilot, tmp_path, capsys, monkeypatch):
    said = _error(capsys, pilot({"a": ([0.5], [0.4]), "b": ([0.5], [0.4])}))
    assert "nothing can be planned from this pilot: the pilot has 1 and 1 models of the methods on a" in said
    assert "(and 1 more like this)" in said
    assert "repdrift power --config STUDY" in said
    assert "no results at" in _error(capsys, str(tmp_path / "elsewhere"))
    (tmp_path / RESULTS_FILE).write_text('{"schema_version": 1}', encoding="utf-8")
    assert "schema version 1, this repdrift reads 2. Run `repdrift analyze`" in _error(capsys, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert "repdrift power --config STUDY" in _error(capsys)


def test_options_without_a_meaning_are_refused(pilot, capsys):
    folder = pilot({"a": A})
    assert "`all` or `max-t`; got 'most'" in _error(capsys, folder, "--layers", "most")
    assert "got 0.0" in _error(capsys, folder, "--half-width", "0")
    assert "above the margin and below 1" in _error(capsys, folder, "--reduction", "30")
    assert "name one with --reduction" in _error(capsys, folder, "--margin", "0.95")
    assert "RESULTS, --half-width plans" in _error(capsys, folder, "--config", "demo", "--half-width", "0.1")
    assert "give it as a number" in _error(capsys, "--config", "lora_vs_full", "--layers", "all")


def test_a_part_that_cannot_be_planned_is_a_note_beside_the_rest(pilot):
    printed = _printed(pilot({"a": A, "b": ([0.5, None, 0.55], [0.4, 0.3]), "c": ([0.5], None)}), *FAST)
    assert (
        "note: Nothing can be planned for c: the pilot has no models of both full fine-tuning and LoRA on c." in printed
    )
    assert "planned for all:" not in printed, "all tasks together is a and b"
    assert "c, LoRA" in printed
    assert "note: Without a drift, so left out: b, full_finetune, seed 1." in printed


def test_without_a_pilot_a_study_is_told_what_its_design_can_reach():
    printed = _printed("--config", "lora_vs_full", "--layers", "24")
    assert _row(printed, "3 of each") == [
        "3",
        "of",
        "each",
        "(this",
        "study)",
        "0.05",
        "(just)",
        "<",
        "0.0001",
        "0.00015",
    ]
    assert _row(printed, "2 of each")[3:5] == ["0.17", "-"]
    assert "a single task: only just significant" in printed
    found = json.loads(_printed("--config", "lora_vs_full", "--task", "rte", "--alpha", "0.01", "--json"))
    assert found["tasks"] == ["rte"]
    assert found["n_layers"] is None
    assert [(r["scope"], r["reachable"], r["enough"]) for r in found["reach"]] == [("task", False, 5)]


def test_status_says_first_what_the_design_can_show(tmp_path):
    arguments = ["status", "--config", "lora_vs_full", "--results-dir", str(tmp_path), "--base-dir", str(tmp_path)]
    printed = CliRunner().invoke(app, arguments, catch_exceptions=False).stdout
    notes = [line for line in printed.splitlines() if line.startswith("note: ")]
    assert printed.splitlines()[1] == notes[0], "after the line that answers"
    assert notes[1].startswith("note: 3 seeds per method are enough"), "after the note on learning rates"
    rows = json.loads(CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False).stdout)["runs"]
    assert len(rows) == 24


def test_train_and_run_say_it_before_they_begin(tmp_path, capsys):
    study = tmp_path / "study.yaml"
    study.write_text(
        f"name: x\nmodel: ./nowhere\ntasks: [mrpc]\nseeds: [1]\nresults_dir: {tmp_path}\n", encoding="utf-8"
    )
    for command in (["train", "--config", str(study), "--method", "lora"], ["run", str(study)]):
        with pytest.raises(SystemExit, match="1"):
            main(command)
        said = capsys.readouterr().err
        assert "note: on MRPC nothing can be significant" in said
        assert said.count("note: with one seed") == 1
        assert said.index("note: with one seed") < said.index("repdrift: error:")


def _with_second_arm(results):
    """The results with DoRA as a second arm, whose drifts are those of LoRA."""
    more = [r.model_copy(update={"comparison": "dora"}) for r in results.reductions]
    study = results.study.model_copy(update={"comparison_methods": ["lora", "dora"]})
    return results.model_copy(update={"study": study, "reductions": [*results.reductions, *more]})


def test_a_pilot_of_two_arms_is_planned_for_each_and_corrected_for_both(tmp_path):
    results, table = pilot_results({"a": A})
    _with_second_arm(results).write(tmp_path / RESULTS_FILE)
    table.to_csv(tmp_path / TABLE_CSV, index=False)
    printed = _printed(str(tmp_path), *FAST)
    assert "Claim: the method of the row drifts more than 20 % less than full fine-tuning" in printed
    assert "corrected for 2 methods" in printed
    for name in ("LoRA, a", "DoRA, a"):
        assert _row(printed, name)[2:7] == ["3", "and", "3", "0.1", "-"], "0.05 for one arm alone"
        assert _row(printed, name, 1)[2] == "4"
    found = json.loads(_printed(str(tmp_path), *FAST, "--json", "--layers", "all"))
    assert (found["n_tests"], found["n_arms"], found["comparison_methods"]) == (2, 2, ["lora", "dora"])
    assert [plan["pilot"]["method"] for plan in found["seed_plans"]] == ["lora", "lora", "dora", "dora"]
    assert {plan["least_seeds"] for plan in found["seed_plans"]} == {5}, "70 arrangements of 4 against 4 give 4 x 1/70"


def test_a_study_of_several_arms_says_for_how_many_is_corrected(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(
        "name: x\nmodel: somebody/some-model\ntasks: [mrpc]\nseeds: [1, 2, 3]\nmethods: [full_finetune, lora, dora, ia3]\n"
    )
    printed = _printed("--config", str(file))
    assert "3 methods (arms) are compared with one reference, and every p is corrected for them by Holm." in " ".join(
        printed.split()
    )
    assert _row(printed, "3 of each")[-2:] == ["0.15", "-"]
    assert json.loads(_printed("--config", str(file), "--json"))["arms"] == 3
