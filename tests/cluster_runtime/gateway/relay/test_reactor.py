"""The thread that waits for the relays' sockets."""

import logging
import queue
import select
import socket
import threading
from collections.abc import Iterator

import pytest

from cluster_runtime.gateway.relay.reactor import EpollThread

pytestmark = pytest.mark.skipif(not hasattr(select, "epoll"), reason="needs epoll")


@pytest.fixture
def reactor() -> Iterator[EpollThread]:
    made = EpollThread("test-reactor")
    yield made
    made.close()
    assert "test-reactor" not in {thread.name for thread in threading.enumerate()}


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    left.setblocking(False)
    with left, right:
        yield left, right


def test_callbacks_run_on_its_thread_in_order(reactor: EpollThread) -> None:
    seen: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()
    for number in range(2000):
        reactor.call(lambda n=number: seen.put((n, threading.current_thread().name)))
    assert [seen.get(timeout=20) for _ in range(2000)] == [
        (number, "test-reactor") for number in range(2000)
    ]


def test_reading_and_writing_are_waited_for_apart(
    reactor: EpollThread, pair: tuple[socket.socket, socket.socket]
) -> None:
    left, right = pair
    events: queue.SimpleQueue[str] = queue.SimpleQueue()
    fd = left.fileno()

    def readable() -> None:
        events.put(left.recv(100).decode())

    def writable() -> None:
        reactor.remove_writer(fd)
        events.put("writable")

    reactor.call(lambda: reactor.add_reader(fd, readable))
    right.send(b"one")
    assert events.get(timeout=20) == "one"
    reactor.call(lambda: reactor.add_writer(fd, writable))
    assert events.get(timeout=20) == "writable"
    right.send(b"two")
    assert events.get(timeout=20) == "two"
    reactor.call(lambda: reactor.remove_reader(fd))
    reactor.call(lambda: reactor.add_writer(fd, writable))
    assert events.get(timeout=20) == "writable"
    assert events.empty()


def test_a_hang_up_reaches_a_writer_that_nobody_reads_beside(
    reactor: EpollThread, pair: tuple[socket.socket, socket.socket]
) -> None:
    left, right = pair
    hung_up = threading.Event()
    while True:  # fill it up, so that only the hang-up can be the event
        try:
            left.send(b"x" * 65536)
        except BlockingIOError:
            break

    def writable() -> None:
        reactor.remove_writer(left.fileno())
        hung_up.set()

    reactor.call(lambda: reactor.add_writer(left.fileno(), writable))
    right.close()
    assert hung_up.wait(20)


def test_a_callback_that_fails_is_reported_and_the_others_go_on(
    reactor: EpollThread,
    pair: tuple[socket.socket, socket.socket],
    caplog: pytest.LogCaptureFixture,
) -> None:
    left, right = pair
    caplog.set_level(logging.ERROR)
    failed = threading.Event()

    def readable() -> None:
        failed.set()
        raise ZeroDivisionError("a bug")

    reactor.call(lambda: reactor.add_reader(left.fileno(), readable))
    right.send(b"never read: it would be called again and again")
    assert failed.wait(20)
    alive = threading.Event()
    reactor.call(alive.set)
    assert alive.wait(20)
    assert caplog.text.count("relay failed") == 1
