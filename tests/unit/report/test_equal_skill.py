"""The comparison at equal skill on the page, in the summary and as a figure."""

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from repdrift.core.equal_skill_words import reduction_at_end
from repdrift.drift.summary import summary_markdown
from repdrift.report.answer import answer, details
from repdrift.report.dashboard.sections import skill_runs
from repdrift.report.figures import figures
from repdrift.report.figures.frontier import caption, describe, draw
from repdrift.report.style import paper_style
from tests.unit.drift.skill_studies import learning, run_of, two_arms
from tests.unit.drift.study_on_disk import judged
from tests.unit.report.equal_skill_results import with_equal_skill
from tests.unit.report.page.study.read_page import page_source

(FRONTIER,) = [spec for spec in figures() if spec.name == "frontier"]


def _without_checkpoints():
    return [run_of("sst2", m, s, [0.8], [0.3]) for m in ("full_finetune", "lora") for s in (1, 2, 3)]


def _with_censored():
    runs = two_arms(("sst2", "mrpc"), ratio=0.7)
    runs[-1] = run_of("mrpc", "lora", 3, *learning(0.65))
    return runs


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    return with_equal_skill(tmp_path_factory.mktemp("s"), _with_censored(), equal_skill_score={"mrpc": 0.72})


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    return with_equal_skill(tmp_path_factory.mktemp("s"), _without_checkpoints())


def test_the_answer_begins_with_equal_skill_and_then_says_the_end_of_training(compared):
    first, second, *_ = answer(compared)
    assert first.question == "Does LoRA drift less than full fine-tuning at equal skill?"
    assert first.short == "Yes, among the runs that reach the score."
    assert "1 of 6 runs never reaches accuracy 0.720 and is left out (LoRA, seed 3)" in first.text
    assert "Second opinion, a regression: reduction" in first.text
    assert second.question == "Does LoRA drift less than full fine-tuning at the end of training?"


def test_without_checkpoints_the_answer_says_which_key_makes_them_after_the_end_of_training(bare):
    first, second, *_ = answer(bare)
    assert first.question.endswith("at the end of training?")
    assert second.short == "Not known."
    assert "No run has a checkpoint beside the final model: set training.all.checkpoints in the study" in second.text
    assert not FRONTIER.possible(bare)


def test_the_summary_has_both_and_equal_skill_first(compared, bare):
    text = summary_markdown(compared.results, compared.table)
    at_skill, at_end = (
        text.index("LoRA drifts less at equal skill over all tasks"),
        text.index("## Reduction of drift at the end of training"),
    )
    assert (
        at_skill
        < text.index("drifts less over all tasks at the end of training")
        < text.index("## At equal skill")
        < at_end
    )
    assert "| MRPC |" in text[text.index("## At equal skill") : at_end]
    assert "which no choice of a learning rate or checkpoint has seen" in text
    other = summary_markdown(bare.results, bare.table)
    assert other.index("at the end of training") < other.index("Whether LoRA drifts less at equal skill is not known")


def test_the_page_has_every_run_once_and_the_scores(compared, bare):
    page = page_source(compared)
    section = page[page.index('id="chapter-equal-skill"') :]
    section = section[: section.index('<details class="chapter"')]
    assert section.count("<td>never</td>") == 1
    assert section.count("<td>yes</td>") == 11
    assert "SST-2: accuracy 0.75" in section
    assert "set training.all.checkpoints" in page_source(bare)


