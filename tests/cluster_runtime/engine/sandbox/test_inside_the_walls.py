"""PostgreSQL does all its work inside the walls, and what they cannot give is said."""

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.engine.home import SOCKET_NAME
from cluster_runtime.engine.postmaster import Postmaster, Shutdown, superuser_connection
from cluster_runtime.engine.sandbox import confinement as module
from cluster_runtime.engine.sandbox.confinement import this_kernel
from cluster_runtime.engine.sandbox.os_user import OsUser
from cluster_runtime.engine.sandbox.walls import Kernel
from cluster_runtime.engine.system.files import copy_tree, take_over
from cluster_runtime.engine.system.os_users import NUMBER_FILE
from cluster_runtime.engine.system.shared_memory import SEGMENTS, parse_segments
from cluster_runtime.errors import EngineError
from cluster_runtime.storage.disk.data_directory import Claim

Connection = psycopg.Connection[Any]
only_on_linux = pytest.mark.skipif(sys.platform != "linux", reason="walls are Linux's")
only_as_root = pytest.mark.skipif(os.geteuid() != 0, reason="users of their own need root")
with_walls = pytest.mark.skipif(this_kernel().landlock_abi == 0, reason="no Landlock here")


@pytest.fixture(scope="module")
def cluster(shared_runtime: Runtime) -> ClusterHandle:
    return shared_runtime.create_db_cluster("inside")


def postmaster(cluster: ClusterHandle) -> Postmaster:
    return cluster._source.cluster.instances.writer_server._postmaster


@pytest.fixture
def superuser(cluster: ClusterHandle) -> Iterator[Connection]:
    with cluster.connect():
        pass  # wakes it
    with superuser_connection(postmaster(cluster)) as conn:
        yield conn


def test_parallel_queries_share_memory_in_its_own_directory(superuser: Connection) -> None:
    superuser.execute(
        "create table numbers as select i, md5(i::text) as hash from generate_series(1, 60000) i;"
        "set min_parallel_table_scan_size = 0; set parallel_setup_cost = 0;"
        "set parallel_tuple_cost = 0; set max_parallel_workers_per_gather = 2;"
        "set debug_parallel_query = on"
    )
    plan = superuser.execute("explain (analyze, format text) select count(*) from numbers")
    assert any("Workers Launched" in line for (line,) in plan)
    # A hash that the workers build together grows in dynamic shared memory.
    join = "select count(*) from numbers a join numbers b using (hash)"
    assert superuser.execute(join).fetchone() == (60000,)
    assert superuser.execute("show dynamic_shared_memory_type").fetchone() == ("mmap",)


def test_sorts_and_hashes_spill_to_its_own_directory(superuser: Connection) -> None:
    superuser.execute("set work_mem = '64kB'; set temp_file_limit = -1; set log_temp_files = 0")
    sort = "select md5(i::text) from generate_series(1, 50000) i order by 1 limit 1 offset 40000"
    assert superuser.execute(sort).fetchone() is not None
    spilled = "select temp_bytes from pg_stat_database where datname = current_database()"
    superuser.execute("select pg_stat_force_next_flush()")
    assert superuser.execute("select 1").fetchone()
    (temp_bytes,) = superuser.execute(spilled).fetchone() or (0,)
    assert temp_bytes > 0


@pytest.mark.parametrize(
    "statement",
    [
        "checkpoint",
        "vacuum full",
        "analyze",
        "create database beside template template0 strategy file_copy",
        "create database again strategy wal_log",
        "reindex database postgres",
        "create temp table t as select repeat('x', 100000) from generate_series(1, 100)",
        "select * from pg_timezone_names limit 1",
        "select now() at time zone 'Asia/Tokyo'",
        "create collation of_libc (provider = libc, locale = 'C.utf8')",
        "select pg_switch_wal()",
        "select pg_ls_dir('.')",
        "select lo_create(0)",
        "select pg_reload_conf()",
        "select gen_random_uuid()",
        "select pg_create_physical_replication_slot('spare', true); "
        "select pg_drop_replication_slot('spare')",
        "select txid_current(), pg_export_snapshot()",
        "set allow_in_place_tablespaces = on; create tablespace near location ''",
        "create unlogged table u as select 1",
    ],
)
def test_a_statement_that_reaches_files_works(superuser: Connection, statement: str) -> None:
    for part in statement.split("; "):
        superuser.execute(part.encode())


