"""What a `Runtime` lets its users do with the gateway, over real clusters."""

import socket
import threading
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cluster_runtime import AsyncRuntime, ClusterHandle, GatewayLimits, Runtime
from cluster_runtime.errors import InvalidParameterError
from tests.cluster_runtime.gateway.conftest import signer

PASSWORD = "correct-horse-battery"


@pytest.fixture(scope="module")
def notes(shared_runtime: Runtime) -> ClusterHandle:
    return shared_runtime.create_db_cluster("notes", master_user_password=PASSWORD)


def by_password(cluster: ClusterHandle, **kwargs: Any) -> psycopg.Connection[Any]:
    facts = psycopg.conninfo.conninfo_to_dict(cluster.dsn())
    return psycopg.connect(**{**facts, "password": PASSWORD, "autocommit": True, **kwargs})


def test_clients_in_their_startup_wait_through_failovers_and_pauses(
    shared_runtime: Runtime, notes: ClusterHandle
) -> None:
    """Found by use: one in eight was ended in the middle of its startup."""
    outcomes = Counter[str]()
    over = threading.Event()

    def come_and_go() -> None:
        while not over.is_set():
            try:
                by_password(notes).close()
                outcomes["in"] += 1
            except psycopg.Error as error:
                outcomes[str(error)] += 1

    def come_and_go_with_a_token() -> None:
        while not over.is_set():
            try:
                notes.connect().close()
                outcomes["in"] += 1
            except psycopg.Error as error:
                outcomes[str(error)] += 1

    threads = [threading.Thread(target=come_and_go) for _ in range(6)]
    threads += [threading.Thread(target=come_and_go_with_a_token) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        shared_runtime.failover_db_cluster("notes")
        shared_runtime.pause_db_cluster("notes")
    over.set()
    for thread in threads:
        thread.join()
    assert outcomes.keys() == {"in"}


@pytest.mark.parametrize(
    "demand",
    [
        {},
        {"require_auth": "scram-sha-256"},
        {"channel_binding": "require"},
        {"channel_binding": "require", "sslnegotiation": "direct"},
        {"require_auth": "scram-sha-256", "channel_binding": "disable"},
    ],
)
def test_a_master_with_a_password_uses_scram_and_its_token_still_opens(
    notes: ClusterHandle, demand: dict[str, str]
) -> None:
    with by_password(notes, **demand) as conn:
        assert conn.execute("select current_user").fetchone() == ("postgres",)
    with psycopg.connect(notes.dsn()) as conn:
        assert conn.execute("select current_user").fetchone() == ("postgres",)
    with psycopg.connect(notes.dsn(), options="-c borealis.auth=iam") as conn:
        assert conn.execute("select current_user").fetchone() == ("postgres",)


def test_the_address_of_a_client_is_shown_beside_pg_stat_activity(
    shared_runtime: Runtime, notes: ClusterHandle
) -> None:
    before = datetime.now(UTC)
    with (
        by_password(notes, application_name="agent 7", hostaddr="::1") as one,
        notes.connect("reader") as other,
    ):
        shown = {each.pid: each for each in shared_runtime.describe_sessions("notes")}
        assert shown.keys() == {one.info.backend_pid, other.info.backend_pid}
        activity = dict(
            one.execute("select pid, backend_start from pg_stat_activity where client_port = -1")
        )
        assert shown.keys() <= activity.keys()
        mine = shown[one.info.backend_pid]
        assert (mine.usename, mine.datname, mine.application_name) == (
            "postgres", "postgres", "agent 7",
        )  # fmt: skip
        with socket.socket(socket.AF_INET6, fileno=socket.dup(one.fileno())) as peer:
            assert (mine.client_addr, mine.client_port) == peer.getsockname()[:2]
        assert (mine.ssl, mine.ssl_version) == (True, "TLSv1.3")
        assert mine.ssl_cipher is not None
        assert mine.authentication == "SCRAM-SHA-256-PLUS"
        assert mine.endpoint == notes.describe().endpoint
        assert before <= mine.backend_start <= datetime.now(UTC)
        theirs = shown[other.info.backend_pid]
        assert (theirs.client_addr, theirs.authentication) == ("127.0.0.1", "IAM token")
        assert theirs.endpoint == notes.describe().reader_endpoint


def session_token(cluster: ClusterHandle, key: str, secret: str, token: str | None) -> str:
    facts = cluster.describe()
    client = signer(facts.region, key, secret, token)
    made: str = client.generate_db_auth_token(facts.endpoint, facts.port, facts.master_username)
    return made


async def test_temporary_credentials_open_connections_once_they_are_registered(
    shared_runtime: Runtime, notes: ClusterHandle
) -> None:
    expires = datetime.now(UTC) + timedelta(minutes=5)
    asynchronous = AsyncRuntime(shared_runtime._home)
    shared_runtime.register_session("ASIAFIRST", "secret/one", "token//one==", expires)
    await asynchronous.register_session("ASIASECOND", "secret/two", "token//two==", expires)
    for key, word in (("ASIAFIRST", "one"), ("ASIASECOND", "two")):
        password = session_token(notes, key, f"secret/{word}", f"token//{word}==")
        with by_password(notes, password=password) as conn:
            assert conn.execute("select current_user").fetchone() == ("postgres",)
            (session,) = await asynchronous.describe_sessions("notes")
            assert session.authentication == "IAM token"
    for wrong in (
        session_token(notes, "ASIAFIRST", "secret/one", "token//two=="),
        session_token(notes, "ASIAFIRST", "secret/one", None),
        session_token(notes, "ASIATHIRD", "secret/one", "token//one=="),
    ):
        with pytest.raises(psycopg.OperationalError, match="authentication failed"):
            by_password(notes, password=wrong)
    with pytest.raises(InvalidParameterError, match="expired"):
        shared_runtime.register_session("ASIA", "s", "t", datetime(2020, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "statement",
    [
        "alter role postgres set synchronous_commit = off",
        "alter database postgres set synchronous_commit = local",
        "alter role postgres in database postgres set synchronous_commit = remote_write",
    ],
)
def test_nobody_makes_the_commits_of_others_lie(
    shared_runtime: Runtime, notes: ClusterHandle, statement: str
) -> None:
    with by_password(notes) as conn:
        conn.execute(statement)
    try:
        for endpoint in ("writer", "reader"):
            with notes.connect(endpoint) as conn:  # type: ignore[arg-type]
                assert conn.execute("show synchronous_commit").fetchone() == ("on",)
                conn.execute("set synchronous_commit = off")
                assert conn.execute("show synchronous_commit").fetchone() == ("off",)
        shared_runtime.pause_db_cluster("notes")  # roles are remembered while it is paused
        with by_password(notes) as conn:
            assert conn.execute("show synchronous_commit").fetchone() == ("on",)
    finally:
        with by_password(notes) as conn:
            conn.execute(statement.partition(" set ")[0] + " reset synchronous_commit")


def test_limits_are_chosen_when_a_runtime_is_opened(state_dir: Path) -> None:
    limits = GatewayLimits(
        max_connections=2, unauthenticated_per_endpoint=3, unauthenticated_shared=1
    )
    with Runtime.open(state_dir, warm_pool_size=0, gateway_limits=limits) as runtime:
        cluster = runtime.create_db_cluster("notes")
        port = cluster.describe().port
        with ExitStack() as stack:
            silent = [
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
                for _ in range(5)
            ]
            assert b"C53300\0" in silent[0].recv(4096)
            with cluster.connect(), cluster.connect():
                with pytest.raises(psycopg.OperationalError, match="too many clients"):
                    cluster.connect()
                with cluster.connect("reader") as reader:
                    assert reader.execute("select 1").fetchone() == (1,)
