"""What changes how a number is read stands in every output of a comparison; the answer comes first; no path of this machine."""

import json
import shutil

import pandas as pd
import pytest

from repdrift.comparison.cautions import cautions
from repdrift.comparison.comparing import compare, write_outputs
from repdrift.comparison.measured import Gap, gap_sentences
from repdrift.comparison.output import summary, tidy_table
from repdrift.core.comparison_answers import answer_line
from repdrift.core.comparison_words import how_sure
from repdrift.core.records.comparison import COMPARISON_FILE, ComparedModel, Comparison, LayerDrift
from repdrift.core.words import some_listed
from repdrift.drift.chosen_measures import without_value
from repdrift.report.comparison_figure import caption_lines
from repdrift.report.rendering import DPI
from tests.command_line import run_here
from tests.unit.comparison.tiny_comparisons import samples_of

NOTE = "It was trained on '"


@pytest.fixture(scope="module")
def elsewhere(models, tmp_path_factory):
    """An adapter whose configuration names another base model than the one that it is put on."""
    folder = tmp_path_factory.mktemp("elsewhere") / "dpo"
    shutil.copytree(models["a"], folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": str(models["full"])}))
    return folder


@pytest.fixture(scope="module")
def done(models, texts, elsewhere, tiny_llama, tmp_path_factory):
    """The folder of a comparison by the command line in which one model needs care, and one cannot be compared."""
    folder = tmp_path_factory.mktemp("work")
    shutil.copytree(models["base"], folder / "base")
    named = f"{models['full']} {elsewhere} {tiny_llama} --data {texts} --control-samples 20"
    outcome = run_here(f"python -m repdrift compare base {named} --output-dir out", folder, fails=True)
    return folder / "out", outcome


def test_caution_about_a_model_stands_in_every_output(done):
    folder, outcome = done
    result = Comparison.read(folder / COMPARISON_FILE)
    assert result.models[1].notes[0].startswith(NOTE)
    assert sum(warning.startswith(f"dpo: {NOTE}") for warning in result.warnings) == 1
    summary_lines = (folder / "comparison.md").read_text().splitlines()
    (first,) = [line for line in summary_lines[:6] if line.startswith("- **dpo**")]
    assert "Mind: " + NOTE in first
    beside = summary_lines.index("## dpo")
    table = next(i for i, line in enumerate(summary_lines) if i > beside and line.startswith("| layer"))
    assert any(NOTE in line for line in summary_lines[beside:table])
    assert sum(NOTE in line for line in summary_lines) == 2, "in the first line and beside the table"
    printed = outcome.stdout.splitlines()
    assert len(printed) <= 25
    joined = " ".join(outcome.stdout.split())
    assert f"mind: dpo: {NOTE}" in joined
    assert "mind: tiny-llama was not compared: it has another tokenizer" in joined
    assert "tiny-llama could not be compared." in " ".join(outcome.stdout.partition("\n\n")[0].split())
    said = outcome.stderr.splitlines()
    answer = next(i for i, line in enumerate(said) if line.startswith("dpo: mean drift"))
    assert NOTE in said[answer + 1]
    table = pd.read_csv(folder / "drift.csv")
    assert table[table["method"] == "dpo"]["note"].str.startswith(NOTE).all()
    assert table[table["method"] != "dpo"]["note"].isna().all()
    caption = " ".join(caption_lines(result))
    assert caption.count(NOTE) == caption.count(f"dpo*: {NOTE}") == 1
    assert "tiny-llama was not compared: it has another tokenizer" in caption


def test_grid_holds_debiased_cka_alone_where_no_measure_is_named(done):
    folder, _ = done
    table = pd.read_parquet(folder / "grid.parquet")
    assert set(table["measure"]) == {"cka"}
    assert not [note for model in Comparison.read(folder / COMPARISON_FILE).compared for note in model.moved.grid.notes]


def test_what_is_shared_has_no_path_of_this_machine(done, models, texts, elsewhere, tiny_llama):
    folder, _ = done
    shared = (folder / "comparison.md").read_text() + (folder / "drift.csv").read_text()
    outside = {str(path.parent) for path in (models["full"], texts, elsewhere, tiny_llama)}
    assert not [path for path in outside if path in shared]
    written = json.loads((folder / COMPARISON_FILE).read_text())
    assert [model["ref"] for model in written["models"]] == [str(models["full"]), str(elsewhere), str(tiny_llama)]
    for model in written["models"]:
        model["ref"] = ""
    written["data"] = ""
    assert not [path for path in outside if path in json.dumps(written)]


def test_json_alone_is_printed_if_it_is_asked_for(models, texts, tmp_path, tiny_llama):
    asked = f"{models['base']} {models['full']} {tiny_llama} --data {texts} --no-controls --json"
    outcome = run_here(f"python -m repdrift compare {asked}", tmp_path, fails=True)
    assert outcome.returncode == 3
    assert [m["status"] for m in json.loads(outcome.stdout)["models"]] == ["compared", "not comparable"]


def test_json_has_the_reasons_where_no_model_could_be_compared(models, texts, tmp_path, tiny_llama):
    asked = f"{models['base']} {tiny_llama} --data {texts} --json"
    outcome = run_here(f"python -m repdrift compare {asked}", tmp_path, fails=True)
    assert outcome.returncode == 1
    (model,) = json.loads(outcome.stdout)["models"]
    assert (model["name"], model["status"]) == (tiny_llama.name, "not comparable")
    assert model["reason"]
    assert model["reason"][:40] in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_missing_controls_and_intervals_are_said_once(done):
    result = Comparison.read(done[0] / COMPARISON_FILE)
    assert len(how_sure(result)) == 1
    bare = [at.model_copy(update={"drift_low": None, "drift_high": None}) for at in result.models[0].layers]
    sums = result.model_copy(
        update={
            "control_samples": None,
            "accumulated": "moments",
            "models": [result.models[0].model_copy(update={"layers": bare})],
        }
    )
    assert how_sure(sums)[0].startswith("No controls were run")
    assert how_sure(sums)[1] == "There are no intervals: only sums were kept, and not the rows."
    few = sums.model_copy(update={"accumulated": "rows", "samples": 4})
    assert how_sure(few)[1] == "There are no intervals: 4 samples are too few, or the drift is zero."
    tokens = sums.model_copy(update={"pooling": "tokens"})
    assert "tokens of one text are not independent" in summary(tokens)


def test_data_notes_stand_in_summary_print_and_caption(done):
    result = Comparison.read(done[0] / COMPARISON_FILE)
    noted = result.model_copy(update={"data_notes": ["3 of 43 rows were left out, the first is row 17."]})
    assert "3 of 43 rows were left out, the first is row 17." in summary(noted)
    assert any("3 of 43 rows" in line for line in caption_lines(noted))


def test_caption_is_drawn_whole_below_the_figure(done, tmp_path):
    from PIL import Image

    result = Comparison.read(done[0] / COMPARISON_FILE)
    few = result.model_copy(update={"warnings": []})
    many = result.model_copy(
        update={"warnings": [f"Sentence {i} of a caution about these models." * 4 for i in range(8)]}
    )
    sizes = []
    for name, each in (("few", few), ("many", many)):
        paths = {path.name: path for path in write_outputs(each, tmp_path / name)}
        with Image.open(paths["drift_by_layer.png"]) as picture:
            sizes.append(picture.size)
    assert sizes[0][0] == sizes[1][0]
    lines = len(caption_lines(many)) - len(caption_lines(few))
    assert lines >= 14
    assert sizes[1][1] - sizes[0][1] == pytest.approx(lines * 0.12 * DPI, abs=2)
    endless = result.model_copy(update={"warnings": [f"Caution {i}." * 30 for i in range(40)]})
    assert "more lines in comparison.md" in caption_lines(endless)[-1]


def layers(drift, above=(True, True, True), **more):
    return [
        LayerDrift(layer=i, rows=40, drift=drift, values={"cka": 1 - drift}, above_noise=judged, **more)
        for i, judged in enumerate(above)
    ]


def model(name, kind="full model", drift=0.4, above=(True, True, True), notes=(), **more):
    return ComparedModel(
        name=name, ref=name, kind=kind, status="compared", layers=layers(drift, above, **more), notes=list(notes)
    )


@pytest.mark.parametrize(
    ("above", "said"),
    [
        ((True, True, True), "above noise in every layer."),
        ((False, True, True), "above noise in layers 1 to 2 only."),
        ((False, False, False), "above noise in no layer."),
        ((None, None, None), "whether it is above noise is not known."),
        ((None, True, False), "above noise in layer 1 only, not known in layer 0."),
    ],
)
def test_answer_says_where_the_drift_is_above_noise(above, said):
    assert answer_line(model("a", above=above)).endswith(said)


def test_answer_has_the_first_caution_and_the_number_of_the_others():
    line = answer_line(model("a", notes=["First thing.", "Second.", "Third."]))
    assert line.endswith("Mind: First thing. (2 more cautions below.)")


def test_one_matter_is_one_sentence_whatever_the_number_of_models(models, texts):
    samples = samples_of(models["base"], texts)
    many = [model(f"m{i}", drift=0.3 + i / 100, weights={"weight_relative_change": 0.1 + i / 100}) for i in range(1, 8)]
    adapters = [model("ad", kind="PEFT adapter", weights={"weight_relative_change": 0.01})]
    unchanged = [model(f"z{i}", drift=0.0, above=(False,) * 3) for i in range(3)]
    still = [model(f"s{i}", drift=1e-7, above=(False,) * 3) for i in range(5)]
    rounded = [model("r", drift=1e-6, above=(False,) * 3, rounding_drift=1e-6, control_drift=1e-6)]
    first, *others = cautions([*many, *adapters, *unchanged, *still, *rounded], samples)
    assert first.startswith("3 models (z0, z1 and z2) change nothing: their drift is zero in every layer")
    assert others[0].startswith("r drifts in no layer more than noise and the rounding of the weights explain")
    assert others[1].startswith("5 models (s0, s1, s2 and 2 more) drift nowhere more")
    assert others[2].startswith(
        "8 models (m1, m2, m3 and 5 more) drift by more than 0.3 in the first layer (0.40 at most, ad)"
    )
    assert samples.fingerprint[:12] in others[2]
    assert (
        "ruled out for 7 models (m1, m2, m3 and 4 more): their weights moved by at most 17 % of their norm" in others[2]
    )
    assert "Not ruled out for ad" in others[2]
    assert len(others) == 3


def test_weights_far_from_the_base_do_not_rule_out_another_base_model(models, texts):
    samples = samples_of(models["base"], texts)
    (said,) = cautions([model("x", weights={"weight_relative_change": 1.4})], samples)
    assert "Not ruled out for x: that another model than this base was tuned." in said


def test_missing_parts_are_grouped_by_reason():
    gaps = [Gap(name, "weights", "no blocks") for name in "abcde"] + [Gap("f", "random change", "too coarse")]
    assert gap_sentences(gaps) == [
        "The weights of 5 models (a, b, c and 2 more) were not compared, and no random change of their size was made: no blocks",
        "The control of a random change as large as that of f is missing: too coarse",
    ]
    assert some_listed(list("abcd")) == "a, b, c and d"
    undefined = {(name, "cca"): {0: "too few samples"} for name in "abcde"}
    (said,) = without_value(undefined, [0], preposition="for")
    assert said == "No value of cca for 5 of them (a, b, c and 2 more) in any layer: too few samples."


def test_rounding_has_a_row_in_the_table_and_a_column_where_there_is_one(done):
    result = Comparison.read(done[0] / COMPARISON_FILE)
    assert "rounding" not in summary(result)
    changed = result.models[0].model_copy(
        update={"layers": [at.model_copy(update={"rounding_drift": 0.0123}) for at in result.models[0].layers]}
    )
    rounded = result.model_copy(update={"models": [changed, *result.models[1:]]})
    table = tidy_table(rounded)
    assert (table[table["measure"] == "cka_rounding"]["drift"] == 0.0123).all()
    headers = [line for line in summary(rounded).splitlines() if line.startswith("| layer | drift")]
    assert ["| rounding |" in line for line in headers] == [True, False]


def test_result_object_keeps_what_the_user_wrote(models, texts, elsewhere):
    result = compare(str(models["base"]), str(elsewhere), data=str(texts), controls=False)
    assert result.base == str(models["base"])
    assert result.models[0].notes[0].startswith(NOTE)