def test_every_contrib_extension_installs_and_loads(superuser: Connection) -> None:
    available = superuser.execute(
        "select name from pg_available_extensions where installed_version is null order by name"
    ).fetchall()
    assert len(available) > 20
    superuser.execute("create schema everything; set search_path = everything")
    for (name,) in available:
        superuser.execute(f'create extension if not exists "{name}" cascade'.encode())
    row = superuser.execute(
        "select '[1,2,3]'::public.vector operator(public.<->) '[1,2,4]'"
    ).fetchone()
    assert row == (1.0,)


def test_a_pause_a_failover_and_a_lost_machine_go_as_ever(
    shared_runtime: Runtime, cluster: ClusterHandle
) -> None:
    with cluster.connect() as conn:
        conn.execute("create table kept as select 7 as x")
    for disturb in (
        lambda: shared_runtime.pause_db_cluster("inside"),
        lambda: shared_runtime.failover_db_cluster("inside"),
        lambda: shared_runtime.lose_compute("inside"),
        lambda: (
            shared_runtime.stop_db_cluster("inside"),
            shared_runtime.start_db_cluster("inside"),
        ),
    ):
        disturb()
        with cluster.connect() as conn:
            assert conn.execute("select x from kept").fetchone() == (7,)
        walls = cluster.describe().walls
        assert walls is not None
        assert walls.files == (this_kernel().landlock_abi > 0)


def test_readers_and_the_coalescer_work_behind_walls_too(shared_runtime: Runtime) -> None:
    cluster = shared_runtime.create_db_cluster("followed")
    hosted = cluster._source.cluster
    volume = hosted.instances.storage.open_for("a test")
    reader = hosted.instances.stand_in._instance
    with cluster.connect(autocommit=True) as conn:
        reader.start()
        try:
            conn.execute("create table followed (x int)")
            with superuser_connection(reader._postmaster) as follower:
                wait = threading.Event()
                arrived = "select to_regclass('followed') is not null"
                while follower.execute(arrived).fetchone() == (False,):
                    wait.wait(0.01)
            volume.start_coalescing(
                postmaster(cluster).installation,
                reader._postmaster.socket_directory.with_name("c"),
                "rdsadmin",
                automatic=False,
            )
            assert volume.coalesce().redo > 0
        finally:
            reader.kill()


def test_a_backend_that_crashes_takes_the_writer_and_nothing_else(
    shared_runtime: Runtime,
) -> None:
    cluster = shared_runtime.create_db_cluster("crashing")
    with cluster.connect(autocommit=True) as conn:
        conn.execute("create table kept as select 1 as x")
        os.kill(conn.execute("select pg_backend_pid()").fetchone()[0], signal.SIGSEGV)
        with pytest.raises(psycopg.OperationalError):
            conn.execute("select 1")
    with cluster.connect() as conn:
        assert conn.execute("select x from kept").fetchone() == (1,)
    shared_runtime.delete_db_cluster("crashing")


def test_a_crashed_backend_is_survived_where_the_server_may_restart(stopped: Postmaster) -> None:
    stopped.start({"restart_after_crash": True})
    try:
        with superuser_connection(stopped) as conn:
            row = conn.execute("select pg_backend_pid()").fetchone()
            assert row is not None
            os.kill(row[0], signal.SIGKILL)
        stopped.wait_for(frozenset({"ready"}))
        again = threading.Event()
        for _ in range(500):
            try:
                with superuser_connection(stopped) as conn:
                    assert conn.execute("select 1").fetchone() == (1,)
                break
            except psycopg.OperationalError:
                again.wait(0.01)
        else:
            pytest.fail("it did not come back")
    finally:
        stopped.stop(Shutdown.IMMEDIATE)


def test_its_socket_is_private_although_it_may_change_no_mode(stopped: Postmaster) -> None:
    stopped.start({})
    try:
        path = stopped.socket_directory / SOCKET_NAME
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    finally:
        stopped.stop(Shutdown.IMMEDIATE)


# what is in force is reported -------------------------------------------------------------------


