"""Accounts of studies: every number comes from the results files, a changed file changes the text, and what is missing is said."""

import gzip
import re
import shutil
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from studies.account.__main__ import main
from studies.account.build import AGAIN, TEXT, account_text
from studies.account.cells import target_at_equal_skill, verdict_cell
from studies.account.committed_results import (
    COMPRESSED,
    FIGURES_FOLDER,
    MOST_BYTES,
    TOGETHER,
    commit_results,
    results_of,
)
from studies.account.facts import StudyFacts
from studies.account.replication import other_verdicts
from studies.account.reproductions import REPRODUCED
from studies.account.tried_tasks import TRIED

from repdrift.core.errors import DataError
from repdrift.core.records.likeness import ChangeLikeness, DirectionPair, GroupLikeness, LikenessModel, PairLikeness
from repdrift.core.records.outcomes import ArmDifference, ArmOutcome, OutcomeInfo, StudyOutcomes
from repdrift.core.records.reproduction import REPRODUCTION_FILE
from repdrift.core.records.results import RESULTS_FILE, TABLE_PARQUET, DriftResults
from repdrift.core.records.run import RUN_FILE, Learnt
from repdrift.core.records.study_info import SanityCheck
from repdrift.core.records.what_moved import StudyMoved
from repdrift.core.words import p_equals, short_drift
from repdrift.report.report_data import read_report_data
from tests.unit.drift.skill_studies import two_arms
from tests.unit.drift.test_trained_runs import run_record
from tests.unit.report.equal_skill_results import with_equal_skill
from tests.unit.report.page.study.trained_study import trained_study
from tests.unit.report.page.views.made_studies import PLAIN, made
from tests.unit.report.synthetic_results import Synthetic, write_results
from tests.unit.sharing.test_reproduction import model as made_again
from tests.unit.sharing.test_reproduction import reproduction

ACCOUNTS = Path(__file__).parents[2] / "docs" / "studies"
REFERENCE = ACCOUNTS / "reference"
NAMES_WITH_DIGITS = ("MiniLM-L6", "SmolLM2", "et al. 2024", "1 - debiased CKA")


@pytest.fixture
def account(tmp_path):
    """A folder with the reference study's template, and results of another, small study in place of its own."""
    for name in ("account.md.j2", "pilot.json"):
        shutil.copy(REFERENCE / name, tmp_path / name)
    study = Synthetic(
        tasks=("sst2", "mrpc"), methods=("full_finetune", "lora_r8"), seeds=(1, 2, 3), layers=3, missing=(("mrpc", "lora_r8", 2),)
    )  # fmt: skip
    write_results(tmp_path / "results", study)
    return tmp_path


def changed(folder, **update):
    """Writes the results of an account anew with these fields changed."""
    file = folder / "results" / RESULTS_FILE
    DriftResults.read(file).model_copy(update=update).write(file)


def test_no_number_is_typed_into_a_template():
    for template in ACCOUNTS.glob("*/account.md.j2"):
        text = re.sub(
            r"```bash\n.*?```|\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}|`[^`\n]*`",
            "",
            template.read_text(encoding="utf-8"),
            flags=re.DOTALL,
        )
        for name in NAMES_WITH_DIGITS:
            text = text.replace(name, "")
        assert not re.findall(r".*\d.*", text)


def test_committed_accounts_are_what_their_results_give():
    for template in ACCOUNTS.glob("*/account.md.j2"):
        folder = template.parent
        assert (folder / TEXT).is_file() == (folder / "results").is_dir()
        if (folder / TEXT).is_file():
            assert (folder / TEXT).read_text(encoding="utf-8") == account_text(folder)


def test_committed_results_are_small():
    total = sum(path.stat().st_size for path in REFERENCE.rglob("*") if path.is_file())
    assert total <= MOST_BYTES


def progress(text):
    """The line on what is finished, behind the short answers and before the first heading."""
    return next(line for line in text.partition("## ")[0].splitlines() if line.startswith("Tasks finished"))


def test_what_is_finished_in_part_and_not_begun_stands_before_all_numbers_of_the_analysis(account):
    first = progress(account_text(account)).partition(" Small models")[0]
    assert first == "Tasks finished so far: SST-2. In part: MRPC (5 of 6 models). Not yet run: RTE and SQuAD 2.0."