def test_several_arms_have_a_line_each_and_one_reason_for_all_that_lack_it(tmp_path):
    methods = ("full_finetune", "lora", "dora")
    runs = [*two_arms(("sst2",), ratio=0.7), *two_arms(("sst2",), ratio=0.7, methods=("full_finetune", "dora"))[3:]]
    data = with_equal_skill(tmp_path, runs, methods=methods)
    questions = [point.question for point in answer(data)]
    assert [q.split()[1] for q in questions[:4]] == ["LoRA", "LoRA", "DoRA", "DoRA"]
    assert questions[0].endswith("at equal skill?")
    assert questions[1].endswith("at the end of training?")
    assert all("equal skill" in points[0].question for _, points in details(data))
    lacking = with_equal_skill(
        tmp_path, [run_of("sst2", m, s, [0.8], [0.3]) for m in methods for s in (1, 2, 3)], methods=methods
    )
    said = [point for point in answer(lacking) if "at equal skill" in point.question]
    assert [point.question for point in said] == ["Who drifts less than full fine-tuning at equal skill (LoRA, DoRA)?"]
    assert "set training.all.checkpoints" in summary_markdown(lacking.results, lacking.table)


def test_results_of_older_versions_have_no_word_of_it(compared):
    older = type(compared)(compared.results.model_copy(update={"equal_skill": []}), compared.table, compared.table_name)
    assert answer(older)[0].question.endswith("at the end of training?")
    assert 'id="chapter-equal-skill"' not in page_source(older)
    assert "## At equal skill" not in summary_markdown(older.results, older.table)


def test_the_figure_marks_scores_runs_and_those_that_never_reach_them(compared):
    with paper_style():
        figure = draw(compared)
    sst2, mrpc = figure.axes
    assert (sst2.get_title(loc="left"), mrpc.get_title(loc="left")) == ("SST-2", "MRPC")
    lines = {
        marker: [line for line in mrpc.lines if line.get_marker() == marker and len(line.get_xdata()) == 1]
        for marker in "osx"
    }
    assert {marker: len(found) for marker, found in lines.items()} == {"o": 3, "s": 2, "x": 1}
    assert {float(line.get_xdata()[0]) for marker in "os" for line in lines[marker]} == {0.72}
    assert lines["x"][0].get_color() == "#D55E00"
    assert "the ends of runs that never reach it and are left out (1)" in caption(compared)
    assert "MRPC, at accuracy 0.720: LoRA 0.0" in describe(compared)
    assert describe(compared).endswith(".")


def test_the_thick_line_is_the_mean_of_the_runs_where_all_of_them_pass(compared):
    with paper_style():
        sst2 = draw(compared).axes[0]
    thick = [line for line in sst2.lines if line.get_linewidth() == 1.8]
    of_reference = [path for path in compared.results.equal_skill[0].paths if path.method == "full_finetune"]
    assert len(thick) == 2
    assert thick[0].get_xdata()[-1] == pytest.approx(min(path.smoothed_scores[-1] for path in of_reference))
    ends = [path.smoothed_drifts[-1] for path in of_reference]
    assert 0.5 * min(ends) < thick[0].get_ydata()[-1] <= max(ends)
    assert (thick[0].get_ydata() >= max(drift for path in of_reference for drift in path.drifts) / 100).all(), (
        "not cut by the axis"
    )


def test_a_loss_is_drawn_with_the_better_side_to_the_right_and_drift_below_zero_on_a_plain_scale(tmp_path):
    runs = []
    for method in ("full_finetune", "lora"):
        for seed in (1, 2):
            rows, statuses = run_of(
                "sst2", method, seed, [2.0, 1.5, 1.0 + 0.01 * seed], [0.01, -0.001, 0.2], metric="loss"
            )
            final = statuses[-1].learnt.model_copy(update={"metric": "loss", "score": 1.0, "constant_score": 3.0})
            runs.append((rows, [*statuses[:-1], statuses[-1].model_copy(update={"learnt": final})]))
    data = with_equal_skill(tmp_path, runs)
    with paper_style():
        (axes,) = draw(data).axes
    assert axes.xaxis_inverted()
    assert axes.get_yscale() == "linear"
    assert axes.get_xlabel() == "loss (less is better)"


def test_paths_without_a_comparison_are_drawn_and_say_so(tmp_path):
    data = with_equal_skill(tmp_path, two_arms(("sst2",)), equal_skill_score={"sst2": 0.9})
    with paper_style():
        (axes,) = draw(data).axes
    assert [text.get_text() for text in axes.texts] == ["not compared"]
    assert "SST-2, LoRA: not compared" in describe(data)


