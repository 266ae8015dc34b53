"""The endpoint as an ASGI application: who may ask, and which service answers.

Every request is signed (`access.signature`); one that a browser sends, or that names
another host than this one (DNS rebinding), is refused before anything else is looked at.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from cluster_runtime._awaited import AwaitedOperations
from cluster_runtime.api.access.credentials import Credentials
from cluster_runtime.api.access.signature import HttpRequest, Signer, check_signature
from cluster_runtime.api.refusals import (
    FORBIDDEN,
    SERVER_ERROR,
    TOO_LARGE,
    RefusedRequestError,
)
from cluster_runtime.api.services.iam import Policies, iam_operations
from cluster_runtime.api.services.ours import OurService
from cluster_runtime.api.services.rds import rds_operations
from cluster_runtime.api.services.secrets import secrets_operations
from cluster_runtime.api.services.service import Fault, JsonService, QueryService, Service
from cluster_runtime.api.services.sts import sts_operations
from cluster_runtime.api.services.words import IN_RDS
from cluster_runtime.api.target import SERVICE
from cluster_runtime.errors import BorealisError
from cluster_runtime.logs import get_logger

BODY_MAX_BYTES = 1 << 20
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
"""What a `Host` header may name, the port left out."""

OF_A_REGION = frozenset({"rds", "secretsmanager"})
"""Services that hold something of a region: requests must be signed for it."""
POLICIES_FILE = "policies.json"

_FROM_A_BROWSER = ("origin", "sec-fetch-site", "sec-fetch-mode")
_BAD_REQUEST = 400
_STATUS = {"InvalidParameterValue": _BAD_REQUEST, "InvalidParameterCombination": _BAD_REQUEST}
"""Of the common errors, which no operation lists."""

_log = get_logger(__name__)


def build_app(
    runtime: AwaitedOperations,
    credentials: Credentials,
    *,
    allowed_hosts: Collection[str] = LOCAL_HOSTS,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Starlette:
    """The RDS-compatible endpoint of a runtime (an `AsyncRuntime`).

    credentials: what requests may be signed with; policies stand in their directory.
    allowed_hosts: names that a `Host` header may have, without the port. clock: aware, for the
    15 minutes that a signature counts.
    """
    policies = Policies(credentials.directory and credentials.directory / POLICIES_FILE)
    services: dict[str, Service] = {
        "rds": QueryService("rds", rds_operations(runtime)),
        "sts": QueryService("sts", sts_operations(runtime, credentials)),
        "secretsmanager": JsonService("secretsmanager", secrets_operations(runtime)),
        "iam": QueryService("iam", iam_operations(policies)),
        SERVICE: OurService(runtime),
    }
    door = _Door(services, runtime, credentials, frozenset(allowed_hosts), clock)
    return Starlette(routes=[Route("/", door.answer, methods=["POST"])])


class _Door:
    def __init__(
        self,
        services: Mapping[str, Service],
        runtime: AwaitedOperations,
        credentials: Credentials,
        allowed_hosts: frozenset[str],
        clock: Callable[[], datetime],
    ) -> None:
        self._services = services
        self._credentials = credentials
        self._runtime = runtime
        self._region: str | None = None
        self._allowed_hosts = allowed_hosts
        self._clock = clock

    async def answer(self, request: Request) -> Response:
        request_id = str(uuid4())
        # Whom the request is for is not known yet: a refusal is in the protocol that it speaks.
        service = self._services[SERVICE if "x-amz-target" in request.headers else "rds"]
        try:
            self._check_sender(request)
            http = await _read(request)
            now = self._clock()
            signer = check_signature(http, key_of=self._credentials.key, now=now)
            service = self._service(signer.service)
            await self._check_region(signer)
            await asyncio.to_thread(service.prepare)
            identity = self._credentials.identity(signer.access_key_id)
            answer = await service.answer(http, identity, now, request_id)
        except ClientDisconnect:
            return Response(status_code=_BAD_REQUEST)
        except Exception as error:  # noqa: BLE001 - the last one who can answer
            fault = _fault(error, service)
            answer = service.refusal(fault, request_id)
        return Response(
            answer.body,
            answer.status,
            {"x-amzn-requestid": request_id},
            media_type=answer.content_type,
        )

    def _check_sender(self, request: Request) -> None:
        host = request.headers.get("host", "").lower()
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if name not in self._allowed_hosts:
            raise RefusedRequestError(
                f"this endpoint is not {host!r}; name it as 127.0.0.1",
                fault="AccessDenied",
                status=FORBIDDEN,
            )
        if any(header in request.headers for header in _FROM_A_BROWSER):
            raise RefusedRequestError(
                "no browser may use this endpoint", fault="AccessDenied", status=FORBIDDEN
            )

    async def _check_region(self, signer: Signer) -> None:
        """Clusters and tokens are of one region. Services without regions have that of the SDK."""
        if self._region is None:
            self._region = (await self._runtime.describe_host()).region
        if signer.service in OF_A_REGION and signer.region != self._region:
            raise RefusedRequestError(
                f"Credential should be scoped to a valid region, not {signer.region!r}; the "
                f"clusters of this endpoint are in {self._region}",
                fault="SignatureDoesNotMatch",
                status=FORBIDDEN,
            )

    def _service(self, name: str) -> Service:
        try:
            return self._services[name]
        except KeyError:
            raise RefusedRequestError(
                f"this endpoint is no {name!r}; it is {', '.join(sorted(self._services))}",
                fault="AccessDenied",
                status=FORBIDDEN,
            ) from None


async def _read(request: Request) -> HttpRequest:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_MAX_BYTES:
            raise RefusedRequestError(
                f"a request has at most {BODY_MAX_BYTES} bytes",
                fault="RequestEntityTooLarge",
                status=TOO_LARGE,
            )
    headers = {
        name: ",".join(request.headers.getlist(name)) for name in set(request.headers.keys())
    }
    return HttpRequest(request.method, request.url.path, request.url.query, headers, bytes(body))


def _fault(error: Exception, service: Service) -> Fault:
    """An error as it is answered: one of ours with RDS's code, another one without its text."""
    if isinstance(error, RefusedRequestError):
        return Fault(error.fault, error.told(IN_RDS), error.status, error)
    if isinstance(error, BorealisError):
        status = service.status_of(error.code) or _STATUS.get(error.code, SERVER_ERROR)
        return Fault(error.code, error.told(IN_RDS), status, error)
    _log.error("request failed", error=repr(error), exc_info=error)
    return Fault("InternalFailure", "the request failed; the host's log says why", SERVER_ERROR)
