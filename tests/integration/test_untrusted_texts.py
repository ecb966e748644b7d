"""Hostile names and secrets are driven through a whole study and a comparison; then every output and every file is looked at."""

import base64
import csv
import hashlib
import html.parser
import json
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt

from tests.command_line import run_here
from tests.tiny_models import save_adapter, sentence

MARKUP = "<img src=q onerror=alert(1)>|`id` $x^2$ [a](javascript:alert(1)) &lt;b&gt; {{7*7}}"
ORDERS = "\x1b]0;title\x07\x9b2J\u202e\ufeff"
FORMULA = "=cmd|' -C calc'!A1"
HUB = "hf_QwErTyUiOpAsDfGhJkLzXcVbNm123456"
CLOUD = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
KEY_ID = "AKIAIOSFODNN7EXAMPLE"
PASSWORD = "c0rrect h@rse:battery/staple%?"  # noqa: S105 - not one of ours
SIGNATURE = "Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA"
ENVIRONMENT = {
    "HF_TOKEN": HUB,
    "AWS_ACCESS_KEY_ID": KEY_ID,
    "AWS_SECRET_ACCESS_KEY": CLOUD,
    "HTTPS_PROXY": f"http://someone:{SIGNATURE}x@127.0.0.1:9",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_MAX_ATTEMPTS": "1",
}
SECRETS = (HUB, CLOUD, "K7MDENG", PASSWORD, "c0rrect", "staple%", SIGNATURE, f"{SIGNATURE}x", KEY_ID)
ADDRESSES = (
    f"s3://{KEY_ID}:{CLOUD}@bucket/sets",
    f"S3://{KEY_ID}:{CLOUD}@bucket/sets",
    f"simplecache::s3://{KEY_ID}:{CLOUD}@bucket/sets",
    f"https://someone:{PASSWORD}@127.0.0.1:9/sets",
    f"https://127.0.0.1:9/sets?X-Amz-Signature={SIGNATURE}",
    f"https://127.0.0.1:9/sets#token={SIGNATURE}",
    f"abfs://container@account/sets?sv=2024&sig={SIGNATURE}",
    f"nothing://someone:{PASSWORD}@host/sets",
    f"wandb://someone:{PASSWORD}@host/a/b",
    f"webhdfs://someone:{CLOUD}@127.0.0.1:9/sets",
    f"memory://someone:{CLOUD}@host",
)


@dataclass(frozen=True)
class Studied:
    """A finished study, and what its commands said: by command, standard output and standard error."""

    root: Path
    said: dict[str, str]
    given: frozenset[Path]
    """Files that were there before."""

    @property
    def written(self) -> list[Path]:
        """Every file that the commands wrote."""
        return sorted(path for path in self.root.rglob("*") if path.is_file() and path not in self.given)

    def of_kind(self, *suffixes: str) -> list[Path]:
        """The written files with these suffixes, at least one of each."""
        found = [path for path in self.written if path.suffix in suffixes]
        assert {path.suffix for path in found} == set(suffixes)
        return found


def quoted(*words: object) -> str:
    return shlex.join(map(str, words))


