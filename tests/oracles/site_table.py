"""The table of docs/explanation/sites.md: which architecture has which site, by which law, found on tiny models with random weights.

python -m tests.oracles.site_table        writes the table into docs/explanation/sites.md
"""

from pathlib import Path

from repdrift.extraction import RepresentationExtractor
from repdrift.models.site_probe import probe_inputs, probing
from tests.oracles.architectures import DEPTH, ENCODER_DECODERS, model_of
from tests.oracles.site_references import KNOWN

DOCUMENT = Path(__file__).parents[2] / "docs/explanation/sites.md"
BEGIN, END = "<!-- table of architectures: begin -->\n", "<!-- table of architectures: end -->\n"


def table():
    """Markdown: one row for each architecture, with the decoder of those that have two stacks."""
    lines = ["| architecture | attn_out | mlp_out | final_norm | law |", "|---|---|---|---|---|"]
    for name in KNOWN:
        for stack in (None, "decoder") if name in ENCODER_DECODERS else (None,):
            label = name if stack is None else f"{name}, decoder"
            lines.append(f"| {label} | {' | '.join(_row(model_of(KNOWN[name]), stack))} |")
    return "\n".join(lines) + "\n"


def _row(model, stack):
    extractor = RepresentationExtractor(model, stack=stack)
    inputs = extractor._stack_inputs(dict(probe_inputs(extractor.backbone, extractor.device)))
    with probing(extractor.blocks) as found:
        extractor.backbone(**inputs)
    sites = found()
    cells = [_cell(sites, site) for site in ("attn_out", "mlp_out")]
    cells.append(sites.final_norm[0].name if sites.final_norm else "none")
    laws = dict.fromkeys(f"`{block.law}`" for block in sites.blocks if block.law)
    return [*cells, "; ".join(laws) or "none is obeyed"]


def _cell(sites, site):
    there = [n for n, block in enumerate(sites.blocks) if site in block.taps]
    if len(there) in (DEPTH, len(sites.blocks)):
        return ", ".join(dict.fromkeys(_sum(block.taps[site]) for block in sites.blocks))
    if there:
        reason = next(block.absent[site] for block in sites.blocks if site in block.absent)
        return f"layer {', '.join(map(str, there))} of {len(sites.blocks)}: {reason}"
    reasons = [
        reason for block in sites.blocks for reason in (block.hidden.get(site), block.absent.get(site)) if reason
    ]
    hidden = [block.hidden[site] for block in sites.blocks if site in block.hidden]
    return f"no: {hidden[0] if hidden else reasons[0]}"


def _sum(taps):
    words = ""
    for tap in taps:
        sign = "" if not words else " - " if tap.scale < 0 else " + "
        words += sign + (f"input of {tap.name or 'the block'}" if tap.reads == "input" else tap.name)
    return words


def written():
    """Returns the text of the document with the table as it is now."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + "\n" + table() + "\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    DOCUMENT.write_text(written(), encoding="utf-8")
