import pytest

from repdrift.core.errors import RepdriftError, StorageError
from repdrift.core.progress import say
from repdrift.core.shown_text import for_terminal, without_secrets
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
        ("is it there? a@b.c says no", "is it there? a@b.c says no"),
        ("token hf_abcdefghijklmnopqrst refused", "token hf_… refused"),
        ("key AKIAABCDEFGHIJKLMNOP refused", "key AKIA… refused"),
    ],
)
def test_secrets_are_left_out_and_nothing_else(text, shown):
    assert without_secrets(text) == shown
    assert without_secrets(shown) == shown


def test_progress_and_addresses_of_stores_show_no_secret(capsys):
    say("sending to s3://KEY:SECRET@bucket/x")
    assert capsys.readouterr().err == "sending to s3://…@bucket/x\n"
    remote = open_remote("memory://KEY:SECRET@nowhere/at/all")
    with pytest.raises(RepdriftError) as caught:
        remote.names()
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
