"""`borealis doctor` says what it saw, and fails where something does not work."""

import json
import os
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cluster_runtime import Runtime
from cluster_runtime.engine import diagnosis, place
from cluster_runtime.engine.diagnosis import Finding, Verdict, disk, kernel, state_directory, walls
from cluster_runtime.engine.sandbox.confinement import this_kernel
from cluster_runtime.engine.sandbox.walls import Kernel, walls_of
from cluster_runtime.engine.trial import Attempt
from cluster_runtime.errors import EngineNotFoundError
from mcp_server.cli.clients.known import known
from mcp_server.cli.commands import app
from mcp_server.cli.machine import surroundings
from mcp_server.errors import MODULES
from tests.waiting import wait_until

FULL = walls_of(Kernel(7, "", True), "own", dials=False)
BARE = walls_of(Kernel(0, "no Landlock", False, "no filter"), "host", dials=False)


def test_it_tries_the_walls_of_this_machine(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["doctor", "--json", "--state-dir", str(tmp_path / "none")])
    assert done.exit_code == 0, done.output
    found = {each["subject"]: each for each in json.loads(done.stdout)}
    assert "PostgreSQL" in found["engine"]["says"]
    assert "GiB free" in found["disk"]["says"]
    assert not (tmp_path / "none").exists()
    if this_kernel().landlock_abi:
        assert found["wall: files"]["verdict"] == "ok"
        assert "refused" in found["wall: programs"]["says"]
    assert sum(subject.startswith("wall: ") for subject in found) == 4


def test_a_table_for_people(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["doctor", "--state-dir", str(tmp_path)])
    assert done.exit_code == 0
    assert "landlock" in done.stdout
    assert "versions" in done.stdout


def test_it_looks_at_a_directory_that_is_hosted(shared_state: Path) -> None:
    with Runtime.open(shared_state, warm_pool_size=0):
        assert f"hosted by process {os.getpid()}" in state_directory(shared_state).says
    assert "hosted by nobody" in state_directory(shared_state).says


@pytest.fixture
def shared_state(engine_dir: Path) -> Path:
    return engine_dir / "state"


def test_an_engine_that_is_missing_is_a_fault_and_the_rest_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise EngineNotFoundError("no PostgreSQL is installed for this Python")

    monkeypatch.setattr(diagnosis, "find_installation", missing)
    done = CliRunner().invoke(app, ["doctor", "--json", "--state-dir", str(tmp_path)])
    assert done.exit_code == 1
    found = {each["subject"]: each for each in json.loads(done.stdout)}
    assert found["engine"]["verdict"] == "fault"
    assert "no PostgreSQL" in found["engine"]["says"]
    assert "disk" in found


@pytest.mark.parametrize(
    ("standing", "got_out", "verdict"),
    [
        (FULL, False, Verdict.OK),
        (FULL, True, Verdict.FAULT),
        (FULL, None, Verdict.WARNING),
        (BARE, True, Verdict.WARNING),
        (BARE, False, Verdict.OK),
    ],
)
def test_a_wall_that_is_reported_and_does_not_hold_is_a_fault(
    standing: walls_of, got_out: bool | None, verdict: Verdict
) -> None:
    first = next(iter(walls(standing, [Attempt("read a file", "files", got_out, "so")])))
    assert first.verdict is verdict


def test_every_gap_is_a_warning() -> None:
    said = [finding.says for finding in walls(BARE, [])]
    assert said == list(BARE.gaps)


@pytest.mark.parametrize("found", [Kernel(0, "no Landlock"), Kernel(1), Kernel(5), Kernel(7)])
def test_an_old_kernel_is_a_warning_with_advice(found: Kernel) -> None:
    landlock = next(iter(kernel(found)))
    assert (landlock.verdict is Verdict.OK) == (found.landlock_abi >= 6)
    assert bool(landlock.advice) == (found.landlock_abi < 6)


