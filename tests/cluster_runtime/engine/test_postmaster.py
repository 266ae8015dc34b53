"""Postmasters: private, unprivileged, and never left behind."""

import ctypes
import functools
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from cluster_runtime.engine import postmaster as module
from cluster_runtime.engine.postmaster import Postmaster, Shutdown
from cluster_runtime.engine.system.processes import end_orphans, wait_until_gone
from cluster_runtime.errors import EngineError


def test_it_listens_only_on_a_socket_in_a_private_directory(stopped: Postmaster) -> None:
    stopped.start({})
    try:
        process = psutil.Process(stopped.pid)
        listening = [c for c in process.net_connections(kind="inet") if c.status == "LISTEN"]
        assert listening == []
        assert stat.S_IMODE(stopped.socket_directory.stat().st_mode) == 0o700
        assert process.uids().effective == stopped.user.uid != 0
    finally:
        stopped.stop(Shutdown.IMMEDIATE)


def test_its_environment_holds_nothing_of_the_hosts(
    stopped: Postmaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-host")
    stopped.start({})
    try:
        assert "of-the-host" not in psutil.Process(stopped.pid).environ().values()
    finally:
        stopped.stop(Shutdown.IMMEDIATE)


def test_a_server_that_cannot_start_is_reported_with_its_log(stopped: Postmaster) -> None:
    with pytest.raises(EngineError, match="unrecognized configuration parameter"):
        stopped.start({"no_such_setting": 1})
    assert not stopped.running


HOST = """
import sys
from pathlib import Path
from cluster_runtime.engine import postmaster as module
from cluster_runtime.engine.installation import Installation
from cluster_runtime.engine.sandbox.os_user import engine_user
prefix, folder, watchdog = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "watchdog"
if watchdog:
    module._dies_with_its_parent = lambda: False
server = module.Postmaster(
    Installation("path", prefix, (prefix,)), engine_user(), folder / "data", folder / "s",
    folder / "log")
server.start({})
print(server.pid, flush=True)
sys.stdin.read()
server.kill()
"""


@pytest.mark.parametrize(
    "way",
    [
        pytest.param(
            "pdeathsig",
            marks=pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's"),
        ),
        "watchdog",
    ],
)
def test_it_dies_with_its_host(stopped: Postmaster, engine_dir: Path, way: str) -> None:
    argv = [sys.executable, "-c", HOST, stopped.installation.prefix, engine_dir, way]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        server = psutil.Process(int(host.stdout.readline()))
        host.send_signal(signal.SIGKILL)
        assert wait_until_gone([server], 60) == []


def test_orphans_are_found_by_their_data_directory_and_ended(
    stopped: Postmaster, engine_dir: Path
) -> None:
    stopped.start({})
    pid = stopped.pid
    assert end_orphans(engine_dir / "elsewhere") == []
    assert stopped.running
    (engine_dir / "link").symlink_to(engine_dir)
    assert pid in end_orphans(engine_dir / "link")
    assert not stopped.running


@pytest.fixture
def nobody_reaps() -> Iterator[None]:
    """Orphans become children of this process, which leaves them zombies: a pid 1 that never reaps.

    Source: prctl(2), PR_SET_CHILD_SUBREAPER.
    """
    subreaper = functools.partial(ctypes.CDLL(None).prctl, 36)
    assert subreaper(1) == 0
    yield
    assert subreaper(0) == 0
    for process in psutil.Process().children():
        if process.status() == psutil.STATUS_ZOMBIE:
            os.waitpid(process.pid, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="prctl is Linux's")
@pytest.mark.usefixtures("nobody_reaps")
def test_a_kill_waits_for_processes_to_end_not_for_somebody_to_reap_them(
    stopped: Postmaster, engine_dir: Path
) -> None:
    argv = [sys.executable, "-c", HOST, stopped.installation.prefix, engine_dir, "pdeathsig"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        family = psutil.Process(int(host.stdout.readline())).children(recursive=True)
        host.communicate(timeout=8)
    assert {process.status() for process in family} == {psutil.STATUS_ZOMBIE}


def test_settings_with_a_line_break_are_refused(stopped: Postmaster) -> None:
    with pytest.raises(module.EngineError.__mro__[1], match="cannot hold"):
        stopped.start({"log_line_prefix": "x\nfsync = off"})


def test_a_failed_statement_leaves_no_password_in_the_log(stopped: Postmaster) -> None:
    stopped.start({})
    try:
        with (
            module.superuser_connection(stopped) as conn,
            pytest.raises(psycopg.errors.UndefinedObject),
        ):
            conn.execute("alter role nobody_here password 'hunter2-hunter2'")
    finally:
        stopped.stop()
    log = stopped.log_file.read_text()
    assert 'role "nobody_here" does not exist' in log
    assert "hunter2" not in log


def test_the_log_is_for_its_owner_only(stopped: Postmaster) -> None:
    stopped.start({})
    stopped.stop()
    assert stat.S_IMODE(os.stat(stopped.log_file).st_mode) == 0o600
