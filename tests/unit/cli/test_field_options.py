"""Options made from the fields of an option model: what they hand on, what they refuse, what the help says."""

import pytest
from typer.testing import CliRunner

from repdrift.cli.field_options import changed, field_options
from repdrift.cli.main import app
from repdrift.comparison.options import ComparisonOptions
from repdrift.core.errors import ConfigError
from repdrift.extraction.options import ExtractionOptions
from repdrift.study.analysis_options import AnalysisOptions

GIVEN = [
    "--pooling",
    "last",
    "--layer",
    "1",
    "--layer",
    "2",
    "--memory-cap",
    "64",
    "--no-weights",
    "--stack",
    "decoder",
    "--blocks",
    "h",
    "--token-budget",
    "99",
]
EXPECTED = {
    "pooling": "last",
    "layers": (1, 2),
    "memory_cap_bytes": 64 << 20,
    "weights": False,
    "stack": "decoder",
    "blocks": "h",
    "token_budget": 99,
}


@pytest.fixture
def study_file(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text("name: s\nmodel: packaged:minilm\nextraction: {samples: 12, pooling: first, weights: true}\n")
    return path


def test_options_of_extract_override_the_study_and_leave_the_rest(study_file, monkeypatch):
    studies = []
    monkeypatch.setattr(
        "repdrift.study.extraction_stage.extract_runs", lambda inputs, *_, **__: studies.append(inputs.config) or []
    )
    done = CliRunner().invoke(app, ["extract", "--config", str(study_file), *GIVEN])
    assert done.exit_code == 0, done.output
    assert studies[0].extraction == ExtractionOptions(samples=12, **EXPECTED)


def test_options_of_run_override_the_study_and_leave_the_rest(study_file, monkeypatch):
    studies = []
    monkeypatch.setattr("repdrift.study.runner.run_study", lambda study, *_, **__: studies.append(study))
    monkeypatch.setattr("repdrift.cli.run.print_outcome", lambda *_, **__: None)
    done = CliRunner().invoke(app, ["run", str(study_file), *GIVEN])
    assert done.exit_code == 0, done.output
    assert studies[0].extraction == ExtractionOptions(samples=12, **EXPECTED)


def test_an_option_that_is_not_given_leaves_the_study_as_it_is(study_file, monkeypatch):
    studies = []
    monkeypatch.setattr(
        "repdrift.study.extraction_stage.extract_runs", lambda inputs, *_, **__: studies.append(inputs.config) or []
    )
    assert CliRunner().invoke(app, ["extract", "--config", str(study_file)]).exit_code == 0
    assert studies[0].extraction == ExtractionOptions(samples=12, pooling="first")


def test_options_of_compare_are_handed_on(monkeypatch):
    calls = []

    def compare(*_, **options):
        calls.append(options)
        raise ConfigError("enough is known")

    monkeypatch.setattr("repdrift.comparison.comparing.compare", compare)
    CliRunner().invoke(
        app,
        [
            "compare",
            "a",
            "b",
            "--data",
            "sst2",
            "--no-controls",
            "--seed",
            "3",
            "--measure",
            "procrustes",
            "--memory-cap",
            "2",
        ],
    )
    expected = ComparisonOptions(controls=False, seed=3, measures=("procrustes",), memory_cap_bytes=2 << 20)
    named = calls[0].keys() & ComparisonOptions.model_fields.keys()
    assert named == {"controls", "seed", "measures", "memory_cap_bytes"}, "others are not passed as if they were named"
    assert ComparisonOptions(**{name: calls[0][name] for name in named}) == expected


def test_fields_that_nobody_named_stay_unnamed():
    assert changed(ComparisonOptions(seed=3), {"controls": False}).model_fields_set == {"seed", "controls"}


def test_every_wrong_option_is_named_at_once():
    with pytest.raises(ConfigError) as caught:
        changed(ComparisonOptions(), {"pooling": "maen", "measures": ("ckaa",), "accumulate": "no"})
    message = str(caught.value)
    assert "--pooling: unknown value 'maen'. Did you mean 'mean'?" in message
    assert "--measure: unknown measure of representations 'ckaa'" in message
    assert "--accumulate: unknown value 'no'" in message


def test_a_wrong_number_is_said_with_the_number():
    with pytest.raises(ConfigError, match=r"^--target-reduction: Input should be less than 1 \(got 2\.0\)$"):
        changed(AnalysisOptions(), {"target_reduction": 2.0})


@pytest.mark.parametrize("option", [["--memory-cap", "0"], ["--token-budget", "0"]])
def test_a_number_below_the_limit_of_its_field_is_wrong_usage(study_file, option):
    assert CliRunner().invoke(app, ["extract", "--config", str(study_file), *option]).exit_code == 2


@pytest.mark.parametrize(("count", "meant"), [("0", None), ("4", 4)])
def test_no_samples_means_all(count, meant):
    option = next(option for option in field_options(ExtractionOptions) if option.field == "samples")
    assert changed(ExtractionOptions(), {"samples": option.value(int(count))}).samples == meant


def test_too_few_samples_are_refused(study_file):
    result = CliRunner().invoke(app, ["extract", "--config", str(study_file), "--samples", "3"])
    assert str(result.exception) == "--samples: expected 0 (all samples) or at least 4, got 3"


def test_the_help_of_an_option_is_the_description_of_its_field():
    shown = " ".join(CliRunner().invoke(app, ["extract", "--help"], env={"COLUMNS": "300"}).output.split())
    for option in field_options(ExtractionOptions):
        assert f"{option.flag} " in shown
        assert option.help in shown


def test_options_of_analyze_override_the_study_and_leave_the_rest(study_file, monkeypatch):
    plans = []

    def analyze(plan, _):
        plans.append(plan)
        raise ConfigError("enough is known")

    monkeypatch.setattr("repdrift.drift.analyze", analyze)
    options = ["--measure", "cka", "--target-reduction", "0.5", "--interval", "percentile", "--replicates", "400"]
    CliRunner().invoke(app, ["analyze", "--config", str(study_file), *options])
    (plan,) = plans
    assert (plan.measures, plan.target_reduction, plan.equivalence_margin) == (("cka",), 0.5, 2.0)
    assert (plan.sampling.method, plan.sampling.replicates) == ("percentile", 400)
    assert plan.alpha == 0.05


def test_a_fault_of_options_together_is_said_without_an_option():
    with pytest.raises(ConfigError, match="replicates"):
        changed(AnalysisOptions(), {"interval": "bca", "replicates": 0})


def test_an_option_of_a_mapping_takes_names_with_values():
    (option,) = [o for o in field_options(AnalysisOptions) if o.field == "equal_skill_score"]
    given = {"equal_skill_score": option.value(["mrpc=0.8", "a=b=-1.5"])}
    assert changed(AnalysisOptions(), given).equal_skill_score == {"mrpc": 0.8, "a=b": -1.5}
    for text in ("mrpc", "=0.8", "mrpc="):
        with pytest.raises(ConfigError, match="--equal-skill-score: expected NAME=VALUE"):
            option.value([text])
    for value in ("high", "nan", "inf"):
        with pytest.raises(ConfigError, match="--equal-skill-score: "):
            changed(AnalysisOptions(), {"equal_skill_score": {"mrpc": value}})