def test_models_that_were_made_again_stand_beside_the_published_ones_and_are_refused_where_those_are_others(
    account, tmp_path, capsys
):
    drift = read_report_data(account / "results" / RESULTS_FILE).drift("sst2", "lora_r8").loc[2].tolist()
    for number, verdict in enumerate(("like another seed", "differs"), start=1):
        one = made_again(verdict, method="lora_r8", seed=2, layers=[0, 1, 2], drift_published=drift, drift_again=drift)
        reproduction(one, random_seed=number).write(tmp_path / f"again{number}" / REPRODUCTION_FILE)
    folders = [str(tmp_path / f"again{number}") for number in (1, 2)]
    assert main([str(account), "--reproduced", *folders]) == 0
    text = (account / TEXT).read_text(encoding="utf-8")
    for number, verdict in enumerate(("lies where another seed", "differs by more than another seed"), start=1):
        assert any(f"(random seed {number})" in line and verdict in line for line in text.splitlines())
    assert text.count("| SST-2, lora\\_r8, seed 2 |") + text.count("| SST-2, lora_r8, seed 2 |") == 2
    not_shown = text.partition("## What is not shown")[2]
    assert (
        not_shown.count("comes out otherwise on another machine. Of 2 trainings made again, 1 did: seed 2 (accuracy")
        == 1
    ), "the one that differs"
    assert main([str(account), "--reproduced", folders[0]]) == 0
    assert "(random seed 2)" not in (account / TEXT).read_text(encoding="utf-8")

    other = made_again("differs", method="lora_r8", seed=2, layers=[0, 1, 2], drift_published=[0.9] * 3)
    reproduction(other).write(account / REPRODUCED / "1.json")
    assert main([str(account), "--check"]) == 1
    assert "is not what the results have now" in capsys.readouterr().err


def test_a_task_that_was_tried_and_not_learnt_is_left_out_for_that_reason_with_its_scores(account, tmp_path, capsys):
    study = tmp_path / "tried"
    for task, verdict in (("rte", True), ("squad_v2", False)):
        learnt = Learnt(
            metric="f1", score=0.513, constant_answer="no answer | at all", constant_score=0.525, difference=-0.012,
            low=-0.035, high=0.011, n_items=800, n_groups=178, learnt=verdict, sentence="as it is",
        )  # fmt: skip
        run_record(
            base_model="smollm2-135m", task=task, method="full_finetune", learnt=learnt, n_train=2700, data_source=str(tmp_path),
            hyperparameters={"learning_rate": 2e-4, "epochs": 3.0, "steps": 576},
            checkpoint_scores={330: {"f1": 0.6, "exact_match": 0.9}, 430: {"f1": 0.5, "exact_match": 0.9}},
        ).write(study / task / RUN_FILE)  # fmt: skip

    assert main([str(account), "--tried", str(study)]) == 0
    text = (account / TEXT).read_text(encoding="utf-8")
    assert progress(text).partition(" Small models")[0] == (
        "Tasks finished so far: SST-2. In part: MRPC (5 of 6 models). "
        "Left out, since no model that was tried has learnt them: SQuAD 2.0. Learnt by a model that was tried, but not run with all arms: RTE."
    )
    row = next(line for line in text.splitlines() if "| SQuAD 2.0 | full" in line)
    assert row.endswith(
        "| 0.0002 | 2700 rows, 3 epochs | 800 rows | f1 0.513 | 0.600 at step 330 of 576 | 0.525 (no answer \\| at all) | -0.012 (-0.035 to 0.011) | no |"
    )
    assert str(tmp_path) not in (account / TRIED).read_text(encoding="utf-8")
    # The same task tried once more stands below its first trial; the file keeps the trials whose folders are gone.
    record = run_record(
        base_model="smollm2-135m", task="rte", method="full_finetune", learnt=learnt, n_train=1390,
        hyperparameters={"learning_rate": 3e-5, "epochs": 12.0, "steps": 1044},
    )  # fmt: skip
    record.write(tmp_path / "once_more" / "rte" / RUN_FILE)
    assert main([str(account), "--tried", str(account / TRIED), str(tmp_path / "once_more")]) == 0
    rows = [line for line in (account / TEXT).read_text(encoding="utf-8").splitlines() if "| full fine-tuning | 0.000" in line or "| full fine-tuning | 3e-05" in line]  # fmt: skip
    assert [tuple(row.split(" | ")[n] for n in (1, 4)) for row in rows] == [
        ("RTE", "2700 rows, 3 epochs"),
        ("RTE", "1390 rows, 12 epochs"),
        ("SQuAD 2.0", "2700 rows, 3 epochs"),
    ]
    assert main([str(account), "--tried", str(tmp_path / "nothing")]) == 1
    assert "should hold finished runs" in capsys.readouterr().err


