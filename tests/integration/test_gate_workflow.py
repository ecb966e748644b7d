"""The workflow file of docs/howto/ci.md: valid YAML whose command line does on tiny models what the page says."""

import re
import shlex
from pathlib import Path

import yaml

from tests.command_line import run_here

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "ci.md"


def workflow():
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return yaml.safe_load(text)


def test_workflow_has_what_a_workflow_needs():
    found = workflow()
    triggers = found[True]  # YAML 1.1 reads the key `on` so
    assert list(triggers) == ["pull_request"]
    assert found["permissions"] == {"contents": "read"}
    (job,) = found["jobs"].values()
    assert {"runs-on", "timeout-minutes", "steps"} <= job.keys()
    for step in job["steps"]:
        assert ("uses" in step) != ("run" in step)
        assert step.get("uses", "a@v1").count("@") == 1
    names = [step.get("name") for step in job["steps"]]
    assert names.index("Install") < names.index("Gate") < names.index("Keep the report")
    assert job["steps"][names.index("Keep the report")]["if"] == "always()"


def test_its_command_runs_and_writes_what_the_workflow_keeps(tmp_path, tiny_bert, tuned_bert):
    steps = {step.get("name"): step for step in workflow()["jobs"]["gate"]["steps"]}
    words = shlex.split(steps["Gate"]["run"])
    assert words[:2] == ["repdrift", "compare"]
    for name, model in (("base", tiny_bert), ("tuned", tuned_bert)):
        (tmp_path / "models").mkdir(exist_ok=True)
        (tmp_path / "models" / name).symlink_to(model)
    (tmp_path / "data").mkdir()
    texts = "".join(f"the cat saw {word} river {k}\n" for k, word in enumerate(["a", "the", "one", "an"] * 6))
    (tmp_path / "data" / "drift.csv").write_text(f"text\n{texts}")
    shown = tmp_path / "summary.md"
    command = " ".join(map(shlex.quote, ["python", "-m", *words, "--with", "none", "--no-controls", "--no-outputs"]))
    done = run_here(command, tmp_path, fails=None, GITHUB_STEP_SUMMARY=str(shown))
    assert done.returncode in (0, 3), done.stderr
    for kept in steps["Keep the report"]["with"]["path"].split():
        assert (tmp_path / kept).exists()
    assert shown.read_text() == (tmp_path / "gate.md").read_text()
    assert done.stdout.splitlines()[-1:][0]
