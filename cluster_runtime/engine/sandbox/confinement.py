"""What a postmaster's child process does to itself between fork and exec.

All that can be prepared is made in the parent; in the child a few system calls remain. Where the
kernel has a wall and putting it up fails, the start fails: a postmaster that lacks a wall which
`describe` reports would be worse than none.
"""

import ctypes
import os
import pwd
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

from cluster_runtime.engine import children
from cluster_runtime.engine.sandbox.landlock import (
    SYS_LANDLOCK_RESTRICT_SELF,
    landlock_abi,
    make_ruleset,
)
from cluster_runtime.engine.sandbox.libc import libc
from cluster_runtime.engine.sandbox.os_user import OsUser
from cluster_runtime.engine.sandbox.system_calls import filter_program, this_machine
from cluster_runtime.engine.sandbox.walls import (
    PASSWD,
    Kernel,
    Premises,
    Walls,
    path_rules,
    walls_of,
)

_PR_SET_PDEATHSIG, _PR_GET_SECCOMP, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 21, 22, 38
_SECCOMP_MODE_FILTER = 2
_INSTRUCTION_BYTES = 8
_STDERR = 2


class _FilterProgram(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


class Confinement:
    """The walls of one postmaster that is about to start, and what its child has to call."""

    def __init__(
        self, walls: Walls, ruleset: int | None, program: bytes | None, dies: bool
    ) -> None:
        self.walls = walls
        self._ruleset = ruleset
        self._dies = dies
        self._parent = os.getpid()
        self._filter = None
        if program is not None:
            length = len(program) // _INSTRUCTION_BYTES
            self._filter = ctypes.byref(_FilterProgram(length, program))
        if self.acts:
            self._prctl, self._syscall = libc().prctl, libc().syscall

    @property
    def acts(self) -> bool:
        """Whether the child has anything to do."""
        return self._dies or self._ruleset is not None or self._filter is not None

    def enter(self) -> None:
        """In the child, after its change of user: from here on the walls stand.

        An error says on standard error, which is the server's log, what failed; it ends the child
        before PostgreSQL runs.
        """
        children.hear_signals()
        if self._dies:
            # After the change of user, which would undo it.
            self._check(self._prctl(_PR_SET_PDEATHSIG, int(signal.SIGQUIT), 0, 0, 0), "pdeathsig")
            if os.getppid() != self._parent:
                os._exit(1)
        if self._ruleset is not None or self._filter is not None:
            self._check(self._prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
        if self._ruleset is not None:
            entered = self._syscall(SYS_LANDLOCK_RESTRICT_SELF, self._ruleset, 0)
            self._check(entered, "landlock_restrict_self")
        if self._filter is not None:
            entered = self._prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, self._filter, 0, 0)
            self._check(entered, "the filter of system calls")

    def _check(self, result: int, what: str) -> None:
        if result < 0:
            reason = os.strerror(ctypes.get_errno())
            os.write(_STDERR, f"no wall around PostgreSQL: {what}: {reason}\n".encode())
            raise OSError(ctypes.get_errno(), f"{what}: {reason}")


@contextmanager
def confinement(
    premises: Premises, user: OsUser, *, dials: bool, dies_with_parent: bool
) -> Iterator[Confinement]:
    """The walls of a postmaster with these premises, as far as this kernel has them.

    dials: it may dial unix sockets. Raises EngineError where a rule cannot be made.
    """
    kernel = this_kernel()
    in_passwd = premises.host_is_in_passwd
    walls = walls_of(
        kernel,
        user.kind,
        dials=dials,
        os_user_missing=user.no_own,
        host_is_in_passwd=in_passwd,
    )
    program, ruleset = None, None
    machine = this_machine()
    if kernel.system_calls and machine is not None:
        program = filter_program(machine, dials=dials or not in_passwd)
    if kernel.landlock_abi:
        ruleset = make_ruleset(kernel.landlock_abi, path_rules(premises))
    try:
        yield Confinement(walls, ruleset, program, dies_with_parent)
    finally:
        if ruleset is not None:
            os.close(ruleset)


@cache
def this_kernel() -> Kernel:
    """What the kernel of this machine can confine, and what it lacks."""
    abi, missing = landlock_abi()
    kernel = Kernel(abi, missing)
    if sys.platform != "linux":
        return replace(kernel, system_calls_missing="filters of system calls are Linux's")
    if this_machine() is None:
        why = f"the filter does not know the system calls of {os.uname().machine}"
        return replace(kernel, system_calls_missing=why)
    if libc().prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) < 0:
        return replace(kernel, system_calls_missing="this kernel has no seccomp")
    return replace(kernel, system_calls=True)


def host_is_in_passwd() -> bool:
    """Whether the user of this process is a line of /etc/passwd, and not known by a service."""
    try:
        lines = PASSWD.read_text(encoding="utf-8", errors="replace").splitlines()
        name = pwd.getpwuid(os.geteuid()).pw_name
    except (OSError, KeyError):
        return False
    return any(line.startswith(f"{name}:") for line in lines)


def passwd_version() -> tuple[int, int] | None:
    """Which file /etc/passwd is now.

    A wall is tied to the file itself: to one that replaced it, a server that runs has no way.
    """
    try:
        status = Path(PASSWD).stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
