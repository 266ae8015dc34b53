"""The service `borealis`: every operation of the runtime, ours alone included, as signed JSON.

A request names its operation in `X-Amz-Target: Borealis.<operation>`; its body is an object of
parameters by their names in Python, and the answer is `{"result": ...}` with the facts as `Runtime`
returns them. Errors say their class and their parts, so that a client has the same error as in
the host's process. `GenerateDSN`, which `Runtime` has on a cluster, is one more.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cluster_runtime._awaited import AwaitedOperations
from cluster_runtime.api.access.credentials import Identity
from cluster_runtime.api.access.signature import HttpRequest
from cluster_runtime.api.protocols import said
from cluster_runtime.api.protocols.codec import arguments_of, request_of, result_to_plain
from cluster_runtime.api.protocols.json_protocol import CONTENT_TYPE, document
from cluster_runtime.api.refusals import RefusedRequestError
from cluster_runtime.api.services.service import Answer, Fault
from cluster_runtime.api.target import GENERATE_DSN, TARGET
from cluster_runtime.control.operations import OPERATIONS
from cluster_runtime.errors import InvalidParameterError


class OurService:
    """Performs what is asked under the name `borealis`."""

    def __init__(self, runtime: AwaitedOperations) -> None:
        self._runtime = runtime
        self._operations = {each.name: each for each in OPERATIONS}

    def prepare(self) -> None:
        """Nothing: the declarations are loaded."""

    async def answer(
        self, request: HttpRequest, identity: Identity, now: datetime, request_id: str
    ) -> Answer:
        """Carry out a request. Raises RefusedRequestError, BorealisError."""
        prefix, _, name = request.headers.get("x-amz-target", "").rpartition(".")
        if prefix == TARGET and name == GENERATE_DSN:
            return _answer(self._dsn(document(request.body)))
        declared = self._operations.get(name)
        if prefix != TARGET or declared is None:
            raise RefusedRequestError(
                f"this host has no operation {name!r}", fault="UnknownOperationException"
            )
        call = request_of(declared, request.body)
        result = await getattr(self._runtime, declared.method)(**arguments_of(call))
        if declared.result is not None and declared.result.protocol_name:
            result = result.describe()
        return _answer(result_to_plain(declared, result))

    def refusal(self, fault: Fault, request_id: str) -> Answer:
        """An error as JSON: RDS's code and words, and what it is in Python."""
        body: dict[str, Any] = {"__type": fault.code, "message": fault.message}
        if fault.error is not None:
            body["error"] = said.to_json(fault.error)
        return Answer(json.dumps(body).encode(), CONTENT_TYPE, fault.status)

    def status_of(self, code: str) -> int | None:
        """None: errors are told by their name."""
        return None

    def _dsn(self, given: Mapping[str, Any]) -> str:
        parameters = {"endpoint": "writer", "user": None, "dbname": None, "port": None, **given}
        identifier = parameters.pop("db_cluster_identifier", None)
        known = {"endpoint", "user", "dbname", "port"}
        if parameters.keys() != known or not isinstance(identifier, str):
            raise InvalidParameterError(
                f"{GENERATE_DSN} takes a cluster, an endpoint, a user, a database and a port"
            )
        endpoint = parameters.pop("endpoint")
        if not isinstance(endpoint, str):
            raise InvalidParameterError(f"endpoint is {endpoint!r}; it must be the name of one")
        return self._runtime.cluster(identifier).dsn(endpoint, **parameters)


def _answer(result: Any) -> Answer:
    return Answer(json.dumps({"result": result}).encode(), CONTENT_TYPE)
