"""Sentences and tables on outputs of tuned models, which the command line and the summary of a comparison share."""

from __future__ import annotations

from repdrift.core.records.outcomes import ON_GENERAL_TEXT, ON_TASK, Inputs
from repdrift.core.records.output_changes import ModelOutputs, OutputChange
from repdrift.core.words import counted, number, percent, short_number

TABLE_HEADER = ("outcome", "texts", "base", "tuned", "difference", "95 % interval", "n", "tokens")
_TEXTS: dict[Inputs, str] = {ON_TASK: "these texts", ON_GENERAL_TEXT: "general text"}
_NAMES = {
    "forgetting": "loss (nats)",
    "output_kl": "KL (nats)",
    "output_js": "JS (nats)",
    "top1_agreement": "names the same token first",
    "disagreement": "names another class",
}
_FLIPS_SHOWN = 4


def forgetting_title(inputs: Inputs) -> str:
    """The title of the rise of the loss: on general text it is forgetting, on other texts it may be learning too."""
    return "Forgetting" if inputs == ON_GENERAL_TEXT else "Loss of the next token"


def outputs_answer(outputs: ModelOutputs | None) -> str:
    """A clause or two on what tuning did to outputs, for the first line on a model; "" if outputs were not asked for."""
    if outputs is None:
        return ""
    said = [clause for inputs in _TEXTS for clause in _language_clauses(outputs, inputs)]
    classes = _found(outputs, "disagreement", ON_TASK)
    if classes is not None:
        of = f"{percent(classes.value)} of {counted(classes.n, 'text')}"
        said.append(
            f"it names another class for {of}{_interval(classes, as_percent=True)}"
            if classes.value
            else f"it names the same class for all {classes.n} texts"
        )
    if said:
        return "; ".join(said)
    return "outputs were not compared" + (f": {_reason(outputs.left_out[0])}" if outputs.left_out else "")


def outputs_in_short(outputs: ModelOutputs | None) -> str:
    """A clause on what tuning did to outputs, or two: on general text (forgetting) and on these texts (what was learnt); "" if outputs were not asked for."""
    if outputs is None:
        return ""
    said = [clause for inputs in (ON_GENERAL_TEXT, ON_TASK) if (clause := _loss_clause(outputs, inputs))]
    if said:
        return "; ".join(said)
    if _found(outputs, "disagreement", ON_TASK) is not None:
        return outputs_answer(outputs)
    return "outputs were not compared" if outputs.left_out else ""


def _loss_clause(outputs: ModelOutputs, inputs: Inputs) -> str:
    """One clause on the loss and the first tokens; "" where the loss was not compared."""
    loss, agreement = _found(outputs, "forgetting", inputs), _found(outputs, "top1_agreement", inputs)
    divergence = _found(outputs, "output_kl", inputs)
    if loss is None or loss.difference is None:
        return ""
    where = f"{_TEXTS[inputs]}, read by the base model's head," if outputs.by_base_head else _TEXTS[inputs]
    if divergence is not None and not divergence.value and not loss.difference:
        return f"it predicts {where} exactly as the base model does"
    other = "" if agreement is None else f", and names another token first at {percent(1 - agreement.value)} of places"
    if loss.low is not None and loss.high is not None and loss.low <= 0 <= loss.high:
        return f"it is not known to predict {where} worse or better ({_signed(loss)}){other}"
    interval = _interval(loss) or ", without an interval"
    comparative = "worse" if loss.difference > 0 else "better"
    return f"it predicts {where} {comparative} by {short_number(abs(loss.difference))} nats a token{interval}{other}"


def outputs_rows(outputs: ModelOutputs) -> list[list[str]]:
    """The cells under `TABLE_HEADER`, a row for each outcome; a missing number is an empty cell."""
    return [
        [
            _NAMES.get(change.outcome, f"{change.title} ({change.unit})"),
            _TEXTS[change.inputs],
            number(change.base_value, missing=""),
            number(change.value),
            number(change.difference, missing=""),
            "" if change.low is None or change.high is None else f"{number(change.low)} to {number(change.high)}",
            str(change.n),
            "" if change.tokens is None else str(change.tokens),
        ]
        for change in outputs.changes
    ]


def outputs_notes(outputs: ModelOutputs) -> list[str]:
    """Sentences beside the table: how outputs were read, why there is no interval, which classes changed, what was left out."""
    missing = dict.fromkeys(
        f"{change.title}, {_TEXTS[change.inputs]}: {change.note}." for change in outputs.changes if change.note
    )
    flips = [f"{flip.before} to {flip.after}: {flip.texts}" for flip in outputs.flips[:_FLIPS_SHOWN]]
    more = len(outputs.flips) - len(flips)
    said = (
        [f"Classes that changed: {', '.join(flips)}{f', and {more} other pairs' if more > 0 else ''}."] if flips else []
    )
    return [*outputs.notes, *missing, *said, *outputs.left_out]


def _language_clauses(outputs: ModelOutputs, inputs: Inputs) -> list[str]:
    loss, agreement = _found(outputs, "forgetting", inputs), _found(outputs, "top1_agreement", inputs)
    divergence = _found(outputs, "output_kl", inputs)
    if loss is None or loss.difference is None or agreement is None or divergence is None:
        return []
    where = f"{_TEXTS[inputs]}, read by the base model's head," if outputs.by_base_head else _TEXTS[inputs]
    if not divergence.value and not loss.difference:
        return [f"on {where} it predicts exactly as the base model does ({counted(divergence.n, 'text')})"]
    size = short_number(abs(loss.difference))
    other = f"and names another token first at {percent(1 - agreement.value)} of places (KL {short_number(divergence.value)} nats)"
    if loss.low is None or loss.high is None:
        known = f"it predicts tokens {'worse' if loss.difference > 0 else 'better'} by {size} nats each, without an interval,"
    elif loss.low <= 0 <= loss.high:
        known = f"its prediction of tokens is not known to be worse or better ({_signed(loss)}),"
    else:
        known = (
            f"it predicts tokens {'worse' if loss.difference > 0 else 'better'} by {size} nats each{_interval(loss)},"
        )
    return [f"on {where} {known} {other}"]


def _found(outputs: ModelOutputs, outcome: str, inputs: Inputs) -> OutputChange | None:
    return next((change for change in outputs.changes if (change.outcome, change.inputs) == (outcome, inputs)), None)


def _interval(change: OutputChange, *, as_percent: bool = False) -> str:
    """The 95 % interval in brackets, of a loss as sizes of a rise or a fall; "" if there is none."""
    if change.low is None or change.high is None:
        return ""
    if as_percent:
        return f" (95 % interval {percent(max(0.0, change.low))} to {percent(min(1.0, change.high))})"
    low, high = sorted((abs(change.low), abs(change.high)))
    return f" (95 % interval {short_number(low)} to {short_number(high)})"


def _signed(change: OutputChange) -> str:
    rise = "" if change.difference is None else f"rise {short_number(change.difference)} nats, "
    return f"{rise}95 % interval {short_number(change.low or 0.0)} to {short_number(change.high or 0.0)}"


def _reason(sentence: str) -> str:
    """The first clause of a reason."""
    return sentence.partition(": ")[2].partition(". ")[0].partition(": ")[0].rstrip(".")
