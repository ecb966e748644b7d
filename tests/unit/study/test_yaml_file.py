import os

import pytest

from repdrift.core.errors import ConfigError
from repdrift.study.config import load_study, parse_study
from repdrift.study.yaml_file import parse_yaml, read_yaml

LEVELS = "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\nmodel: b\nname: c\n", "line 3: the key 'name' stands twice, first in line 1"),
        ("training:\n  all: {epochs: 1, epochs: 2}\n", "line 2: the key 'epochs' stands twice"),
        ("yes: 1\ntrue: 2\n", "line 2: the key 'true', which means the same as 'yes', stands twice, first in line 1"),
        ("0x1: a\n1: b\n", "line 2: the key '1', which means the same as '0x1', stands twice"),
        ("? !!set a\n: 1\n", "not valid YAML"),
        (f"a0: &a0 [x]\n{LEVELS}\n", "more than 100,000 values, counting what its aliases repeat"),
        ("a: &a [*a]\n", "a value contains itself"),
        ("[" * 100 + "]" * 100, "nested too deep"),
        ("[" * 100_000 + "]" * 100_000, "nested too deep"),
        ("a: !!python/object/apply:os.system ['true']\n", "not valid YAML.*could not determine a constructor"),
        ("a: 2026-13-45\n", "not valid YAML.*month must be in"),
        ("a: [", "not valid YAML"),
        ("a: 1\nb: \x07\n", r"line 2: not valid YAML: the character U\+0007 is not allowed"),
        ("a: !!bool maybe\n", "a value does not fit the tag before it"),
        ("a: !!timestamp soon\n", "a value does not fit the tag before it"),
        ('a: 1\nb: "\\ud800"\n', "line 2: a text holds half a character"),
        ("a: 1\n---\na: 2\n", "not valid YAML"),
    ],
)
def test_what_no_study_file_holds_is_refused(text, message):
    with pytest.raises(ConfigError, match=f"(?s)mine.*{message}"):
        parse_yaml(text, where="mine")


def test_aliases_and_an_empty_file_are_read():
    assert parse_yaml("a: &x {p: 1}\nb: *x\nc: {<<: *x, p: 2}\n", where="mine") == {
        "a": {"p": 1},
        "b": {"p": 1},
        "c": {"p": 2},
    }
    assert parse_yaml("", where="mine") is None


def test_what_is_no_small_text_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="is a folder; expected a YAML file"):
        read_yaml(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="is no regular file"):
        read_yaml(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"#" * (1 << 21))
    with pytest.raises(ConfigError, match="2,097,152 bytes; a study file has 1,048,576 at most"):
        read_yaml(tmp_path / "large")
    (tmp_path / "bytes").write_bytes(b"a: \xff")
    with pytest.raises(ConfigError, match=r"no UTF-8 text \(byte 3\)"):
        read_yaml(tmp_path / "bytes")
    with pytest.raises(ConfigError, match=r"nowhere\.yaml does not exist; packaged studies"):
        load_study(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": [-1]}, "seeds.*greater than or equal to 0"),
        ({"seeds": [2**32]}, "seeds.*less than 4294967296"),
        ({"training": {"all": {"learning_rate": float("inf")}}}, "learning_rate"),
        ({"training": {"all": {"learning_rate": float("nan")}}}, "learning_rate"),
        ({"training": {"all": {"epochs": 1e30}}}, "epochs"),
        ({"training": {"all": {"lora": {"rank": 10**9}}}}, "rank"),
        ({"training": {"all": {"lora": {"alpha": float("inf")}}}}, "alpha"),
        ({"training": {"all": {"lora": {"alpha": 1e300}}}}, "alpha"),
        ({"training": {"all": {"lora": {"target_modules": []}}}}, "target_modules"),
        ({"training": {"all": {"doc_stride": 10**21}}}, "doc_stride"),
        ({"seeds": list(range(60_000))}, "seeds: .* at most 1000 items"),
        ({"seeds": [True]}, "seeds"),
        ({"extraction": {"layers": []}}, "layers"),
        ({"analysis": {"replicates": 10**12}}, "replicates"),
        ({"analysis": {"equivalence_margin": float("inf")}}, "equivalence_margin"),
        ({"tasks": [{"name": "all", "validation": "x.csv", "text_columns": ["t"]}]}, "no task can be called 'all'"),
        ({"tasks": [{"name": "t" * 300, "validation": "x.csv", "text_columns": ["t"]}]}, "at most 100 characters"),
    ],
)
def test_numbers_and_names_beyond_all_bounds_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        parse_study({"name": "s", "model": "m", **changes}, where="mine")


def test_a_tilde_is_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    entry = {"name": "t", "validation": "~/v.csv", "text_columns": ["text"]}
    study = parse_study({"name": "s", "model": "m", "results_dir": "~/rd", "tasks": [entry]}, where="mine")
    assert study.results_dir == tmp_path / "rd"
    assert study.spec("t").files == {"validation": tmp_path / "v.csv"}


def test_a_number_of_thousands_of_digits_is_refused_by_its_line():
    for number in ("1" + "0" * 5000, "0x" + "f" * 6000):
        with pytest.raises(ConfigError, match=r"line 2: a number has 5,?\d* digits|line 2: a number has 6,?\d* digits"):
            parse_yaml(f"a: 1\nb: {number}\n", where="s.yaml")
