"""The page of a comparison: what stands first, what filters offer, and texts from outside as texts."""

import json
from itertools import groupby

import pandas as pd
import pytest

from repdrift.comparison.gate import Gate, gate_result, judge
from repdrift.core.records.comparison import DriftInterval, SiteLayers
from repdrift.core.records.patching import PatchedLayer, PatchedShare, Patching
from repdrift.core.worded_section import CaptionedTable, WordedSection
from repdrift.report.page.arm_marks import model_colors
from repdrift.report.page.comparison.drift_table import drift_table
from repdrift.report.page.prose import headline_parts
from tests.unit.comparison.gate import gated_comparisons as gated
from tests.unit.report.page.comparison.made_page import made_page, read_page
from tests.unit.report.synthetic_comparison import compared, comparison, layer, refused

HOSTILE = "</script><script>alert(1)</script>{{7*7}}${x}\u202eabc"


def test_headline_cautions_and_tiles_stand_before_the_chart():
    note = "Its weights were rounded."
    result = comparison(
        [compared("dpo", [0.1, 0.3], notes=[note])], headline=["One feature holds the variance."], warnings=["Cut."]
    )
    page = made_page(result)
    assert sorted(page.cautions) == sorted(["One feature holds the variance.", f"dpo: {note}", "Cut."])
    words = read_page(page)[0].words
    places = [
        words.index(text)
        for text in (*headline_parts(page.headline), *page.cautions, page.tiles[0].line, page.main.caption)
    ]
    assert places == sorted(places)


def test_a_warning_that_repeats_the_headline_or_a_note_stands_once():
    result = comparison(
        [compared("a", [0.1], notes=["Mind."])], headline=["First."], warnings=["First.", "a: Mind.", "Other."]
    )
    assert sorted(made_page(result).cautions) == sorted(["First.", "a: Mind.", "Other."])
    assert made_page(result).cautions[0] == "First."


def test_cautions_begin_with_one_of_each_kind_the_most_serious_first():
    refused_for = [f"m{i} was not compared: reason {i}." for i in range(3)]
    changes = "a changes nothing: its drift is zero in every layer, to the last digits."
    result = comparison([compared("a", [0.1])], headline=["One feature."], warnings=["Other.", changes, *refused_for])
    assert made_page(result).cautions == ["One feature.", refused_for[0], changes, "Other.", *refused_for[1:]]


def test_a_comparison_without_controls_says_so_first():
    result = comparison([compared("a", [0.1])], control_samples=None)
    assert made_page(result).cautions[0].startswith("No controls were run, so it is not known whether")


def test_models_that_could_not_be_compared_are_named_with_the_reason():
    why = "it has another tokenizer: sample 3 becomes 5 tokens. Compare it with its own base."
    result = comparison([compared("a", [0.1]), refused("b", why)])
    page = made_page(result)
    rows = page.runs.rows.set_index("arm")
    assert rows.loc["b", ["status", "reason"]].tolist() == ["not comparable", "it has another tokenizer"]
    assert page.runs.details[1]["Reason"] == why
    assert page.headline.endswith("b could not be compared.")


def test_filters_offer_what_the_table_has():
    site = SiteLayers(site="attn_out", layers=[layer(0, 0.4)], mean_drift=0.4)
    ends = SiteLayers(site="embeddings", layers=[layer(-1, 0.4)], mean_drift=0.4)
    result = comparison([compared("a", [0.1, 0.2], sites=[site, ends]), compared("b", [0.2, 0.1])])
    filters = {each.column: each for each in made_page(result).filters}
    assert [value for value, _ in filters["arm"].options] == ["a", "b"]
    assert dict(filters["measure"].options) == {"cka": "1 - debiased CKA", "cosine_centered": "1 - centred cosine"}
    assert [value for value, _ in filters["site"].options] == ["resid_post", "attn_out", "embeddings"]
    assert dict(filters["layer"].options) == {-1: "embeddings", 0: "0", 1: "1"}
    assert filters["measure"].chosen == ["cka"]
    assert filters["site"].chosen == ["resid_post"]


def test_table_has_every_measure_with_the_controls_beside_the_first():
    result = comparison([compared("a", [0.1, 0.2])])
    table = drift_table(result).set_index(["measure", "layer"])
    first = table.loc[("cka", 1)]
    assert first[["drift", "drift_low", "drift_high"]].tolist() == pytest.approx([0.2, 0.19, 0.21])
    assert first[["noise_floor", "random_change", "mispaired"]].tolist() == pytest.approx([1e-7, 0.02, 1.0])
    other = table.loc[("cosine_centered", 1)]
    assert other["drift"] == pytest.approx(0.1)
    assert other[["drift_low", "noise_floor", "random_change"]].isna().all()


