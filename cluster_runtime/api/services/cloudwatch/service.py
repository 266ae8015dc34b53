"""CloudWatch in each protocol that its model names: an SDK takes the one that it likes best.

boto3 of today speaks CBOR, older ones and other SDKs JSON or Query. Source: smithy.io, "Smithy RPC
v2 CBOR protocol"; AWS SDKs guide, "awsQueryCompatible".
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cluster_runtime.api.access.credentials import Identity
from cluster_runtime.api.access.signature import HttpRequest
from cluster_runtime.api.protocols import cbor, json_protocol, values
from cluster_runtime.api.protocols.models import answering_model, service_model
from cluster_runtime.api.refusals import SERVER_ERROR, RefusedRequestError, not_implemented
from cluster_runtime.api.services.service import (
    Answer,
    ByProtocol,
    Call,
    Fault,
    Performed,
    QueryService,
)
from cluster_runtime.api.services.words import IN_RDS
from cluster_runtime.wording import Words

MODEL = "cloudwatch"
JSON_CONTENT_TYPE = "application/x-amz-json-1.0"
_CBOR_HEADERS = {cbor.HEADER: cbor.NAME}


def cloudwatch_services(operations: Mapping[str, Performed]) -> ByProtocol:
    """The service in its three protocols."""
    return ByProtocol(
        query=QueryService(MODEL, operations),
        json=_QueryCompatible(operations),
        cbor=_CborService(operations),
    )


class _QueryCompatible:
    """The service in JSON 1.0. Errors have the names of the Query protocol in a header beside."""

    words: Words = IN_RDS
    ends_with_its_caller = refuses_by_model = False

    def __init__(self, operations: Mapping[str, Performed]) -> None:
        self.ready = False
        self._operations = operations

    def prepare(self) -> None:
        service_model(MODEL)
        self.ready = True

    async def answer(
        self, request: HttpRequest, identity: Identity, now: datetime, request_id: str
    ) -> Answer:
        model = service_model(MODEL)
        action = self._action(request, model)
        if action not in model.operation_names:
            raise RefusedRequestError(
                f"{MODEL} has no operation {action!r}", fault="UnknownOperationException"
            )
        perform = self._operations.get(action)
        if perform is None:
            raise not_implemented(MODEL, action)
        operation = model.operation_model(action)
        members = json_protocol.parse(self._document(request.body), operation.input_shape)
        values.check(members, operation.input_shape)
        result = await perform(Call(action, members, identity, now))
        return self._answer(operation, result)

    def refusal(self, fault: Fault, request_id: str) -> Answer:
        body = json_protocol.error_response(_shape_of(fault.code), fault.message)
        return Answer(body, JSON_CONTENT_TYPE, fault.status, headers=_compatible(fault))

    def status_of(self, code: str) -> int | None:
        error = _errors().get(code, {})
        return error.get("httpStatusCode")

    def _action(self, request: HttpRequest, model: Any) -> str:
        prefix, _, action = request.headers.get("x-amz-target", "").rpartition(".")
        return action if prefix == model.metadata["targetPrefix"] else ""

    def _document(self, body: bytes) -> dict[str, Any]:
        return json_protocol.document(body)

    def _answer(self, operation: Any, result: Mapping[str, Any]) -> Answer:
        return Answer(json_protocol.response(operation, result), JSON_CONTENT_TYPE)


class _CborService(_QueryCompatible):
    """The service in CBOR: the path says what is asked."""

    refuses_by_model = True

    def prepare(self) -> None:
        answering_model(MODEL)
        super().prepare()

    def refusal(self, fault: Fault, request_id: str) -> Answer:
        body = cbor.error_response(MODEL, _shape_of(fault.code), fault.message)
        headers = {**_CBOR_HEADERS, **_compatible(fault)}
        return Answer(body, cbor.CONTENT_TYPE, fault.status, headers=headers)

    def _action(self, request: HttpRequest, model: Any) -> str:
        expected = f"{cbor.PATH}{model.metadata['targetPrefix']}/operation/"
        return request.path.removeprefix(expected) if request.path.startswith(expected) else ""

    def _document(self, body: bytes) -> dict[str, Any]:
        return cbor.document(body)

    def _answer(self, operation: Any, result: Mapping[str, Any]) -> Answer:
        body = cbor.response(MODEL, operation.name, result)
        return Answer(body, cbor.CONTENT_TYPE, headers=_CBOR_HEADERS)


def _compatible(fault: Fault) -> dict[str, str]:
    """What an error is called in the Query protocol, for who knows it by that name."""
    side = "Sender" if fault.status < SERVER_ERROR else "Receiver"
    return {"x-amzn-query-error": f"{fault.code};{side}"}


def _shape_of(code: str) -> str:
    """The name of the shape of an error that is known by its code."""
    return str(_errors().get(code, {}).get("shape", code))


def _errors() -> dict[str, dict[str, Any]]:
    return {
        shape.metadata.get("error", {}).get("code", shape.name): {
            **shape.metadata.get("error", {}),
            "shape": shape.name,
        }
        for shape in service_model(MODEL).error_shapes
    }
