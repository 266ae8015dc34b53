"""A PostgreSQL that was taken over, by its superuser and by native code, meets the walls.

Every target lets the postmaster's own user in: what refuses it is a wall. The worst case is the
superuser on the private socket, with a library of his making in the data directory.
"""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.engine.home import SOCKET_NAME
from cluster_runtime.engine.postmaster import Postmaster, as_user, superuser_connection
from cluster_runtime.engine.sandbox.confinement import this_kernel
from cluster_runtime.engine.sandbox.walls import ABI_SCOPES, ABI_TCP, ABI_TRUNCATE

KERNEL = this_kernel()
pytestmark = pytest.mark.skipif(
    KERNEL.landlock_abi == 0, reason=f"no Landlock here: {KERNEL.landlock_missing}"
)
with_filter = pytest.mark.skipif(
    not KERNEL.system_calls, reason=f"no filter here: {KERNEL.system_calls_missing}"
)
only_as_root = pytest.mark.skipif(
    os.geteuid() != 0, reason="clusters of one unprivileged user have no user of their own"
)
Connection = psycopg.Connection[Any]
Attempt = Callable[[str, object], int]


@dataclass
class Outside:
    """Things that everybody on the machine may reach, and another cluster."""

    folder: Path
    readable: Path
    writable: Path
    socket: Path
    tcp_port: int
    other: ClusterHandle

    @property
    def in_shm(self) -> Path:
        return Path("/dev/shm") / f"shared-{self.folder.name}"

    @property
    def others_writer(self) -> Postmaster:
        return postmaster(self.other)


def postmaster(cluster: ClusterHandle) -> Postmaster:
    return cluster._source.cluster.instances.writer_server._postmaster


def state_directory(cluster: ClusterHandle) -> Path:
    return cluster._source.service._runtime.state.path


@pytest.fixture(scope="module")
def taken(shared_runtime: Runtime) -> ClusterHandle:
    return shared_runtime.create_db_cluster("taken")


@pytest.fixture(scope="module")
def outside(shared_runtime: Runtime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"borealis-outside-{os.getpid()}"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "readable").write_text("bait")
    (folder / "writable").write_text("bait")
    (folder / "readable").chmod(0o644)
    (folder / "writable").chmod(0o666)
    with socket.socket(socket.AF_UNIX) as unix, socket.socket() as tcp:
        unix.bind(str(folder / SOCKET_NAME))
        (folder / SOCKET_NAME).chmod(0o777)
        unix.listen()
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        yield Outside(
            folder,
            folder / "readable",
            folder / "writable",
            folder / SOCKET_NAME,
            tcp.getsockname()[1],
            shared_runtime.create_db_cluster("other"),
        )
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def superuser(taken: ClusterHandle) -> Iterator[Connection]:
    with superuser_connection(postmaster(taken)) as conn:
        conn.execute("create extension dblink")
        conn.execute("create table bait (x text)")
        conn.execute("select lo_from_bytea(777, 'bait')")
        yield conn


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The native code, built here."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no cc here to build native code with")
    built = tmp_path_factory.mktemp("native") / "native.so"
    source = Path(__file__).with_name("native.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", built, source], check=True)
    return built


def plant(library: Path, server: Postmaster) -> Path:
    """Put the library where `lo_export` of a superuser could put it."""
    planted = server.data_directory / library.name
    shutil.copyfile(library, planted)
    planted.chmod(0o700)
    server.user.own(planted)
    return planted


def attempts_over(conn: Connection) -> Attempt:
    """Calls the native code inside the backend of a connection; 0 says that it succeeded."""

    def attempt(what: str, at: object = "") -> int:
        row = conn.execute("select attempt(%s::cstring, %s::cstring)", [what, str(at)]).fetchone()
        assert row is not None
        return int(row[0])

    return attempt


@pytest.fixture(scope="module")
def native(taken: ClusterHandle, superuser: Connection, library: Path) -> Attempt:
    use(superuser, plant(library, postmaster(taken)))
    superuser.execute(
        "create function attempt(cstring, cstring) returns int language c strict "
        "as 'native', 'attempt'"
    )
    return attempts_over(superuser)