def test_describe_says_what_stands_and_a_paused_cluster_claims_nothing(
    shared_runtime: Runtime, cluster: ClusterHandle
) -> None:
    with cluster.connect():
        walls = cluster.describe().walls
    assert walls is not None
    kernel = this_kernel()
    assert walls.landlock_abi == kernel.landlock_abi
    assert walls.files == walls.programs == (kernel.landlock_abi > 0)
    assert walls.os_user == ("host" if os.geteuid() else "own")
    if walls.standing != ("files", "programs", "network", "dialling", "signals", "own user"):
        assert walls.gaps
    shared_runtime.pause_db_cluster("inside")
    assert cluster.describe().walls is None


def test_a_kernel_without_walls_is_reported_and_served(
    stopped: Postmaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = Kernel(0, "this kernel has no Landlock", False, "this kernel has no seccomp")
    monkeypatch.setattr(module, "this_kernel", lambda: bare)
    stopped.start({})
    try:
        assert stopped.walls is not None
        assert not stopped.walls.files
        assert any("this kernel has no Landlock" in gap for gap in stopped.walls.gaps)
        with superuser_connection(stopped) as conn:
            assert conn.execute("select pg_read_file('/etc/passwd') <> ''").fetchone() == (True,)
    finally:
        stopped.stop(Shutdown.IMMEDIATE)


@pytest.mark.parametrize(
    "abi",
    [abi if abi in (1, 4, 6) else pytest.param(abi, marks=pytest.mark.long) for abi in range(1, 7)],
)
@with_walls
def test_an_older_kernel_gets_the_walls_that_it_has(
    stopped: Postmaster, monkeypatch: pytest.MonkeyPatch, abi: int
) -> None:
    if abi > this_kernel().landlock_abi:
        pytest.skip(f"this kernel has Landlock ABI {this_kernel().landlock_abi}")
    monkeypatch.setattr(module, "this_kernel", lambda: Kernel(abi))
    stopped.start({})
    try:
        with superuser_connection(stopped) as conn:
            conn.execute("create table t as select 1; checkpoint")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute("select pg_read_file('/etc/hostname')")
    finally:
        assert stopped.stop()


@with_walls
def test_a_wall_that_cannot_be_put_up_fails_the_start(
    stopped: Postmaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module.make_ruleset

    def closed(abi: int, rules: Any) -> int:
        os.close(descriptor := real(abi, rules))
        return os.open(os.devnull, os.O_RDONLY) if descriptor else 0

    monkeypatch.setattr(module, "make_ruleset", closed)
    with pytest.raises(EngineError, match=r"(?s)could not be put up.*landlock_restrict_self"):
        stopped.start({})
    assert not stopped.running


@with_walls
def test_a_place_that_is_missing_fails_the_start(stopped: Postmaster) -> None:
    stopped.installation = type(stopped.installation)(
        stopped.installation.source,
        stopped.installation.prefix,
        (stopped.installation.prefix / "nowhere",),
    )
    with pytest.raises(EngineError, match=r"no wall can be built around .*nowhere"):
        stopped.start({})


@with_walls
def test_a_program_that_its_walls_keep_from_it_is_named(
    stopped: Postmaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = module.path_rules
    monkeypatch.setattr(
        module, "path_rules", lambda at: [one for one in rules(at) if one.path != at.program]
    )
    with pytest.raises(EngineError, match=r"bin/postgres could not be started .* denied"):
        stopped.start({})
    assert not stopped.running


def test_one_that_waits_for_an_end_does_not_forget_the_next(stopped: Postmaster) -> None:
    """The writer that lost its volume is killed on a thread, beside its successor's start."""
    stopped.start({"fsync": False})
    ended = stopped._process
    assert ended is not None
    os.kill(ended.pid, signal.SIGKILL)
    ended.wait()
    stopped.start({"fsync": False})
    stopped._reap(ended)
    assert stopped.running
    stopped.stop(Shutdown.IMMEDIATE)


# names of users ---------------------------------------------------------------------------------

SLIM = """
set -e
mkdir {folder}/etc && cp -a /etc/. {folder}/etc/
{before}
mount --bind {folder}/etc /etc
exec {python} -c "$PROGRAM" {folder}
"""

REPLACE_PASSWD = """
import os, shutil, sys
from pathlib import Path
from cluster_runtime import Runtime
folder = Path(sys.argv[1])
with Runtime.open(folder / "state", warm_pool_size=0) as runtime:
    cluster = runtime.create_db_cluster("slim")
    with cluster.connect() as conn:
        conn.execute("create table kept as select 1 as x")
    shutil.copyfile("/etc/passwd", "/etc/passwd+")
    with open("/etc/passwd+", "a") as file:
        file.write("somebody:x:4242:4242::/:/bin/sh\\n")
    os.rename("/etc/passwd+", "/etc/passwd")
    with cluster.connect() as conn:
        assert conn.execute("select x from kept").fetchone() == (1,)
print("reached")
"""


@only_as_root
@only_on_linux
@pytest.mark.parametrize(
    "before",
    [
        pytest.param("printf 'passwd: files' > etc/nsswitch.conf", id="slim: no nss-systemd"),
        pytest.param("rm etc/nsswitch.conf", id="slim: no nsswitch.conf", marks=pytest.mark.long),
        pytest.param("sed -i /^root:/d etc/passwd", id="the host's name comes from a service"),
    ],
)
def test_it_names_its_host_and_still_does_after_a_user_was_added(
    engine_dir: Path, before: str
) -> None:
    """useradd puts a new file in the place of /etc/passwd, to which the walls have no door."""
    script = SLIM.format(
        folder=engine_dir, python=sys.executable, before=f"cd {engine_dir}; {before}"
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        env={**os.environ, "PROGRAM": REPLACE_PASSWD},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"no mount namespace here: {done.stderr.strip()}")
    assert done.stdout == "reached\n", done.stderr


# nothing is left behind -------------------------------------------------------------------------


@only_on_linux
def test_kills_leave_no_shared_memory(stopped: Postmaster) -> None:
    kills(stopped, 4)


@only_on_linux
@pytest.mark.long
def test_two_hundred_kills_leave_no_shared_memory(stopped: Postmaster) -> None:
    kills(stopped, 200)


def kills(server: Postmaster, rounds: int) -> None:
    """Kill a server under a parallel query; look for what it made."""
    for _ in range(rounds):
        server.start({"fsync": False})
        assert server.pid is not None
        with superuser_connection(server) as conn:
            conn.execute("set debug_parallel_query = on")
            conn.execute("select count(*) from pg_class")
            family = [psutil.Process(server.pid), *psutil.Process(server.pid).children()]
            mapped = [region.path for process in family for region in process.memory_maps()]
            shared = [path for path in mapped if path.startswith("/dev/shm")]
            own = f"{server.data_directory}/"
            assert [path for path in shared if not path.startswith(own)] == []
            assert made_by(server.pid)
            pid = server.pid
            server.kill()
        assert made_by(pid) == []


def made_by(pid: int | None) -> list[int]:
    """The System V segments that a process made."""
    return [each.id for each in parse_segments(SEGMENTS.read_text()) if each.maker == pid]


@only_on_linux
@pytest.mark.parametrize("same_host", [True, False])
def test_a_postmaster_that_died_alone_leaves_none_to_the_next_start(
    stopped: Postmaster, same_host: bool
) -> None:
    stopped.start({})
    pid = stopped.pid
    assert made_by(pid)
    os.kill(pid or 0, signal.SIGKILL)
    assert stopped.wait() == -signal.SIGKILL
    again = Postmaster(
        stopped.installation,
        stopped.user,
        stopped.data_directory,
        stopped.socket_directory,
        stopped.log_file,
    )
    if same_host:
        again = stopped
    again.start({})
    try:
        assert made_by(pid) == []
    finally:
        again.stop(Shutdown.IMMEDIATE)


@only_as_root
def test_a_deleted_cluster_takes_along_what_left_its_postmaster(shared_runtime: Runtime) -> None:
    """A process that somebody made in there, in a session of its own."""
    cluster = shared_runtime.create_db_cluster("haunted")
    uid = postmaster(cluster).user.uid
    haunting = subprocess.Popen(
        ["sleep", "600"], user=uid, group=uid, extra_groups=[], start_new_session=True
    )
    shared_runtime.delete_db_cluster("haunted")
    assert haunting.wait(60) == -signal.SIGKILL


# what an earlier release has left ---------------------------------------------------------------


@only_as_root
def test_a_directory_of_the_shared_user_changes_hands_at_its_first_start(
    state_dir: Path,
) -> None:
    with Runtime.open(state_dir, warm_pool_size=0) as runtime:
        cluster = runtime.create_db_cluster("old")
        with cluster.connect() as conn:
            conn.execute("create table kept as select 1 as x")
        data = postmaster(cluster).data_directory
        shared = runtime._home.service._runtime.home.user
        runtime.stop_db_cluster("old")
    (data.parent / NUMBER_FILE).unlink()
    for path in (data, *data.rglob("*")):
        os.chown(path, shared.uid, shared.gid)
    inode = (data / "PG_VERSION").stat().st_ino
    with Runtime.open(state_dir, warm_pool_size=0) as runtime:
        runtime.start_db_cluster("old")
        cluster = runtime.cluster("old")
        with cluster.connect() as conn:
            assert conn.execute("select x from kept").fetchone() == (1,)
        user = postmaster(cluster).user
        assert user.kind == "own"
        assert {path.stat().st_uid for path in (data, *data.rglob("*"))} <= {user.uid, 0}
        assert (data / "PG_VERSION").stat().st_ino == inode, "taken over, not made again"
        runtime.delete_db_cluster("old")


def lay(trap: str, directory: Path, bait: Path) -> None:
    match trap:
        case "symlink":
            (directory / "trap").symlink_to(bait / "file")
        case "hardlink":
            (directory / "trap").hardlink_to(bait / "file")
        case "fifo":
            os.mkfifo(directory / "trap")
        case "socket":
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(str(directory / "trap"))
        case "symlinked folder":
            (directory / "trap").symlink_to(bait)


@pytest.fixture
def bait(engine_dir: Path) -> Path:
    folder = engine_dir / "bait"
    folder.mkdir()
    (folder / "file").write_text("the host's")
    return folder


@only_as_root
@pytest.mark.parametrize("trap", ["symlink", "hardlink", "fifo", "socket", "symlinked folder"])
def test_one_that_leads_elsewhere_is_not_taken_over(
    engine_dir: Path, user: OsUser, bait: Path, trap: str
) -> None:
    folder = engine_dir / "data"
    (folder / "base" / "1").mkdir(parents=True)
    lay(trap, folder / "base" / "1", bait)
    assert not take_over(folder, user)
    assert folder.stat().st_uid == 0, "the directory itself last"
    assert (bait / "file").stat().st_uid == bait.stat().st_uid == 0


@only_as_root
def test_it_is_made_anew_instead(state_dir: Path, bait: Path) -> None:
    with Runtime.open(state_dir, warm_pool_size=0) as runtime:
        cluster = runtime.create_db_cluster("trapped")
        with cluster.connect() as conn:
            conn.execute("create table kept as select 1 as x")
        data = postmaster(cluster).data_directory
        runtime.stop_db_cluster("trapped")
        os.chown(data, 65534, 65534)
        lay("symlinked folder", data / "base", bait)
        runtime.start_db_cluster("trapped")
        with runtime.cluster("trapped").connect() as conn:
            assert conn.execute("select x from kept").fetchone() == (1,)
        assert not (data / "base" / "trap").exists()
        runtime.delete_db_cluster("trapped")
    assert (bait / "file").read_text() == "the host's"


def test_the_host_follows_no_link_that_a_server_left(stopped: Postmaster, bait: Path) -> None:
    for name in ("runtime.conf", "runtime.conf.new", "borealis.volume.new"):
        (stopped.data_directory / name).symlink_to(bait / "file")
    stopped.start({})
    stopped.stop(Shutdown.IMMEDIATE)
    Claim("volume", "boot", None).write(stopped.data_directory)
    assert (bait / "file").read_text() == "the host's"
    assert not (stopped.data_directory / "runtime.conf").is_symlink()


def test_a_copy_of_a_directory_follows_no_link(
    stopped: Postmaster, bait: Path, engine_dir: Path
) -> None:
    (stopped.data_directory / "base" / "trap").symlink_to(bait / "file")
    with pytest.raises(OSError, match="symbolic links"):
        copy_tree(stopped.data_directory, engine_dir / "copy", stopped.user)
    assert not (engine_dir / "copy").exists()


def test_a_lock_file_that_is_a_pipe_holds_nobody_up(stopped: Postmaster) -> None:
    os.mkfifo(stopped.data_directory / "postmaster.pid")
    assert stopped.status() is None
    stopped.start({})
    assert stopped.status() == "ready"
    stopped.stop(Shutdown.IMMEDIATE)