def test_a_changed_result_changes_its_number_and_no_other(account):
    before = account_text(account).splitlines()
    results = DriftResults.read(account / "results" / RESULTS_FILE)
    other = [
        r.model_copy(update={"reduction": 0.4321}) if (r.task, r.layer) == ("sst2", 1) else r for r in results.reductions
    ]  # fmt: skip
    changed(account, reductions=other)
    after = account_text(account).splitlines()
    differ = [line for old, line in zip(before, after, strict=True) if old != line]
    assert len(differ) == 1
    assert differ[0].startswith("| lora_r8 |")
    assert "43 %" in differ[0]


def test_a_layer_below_all_that_an_arm_trains_is_frozen_and_no_reduction(account):
    assert "frozen" not in account_text(account).partition("## The answers")[2]
    results = DriftResults.read(account / "results" / RESULTS_FILE)
    none = [
        r.model_copy(update={"comparison_by_seed": dict.fromkeys(r.comparison_by_seed, -1e-9)}) if r.layer == 0 else r
        for r in results.reductions
    ]
    changed(account, reductions=none)
    text = account_text(account)
    lowest = text.partition("The lowest layer alone:")[2].splitlines()
    assert next(line for line in lowest if line.startswith("| lora_r8 |")).endswith("| frozen | frozen |")
    question = text.partition("**Which arms drift more in the lowest layer,")[2]
    assert question.partition("- SST-2: ")[2].splitlines()[0] == "frozen: lora_r8."


def test_the_account_begins_with_its_questions_their_answers_by_task_and_what_they_are_compared_with(account):
    text = account_text(account).partition("## Each question with its control")[2].partition("\nPercentages")[0]
    facts = StudyFacts.read(account / "results" / RESULTS_FILE)
    models = facts.models("mrpc", "full_finetune")
    moved = text.partition("- MRPC: ")[2].splitlines()[0]
    assert moved.startswith(f"mean drift {short_drift(models.drift)} ± {short_drift(models.spread)}, from ")
    assert "All tasks" not in text.partition("\n\n**")[0], "it is told by task"
    questions = [line.removeprefix("**") for line in text.splitlines() if line.startswith("**")]
    asked = (
        "How far does",
        "At least 20 % less, at the end",
        "At least 20 % less by another measure",
        "Are they alike within",
        "Which arms drift more in the lowest",
    )
    assert [next(a for a in asked if question.startswith(a)) for question in questions] == list(asked), (
        "those that these results answer"
    )
    assert all(question.endswith(".*") and "?** *Compared with " in question for question in questions)


def test_numbers_at_equal_skill_and_their_score_stand_in_the_table(account):
    data = with_equal_skill(account, two_arms(("sst2",), ratio=0.7))
    data.results.write(account / "results" / RESULTS_FILE)
    data.table.to_parquet(account / "results" / TABLE_PARQUET, index=False)
    found = next(e for e in data.results.equal_skill if e.task == "sst2")
    line = next(line for line in account_text(account).splitlines() if line.startswith("| LoRA |"))
    cells = [cell.strip() for cell in line.split("|")]
    assert cells[3] == f"{found.scores[0].score:.3f}"
    assert cells[4].startswith(f"{100 * found.reduction:.0f} % (")
    assert cells[4].endswith(f" %): {verdict_cell(found.test)}")
    means = data.primary.groupby("method")["drift"].mean()
    gap = abs(means["full_finetune"] - means["lora"])
    floor = max(
        c for m in ("full_finetune", "lora") if np.isfinite(c := data.control_drift("seed_ceiling", "sst2", m).mean())
    )
    assert cells[6] == f"{short_drift(gap)}, {'more' if gap > floor else 'less'} than {short_drift(floor)}"


def test_committed_results_hold_no_text_of_a_row(tmp_path):
    data = made(PLAIN)
    note = "The text is column 'sentence'. 9 rows read; the first is \"a row of somebody's data\"."
    study = data.results.study.model_copy(update={"data_notes": {"sst2": [note]}})
    results = data.results.model_copy(update={"study": study})
    texts = re.findall(r'"text": "([^"]+)"', results.file_text())
    assert texts
    folder = tmp_path / "analysis"
    folder.mkdir()
    results.write(folder / RESULTS_FILE)
    data.table.to_parquet(folder / TABLE_PARQUET, index=False)
    commit_results(folder, tmp_path / "kept")
    kept = gzip.decompress((tmp_path / "kept" / COMPRESSED).read_bytes()).decode()
    assert not [text for text in [*texts, "somebody's data"] if text in kept]
    assert "9 rows read" in kept
    names = {at.sample for task in results.moved.samples.tasks for model in task.models for at in model.moves.most}
    assert names
    assert all(f'"{name}"' in kept for name in names)


