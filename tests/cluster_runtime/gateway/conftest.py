"""A PostgreSQL of the engine, and a gateway before it on an event loop of its own."""

import asyncio
import secrets
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
import uvloop

from cluster_runtime.control.loop_thread import LoopThread
from cluster_runtime.engine.home import SOCKET_NAME, shared_directory
from cluster_runtime.engine.installation import find_installation
from cluster_runtime.engine.postmaster import Postmaster, superuser_connection
from cluster_runtime.engine.sandbox.os_user import engine_user
from cluster_runtime.engine.template import ensure_template
from cluster_runtime.gateway import (
    LOGIN_QUERY,
    CertificateAuthority,
    Endpoint,
    EndpointSpec,
    Gateway,
    GatewayLimits,
    Login,
    SigningKey,
    make_verifier,
)
from tests.places import PLACE

REGION = "us-east-1"
NAME = "notes.cluster-abc123.us-east-1.localhost"
ACCESS_KEY_ID = "AKIDEXAMPLE000000001"
SECRET_ACCESS_KEY = "a-secret-of-the-tests-that-signs-tokens"
PASSWORD = "correct horse b@ttery/staple"


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The relay is tested on both kinds of loop; what is a client elsewhere needs but one."""
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
        "asyncio": asyncio.new_event_loop
    }
    if item.path.name == "test_relay.py":
        factories["uvloop"] = uvloop.new_event_loop
    return factories


@pytest.fixture(scope="session")
def postmaster() -> Iterator[Postmaster]:
    """A running PostgreSQL with the roles of the template, and three more."""
    user = engine_user()
    installation = find_installation().reachable_by(user, shared_directory(user))
    template = ensure_template(installation, user, shared_directory(user))
    home = Path(tempfile.mkdtemp(prefix="borealis-gateway-", dir=PLACE))
    user.own(home)
    template.copy_to(home / "data", secrets.randbits(63))
    server = Postmaster(installation, user, home / "data", home / "s", home / "log")
    server.start({"fsync": False})
    try:
        with superuser_connection(server) as conn:
            for role, iam in (("app", False), ("agent", True), ("either", True)):
                conn.execute(f"create role {role} login")
                if iam:
                    conn.execute(f"grant rds_iam to {role}")
            for role in ("app", "either"):
                conn.execute(f"alter role {role} password '{make_verifier(PASSWORD)}'")
            conn.execute(
                "create role expired login password "
                f"'{make_verifier(PASSWORD)}' valid until '2020-01-01'"
            )
            conn.execute("grant create on schema public to app, agent")
        yield server
    finally:
        server.stop()
        shutil.rmtree(home)


@dataclass
class ServerBackend:
    """The Backend of a server that runs already; counts what it is asked."""

    socket_path: Path
    paused: bool = False
    wakes: int = 0
    open_connections: int = 0
    opened_ever: int = 0
    logins: list[str] = field(default_factory=list)
    failure: Exception | None = None
    asleep: asyncio.Event | None = None
    """What a wake waits for, if it is to take its time."""
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    idle: asyncio.Event = field(default_factory=asyncio.Event)
    looking_up: set[asyncio.Task[Any]] = field(default_factory=set)

    async def login(self, user: str) -> Login | None:
        self.logins.append(user)
        task = asyncio.current_task()
        assert task is not None
        self.looking_up.add(task)
        task.add_done_callback(self.looking_up.discard)
        async with await psycopg.AsyncConnection.connect(
            host=str(self.socket_path.parent), user="rdsadmin", dbname="postgres"
        ) as conn:
            cursor = await conn.execute("select oid from pg_authid where rolname = 'rds_iam'")
            (iam,) = await cursor.fetchone() or (None,)
            row = await (await conn.execute(LOGIN_QUERY, (user, iam))).fetchone()
        return Login(*row) if row else None

    async def wake(self) -> Path:
        self.wakes += 1
        if self.failure is not None:
            raise self.failure
        if self.asleep is not None:
            self.waiting.set()
            await self.asleep.wait()
        self.paused = False
        return self.socket_path

    def route(self, woken: Path) -> Path:
        return woken

    async def may_cancel(self, pid: int) -> bool:
        return True

    def opened(self) -> None:
        self.open_connections += 1
        self.opened_ever += 1
        self.idle.clear()

    def closed(self) -> None:
        self.open_connections -= 1
        if not self.open_connections:
            self.idle.set()


class House:
    """A gateway with one endpoint, and how to reach it."""

    name = NAME
    region = REGION
    password = PASSWORD

    def __init__(self, tls_directory: Path, socket_path: Path) -> None:
        self.thread = LoopThread("gateway-test")
        self.clock_offset = timedelta(0)
        self.certificates = CertificateAuthority.open(tls_directory)
        self.backend = ServerBackend(socket_path)
        self.spec = EndpointSpec(cluster="cluster-ABC", names=(NAME,))
        self.gateway = self.new_gateway()
        self.endpoint: Endpoint = self.call(self.gateway.open_endpoint(self.spec, self.backend))

    def new_gateway(self, **kwargs: Any) -> Gateway:
        return Gateway(
            certificates=self.certificates,
            access_keys={ACCESS_KEY_ID: SigningKey(SECRET_ACCESS_KEY)},
            region=REGION,
            now=lambda: datetime.now(UTC) + self.clock_offset,
            **kwargs,
        )

    def call(self, coroutine: Any) -> Any:
        return self.thread.call(coroutine)

    def on_loop(self, function: Any, *args: Any) -> Any:
        async def run() -> Any:
            return function(*args)

        return self.call(run())

    def configure(self, **changes: Any) -> None:
        self.spec = replace(self.spec, **changes)
        self.on_loop(self.gateway.update_endpoint, self.endpoint, self.spec)

    def reopen(self, **limits: Any) -> None:
        """The same endpoint at a gateway with other limits."""
        self.call(self.gateway.close())
        self.gateway = self.new_gateway(limits=GatewayLimits(**limits))
        self.endpoint = self.call(self.gateway.open_endpoint(self.spec, self.backend))

    def connect(self, **kwargs: Any) -> psycopg.Connection[Any]:
        return psycopg.connect(**{**self.conninfo(), "autocommit": True, **kwargs})

    def conninfo(self, **kwargs: Any) -> dict[str, Any]:
        return {
            "host": NAME,
            "hostaddr": "127.0.0.1",
            "port": self.endpoint.port,
            "user": "app",
            "password": PASSWORD,
            "dbname": "postgres",
            "sslmode": "verify-full",
            "sslrootcert": str(self.certificates.root_path),
            "connect_timeout": 20,
            **kwargs,
        }

    def token(self, user: str = "agent", **kwargs: Any) -> str:
        return make_token(self.endpoint.port, user, **kwargs)

    def wait_until_idle(self) -> None:
        """Until the backend has been told that its last connection is closed."""
        self.call(asyncio.wait_for(self.backend.idle.wait(), 20))

    def turn(self) -> None:
        """Let the gateway's event loop go round once."""
        self.on_loop(lambda: None)

    def settle(self) -> None:
        """End all connections, and wait for what went on without its client."""

        async def wait() -> None:
            await self.endpoint.disconnect(starting_ones_too=True)
            if self.backend.looking_up:
                await asyncio.wait(self.backend.looking_up)

        self.call(wait())

    def close(self) -> None:
        self.call(self.gateway.close())
        self.thread.close()


def make_token(
    port: int,
    user: str,
    *,
    host: str = NAME,
    region: str = REGION,
    key_id: str = ACCESS_KEY_ID,
    secret: str = SECRET_ACCESS_KEY,
    session: str | None = None,
) -> str:
    token: str = signer(region, key_id, secret, session).generate_db_auth_token(host, port, user)
    return token


@cache  # making one takes longer than most tests that need it
def signer(region: str, key_id: str, secret: str, session: str | None) -> Any:
    """boto3's client with these credentials, which signs tokens without asking anybody."""
    return boto3.client(
        "rds",
        region_name=region,
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        aws_session_token=session,
    )


@pytest.fixture
def house(postmaster: Postmaster, tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / f"tls-{uuid.uuid4().hex}", postmaster.socket_directory / SOCKET_NAME)
    yield made
    made.close()
    assert made.backend.open_connections == 0
