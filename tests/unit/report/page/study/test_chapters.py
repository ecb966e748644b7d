import re
from dataclasses import replace

import pytest

from repdrift.core.worded_section import TokenStrip, WordedSection
from repdrift.drift.summary import summary_markdown
from repdrift.report.page.study import FigureFile, chapters, study_page
from tests.unit.report.page.study.read_page import Page, page_source, read_page
from tests.unit.report.synthetic_results import Synthetic, report_data


def page(figures=(), **study):
    return read_page(report_data(Synthetic(**study)), figures)


def test_names_from_outside_are_text_and_never_markup():
    hostile = "</title><script>alert(1)</script>"
    figure = FigureFile("<i>title</i>", "caption", 'description " onload="x', ["f.png"])
    found = page([figure], tasks=(hostile, "a & b"), model=hostile, name=hostile, layers=2, seeds=(1,))
    assert "script" not in found.tags
    assert "i" not in found.tags
    assert found.words.count(hostile) > 3
    assert "<i>title</i>" in found.words


def test_the_page_loads_nothing_and_its_links_lead_somewhere():
    figure = FigureFile("title", "caption", "description", ["f.png", "a b.pdf"])
    found = page([figure], tasks=("mrpc",), layers=2, seeds=(1, 2))
    assert found.links.count("f.png") == found.links.count("a%20b.pdf") == 1
    for link in found.links:
        assert link in ("f.png", "a%20b.pdf") or link[1:] in found.ids
    assert len(set(found.ids)) == len(found.ids)


def test_the_answer_comes_before_what_needs_care():
    words = page(tasks=("mrpc", "sst2"), layers=2, lora_share=0.5, noise=0.02).words
    assert words.index("Does LoRA drift less than full fine-tuning at the end of training? Yes.") < words.index(
        "Missing runs and warnings"
    )


@pytest.mark.parametrize(
    "study",
    [
        {"tasks": ("sst2",), "methods": ("lora",), "layers": 2, "seeds": (1,), "identity": False, "metrics": False},
        {"tasks": ("sst2", "rte"), "layers": 2, "missing": tuple(("rte", "lora", s) for s in (42, 123, 456))},
        {"tasks": ("sst2",), "layers": 1, "negative_below": 1},
        {"tasks": ("sst2",), "layers": 2, "weights": True},
    ],
)
def test_what_is_not_known_is_said_in_words(study):
    words = page(**study).words
    for wrong in ("nan", "None", "NaN", "weight_relative_change"):
        assert wrong not in words.split()


def test_missing_runs_are_listed_with_the_command_that_makes_them():
    words = page(tasks=("sst2", "rte"), layers=2, missing=tuple(("rte", "lora", s) for s in (42, 123, 456))).words
    assert "repdrift train --task rte --method lora --seed 123" in words
    assert "Nothing is claimed about the methods on RTE" in words
    assert "(trained models) 3 3 3 0 of 3" in words
    (of_cka,) = re.findall(r"1 - debiased CKA (\S+) (\S+) (\S+) (\S+) cka 1 - biased", words)
    assert of_cka[3] == "missing"
    assert "missing" not in of_cka[:3]


def test_a_complete_study_says_that_nothing_is_missing():
    assert "every planned run is there" in page(tasks=("sst2",), layers=2, seeds=(1, 2)).words


def test_everything_that_was_inferred_is_on_the_page():
    words = page(tasks=("mrpc", "sst2"), layers=3, lora_share=0.5, noise=0.02).words
    for said in (
        "LoRA and full fine-tuning drift alike within a factor of 1.25 all tasks 0.50 0.60 to 0.85 models 0.31",
        "The reduction differs between tasks all tasks 14 points none 0.62",
        "LoRA noise of extraction 3 of 3 0 to 2",
        "LoRA drifts less 0 to 2 0.01 0.0025",
        "may be the largest 2 ",
        "Cliff's delta none none fewer than 5 models a method",
        "p = 0.004. It assumes more than the permutation tests do",
        "f1 all -0.31 -0.70 to 0.20 0.21 0.002 12",
        "1 - raw cosine all tasks",
        "LoRA MRPC and SST-2",
        "0.12 (0.12, 3 pairs)",
        "p (max-T) p (Holm) p (Benjamini-Hochberg)",
        "samples were resampled 10000 times",
        "MRPC full fine-tuning 3 of 3 3 of 3 3 of 3 3 of 3",
        "1 of 2 checks failed : first layer drifts little.",
    ):
        assert said in words, said


def test_sections_without_results_are_left_out_or_say_so():
    words = page(tasks=("sst2",), methods=("lora",), layers=2, seeds=(1,), inference=False, random_change=False).words
    assert "No claim was tested." in words
    assert "Nothing was tested by layer." in words
    for title in ("Effect sizes", "mixed model", "Drift and score", "Clusters of layers", "Under other measures"):
        assert title not in words


def test_why_an_interval_or_a_model_is_missing_is_said():
    words = page(tasks=("sst2",), layers=2, seeds=(1,)).words
    assert "no interval over models: they need two models of each method" in words
    assert "no estimate (one task: no effect of tasks)." in words
    assert "2 trained models are too few for a correlation." in words


