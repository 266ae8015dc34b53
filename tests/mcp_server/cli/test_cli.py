"""The command line, as a person uses it: one state directory, one command after the other."""

import configparser
import io
import json
import os
import plistlib
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.store.postgres import PostgresStore

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.engine.system.processes import wait_until_gone
from mcp_server.cli import shell
from mcp_server.cli.commands import main
from mcp_server.cli.serving import service_for
from memory import BorealisStore
from tests.hosts import host_of


@dataclass
class Outcome:
    status: int
    out: str
    err: str


Borealis = Callable[..., Outcome]


@pytest.fixture
def borealis(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, state_dir: Path
) -> Borealis:
    monkeypatch.setenv("BOREALIS_STATE_DIR", str(state_dir / "cli"))
    monkeypatch.setenv("COLUMNS", "200")
    before = signal.getsignal(signal.SIGTERM)

    def run(*arguments: str) -> Outcome:
        with pytest.raises(SystemExit) as exit_:
            main(list(arguments))
        signal.signal(signal.SIGTERM, before)
        captured = capfd.readouterr()
        return Outcome(exit_.value.code or 0, captured.out, captured.err)

    return run


def test_a_port_that_no_machine_has_is_wrong_usage(borealis: Borealis) -> None:
    refused = borealis("mcp", "--http", "--port", "99999")
    assert refused.status == 2
    assert "65535" in refused.err
    assert "Traceback" not in refused.err


def test_a_cluster_lives_through_every_command(borealis: Borealis) -> None:
    assert "no clusters yet" in borealis("list").err

    created = borealis("create", "life", "--auto-pause", "60")
    assert created.status == 0
    assert "life.cluster-" in created.out
    assert "after 60 s" in created.out

    assert borealis("psql", "life", "-c", "create table t as select 5 as x").status == 0
    assert "5" in borealis("psql", "life", "--reader", "-c", "select x from t").out

    (listed,) = json.loads(borealis("list", "--json").out)["clusters"]
    assert listed["cluster"] == "life"
    assert json.loads(borealis("describe", "life", "--json").out)["connection_string"] is None

    assert "paused" in borealis("pause", "life").err
    assert "borealis doctor tries them" in borealis("describe", "life").out.replace("\n", " ")
    assert "stopped" in borealis("stop", "life").err
    assert borealis("psql", "life", "-c", "select 1").status == 1
    assert "available" in borealis("start", "life").err
    assert borealis("failover", "life").status == 0
    assert "5" in borealis("psql", "life", "-c", "select x from t").out

    assert borealis("delete", "life", "--yes").status == 0
    assert "no clusters yet" in borealis("list").err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["describe", "nothing"], "no cluster"),
        (["create", "Bad Name"], "Bad Name"),
        (["create", "steps", "--max-capacity", "1.3"], "steps of 0.5"),
        (["delete", "nothing", "--yes"], "no cluster"),
    ],
)
def test_an_anticipated_error_is_one_line_and_status_1(
    borealis: Borealis, arguments: list[str], said: str
) -> None:
    outcome = borealis(*arguments)
    assert outcome.status == 1
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert said in outcome.err


@pytest.mark.parametrize(
    "arguments", [["create"], ["fly"], ["create", "x", "--auto-pause", "soon"]]
)
def test_wrong_usage_is_status_2(borealis: Borealis, arguments: list[str]) -> None:
    assert borealis(*arguments).status == 2