def use(conn: Connection, planted: Path) -> None:
    """Have a session find the library in the data directory of its own server."""
    conn.execute(f"set dynamic_library_path = '{planted.parent}'".encode())


def may(server: Postmaster, *command: str | Path) -> bool:
    """What a process of the same user may do that no wall stands around."""
    user = as_user(server.user)
    return subprocess.run(command, capture_output=True, check=False, **user).returncode == 0


# the superuser, with SQL ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "copy (select 1) to program 'id'",
        "copy bait from program 'echo 1'",
        "select pg_read_file('{outside.readable}')",
        "select pg_read_binary_file('/etc/hostname')",
        "select pg_read_file('/proc/self/environ')",
        "select pg_read_file('/proc/1/status')",
        "select pg_ls_dir('{home}')",
        "select pg_ls_dir('/tmp')",
        "select pg_ls_dir('{others}')",
        "select pg_read_file('{others}/PG_VERSION')",
        "select pg_read_file('{own}/../writer.log')",
        "select pg_ls_dir('{own}/../volume')",
        "select lo_import('{outside.readable}')",
        "copy bait from '{outside.readable}'",
        "copy (select 1) to '{outside.writable}'",
        "copy (select 1) to '{outside.folder}/new'",
        "copy (select 1) to '{own}/../new'",
        "copy (select 1) to '{outside.in_shm}'",
        "select lo_export(777, '{outside.folder}/new')",
        "load '{outside.readable}'",
        "create tablespace away location '{outside.folder}'",
        "select dblink_connect('host={outside.folder} user=x')",
        "select dblink_connect('host={others_socket} user=rdsadmin')",
        "select dblink_connect('host=127.0.0.1 port={outside.tcp_port} user=x')",
    ],
)
def test_the_superuser_is_refused(
    superuser: Connection, taken: ClusterHandle, outside: Outside, statement: str
) -> None:
    text = statement.format(
        outside=outside,
        home=Path.home(),
        own=postmaster(taken).data_directory,
        others=outside.others_writer.data_directory,
        others_socket=outside.others_writer.socket_directory,
    )
    with pytest.raises(psycopg.Error) as caught:
        superuser.execute(text.encode())
    assert caught.value.sqlstate in REFUSALS, (caught.value.sqlstate, str(caught.value))


REFUSALS = {
    "42501": "permission denied",
    "53200": "popen could not execute the shell",
    "38000": "the program's shell was not executed",
    "08001": "no connection",
    "58P01": "not there, as far as it can tell",
    "42809": "not a directory that it may look at",
    "22023": "large object: not a file that it may open",
}


def test_nothing_that_was_aimed_at_is_closed_to_its_user(
    taken: ClusterHandle, outside: Outside
) -> None:
    assert may(postmaster(taken), "cat", outside.readable)
    assert may(postmaster(taken), "touch", outside.folder / "by-the-same-user")
    assert may(postmaster(taken), "sh", "-c", "exit 0")


def test_the_host_stays_as_it_was(outside: Outside) -> None:
    assert outside.readable.read_text() == outside.writable.read_text() == "bait"
    assert not (outside.folder / "new").exists()
    assert not outside.in_shm.exists()


# native code ------------------------------------------------------------------------------------


def test_native_code_runs_inside(native: Attempt, taken: ClusterHandle) -> None:
    """Or the refusals below would show nothing."""
    own = postmaster(taken).data_directory
    assert native("create", own / "of-its-own") == 0
    assert native("write", own / "of-its-own") == 0
    assert native("truncate", own / "of-its-own") == 0
    assert native("remove", own / "of-its-own") == 0
    assert native("signal", os.getpid() if KERNEL.landlock_abi < ABI_SCOPES else 0) == 0


@pytest.mark.parametrize("program", ["/bin/sh", "/usr/bin/env", "/bin/true"])
def test_it_executes_no_program_of_the_host(native: Attempt, program: str) -> None:
    assert native("shell", program) != 0


