"""One postmaster: started, watched and ended by this process.

It runs inside walls (`walls`), which its child process puts up before it becomes PostgreSQL, and
it dies with its parent. Linux delivers SIGQUIT (immediate shutdown) to it when the thread that made
it ends, so every one is made by a thread that lives as long as the process; elsewhere a watchdog
that reads from a pipe of ours does the same when the pipe closes.
"""

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

import psycopg
from psycopg.rows import TupleRow

from cluster_runtime.engine import children
from cluster_runtime.engine.access.instance_facts import FACTS_FILE
from cluster_runtime.engine.access.private_socket import private_conninfo
from cluster_runtime.engine.access.roles import SUPERUSER
from cluster_runtime.engine.installation import Installation
from cluster_runtime.engine.sandbox.confinement import (
    confinement,
    host_is_in_passwd,
    passwd_version,
)
from cluster_runtime.engine.sandbox.os_user import OsUser
from cluster_runtime.engine.sandbox.walls import Premises, Walls
from cluster_runtime.engine.settings import Settings, render_settings
from cluster_runtime.engine.system.files import (
    open_plain,
    remove_file,
    take_over,
    write_atomically,
)
from cluster_runtime.engine.system.processes import children_of, kill_quietly, wait_until_gone
from cluster_runtime.engine.system.resources import used_up
from cluster_runtime.engine.system.shared_memory import POLL_S, remove_left_behind
from cluster_runtime.errors import EngineError
from cluster_runtime.logs import get_logger

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 60.0
PROMOTE_EVERY_S = 0.1
RUNTIME_SETTINGS_FILE = "runtime.conf"

PROMOTE_MARK = "borealis.promote"
"""A file in a standby's data directory that is to begin a timeline of its own once it has replayed
what lies there. (Archive recovery would do so by itself, and needs a shell for `restore_command`.)
"""

