"""The port that leads to all endpoints: real clients, a real server, names told apart by TLS."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import make_conninfo

from cluster_runtime.engine import place
from cluster_runtime.errors import PortInUseError
from cluster_runtime.gateway import EndpointSpec
from tests.cluster_runtime.gateway.conftest import NAME, House, ServerBackend, make_token

INSTANCE = "notes-instance-1.abc123.us-east-1.localhost"
OTHER = "books.cluster-def456.us-east-1.localhost"


def silent(port: int) -> socket.socket:
    """A client that says nothing."""
    return socket.create_connection(("127.0.0.1", port), timeout=20)


class Shared:
    """A gateway with three endpoints and the port that leads to them."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.port: int = house.call(house.gateway.open_shared_port()).port
        house.configure(aliases=("notes",))
        self.backends = {NAME: house.backend}
        self.endpoints = {NAME: house.endpoint}
        for name, alias in ((INSTANCE, "notes-instance-1"), (OTHER, "books")):
            backend = ServerBackend(house.backend.socket_path)
            spec = EndpointSpec("cluster-DEF", (name,), aliases=(alias,))
            self.backends[name] = backend
            self.endpoints[name] = house.call(house.gateway.open_endpoint(spec, backend))

    def connect(self, host: str, **kwargs: Any) -> psycopg.Connection[Any]:
        return self.house.connect(host=host, port=self.port, **kwargs)

    def opened(self) -> dict[str, int]:
        """Of which endpoints somebody asked anything so far."""
        return {name: each.opened_ever for name, each in self.backends.items() if each.opened_ever}


@pytest.fixture
def shared(house: House) -> Iterator[Shared]:
    made = Shared(house)
    yield made
    house.call(house.gateway.close())
    assert not any(each.open_connections for each in made.backends.values())


def refused(shared: Shared, host: str, **kwargs: Any) -> str:
    with pytest.raises(psycopg.OperationalError) as caught:
        shared.connect(host, **kwargs)
    return str(caught.value)


@pytest.mark.parametrize("negotiation", ["postgres", "direct"])
@pytest.mark.parametrize("name", [NAME, INSTANCE, OTHER])
def test_each_name_is_verified_and_leads_to_its_endpoint(
    shared: Shared, name: str, negotiation: str
) -> None:
    with shared.connect(name, sslnegotiation=negotiation) as conn:
        assert conn.execute("select 1").fetchone() == (1,)
        (session,) = shared.endpoints[name].describe_sessions()
        assert session.endpoint == name
    assert shared.opened() == {name: 1}


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_both_loopback_addresses_have_the_port(shared: Shared, address: str) -> None:
    if address == "::1" and (missing := place.ipv6_loopback()):
        pytest.skip(f"no IPv6 on this machine: {missing}")
    with shared.connect(INSTANCE, hostaddr=address) as conn:
        conn.execute("select 1")
    with shared.connect(address, hostaddr=None, options="endpoint=notes-instance-1") as conn:
        conn.execute("select 1")
    assert shared.opened() == {INSTANCE: 2}


@pytest.mark.skipif(
    not place.endpoint_names_resolve(),
    reason="names under .localhost lead nowhere here: install libnss-myhostname",
)
@pytest.mark.parametrize("name", [NAME, INSTANCE])
def test_names_lead_here_by_themselves(shared: Shared, name: str) -> None:
    with shared.connect(name, hostaddr=None) as conn:
        conn.execute("select 1")
    assert shared.opened() == {name: 1}


@pytest.mark.parametrize("option", ["endpoint=books", "-c endpoint=books", f"endpoint={OTHER}"])
def test_a_client_that_calls_an_address_names_the_endpoint_in_its_options(
    shared: Shared, option: str
) -> None:
    with shared.connect("localhost", options=f"{option} -c work_mem=5MB") as conn:
        assert conn.execute("show work_mem").fetchone() == ("5MB",)
    assert shared.opened() == {OTHER: 1}
    uri = f"postgresql://app@localhost:{shared.port}/postgres?options=endpoint%3Dnotes"
    with psycopg.connect(uri, password=House.password, sslmode="require") as conn:
        conn.execute("select 1")
    assert shared.opened() == {OTHER: 1, NAME: 1}


def test_without_tls_the_option_names_it_and_its_demands_count(shared: Shared) -> None:
    assert "TLS only" in refused(shared, "localhost", sslmode="disable", options="endpoint=notes")
    shared.house.configure(require_tls=False)
    with shared.connect("localhost", sslmode="disable", options="endpoint=notes") as conn:
        conn.execute("select 1")
    assert shared.opened() == {NAME: 1}


def test_who_names_no_endpoint_hears_so_and_nothing_is_woken(shared: Shared) -> None:
    assert "options=endpoint=IDENTIFIER" in refused(shared, "localhost")
    assert 'there is no endpoint "nobody"' in refused(
        shared, "localhost", options="endpoint=nobody"
    )
    assert "another endpoint" in refused(shared, NAME, options="endpoint=books")
    assert shared.opened() == {}


def test_an_instance_that_is_gone_is_missed_by_name_and_not_for_its_certificate(
    shared: Shared,
) -> None:
    gone = "notes-instance-9.abc123.us-east-1.localhost"
    assert f'"{gone}" is no endpoint of this port' in refused(shared, gone)


