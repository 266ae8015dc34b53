"""What the local authorization server keeps over a restart."""

import json
import stat
import threading
from collections import OrderedDict
from pathlib import Path

import pytest
from mcp.shared.auth import OAuthClientInformationFull

from mcp_server.access.grants import Grant
from mcp_server.access.kept import ISSUERS_MAX, Kept
from mcp_server.errors import ScopeError

CLIENTS = OrderedDict(
    editor=OAuthClientInformationFull(
        client_id="editor", redirect_uris=["http://127.0.0.1:1/cb"], client_secret="s3cret"
    )
)
PASSPHRASE = "correct-horse-battery-staple"
REFRESH = OrderedDict(digest=Grant("editor", ("borealis",), "family", 2000.0, used=True))


def kept_at(file: Path, issuer: str, passphrase: str = PASSPHRASE) -> Kept:
    return Kept(file, issuer, passphrase)


def test_what_was_written_is_read_again_by_its_issuer_alone(tmp_path: Path) -> None:
    file = tmp_path / "clients"
    kept_at(file, "http://127.0.0.1:1").write(CLIENTS, REFRESH)
    kept_at(file, "http://127.0.0.1:2").write(OrderedDict(), OrderedDict())
    assert kept_at(file, "http://127.0.0.1:1").opened() == (CLIENTS, REFRESH)
    assert kept_at(file, "http://127.0.0.1:2").opened() == ({}, {})
    assert kept_at(file, "http://127.0.0.1:3").opened() == ({}, {})
    assert {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()} == {0o600}


def test_servers_that_write_at_once_keep_what_is_the_others(tmp_path: Path) -> None:
    kept = [kept_at(tmp_path / "clients", f"http://127.0.0.1:{port}") for port in range(8)]
    writing = [threading.Thread(target=each.write, args=(CLIENTS, REFRESH)) for each in kept]
    for each in writing:
        each.start()
    for each in writing:
        each.join()
    assert [each.opened() for each in kept] == [(CLIENTS, REFRESH)] * 8


def test_servers_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    for port in range(ISSUERS_MAX + 3):
        kept_at(tmp_path / "clients", f"http://127.0.0.1:{port}").write(CLIENTS, REFRESH)
    assert len(json.loads((tmp_path / "clients").read_text())["issuers"]) == ISSUERS_MAX
    assert kept_at(tmp_path / "clients", "http://127.0.0.1:0").opened() == ({}, {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot read"),
        ("[]", "damaged"),
        ('{"format": 2}', "another release"),
        ('{"format": 1}', "damaged"),
        ('{"format": 1, "issuers": {"http://a": {}}}', "damaged"),
        ('{"format": 1, "issuers": {"http://a": {"clients": [{}], "refresh": []}}}', "damaged"),
        ('{"format": 1, "issuers": {"http://a": {"clients": [], "refresh": [[1]]}}}', "damaged"),
    ],
)
def test_a_file_that_is_not_ours_is_not_believed(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "clients"
    file.touch(0o600)
    file.write_text(text)
    with pytest.raises(ScopeError, match=said):
        kept_at(file, "http://a").opened()


def test_a_file_that_others_may_write_is_not_believed(tmp_path: Path) -> None:
    file = tmp_path / "clients"
    kept_at(file, "http://a").write(CLIENTS, REFRESH)
    file.chmod(0o660)
    with pytest.raises(ScopeError, match="chmod 600"):
        kept_at(file, "http://a").opened()
    file.chmod(0o600)
    (tmp_path / "link").symlink_to(file)
    with pytest.raises(ScopeError, match="cannot read"):
        kept_at(tmp_path / "link", "http://a").opened()


def test_another_pass_phrase_ends_what_the_former_one_allowed_for_good(tmp_path: Path) -> None:
    file = tmp_path / "clients"
    kept_at(file, "http://a").write(CLIENTS, REFRESH)
    kept_at(file, "http://b", "another-pass-phrase").write(CLIENTS, REFRESH)
    assert kept_at(file, "http://a", "another-pass-phrase").opened() == (CLIENTS, {})
    assert kept_at(file, "http://a").opened() == (CLIENTS, {})
    assert kept_at(file, "http://b", "another-pass-phrase").opened() == (CLIENTS, REFRESH)
    assert PASSPHRASE not in file.read_text() + repr(kept_at(file, "http://a"))


def test_what_an_earlier_release_kept_is_believed_until_the_pass_phrase_changes(
    tmp_path: Path,
) -> None:
    file = tmp_path / "clients"
    kept_at(file, "http://a").write(CLIENTS, REFRESH)
    told = json.loads(file.read_text())
    del told["issuers"]["http://a"]["passphrase"]
    file.write_text(json.dumps(told))
    assert kept_at(file, "http://a").opened() == (CLIENTS, REFRESH)
    assert kept_at(file, "http://a", "another-pass-phrase").opened() == (CLIENTS, {})


def test_what_cannot_be_written_leaves_nothing_and_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "clients"
    kept_at(file, "http://a").write(CLIENTS, REFRESH)
    files = {each.name for each in tmp_path.iterdir()}
    unwritable = OrderedDict(digest=Grant("editor", ({1},), "family", 2000.0))
    with pytest.raises(TypeError):
        kept_at(file, "http://a").write(CLIENTS, unwritable)
    assert {each.name for each in tmp_path.iterdir()} == files
    assert kept_at(file, "http://a").opened() == (CLIENTS, REFRESH)