def test_drift_of_a_distance_is_its_value_and_of_an_unknown_measure_nothing():
    values = {"cka": 0.9, "relative_change": 0.7}
    one = compared("a", [0.1], layer_fields={"values": values})
    known = comparison([one], measure_titles={"relative_change": "relative change"}, distances=["relative_change"])
    table = drift_table(known).set_index("measure")
    assert table.loc["relative_change", "drift"] == 0.7
    assert "relative_change" not in set(drift_table(comparison([one]))["measure"])


def test_another_measure_has_the_interval_that_was_asked_for():
    intervals = {"cosine_centered": DriftInterval(low=0.01, high=0.09, freedom=39)}
    table = drift_table(comparison([compared("a", [0.1], layer_fields={"intervals": intervals})])).set_index("measure")
    assert table.loc["cosine_centered", ["drift", "drift_low", "drift_high"]].tolist() == pytest.approx(
        [0.05, 0.01, 0.09]
    )


def test_missing_values_are_missing_rows():
    table = drift_table(comparison([compared("a", [0.1], layer_fields={"values": {"cka": 0.9, "cosine": None}})]))
    assert table["measure"].tolist() == ["cka"]


def test_texts_from_outside_run_nothing_and_end_nothing():
    sections = {
        HOSTILE: [
            WordedSection("weights", HOSTILE, [HOSTILE], [CaptionedTable(HOSTILE, HOSTILE, [HOSTILE], [[HOSTILE]])])
        ]
    }
    models = [
        compared(HOSTILE, [0.1, 0.2], notes=[HOSTILE]),
        compared("constructor", [0.1, 0.1]),
        refused("x", HOSTILE),
    ]
    result = comparison(models, base=HOSTILE, data=HOSTILE, task=HOSTILE, headline=[HOSTILE], warnings=[HOSTILE])
    page, source = read_page(made_page(result, sections, sections[HOSTILE], {f"{HOSTILE}.csv": b"a"}))
    assert "script" not in page.tags
    assert "alert(1)</script>" not in source
    assert "\u202e" not in source
    assert len(page.ids) == len(set(page.ids))
    assert "{{7*7}}" in page.words


@pytest.mark.parametrize("models", [[], [refused("a")], [refused("a", status="compared by grid")]])
def test_without_a_drift_by_layer_the_page_says_so(models):
    page = made_page(comparison(models))
    words = read_page(page)[0].words
    assert page.filters == []
    assert "No model has a drift by layer, so that there is nothing to draw." in words
    assert [each.value for each in page.tiles[:5]] == ["not known"] * 5


def test_chapters_of_many_models_are_folded_into_one():
    section = WordedSection("layers", "Drift by layer", ["Said."])
    for count, names in ((6, 6), (7, 1)):
        models = [compared(f"m{i}", [0.1]) for i in range(count)]
        page = made_page(comparison(models), {model.name: [section] for model in models})
        assert len([chapter for chapter in page.chapters if chapter.name.startswith("chapter-model")]) == names
        read = read_page(page)[0]
        assert sum(chapter.html.count("Said.") for chapter in page.chapters) == count
        assert len(read.ids) == len(set(read.ids))


def test_downloads_have_the_files_bytes_and_large_ones_stay_beside_the_page():
    large = b"x" * ((12 << 20) + 1)
    page = made_page(comparison([compared("a", [0.1])]), files={"drift.csv": b"a,b\n", "comparison.json": large})
    assert [(each.file_name, each.content()) for each in page.downloads] == [("drift.csv", b"a,b\n")]
    assert ("Not in this page", "comparison.json: it has 12 MiB, and lies beside the page.") in page.provenance


def test_details_of_a_model_have_the_command_for_it_alone():
    command = ["repdrift", "compare", "base-model", "models/a", "my models/b", "--data", "x.txt", "--layer", "0"]
    page = made_page(comparison([compared("a", [0.1]), compared("b", [0.1])], command=command))
    assert page.commands == ["repdrift compare base-model models/a 'my models/b' --data x.txt --layer 0"]
    found = [details["Command for this model alone"] for details in page.runs.details]
    assert found[1] == "repdrift compare base-model 'my models/b' --data x.txt --layer 0"
    assert "Command for this model alone" not in made_page(comparison([compared("a", [0.1])])).runs.details[0]


