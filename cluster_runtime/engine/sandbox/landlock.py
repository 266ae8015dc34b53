"""Landlock by its three system calls: a ruleset made in the parent, entered in the child.

glibc has no wrapper for them. Their numbers are the same on every architecture but Alpha.

Source: Linux `include/uapi/linux/landlock.h`; man landlock(7).
"""

import ctypes
import errno
import os
import stat
import struct
import sys
from collections.abc import Iterable
from functools import cache

from cluster_runtime.engine.sandbox.libc import libc
from cluster_runtime.engine.sandbox.walls import (
    ABI_SCOPES,
    ABI_TCP,
    ON_FILES,
    Access,
    PathRule,
    handled_access,
    handled_network,
    scopes,
)
from cluster_runtime.errors import EngineError

SYS_LANDLOCK_CREATE_RULESET = 444
SYS_LANDLOCK_ADD_RULE = 445
SYS_LANDLOCK_RESTRICT_SELF = 446

_CREATE_RULESET_VERSION = 1 << 0
_RULE_PATH_BENEATH = 1
_RULESET_ATTR = struct.Struct("=QQQ")
_PATH_BENEATH_ATTR = struct.Struct("=Qi")

_MISSING = {
    errno.ENOSYS: "this kernel has no Landlock (Linux 5.13 and newer have, where it is built in)",
    errno.EOPNOTSUPP: "Landlock is switched off; add landlock to the boot parameter lsm=",
    errno.EPERM: "the container's filter of system calls refuses Landlock",
}


@cache
def landlock_abi() -> tuple[int, str]:
    """The ABI of this kernel and "", or 0 and why there is none."""
    if sys.platform != "linux":
        return 0, "Landlock is Linux's; this system has no counterpart that PostgreSQL runs under"
    try:
        return _syscall(SYS_LANDLOCK_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION), ""
    except OSError as error:
        return 0, _MISSING.get(error.errno or 0, f"Landlock does not answer: {error.strerror}")


def make_ruleset(abi: int, rules: Iterable[PathRule]) -> int:
    """A descriptor of the ruleset, closed on exec.

    Raises EngineError where the kernel refuses one of its rules, or a path is missing.
    """
    handled = handled_access(abi)
    attr = _RULESET_ATTR.pack(handled, handled_network(abi), scopes(abi))
    size = 24 if abi >= ABI_SCOPES else 16 if abi >= ABI_TCP else 8
    ruleset = _syscall(SYS_LANDLOCK_CREATE_RULESET, attr, size, 0)
    try:
        for rule in rules:
            _add(ruleset, rule, handled)
    except BaseException:
        os.close(ruleset)
        raise
    return ruleset


def _add(ruleset: int, rule: PathRule, handled: Access) -> None:
    flags = os.O_PATH | os.O_CLOEXEC | (0 if rule.followed else os.O_NOFOLLOW)
    try:
        place = os.open(rule.path, flags)
    except (FileNotFoundError, PermissionError) as error:
        if rule.optional:
            return
        raise EngineError(f"no wall can be built around {rule.path}: {error.strerror}") from error
    try:
        granted = rule.access & handled
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            granted &= ON_FILES
        _syscall(
            SYS_LANDLOCK_ADD_RULE,
            ruleset,
            _RULE_PATH_BENEATH,
            _PATH_BENEATH_ATTR.pack(granted, place),
            0,
        )
    except OSError as error:
        raise EngineError(f"Landlock refuses a rule for {rule.path}: {error.strerror}") from error
    finally:
        os.close(place)


def _syscall(number: int, *arguments: int | bytes | None) -> int:
    call = libc().syscall
    call.restype = ctypes.c_long
    converted = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result = int(call(ctypes.c_long(number), *converted))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
