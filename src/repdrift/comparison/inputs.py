"""One command for any base model and anything tuned from it: what is run, on what, and where the answer is written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from pydantic import ValidationError

from repdrift.comparison.measure_models import compare_models
from repdrift.comparison.options import ComparisonOptions
from repdrift.comparison.output import write_comparison
from repdrift.comparison.tuned_model import Candidate, depth_fault, unique_names
from repdrift.core.atomic import storage_errors
from repdrift.core.errors import ConfigError, DataError, ModelError, RepdriftError, StorageError
from repdrift.core.progress import say
from repdrift.core.records.comparison import COMPARISON_FILE, Comparison
from repdrift.core.validation import validation_faults
from repdrift.extraction.distributed import world
from repdrift.models import ModelSource, load_config, load_tokenizer, resolve_model
from repdrift.tasks import (
    DEFAULT_SAMPLES,
    SampleSet,
    TaskSpec,
    build_sample_set,
    effective_max_length,
    load_rows,
    spec_of_file,
    task,
)
from repdrift.tasks import tasks as known_tasks

DEFAULT_OUTPUT = Path("results/comparison")


def compare(
    base: str,
    tuned: Sequence[str] | str,
    *,
    data: str,
    data_dir: str | None = None,
    text_columns: Sequence[str] | None = None,
    id_column: str | None = None,
    samples: int | None = DEFAULT_SAMPLES,
    max_length: int | None = None,
    revision: str | None = None,
    output_dir: str | Path | None = None,
    **options: Any,
) -> Comparison:
    """Drift of tuned models from their base model, layer by layer, on one sample set, with the controls.

    base, tuned: folders, hub ids or `packaged:NAME`; tuned: full models or PEFT adapters. data: a built-in task, or a file
    (jsonl, csv, parquet, txt). samples: at most so many (None: all). output_dir: where to write JSON, table, summary and
    figures; None: nothing is written. options: the fields of `repdrift.comparison.ComparisonOptions`, such as
    pooling="tokens", layers=(0, 5), compute_dtype="bfloat16", controls=False.
    A tuned model that cannot be compared is in the result with the reason; raises ModelError if that holds for all of them.
    Raises ConfigError for a wrong option, DataError for data that cannot be used, ModelError if the base cannot be loaded.
    """
    chosen = _options(options)
    refs = [tuned] if isinstance(tuned, str) else list(tuned)
    if not refs:
        raise ConfigError("name at least one tuned model to compare with the base model")
    base_source = resolve_model(base, revision=revision)
    if base_source.is_adapter:
        raise ModelError(
            f"{base} is a PEFT adapter: the first model must be a full one, the base; adapters come after it"
        )
    spec = _spec(data, data_dir, text_columns, id_column)
    rows = load_rows(spec, "validation", data_dir=data_dir, labelled=False)

    def sample_set(source: ModelSource) -> SampleSet:
        tokenizer = load_tokenizer(source)
        longest = effective_max_length(tokenizer, load_config(base_source), max_length)
        return build_sample_set(spec, rows.rows, tokenizer, max_length=longest, n_samples=samples, source=rows.source)

    shown = sample_set(base_source)
    say(f"{spec.name}: {len(shown)} samples, {sum(shown.lengths)} tokens, from {rows.source}")
    candidates = [
        _candidate(name, ref, base_source, shown, sample_set)
        for name, ref in zip(unique_names(refs), refs, strict=True)
    ]
    if all(c.refused for c in candidates):
        raise ModelError(_none_comparable(candidates))
    if output_dir is not None and world().is_first:
        _require_writable(Path(output_dir))
    result = compare_models(base_source, candidates, shown, chosen)
    if not result.compared:
        raise ModelError(
            "none of the models could be compared:\n" + "\n".join(f"  {m.name}: {m.reason}" for m in result.models)
        )
    if output_dir is not None and world().is_first:
        write_outputs(result, Path(output_dir))
    return result


def write_outputs(result: Comparison, output_dir: Path) -> list[Path]:
    """JSON, table, summary, then the figures. Returns what was written."""
    from repdrift.report.comparison_figure import draw_comparison

    written = write_comparison(result, output_dir)
    return [*written, *draw_comparison(output_dir / COMPARISON_FILE, output_dir)]


def _options(given: dict[str, Any]) -> ComparisonOptions:
    try:
        return ComparisonOptions.model_validate(given)
    except ValidationError as error:
        faults = "; ".join(validation_faults(error, ComparisonOptions))
        raise ConfigError(f"comparison options: {faults}") from error


def _require_writable(folder: Path) -> None:
    """Raises StorageError before anything is run, and not when hours of work are to be written."""
    try:
        with storage_errors(folder / COMPARISON_FILE):
            folder.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=folder):
                pass
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"cannot write into {folder}: {error.strerror}. Choose another folder.") from error


def _spec(data: str, data_dir: str | None, text_columns: Sequence[str] | None, id_column: str | None) -> TaskSpec:
    path = Path(data).expanduser()
    if path.is_file():
        if data_dir is not None:
            raise ConfigError(f"a data folder is for built-in tasks; {data!r} is a file of your own")
        return spec_of_file(path, text_columns=text_columns, id_column=id_column)
    if path.suffix and data not in known_tasks():
        raise DataError(f"data file {data} does not exist; give a file, or a built-in task: {', '.join(known_tasks())}")
    if text_columns or id_column:
        raise ConfigError(f"columns are named for a file of your own; {data!r} is a built-in task")
    return task(data)


def _candidate(name: str, ref: str, base: ModelSource, shown: SampleSet, sample_set: Any) -> Candidate:
    source = resolve_model(ref)
    try:
        refused = depth_fault(base, source)
        if refused is None and _has_tokenizer(source):
            refused = _token_fault(shown, sample_set(source))
    except RepdriftError as error:
        refused = str(error)
    return Candidate(name, source, refused)


def _token_fault(shown: SampleSet, theirs: SampleSet) -> str | None:
    """Why a model with a tokenizer of its own does not read the same inputs; None if it does."""
    if theirs.fingerprint == shown.fingerprint:
        return None
    for row, name in enumerate(shown.sample_ids):
        ours, other = list(shown.input_ids[row]), list(theirs.input_ids[row])
        if ours != other:
            place = next(
                (i for i, (a, b) in enumerate(zip(ours, other, strict=False)) if a != b), min(len(ours), len(other))
            )
            return (
                f"it has another tokenizer: sample {name!r} becomes {len(other)} tokens, for the base model {len(ours)}, "
                f"different from token {place} on. The two do not read the same input, so that their representations are not paired. "
                "Compare it with the model it was tuned from."
            )
    return "its tokenizer marks the two texts of a pair otherwise than the base model's (token types)"


def _has_tokenizer(source: ModelSource) -> bool:
    return bool(source.gguf_file) or any(
        (source.path / name).is_file()
        for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "tokenizer.model")
    )


def _none_comparable(candidates: Sequence[Candidate]) -> str:
    return "none of the models can be compared with the base:\n" + "\n".join(
        f"  {c.name}: {c.refused}" for c in candidates
    )