def test_a_client_without_sni_verifies_an_address_and_binds_to_the_channel(
    shared: Shared,
) -> None:
    with shared.connect(
        "localhost", options="endpoint=books", sslsni="0", channel_binding="require"
    ) as conn:
        conn.execute("select 1")
    with shared.connect(OTHER, channel_binding="require") as conn:
        conn.execute("select 1")
    assert shared.opened() == {OTHER: 2}


def test_a_token_counts_for_the_name_and_the_shared_port_it_is_made_for(shared: Shared) -> None:
    token = make_token(shared.port, "agent", host=INSTANCE)
    with shared.connect(INSTANCE, user="agent", password=token) as conn:
        assert conn.execute("select current_user").fetchone() == ("agent",)
    for name, made in (
        (OTHER, token),
        (INSTANCE, make_token(shared.endpoints[INSTANCE].port, "agent", host=INSTANCE)),
        # A loopback address names no endpoint here: it would open those of every cluster.
        (INSTANCE, make_token(shared.port, "agent", host="127.0.0.1")),
        (INSTANCE, make_token(shared.port, "agent", host="localhost")),
    ):
        assert "password authentication failed" in refused(
            shared, name, user="agent", password=made
        )
    with shared.connect(
        "localhost", user="agent", password=token, options="endpoint=notes-instance-1"
    ) as conn:
        conn.execute("select 1")


def test_an_endpoint_that_ends_its_sessions_ends_those_of_the_shared_port(shared: Shared) -> None:
    with shared.connect(INSTANCE) as ends, shared.connect(OTHER) as stays:
        shared.house.call(shared.endpoints[INSTANCE].disconnect())
        with pytest.raises(errors.AdminShutdown):
            ends.execute("select 1")
        stays.execute("select 1")
    with shared.connect(INSTANCE) as conn:
        conn.execute("select 1")


def test_an_endpoint_is_called_otherwise_from_its_update_on(shared: Shared) -> None:
    renamed = NAME.replace("notes.", "renamed.")
    shared.house.configure(names=(renamed,))
    with shared.connect(renamed) as conn:
        conn.execute("select 1")
    assert "is no endpoint of this port" in refused(shared, NAME)
    shared.house.call(shared.house.gateway.close_endpoint(shared.endpoints[OTHER]))
    assert "is no endpoint" in refused(shared, OTHER, sslmode="require")


def test_a_statement_is_cancelled_by_the_shared_port_too(shared: Shared) -> None:
    with shared.connect(OTHER) as conn, shared.connect(NAME) as other:
        done = threading.Event()
        caught: list[Exception] = []

        def run() -> None:
            try:
                conn.execute("select pg_sleep(60)")
            except errors.QueryCanceled as error:
                caught.append(error)
            done.set()

        thread = threading.Thread(target=run)
        thread.start()
        while not done.wait(0.05):
            conn.cancel_safe(timeout=20)
        thread.join()
        assert len(caught) == 1
        other.execute("select 1")


def test_strangers_at_the_shared_port_cost_the_endpoints_no_place(house: House) -> None:
    house.reopen(
        unauthenticated_per_endpoint=2, unauthenticated_shared=0, unauthenticated_per_address=100
    )
    port = house.call(house.gateway.open_shared_port()).port
    strangers = [silent(port) for _ in range(5)]
    try:
        with house.connect() as conn:
            conn.execute("select 1")
        with house.connect(port=port) as conn:
            conn.execute("select 1")
    finally:
        for each in strangers:
            each.close()


def test_who_has_not_said_what_it_means_is_ended_with_the_port(shared: Shared) -> None:
    with closing(silent(shared.port)) as sock, shared.connect(NAME) as conn:
        conn.execute("select 1")
        shared.house.call(shared.house.gateway.close())
        assert sock.recv(1024)[:1] in (b"E", b"")
        with pytest.raises(psycopg.OperationalError):
            conn.execute("select 1")


def test_a_taken_port_is_an_error_and_no_shared_port_is_left(house: House) -> None:
    with pytest.raises(PortInUseError, match=str(house.endpoint.port)):
        house.call(house.gateway.open_shared_port(house.endpoint.port))
    assert house.gateway.shared_port is None


def test_the_certificate_is_that_of_the_name_in_every_handshake_at_once(shared: Shared) -> None:
    context = ssl.create_default_context(cafile=str(shared.house.certificates.root_path))
    context.set_alpn_protocols(["postgresql"])

    async def shown(name: str) -> set[str]:
        _, writer = await asyncio.open_connection(
            "127.0.0.1", shared.port, ssl=context, server_hostname=name
        )
        certificate = writer.get_extra_info("peercert")
        writer.close()
        return {value for kind, value in certificate["subjectAltName"] if kind == "DNS"}

    async def all_at_once() -> list[set[str]]:
        return list(await asyncio.gather(*(shown(name) for name in [NAME, INSTANCE, OTHER] * 5)))

    for name, names in zip([NAME, INSTANCE, OTHER] * 5, asyncio.run(all_at_once()), strict=True):
        assert name in names
        assert not names & ({NAME, INSTANCE, OTHER} - {name})


def test_an_unencrypted_startup_is_answered_in_clear(shared: Shared) -> None:
    dsn = make_conninfo(host="127.0.0.1", port=shared.port, user="app", sslmode="disable")
    with pytest.raises(psycopg.OperationalError, match="no endpoint was named"):
        psycopg.connect(dsn)
