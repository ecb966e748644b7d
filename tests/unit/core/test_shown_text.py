import json
from pathlib import Path

import pandas as pd
import pytest

from repdrift.core.csv_table import csv_text, texts_read_back
from repdrift.core.errors import RepdriftError, StorageError
from repdrift.core.hidden_secrets import cause_without_secrets, remember_all, remember_secrets, without_secrets
from repdrift.core.progress import say
from repdrift.core.records.run import RunRecord
from repdrift.core.shown_text import for_spreadsheet, for_terminal, from_spreadsheet, json_text
from repdrift.stores.remote import open_remote


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot list s3://AKEY:s3cr/e+t@bucket/sets: denied", "cannot list s3://…@bucket/sets: denied"),
        ("https://user:pw@host/x", "https://…@host/x"),
        ("https://token@host/x", "https://…@host/x"),
        ("simplecache::s3://k:s@b/x and ssh://me:pw@h", "simplecache::s3://…@b/x and ssh://…@h"),
        ("GET 'https://b.host/k?X-Amz-Signature=abc&x=1' failed", "GET 'https://b.host/k?…' failed"),
        ("hf://owner/name@main/file", "hf://owner/name@main/file"),
        ("wandb://team/project/base:latest", "wandb://team/project/base:latest"),
        ("cannot read s3:/K:S@b/x or 's3:/t0k@b/x'", "cannot read s3:/…@b/x or 's3:/…@b/x'"),  # as Path writes it
        (str(Path("simplecache::s3://K:p/w@b")), "simplecache::s3:/…@b"),
        (str(Path("https://h/k?sig=abc&v=1#t=2")), "https:/h/k?…#…"),
        ("C:/Users/me@home/a:b@c?d C:/a?b", "C:/Users/me@home/a:b@c?d C:/a?b"),
        ("hf:/owner/name@main/file", "hf:/owner/name@main/file"),
        ("is it there? a@b.c says no", "is it there? a@b.c says no"),
        ("token hf_abcdefghijklmnopqrst refused", "token hf_… refused"),
        ("key AKIAABCDEFGHIJKLMNOP refused", "key AKIA… refused"),
        ("s3://K:a@b/c+d@bucket/x", "s3://…@bucket/x"),
        ("HTTPS://user:pw@host/x?sig=a@b", "HTTPS://…@host/x?…"),
        ("url: /x?sv=1&sig=abc%2Fdef", "url: /x?sv=1&sig=…"),
        ("('AKIAIOSFODNN7EXAMPLE', 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY')", "('AKIA…', '…')"),
        ("aws_secret_access_key=abcdefgh, region=x", "aws_secret_access_key=…, region=x"),
        ('{"private_key": "abcdefgh", "id": 1}', '{"private_key": "…", "id": 1}'),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY----- and more", "… and more"),
        ("sent Bearer abc.def123456789", "sent Bearer …"),
        ("glpat-abcdefghijklmnopqrst, ghp_abcdefghijklmnopqrst", "glpat-…, ghp_…"),
        ("https://host/docs#pickle", "https://host/docs#pickle"),
        ("Basic statistics: tokens=12, key: abcdefgh", "Basic statistics: tokens=12, key: abcdefgh"),
        ("squad_v2/lora_seed1/step_000000 hf_transformers", "squad_v2/lora_seed1/step_000000 hf_transformers"),
    ],
)
def test_secrets_are_left_out_and_nothing_else(text, shown):
    assert without_secrets(text) == shown
    assert without_secrets(shown) == shown


def test_secrets_of_an_address_given_as_a_path_are_hidden_elsewhere():
    remember_all([str(Path("s3://reader:hunter2000@bucket/x"))])
    assert without_secrets("denied for hunter2000") == "denied for …"


def test_progress_and_addresses_of_stores_show_no_secret(capsys):
    say("sending to s3://KEY:SECRET@bucket/x")
    assert capsys.readouterr().err == "sending to s3://…@bucket/x\n"
    remote = open_remote("memory://KEY:SECRET@nowhere/at/all")
    with pytest.raises(RepdriftError) as caught:
        remote.files()
    assert "SECRET" not in f"{remote.address} {caught.value}"
    for address in ("nothing://KEY:SECRET@bucket/x", "s3a::://KEY:SECRET@b"):
        with pytest.raises((RepdriftError, StorageError)) as refused:
            open_remote(address).names()
        assert "SECRET" not in str(refused.value)


