"""Commands that are operations of the control plane, on real clusters."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mcp_server.cli.commands import main


@pytest.fixture
def borealis(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, state_dir: Path
) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.setenv("BOREALIS_STATE_DIR", str(state_dir / "operations"))
    monkeypatch.setenv("COLUMNS", "200")
    before = signal.getsignal(signal.SIGTERM)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        signal.signal(signal.SIGTERM, before)
        captured = capfd.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


def test_what_happened_and_which_instances_there_are(borealis: Any) -> None:
    assert borealis("events") == (0, "", "there are none\n")
    assert borealis("instances", "--json") == (0, "[]\n", "")
    assert borealis("create", "watched", "--database", "app", "--master-user", "captain")[0] == 0
    assert (
        borealis("modify", "watched", "--reset-settings", "--storage-type", "aurora-iopt1")[0] == 0
    )

    status, out, _ = borealis("instances", "--cluster", "watched", "--json")
    (writer,) = json.loads(out)
    assert (status, writer["db_instance_identifier"]) == (0, "watched-instance-1")
    assert writer["is_cluster_writer"] is True
    assert "watched-instance-1" in borealis("instances", "watched-instance-1")[1]
    status, _, err = borealis("instances", "watched-instance-9")
    assert status == 1
    assert "did you mean 'watched-instance-1'? borealis instances lists all of them" in err

    status, out, _ = borealis("events", "watched")
    assert status == 0
    assert "configuration change" in out
    assert "were reset" in json.loads(borealis("events", "watched", "--json")[1])[0]["message"]

    described = json.loads(borealis("describe", "watched", "--json")[1])
    assert described["storage_type"] == "aurora-iopt1"
    assert (described["database"], described["master_username"]) == ("app", "captain")

    status, _, err = borealis("lose-compute", "watched")
    assert status == 0
    assert "watched" in err
    assert "42" in borealis("psql", "watched", "-c", "select 42")[1]

    status, _, err = borealis("delete", "watched", "--yes", "--no-skip-final-snapshot")
    assert status == 1
    assert "takes none" in err
    assert borealis("delete", "watched", "--yes")[0] == 0


def test_a_password_stands_in_a_file(borealis: Any, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("correct-horse\n", encoding="utf-8")
    assert borealis("create", "plain", "--no-express", "--password-file", str(password))[0] == 0
    assert borealis("delete", "plain", "--yes")[0] == 0

    status, _, err = borealis("create", "plain", "--no-express")
    assert status == 1
    assert err.endswith("needs --password-file\n")
    password.write_text("short", encoding="utf-8")
    status, _, err = borealis("create", "plain", "--password-file", str(password))
    assert status == 1
    assert err == "error: --password-file must have 8 to 128 characters\n"
    status, _, err = borealis("create", "plain", "--password-file", str(tmp_path))
    assert status == 1
    assert err.startswith(f"error: cannot read {tmp_path} for --password-file")
    assert borealis("create", "plain", "--password", "correct-horse")[0] == 2
    assert json.loads(borealis("list", "--json")[1])["clusters"] == []
