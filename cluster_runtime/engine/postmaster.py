"""One postmaster: started, watched and ended by this process.

It is a child that dies with its parent. Linux delivers SIGQUIT (immediate shutdown) to it when
the thread that made it ends, so every one is made by a thread that lives as long as the process;
elsewhere a watchdog that reads from a pipe of ours does the same when the pipe closes.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg.rows import TupleRow

from cluster_runtime.engine.installation import Installation
from cluster_runtime.engine.os_user import OsUser
from cluster_runtime.engine.roles import SUPERUSER
from cluster_runtime.engine.settings import Settings, render_settings
from cluster_runtime.errors import EngineError
from cluster_runtime.logs import get_logger

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0
POLL_S = 0.002
RUNTIME_SETTINGS_FILE = "runtime.conf"

_PR_SET_PDEATHSIG = 1
_STATUS_LINE = 7
_WATCHDOG = 'trap "" INT TERM HUP; read -r _; kill -QUIT "$1" 2>/dev/null'
_LOG_TAIL_LINES = 8

_log = get_logger(__name__)


class Shutdown(Enum):
    """PostgreSQL's shutdown modes and the signals that ask for them."""

    SMART = signal.SIGTERM
    FAST = signal.SIGINT
    IMMEDIATE = signal.SIGQUIT


class Postmaster:
    """PostgreSQL over one data directory. Blocking calls; one caller at a time.

    data_directory: as initdb or a copy of the template left it.
    socket_directory: private to the user; the only place it listens at.
    log_file: what the server writes to standard error; appended to.
    """

    def __init__(
        self,
        installation: Installation,
        user: OsUser,
        data_directory: Path,
        socket_directory: Path,
        log_file: Path,
    ) -> None:
        self.installation = installation
        self.user = user
        self.data_directory = data_directory
        self.socket_directory = socket_directory
        self.log_file = log_file
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self.running and self._process else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(
        self,
        settings: Settings,
        *,
        until: frozenset[str] = frozenset({"ready"}),
        timeout: float = START_TIMEOUT_S,
    ) -> None:
        """Start with these settings over those of the template; return once it takes connections.

        until: the states of postmaster.pid to wait for (a hot standby that takes connections is
            `ready` too); an empty set returns at once.
        Raises EngineError, which quotes the server's log, where it ends or is too slow.
        """
        if self.running:
            raise EngineError(f"PostgreSQL over {self.data_directory} runs already")
        self.user.make_private_directory(self.socket_directory)
        self.write_settings(settings)
        (self.data_directory / "postmaster.pid").unlink(missing_ok=True)
        self._process = _spawner().submit(self._spawn).result()
        if not _dies_with_its_parent():
            self._watchdog = self._spawn_watchdog(self._process.pid)
        if until:
            self.wait_for(until, timeout)

    def write_settings(self, settings: Settings) -> None:
        """Write the settings that the next start or reload reads."""
        path = self.data_directory / RUNTIME_SETTINGS_FILE
        own = {"unix_socket_directories": str(self.socket_directory)}
        path.write_text(render_settings({**own, **settings}), encoding="utf-8")
        path.chmod(0o600)
        self.user.own(path)

    def reload(self) -> None:
        """Make the running server read its settings again (SIGHUP)."""
        if self._process is not None and self.running:
            self._process.send_signal(signal.SIGHUP)

    def wait_for(self, states: frozenset[str], timeout: float = START_TIMEOUT_S) -> None:
        """Block until postmaster.pid names one of `states`."""
        deadline = time.monotonic() + timeout
        while self.status() not in states:
            if self._process is None or self._process.poll() is not None:
                code = self._process.returncode if self._process else None
                self._reap()
                raise EngineError(
                    f"PostgreSQL over {self.data_directory} ended with code {code} before it took "
                    f"connections; its log ends:\n{self.log_tail()}"
                )
            if time.monotonic() > deadline:
                self.stop(Shutdown.IMMEDIATE)
                raise EngineError(
                    f"PostgreSQL over {self.data_directory} took no connections within "
                    f"{timeout:g} s; its log ends:\n{self.log_tail()}"
                )
            time.sleep(POLL_S)

    def status(self) -> str | None:
        """What the server says of itself in postmaster.pid: starting, ready, standby, stopping."""
        try:
            lines = (self.data_directory / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return None
        return lines[_STATUS_LINE].strip() if len(lines) > _STATUS_LINE else None

    def stop(self, mode: Shutdown = Shutdown.FAST, timeout: float = STOP_TIMEOUT_S) -> bool:
        """End the server and wait for it. Returns whether it ended cleanly (exit code 0).

        One that does not end in time is made to: immediate shutdown, then SIGKILL.
        """
        if self._process is None:
            return True
        code = self._process.poll()
        for sign, patience in ((mode.value, timeout), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10)):
            if code is not None:
                break
            self._process.send_signal(sign)
            try:
                code = self._process.wait(patience)
            except subprocess.TimeoutExpired:
                _log.warning("postmaster is slow to end", pid=self._process.pid, signal=sign)
        self._reap()
        return code == 0

    def kill(self) -> None:
        """End it as a crash would: SIGKILL, also to its children; return when all are gone."""
        if self._process is None:
            return
        family = [*_children(self._process.pid)]
        self._process.kill()
        self._process.wait()
        for child in family:
            _kill_quietly(child)
        wait_until_gone(family, 10)
        self._reap()

    def wait(self) -> int:
        """Block until the server ends by itself; return its exit code."""
        assert self._process is not None, "wait() before start()"
        return self._process.wait()

    def log_tail(self) -> str:
        try:
            lines = self.log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return "(no log)"
        return "\n".join(lines[-_LOG_TAIL_LINES:])

    def _spawn(self) -> subprocess.Popen[bytes]:
        log = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self.user.own(self.log_file)
            return subprocess.Popen(
                [self.installation.program("postgres"), "-D", self.data_directory],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=engine_environment(),
                start_new_session=True,
                preexec_fn=_die_with_parent() if _dies_with_its_parent() else None,
                **as_user(self.user),
            )
        finally:
            os.close(log)

    def _spawn_watchdog(self, pid: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["/bin/sh", "-c", _WATCHDOG, "watchdog", str(pid)],
            stdin=subprocess.PIPE,
            start_new_session=True,
            **as_user(self.user),
        )

    def _reap(self) -> None:
        self._process = None
        if self._watchdog is not None:
            self._watchdog.kill()
            self._watchdog.wait()
            if self._watchdog.stdin:
                self._watchdog.stdin.close()
            self._watchdog = None


