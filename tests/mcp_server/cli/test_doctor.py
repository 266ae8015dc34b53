"""`borealis doctor` says what it saw, and fails where something does not work."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cluster_runtime import Runtime
from cluster_runtime.engine import diagnosis
from cluster_runtime.engine.diagnosis import Finding, Verdict, disk, kernel, state_directory, walls
from cluster_runtime.engine.sandbox.confinement import this_kernel
from cluster_runtime.engine.sandbox.walls import Kernel, walls_of
from cluster_runtime.engine.trial import Attempt
from cluster_runtime.errors import EngineNotFoundError
from mcp_server.cli.commands import app

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
