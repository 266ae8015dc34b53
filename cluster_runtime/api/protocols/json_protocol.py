"""AWS's JSON 1.1 protocol: what a target names, its members, and the answer.

Pure. Shapes are botocore's. Source: smithy.io, "AWS JSON 1.1 protocol".
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

from cluster_runtime.api.protocols.values import moment
from cluster_runtime.api.refusals import RefusedRequestError, invalid_value

CONTENT_TYPE = "application/x-amz-json-1.1"


def document(body: bytes) -> dict[str, Any]:
    """The object that a request holds. Raises RefusedRequestError for what is none."""
    try:
        found = json.loads(body or b"{}")
    except ValueError as error:
        raise RefusedRequestError(
            f"the request is no JSON: {error}", fault="SerializationException"
        ) from error
    if not isinstance(found, dict):
        raise RefusedRequestError("the request is no JSON object", fault="SerializationException")
    return found


def parse(found: Mapping[str, Any], shape: Any) -> dict[str, Any]:
    """The members of an input shape. Raises RefusedRequestError, for unknown ones too."""
    known = {} if shape is None else shape.members
    unknown = sorted(found.keys() - known.keys())
    if unknown:
        raise invalid_value(f"the operation has no parameter {unknown[0]!r}")
    return {
        name: _moment(name, value) if known[name].type_name == "timestamp" else value
        for name, value in found.items()
        if value is not None
    }


def response(operation: Any, result: Mapping[str, Any]) -> bytes:
    """The JSON of an answer, as the model's output shape says."""
    shape = operation.output_shape
    return json.dumps({} if shape is None else _plain(shape, result)).encode()


def error_response(fault: str, message: str) -> bytes:
    """The JSON of an error."""
    return json.dumps({"__type": fault, "message": message}).encode()


def _plain(shape: Any, value: Any) -> Any:
    match shape.type_name:
        case "structure":
            unknown = value.keys() - shape.members.keys()
            if unknown:
                raise ValueError(f"{shape.name} has no member {sorted(unknown)}")
            return {
                name: _plain(shape.members[name], inner)
                for name, inner in value.items()
                if inner is not None
            }
        case "list":
            return [_plain(shape.member, each) for each in value]
        case "map":
            return {key: _plain(shape.value, inner) for key, inner in value.items()}
        case "timestamp":
            return value.timestamp()
        case "blob":
            return base64.b64encode(value).decode()
        case _:
            return value


def _moment(name: str, value: Any) -> Any:
    if not isinstance(value, int | float | str):
        return value
    try:
        return moment(value)
    except ValueError as error:
        raise invalid_value(f"{name} is {value!r}, which is no time") from error
