"""The origin of the numbers of a study's page: files, digests, fingerprints, versions."""

from __future__ import annotations

from repdrift.core.records.results import RESULTS_FILE
from repdrift.core.words import counted, listed
from repdrift.report.page.titles import task_titles
from repdrift.report.report_data import ReportData


def provenance(data: ReportData) -> list[tuple[str, str]]:
    """Returns labels and texts."""
    results, study = data.results, data.results.study
    found = [
        ("Analysed", results.created),
        ("Drawn from", f"{RESULTS_FILE} (schema version {results.schema_version}) and {data.table_name}"),
        *((f"SHA-256 of {name}", digest) for name, digest in results.table_sha256.items()),
        *((f"Version of {name}", version) for name, version in results.versions.items()),
        ("Base model", study.model),
        ("Revision of the base model", study.model_revision or "not given"),
        ("SHA-256 of the base model's weights", study.base_digest or "not known: results of an older version"),
        ("Pooling", study.pooling if study.pool_over == "all" else f"{study.pooling}, over the {study.pool_over}"),
        ("Number format", study.compute_dtype or "not known: results of an older version"),
    ]
    for task, title in task_titles(data).items():
        prints = {run.sample_set_fingerprint for run in results.runs if run.task == task and run.sample_set_fingerprint}
        cut = study.truncated_samples.get(task)
        found.append(
            (f"Fingerprint of the samples of {title}", listed(sorted(prints)) if prints else "no model was measured")
        )
        if cut:
            found.append((f"Samples of {title} cut at the maximum length", str(cut)))
    data_prints: dict[str, list[str]] = {}
    for run in results.trained:
        if (text := f"{run.data_fingerprint} ({run.data_source})") not in data_prints.setdefault(run.task, []):
            data_prints[run.task].append(text)
    found += [
        (f"Fingerprint of the training rows of {task_titles(data).get(task, task)}", listed(texts))
        for task, texts in data_prints.items()
    ]
    final = [run for run in results.runs if run.step == 0 and run.status == "ok"]
    if len(results.trained) < len(final):
        count = counted(len(final) - len(results.trained), "model")
        found.append(
            (
                "Run folders",
                f"of {count} the folder was not at hand, so this page does not say how {'it was' if count.startswith('1 ') else 'they were'} trained",
            )
        )
    if any(not run.as_planned for run in results.trained):
        others = [run for run in results.trained if not run.as_planned]
        found.append(
            (
                "Trained with other settings than the study has now",
                listed([f"{run.task}, {run.method}, seed {run.seed}" for run in others]),
            )
        )
    return found
