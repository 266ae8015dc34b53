"""A service of the endpoint: what it is asked in which protocol, and who performs it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from cluster_runtime.api.access.credentials import Identity
from cluster_runtime.api.access.signature import HttpRequest
from cluster_runtime.api.protocols import cbor, json_protocol, query, values
from cluster_runtime.api.protocols.models import service_model
from cluster_runtime.api.refusals import RefusedRequestError, not_implemented
from cluster_runtime.api.services.words import IN_RDS
from cluster_runtime.errors import BorealisError
from cluster_runtime.wording import Words

QUERY_CONTENT_TYPE = "text/xml"
XML_NAMESPACES = {
    "cloudwatch": "http://monitoring.amazonaws.com/doc/2010-08-01/",
    "iam": "https://iam.amazonaws.com/doc/2010-05-08/",
    "rds": "http://rds.amazonaws.com/doc/2014-10-31/",
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
}
"""Those of the models, for errors that come before a model is read."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose signature and parameters are in order. now: aware."""

    operation: str
    members: Mapping[str, Any]
    identity: Identity
    now: datetime


Performed = Callable[[Call], Awaitable[Mapping[str, Any]]]
"""Performs a call; the result has the members of the operation's output shape."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back. lasting: the answer goes on until one side ends. headers: more of them."""

    body: bytes
    content_type: str
    status: int = 200
    lasting: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fault:
    """An error as it is answered. error: what was raised, where it is one of ours."""

    code: str
    message: str
    status: int
    error: BorealisError | None = None


class Service(Protocol):
    """Something that requests are signed for.

    words: in which it tells errors. ready: whether `prepare` has been done.
    ends_with_its_caller: whether a call is cancelled when nobody waits for its answer; RDS goes on
    with what it began. refuses_by_model: whether `refusal` is of what `prepare` reads.
    """

    words: Words
    ready: bool
    ends_with_its_caller: bool
    refuses_by_model: bool

    def prepare(self) -> None:
        """Read what it needs. Blocking the first time."""

    async def answer(
        self, request: HttpRequest, identity: Identity, now: datetime, request_id: str
    ) -> Answer:
        """Carry out a request, after `prepare`. Raises RefusedRequestError, BorealisError."""

    def refusal(self, fault: Fault, request_id: str) -> Answer:
        """An error in the service's protocol."""

    def status_of(self, code: str) -> int | None:
        """The HTTP status that the service's model gives an error code."""


@dataclass(frozen=True, slots=True)
class ByProtocol:
    """A service that answers in several protocols: who asks says in which."""

    query: Service
    json: Service
    cbor: Service

    def speaking(self, headers: Mapping[str, str]) -> Service:
        """The one that a request of these headers is for."""
        if headers.get(cbor.HEADER) == cbor.NAME:
            return self.cbor
        return self.json if "x-amz-target" in headers else self.query


class QueryService:
    """A service of the Query protocol, such as `rds`; operations by their names."""

    words: Words = IN_RDS
    ends_with_its_caller = refuses_by_model = False

    def __init__(self, name: str, operations: Mapping[str, Performed]) -> None:
        self.ready = False
        self._name = name
        self._operations = operations

    def prepare(self) -> None:
        """Read the service's model."""
        service_model(self._name)
        self.ready = True

    async def answer(
        self, request: HttpRequest, identity: Identity, now: datetime, request_id: str
    ) -> Answer:
        """Carry out a request. Raises RefusedRequestError, BorealisError."""
        parameters = query.form(request.body)
        model = service_model(self._name)
        action = parameters.get("Action", "")
        if action not in model.operation_names:
            raise RefusedRequestError(
                f"{self._name} has no operation {action!r}", fault="InvalidAction"
            )
        if parameters.get("Version", model.api_version) != model.api_version:
            raise RefusedRequestError(
                f"the API's version here is {model.api_version}", fault="InvalidParameterValue"
            )
        perform = self._operations.get(action)
        if perform is None:
            raise not_implemented(self._name, action)
        operation = model.operation_model(action)
        members = query.parse(parameters, operation.input_shape)
        values.check(members, operation.input_shape)
        result = await perform(Call(action, members, identity, now))
        return Answer(query.response(operation, result, request_id), QUERY_CONTENT_TYPE)

    def refusal(self, fault: Fault, request_id: str) -> Answer:
        """An error as XML."""
        body = query.error_response(
            fault.code, fault.message, fault.status, request_id, XML_NAMESPACES[self._name]
        )
        return Answer(body, QUERY_CONTENT_TYPE, fault.status)

    def status_of(self, code: str) -> int | None:
        """The HTTP status that the model gives an error code."""
        for shape in service_model(self._name).error_shapes:
            error = shape.metadata.get("error", {})
            if code in (error.get("code"), shape.name):
                return int(error.get("httpStatusCode", 400))
        return None


class JsonService:
    """A service of the JSON 1.1 protocol, such as `secretsmanager`."""

    words: Words = IN_RDS
    ends_with_its_caller = refuses_by_model = False

    def __init__(self, name: str, operations: Mapping[str, Performed]) -> None:
        self.ready = False
        self._name = name
        self._operations = operations

    def prepare(self) -> None:
        """Read the service's model."""
        service_model(self._name)
        self.ready = True

    async def answer(
        self, request: HttpRequest, identity: Identity, now: datetime, request_id: str
    ) -> Answer:
        """Carry out a request. Raises RefusedRequestError, BorealisError."""
        model = service_model(self._name)
        prefix, _, action = request.headers.get("x-amz-target", "").rpartition(".")
        if prefix != model.metadata["targetPrefix"] or action not in model.operation_names:
            raise RefusedRequestError(
                f"{self._name} has no operation {action!r}", fault="UnknownOperationException"
            )
        perform = self._operations.get(action)
        if perform is None:
            raise not_implemented(self._name, action)
        operation = model.operation_model(action)
        members = json_protocol.parse(json_protocol.document(request.body), operation.input_shape)
        values.check(members, operation.input_shape)
        result = await perform(Call(action, members, identity, now))
        return Answer(json_protocol.response(operation, result), json_protocol.CONTENT_TYPE)

    def refusal(self, fault: Fault, request_id: str) -> Answer:
        """An error as JSON."""
        body = json_protocol.error_response(fault.code, fault.message)
        return Answer(body, json_protocol.CONTENT_TYPE, fault.status)

    def status_of(self, code: str) -> int | None:
        """None: errors of this protocol are told by their name."""
        return None