def test_it_executes_no_file_of_its_own_making(native: Attempt, taken: ClusterHandle) -> None:
    server = postmaster(taken)
    planted = server.data_directory / "planted"
    shutil.copyfile("/bin/cat", planted)
    planted.chmod(0o700)
    server.user.own(planted)
    assert may(server, planted, "/etc/hostname")
    assert native("shell", planted) != 0


def test_what_the_loader_runs_for_it_is_still_inside(
    native: Attempt, taken: ClusterHandle, outside: Outside
) -> None:
    """The loader has to be executable, so it runs what it is given: behind the same walls."""
    server = postmaster(taken)
    loader = server.installation.loader
    if loader is None:
        pytest.skip("PostgreSQL is linked without a loader")
    planted = server.data_directory / "planted"
    shutil.copyfile("/bin/touch", planted)
    planted.chmod(0o700)
    server.user.own(planted)
    assert native("execute", f"{loader} {planted}") != 0  # touch without an operand
    assert not (outside.folder / "touched").exists()


@pytest.mark.parametrize(
    ("what", "at"),
    [
        ("read", "{outside.readable}"),
        ("read", "/etc/hostname"),
        ("read", "{others}/PG_VERSION"),
        ("read", "/proc/self/mem"),
        ("write", "{outside.writable}"),
        ("create", "{outside.folder}/new"),
        ("remove", "{outside.readable}"),
        ("link", "{outside.readable} {own}/linked"),
        ("symlink", "{own}/shadow"),
        ("symlink", "{outside.folder}/shadow"),
        ("fifo", "{own}/pipe"),
        ("fifo", "{outside.folder}/pipe"),
    ],
)
def test_it_meets_the_walls_on_files(
    native: Attempt, taken: ClusterHandle, outside: Outside, what: str, at: str
) -> None:
    own = postmaster(taken).data_directory
    others = outside.others_writer.data_directory
    assert native(what, at.format(outside=outside, own=own, others=others)) != 0


@pytest.mark.skipif(KERNEL.landlock_abi < ABI_TRUNCATE, reason="Landlock ABI below 3")
def test_it_truncates_nothing_outside(native: Attempt, outside: Outside) -> None:
    assert native("truncate", outside.writable) != 0
    assert outside.writable.read_text() == "bait"


@with_filter
def test_it_changes_no_mode_and_no_owner(
    native: Attempt, taken: ClusterHandle, outside: Outside
) -> None:
    mine = outside.folder / "of-the-same-user"
    mine.touch(0o600)
    postmaster(taken).user.own(mine)
    native("chmod", mine)
    assert native("chown", mine) != 0
    assert mine.stat().st_mode & 0o777 == 0o600


@with_filter
def test_a_writer_dials_nobody(
    native: Attempt, taken: ClusterHandle, outside: Outside, wal_socket: Path
) -> None:
    """Neither its own cluster, nor another one's, nor a WAL service's, nor the host's."""
    sockets = [
        outside.socket,
        outside.others_writer.socket_directory / SOCKET_NAME,
        postmaster(taken).socket_directory / SOCKET_NAME,
        wal_socket,
        state_directory(taken) / "host.sock",
    ]
    for path in sockets:
        assert path.is_socket()
        assert native("dial", path) != 0, path
        assert native("dial datagram", path) != 0, path


def test_it_reads_nothing_that_a_request_to_the_host_is_signed_with(
    native: Attempt, taken: ClusterHandle
) -> None:
    for name in ("credentials", "host.json"):
        path = state_directory(taken) / name
        assert path.is_file()
        assert native("read", path) != 0, path


@with_filter
def test_it_has_no_other_way_out(native: Attempt, outside: Outside) -> None:
    assert native("udp", outside.tcp_port) != 0
    assert native("io_uring") != 0
    assert native("namespace") != 0


@pytest.mark.skipif(
    KERNEL.landlock_abi < ABI_TCP and not KERNEL.system_calls, reason="no wall on TCP here"
)
def test_it_neither_dials_nor_listens_over_tcp(native: Attempt, outside: Outside) -> None:
    assert native("tcp", outside.tcp_port) != 0
    assert native("listen", 0) != 0