def test_a_terminal_is_never_given_an_order(capsys):
    hostile = "model\x1b[2J\x1b]0;title\x07\r\u202eevil\x9b1m, line\n\tnext é 漢"
    shown = for_terminal(hostile)
    assert shown == r"model\x1b[2J\x1b]0;title\x07\r\u202eevil\x9b1m, line" + "\n\tnext é 漢"
    say(hostile)
    assert capsys.readouterr().err == shown + "\n"


def test_the_secret_of_an_address_is_hidden_in_every_form_from_then_on():
    remember_secrets("simplecache::s3://someone:p%40ss w0rd/And+more@host/home?sig=Zm9vYmFyYmF6cXV4MTIz")
    said = "bad 'p@ss w0rd/And+more', p%40ss%20w0rd%2FAnd%2Bmore, someone:p%40ss w0rd/And+more or Zm9vYmFyYmF6cXV4MTIz in /home/someone"
    assert without_secrets(said) == "bad '…', …, … or … in /home/someone"


def test_the_values_of_secret_variables_are_hidden_and_those_of_others_are_not(monkeypatch):
    for name, value in {
        "SOME_API_KEY": "0123-abcd-efgh", "SOME_TOKEN": "short", "SOME_TOKEN_PATH": "/home/me/token",
        "MAX_TOKENS": "12345678x", "SOME_PROXY": "http://me:battery@proxy:1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    said = "0123-abcd-efgh short /home/me/token 12345678x battery"
    assert without_secrets(said) == "… short /home/me/token 12345678x …"


def test_an_error_of_ours_and_its_cause_hold_no_secret():
    error = ValueError("no")
    error.__cause__ = OSError("GET https://u:secretpw@h/x")
    assert cause_without_secrets(error) is None
    assert cause_without_secrets(plain := ValueError("no")) is plain
    assert str(StorageError("no s3://K:SECRET@b")) == "no s3://…@b"


def test_a_record_hides_secrets_in_its_texts_and_keeps_what_is_compared(tmp_path):
    record = RunRecord(
        key="k", task="sst2", task_kind="classification", method="lora", seed=1, base_model="https://u:pw@h/m", base_digest="d",
        weights_digest="w", hyperparameters={"lr": 0.1}, class_labels=["https://a/b?c", "x"], data_source="s3://K:S@b/rows.csv",
        data_fingerprint="f", n_train=1, n_validation=1, metrics={}, versions={}, device="cpu", started="", wall_time_s=0.0,
        peak_memory_bytes=None,
    )  # fmt: skip
    record.write(tmp_path / "run.json")
    found = RunRecord.read(tmp_path / "run.json")
    assert found == record.without_secrets()
    assert (found.base_model, found.data_source) == ("https://…@h/m", "s3://…@b/rows.csv")
    assert found.class_labels == record.class_labels


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1", "-x", "@SUM(A1)", "\t=1", "  =1", "'=1", "''=1", "＝1", "'quoted'", "plain", "", "1-2", "'"]
)
def test_a_cell_is_text_and_can_be_read_back(cell):
    shown = for_spreadsheet(cell)
    assert from_spreadsheet(shown) == cell
    assert shown[:1] not in ("=", "+", "-", "@", "\t", "＝")
    assert not shown.startswith(" ")


def test_numbers_of_a_table_stay_numbers(tmp_path):
    table = pd.DataFrame(
        {"method": ["=1", "lora"], "drift": [-0.5, None], "n": pd.array([1, None], "Int64"), "note": [None, "-a,b"]}
    )
    text = csv_text(table)
    assert text == "method,drift,n,note\n'=1,-0.5,1,\nlora,,,\"'-a,b\"\n"
    (tmp_path / "t.csv").write_text(text)
    assert texts_read_back(pd.read_csv(tmp_path / "t.csv"))["method"].tolist() == ["=1", "lora"]


def test_json_for_a_terminal_holds_codes_and_no_secret():
    text = json_text({"name": "a\x1b\x7f\u202e\ud800é", "at": "https://u:pw@h"})
    assert text.isascii()
    assert text.isprintable() or set(text) - {"\n"} <= set(map(chr, range(32, 127)))
    assert json.loads(text) == {"name": "a\x1b\x7f\u202e\ud800é", "at": "https://…@h"}