@pytest.fixture(scope="module")
def studied(tmp_path_factory, tiny_bert):
    root = tmp_path_factory.mktemp("hostile") / FORMULA.replace("/", "")
    model, data = root / f"model {MARKUP.replace('/', '')}{ORDERS}", root / f"data {MARKUP}{ORDERS}"
    shutil.copytree(tiny_bert, model)
    save_adapter(tiny_bert, root / f"{FORMULA}{MARKUP}{ORDERS}")
    data.mkdir()
    column, label, key = f"{FORMULA}{MARKUP}", f"label {ORDERS}{MARKUP}", f"id {HUB}"
    for split, count in (("train", 24), ("validation", 20)):
        rows = [
            {column: f"{sentence(i, 5)} {FORMULA}{MARKUP}{ORDERS} {HUB}", label: (FORMULA, MARKUP)[i % 2], key: f"{split}-{i}{MARKUP}"}
            for i in range(count)
        ]  # fmt: skip
        rows.insert(3, {column: "", label: MARKUP, key: f"empty {HUB}{ORDERS}"})  # left out, and quoted in a note
        (data / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    study = {
        "name": "hostile", "model": str(model), "methods": ["full_finetune", "lora"], "seeds": [1, 2],
        "tasks": [{"name": "own", "train": str(data / "train.jsonl"), "validation": str(data / "validation.jsonl"),
                   "text_columns": [column], "label_column": label, "id_column": key}],
        "training": {"all": {"epochs": 1, "batch_size": 8, "max_length": 48, "checkpoint_every": 2, "learning_rate": 0.01}},
        "analysis": {"replicates": 400}, "results_dir": f"results {MARKUP.replace('/', '')}", "base_dir": "base",
    }  # fmt: skip
    (root / "study.yaml").write_text(yaml.safe_dump(study))
    absent = {**study, "model": f"https://someone:{PASSWORD}@127.0.0.1:9/model?sig={SIGNATURE}"}
    (root / "absent.yaml").write_text(yaml.safe_dump(absent))
    no_data = {**study, "tasks": [{**study["tasks"][0], "validation": f"s3://{KEY_ID}:{CLOUD}@bucket/rows.csv"}]}
    (root / "no_data.yaml").write_text(yaml.safe_dump(no_data))
    wrong = {**study, "seeds": [f"https://someone:{PASSWORD}@host/x"], f"password={SIGNATURE}": ADDRESSES[0]}
    (root / "wrong.yaml").write_text(yaml.safe_dump(wrong))
    (root / study["results_dir"]).mkdir()
    given = frozenset(path for path in root.rglob("*") if path.is_file())
    results = study["results_dir"]
    commands = {
        "run study.yaml": False,
        "status --config study.yaml": False,
        "status --config study.yaml --json": False,
        "analyze --config study.yaml --json": False,
        "extract --config study.yaml --checkpoint all --json": False,
        "train --config study.yaml --json": False,
        "visualize --config study.yaml": False,
        quoted("power", f"{results}/drift_analysis"): None,
        quoted("verify", results): False,
        quoted("compare", model, root / f"{FORMULA}{MARKUP}{ORDERS}", *ADDRESSES[:5], "--data", data / "validation.jsonl",
               "--text-column", column, "--id-column", key, "--output-dir", "compared"): None,
        quoted("compare", model, root / f"{FORMULA}{MARKUP}{ORDERS}", "--data", data / "validation.jsonl",
               "--text-column", column, "--samples", 8, "--output-dir", "again", "--json"): None,
        quoted("compare", model, ADDRESSES[0], "--data", ADDRESSES[3], "--output-dir", "none"): True,
        quoted("tasks", "--data-dir", ADDRESSES[0]): None,
        quoted("status", "--config", ADDRESSES[0]): True,
        quoted("status", f"--no-{ORDERS}{SIGNATURE}"): True,
        quoted("status", ADDRESSES[0], ADDRESSES[3]): True,
        quoted("train", "--config", "study.yaml", "--seed", f"{ORDERS}{ADDRESSES[3]}"): True,
        quoted("train", "--config", "study.yaml", "--task", f"{ORDERS}{MARKUP}"): True,
        quoted("measures", f"{ORDERS}{ADDRESSES[0]}"): True,
        f"measures --help --config {ADDRESSES[0]}": None,
    }  # fmt: skip
    commands |= {
        f"{command} --config {name}.yaml": None
        for name in ("absent", "no_data", "wrong")
        for command in ("train", "status", "extract", "analyze")
    }
    for address in ADDRESSES:
        commands[quoted("push", "base", address)] = "memory" not in address
        commands[quoted("pull", address, "--output-dir", "pulled")] = "memory" not in address
    said = {}
    for command, fails in commands.items():
        done = run_here(f"python -m repdrift {command}", root, fails=fails, **ENVIRONMENT)
        said[command] = done.stdout + "\n" + done.stderr
    return Studied(root, said, given)


def test_no_secret_is_printed(studied):
    leaks = [(command, secret) for command, said in studied.said.items() for secret in SECRETS if secret in said]
    assert not leaks


def test_no_secret_is_written(studied):
    leaks = [
        (path.relative_to(studied.root), secret)
        for path in studied.written
        for content in [path.read_bytes()]
        for secret in SECRETS
        if secret.encode() in content or json.dumps(secret)[1:-1].encode() in content
    ]
    assert not leaks


def test_a_terminal_is_given_no_order(studied):
    obeyed = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\ufeff]")
    assert [command for command, said in studied.said.items() if obeyed.search(said)] == []
    texts = studied.of_kind(".md", ".csv", ".html", ".jsonl")
    assert [path for path in texts if obeyed.search(path.read_text(encoding="utf-8"))] == []


def test_the_names_of_written_files_are_plain(studied):
    tops = {"results " + MARKUP.replace("/", ""), "base", "compared", "again", "pulled"}
    for path in studied.written:
        top, *parts = path.relative_to(studied.root).parts
        assert top in tops
        assert all(re.fullmatch(r"\.?[A-Za-z0-9][A-Za-z0-9_.-]*", part) for part in parts), path


def test_json_is_read_by_others(studied):
    for path in studied.of_kind(".json"):
        json.loads(path.read_text(encoding="utf-8"))
    for command, said in studied.said.items():
        if "--json" in command:
            json.JSONDecoder().raw_decode(said)


