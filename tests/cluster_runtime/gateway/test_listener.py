"""One port number on both loopback addresses, or none at all."""

import asyncio
import errno
import socket

import pytest

from cluster_runtime.errors import PortInUseError
from cluster_runtime.gateway import listener
from cluster_runtime.gateway.listener import bind_loopback

FAMILIES = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]


def test_a_free_port_is_the_same_on_both_addresses() -> None:
    sockets = bind_loopback(None)
    assert [sock.family for sock in sockets] == [family for family, _ in FAMILIES]
    assert len({sock.getsockname()[1] for sock in sockets}) == 1
    for sock in sockets:
        sock.close()


@pytest.mark.parametrize(("family", "host"), FAMILIES)
def test_a_port_taken_on_one_address_is_taken(family: socket.AddressFamily, host: str) -> None:
    with socket.socket(family) as other:
        other.bind((host, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortInUseError, match="another one"):
            bind_loopback(port)
    for sock in bind_loopback(port):  # the failed attempt has left nothing behind
        sock.close()


@pytest.mark.parametrize("room_is_made", [True, False])
async def test_running_out_of_file_descriptors_is_survived(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, room_is_made: bool
) -> None:
    unbearable = "PAUSE_AFTER_ERROR_SECONDS" if room_is_made else "PAUSE_WHILE_ROOM_IS_MADE_SECONDS"
    bearable = "PAUSE_WHILE_ROOM_IS_MADE_SECONDS" if room_is_made else "PAUSE_AFTER_ERROR_SECONDS"
    monkeypatch.setattr(listener, unbearable, 1000)
    monkeypatch.setattr(listener, bearable, 0.01)
    loop = asyncio.get_running_loop()
    accepted: asyncio.Future[socket.socket] = loop.create_future()
    failures, accept = [OSError(errno.EMFILE, "too many open files")], listener._accepted

    def scarce(sock: socket.socket) -> socket.socket:
        """On a machine that is out of file descriptors for a while."""
        if failures:
            raise failures.pop()
        return accept(sock)

    monkeypatch.setattr(listener, "_accepted", scarce)
    watched = listener.ListeningSockets(loop, lambda: room_is_made)
    listening = listener.Listener(watched, bind_loopback(None), accepted.set_result)
    with socket.create_connection(("127.0.0.1", listening.port)):
        (await asyncio.wait_for(accepted, 20)).close()
    listening.close()
    watched.close()
    assert "too many open files" in caplog.text


def test_a_machine_without_ipv6_is_served_on_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    listen = listener._listen

    def without_ipv6(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
        if family is socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return listen(family, host, port)

    monkeypatch.setattr(listener, "_listen", without_ipv6)
    (only,) = bind_loopback(None)
    assert only.family is socket.AF_INET
    only.close()
