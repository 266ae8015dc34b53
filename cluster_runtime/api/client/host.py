"""A thin client of a host: operations as signed JSON, without botocore.

Attached programs, the command line among them, and `RdsControlPlane` speak to hosts with it.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

from cluster_runtime.api.access.credentials import Credentials
from cluster_runtime.api.access.signature import HttpRequest, SigningKey, signed_headers
from cluster_runtime.api.calls import ATTACH, HostStatus
from cluster_runtime.api.client.finding import socket_of
from cluster_runtime.api.client.transport import (
    Address,
    EndpointUnreachableError,
    HttpAnswer,
    Line,
    open_post,
    post,
)
from cluster_runtime.api.protocols.codec import Json, decode, decode_result, encode
from cluster_runtime.api.protocols.said import decode_error
from cluster_runtime.api.target import PROTOCOL, PROTOCOL_HEADER, SERVICE, TARGET
from cluster_runtime.control.operations.declaration import Request
from cluster_runtime.errors import BorealisError
from cluster_runtime.tracing import context_headers

CONTENT_TYPE = "application/x-amz-json-1.1"
REGION = "us-east-1"
"""Requests to `borealis` may be signed for any region."""


class HostClient:
    """Calls the operations of one host. Blocking; may be used by several threads."""

    def __init__(
        self,
        endpoint: str | Path | Address,
        access_key_id: str,
        key: SigningKey,
        *,
        timeout: float | None = None,
    ) -> None:
        """endpoint: URL or path of the socket. timeout: seconds without a byte; None waits."""
        self.address = endpoint if isinstance(endpoint, Address) else Address.of(endpoint)
        self._access_key_id = access_key_id
        self._key = key
        self._timeout = timeout

    @classmethod
    def of(
        cls, state_dir: str | Path, socket: Path | None = None, *, timeout: float | None = None
    ) -> "HostClient":
        """The client of the host of a state directory, with the key in there.

        socket: where it listens; by default the directory's file says it.
        Raises StateDirectoryError where the directory has no key yet, EndpointUnreachableError
        where nobody has hosted it.
        """
        directory = Path(state_dir).expanduser().absolute()
        key_id, key = Credentials.read(directory).first
        return cls(socket or socket_of(directory), key_id, key, timeout=timeout)

    def perform(self, request: Request, line: Line | None = None) -> Any:
        """Perform a call; what the operation returns, and for a handle the facts of its cluster.

        Raises the error that it raised in the host, HostVersionError for an operation that the host
        has not, and EndpointUnreachableError.
        """
        declared = request.declared
        return decode_result(declared.result, self._result(declared.name, encode(request), line))

    def call(self, operation: str, parameters: Mapping[str, Any] | None = None) -> Json:
        """Perform an operation by its name in RDS's style; the result as JSON has it.

        Raises as `perform`.
        """
        return self._result(operation, parameters or {}, None)

    def attach(self, line: Line) -> tuple[HostStatus, HTTPResponse]:
        """Say that this process is there. The response lasts as long as the host and the line do.

        Raises EndpointUnreachableError, and what the host refuses.
        """
        headers = self._signed(ATTACH, b"{}")
        lasting = open_post(self.address, headers, b"{}", line=line)
        try:
            if lasting.status != HTTPStatus.OK:
                raise self._error(ATTACH, HttpAnswer(lasting.status, {}, lasting.read()))
            return decode(HostStatus, json.loads(lasting.readline())), lasting
        except (OSError, HTTPException, ValueError) as error:
            lasting.close()
            raise EndpointUnreachableError(f"the host has gone: {error}") from error
        except BaseException:
            lasting.close()
            raise

    def _result(self, operation: str, parameters: Json, line: Line | None) -> Json:
        body = json.dumps(parameters).encode()
        headers = self._signed(operation, body) | context_headers()
        answer = post(self.address, headers, body, timeout=self._timeout, line=line)
        if answer.status != HTTPStatus.OK:
            raise self._error(operation, answer)
        return json.loads(answer.body)["result"]

    def _signed(self, operation: str, body: bytes) -> dict[str, str]:
        headers = {
            "host": self.address.host_header,
            "content-type": CONTENT_TYPE,
            "x-amz-target": f"{TARGET}.{operation}",
            PROTOCOL_HEADER: str(PROTOCOL),
        }
        return signed_headers(
            HttpRequest("POST", "/", "", headers, body),
            access_key_id=self._access_key_id,
            key=self._key,
            region=REGION,
            service=SERVICE,
            now=datetime.now(UTC),
        )

    def _error(self, operation: str, answer: HttpAnswer) -> BorealisError:
        if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
            return EndpointUnreachableError("the host ends, and takes no more calls")
        if answer.status == HTTPStatus.GATEWAY_TIMEOUT:
            return EndpointUnreachableError("the host ended during the call", sent=True)
        with suppress(ValueError, KeyError, TypeError):
            said = json.loads(answer.body)
            return (
                decode_error(said["error"]) if "error" in said else BorealisError(said["message"])
            )
        return BorealisError(
            f"{operation} was answered with HTTP status {answer.status}, and not by a host"
        )