def test_a_setting_of_the_environment_that_is_none_is_named(
    borealis: Borealis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOREALIS_WARM_POOL", "many")
    assert (
        borealis("list").err == "error: BOREALIS_WARM_POOL is 'many'; it must be a whole number\n"
    )


def test_a_delete_asks_first(borealis: Borealis, monkeypatch: pytest.MonkeyPatch) -> None:
    borealis("create", "kept")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert borealis("delete", "kept").status == 1
    assert "kept" in borealis("list").out
    borealis("delete", "kept", "--yes")


def test_the_tables_of_langgraph_are_moved_into_those_of_agent_memory(
    borealis: Borealis, state_dir: Path
) -> None:
    borealis("create", "remember")
    with (
        Runtime.open(state_dir / "cli", warm_pool_size=0) as runtime,
        PostgresStore.from_conn_string(runtime.cluster("remember").dsn()) as theirs,
    ):
        theirs.setup()
        theirs.put(("users", "ada"), "colour", {"colour": "blue"})
    migrated = borealis("memory", "migrate", "remember")
    assert migrated.status == 0, migrated.err
    assert "1 items" in migrated.err
    assert borealis("memory", "migrate", "remember").status == 0
    with (
        Runtime.open(state_dir / "cli", warm_pool_size=0) as runtime,
        BorealisStore(runtime.cluster("remember")) as store,
    ):
        assert store.get(("users", "ada"), "colour").value == {"colour": "blue"}
    for wrong in (["--schema", "x" * 64], ["--allow", "NoModule"]):
        refused = borealis("memory", "migrate", "remember", *wrong)
        assert refused.status == 1
        assert refused.err.startswith("error: ")
    borealis("delete", "remember", "--yes")


def test_a_class_in_an_old_state_is_refused_with_the_option_that_allows_it(
    borealis: Borealis, state_dir: Path
) -> None:
    borealis("create", "typed")
    with (
        Runtime.open(state_dir / "cli", warm_pool_size=0) as runtime,
        PostgresSaver.from_conn_string(runtime.cluster("typed").dsn()) as theirs,
    ):
        theirs.setup()
        checkpoint = empty_checkpoint()
        checkpoint["channel_values"] = {"outcome": Outcome(0, "", "")}
        checkpoint["channel_versions"] = versions = {"outcome": "1"}
        config = {"configurable": {"thread_id": "one", "checkpoint_ns": ""}}
        theirs.put(config, checkpoint, {}, versions)
    refused = borealis("memory", "migrate", "typed")
    assert refused.status == 1
    assert "BorealisSaver" not in refused.err
    allow = refused.err.split("pass ")[1].split()
    assert allow == ["--allow", f"{Outcome.__module__}:Outcome"]
    assert borealis("memory", "migrate", "typed", *allow).status == 0
    borealis("delete", "typed", "--yes")


def test_a_master_who_locked_himself_out_gets_back_in(borealis: Borealis) -> None:
    borealis("create", "locked")
    slow = ("psql", "locked", "-c", "select pg_sleep(0.05)")
    for statement in (
        "alter database postgres set statement_timeout = '1ms'",
        "alter role postgres set statement_timeout = '1ms'",
    ):
        assert borealis(*slow).status == 0
        assert borealis("psql", "locked", "-c", statement).status == 0
        assert borealis(*slow).status != 0
        reset = borealis("reset-settings", "locked")
        assert reset.status == 0, reset.err
        assert "are reset" in reset.err
    assert borealis(*slow).status == 0
    assert borealis("reset-settings", "nothing").status == 1
    borealis("delete", "locked", "--yes")


def test_settings_are_changed_one_at_a_time(borealis: Borealis) -> None:
    borealis("create", "settings", "--auto-pause", "60", "--deletion-protection")
    assert borealis("delete", "settings", "--yes").status == 1
    changed = borealis("modify", "settings", "--max-capacity", "4", "--no-deletion-protection")
    assert changed.status == 0
    renamed = borealis("modify", "settings", "--rename", "renamed")
    assert "0-4 ACU" in renamed.out
    assert "after 60 s" in renamed.out
    assert borealis("delete", "renamed", "--yes").status == 0


def test_a_command_works_beside_a_program_that_hosts(
    borealis: Borealis, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOREALIS_STATE_DIR", str(state_dir / "beside"))
    with Runtime.open(state_dir / "beside", warm_pool_size=0) as runtime:
        assert borealis("create", "made-by-a-command").status == 0
        assert runtime.cluster("made-by-a-command").status == "available"
        told = json.loads(borealis("status", "--json").out)
        assert (told["facts"]["pid"], told["facts"]["kind"]) == (os.getpid(), "program")
        for refused in (["serve"], ["serve", "--replace"], ["serve", "--stop"]):
            outcome = borealis(*refused)
            assert outcome.status == 1
            assert f"hosted by process {os.getpid()}" in outcome.err


def test_a_host_in_the_background_is_seen_and_ended(
    borealis: Borealis, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOREALIS_STATE_DIR", str(state_dir / "seen"))
    unknown = borealis("status")
    assert (unknown.status, unknown.out) == (1, "")
    assert "nobody hosts here" in unknown.err
    assert borealis("serve", "--stop").err == "nobody hosts here\n"
    borealis("list")
    host = host_of(state_dir / "seen")
    assert host is not None
    told = borealis("status").out
    assert f"process {host.pid}, in the background" in told
    assert "after 15 minutes without use" in told
    assert borealis("serve", "--stop").err == f"the host, process {host.pid}, has ended\n"
    assert wait_until_gone([host], 60) == []
    assert borealis("status").status == 1


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_a_service_manager_is_told_the_command_with_its_directory(
    tmp_path: Path, platform: str
) -> None:
    directory = tmp_path / 'a 100% "odd" $name'
    service = service_for(directory, 2, platform, tmp_path)
    words = ["serve", "--replace", "--state-dir", str(directory), "--warm-pool", "2"]
    if platform == "darwin":
        assert service.file.parent == tmp_path / "Library" / "LaunchAgents"
        agent = plistlib.loads(service.content)
        assert agent["ProgramArguments"][3:] == words
        assert agent["Label"] in service.file.name
    else:
        assert service.file.parent == tmp_path / ".config" / "systemd" / "user"
        unit = configparser.ConfigParser(interpolation=None)
        unit.optionxform = str
        unit.read_string(service.content.decode())
        said = shlex.split(unit["Service"]["ExecStart"])
        assert [one.replace("%%", "%").replace("$$", "$") for one in said][3:] == words
        assert service.file.stem in service.enable
    assert service_for(Path("~/.borealis"), 1, "linux", tmp_path).file.name == "borealis.service"


def test_serve_is_installed_for_this_user(
    borealis: Borealis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    installed = borealis("serve", "--install")
    assert installed.status == 0
    (file,) = (tmp_path / ".config" / "systemd" / "user").iterdir()
    assert str(file) in installed.err.replace("\n", "")
    assert f"enable --now {file.stem}" in installed.out


def test_serve_hosts_until_it_is_told_to_end(state_dir: Path) -> None:
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mcp_server.cli", "serve", "--warm-pool", "0"),
            *("--state-dir", str(state_dir / "serve")),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    said = [process.stderr.readline(), process.stderr.readline()]
    assert any("hosting" in line for line in said)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    process.stderr.close()


def test_the_password_of_a_shell_travels_in_the_environment_only(shop: ClusterHandle) -> None:
    dsn = "postgresql://ada:s3cret@host.localhost:5433/app?hostaddr=127.0.0.1&sslmode=verify-full"
    assert shell.environment_of(dsn) == {
        "PGUSER": "ada",
        "PGPASSWORD": "s3cret",
        "PGHOST": "host.localhost",
        "PGHOSTADDR": "127.0.0.1",
        "PGPORT": "5433",
        "PGDATABASE": "app",
        "PGSSLMODE": "verify-full",
    }


def test_psql_gets_no_secret_in_its_arguments(
    shop: ClusterHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "psql"
    program.write_text('#!/bin/sh\ntest -n "$PGPASSWORD" && echo "$@" >> "$0.said"\nexit 0\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert shell.run(shop.dsn(), shell.Script(("select 1",))) == 0
    assert (tmp_path / "psql.said").read_text().strip().splitlines()[-1] == "--command select 1"


def test_the_builtin_shell_runs_statements_from_its_input(
    shop: ClusterHandle, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "sys.stdin", io.StringIO("select 1 +\n 1 as two;\nselect broken;\nselect 3")
    )
    assert shell.run(shop.dsn(), builtin=True) == 0
    captured = capsys.readouterr()
    assert "two" in captured.out
    assert "3" in captured.out
    assert 'column "broken" does not exist' in captured.err


def test_the_builtin_shell_reports_a_failed_command(
    shop: ClusterHandle, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shell.run(shop.dsn(), shell.Script(("select 1/0",)), builtin=True) == 1
    assert "division by zero" in capsys.readouterr().err
