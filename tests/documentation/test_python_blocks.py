"""Python in pages runs: here, in another test, or while the site is built."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from repdrift.models import load_backbone, load_tokenizer, resolve_model
from repdrift.similarity import measure
from tests.documentation.pages import DOCS, blocks
from tests.tiny_models import sentence

RUN_ELSEWHERE = {
    "docs/howto/sharing.md": "tests/integration/test_exported_study.py",
    "docs/howto/training.md": "tests/unit/comparison/test_drift_callback.py",
    "docs/reference/measures.md, streaming": "tests/unit/similarity/test_documented.py",
    "docs/tutorial/in_python.md": "not run: it needs a model that the demo has trained; examples/compare_two_models.ipynb runs the like",
}
TEXTS = [sentence(number, 3 + number % 6) for number in range(24)]


def _python(page):
    return [block.text for block in blocks() if block.page == page and block.kind == "python"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A reader's working folder: results of a study and of a comparison, and texts."""
    for name in ("results", "results/drift_analysis", "demo_output"):
        shutil.copytree(DOCS / "results" / "demo", tmp_path / name, dirs_exist_ok=True)
    for name in ("results/comparison", "drift"):
        shutil.copytree(DOCS / "results" / "comparison", tmp_path / name)
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _run(page, names):
    for text in _python(page):
        exec(text, names)  # noqa: S102  (our own page)
    return names


def _loaded(path):
    return load_backbone(resolve_model(str(path)))


def test_the_example_of_the_readme(folder, tiny_bert, tuned_bert):
    shutil.rmtree(folder / "results" / "comparison")  # a reader's folder holds one set of results
    shutil.rmtree(folder / "results" / "drift_analysis")
    names = {
        "tokenizer": load_tokenizer(resolve_model(str(tiny_bert))), "texts": TEXTS,
        "base": _loaded(tiny_bert), "tuned": _loaded(tuned_bert),
    }  # fmt: skip
    found = _run("README.md", names)
    assert len(found["drift"]) == 3
    assert all(0 < value < 1.1 for value in found["drift"].values())
    assert found["every"]["cka"].shape == (3, 3)


def test_the_example_of_pooling_without_sinks(tiny_llama):
    tokenizer = load_tokenizer(resolve_model(str(tiny_llama)))
    names = {"inputs": tokenizer(TEXTS), "base": _loaded(tiny_llama), "tuned": _loaded(tiny_llama)}
    found = _run("docs/explanation/decoder_pooling.md", names)
    assert found["before"].keys() == found["after"].keys()
    assert len(found["before"]["layer_0"]) == len(TEXTS)


def test_the_examples_on_results_that_are_there(folder, tiny_bert, tuned_bert):
    import repdrift

    gate = _run("docs/howto/ci.md", {"repdrift": repdrift})
    assert gate["report"].exit_code in {0, 3}
    notebooks = _run("docs/howto/notebooks.md", {"base": str(tiny_bert), "tuned": str(tuned_bert)})
    assert notebooks["result"].models[0].mean_drift > 0
    table = _run("docs/howto/tables.md", {})
    assert table["text"].count("\\toprule") == 1


def test_the_first_example_of_the_measures():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(30, 5)), random.normal(size=(30, 6))
    first, streaming = _python("docs/reference/measures.md")
    assert "PairedAccumulator" in streaming
    names = {"x": x, "y": y, "value": 0.25, "layers_a": [x, y], "layers_b": [y]}
    exec(first, names)  # noqa: S102  (our own page)
    assert measure("cka")(names["base"], y) == pytest.approx(measure("cka")(x, y))


def test_every_page_with_python_is_run_or_says_where():
    here = {
        "README.md",
        "docs/explanation/decoder_pooling.md",
        "docs/howto/ci.md",
        "docs/howto/notebooks.md",
        "docs/howto/tables.md",
        "docs/reference/measures.md",
    }
    pages = {block.page for block in blocks() if block.kind == "python"}
    assert pages == here | {name.split(",")[0] for name in RUN_ELSEWHERE}
