"""The port that leads to all endpoints.

A client says which one it means: by the name it calls, with TLS (SNI), or by the option `endpoint`
of its startup message. Until then it is held back by the port's own limits; from then on it is as
good as one that came by the endpoint's own port.
"""

import socket
from collections.abc import Callable
from datetime import datetime
from typing import Protocol, TypeVar

from cluster_runtime.gateway.authentication.actions import Refusal
from cluster_runtime.gateway.authentication.tls import (
    CertificateAuthority,
    ServerCertificate,
    choose_by_name,
)
from cluster_runtime.gateway.doors import Door
from cluster_runtime.gateway.listener import ListeningSockets
from cluster_runtime.gateway.reception import Reception
from cluster_runtime.gateway.routes import Routes
from cluster_runtime.gateway.session import Session
from cluster_runtime.gateway.waiting_room import WaitingRoom
from cluster_runtime.gateway.wire.cancel_keys import BackendKey, CancelTarget
from cluster_runtime.logs import EventLogger, get_logger

DOMAIN_DOTS_MIN = 2
"""Of a domain that a wildcard is given for: a cluster, a region, localhost."""


class CertifiedDoor(Door, Protocol):
    """An endpoint that has a certificate of its own."""

    @property
    def certificate(self) -> ServerCertificate:
        """The current one."""


AnyDoor = TypeVar("AnyDoor", bound=CertifiedDoor)


class SharedPort:
    """An open port (`Entrance`); `Gateway.open_shared_port` makes it.

    routes: the endpoints by what they are called. cancel_target: finds the session of a key.
    """

    door = None

    def __init__(
        self,
        sockets: list[socket.socket],
        watched: ListeningSockets,
        routes: Routes[AnyDoor],
        certificates: CertificateAuthority,
        room: WaitingRoom[Session],
        *,
        now: Callable[[], datetime],
        mock_secret: bytes,
        authentication_timeout: float,
        cancel_target: Callable[[BackendKey], tuple[Door, CancelTarget] | None],
    ) -> None:
        self.log: EventLogger = get_logger(__name__)
        self.mock_secret = mock_secret
        self.authentication_timeout = authentication_timeout
        self.cancel_target = cancel_target
        self._routes = routes
        self._certificates = certificates
        self._now = now
        self._certificate: ServerCertificate | None = None
        self._of_domains: dict[str, ServerCertificate] = {}
        self._reception = Reception(sockets, watched, self, room)
        self.port = self._reception.port
        self.log.info("shared port opened", port=self.port)

    def close(self) -> None:
        """Take no more clients, and end those who have not said which endpoint they mean."""
        self._reception.close()
        self._reception.end_those_without_endpoint("the gateway is closing")

    def find(self, server_name: str | None, option: str | None) -> Door | Refusal:
        """The endpoint that a client means."""
        return self._routes.find(server_name, option)

    @property
    def certificate(self) -> ServerCertificate:
        """That of the loopback addresses; who calls an endpoint is shown the endpoint's."""
        if self._certificate is None or self._now() >= self._certificate.renew_at:
            self._certificate = self._certificates.server_certificate((), now=self._now())
            choose_by_name(self._certificate, self._certificate_of)
        return self._certificate

    def _certificate_of(self, server_name: str | None) -> ServerCertificate | None:
        """An endpoint's own; for a name beside those of a cluster one for all of its domain, so
        that who calls an instance that is gone hears that, and nothing of certificates.
        """
        endpoint = self._routes.named(server_name)
        if endpoint is not None:
            return endpoint.certificate
        domain = self._routes.domain_of(server_name)
        if domain is None or domain.count(".") < DOMAIN_DOTS_MIN:
            return None
        known = self._of_domains.get(domain)
        if known is None or self._now() >= known.renew_at:
            known = self._certificates.server_certificate((f"*.{domain}",), now=self._now())
            here = {one: of for one, of in self._of_domains.items() if self._has(one)}
            self._of_domains = {**here, domain: known}
        return known

    def _has(self, domain: str) -> bool:
        return self._routes.domain_of(f"any.{domain}") is not None