def test_a_spreadsheet_runs_no_cell(studied):
    for path in studied.of_kind(".csv"):
        with path.open(newline="", encoding="utf-8") as stream:
            cells = [cell for row in csv.reader(stream) for cell in row if cell]
        assert len(cells) > 100
        for cell in cells:
            if cell[0] in "=+-@\t\r":
                float(cell)
    assert any(f"'{FORMULA}" in path.read_text(encoding="utf-8") for path in studied.of_kind(".csv"))


class Elements(html.parser.HTMLParser):
    """The elements of a page: name, attributes, the texts, and the contents of scripts with their attributes."""

    def __init__(self, text):
        super().__init__()
        self.found, self.texts, self.scripts = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        else:
            self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.cdata_elem == "script":
            attributes, content = self.scripts[-1]
            self.scripts[-1] = attributes, content + data
        else:
            self.texts.append(data)


def require_harmless(page, *, files=()):
    """Every element is the page's own. files: names of files beside it, which its links may lead to."""
    for tag, attributes in page.found:
        assert tag not in ("img", "iframe", "object", "embed", "base", "link"), tag
        assert tag != "form" or attributes == {"aria-label": "What the charts show"}
        assert not [name for name in attributes if name.startswith("on") or name in ("action", "formaction")], (
            attributes
        )
        assert attributes.get("href", "#").startswith("#") or attributes["href"] in files, attributes
        assert "src" not in attributes


def test_a_page_holds_no_element_of_a_name(studied):
    for path in studied.of_kind(".html"):
        page = Elements(path.read_text(encoding="utf-8"))
        require_harmless(page, files={beside.name for beside in path.parent.iterdir()})
        (policy,) = [
            a["content"] for tag, a in page.found if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
        ]
        run = [content for attributes, content in page.scripts if "type" not in attributes]
        kept = [attributes["type"] for attributes, _ in page.scripts if "type" in attributes]
        assert len(run) == 2, "the charting library and the page's own program"
        for content in run:
            assert base64.b64encode(hashlib.sha256(content.encode()).digest()).decode() in policy
            assert "onerror=alert(1)" not in content
        assert policy.startswith("default-src 'none';")
        assert "'unsafe-inline'" not in policy.partition("script-src")[2]
        assert set(kept) <= {"application/json", "application/octet-stream"}
        assert "<img src=q onerror=alert(1)>" in "".join(page.texts), "the name is shown as it is"
        assert "{{7*7}}" in "".join(page.texts)


def test_markdown_holds_no_element_of_a_name(studied):
    for path in studied.of_kind(".md"):
        text = path.read_text(encoding="utf-8")
        page = Elements(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))
        require_harmless(page)
        assert page.scripts == []
        assert "[a](javascript:alert(1)) &lt;b&gt;" in "".join(page.texts)
        heads = {line.count("|") - line.count(r"\|") for line in text.splitlines() if line.startswith("|---")}
        assert heads or path.name == "captions.md", "captions have no table"


@pytest.mark.parametrize(
    "name",
    ["../up", "a/b", "..", "a\nb", "a\0b", "-x", "con", "NUL.txt", "lpt1", "a.", "a\u202eb", "раypal", "a b", "", "a" * 300, "all"],
)  # fmt: skip
def test_a_task_has_a_name_that_every_file_system_takes(name, tmp_path):
    task = {"name": name, "validation": "rows.csv", "text_columns": ["text"], "label_column": "label"}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({"name": "s", "model": "m", "tasks": [task]}))
    refused = run_here("python -m repdrift status --config study.yaml", tmp_path, fails=True)
    assert "study.yaml" in refused.stderr
    assert "tasks" in refused.stderr


def test_names_that_differ_in_capitals_alone_would_be_one_folder_elsewhere(tmp_path):
    tasks = [
        {"name": name, "validation": "r.csv", "text_columns": ["t"], "label_column": "l"} for name in ("Own", "own")
    ]
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({"name": "s", "model": "m", "tasks": tasks}))
    refused = run_here("python -m repdrift status --config study.yaml", tmp_path, fails=True)
    assert "'Own' and 'own'" in refused.stderr


@pytest.mark.parametrize("argument", ["a\nfinished", "bytes-\udcff"])
def test_an_argument_that_no_result_could_name_is_refused(argument, tmp_path):
    refused = run_here(
        quoted("python", "-m", "repdrift", "compare", argument, "other", "--data", "x.txt"), tmp_path, fails=True
    )
    assert "ename" in refused.stderr
    assert ascii(argument)[1:-1] in refused.stderr
    assert refused.stderr.count("\n") == 2, "the error, and where its page is"