_STATUS_LINE = 7
_PID_FILE_BYTES = 4096
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
    spawned: called with the process id of each postmaster before it has any child.
    """

    def __init__(
        self,
        installation: Installation,
        user: OsUser,
        data_directory: Path,
        socket_directory: Path,
        log_file: Path,
        spawned: Callable[[int], None] | None = None,
    ) -> None:
        self.installation = installation
        self.user = user
        self.data_directory = data_directory
        self.socket_directory = socket_directory
        self.log_file = log_file
        self._spawned = spawned
        self.walls: Walls | None = None
        """What stands around it since its last start."""
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._passwd: tuple[int, int] | None = None
        self._log_from = 0

    @property
    def pid(self) -> int | None:
        """The process id; None while it does not run."""
        return self._process.pid if self.running and self._process else None

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def outdated(self) -> bool:
        """Whether it runs, and lost its way to /etc/passwd: an administrator replaced that file.

        Its walls are tied to the old one, so it can name nobody at its socket; the next start can.
        """
        walled = self.walls is not None and self.walls.files
        return walled and self.running and self._passwd != passwd_version()

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
        if self._process is not None:
            self._reap(self._process)
        self.user.make_private_directory(self.socket_directory)
        if not self.adopt():
            raise EngineError(
                f"{self.data_directory} holds links, pipes or shared files, which PostgreSQL does "
                "not make; remove it, and it is rebuilt from the volume"
            )
        self.write_settings(settings)
        self.clear_leftovers()
        # A standby follows the log through the WAL service's socket; nobody else dials any.
        dials = "primary_conninfo" in settings
        self._process = _spawner().submit(self._spawn, dials).result()
        if not _dies_with_its_parent():
            self._watchdog = self._spawn_watchdog(self._process.pid)
        if until:
            try:
                self.wait_for(until, timeout)
            except BaseException:
                self.kill()
                raise

    def adopt(self) -> bool:
        """Give the data directory to this postmaster's user, where another one had it.

        False where it cannot be told what is in there: then it must not be started, but made new.
        """
        owner = self.data_directory.lstat().st_uid
        return not self.user.drops or owner == self.user.uid or self._take_over()

    def _take_over(self) -> bool:
        taken = take_over(self.data_directory, self.user)
        if taken:
            _log.info("data directory changed hands", directory=str(self.data_directory))
        return taken

    def clear_leftovers(self) -> None:
        """Remove what a killed postmaster over this directory left: locks, shared memory.

        Whoever took it over may have left anything there, and keeps nobody from the next start.
        """
        if not self.user.drops and self.data_directory.is_dir():
            self.data_directory.chmod(0o700)
        lines = self._pid_file()
        if lines and lines[0].isdecimal():
            remove_left_behind(int(lines[0]), self.user.uid)
        remove_file(self.data_directory / "postmaster.pid")
        # Of another user, it could not remove these itself.
        for path in self.socket_directory.glob(".s.PGSQL.*"):
            remove_file(path)

    def write_settings(self, settings: Settings) -> None:
        """Write the settings that the next start or reload reads."""
        own: Settings = {
            "unix_socket_directories": str(self.socket_directory),
            # Within its own directory: /dev/shm is everybody's.
            "dynamic_shared_memory_type": "mmap",
        }
        path = self.data_directory / RUNTIME_SETTINGS_FILE
        write_atomically(path, render_settings({**own, **settings}), self.user)

    def write_facts(self, facts: str) -> None:
        """Write what the server tells its clients of itself, from their next statement on."""
        write_atomically(self.data_directory / FACTS_FILE, facts, self.user)

    def reload(self) -> None:
        """Make the running server read its settings again (SIGHUP)."""
        if self._process is not None and self.running:
            self._process.send_signal(signal.SIGHUP)

    def wait_for(self, states: frozenset[str], timeout: float = START_TIMEOUT_S) -> None:
        """Block until postmaster.pid names one of `states`."""
        deadline = time.monotonic() + timeout
        promote = self.data_directory / PROMOTE_MARK
        promotes, asked_at = promote.exists(), 0.0
        while (status := self.status()) not in states:
            if promotes and status is not None and time.monotonic() > asked_at + PROMOTE_EVERY_S:
                self.promote()
                asked_at = time.monotonic()
            process = self._process
            if process is None or process.poll() is not None:
                code = None
                if process is not None:
                    code = process.returncode
                    self._reap(process)
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
        if promotes:
            promote.unlink()

    def promote(self) -> None:
        """Ask a standby to go on by itself once it has replayed all (as `pg_ctl promote` asks)."""
        write_atomically(self.data_directory / "promote", "", self.user)
        assert self._process is not None, "wait_for() before start()"
        self._process.send_signal(signal.SIGUSR1)

    def status(self) -> str | None:
        """What the server says of itself in postmaster.pid: starting, ready, standby, stopping."""
        lines = self._pid_file()
        return lines[_STATUS_LINE].strip() if len(lines) > _STATUS_LINE else None

    def _pid_file(self) -> list[str]:
        try:
            with open(open_plain(self.data_directory / "postmaster.pid"), "rb") as file:
                return file.read(_PID_FILE_BYTES).decode(errors="replace").splitlines()
        except OSError:  # none, or something else in its place
            return []

    def stop(self, mode: Shutdown = Shutdown.FAST, timeout: float = STOP_TIMEOUT_S) -> bool:
        """End the server and wait for it. Returns whether it ended cleanly (exit code 0).

        One that does not end in time is made to: immediate shutdown, then SIGKILL.
        """
        process = self._process
        if process is None:
            return True
        code = process.poll()
        for sign, patience in ((mode.value, timeout), (signal.SIGQUIT, 10.0)):
            if code is not None:
                break
            process.send_signal(sign)
            try:
                code = process.wait(patience)
            except subprocess.TimeoutExpired:
                _log.warning("postmaster is slow to end", pid=process.pid, signal=sign)
        if code is None:
            self.kill()
        self._reap(process)
        return code == 0

    def kill(self) -> None:
        """End it as a crash would: SIGKILL, also to its children; return when all are gone."""
        process = self._process
        if process is None:
            return
        family = children_of(process.pid)
        process.kill()
        process.wait()
        for child in family:
            kill_quietly(child)
        wait_until_gone(family, 10)
        self._reap(process)

    def wait(self) -> int:
        """Block until the server ends by itself; return its exit code."""
        assert self._process is not None, "wait() before start()"
        return self._process.wait()

    def log_tail(self) -> str:
        """The last lines that it wrote since it was started, for errors; empty without one."""
        try:
            with self.log_file.open(encoding="utf-8", errors="replace") as log:
                log.seek(self._log_from)
                lines = log.read().splitlines()
        except FileNotFoundError:
            return "(no log)"
        return "\n".join(lines[-_LOG_TAIL_LINES:])

    def _spawn(self, dials: bool) -> subprocess.Popen[bytes]:
        user = self.user.standby if dials else self.user
        program = self.installation.program("postgres")
        premises = Premises(
            program,
            self.installation.loader,
            self.installation.folders,
            self.data_directory,
            self.socket_directory,
            host_is_in_passwd(),
        )
        self._passwd = passwd_version()
        log = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._log_from = os.fstat(log).st_size
            # The server writes through its standard error, and needs no right to the file.
            os.fchown(log, os.geteuid(), os.getegid())
            dies = _dies_with_its_parent()
            with confinement(premises, user, dials=dials, dies_with_parent=dies) as confined:
                process = children.start(
                    [program, "-D", self.data_directory],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=engine_environment(),
                    preexec_fn=confined.enter if confined.acts else None,
                    **as_user(user),
                )
        except subprocess.SubprocessError as error:
            raise EngineError(
                f"PostgreSQL over {self.data_directory} was not started, for a wall around it "
                f"could not be put up; its log ends:\n{self.log_tail()}"
            ) from error
        except OSError as error:
            if (known := used_up(error, starting=True)) is not None:
                raise known from error
            raise EngineError(
                f"{program} could not be started inside the walls: {error.strerror}; "
                "borealis doctor says more"
            ) from error
        finally:
            os.close(log)
        self.walls = confined.walls
        if self._spawned is not None:
            self._spawned(process.pid)
        return process

    def _spawn_watchdog(self, pid: int) -> subprocess.Popen[bytes]:
        return children.start(
            ["/bin/sh", "-c", _WATCHDOG, "watchdog", str(pid)],
            stdin=subprocess.PIPE,
            **as_user(self.user),
        )

    def _reap(self, process: subprocess.Popen[bytes]) -> None:
        """Forget a process that has ended, and remove what it could not remove itself."""
        remove_left_behind(process.pid, self.user.uid)
        if self._process is not process:
            return  # whoever waits for the end of one does not end the next
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
    conninfo = private_conninfo(
        postmaster.socket_directory, SUPERUSER, dbname, application_name="borealis"
    )
    return psycopg.connect(conninfo, autocommit=True)


def engine_environment() -> dict[str, str]:
    """The environment of PostgreSQL's programs: nothing of the host's own, which may hold keys."""
    kept = {name: value for name, value in os.environ.items() if name.startswith("BOREALIS_TEST")}
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", **kept}


def as_user(user: OsUser) -> dict[str, Any]:
    """The keyword arguments of `subprocess` that make the child run as `user`."""
    if not user.drops:
        return {}
    return {"user": user.uid, "group": user.gid, "extra_groups": []}


@cache
def _dies_with_its_parent() -> bool:
    return sys.platform == "linux"


_spawner_lock = threading.Lock()
_spawners: dict[int, ThreadPoolExecutor] = {}


def _spawner() -> ThreadPoolExecutor:
    """The one thread that makes postmasters; never shut down before the process ends."""
    with _spawner_lock:
        return _spawners.setdefault(
            os.getpid(), ThreadPoolExecutor(1, thread_name_prefix="borealis-spawner")
        )
