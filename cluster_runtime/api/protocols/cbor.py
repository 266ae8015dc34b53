"""Smithy's RPC v2 CBOR protocol: members of a request, and the answer.

Pure. botocore reads and writes the items; it is a client's, so answers are written by a model
whose inputs are the outputs of the real one. Source: smithy.io, "Smithy RPC v2 CBOR protocol".
"""

from collections.abc import Mapping
from typing import Any

from cluster_runtime.api.protocols.models import ERROR, answering_model
from cluster_runtime.api.refusals import RefusedRequestError

CONTENT_TYPE = "application/cbor"
HEADER, NAME = "smithy-protocol", "rpc-v2-cbor"
"""The header of requests and answers, and its value."""
PATH = "/service/"
"""How the path of a request begins: then come the service, `operation` and the operation."""

_BOTOCORES = "smithy-rpc-v2-cbor"


def document(body: bytes) -> dict[str, Any]:
    """The map that a request holds. Raises RefusedRequestError for what is none."""
    from botocore.parsers import ResponseParserError, create_parser

    if not body:
        return {}
    parser = create_parser(_BOTOCORES)
    stream = parser.get_peekable_stream_from_bytes(body)
    try:
        found = parser.parse_data_item(stream)
    except (ResponseParserError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise RefusedRequestError(
            f"the request is no CBOR: {type(error).__name__}", fault="SerializationException"
        ) from error
    if not isinstance(found, dict):
        raise RefusedRequestError("the request is no CBOR map", fault="SerializationException")
    return found


def response(service: str, operation: str, result: Mapping[str, Any]) -> bytes:
    """The CBOR of an answer, as the model's output shape says."""
    from botocore.serialize import create_serializer

    written = answering_model(service).operation_model(operation)
    unknown = result.keys() - written.input_shape.members.keys()
    if unknown:
        raise ValueError(f"{operation} has no member {sorted(unknown)}")
    serializer = create_serializer(_BOTOCORES, include_validation=False)
    return bytes(serializer.serialize_to_request(dict(result), written)["body"])


def error_response(service: str, fault: str, message: str) -> bytes:
    """The CBOR of an error."""
    return response(service, ERROR, {"__type": fault, "message": message})
