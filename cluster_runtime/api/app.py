"""The endpoint as an ASGI application: who may ask, and which service answers.

One for all who ask a host: attached programs and commands on its socket, AWS's tools on its port.
Every request is signed (`access.signature`); one that a browser sends, or that names another host
than this one (DNS rebinding), is refused before anything else is looked at.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from cluster_runtime._awaited import AwaitedOperations
from cluster_runtime.api import asgi
from cluster_runtime.api.access.bearer import TOKEN_FILE, MetricsToken
from cluster_runtime.api.access.credentials import Credentials, Identity
from cluster_runtime.api.access.signature import HttpRequest, Signer, check_signature
from cluster_runtime.api.asgi import CallerLeftError, Receive, Scope, Send
from cluster_runtime.api.protocols import cbor
from cluster_runtime.api.refusals import FORBIDDEN, SERVER_ERROR, TOO_LARGE, RefusedRequestError
from cluster_runtime.api.services import prometheus
from cluster_runtime.api.services.cloudwatch import cloudwatch_operations, cloudwatch_services
from cluster_runtime.api.services.iam import Policies, iam_operations
from cluster_runtime.api.services.ours import OurService
from cluster_runtime.api.services.rds import rds_operations
from cluster_runtime.api.services.secrets import secrets_operations
from cluster_runtime.api.services.service import (
    Answer,
    ByProtocol,
    Fault,
    JsonService,
    QueryService,
    Service,
)
from cluster_runtime.api.services.sts import sts_operations
from cluster_runtime.api.target import SERVICE
from cluster_runtime.control.operations.declaration import Request
from cluster_runtime.errors import BorealisError
from cluster_runtime.logs import get_logger
from cluster_runtime.tracing import continued

BODY_MAX_BYTES = 1 << 20
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
"""What a `Host` header may name, the port left out."""

OF_A_REGION = frozenset({"monitoring", "rds", "secretsmanager"})
"""Services that hold something of a region: requests must be signed for it."""
POLICIES_FILE = "policies.json"

_FROM_A_BROWSER = ("origin", "sec-fetch-site", "sec-fetch-mode")
_BAD_REQUEST = 400
_STATUS = {"InvalidParameterValue": _BAD_REQUEST, "InvalidParameterCombination": _BAD_REQUEST}
"""Of the common errors, which no operation lists."""

_log = get_logger(__name__)


@dataclass(slots=True)
class Counted:
    """Who uses the endpoint now. attached: processes. calls: under way."""

    attached: int = 0
    calls: int = 0


def build_app(
    runtime: AwaitedOperations,
    credentials: Credentials,
    perform: Callable[[Request], Awaitable[Any]],
    *,
    region: str,
    allowed_hosts: Collection[str] = LOCAL_HOSTS,
) -> "Endpoint":
    """The endpoint of a runtime (an `AsyncRuntime`).

    credentials: what requests may be signed with; policies stand in their directory.
    perform: performs an operation, or what programs ask of a host beside those (`api.calls`).
    region: that of the clusters. allowed_hosts: names that a `Host` header may have, without the
    port.
    """
    policies = Policies(credentials.directory and credentials.directory / POLICIES_FILE)
    services: dict[str, Service | ByProtocol] = {
        "rds": QueryService("rds", rds_operations(runtime)),
        "sts": QueryService("sts", sts_operations(runtime, credentials)),
        "secretsmanager": JsonService("secretsmanager", secrets_operations(runtime)),
        "iam": QueryService("iam", iam_operations(policies)),
        "monitoring": cloudwatch_services(cloudwatch_operations(runtime)),
        SERVICE: OurService(perform),
    }
    directory = credentials.directory
    token = MetricsToken.of(directory) if directory is not None else MetricsToken(None)
    scraped = partial(prometheus.exposition, runtime)
    return Endpoint(services, credentials, region, frozenset(allowed_hosts), token, scraped)


class Endpoint:
    """Answers requests. An ASGI application.

    clock: aware, for the 15 minutes that a signature counts.
    """

    def __init__(
        self,
        services: Mapping[str, Service | ByProtocol],
        credentials: Credentials,
        region: str,
        allowed_hosts: frozenset[str],
        token: MetricsToken,
        scraped: Callable[[datetime], Awaitable[bytes]],
    ) -> None:
        self.used = Counted()
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self._services = services
        self._credentials = credentials
        self._region = region
        self._allowed_hosts = allowed_hosts
        self._token, self._scraped = token, scraped
        self._ending = asyncio.Event()
        self._under_way: set[asyncio.Task[Answer]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request_id = str(uuid4())
        headers = asgi.headers_of(scope)
        # Whom the request is for is not known yet: a refusal is in the protocol that it speaks.
        service = self._speaking(_likely(headers), headers)
        try:
            if (scope["method"], scope["path"]) == ("GET", prometheus.PATH):
                await self._send(await self._scrape(scope, headers), request_id, receive, send)
                return
            request = await self._request(scope, headers, receive)
            now = self.clock()
            signer = check_signature(request, key_of=self._credentials.key, now=now)
            service = self._service(signer, headers)
            if self._ending.is_set():
                raise RefusedRequestError(
                    "the host ends",
                    fault="ServiceUnavailable",
                    status=HTTPStatus.SERVICE_UNAVAILABLE,
                )
            identity = self._credentials.identity(signer.access_key_id)
            with continued(headers):
                performing = asyncio.ensure_future(
                    self._answer(service, request, identity, now, request_id)
                )
            answer = await self._performed(performing, service, receive)
        except CallerLeftError:
            return
        except Exception as error:  # noqa: BLE001 - the last one who can answer
            if not service.ready and service.refuses_by_model:
                await asyncio.to_thread(service.prepare)
            answer = service.refusal(_fault(error, service), request_id)
        await self._send(answer, request_id, receive, send)

    async def end(self, patience_seconds: float) -> None:
        """Take no more calls; return when those under way have ended, or been cancelled."""
        self._ending.set()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=patience_seconds)
        for task in self._under_way:
            task.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def _request(
        self, scope: Scope, headers: Mapping[str, str], receive: Receive
    ) -> HttpRequest:
        """The request, from somebody who may ask. Raises RefusedRequestError, CallerLeftError."""
        self._check_sender(headers)
        names_it = headers.get(cbor.HEADER) == cbor.NAME and scope["path"].startswith(cbor.PATH)
        if scope["method"] != "POST" or not (names_it or scope["path"] == "/"):
            raise RefusedRequestError(
                "every request is a POST of /",
                fault="InvalidAction",
                status=HTTPStatus.METHOD_NOT_ALLOWED,
            )
        body = await asgi.body_of(receive, BODY_MAX_BYTES)
        if body is None:
            raise RefusedRequestError(
                f"a request has at most {BODY_MAX_BYTES} bytes",
                fault="RequestEntityTooLarge",
                status=TOO_LARGE,
            )
        query = scope["query_string"].decode("latin-1")
        by_socket = asgi.is_by_socket(scope)
        return HttpRequest(scope["method"], scope["path"], query, headers, body, by_socket)

    async def _scrape(self, scope: Scope, headers: Mapping[str, str]) -> Answer:
        """The metrics as text, for who shows the token or signs. Raises RefusedRequestError."""
        self._check_sender(headers)
        now = self.clock()
        fits = self._token.fits(headers.get("authorization", ""))
        if fits is False:
            raise RefusedRequestError(
                f"the bearer token is not that of the file {TOKEN_FILE} in the state directory",
                fault="AccessDenied",
                status=HTTPStatus.UNAUTHORIZED,
            )
        if fits is None:
            query = scope["query_string"].decode("latin-1")
            request = HttpRequest(scope["method"], scope["path"], query, headers, b"")
            self._service(check_signature(request, key_of=self._credentials.key, now=now), headers)
        return Answer(await self._scraped(now), prometheus.CONTENT_TYPE)

    def _check_sender(self, headers: Mapping[str, str]) -> None:
        host = headers.get("host", "").lower()
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if name not in self._allowed_hosts:
            raise RefusedRequestError(
                f"this endpoint is not {host!r}; name it as 127.0.0.1",
                fault="AccessDenied",
                status=FORBIDDEN,
            )
        if any(header in headers for header in _FROM_A_BROWSER):
            raise RefusedRequestError(
                "no browser may use this endpoint", fault="AccessDenied", status=FORBIDDEN
            )

    def _speaking(self, name: str, headers: Mapping[str, str]) -> Service:
        """A service, in the protocol that a request has."""
        found = self._services[name]
        return found.speaking(headers) if isinstance(found, ByProtocol) else found

    def _service(self, signer: Signer, headers: Mapping[str, str]) -> Service:
        """The one that a request is signed for. Clusters and tokens are of one region."""
        if signer.service not in self._services:
            raise RefusedRequestError(
                f"this endpoint is no {signer.service!r}; it is "
                f"{', '.join(sorted(self._services))}",
                fault="AccessDenied",
                status=FORBIDDEN,
            )
        if signer.service in OF_A_REGION and signer.region != self._region:
            raise RefusedRequestError(
                f"Credential should be scoped to a valid region, not {signer.region!r}; the "
                f"clusters of this endpoint are in {self._region}",
                fault="SignatureDoesNotMatch",
                status=FORBIDDEN,
            )
        return self._speaking(signer.service, headers)

    async def _answer(
        self,
        service: Service,
        request: HttpRequest,
        identity: Identity,
        now: datetime,
        request_id: str,
    ) -> Answer:
        if not service.ready:
            await asyncio.to_thread(service.prepare)
        return await service.answer(request, identity, now, request_id)

    async def _performed(
        self, performing: asyncio.Task[Answer], service: Service, receive: Receive
    ) -> Answer:
        """What comes of a call. Raises CallerLeftError, and what the service raises."""
        self.used.calls += 1
        self._under_way.add(performing)
        leaving = asyncio.ensure_future(asgi.left(receive))
        try:
            await asyncio.wait({performing, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if leaving.done() and service.ends_with_its_caller:
                performing.cancel()
                _log.info("caller left")
            await asyncio.wait({performing})
            if not performing.cancelled():
                return performing.result()
            if leaving.done():
                raise CallerLeftError
            raise RefusedRequestError(
                "the host ended while the call was under way",
                fault="RequestTimeout",
                status=HTTPStatus.GATEWAY_TIMEOUT,
            )
        finally:
            leaving.cancel()
            self._under_way.discard(performing)
            self.used.calls -= 1

    async def _send(self, answer: Answer, request_id: str, receive: Receive, send: Send) -> None:
        headers = {
            "x-amzn-requestid": request_id,
            "content-type": answer.content_type,
            **answer.headers,
        }
        if answer.lasting:
            await asgi.begin(send, answer.status, headers)
            await self._stay(answer.body, receive, send)
            return
        headers["content-length"] = str(len(answer.body))
        await asgi.begin(send, answer.status, headers)
        await asgi.say(send, answer.body)

    async def _stay(self, first: bytes, receive: Receive, send: Send) -> None:
        """Hold the line until one side ends."""
        self.used.attached += 1
        ends = [
            asyncio.ensure_future(asgi.left(receive)),
            asyncio.ensure_future(self._ending.wait()),
        ]
        try:
            await asgi.say(send, first, more=True)
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            await asgi.say(send, b"")
        finally:
            self.used.attached -= 1
            for each in ends:
                each.cancel()


def _likely(headers: Mapping[str, str]) -> str:
    """Which service a request is for, as far as it can be told before its signature is read."""
    if cbor.HEADER in headers:
        return "monitoring"
    return SERVICE if "x-amz-target" in headers else "rds"


def _fault(error: Exception, service: Service) -> Fault:
    """An error as it is answered: one of ours with RDS's code, another one without its text."""
    if isinstance(error, RefusedRequestError):
        return Fault(error.fault, error.told(service.words), error.status, error)
    if isinstance(error, BorealisError):
        status = service.status_of(error.code) or _STATUS.get(error.code, SERVER_ERROR)
        return Fault(error.code, error.told(service.words), status, error)
    _log.error("request failed", error=repr(error), exc_info=error)
    return Fault("InternalFailure", "the request failed; the host's log says why", SERVER_ERROR)
