"""A name from outside is shown as text on every way out."""

import re
import shlex
import shutil

from tests.command_line import run_here
from tests.tiny_models import write_sentences

HOSTILE = "x\x1b[2J\u202e<img src=q>|=1+1"


def test_the_name_of_a_model_is_no_order_and_no_markup(tiny_bert, tuned_bert, tmp_path):
    shutil.copytree(tuned_bert, tmp_path / HOSTILE)
    write_sentences(tmp_path / "t.txt", 12)
    tuned = shlex.quote(HOSTILE)
    done = run_here(
        f"python -m repdrift compare {tiny_bert} ./{tuned} --data t.txt --no-controls --output-dir out", tmp_path
    )
    said = done.stdout + done.stderr
    assert " ".join(done.stdout.split()).startswith(r"x\x1b[2J\u202e<img src=q>|=1+1 against ")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", said)
    summary = (tmp_path / "out/comparison.md").read_text()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", summary)
    assert "<img" not in summary.replace(r"\<img", "")
    refused = run_here(
        f"python -m repdrift compare {tiny_bert} ./no{tuned} --data t.txt --output-dir out2", tmp_path, fails=True
    )
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", refused.stdout + refused.stderr)
