"""What a session needs of the port that it came in by, and of the endpoint that it is at."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Protocol

from cluster_runtime.gateway.authentication.actions import Policy, Refusal
from cluster_runtime.gateway.authentication.iam import TokenRefusal
from cluster_runtime.gateway.authentication.tls import ServerCertificate
from cluster_runtime.gateway.backend import Login
from cluster_runtime.gateway.description import SessionDescription
from cluster_runtime.gateway.relay.reactor import Reactor
from cluster_runtime.gateway.relay.traffic import Traffic
from cluster_runtime.gateway.waking import Waking
from cluster_runtime.gateway.wire.cancel_keys import BackendKey, CancelKeys, CancelTarget
from cluster_runtime.logs import EventLogger


class Visitor(Protocol):
    """A session, for the endpoint that it is at."""

    description: SessionDescription | None
    """What is known of it once it is established."""

    @property
    def established(self) -> bool:
        """Whether the client is authenticated and joined to a server."""

    @property
    def server(self) -> Path | None:
        """The socket of the server that it is joined to; None before that."""

    def terminate(self, text: str) -> None:
        """End it now, with a FATAL where the protocol allows one."""

    def explain_cancel(self, answer: bytes) -> "asyncio.Future[None]":
        """Have its next cancelled statement answered so; done once that holds."""


class Door(Protocol):
    """What a session needs of its endpoint."""

    @property
    def name(self) -> str:
        """The name of the endpoint, for logs."""

    @property
    def cluster(self) -> str:
        """Resource id of the cluster behind it, for logs."""

    @property
    def policy(self) -> Policy:
        """What a client has to do to get in."""

    @property
    def reactor(self) -> Reactor:
        """Where the relay runs."""

    @property
    def buffer(self) -> memoryview:
        """The buffer that all relays share."""

    def traffic_of(self, server: Path) -> Traffic:
        """Where the bytes of the sessions of a server are counted."""

    @property
    def cancel_keys(self) -> CancelKeys:
        """Where the keys of sessions are kept."""

    async def may_cancel(self, pid: int) -> bool:
        """Whether a cancel request may reach a server process now."""

    def now(self) -> datetime:
        """The time of day, aware."""

    def joined(self, session: Visitor) -> None:
        """A session has found this endpoint."""

    def left(self, session: Visitor) -> None:
        """It has ended."""

    def opened(self) -> None:
        """A session has begun."""

    def closed(self) -> None:
        """A session has ended."""

    def admit(self) -> bool:
        """Take a slot; False if none is left."""

    def release(self) -> None:
        """Give a slot back."""

    async def login(self, user: str) -> Login | None:
        """Who a user is; None where there is no such role."""

    @property
    def waking(self) -> Waking:
        """What its clients wait for together."""

    def check_token(self, token: str, user: str, port: int) -> TokenRefusal | None:
        """Why an IAM token is refused; None if it is good. port: that the client came in by."""


class Entrance(Protocol):
    """The port that a session came in by: an endpoint's own, or the one that all share."""

    @property
    def log(self) -> EventLogger:
        """Where its sessions write."""

    @property
    def port(self) -> int:
        """Its number."""

    @property
    def door(self) -> Door | None:
        """The endpoint that it leads to; None where the client has to say."""

    def find(self, server_name: str | None, option: str | None) -> Door | Refusal:
        """The endpoint that a client means: by TLS, by its startup message."""

    @property
    def certificate(self) -> ServerCertificate:
        """The certificate to show to who calls no name that is known."""

    @property
    def mock_secret(self) -> bytes:
        """What the salts of users who do not exist are made from."""

    @property
    def authentication_timeout(self) -> float:
        """Seconds that a client has to authenticate."""

    def cancel_target(self, key: BackendKey) -> tuple[Door, CancelTarget] | None:
        """The session of a CancelRequest's key, and its endpoint."""