def test_a_claim_that_so_few_models_cannot_decide_says_so(tmp_path):
    results = read_report_data(write_results(tmp_path, Synthetic(tasks=("sst2",), layers=2))).results
    test = results.tests[0].model_copy(
        update={
            "verdict": "undecided",
            "pvalue": 0.17,
            "deciding_pvalue": 0.17,
            "smallest_pvalue": 0.17,
            "smallest_deciding_pvalue": 0.17,
        }
    )
    assert verdict_cell(test) == "undecided: so few models allow no p below 0.17"
    assert verdict_cell(test, alpha=0.2) == "undecided (p = 0.17)"


def test_the_target_at_equal_skill_is_read_off_the_interval(tmp_path):
    data = with_equal_skill(tmp_path, two_arms(("sst2",), ratio=0.7))
    found = next(e for e in data.results.equal_skill if e.task == "sst2")
    low, high = found.interval.low, found.interval.high
    assert target_at_equal_skill(found, low - 0.01).startswith("supported")
    assert target_at_equal_skill(found, (low + high) / 2).startswith("undecided")
    assert target_at_equal_skill(found, high + 0.01).startswith("rejected")
    assert target_at_equal_skill(None, 0.2) == "-"


def test_damaged_results_are_refused_and_nothing_is_written(account, capsys):
    file = account / "results" / RESULTS_FILE
    file.write_text(file.read_text(encoding="utf-8").replace("0.8", "0.9"), encoding="utf-8")
    with pytest.raises(DataError, match="changed or damaged"):
        account_text(account)
    assert main([str(account)]) == 1
    assert "changed or damaged" in capsys.readouterr().err
    assert not (account / TEXT).exists()


def test_check_tells_an_account_that_was_edited_by_hand(account, capsys):
    assert main([str(account), "--check"]) == 1
    assert main([str(account)]) == 0
    assert main([str(account), "--check"]) == 0
    text = account / TEXT
    text.write_text(text.read_text(encoding="utf-8").replace("SST-2", "SST-3"), encoding="utf-8")
    assert main([str(account), "--check"]) == 1
    assert "is not what the results give" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main([])


def test_results_that_are_taken_over_give_the_same_text_with_figures_and_the_same_bytes_each_time(account, tmp_path):
    before = account_text(account)
    shutil.move(account / "results", tmp_path / "analysis")
    assert main([str(account), "--from", str(tmp_path / "analysis")]) == 0
    packed = account / "results" / COMPRESSED
    text = (account / TEXT).read_text(encoding="utf-8")
    drawn = sorted(path.stem for path in (account / "figures").glob("*.png"))
    assert drawn == sorted(re.findall(r"!\[.*\]\(figures/(\w+)\.png\)", text))
    assert {"drift_by_layer", "drift_reduction"} <= set(drawn)
    assert [line for line in before.splitlines() if line not in text.splitlines()] == []
    first = packed.read_bytes()
    assert main([str(account), "--from", str(tmp_path / "analysis")]) == 0
    assert packed.read_bytes() == first
    packed.write_bytes(first[:-20])
    assert main([str(account)]) == 1


def test_results_with_a_table_of_another_analysis_are_not_taken_over(account, tmp_path, capsys):
    analysis = tmp_path / "analysis"
    shutil.move(account / "results", analysis)
    write_results(tmp_path / "other", Synthetic(tasks=("rte",), seeds=(5,), layers=3))
    shutil.copy(tmp_path / "other" / TABLE_PARQUET, analysis / TABLE_PARQUET)
    assert main([str(account), "--from", str(analysis)]) == 1
    assert TABLE_PARQUET in capsys.readouterr().err
    assert not (account / "results").exists()
    assert not (account / TEXT).exists()


def test_a_pilot_that_the_rates_contradict_is_said(account):
    arms = ("full_low", "full_middle", "full_high", "lora_low", "lora_middle", "lora_high")
    write_results(account / "rates", Synthetic(tasks=("sst2",), methods=arms, seeds=(1, 2), layers=3))
    text = account_text(account)
    assert text.count("**this differs**") == len(arms)  # made-up drifts
    assert "Not yet run" not in text.partition("## How much of it")[2]


