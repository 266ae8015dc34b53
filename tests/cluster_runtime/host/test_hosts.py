"""One host for each state directory: attached to, started once, replaced when it ends."""

import asyncio
import errno
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest

from cluster_runtime import ClusterHandle, Runtime, ServerlessScaling
from cluster_runtime.api.access.signature import SigningKey
from cluster_runtime.api.client import host as client
from cluster_runtime.api.client.finding import read_facts
from cluster_runtime.api.client.host import HostClient
from cluster_runtime.api.client.transport import Address, post
from cluster_runtime.api.target import PROTOCOL
from cluster_runtime.control.operations.clusters import DescribeDBClusters, StartDBCluster
from cluster_runtime.control.records.options import RuntimeOptions
from cluster_runtime.control.records.state_directory import StateDirectory, read_access_key
from cluster_runtime.engine.system.processes import wait_until_gone
from cluster_runtime.errors import (
    BorealisError,
    CatalogCorruptedError,
    ClusterAlreadyExistsError,
    ClusterClosedError,
    ClusterNotFoundError,
    HostLostError,
    HostVersionError,
    InsufficientStorageError,
    InvalidParameterError,
    PortInUseError,
    StateDirectoryError,
    StateDirectoryInUseError,
)
from cluster_runtime.host import attaching, place
from cluster_runtime.host.attached import Attached, perform
from cluster_runtime.host.log_file import LOG
from cluster_runtime.host.serving import end_host, host_status, serving
from cluster_runtime.host.starting import arguments_for
from tests.cluster_runtime.control.test_host import postgres_below
from tests.hosts import end_hosts, host_of
from tests.places import reachable_folder
from tests.waiting import wait_until

NO_POOL = RuntimeOptions(warm_pool_size=0)


@pytest.fixture(autouse=True)
def _no_host_stays(state_dir: Path) -> Iterator[None]:
    yield
    if state_dir.exists():
        end_hosts(state_dir, orphans=True)


@pytest.fixture(scope="module")
def noted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Runtime, Path]]:
    """A program that hosts a cluster, and its state directory: for tests that change nothing."""
    path = tmp_path_factory.mktemp("noted")
    with Runtime.open(path, warm_pool_size=0) as opened:
        opened.create_db_cluster("notes")
        yield opened, path


def attach(state_dir: Path, **options: Any) -> Runtime:
    """A runtime over a host in the background."""
    return Runtime.open(state_dir, host="daemon", warm_pool_size=0, **options)


def pid_of(state_dir: Path) -> int:
    host = host_of(state_dir)
    assert host is not None
    return host.pid


def kill(state_dir: Path) -> int:
    pid = pid_of(state_dir)
    os.kill(pid, signal.SIGKILL)
    return pid


def test_whoever_opens_a_directory_in_use_sees_what_its_host_sees(
    runtime: Runtime, state_dir: Path
) -> None:
    made = runtime.create_db_cluster("notes")
    with Runtime.open(state_dir) as other:
        handle = other.cluster("notes")
        assert isinstance(handle, ClusterHandle)
        assert (handle.id, handle.identifier, handle.status) == (
            *(made.id, "notes"),
            made.status,
        )
        assert repr(handle) == repr(made)
        assert list(handle.instances) == list(made.instances)
        other.create_db_cluster_endpoint("notes", "some")
        for endpoint in ("notes-instance-1", "some"):
            handle.connect(endpoint).close()
        with pytest.raises(InvalidParameterError, match="no endpoint 'nothing'"):
            handle.dsn("nothing")
        assert other.describe_db_clusters() == runtime.describe_db_clusters()
        volume = runtime.describe_volume("notes")
        assert other.describe_volume("notes").volume_id == volume.volume_id
        with handle.connect(dbname="postgres") as conn:
            conn.execute("create table t as select 1 as x")
            (session,) = other.describe_sessions("notes")
            assert (session.usename, session.authentication) == ("postgres", "IAM token")
        with made.connect("reader") as conn:
            assert conn.execute("select x from t").fetchone() == (1,)
        changed = other.modify_db_cluster(
            "notes", serverless_v2_scaling_configuration=ServerlessScaling(0.5, 4)
        )
        assert changed == made.describe()
        other.modify_db_cluster("notes", new_db_cluster_identifier="renamed")
        assert (handle.identifier, made.identifier) == ("renamed", "renamed")
        other.stop_db_cluster("renamed")
        for one in (handle, made):
            with pytest.raises(ClusterClosedError, match="start_db_cluster"):
                one.dsn()
        other.delete_db_cluster("renamed")
        assert handle.status == made.status == "deleting"


