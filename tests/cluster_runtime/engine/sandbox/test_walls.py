"""The rules of the walls, without a kernel; the filter's program, run by a small machine."""

import struct
from pathlib import Path

import pytest

from cluster_runtime.engine.elf import interpreter, listed_libraries
from cluster_runtime.engine.sandbox.system_calls import MACHINES, Machine, filter_program
from cluster_runtime.engine.sandbox.walls import (
    FIRST_ABI,
    OWN_DATA,
    Access,
    Kernel,
    NetAccess,
    Premises,
    Scope,
    handled_access,
    handled_network,
    library_folders,
    path_rules,
    scopes,
    walls_of,
)

LOADER = Path("/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
PREMISES = Premises(
    Path("/opt/engine/bin/postgres"),
    LOADER,
    (Path("/opt/engine"), Path("/opt/engine.libs")),
    Path("/clusters/a/data"),
    Path("/run/a-w"),
)


def test_nothing_but_the_engine_and_its_loader_can_be_executed() -> None:
    runs = {rule.path for rule in path_rules(PREMISES) if rule.access & Access.EXECUTE}
    assert runs == {PREMISES.program, LOADER}


def test_nothing_but_its_own_directories_and_dev_null_can_be_written() -> None:
    writes = {rule.path for rule in path_rules(PREMISES) if rule.access & Access.WRITE_FILE}
    assert writes == {PREMISES.data_directory, PREMISES.socket_directory, Path("/dev/null")}


def test_it_makes_no_links_pipes_or_devices_anywhere() -> None:
    never = Access.MAKE_SYM | Access.MAKE_FIFO | Access.MAKE_BLOCK | Access.MAKE_CHAR
    assert not any(rule.access & never for rule in path_rules(PREMISES))
    sockets = {rule.path for rule in path_rules(PREMISES) if rule.access & Access.MAKE_SOCK}
    assert sockets == {PREMISES.socket_directory}


def test_no_rule_reaches_the_folders_above_its_own() -> None:
    own = {PREMISES.data_directory, PREMISES.socket_directory}
    for rule in path_rules(PREMISES):
        assert rule.path in own or not any(path.is_relative_to(rule.path) for path in own)
        assert rule.path not in {Path("/"), Path("/etc"), Path("/proc"), Path("/dev"), Path("/usr")}


def test_a_host_named_by_a_service_is_looked_up_there() -> None:
    from dataclasses import replace

    named = {rule.path for rule in path_rules(replace(PREMISES, host_is_in_passwd=False))}
    assert named - {rule.path for rule in path_rules(PREMISES)} == {
        Path("/run/systemd/userdb"),
        Path("/var/lib/sss/mc"),
    }


@pytest.mark.parametrize(
    ("loader", "folders"),
    [
        (LOADER, ["/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu"]),
        ("/lib/ld-musl-x86_64.so.1", ["/lib", "/usr/lib"]),
        ("/usr/lib64/ld-linux-x86-64.so.2", ["/usr/lib64", "/lib64"]),
        ("/nix/store/abc-glibc-2.40/lib/ld-linux-x86-64.so.2", ["/nix/store"]),
        (None, []),
    ],
)
def test_libraries_lie_beside_the_loader(loader: str | None, folders: list[str]) -> None:
    found = library_folders(Path(loader) if loader else None)
    assert found == [Path(folder) for folder in folders]


def test_each_abi_handles_what_it_can() -> None:
    assert handled_access(1) == FIRST_ABI == Access(0x1FFF)
    assert handled_access(2) == Access(0x3FFF)
    assert handled_access(3) == handled_access(4) == Access(0x7FFF)
    assert handled_access(5) == handled_access(99) == Access(0xFFFF)
    assert handled_network(3) == NetAccess(0)
    assert handled_network(4) == NetAccess.BIND_TCP | NetAccess.CONNECT_TCP
    assert scopes(5) == Scope(0)
    assert scopes(6) == Scope.ABSTRACT_UNIX_SOCKET | Scope.SIGNAL
    assert OWN_DATA & handled_access(99) == OWN_DATA


@pytest.mark.parametrize(
    ("kernel", "arguments", "standing", "gaps"),
    [
        (
            Kernel(7, "", True),
            {"os_user": "own", "dials": False},
            ("files", "programs", "network", "dialling", "signals", "own user"),
            [],
        ),
        (
            Kernel(7, "", True),
            {"os_user": "own", "dials": True},
            ("files", "programs", "network", "signals", "own user"),
            ["WAL service"],
        ),
        (
            Kernel(4, "", False, "no filter"),
            {"os_user": "host", "dials": False},
            ("files", "programs", "network"),
            ["signals", "no filter", "not root"],
        ),
        (
            Kernel(1, "", False, "no filter"),
            {"os_user": "shared", "dials": False, "os_user_missing": "all in use"},
            ("files", "programs"),
            ["signals", "truncation", "no filter", "TCP", "all in use"],
        ),
        (
            Kernel(0, "no Landlock", False, "no filter"),
            {"os_user": "host", "dials": False},
            (),
            ["no Landlock", "no filter", "TCP", "not root"],
        ),
        (
            Kernel(6, "", True),
            {"os_user": "host", "dials": False, "host_is_in_passwd": False},
            ("files", "programs", "network", "signals"),
            ["comes from a service", "not root"],
        ),
    ],
)
def test_what_does_not_stand_is_named_with_the_reason(
    kernel: Kernel, arguments: dict[str, object], standing: tuple[str, ...], gaps: list[str]
) -> None:
    walls = walls_of(kernel, **arguments)
    assert walls.standing == standing
    assert len(walls.gaps) == len(gaps)
    for gap, words in zip(walls.gaps, gaps, strict=True):
        assert words in gap


# the filter of system calls ---------------------------------------------------------------------

ALLOW, EPERM, EACCES, PRETEND = 0x7FFF0000, 0x50001, 0x5000D, 0x50000


def answer(program: bytes, arch: int, number: int, *arguments: int) -> int:
    """Run a classic BPF program over one struct seccomp_data; its verdict."""
    data = struct.pack("=IIQ6Q", number, arch, 0, *(*arguments, *[0] * (6 - len(arguments))))
    code = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    accumulator, at = 0, 0
    while True:
        operation, then, otherwise, value = code[at]
        at += 1
        match operation:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, value)
            case 0x54:
                accumulator &= value
            case 0x15:
                at += then if accumulator == value else otherwise
            case 0x35:
                at += then if accumulator >= value else otherwise
            case 0x06:
                return value


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
@pytest.mark.parametrize("dials", [False, True])
def test_the_filter_refuses_what_leads_out_and_nothing_else(machine: Machine, dials: bool) -> None:
    program = filter_program(machine, dials=dials)

    def call(number: int, *arguments: int) -> int:
        return answer(program, machine.audit_arch, number, *arguments)

    assert len(program) // 8 <= 4096
    assert call(machine.connect) == (ALLOW if dials else EACCES)
    unix, ipv4, ipv6, netlink = 1, 2, 10, 16
    stream, datagram, raw, flags = 1, 2, 3, 0o2004000
    assert call(machine.socket, unix, stream) == ALLOW
    assert call(machine.socket, unix, stream | flags) == ALLOW
    for family in (ipv4, ipv6, netlink, 40):
        for kind in (stream, datagram, raw):
            assert call(machine.socket, family, kind) == EACCES
    assert call(machine.socket, unix, datagram) == EACCES
    assert call(machine.socket, unix, datagram | flags) == EACCES
    # The kernel looks at the low half of an int argument alone, and so does the filter.
    assert call(machine.socket, unix | 1 << 32, stream | 1 << 40) == ALLOW
    assert call(machine.socket, ipv4 | 1 << 32, stream) == EACCES
    for number in machine.refused:
        assert call(number) == EACCES
    for number in machine.pretended:
        assert call(number) == PRETEND
    named = {machine.socket, machine.connect, *machine.refused, *machine.pretended}
    assert all(call(number) == ALLOW for number in range(500) if number not in named)


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_calls_of_another_architecture_are_refused(machine: Machine) -> None:
    program = filter_program(machine, dials=True)
    i386, arm = 0x40000003, 0x40000028
    for arch in (i386, arm, 0):
        assert answer(program, arch, 1) == EPERM
    x32_connect = 0x40000000 + 42
    assert answer(program, machine.audit_arch, x32_connect) == EPERM