def test_words_of_the_analysis_are_escaped_wherever_they_stand():
    hostile = "<script>alert(1)</script>"
    data = report_data(Synthetic(tasks=("mrpc", "sst2"), layers=2))
    r = data.results

    def marked(records, *fields):
        return [record.model_copy(update=dict.fromkeys(fields, hostile)) for record in records]

    def with_notes(reduction):
        return reduction.model_copy(
            update={
                "notes": [hostile],
                "intervals": marked(reduction.intervals, "method"),
                "effects": marked(reduction.effects, "missing"),
            }
        )

    changed = {
        "reductions": [with_notes(reduction) for reduction in r.reductions],
        "tests": marked(r.tests, "test", "sentence"),
        "associations": marked(r.associations, "metric", "sentence"),
        "profiles": marked(r.profiles, "task", "other_task"),
        "other_measures": marked(r.other_measures, "measure"),
        "sanity": marked(r.sanity, "name", "detail"),
        "mixed_model": r.mixed_model.model_copy(update={"missing": hostile}),
    }
    found = read_page(type(data)(r.model_copy(update=changed), data.table, data.table_name))
    assert "script" not in found.tags
    assert found.words.count(hostile) > 20


def test_how_the_samples_were_read_is_on_the_page_and_in_the_summary_as_plain_text():
    example = "60 rows read; the first is '<script>alert(1)</script> | *x*'."
    data = report_data(Synthetic(tasks=("mrpc",), layers=2, seeds=(1, 2)))
    study = data.results.study.model_copy(update={"data_notes": {"mrpc": [example]}})
    results = data.results.model_copy(update={"study": study})
    found = read_page(replace(data, results=results))
    assert "script" not in found.tags
    assert f"MRPC: {example}" in found.words
    summary = summary_markdown(results, data.table)
    assert r"- MRPC: 60 rows read; the first is '\<script\>alert(1)\</script\> \| \*x\*'." in summary


def test_shaded_tokens_are_text_with_their_values_and_no_style_comes_from_data(monkeypatch):
    tokens = [("<script>", None), (' "x" onload=', 0.0), ("\u202e\x1b[31m", 0.5), (" red", 2.0)]
    strip = TokenStrip("sample <i>7</i>", tokens, "largest for: [ red] 2.00.", highest=2.0)
    section = WordedSection("samples", "Which samples moved", strips=[strip])
    monkeypatch.setattr(chapters, "study_sections", lambda _results: [section])
    source = page_source(report_data(Synthetic(tasks=("mrpc",), layers=2, seeds=(1,))))
    found = Page(source)
    assert not {"script", "i"} & set(found.tags)
    assert "\x1b" not in source
    assert "\u202e" not in source
    spans = re.findall(r'<span class="([^"]*)" title="([^"]*)">([^<]*)</span>', source)
    assert [(shade, title) for shade, title, _ in spans] == [
        ("sx", "not predicted"),
        ("s0", "0 nats"),
        ("s2", "0.50 nats"),
        ("s8", "2.0 nats"),
    ]
    assert spans[3][2] == " red"
    assert "style=" not in source.split("<body>")[-1]
    assert 'aria-label="sample &lt;i&gt;7&lt;/i&gt;. largest for: [ red] 2.00."' in source
    assert "The scale ends at 2.00 nats" in found.words


def test_models_that_have_not_learnt_stand_above_the_answer_and_under_what_needs_care():
    found = page(tasks=("mrpc",), layers=2, inference=False, not_learnt=(("mrpc", "lora", 42),)).words
    said = "1 of 6 trained models has not learnt its task"
    assert found.index(said) < found.index("Does LoRA drift less")
    assert found.count(said) == 1
    assert "Missing runs and warnings (none) None beside what stands at the top of the page" in found
    assert "Nothing: every planned run is there" not in found


def test_page_over_files_that_do_not_say_has_something_that_needs_care():
    data = report_data(Synthetic(tasks=("mrpc",), layers=2, learnt=None))
    assert read_page(data).words.count("It is not known whether 6 of 6 trained models learnt the task") == 1
    assert list(study_page(data).runs.rows["learnt"]) == ["not known"] * 6


def test_page_over_models_that_learnt_says_nothing_needs_care():
    found = page(tasks=("mrpc", "sst2"), layers=2, random_change=False).words
    assert "every model has learnt its task" in found


def test_a_page_of_several_arms_answers_for_each_and_its_tables_say_which_they_are_about():
    shares = {"lora_r64": 0.5, "dora": 0.95}
    words = {"lora": "LoRA, rank 8", "lora_r64": "LoRA, rank 64"}
    study = {
        "tasks": ("mrpc", "sst2"),
        "layers": 3,
        "methods": ("full_finetune", "lora", *shares),
        "shares": shares,
        "method_words": words,
    }
    found = page(**study).words
    assert "Methods: full fine-tuning; LoRA, rank 8; lora_r64 (LoRA, rank 64); DoRA." in found
    places = [
        found.index(f"Does {name} drift less than full fine-tuning at the end of training?")
        for name in ("LoRA", "lora_r64", "DoRA")
    ]
    assert places == sorted(places)
    for name in ("LoRA", "lora_r64", "DoRA"):
        assert f"{name} against full fine-tuning: every question" in found
        assert f"{name} drifts at least 20 % less" in found
        assert f"{name} MRPC" in found
    assert found.count("(Holm over 3 arms)") == 2 * 3 * 3
    assert "p corrected over the layers by max-T and Holm over 3 arms" in found