@pytest.mark.parametrize(
    ("kind", "call"),
    [
        (ClusterNotFoundError, lambda one: one.cluster("nots")),
        (ClusterNotFoundError, lambda one: one.describe_db_clusters("nots")),
        (ClusterAlreadyExistsError, lambda one: one.create_db_cluster("notes")),
        (InvalidParameterError, lambda one: one.create_db_cluster("Bad Name")),
        (InvalidParameterError, lambda one: one.inject_fault("notes", "segment:z9", "crash")),
        (TypeError, lambda one: one.describe_db_clusters("notes", colour="blue")),
    ],
)
def test_an_error_is_the_same_for_whoever_is_attached(
    noted: tuple[Runtime, Path], kind: type[Exception], call: Any
) -> None:
    runtime, state_dir = noted
    with pytest.raises(kind) as here:
        call(runtime)
    with Runtime.open(state_dir) as other, pytest.raises(kind) as there:
        call(other)
    assert type(there.value) is type(here.value)
    assert there.value.args == here.value.args
    assert str(there.value) == str(here.value)


async def test_an_asynchronous_runtime_attaches_too(runtime: Runtime, state_dir: Path) -> None:
    async with Runtime.open(state_dir) as other:
        names = [f"one-{number}" for number in range(3)]
        handles = await asyncio.gather(*(other.create_db_cluster(name) for name in names))
        assert sorted(one.identifier for one in handles) == names
        async with await handles[0].aconnect() as conn:
            assert await (await conn.execute("select 1")).fetchone() == (1,)
        await other.warm()
    assert len(runtime.describe_db_clusters()) == 3


def test_a_copy_of_a_directory_in_use_has_a_host_of_its_own(
    runtime: Runtime, state_dir: Path
) -> None:
    cluster = runtime.create_db_cluster("original")
    copy, began = state_dir.with_name("copied"), datetime.now(UTC)
    shutil.copytree(state_dir, copy, ignore=shutil.ignore_patterns("*.sock", "run"))
    with Runtime.open(copy, warm_pool_size=0) as copied:
        assert copied.describe_host().state_directory == str(copy)
        with cluster.connect() as conn:  # no process of its is taken for the copy's
            started = conn.execute("select pg_postmaster_start_time() < %s", [began]).fetchone()
        assert started == (True,)
        copied.delete_db_cluster("original", skip_final_snapshot=True)
    cluster.connect().close()
    with Runtime.open(state_dir) as attached:
        assert [each.db_cluster_identifier for each in attached.describe_db_clusters()] == [
            "original"
        ]


async def test_a_call_that_its_caller_gives_up_is_cancelled_in_the_host(
    runtime: Runtime, state_dir: Path
) -> None:
    door = runtime._home.door
    async with Runtime.open(state_dir) as other:
        creating = asyncio.ensure_future(other.create_db_cluster("given-up"))
        await asyncio.to_thread(wait_until, lambda: door.application.used.calls)
        creating.cancel()
        with pytest.raises(asyncio.CancelledError):
            await creating
        await asyncio.to_thread(wait_until, lambda: not door.application.used.calls)
        assert await other.describe_db_clusters() == []