def test_hostile_names_stay_within_the_picture(tmp_path):
    names = ("<script>alert(1)</script>", 'a$b$ & "q" with a very long name that goes on and on', "x\ny")
    data = with_equal_skill(tmp_path, two_arms(names))
    with paper_style():
        figure = draw(data)
        FigureCanvasAgg(figure)
        figure.draw_without_rendering()
        box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert box.min.min() > -0.02
    assert box.x1 < width + 0.02
    assert box.y1 < height + 0.02
    assert not {"nan", "None", "inf"} & set(f"{caption(data)} {describe(data)}".split())
    assert "<script>" not in page_source(data)


def test_a_first_checkpoint_that_has_not_moved_leaves_the_scale_logarithmic(tmp_path):
    runs = []
    for number, (rows, statuses) in enumerate(two_arms(("sst2",))):
        still = [{**row, "drift": 0.0 if row["step"] == 1 and number < 2 else row["drift"]} for row in rows]
        runs.append((still, statuses))
    data = with_equal_skill(tmp_path, runs)
    with paper_style():
        figure = draw(data)
        FigureCanvasAgg(figure)
        figure.draw_without_rendering()
    assert figure.axes[0].get_yscale() == "log"
    assert figure.axes[0].get_ylim()[0] > 1e-4
    assert "2 checkpoints without drift are not on the scale." in caption(data)


def test_the_reduction_at_the_end_is_of_the_tasks_that_are_compared_at_equal_skill(tmp_path):
    bare = [run_of("mrpc", m, s, [0.8], [0.3]) for m in ("full_finetune", "lora") for s in (1, 2, 3)]
    data = with_equal_skill(tmp_path, [*two_arms(("sst2",)), *bare])
    whole = next(e for e in data.results.equal_skill if e.task == "all")
    by_task = {r.task: r.reduction for r in data.results.reductions if r.layer is None}
    assert by_task["all"] != pytest.approx(by_task["sst2"])
    assert reduction_at_end(whole, data.results) == pytest.approx(by_task["sst2"])
    for text in (summary_markdown(data.results, data.table), page_source(data)):
        assert "1 of 2 tasks" in text


def test_a_verdict_on_models_that_may_not_have_learnt_says_so(tmp_path):
    unknown = judged(None, 0.75)
    runs = two_arms(("sst2", "mrpc"), ratio=0.7, tops=(0.75, 0.75), learnt=unknown)
    first = answer(with_equal_skill(tmp_path, runs))[0]
    assert (first.short, first.state) == ("Yes, if the models have learnt their tasks.", "open")
    assert "how far scores differ by chance is not known" in first.text


def test_a_run_that_is_read_at_two_scores_stands_with_each_of_them(tmp_path):
    runs = two_arms(("sst2",)) + [run_of("sst2", "prefix", s, *learning(0.66)) for s in (1, 2, 3)]
    data = with_equal_skill(tmp_path, runs, methods=("full_finetune", "lora", "prefix"))
    full = [
        (score.score, run.drift) for run, score in skill_runs(data) if (run.method, run.seed) == ("full_finetune", 1)
    ]
    assert [round(score, 3) for score, _ in full] == [0.755, 0.66]
    assert full[0][1] > full[1][1]
    page = page_source(data)
    assert all(f'<td class="n">accuracy {score:.3f}</td>' in page for score, _ in full)


def test_a_verdict_against_a_claim_is_of_the_runs_that_reach_the_score_too(tmp_path):
    runs = two_arms(("sst2", "mrpc"), ratio=1.6)
    runs[-1] = run_of("mrpc", "lora", 3, *learning(0.65))
    first = answer(with_equal_skill(tmp_path, runs, equal_skill_score={"mrpc": 0.72}))[0]
    assert (first.short, first.state) == ("No, among the runs that reach the score.", "no")
