"""The service `borealis`: every operation of the runtime, ours alone included, as signed JSON.

Attached programs, the command line and `RdsControlPlane` speak it. A request names its operation in
`X-Amz-Target: Borealis.<operation>`; its body is an object of parameters by their names in Python,
and the answer is `{"result": ...}` with the facts as `Runtime` returns them. Errors say their class
and their parts, so that a client has the same error as in the host's process. A caller who leaves
cancels his call, as an interrupt does in the host itself.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version
from typing import Any

from cluster_runtime.api.access.credentials import Identity
from cluster_runtime.api.access.signature import HttpRequest
from cluster_runtime.api.calls import ATTACH, CALLS, GetHostStatus
from cluster_runtime.api.protocols.codec import Json, decode_request, encode, encode_result
from cluster_runtime.api.protocols.json_protocol import CONTENT_TYPE, document
from cluster_runtime.api.protocols.said import encode_error
from cluster_runtime.api.refusals import not_from_here
from cluster_runtime.api.services.service import Answer, Fault
from cluster_runtime.api.target import PROTOCOL, PROTOCOL_HEADER, TARGET
from cluster_runtime.control.operations import OPERATIONS, Declared, Request
from cluster_runtime.errors import HostVersionError
from cluster_runtime.wording import PYTHON, Words


class OurService:
    """Performs what is asked under the name `borealis`."""

    words: Words = PYTHON
    ready = True
    ends_with_its_caller = True
    refuses_by_model = False

    def __init__(self, perform: Callable[[Request], Awaitable[Any]]) -> None:
        self._perform = perform
        self._known = {each.name: each for each in (*OPERATIONS, *CALLS)}

    def prepare(self) -> None:
        """Nothing: the declarations are loaded."""

    async def answer(
        self, request: HttpRequest, identity: Identity, now: datetime, request_id: str
    ) -> Answer:
        """Carry out a request. Raises RefusedRequestError, BorealisError."""
        spoken = request.headers.get(PROTOCOL_HEADER, str(PROTOCOL))
        if spoken != str(PROTOCOL):
            raise HostVersionError(
                f"this host, Borealis {version('borealis-postgres')}, speaks protocol {PROTOCOL} "
                f"and the program {spoken}; upgrade the older one, and run borealis serve --replace"
            )
        prefix, _, name = request.headers.get("x-amz-target", "").rpartition(".")
        if prefix == TARGET and name == ATTACH:
            status = await self._perform(GetHostStatus())
            told = encode(replace(status, attached=status.attached + 1))
            return Answer(json.dumps(told).encode() + b"\n", CONTENT_TYPE, lasting=True)
        declared = self._known.get(name)
        if prefix != TARGET or declared is None:
            raise HostVersionError(
                f"this host is Borealis {version('borealis-postgres')}, which has no operation "
                f"{name!r}; where a newer one has it, run borealis serve --replace"
            )
        wanted = decode_request(declared, document(request.body))
        if not request.by_socket:
            _refuse_the_host_s(declared, wanted)
        result = await self._perform(wanted)
        answer: Json = {"result": encode_result(result)}
        return Answer(json.dumps(answer).encode(), CONTENT_TYPE)

    def refusal(self, fault: Fault, request_id: str) -> Answer:
        """An error as JSON: RDS's code and words, and what it is in Python."""
        body: dict[str, Json] = {"__type": fault.code, "message": fault.message}
        if fault.error is not None:
            body["error"] = encode_error(fault.error)
        return Answer(json.dumps(body).encode(), CONTENT_TYPE, fault.status)

    def status_of(self, code: str) -> int | None:
        """None: errors are told by their name."""
        return None


def _refuse_the_host_s(declared: Declared, wanted: Request) -> None:
    """Raises RefusedRequestError where it names something of the host's machine."""
    for each in declared.parameters:
        value = getattr(wanted, each.name)
        if each.leads_to_the_host(value):
            raise not_from_here(each.name, value)
