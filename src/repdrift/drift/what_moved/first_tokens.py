"""The section of a study on the first tokens of general text: what tuning left on unrelated text, read by the base model's unembedding."""

from __future__ import annotations

from repdrift.core.errors import MissingRunError
from repdrift.core.records.directions import ReadToken, TokenReading
from repdrift.core.records.first_tokens import FIRST_TOKENS_TABLE, FirstTokenShift, RunFirstTokens, StudyFirstTokens
from repdrift.drift.directions.tables import table_of
from repdrift.drift.first_tokens.run_tokens import read_runs
from repdrift.drift.first_tokens.table import first_token_rows
from repdrift.drift.what_moved import StudyFound, StudyInputs, StudySection, register

IN_RESULTS = 3
"""Tokens at each end that the results have of a trained model; of a random change they have one. The table has all that were read."""


def measure(inputs: StudyInputs) -> StudyFound:
    """Reads the final model of every run. Raises what `read_runs` raises, and MissingRunError if no model could be read."""
    plan = inputs.plan.first_tokens
    read = read_runs(inputs.plan, inputs.tasks)
    if not read.found:
        raise MissingRunError(" ".join(read.left_out) or "no run has a final model with representations")
    rows = [
        row
        for run, found in read.found
        for row in first_token_rows({"task": run.task, "method": run.method, "seed": run.seed}, found)
    ]
    samples = read.texts.samples
    record = StudyFirstTokens(
        runs=[
            RunFirstTokens(
                task=run.task,
                method=run.method,
                seed=run.seed,
                found=found.model_copy(update={"shifts": [_short(shift) for shift in found.shifts]}),
            )
            for run, found in read.found
        ],
        source=samples.source,
        documents=len(samples),
        positions=plan.positions,
        draws=plan.draws,
        causal=read.texts.causal,
        notes=list(samples.notes),
        left_out=read.left_out,
    )
    return StudyFound(record, {FIRST_TOKENS_TABLE: table_of(rows)} if rows else {})


def _short(shift: FirstTokenShift) -> FirstTokenShift:
    random = [of if of.tokens is None else of.model_copy(update={"tokens": _ends(of.tokens, 1)}) for of in shift.random]
    tokens = None if shift.tokens is None else _ends(shift.tokens, IN_RESULTS)
    return shift.model_copy(update={"tokens": tokens, "random": random})


def _ends(reading: TokenReading, most: int) -> TokenReading:
    """A reading with its first `most` tokens at each end, and those beyond chance."""

    def kept(tokens: list[ReadToken]) -> list[ReadToken]:
        return [token for rank, token in enumerate(tokens) if rank < most or token.beyond_chance]

    return reading.model_copy(update={"top": kept(reading.top), "bottom": kept(reading.bottom)})


register(StudySection("first_tokens", 45, (FIRST_TOKENS_TABLE,), measure))
