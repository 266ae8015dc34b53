"""Errors of the runtime as JSON, so that who attaches reads them in words of its own."""

from collections.abc import Mapping
from typing import Any

from cluster_runtime import errors
from cluster_runtime.api.protocols.codec import Json, decode, encode
from cluster_runtime.errors import BorealisError
from cluster_runtime.wording import Hint, Operation, Parameter, Said


def encode_error(error: BorealisError) -> dict[str, Json]:
    """An error with its class, its code, and its parts: each reader tells it in his own words."""
    return {
        "class": [kind.__name__ for kind in type(error).mro() if issubclass(kind, BorealisError)],
        "code": error.code,
        "retry_helps": error.retry_helps,
        "said": [_part(part) for part in error.said],
    }


def decode_error(data: Mapping[str, Any]) -> BorealisError:
    """The error itself; of a class that is unknown here, one of the nearest class above."""
    known = _error_classes()
    kind = next(known[name] for name in (*data["class"], BorealisError.__name__) if name in known)
    error = kind(*(_said(part) for part in data["said"]))
    if kind.__name__ != data["class"][0]:
        error.code = str(data["code"])  # type: ignore[misc]
        error.retry_helps = bool(data["retry_helps"])  # type: ignore[misc]
    return error


def _part(part: Said) -> Json:
    match part:
        case Parameter(name):
            return {"parameter": name}
        case Hint(text, operation):
            return {"hint": text, "operation": encode(operation)}
        case _:
            return str(part)


def _said(part: Json) -> Said:
    if isinstance(part, str):
        return part
    if "hint" in part:
        return Hint(str(part["hint"]), decode(Operation, part["operation"]))
    return Parameter(str(part["parameter"]))


def _error_classes() -> dict[str, type[BorealisError]]:
    return {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, BorealisError)
    }