def test_what_differs_from_the_pilot_is_shown_along_its_runs_and_its_seeds_are_told(account):
    arms = ("full_low", "full_middle", "full_high", "lora_low", "lora_middle", "lora_high")
    folder = account / "rates"
    write_results(folder, Synthetic(tasks=("sst2",), methods=arms, seeds=(1, 2), layers=3, checkpoints=(10, 20)))
    results = DriftResults.read(folder / RESULTS_FILE)

    def scored(run):
        score = {0: 0.8, 10: 0.5, 20: 0.6}[run.step] - 0.07 * (run.seed - 1) * (run.method == "lora_low")
        learnt = None if run.step else run.learnt.model_copy(update={"score": score, "metric": "accuracy"})
        return run.model_copy(update={"metrics": {"accuracy": score}, "learnt": learnt})

    results.model_copy(update={"runs": [scored(run) for run in results.runs]}).write(folder / RESULTS_FILE)
    text = account_text(account)
    assert "| arm | seed | step 10 | step 20 | end |" in text
    assert "| lora_low | 2 | 0.430 | 0.530 | 0.730 |" in text
    assert "- Two seeds of lora_low end 0.070 apart, where the two measurements may differ by 0.027" in text
    assert "Two seeds of full_low" not in text


def test_what_was_lost_of_retrieval_stands_beside_the_base_model(account):
    file = account / "results" / RESULTS_FILE
    results = DriftResults.read(file)
    common = {
        "task": "sst2", "method": "lora_r8", "inputs": "benchmark", "seeds": [1, 2, 3], "n": 300, "n_groups": 146,
        "interval": "jackknife over models and items",
    }  # fmt: skip
    arms = [
        ArmOutcome(**common, outcome="retrieval", value=0.6, base_value=0.78, difference=-0.18, low=-0.2, high=-0.1),
        ArmOutcome(
            **common, outcome="retrieval_first", value=0.5, base_value=0.68, difference=-0.18, low=None, high=None
        ),
    ]
    notes = [
        "300 queries look for 146 passages of a file.",
        "Retrieval by chance: reciprocal rank 0.038.",
        "Another note.",
    ]
    infos = [OutcomeInfo(name="retrieval", title="retrieval", unit="mean", higher_is_better=True)]
    less = ArmDifference(
        task="sst2", method="lora_r8", reference="full_finetune", outcome="retrieval", inputs="benchmark", seeds=[1], reference_seeds=[1],
        difference=0.07, low=0.02, high=0.12, interval="jackknife over models and items", n=300, n_groups=146,
    )  # fmt: skip
    changed(account, outcomes=StudyOutcomes(infos=infos, arms=arms, differences=[less], notes=notes))
    assert results.outcomes is None or not [a for a in results.outcomes.arms if a.outcome == "retrieval"]
    text = account_text(account)
    assert "| base model | 0.780 | - | 68 % | - | - | 1 |" in text
    assert "| lora_r8 | 0.600 | 0.180 (0.100 to 0.200) | 50 % | 0.070 (0.020 to 0.120) | - | 3 |" in text
    assert [note in text for note in notes] == [True, True, False]


def test_likeness_of_arms_stands_beside_that_of_seeds_and_of_what_shares_neither(account):
    """Every pair of one arm has 0.5, of one seed 0.75, any other 0.25; a second layer in which one pair has no direction does not count."""
    assert "One is the same direction" in account_text(account)
    assert account_text(account).count("This was not measured.") >= 2
    models = [
        LikenessModel(name=f"{task} {method} {seed}", task=task, method=method, seed=seed)
        for task in ("sst2", "mrpc") for method in ("full_finetune", "lora_r8") for seed in (1, 2, 3)
    ]  # fmt: skip

    def planted(i, j):
        one, other = models[i], models[j]
        return 0.5 if one.method == other.method else 0.75 if one.seed == other.seed else 0.25

    every = list(combinations(range(len(models)), 2))
    pairs = [
        PairLikeness(first=i, second=j, whole=GroupLikeness(by="all", group="all", weights=1, cosine=planted(i, j) / 2)) for i, j in every
    ]  # fmt: skip
    directions = [
        DirectionPair(first=i, second=j, layer=layer, cosine=planted(i, j) if layer == 1 else None if j - i == 1 else -1.0)
        for i, j in every for layer in (1, 2) if models[i].task == models[j].task
    ]  # fmt: skip
    found = ChangeLikeness(models=models, pairs=pairs, directions=directions, order=list(range(len(models))))
    changed(account, moved=StudyMoved(likeness=found))
    text = account_text(account)
    smallest = p_equals(6 / 6**2)
    weights = next(line for line in text.splitlines() if line.startswith("| cosine of the changes of the weights"))
    assert (
        weights == f"| cosine of the changes of the weights | 0.25 ({p_equals(2 / 2**3)}) | 0.38 ({smallest}) | 0.12 |"
    )
    assert (
        f"| cosine of the directions of the samples, mean over layer 1 | 0.50 ({p_equals(2 / 2**3)}) | 0.75 ({smallest}) | 0.25 |"
        in text
    )
    assert (
        ": the mean is larger for two of one seed (not tested): cosine 0.75 between arms of one seed, 0.50 between seeds of one arm, 0.25 between others, in layer 1."
        in text
    )


