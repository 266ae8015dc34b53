"""One port number on both loopback addresses, or none at all."""

import socket

import pytest

from cluster_runtime.errors import PortInUseError
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