def test_methods_name_versions_fingerprints_and_intervals():
    text = made_page(comparison([compared("a", [0.1])], base_revision="abc")).methods_text
    for said in ("We compared 1 tuned model with base-model", "efefefefefef", "revision abc", "121212121212", "repdrift 0.0 (torch 0.0)",
                 "Intervals are 95 % (jackknife)", "on 32 of the 40 samples", "1 - debiased CKA"):  # fmt: skip
        assert said in text
    bare = compared("a", [0.1], layer_fields={"drift_low": None, "drift_high": None})
    assert (
        "There are no intervals: tokens of one text are not independent."
        in made_page(comparison([bare], pooling="tokens")).methods_text
    )


def test_table_of_models_has_no_column_without_a_value():
    columns = made_page(comparison([compared("a", [0.1])])).runs.columns
    assert "outputs" not in columns
    assert "reason" not in columns
    assert isinstance(made_page(comparison([compared("a", [0.1])])).runs.rows, pd.DataFrame)


def test_legend_names_models_that_are_drawn_in_the_colours_of_all_charts():
    result = comparison([refused("x"), compared("a", [0.1]), compared("b", [0.1])])
    page = made_page(result)
    colors = model_colors(result)
    assert [(each.words, each.color) for each in page.main.legend[:2]] == [("a", colors["a"]), ("b", colors["b"])]
    many = comparison([compared(f"m{place:02}", [place / 20]) for place in range(15)])
    assert not [each for each in made_page(many).main.legend if each.words.startswith("m0")]
    assert model_colors(many)["m00"] == "#3a5fa0"
    assert model_colors(many)["m14"] == "#d5a021"
    assert len(set(model_colors(many).values())) == 15


def test_shares_of_patching_are_drawn_in_both_directions():
    layers = [
        PatchedLayer(
            layer=number,
            undone=PatchedShare(share=0.1 + number, low=0.05 + number, high=0.2 + number, distance=0.1),
            brought=PatchedShare(share=-0.5, distance=0.2),
        )
        for number in range(2)
    ]
    done = Patching(model="a", reference="base", status="patched", unit="nats per token", change=0.3, layers=layers)
    refused_one = Patching(model="b", reference="base", status="not patched", reason="It has no head.")
    page = made_page(comparison([compared("a", [0.1, 0.2]), compared("b", [0.1, 0.1])], patching=[done, refused_one]))
    (view,) = [each for each in page.views if each.name == "patching"]
    rows = view.rows.set_index(["direction", "layer"])
    assert rows.loc[("undone by the reference's state", 1), ["share", "share_low", "share_high"]].tolist() == [1.1, 1.05, 1.2]  # fmt: skip
    assert rows.loc[("brought by the tuned state", 0), "share"] == -0.5
    assert set(view.rows["arm"]) == {"a"}
    assert [entry.words for entry in view.legend] == ["a"]
    groups = [each.group for each in page.views]
    assert len(list(groupby(groups))) == len(set(groups)), "each group stands once"
    only = made_page(comparison([compared("b", [0.1])], patching=[refused_one]))
    assert not [each for each in only.views if each.name == "patching"]


def test_axis_names_the_measure_at_the_start_as_its_filter_does():
    page = made_page(comparison([compared("a", [0.1, 0.2])]))
    (measures,) = [each for each in page.filters if each.column == "measure"]
    assert f'"title": "drift, {dict(measures.options)[measures.chosen[0]]}"' in json.dumps(page.main.spec)


@pytest.mark.parametrize(("drift", "chip", "said"), [(0.9, "gate failed", "1 of 1 number shown to be above the limit"), (0.1, "gate passed", "none of 1 number is shown to be above its limit")])  # fmt: skip
def test_the_verdict_of_a_gate_stands_below_the_headline_and_leads_to_its_numbers(drift, chip, said):
    result = gated.comparison(gated.model("<b>a</b>", [gated.layer(0, drift, 0.01)]))
    result = result.model_copy(update={"gate": gate_result(judge(result, Gate(0.3)))})
    made = made_page(result)
    assert (made.notice.chip, made.notice.link) == (chip, "chapter-gate")
    words = read_page(made)[0].words
    assert words.index(headline_parts(made.headline)[1]) < words.index(chip) < words.index(made.tiles[0].line)
    assert said in made.notice.words.lower()
    chapter = next(each for each in made_page(result).chapters if each.name == "chapter-gate")
    assert "drift in layer 0" in chapter.html
    assert "&lt;b&gt;a&lt;/b&gt;" in chapter.html
    assert f"{drift}" in chapter.html


def test_without_a_gate_there_is_no_verdict():
    made = made_page(comparison([compared("a", [0.1])]))
    assert made.notice is None
    assert not [each for each in made.chapters if "gate" in each.name]
