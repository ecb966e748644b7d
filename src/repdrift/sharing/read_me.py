"""README.md of an exported study: what it found, how to read it, and what is not in it."""

from __future__ import annotations

from collections.abc import Sequence

from repdrift.core.first_lines import first_lines
from repdrift.core.records.export import (
    ANALYSIS_PART,
    CARD_FILE,
    CONFIGURATION_FILE,
    FIGURES_PART,
    FINGERPRINTS_FILE,
    MANIFEST_FILE,
    RUNS_PART,
)
from repdrift.core.records.results import RESULTS_FILE, SUMMARY_FILE, DriftResults
from repdrift.core.words import counted, listed, markdown_text, task_title
from repdrift.version import __version__

_PARTS = (
    (f"{ANALYSIS_PART}/{SUMMARY_FILE}", "The results in words and tables."),
    (f"{ANALYSIS_PART}/{RESULTS_FILE}", "All results, with the settings."),
    (f"{ANALYSIS_PART}/", "The tables, at full precision."),
    (f"{FIGURES_PART}/dashboard.html", "The page: all results in a browser, without a network."),
    (f"{FIGURES_PART}/", "The figures."),
    (CARD_FILE, "A section for a model's README."),
    (CONFIGURATION_FILE, "The configuration of the study, after options and overrides."),
    (FINGERPRINTS_FILE, "What identifies base model, samples and trained models."),
    (f"{RUNS_PART}/", "run.json of each trained model."),
    (MANIFEST_FILE, "Size and SHA-256 of every other file."),
)


def read_me(results: DriftResults, names: Sequence[str], left_out: Sequence[str], notes: Sequence[str]) -> str:
    """Returns the text (Markdown). names: the files of the archive. left_out, notes: whole sentences."""
    study = results.study
    archive = f"{study.name}.zip"
    there = [
        (part, words)
        for part, words in _PARTS
        if part == MANIFEST_FILE
        or any(name == part or (part.endswith("/") and name.startswith(part)) for name in names)
    ]
    finals = sum(run.step == 0 and run.status == "ok" for run in results.runs)
    cautions = list(dict.fromkeys([*first_lines(results), *notes, *results.warnings]))
    lines = [
        f"# {markdown_text(study.name)}: representation drift",
        "",
        f"How far fine-tuning moved the hidden representations of {markdown_text(study.model)}, layer by layer: "
        f"{counted(finals, 'trained model')} on {markdown_text(listed(list(map(task_title, study.tasks))))}, analysed {results.created[:10]} with repdrift "
        f"{results.versions.get('repdrift', __version__)}.",
        "",
        "## Files",
        "",
        *(f"- `{part}`: {words}" for part, words in there),
        "",
        "## Reading them",
        "",
        "    pip install repdrift",
        f"    repdrift verify {archive}",
        f"    python -c \"import repdrift; print(repdrift.load_results('{archive}').record.tests)\"",
        *(
            [f"    repdrift reproduce {archive}    # trains two of the models again, with the base model and the data"]
            if results.trained
            else []
        ),
        "",
        f"Unpacked, `repdrift visualize --results-file {ANALYSIS_PART}/{RESULTS_FILE} --output-dir figures` draws the figures again.",
        "",
        "## Not in this archive",
        "",
        *(f"- {markdown_text(sentence)}" for sentence in left_out),
        "",
        "## Cautions",
        "",
        *([f"- {markdown_text(caution)}" for caution in cautions] or ["- None."]),
    ]
    return "\n".join(lines) + "\n"
