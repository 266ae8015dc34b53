"""A thin client of a host: operations as signed JSON, without botocore and without types.

For a command line that must answer at once. `RdsControlPlane` gives facts their types.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cluster_runtime.api.access.credentials import Credentials
from cluster_runtime.api.access.signature import HttpRequest, SigningKey, signed_headers
from cluster_runtime.api.client.transport import Address, HttpAnswer, post
from cluster_runtime.api.protocols.said import from_json
from cluster_runtime.api.target import GENERATE_DSN, SERVICE, TARGET
from cluster_runtime.errors import BorealisError

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
    def of(cls, state_dir: str | Path, *, timeout: float | None = None) -> "HostClient":
        """The client of the host of a state directory, over its socket, with its own key.

        Raises StateDirectoryError where the directory has no key yet.
        """
        from cluster_runtime.api.sockets import socket_path

        directory = Path(state_dir).expanduser().absolute()
        key_id, key = Credentials.read(directory).first
        return cls(socket_path(directory), key_id, key, timeout=timeout)

    def call(self, operation: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """Perform an operation by its name in RDS's style; the result as JSON has it.

        Raises the error that the operation raised in the host, and EndpointUnreachableError.
        """
        return self.send(operation, json.dumps(parameters or {}).encode())

    def dsn(
        self,
        identifier: str,
        endpoint: str = "writer",
        *,
        user: str | None = None,
        dbname: str | None = None,
        port: int | None = None,
    ) -> str:
        """A libpq URI with a token that the host signed, as `Cluster.dsn` makes it."""
        parameters = {
            "db_cluster_identifier": identifier,
            "endpoint": endpoint,
            "user": user,
            "dbname": dbname,
            "port": port,
        }
        return str(self.call(GENERATE_DSN, parameters))

    def send(self, operation: str, body: bytes) -> Any:
        """The same with parameters that are JSON already."""
        headers = {
            "host": self.address.host_header,
            "content-type": CONTENT_TYPE,
            "x-amz-target": f"{TARGET}.{operation}",
        }
        signed = signed_headers(
            HttpRequest("POST", "/", "", headers, body),
            access_key_id=self._access_key_id,
            key=self._key,
            region=REGION,
            service=SERVICE,
            now=datetime.now(UTC),
        )
        answer = post(self.address, signed, body, timeout=self._timeout)
        if answer.status != 200:
            raise _error(operation, answer)
        return json.loads(answer.body)["result"]


def _error(operation: str, answer: HttpAnswer) -> BorealisError:
    try:
        said = json.loads(answer.body)
        return from_json(said["error"]) if "error" in said else BorealisError(said["message"])
    except (ValueError, KeyError, TypeError):
        return BorealisError(
            f"{operation} was answered with HTTP status {answer.status}, and not by a host"
        )