def test_a_decoder_has_a_part_of_its_own_with_what_it_forgot_on_general_text(account):
    assert "## A decoder" not in account_text(account)
    assert "Nothing here is about decoders" in account_text(account)
    study = Synthetic(tasks=("sst2",), methods=("full_finetune", "lora_r8"), seeds=(1, 2, 3), layers=30)
    write_results(account / "decoder", study)
    file = account / "decoder" / RESULTS_FILE
    results = DriftResults.read(file)
    common = {
        "task": "sst2", "inputs": "general_text", "seeds": [1, 2, 3], "n": 60, "n_groups": 60, "interval": "jackknife over models and items",
    }  # fmt: skip
    arms = [
        ArmOutcome(**common, method=arm, outcome="forgetting", value=3.0 + rise, base_value=3.0, difference=rise, low=rise / 2, high=2 * rise)
        for arm, rise in (("full_finetune", 0.5), ("lora_r8", 0.125))
    ]  # fmt: skip
    on_task = ArmOutcome(
        **(common | {"inputs": "task"}), method="lora_r8", outcome="forgetting", value=9.0, base_value=3.0, difference=6.0, low=None, high=None
    )  # fmt: skip
    less = ArmDifference(
        **common, method="lora_r8", reference="full_finetune", outcome="forgetting", reference_seeds=[1], difference=-0.375, low=-0.5, high=-0.25
    )  # fmt: skip
    check = SanityCheck(name="no massive activation dominates", passed=False, detail="One feature holds 76 %.")
    outcomes = StudyOutcomes(arms=[*arms, on_task], differences=[less])
    results.model_copy(update={"outcomes": outcomes, "sanity": [check], "warnings": ["Read with care."]}).write(file)
    text = account_text(account)
    part = text.partition("## A decoder")[2].partition("\n## ")[0]
    assert "| base model | 3.000 | - | - | - | 1 |" in part
    assert "| full fine-tuning | 3.500 | 0.500 (0.250 to 1.000) | - | reference | 3 |" in part
    assert "| lora_r8 | 3.125 | 0.125 (0.062 to 0.250) | - | 0.375 (0.250 to 0.500) | 3 |" in part
    assert "9.000" not in part
    assert "- Check failed: no massive activation dominates. One feature holds 76 %." in part.splitlines()
    assert "- Read with care." in part.splitlines()
    head = next(line for line in part.splitlines() if line.startswith("|  | layer 0"))
    assert head == "|  | layer 0 | layer 5 | layer 10 | layer 14 | layer 19 | layer 24 | layer 29 | mean |"
    facts = StudyFacts.read(file)
    drift = next(
        line
        for line in part.splitlines()
        if line.startswith("| full fine-tuning |") and "±" in line and line.count("|") == 10
    )
    assert drift.split("|")[5].strip() == short_drift(facts.models("sst2", "full_finetune").by_layer[14])
    assert "and one small decoder on one task with 3 seeds" in text
    assert "Nothing here is about decoders" not in text


def test_the_same_task_made_again_stands_beside_it_and_verdicts_that_differ_are_named(account):
    assert "The same again" not in account_text(account)
    study = Synthetic(
        tasks=("sst2",), methods=("full_finetune", "lora_r8"), seeds=(1, 2, 3), layers=3, shares={"lora_r8": 0.5}
    )
    write_results(account / "again" / "sst2", study)
    facts = StudyFacts.read(account / "results" / RESULTS_FILE)
    other = StudyFacts.read(account / "again" / "sst2" / RESULTS_FILE)
    text = account_text(account).partition("## The same again on another machine")[2]
    line = next(line for line in text.splitlines() if line.startswith("| lora_r8 |"))
    cells = [cell.strip() for cell in line.split("|")]
    assert cells[2] == " / ".join(short_drift(f.models("sst2", "lora_r8").drift) for f in (facts, other))
    ours, theirs = (f.data.drift("sst2", "lora_r8").mean(axis=1).to_numpy() for f in (facts, other))
    pairs = [abs(ours[0] - ours[1]), abs(ours[0] - ours[2]), abs(ours[1] - ours[2])]
    assert cells[8] == f"{short_drift(np.abs(ours - theirs).mean())}; {short_drift(np.mean(pairs))}"
    assert other_verdicts(facts, facts, "sst2") == []
    here, test = facts.target("sst2", "lora_r8").verdict, other.target("sst2", "lora_r8")
    verdict = "supported" if here == "rejected" else "rejected"
    turned = [t.model_copy(update={"verdict": verdict}) if t == test else t for t in other.data.results.tests]
    other.data.results.model_copy(update={"tests": turned}).write(account / "again" / "sst2" / RESULTS_FILE)
    assert "- lora_r8, by the target: " in account_text(account)


