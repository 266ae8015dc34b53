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
REFRESH = OrderedDict(digest=Grant("editor", ("borealis",), "family", 2000.0, used=True))


def test_what_was_written_is_read_again_by_its_issuer_alone(tmp_path: Path) -> None:
    file = tmp_path / "clients"
    Kept(file, "http://127.0.0.1:1").write(CLIENTS, REFRESH)
    Kept(file, "http://127.0.0.1:2").write(OrderedDict(), OrderedDict())
    assert Kept(file, "http://127.0.0.1:1").read() == (CLIENTS, REFRESH)
    assert Kept(file, "http://127.0.0.1:2").read() == ({}, {})
    assert Kept(file, "http://127.0.0.1:3").read() == ({}, {})
    assert {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()} == {0o600}


def test_servers_that_write_at_once_keep_what_is_the_others(tmp_path: Path) -> None:
    kept = [Kept(tmp_path / "clients", f"http://127.0.0.1:{port}") for port in range(8)]
    writing = [threading.Thread(target=each.write, args=(CLIENTS, REFRESH)) for each in kept]
    for each in writing:
        each.start()
    for each in writing:
        each.join()
    assert [each.read() for each in kept] == [(CLIENTS, REFRESH)] * 8


def test_servers_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    for port in range(ISSUERS_MAX + 3):
        Kept(tmp_path / "clients", f"http://127.0.0.1:{port}").write(CLIENTS, REFRESH)
    assert len(json.loads((tmp_path / "clients").read_text())["issuers"]) == ISSUERS_MAX
    assert Kept(tmp_path / "clients", "http://127.0.0.1:0").read() == ({}, {})


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
        Kept(file, "http://a").read()


def test_a_file_that_others_may_write_is_not_believed(tmp_path: Path) -> None:
    file = tmp_path / "clients"
    Kept(file, "http://a").write(CLIENTS, REFRESH)
    file.chmod(0o660)
    with pytest.raises(ScopeError, match="chmod 600"):
        Kept(file, "http://a").read()
    file.chmod(0o600)
    (tmp_path / "link").symlink_to(file)
    with pytest.raises(ScopeError, match="cannot read"):
        Kept(tmp_path / "link", "http://a").read()