def superuser_connection(
    postmaster: Postmaster, dbname: str = "postgres"
) -> psycopg.Connection[TupleRow]:
    """A connection of the runtime itself, as the bootstrap superuser, in autocommit mode."""
    return psycopg.connect(
        host=str(postmaster.socket_directory), user=SUPERUSER, dbname=dbname, autocommit=True
    )


def end_orphans(folder: Path) -> list[int]:
    """End every PostgreSQL whose data directory lies below `folder`; return their pids.

    For the start of a host: whatever runs there then was left behind by one that was killed.
    """
    orphans = [
        process for process in psutil.process_iter(["name", "cwd"]) if _below(process, folder)
    ]
    for process in orphans:
        try:
            process.send_signal(signal.SIGQUIT)
        except psutil.NoSuchProcess:
            continue
    alive = wait_until_gone(orphans, 5)
    for process in alive:
        _kill_quietly(process)
    wait_until_gone(alive, 5)
    return [process.pid for process in orphans]


def wait_until_gone(processes: list[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    """Wait for their end; return those that run still.

    A zombie has ended: its memory, files and locks are free. The children of a killed postmaster
    are left to pid 1, which is slow to reap them or, in many a container, never does;
    `psutil.wait_procs` would wait for that.
    """
    deadline = time.monotonic() + timeout_s
    while alive := [process for process in processes if _lives(process)]:
        if time.monotonic() > deadline:
            break
        time.sleep(POLL_S)
    return alive


def engine_environment() -> dict[str, str]:
    """The environment of PostgreSQL's programs: nothing of the host's own, which may hold keys."""
    kept = {name: value for name, value in os.environ.items() if name.startswith("BOREALIS_TEST")}
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", **kept}


def as_user(user: OsUser) -> dict[str, Any]:
    """The keyword arguments of `subprocess` that make the child run as `user`."""
    if not user.drops:
        return {}
    return {"user": user.uid, "group": user.gid, "extra_groups": []}


def _below(process: psutil.Process, folder: Path) -> bool:
    cwd, name = process.info["cwd"], process.info["name"]
    return bool(cwd and name and name.startswith("postgres") and Path(cwd).is_relative_to(folder))


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _kill_quietly(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@cache
def _dies_with_its_parent() -> bool:
    return sys.platform == "linux"


def _die_with_parent() -> Callable[[], None]:
    """What a child runs between fork and exec, after the change of user (which would undo it)."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def in_child() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGQUIT), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return in_child


_spawner_lock = threading.Lock()
_spawners: dict[int, ThreadPoolExecutor] = {}


def _spawner() -> ThreadPoolExecutor:
    """The one thread that makes postmasters; never shut down before the process ends."""
    with _spawner_lock:
        return _spawners.setdefault(
            os.getpid(), ThreadPoolExecutor(1, thread_name_prefix="borealis-spawner")
        )