def test_a_target_that_only_one_machine_reaches_at_equal_skill_is_a_verdict_that_differs(account):
    data = with_equal_skill(account, two_arms(("sst2",), ratio=0.7))
    here = StudyFacts(data)
    found = next(e for e in data.results.equal_skill if e.task == "sst2")
    target = data.results.study.target_reduction
    around = found.interval.model_copy(update={"low": target - 0.1, "high": target + 0.1})
    skills = [e.model_copy(update={"interval": around}) if e.task == "sst2" else e for e in data.results.equal_skill]
    there = StudyFacts(replace(data, results=data.results.model_copy(update={"equal_skill": skills})))
    assert other_verdicts(here, here, "sst2") == []
    (said,) = other_verdicts(here, there, "sst2")
    assert "supported: the interval lies above it here" in said
    assert said.endswith("undecided: the interval holds it there")


def one_task(folder, task, noise=0.08, sanity=(), **changes):
    """An analysis of one task, or of several, that knows how its models were trained. changes: of every training."""
    data = trained_study(
        tasks=(task,) if isinstance(task, str) else task,
        results={"sanity": list(sanity)},
        methods=("full_finetune", "lora"),
        seeds=(1, 2, 3),
        layers=3,
        noise=noise,
        checkpoints=(),
        changes=changes,
    )
    folder.mkdir()
    data.results.write(folder / RESULTS_FILE)
    data.table.to_parquet(folder / TABLE_PARQUET, index=False)
    return folder


def test_tasks_that_were_analysed_one_by_one_are_put_together_and_keep_their_own_numbers(account, tmp_path):
    shutil.rmtree(account / "results")
    assert main([str(account), "--from", str(one_task(tmp_path / "a", "sst2"))]) == 0
    alone = (account / TEXT).read_text(encoding="utf-8")
    assert "needs two tasks at least; results of one are there" in alone
    assert not (account / "results" / TOGETHER).exists()
    assert main([str(account), "--from", str(one_task(tmp_path / "b", "mrpc", noise=0.2))]) == 0
    both = (account / TEXT).read_text(encoding="utf-8")
    assert "**All tasks together**" in both
    own = [line for line in alone.splitlines() if line.startswith("| LoRA |")]
    assert own[0] in both.splitlines()  # with the interval over samples, which tables cannot give
    with results_of(account / "results" / TOGETHER) as file:
        results = DriftResults.read(file)
    assert results.study.tasks == ["sst2", "mrpc"]  # in the order of the study
    assert results.study.merged is not None
    assert {run.task for run in results.runs if run.status == "ok"} == {"sst2", "mrpc"}
    # Once more for one of them: nothing is there twice.
    assert main([str(account), "--from", str(tmp_path / "b")]) == 0
    assert (account / TEXT).read_text(encoding="utf-8") == both
    # An analysis of both tasks that was measured as one takes the place of all of these.
    study = Synthetic(tasks=("sst2", "mrpc"), methods=("full_finetune", "lora"), seeds=(1, 2, 3), layers=3)
    write_results(tmp_path / "whole", study)
    assert main([str(account), "--from", str(tmp_path / "whole")]) == 0
    assert {path.name for path in (account / "results").iterdir()} == {TABLE_PARQUET, COMPRESSED}
    assert not [path for path in (account / FIGURES_FOLDER).iterdir() if path.is_dir()]
    text = (account / TEXT).read_text(encoding="utf-8")
    assert text.count("Drift against the fall of it") == 1 + both.count("Drift against the fall of it") - 2
    assert "within arms and tasks" in text


