"""The filter of system calls around a postmaster: which sockets it may make, and none to dial.

Landlock holds files and TCP; it does not hold connects to the unix sockets of other programs,
UDP, or changes of a file's owner and mode. A writer accepts connections and dials nobody, so
`connect` is refused to it altogether, and every socket but a unix stream. io_uring, which goes
around such a filter, and what looks into other processes or makes namespaces are refused to all.
So are changes of owner and attributes; one of mode says that it succeeded and does nothing, for
PostgreSQL asks for the mode of its socket that its umask has given it already.

A classic BPF program, built here and handed over by `confinement`.

Source: Linux `include/uapi/linux/{seccomp,filter,audit}.h`; the kernel's system call tables.
"""

import platform
import struct
import sys
from dataclasses import dataclass

_LD_WORD, _JEQ, _JGE, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_EPERM, _EACCES = 1, 13
_NR, _ARCH, _ARG0, _ARG1 = 0, 4, 16, 24
"""Offsets in struct seccomp_data; the low halves of the arguments, on little-endian machines."""

_AF_UNIX, _SOCK_STREAM, _SOCK_TYPE_MASK = 1, 1, 0xF
_X32_BIT = 0x40000000


@dataclass(frozen=True, slots=True)
class Machine:
    """An architecture: its AUDIT_ARCH, and the numbers of the calls that the filter names."""

    audit_arch: int
    socket: int
    connect: int
    refused: tuple[int, ...]
    pretended: tuple[int, ...]


_IN_EACH_TABLE = (425, 426, 427, 428, 429, 430, 431, 432, 438, 442, 463, 466, 467, 469)
"""io_uring_{setup,enter,register}; open_tree, move_mount, fsopen, fsconfig, fsmount; pidfd_getfd;
mount_setattr; setxattrat, removexattrat, open_tree_attr, file_setattr."""
_FCHMODAT2 = 452

MACHINES = {
    "x86_64": Machine(
        0xC000003E,
        41,
        42,
        (
            # ptrace, pivot_root, mount, umount2, add_key, request_key, keyctl, unshare,
            # perf_event_open, setns, process_vm_readv, process_vm_writev, bpf, userfaultfd
            *(101, 155, 165, 166, 248, 249, 250, 272, 298, 308, 310, 311, 321, 323),
            # chown, fchown, lchown, fchownat; {,l,f}setxattr, {,l,f}removexattr
            *(92, 93, 94, 260, 188, 189, 190, 197, 198, 199),
            *_IN_EACH_TABLE,
        ),
        # chmod, fchmod, fchmodat
        (90, 91, 268, _FCHMODAT2),
    ),
    "aarch64": Machine(
        0xC00000B7,
        198,
        203,
        # the same calls in the generic table, which has neither chown nor lchown
        (
            *(117, 41, 40, 39, 217, 218, 219, 97, 241, 268, 270, 271, 280, 282),
            *(55, 54, 5, 6, 7, 14, 15, 16),
            *_IN_EACH_TABLE,
        ),
        (52, 53, _FCHMODAT2),
    ),
}


def this_machine() -> Machine | None:
    """The architecture of this process, where the filter knows its numbers."""
    if sys.platform != "linux" or sys.maxsize < 2**32:
        return None
    return MACHINES.get(platform.machine())


def filter_program(machine: Machine, *, dials: bool) -> bytes:
    """The instructions (struct sock_filter each). dials: leave `connect` to unix sockets."""
    refuse = [*machine.refused] if dials else [machine.connect, *machine.refused]
    return b"".join(
        [
            # Calls of another architecture have other numbers; none of them is PostgreSQL's.
            _load(_ARCH),
            _skip_unless_equal(machine.audit_arch, then=1, otherwise=0),
            _return_errno(_EPERM),
            _load(_NR),
            _jump(_JGE, _X32_BIT, then=0, otherwise=1),
            _return_errno(_EPERM),
            *(part for number in refuse for part in _answer(number, _EACCES)),
            *(part for number in machine.pretended for part in _answer(number, 0)),
            _skip_unless_equal(machine.socket, then=1, otherwise=0),
            _return(_ALLOW),
            _load(_ARG0),
            _skip_unless_equal(_AF_UNIX, then=1, otherwise=0),
            _return_errno(_EACCES),
            _load(_ARG1),
            _instruction(_AND, _SOCK_TYPE_MASK),
            _skip_unless_equal(_SOCK_STREAM, then=1, otherwise=0),
            _return_errno(_EACCES),
            _return(_ALLOW),
        ]
    )


def _answer(number: int, errno: int) -> tuple[bytes, bytes]:
    """Have a call fail at once, or with errno 0 do nothing."""
    return _skip_unless_equal(number, then=0, otherwise=1), _return_errno(errno)


def _instruction(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, then, otherwise, value)


def _load(offset: int) -> bytes:
    return _instruction(_LD_WORD, offset)


def _jump(code: int, value: int, *, then: int, otherwise: int) -> bytes:
    return _instruction(code, value, then, otherwise)


def _skip_unless_equal(value: int, *, then: int, otherwise: int) -> bytes:
    return _jump(_JEQ, value, then=then, otherwise=otherwise)


def _return(action: int) -> bytes:
    return _instruction(_RETURN, action)


def _return_errno(number: int) -> bytes:
    return _return(_ERRNO | number)