@pytest.mark.parametrize("asking", [4, pytest.param(16, marks=pytest.mark.long)])
def test_programs_that_ask_at_once_get_one_host(state_dir: Path, asking: int) -> None:
    script = (
        "import sys; from cluster_runtime import Runtime\n"
        "with Runtime.open(sys.argv[1], host='daemon', warm_pool_size=0) as runtime:\n"
        "    print(runtime._home.host_status().facts.pid, flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, str(state_dir)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    programs = [subprocess.Popen(command, **pipes) for _ in range(asking)]
    pids = {program.stdout.readline().strip() for program in programs}
    assert pids == {str(pid_of(state_dir))}
    found = host_status(state_dir)
    assert found is not None
    assert found.attached == asking + 1
    assert found.facts.kind == "background"
    for program in programs:
        program.communicate("")
        assert program.returncode == 0


def test_a_killed_host_is_replaced_at_the_same_address_and_nothing_is_lost(
    state_dir: Path,
) -> None:
    with attach(state_dir) as runtime:
        cluster = runtime.create_db_cluster("notes")
        before, key = cluster.describe(), read_access_key(state_dir)
        authority = (state_dir / "tls" / "ca.crt").read_bytes()
        with cluster.connect(autocommit=True) as conn:
            conn.execute("create table t (x int)")
            conn.execute("insert into t values (1)")
        servers = set(postgres_below(state_dir))
        killed = kill(state_dir)
        after = runtime.describe_db_clusters()[0]
        assert pid_of(state_dir) != killed
        assert (after.port, after.reader_port, after.endpoint) == (
            *(before.port, before.reader_port),
            before.endpoint,
        )
        assert read_access_key(state_dir) == key
        assert (state_dir / "tls" / "ca.crt").read_bytes() == authority
        with cluster.connect() as conn:
            assert conn.execute("select x from t").fetchall() == [(1,)]
        assert servers
        assert servers.isdisjoint(postgres_below(state_dir)), "the next host ends what it left"
    end_host(state_dir)
    assert postgres_below(state_dir) == []


def test_who_is_attached_and_asks_nothing_has_the_next_host_all_the_same(state_dir: Path) -> None:
    with attach(state_dir) as runtime:
        dsn = runtime.create_db_cluster("notes").dsn()
        killed = kill(state_dir)

        def answer() -> Any:
            try:
                with psycopg.connect(dsn) as conn:
                    return conn.execute("select 1").fetchone()
            except psycopg.OperationalError:
                return None

        assert wait_until(answer, 60) == (1,)
        assert pid_of(state_dir) != killed


def test_when_a_program_that_hosts_ends_those_attached_go_on_with_another_host(
    state_dir: Path,
) -> None:
    program = Runtime.open(state_dir, warm_pool_size=0)
    program.create_db_cluster("notes")
    with Runtime.open(state_dir, warm_pool_size=0) as other:
        assert other._home.host_status().facts.kind == "program"
        program.close()
        with other.cluster("notes").connect() as conn:
            assert conn.execute("select 1").fetchone() == (1,)
        assert other._home.host_status().facts.kind == "background"
        assert pid_of(state_dir) != os.getpid()


def test_a_full_disk_is_named_and_nothing_stays(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = place.write_facts

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(place, "write_facts", full)
    with pytest.raises(InsufficientStorageError, match=f"no space left on the disk of {state_dir}"):
        Runtime.open(state_dir, warm_pool_size=0)
    monkeypatch.setattr(place, "write_facts", write)
    with Runtime.open(state_dir, warm_pool_size=0) as runtime:
        monkeypatch.setattr(place, "write_facts", full)
        assert runtime.describe_db_clusters() == []
    monkeypatch.setattr(place, "write_facts", write)
    with Runtime.open(state_dir, warm_pool_size=0) as runtime:  # that one has let go of the lock
        assert runtime.describe_db_clusters() == []


def test_a_path_that_cannot_be_made_is_named() -> None:
    with pytest.raises(StateDirectoryError, match="/proc/nothing cannot be made or read"):
        Runtime.open("/proc/nothing")


def test_a_host_that_nobody_needs_ends_by_itself(state_dir: Path) -> None:
    with attach(state_dir) as runtime:
        runtime.create_db_cluster("notes")
    end_host(state_dir)
    attached = Attached.open(state_dir, arguments_for(NO_POOL, idle_seconds=0.1))
    host = host_of(state_dir)
    assert host is not None
    assert attached.host_status().idle_seconds_max == 0.1
    assert host.is_running()
    attached.close()
    assert wait_until_gone([host], 60) == []
    assert host_of(state_dir) is None
    assert '"idle": true' in (state_dir / LOG).read_text()


def test_a_host_that_starts_and_cannot_says_why_to_whoever_asked(state_dir: Path) -> None:
    with attach(state_dir) as runtime:
        runtime.create_db_cluster("notes")
    end_host(state_dir)
    catalog = state_dir / "catalog.sqlite"
    catalog.write_bytes(b"not a database" + catalog.read_bytes()[14:])
    with pytest.raises(CatalogCorruptedError, match="nothing was changed"):
        attach(state_dir)
    assert host_of(state_dir) is None


def test_a_directory_of_nobody_is_refused_as_by_a_host(state_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for host in ("daemon", "auto", "process"):
        with pytest.raises(StateDirectoryError, match="is not a directory"):
            Runtime.open(file, host=host)


@pytest.mark.parametrize(
    ("protocol", "said"),
    [(PROTOCOL - 1, "borealis serve --replace"), (PROTOCOL + 1, "upgrade this one")],
)
def test_a_host_of_another_release_is_named_with_what_to_do(
    noted: tuple[Runtime, Path], protocol: int, said: str
) -> None:
    _, state_dir = noted
    facts = read_facts(state_dir)
    place.write_facts(state_dir, replace(facts, protocol=protocol, version="0.0.9"))
    with pytest.raises(HostVersionError, match=rf"Borealis 0\.0\.9, which.*{said}"):
        Runtime.open(state_dir)
    place.write_facts(state_dir, facts)


def test_a_host_refuses_a_program_that_speaks_otherwise(
    noted: tuple[Runtime, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PROTOCOL", 0)
    with pytest.raises(HostVersionError, match=f"speaks protocol {PROTOCOL} and the program 0"):
        Runtime.open(noted[1])


def test_a_release_that_nobody_can_attach_to_is_named_with_its_process(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attaching, "UNNAMED_SECONDS_MAX", 0.1)
    older = StateDirectory.open(state_dir)
    with pytest.raises(StateDirectoryInUseError, match=f"process {os.getpid()}, of a release"):
        Runtime.open(state_dir)
    older.close()


def test_an_operation_that_an_older_host_lacks_is_named(noted: tuple[Runtime, Path]) -> None:
    with pytest.raises(HostVersionError, match=r"'ReticulateSplines'.*serve --replace"):
        HostClient.of(noted[1]).call("ReticulateSplines")


def test_nobody_is_answered_without_the_key_and_no_other_user_opens_the_socket(
    noted: tuple[Runtime, Path],
) -> None:
    _, state_dir = noted
    facts = read_facts(state_dir)
    assert stat.S_IMODE(facts.socket.stat().st_mode) == 0o600
    assert stat.S_IMODE((state_dir / "host.json").stat().st_mode) == 0o600
    stranger = HostClient(facts.socket, "AKIASTRANGER", SigningKey("guessed"))
    with pytest.raises(BorealisError, match="not known here"):
        stranger.perform(DescribeDBClusters())
    for name in ("DescribeDBClusters", "Attach", "Nothing"):
        headers = {"host": "localhost", "x-amz-target": f"Borealis.{name}"}
        assert post(Address(path=facts.socket), headers, b"{}").status == 403


def test_a_background_host_has_an_rds_endpoint_whose_port_stays(state_dir: Path) -> None:
    def rds() -> Any:
        found = host_status(state_dir)
        assert found is not None
        key = read_access_key(state_dir)
        return found.facts.endpoint_url, boto3.client(
            "rds",
            endpoint_url=found.facts.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id=key.access_key_id,
            aws_secret_access_key=key.secret_access_key,
        )

    with attach(state_dir) as runtime:
        url, boto = rds()
        boto.create_db_cluster(
            DBClusterIdentifier="made-by-boto3",
            Engine="aurora-postgresql",
            WithExpressConfiguration=True,
        )
        with runtime.cluster("made-by-boto3").connect() as conn:
            assert conn.execute("select 1").fetchone() == (1,)
        kill(state_dir)
        assert len(runtime.describe_db_clusters()) == 1
        again, client = rds()
        assert again == url
        (found,) = client.describe_db_clusters()["DBClusters"]
        assert found["DBClusterIdentifier"] == "made-by-boto3"
    end_host(state_dir)
    with Runtime.open(state_dir, warm_pool_size=0):
        program = host_status(state_dir)
        assert program is not None
        assert program.facts.endpoint_url is None
    with Runtime.open(state_dir, warm_pool_size=0, endpoint_port=0):
        assert rds()[0] == url


def test_the_shared_port_is_that_of_the_last_host(state_dir: Path) -> None:
    with attach(state_dir) as runtime:
        cluster = runtime.create_db_cluster("notes")
        port = runtime.describe_host().gateway_port
        assert port is not None
        with psycopg.connect(cluster.dsn(port=port)) as conn:
            assert conn.execute("select 1").fetchone() == (1,)
        kill(state_dir)
        assert runtime.describe_host().gateway_port == port
        status = host_status(state_dir)
        assert status is not None
        assert status.facts.gateway_port == port
    end_host(state_dir)
    with Runtime.open(state_dir, warm_pool_size=0, gateway_port=None) as without:
        assert without.describe_host().gateway_port is None
    taken = socket.create_server(("127.0.0.1", port))
    with taken, Runtime.open(state_dir, warm_pool_size=0) as moved:
        assert moved.describe_host().gateway_port not in (None, port)
        with pytest.raises(PortInUseError, match=str(port)):
            Runtime.open(state_dir / "other", host="process", warm_pool_size=0, gateway_port=port)
    with Runtime.open(state_dir, warm_pool_size=0, gateway_port=port) as chosen:
        assert chosen.describe_host().gateway_port == port


def test_a_directory_with_a_long_name_has_its_socket_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = reachable_folder()
    state = folder / ("long-" * 20) / "state"
    state.parent.mkdir()
    monkeypatch.setenv("TMPDIR", str(state.parent))
    with attach(state) as runtime:
        facts = runtime._home.host_status().facts
        assert not facts.socket.is_relative_to(state)
        assert stat.S_IMODE(facts.socket.parent.stat().st_mode) == 0o700
        kill(state)
        assert runtime.describe_db_clusters() == []
        assert not facts.socket.parent.exists()
        later = runtime._home.host_status().facts.socket
    end_host(state)
    assert not later.parent.exists()
    end_hosts(folder, orphans=True)


def test_serve_takes_the_place_of_a_background_host_and_attached_programs_follow(
    state_dir: Path,
) -> None:
    with attach(state_dir) as runtime:
        runtime.create_db_cluster("notes")
        with pytest.raises(StateDirectoryInUseError), serving(state_dir, NO_POOL):
            pass
        with serving(state_dir, NO_POOL, replace=True):
            assert runtime._home.host_status().facts.pid == os.getpid()
            assert [one.db_cluster_identifier for one in runtime.describe_db_clusters()] == [
                "notes"
            ]
            runtime.close()


def test_a_program_that_hosts_for_itself_is_ended_by_nobody_else(
    noted: tuple[Runtime, Path],
) -> None:
    runtime, state_dir = noted
    with pytest.raises(StateDirectoryInUseError, match="a program that others may not end"):
        end_host(state_dir)
    assert len(runtime.describe_db_clusters()) == 1


class Answerer:
    """Hosts of a made-up kind: each reads a request, and answers it or hangs up."""

    def __init__(self, folder: Path, *answers: bytes | None) -> None:
        self.requests: list[bytes] = []
        self.lost = 0
        self._answers = list(answers)
        self._path = folder / "sock"
        self._listener = place.listen(self._path)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def host(self) -> HostClient:
        return HostClient(self._path, "AKIA", SigningKey("secret"))

    def note_lost(self, host: HostClient) -> None:
        self.lost += 1

    def _run(self) -> None:
        for answer in self._answers:
            connection, _ = self._listener.accept()
            with connection:
                read = b""
                while b"\r\n\r\n" not in read or not read.endswith(b"}"):
                    read += connection.recv(65536)
                self.requests.append(read)
                if answer is not None:
                    connection.sendall(answer)

    def close(self) -> None:
        self._thread.join(10)
        self._listener.close()


def http(status: str, data: Any) -> bytes:
    body = json.dumps(data).encode()
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


EMPTY = http("200 OK", {"result": []})


def test_a_call_that_only_reads_is_asked_again_of_the_next_host(tmp_path: Path) -> None:
    hosts = Answerer(tmp_path, None, None, EMPTY)
    assert perform(DescribeDBClusters(), hosts.host, hosts.note_lost) == []
    hosts.close()
    assert (len(hosts.requests), hosts.lost) == (3, 2)


def test_a_call_that_changes_something_is_never_sent_twice(tmp_path: Path) -> None:
    hosts = Answerer(tmp_path, None)
    with pytest.raises(HostLostError, match="start_db_cluster was under way, so it may be done or"):
        perform(StartDBCluster("notes"), hosts.host, hosts.note_lost)
    hosts.close()
    assert (len(hosts.requests), hosts.lost) == (1, 1)


def test_a_call_that_no_host_took_goes_to_the_next_one(tmp_path: Path) -> None:
    ending = http("503 Service Unavailable", {})
    refused = {"error": {"class": ["ClusterNotFoundError"], "said": ["no"]}}
    hosts = Answerer(tmp_path, ending, http("400 Bad Request", refused))
    with pytest.raises(ClusterNotFoundError):
        perform(StartDBCluster("notes"), hosts.host, hosts.note_lost)
    hosts.close()
    assert (len(hosts.requests), hosts.lost) == (2, 1)


def test_hosts_that_all_end_are_not_asked_without_end(tmp_path: Path) -> None:
    nobody = HostClient(tmp_path / "none", "AKIA", SigningKey("s"))
    asked = []
    with pytest.raises(HostLostError, match="met 20 hosts"):
        perform(DescribeDBClusters(), lambda: asked.append(1) or nobody, lambda _: None)
    assert len(asked) == 20


@pytest.mark.slow
@pytest.mark.long
def test_twenty_killed_hosts_lose_nothing_of_what_clients_were_told(state_dir: Path) -> None:
    """Three programs write and ask while their host is killed, again and again."""
    with attach(state_dir) as runtime:
        runtime.create_db_cluster("notes")
        with runtime.cluster("notes").connect() as conn:
            conn.execute("create table t (client int, x int)")
        over = threading.Event()

        def work(client: int) -> list[int]:
            told: list[int] = []
            x = 0
            with Runtime.open(state_dir, host="daemon", warm_pool_size=0) as own:
                while not over.is_set():
                    x += 1
                    assert len(own.describe_db_clusters()) == 1
                    try:
                        with own.cluster("notes").connect(autocommit=True) as conn:
                            conn.execute("insert into t values (%s, %s)", [client, x])
                            told.append(x)
                    except psycopg.OperationalError:
                        continue
            return told

        with ThreadPoolExecutor(3) as pool:
            working = [pool.submit(work, client) for client in range(3)]
            killed: set[int] = set()
            for _ in range(20):
                wait_until(lambda: runtime.describe_db_clusters()[0].capacity, 120)
                killed.add(kill(state_dir))
            wait_until(lambda: runtime.describe_db_clusters()[0].capacity, 120)
            over.set()
            told = [one.result(120) for one in working]
        assert len(killed) == 20
        with runtime.cluster("notes").connect() as conn:
            for client, acknowledged in enumerate(told):
                rows = conn.execute("select x from t where client = %s", [client])
                assert set(acknowledged) <= {x for (x,) in rows}
                assert acknowledged
    end_host(state_dir)
    assert postgres_below(state_dir) == []