def test_a_task_of_its_own_joins_tasks_that_were_measured_together_and_both_keep_what_tables_cannot_give(
    account, tmp_path, capsys
):
    shutil.rmtree(account / "results")
    failed = SanityCheck(name="first layer drifts little", passed=False, detail="It drifts by 0.4.")
    two = one_task(tmp_path / "two", ("sst2", "mrpc"), sanity=[failed])
    assert main([str(account), "--from", str(two)]) == 0
    before = (account / TEXT).read_text(encoding="utf-8")
    assert main([str(account), "--from", str(one_task(tmp_path / "rte", "rte", noise=0.2))]) == 0
    text = (account / TEXT).read_text(encoding="utf-8")
    with results_of(account / "results" / TOGETHER) as file:
        together = read_report_data(file)
    assert together.results.study.tasks == ["sst2", "mrpc", "rte"]
    assert [source.where for source in together.results.study.merged.sources] == ["sst2_and_mrpc", "rte"]
    assert "Tasks finished so far: SST-2, MRPC and RTE." in text
    # What is committed of the whole is what its claims are drawn from, and no more.
    assert together.results.moved is None
    assert set(together.table["measure"]) == {together.results.study.primary_measure}
    assert len(together.drift("rte", "lora")) == len(together.drift("sst2", "lora")) == 3
    # Numbers by task are still those of the analysis that measured the task.
    own = [line for line in before.splitlines() if line.startswith("| LoRA |")]
    assert own[0] in text.splitlines()
    assert "- SST-2 and MRPC: Check failed: first layer drifts little. It drifts by 0.4." in text.splitlines()
    assert "Drift against the score over models (SST-2 and MRPC), within tasks and arms:" in text
    assert "Drift against the score over models (RTE), within tasks and arms:" in text
    # A second analysis of one of the two that were measured together belongs to none of these.
    assert main([str(account), "--from", str(one_task(tmp_path / "sst2", "sst2"))]) == 1
    assert "holds results of sst2 and mrpc, measured together, sst2 among them" in capsys.readouterr().err
    assert (account / TEXT).read_text(encoding="utf-8") == text == account_text(account)


def test_a_task_trained_once_more_is_committed_with_what_is_told_of_it(account, tmp_path, capsys):
    assert main([str(account), "--again", str(one_task(tmp_path / "a", "sst2"))]) == 0
    with results_of(account / AGAIN / "sst2") as file:
        kept = read_report_data(file)
    whole = read_report_data(tmp_path / "a" / RESULTS_FILE)
    assert kept.results.moved is None
    assert kept.results.tests == whole.results.tests
    assert kept.drift("sst2", "lora").equals(whole.drift("sst2", "lora"))
    assert main([str(account), "--again", str(one_task(tmp_path / "b", ("sst2", "mrpc")))]) == 1
    assert "should be of one task; found sst2 and mrpc" in capsys.readouterr().err


def test_an_arm_that_was_not_trained_on_a_task_has_no_row_there_and_is_named(account):
    study = Synthetic(
        tasks=("sst2", "mrpc"), methods=("full_finetune", "lora_r8", "lora_r64"), seeds=(1, 2, 3), layers=3,
        missing=tuple(("mrpc", "lora_r64", seed) for seed in (1, 2, 3)),
    )  # fmt: skip
    write_results(account / "results", study)
    text = account_text(account)
    assert "On MRPC they are full fine-tuning and lora_r8." in text
    assert "Not every arm on MRPC: lora_r64 could not be trained there" in text
    answers = text.partition("## The answers")[2]
    sst2, mrpc = answers.partition("**MRPC**")[0], answers.partition("**MRPC**")[2].partition("**All tasks")[0]
    assert ("| lora_r64 |" in sst2, "| lora_r64 |" in mrpc, "| lora_r8 |" in mrpc) == (True, False, True)
    assert answers.count("above the noise of extraction") == 1, "claims over all tasks stand once"
    assert answers.count("| lora_r64 (on SST-2 alone) |") == 3, "all tasks together, by other measures, and by layer"
    assert "| lora_r8 (on" not in answers


def test_tasks_of_two_base_models_are_not_put_together(account, tmp_path, capsys):
    shutil.rmtree(account / "results")
    assert main([str(account), "--from", str(one_task(tmp_path / "a", "sst2"))]) == 0
    before = (account / TEXT).read_text(encoding="utf-8")
    assert main([str(account), "--from", str(one_task(tmp_path / "b", "mrpc", base_digest="another"))]) == 1
    assert "Only studies of one base model can be one" in capsys.readouterr().err
    assert (account / TEXT).read_text(encoding="utf-8") == before == account_text(account)