@pytest.mark.parametrize(
    ("free", "verdict"),
    [(1 << 20, Verdict.FAULT), (1 << 30, Verdict.WARNING), (1 << 40, Verdict.OK)],
)
def test_a_disk_that_is_nearly_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, verdict: Verdict
) -> None:
    usage = type("Usage", (), {"free": free, "total": 1 << 41, "used": 0})
    monkeypatch.setattr(diagnosis.shutil, "disk_usage", lambda path: usage)
    assert disk(tmp_path).verdict is verdict


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_somebody_else_is_a_fault(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    found: Finding = state_directory(tmp_path)
    assert found.verdict is Verdict.FAULT
    assert found.advice


def test_a_directory_in_memory_or_on_another_machine_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind, said in (("tmpfs", "in memory"), ("nfs4", "another machine")):
        monkeypatch.setattr(place, "file_system_of", lambda _, kind=kind: kind)
        found = diagnosis.file_system(tmp_path)
        assert (found.verdict, said in found.says) == (Verdict.WARNING, True)
        assert found.advice
    monkeypatch.undo()
    assert place.file_system_of(Path("/proc/self")) == "proc"
    assert place.file_system_of(tmp_path / "not" / "there") == place.file_system_of(tmp_path)


def test_a_flush_is_tried_in_the_state_directory_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "on disk after" in diagnosis.flush(tmp_path).says
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(place, "flush_seconds", lambda _: 0.05)
    assert diagnosis.flush(tmp_path) == Finding(
        "flush",
        Verdict.WARNING,
        "a write of 8 KiB is on disk after 50.00 ms (median)",
        "each commit waits for it: a faster disk, or less load on it, makes them faster",
    )
    assert diagnosis.flush(tmp_path / "none").verdict is Verdict.OK


def test_limits_that_are_too_low_say_what_to_do() -> None:
    assert diagnosis.descriptors(1024).verdict is Verdict.WARNING
    assert "LimitNOFILE" in diagnosis.descriptors(1024).advice
    assert diagnosis.descriptors(1 << 20).verdict is Verdict.OK
    assert diagnosis.descriptors(None).verdict is Verdict.OK
    assert diagnosis.memory(100 << 20).verdict is Verdict.WARNING
    assert diagnosis.memory(4 << 30).verdict is Verdict.OK
    assert "libnss-myhostname" in diagnosis.names(False).advice
    assert diagnosis.names(True).verdict is Verdict.OK


def test_a_psql_without_tls_is_told_from_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "none on the search path" in surroundings.psql().says
    program = tmp_path / "psql"
    program.write_text("#!/bin/sh\necho 'sslmode value \"require\" invalid' >&2\nexit 2\n")
    program.chmod(0o755)
    assert surroundings.psql().verdict is Verdict.WARNING


def test_an_extra_that_is_missing_or_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [surroundings.extra(name).verdict for name in MODULES] == [Verdict.OK] * len(MODULES)
    monkeypatch.setattr(surroundings.metadata, "version", lambda _: "1.20.0")
    old = surroundings.extra("mcp")
    assert (old.verdict, "mcp 1.20.0" in old.says) == (Verdict.WARNING, True)
    monkeypatch.setitem(surroundings.MODULES, "mcp", frozenset({"no_such_module"}))
    assert "pip install 'borealis-postgres[mcp]'" in surroundings.extra("mcp").advice


def test_a_client_that_starts_what_is_not_there_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    cursor = next(one for one in known(tmp_path, {}) if one.name == "cursor")
    assert list(surroundings.client(cursor)) == []
    cursor.file.parent.mkdir()
    cursor.file.write_text('{"mcpServers": {"b": {"command": "/gone/bin/borealis"}, "x": 1}} // c')
    (found,) = surroundings.client(cursor)
    assert found.verdict is Verdict.WARNING
    assert "/gone/bin/borealis" in found.says
    assert found.advice.endswith("borealis init cursor --name b")
    assert CliRunner().invoke(app, ["init", "cursor", "--name", "b"]).exit_code == 0
    assert [one.verdict for one in surroundings.client(cursor)] == [Verdict.OK]
    cursor.file.write_text("{")
    assert list(surroundings.client(cursor)) == []


def test_trouble_of_a_running_cluster_is_found_where_somebody_hosts(shared_state: Path) -> None:
    assert surroundings.clusters(shared_state) == []
    with Runtime.open(shared_state, warm_pool_size=0) as runtime:
        with runtime.create_db_cluster("ill").connect():
            (sound,) = surroundings.clusters(shared_state)
            assert "nothing is wrong" in sound.says
            runtime.inject_fault("ill", "az:a", "crash")
            # The writer stood in that zone: it is started again, and the cluster is busy with that.
            found = wait_until(lambda: surroundings.clusters(shared_state)[1:])[0]
            assert found.verdict is Verdict.WARNING
            assert "a1 (crash), a2 (crash)" in found.says
            assert found.advice.endswith("borealis fault heal ill")
            runtime.inject_fault("ill", "segment:b1", "crash")

            def lost() -> Finding | None:
                """The writer of the lost zone is replaced in vain meanwhile."""
                last = surroundings.clusters(shared_state)[-1]
                return last if last.verdict is Verdict.FAULT else None

            found = wait_until(lost)
            assert found.subject == "cluster: ill"
            assert "write quorum" in found.says
            runtime.heal_fault("ill")
        runtime.pause_db_cluster("ill")
        (asleep,) = surroundings.clusters(shared_state)
        assert asleep.verdict is Verdict.OK
        assert runtime.cluster("ill").describe().paused


@pytest.mark.parametrize(
    ("missing", "addresses", "verdict"),
    [
        ("", ["::1", "127.0.0.1"], Verdict.OK),
        ("Cannot assign requested address", ["127.0.0.1"], Verdict.OK),
        ("Cannot assign requested address", [], Verdict.OK),
        ("Cannot assign requested address", ["::1", "127.0.0.1"], Verdict.WARNING),
    ],
)
def test_names_that_lead_to_an_address_nobody_listens_on_are_a_warning(
    missing: str, addresses: list[str], verdict: Verdict
) -> None:
    found = diagnosis.ipv6(missing, addresses)
    assert found.verdict is verdict
    assert missing in found.says
    assert bool(found.advice) == (verdict is Verdict.WARNING)


def test_ipv6_is_looked_for_here() -> None:
    missing = place.ipv6_loopback()
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            assert missing == ""
    except OSError:
        assert missing