@pytest.mark.skipif(KERNEL.landlock_abi < ABI_SCOPES, reason="Landlock ABI below 6")
def test_it_neither_signals_nor_traces_others(
    native: Attempt, taken: ClusterHandle, outside: Outside
) -> None:
    of_the_same_user = subprocess.Popen(["sleep", "60"], **as_user(postmaster(taken).user))
    try:
        for pid in (of_the_same_user.pid, os.getpid(), outside.others_writer.pid):
            assert native("signal", pid) != 0
            assert native("trace", pid) != 0
    finally:
        of_the_same_user.kill()
        of_the_same_user.wait()


def test_every_process_of_a_cluster_is_behind_them(taken: ClusterHandle) -> None:
    server = postmaster(taken)
    family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    assert len(family) > 3
    for process in family:
        facts = Path(f"/proc/{process.pid}/status").read_text().split()
        assert facts[facts.index("NoNewPrivs:") + 1] == "1"
        assert process.uids().real == server.user.uid


# as root: users of their own --------------------------------------------------------------------


@only_as_root
def test_clusters_have_users_of_their_own(taken: ClusterHandle, outside: Outside) -> None:
    mine, others = postmaster(taken), outside.others_writer
    assert mine.user.uid != others.user.uid
    assert psutil.Process(mine.pid).uids().effective == mine.user.uid
    assert not may(mine, "cat", others.data_directory / "PG_VERSION")
    assert not may(mine, "ls", others.socket_directory)
    assert may(others, "cat", others.data_directory / "PG_VERSION")


@pytest.fixture(scope="module")
def wal_socket(taken: ClusterHandle, standby: Postmaster) -> Path:
    """The WAL service's of the same cluster, which its standby is streaming from."""
    return taken._source.cluster.instances.stand_in._instance._wal_sockets / SOCKET_NAME


@pytest.fixture(scope="module")
def standby(
    shared_runtime: Runtime, taken: ClusterHandle, native: Attempt, library: Path
) -> Iterator[Postmaster]:
    cluster = taken._source.cluster
    # Whoever looks after the cluster would end a stand-in that it does not need.
    shared_runtime._home.thread.loop.call_soon_threadsafe(cluster.supervision.rest)
    reader = cluster.instances.stand_in._instance
    reader.start()
    plant(library, reader._postmaster)
    yield reader._postmaster
    reader.kill()


@only_as_root
def test_the_writer_may_not_pass_to_its_wal_service(
    taken: ClusterHandle, standby: Postmaster, wal_socket: Path
) -> None:
    """Its group keeps it away, should the other wall fall."""
    dial = "import socket,sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    server = postmaster(taken)
    standbys = as_user(server.user.standby)
    for who, expected in ((as_user(server.user), 1), (standbys, 0)):
        done = subprocess.run(
            ["/usr/bin/python3", "-c", dial, wal_socket], capture_output=True, check=False, **who
        )
        assert done.returncode == expected, done.stderr


@only_as_root
def test_a_standby_dials_its_wal_service_and_no_other_cluster(
    taken: ClusterHandle, standby: Postmaster, wal_socket: Path, outside: Outside
) -> None:
    with superuser_connection(standby) as conn:
        use(conn, standby.data_directory / "native.so")
        attempt = attempts_over(conn)
        assert attempt("dial", wal_socket) == 0
        assert attempt("dial", outside.others_writer.socket_directory / SOCKET_NAME) != 0
        assert attempt("tcp", outside.tcp_port) != 0
        assert attempt("read", outside.readable) != 0
        assert attempt("read", postmaster(taken).data_directory / "PG_VERSION") != 0
        assert attempt("shell", "/bin/sh") != 0
    assert standby.walls is not None
    assert not standby.walls.dialling
    assert any("WAL service" in gap for gap in standby.walls.gaps)
    assert not may(standby, "ls", outside.others_writer.socket_directory)
