"""What is known of an established session: PostgreSQL only sees a unix socket."""

import socket
import ssl
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """One session of a cluster, in the words of `pg_stat_activity` and `pg_stat_ssl`.

    pid: of its server process, which joins it to `pg_stat_activity`.
    endpoint: name of the endpoint that it came through.
    client_addr, client_port: where it came from.
    ssl_version, ssl_cipher: None without TLS.
    authentication: SCRAM-SHA-256, SCRAM-SHA-256-PLUS (bound to the channel) or IAM token.
    application_name: as at its start.
    """

    pid: int
    usename: str
    datname: str
    application_name: str
    endpoint: str
    client_addr: str
    client_port: int
    ssl_version: str | None
    ssl_cipher: str | None
    authentication: str
    backend_start: datetime

    @property
    def ssl(self) -> bool:
        """Whether the client speaks TLS."""
        return self.ssl_version is not None


def address_of(sock: socket.socket) -> tuple[str, int]:
    """Address and port of the peer."""
    try:
        host, port, *_ = sock.getpeername()
    except OSError:  # gone already
        return "unknown", 0
    return host, port


def tls_of(sock: socket.socket) -> tuple[str | None, str | None]:
    """Version and cipher of a connection in TLS; two times None without TLS."""
    if not isinstance(sock, ssl.SSLSocket):
        return None, None
    cipher = sock.cipher()
    return sock.version(), cipher[0] if cipher else None
