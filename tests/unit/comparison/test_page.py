"""The page beside comparison.json: written, replaced and removed with the other files, shared without paths, made again by its command."""

import json
import shlex

import pytest

from repdrift.comparison.command import comparison_command
from repdrift.comparison.comparing import write_outputs
from repdrift.comparison.gate import Gate, gate_options
from repdrift.comparison.options import ComparisonOptions
from repdrift.comparison.output import write_comparison
from repdrift.comparison.what_moved import model_sections
from repdrift.core.records.comparison import COMPARISON_FILE, COMPARISON_PAGE, Comparison
from tests.command_line import run_here
from tests.unit.comparison.tiny_comparisons import run


@pytest.fixture(scope="module")
def result(models, texts):
    return run(models, ["full", "a"], texts, controls=False)


def test_page_lies_beside_the_record_that_names_it(result, tmp_path):
    paths = {path.name for path in write_outputs(result, tmp_path)}
    assert COMPARISON_PAGE in paths
    assert Comparison.read(tmp_path / COMPARISON_FILE).page == COMPARISON_PAGE
    source = (tmp_path / COMPARISON_PAGE).read_text()
    for model in result.compared:
        for section in model_sections(result, model):
            assert section.title in source


def test_page_holds_no_path_of_this_machine(result, models, texts, tmp_path):
    write_comparison(result, tmp_path, page=True)
    source = (tmp_path / COMPARISON_PAGE).read_text()
    for path in (models["base"], models["full"], models["a"], texts):
        assert str(path) not in source
        assert json.dumps(str(path))[1:-1] not in source


def test_page_of_an_earlier_comparison_goes_where_none_is_wanted(result, tmp_path):
    write_comparison(result, tmp_path, page=True)
    write_comparison(result, tmp_path)
    assert not (tmp_path / COMPARISON_PAGE).exists()
    assert Comparison.read(tmp_path / COMPARISON_FILE).page is None


def test_a_page_that_is_not_ours_stays(result, tmp_path):
    (tmp_path / COMPARISON_PAGE).write_text("mine")
    write_comparison(result, tmp_path)
    assert (tmp_path / COMPARISON_PAGE).read_text() == "mine"


def test_nothing_is_written_where_the_page_cannot_be_made(result, tmp_path, monkeypatch):
    def fails(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("repdrift.comparison.output.page_of", fails)
    with pytest.raises(ZeroDivisionError):
        write_comparison(result, tmp_path, page=True)
    assert list(tmp_path.iterdir()) == []


def test_command_of_a_comparison_makes_it_again(models, texts, tmp_path):
    first = run(
        models, ["a"], texts, controls=False, layers=(1,), outputs=False, sections=(), output_dir=tmp_path / "one"
    )
    words = [*first.command, "--output-dir", "two", "--no-page"]
    given = [str(models["base"]), str(models["a"])]
    assert words[2:4] == [f"…/{'/'.join(path.split('/')[-2:])}" for path in given], "as other people may see them"
    words[2:4], words[words.index("--data") + 1] = given, str(texts)
    run_here(f"python -m {shlex.join(words)}", tmp_path)
    again = Comparison.read(tmp_path / "two" / COMPARISON_FILE)
    assert [at.drift for at in again.models[0].layers] == [at.drift for at in first.models[0].layers]
    assert again.command == first.command
    assert not (tmp_path / "two" / COMPARISON_PAGE).exists()


def test_command_has_no_option_that_is_as_it_would_be():
    options = ComparisonOptions.model_validate({"pooling": "auto", "measures": ("cosine",), "sections": ("all",)})
    words = comparison_command("b", ["t"], {"data": "https://user:secret1@host/x.csv", "header": None}, options)
    assert words[:4] == ["repdrift", "compare", "b", "t"]
    assert "--pooling" not in words
    assert words[words.index("--measure") :][:4] == ["--measure", "cka", "--measure", "cosine"]
    assert "secret1" not in shlex.join(words)
    gated = comparison_command("b", ["t"], {}, ComparisonOptions(), gate_options(Gate.of(0.3, layers="0-2")))
    assert gated[4:] == ["--fail-above", "0.3", "--fail-layers", "0-2"]
