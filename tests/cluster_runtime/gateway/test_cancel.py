"""CancelRequests: those with a key of a session reach the server, no others do."""

import asyncio
import socket
import struct
import threading
import time
from typing import Any

import psycopg
import pytest
from psycopg import errors

from cluster_runtime.gateway.wire.cancel_keys import (
    CANCELS_WAITING_MAX,
    BackendKey,
    CancelKeys,
    CancelTarget,
)
from cluster_runtime.gateway.wire.protocol import CANCEL_REQUEST
from tests.cluster_runtime.gateway.test_clients import RUNS_LONG, read_and_cancel
from tests.cluster_runtime.gateway.test_gateway import everything, raw
from tests.waiting import wait_until


def cancel_request(pid: int, secret: bytes) -> bytes:
    return struct.pack("!III", 12 + len(secret), CANCEL_REQUEST, pid) + secret


def key_of(house: Any) -> BackendKey:
    """The key of the one open session."""
    (key,) = (target.key for target in house.endpoint.cancel_keys._targets.values())
    return key


def watched(house: Any) -> list[int]:
    """The processes that the backend is asked about from now on."""
    asked: list[int] = []

    async def may_cancel(pid: int) -> bool:
        asked.append(pid)
        return True

    house.backend.may_cancel = may_cancel
    return asked


@pytest.mark.parametrize("version", ["3.0", "3.2"])
@pytest.mark.parametrize(
    "forge",
    [
        lambda key: (key.pid, bytes(len(key.secret))),
        lambda key: (key.pid, key.secret[:-1] + bytes([key.secret[-1] ^ 1])),
        lambda key: (key.pid, key.secret[:4] + b"\0" * 4),
        lambda key: (key.pid, key.secret + b"x"),
        lambda key: (key.pid + 1, key.secret),
        lambda key: (0, key.secret),
    ],
)
def test_a_key_that_no_session_has_goes_nowhere(house: Any, version: str, forge: Any) -> None:
    house.configure(require_tls=False)
    asked = watched(house)
    with house.connect(max_protocol_version=version) as conn, conn.cursor() as cursor:
        with cursor.copy(RUNS_LONG.replace("60", "0.1")) as copy:
            assert copy.read()
            assert everything(raw(house, cancel_request(*forge(key_of(house))))) == b""
            list(copy)
        assert cursor.rowcount == 2
    assert asked == []


@pytest.mark.parametrize("version", ["3.0", "3.2"])
def test_the_right_key_cancels_and_is_forgotten_with_its_session(house: Any, version: str) -> None:
    asked = watched(house)
    with house.connect(max_protocol_version=version) as conn:
        key = key_of(house)
        assert len(key.secret) == (4 if version == "3.0" else 32)
        with conn.cursor() as cursor, pytest.raises(errors.QueryCanceled):
            read_and_cancel(
                cursor, lambda: everything(raw(house, cancel_request(key.pid, key.secret)))
            )
        assert asked == [key.pid]
    house.wait_until_idle()
    assert everything(raw(house, cancel_request(key.pid, key.secret))) == b""
    assert asked == [key.pid]


def test_a_key_of_one_endpoint_is_none_of_another(house: Any) -> None:
    other = house.call(house.gateway.open_endpoint(house.spec, house.backend))
    asked = watched(house)
    with house.connect():
        key = key_of(house)
        with socket.create_connection(("127.0.0.1", other.port)) as sock:
            sock.sendall(cancel_request(key.pid, key.secret))
            assert sock.recv(1) == b""
    assert asked == []


def test_a_flood_with_unknown_keys_reaches_no_server_and_delays_no_login(house: Any) -> None:
    asked = watched(house)
    stop = threading.Event()
    sent = 0

    def flood() -> None:
        nonlocal sent
        while not stop.is_set():
            raw(house, cancel_request(4242, struct.pack("!I", sent))).close()
            sent += 1

    def login_seconds() -> float:
        begin = time.perf_counter()
        with house.connect() as conn:
            conn.execute("select 1")
        return time.perf_counter() - begin

    threads = [threading.Thread(target=flood) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        logins = sorted(login_seconds() for _ in range(20))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert asked == []
    assert sent > 100
    assert logins[10] < 5  # each of them took seconds, or failed, while PostgreSQL was asked


def test_many_requests_of_one_session_are_one_load(house: Any) -> None:
    """Those beyond a few that wait are let go: one that waits is heard after them."""
    begun, go_on = asyncio.Event(), asyncio.Event()
    asked: list[int] = []

    async def may_cancel(pid: int) -> bool:
        asked.append(pid)
        begun.set()
        await go_on.wait()
        return False

    house.backend.may_cancel = may_cancel
    with house.connect():
        key = key_of(house)
        request = cancel_request(key.pid, key.secret)
        waiting = [raw(house, request)]
        house.call(begun.wait())
        waiting += [raw(house, request) for _ in range(CANCELS_WAITING_MAX - 1)]
        target = house.endpoint.cancel_keys.find(key)
        while target.waiting < CANCELS_WAITING_MAX:
            house.turn()
        assert everything(raw(house, request)) == b""
        # Those that wait take no place from strangers.
        wait_until(lambda: len(house.gateway.waiting_room) == 0)
        house.on_loop(go_on.set)
        assert [everything(each) for each in waiting] == [b""] * CANCELS_WAITING_MAX
    assert asked == [key.pid] * CANCELS_WAITING_MAX


def test_a_later_session_of_the_same_process_id_keeps_its_key(tmp_path: Any) -> None:
    keys = CancelKeys()
    older, newer = (CancelTarget(BackendKey(7, secret), tmp_path) for secret in (b"old!", b"new!"))
    keys.add(older)
    keys.add(newer)
    keys.discard(older)
    assert keys.find(BackendKey(7, b"old!")) is None
    assert keys.find(BackendKey(7, b"new!")) is newer
    keys.discard(newer)
    assert keys.find(BackendKey(7, b"new!")) is None


def test_no_key_shows_in_a_repr() -> None:
    assert "secret" not in repr(BackendKey(7, b"secret"))


def test_a_cancel_request_is_served_where_no_place_is_left(house: Any) -> None:
    house.reopen(unauthenticated_per_endpoint=1, unauthenticated_shared=0)
    asked = watched(house)
    with house.connect() as conn:
        blocked = asyncio.Event()

        async def login(user: str) -> None:
            await blocked.wait()

        house.backend.login = login

        def in_vain() -> None:
            with pytest.raises(psycopg.OperationalError):
                house.connect()

        thread = threading.Thread(target=in_vain)
        thread.start()
        while not any(
            not each.keeps_us_waiting for each in house.on_loop(list, house.endpoint._sessions)
        ):
            house.turn()
        conn.cancel_safe()
        house.on_loop(blocked.set)
        thread.join()
        assert asked == [conn.info.backend_pid]