def test_a_machine_names_no_call_twice() -> None:
    for machine in MACHINES.values():
        named = [machine.socket, machine.connect, *machine.refused, *machine.pretended]
        assert len(set(named)) == len(named)


# the loader -------------------------------------------------------------------------------------


def elf(interpreter_name: bytes) -> bytes:
    header = bytearray(64)
    header[:6] = b"\x7fELF\x02\x01"
    struct.pack_into("<Q", header, 32, 64)
    struct.pack_into("<HH", header, 54, 56, 2)
    load = struct.pack("<IIQQQQQQ", 1, 0, 0, 0, 0, 0, 0, 0)
    interp = struct.pack("<IIQQQQQQ", 3, 0, 176, 0, 0, len(interpreter_name), 0, 0)
    return bytes(header) + load + interp + interpreter_name


def test_the_loader_is_the_one_that_the_program_names() -> None:
    assert interpreter(elf(b"/lib64/ld-linux-x86-64.so.2\0")) == "/lib64/ld-linux-x86-64.so.2"


@pytest.mark.parametrize(
    "head", [b"", b"#!/bin/sh\n", b"\x7fELF\x01\x01" + bytes(80), elf(b"/x\0")[:100], bytes(64)]
)
def test_what_names_none_has_none(head: bytes) -> None:
    assert interpreter(head) is None


def test_libraries_are_read_from_what_the_loader_lists() -> None:
    text = """\
\tlinux-vdso.so.1 (0x00007ffd1d5e2000)
\tlibz.so.1 => /opt/x y/libz.so.1 (0x00007f0)
\tlibpq.so.5 => /opt/engine.libs/libpq.so.5 (0x00007f11f1a00000)
\tlibgone.so => not found
\t/lib64/ld-linux-x86-64.so.2 (0x00007f11f1c00000)
"""
    assert list(listed_libraries(text)) == [
        Path("/opt/x y/libz.so.1"),
        Path("/opt/engine.libs/libpq.so.5"),
        Path("/lib64/ld-linux-x86-64.so.2"),
    ]
