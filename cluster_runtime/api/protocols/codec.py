"""Requests and nouns of the control plane as JSON, and back: exactly, by their types."""

from importlib import import_module
from typing import Any

from pydantic import TypeAdapter, ValidationError

from cluster_runtime.control.operations import Declared, Request
from cluster_runtime.control.records.fields import fields_of
from cluster_runtime.errors import InvalidParameterError

CREATED = "ClusterHandle"
"""What stands for a handle on a cluster: its facts."""


def request_of(declared: Declared, body: bytes) -> Request:
    """The call that a JSON object of parameters is. Raises InvalidParameterError."""
    try:
        request: Request = _adapter(declared.request).validate_json(body or b"{}", strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the request"
        raise InvalidParameterError(f"{where}: {first['msg']}") from error
    return request


def arguments_of(request: Request) -> dict[str, Any]:
    """The keyword arguments of the call."""
    return {each.name: getattr(request, each.name) for each in fields_of(type(request))}


def request_to_json(request: Request) -> bytes:
    """The parameters of a call as a JSON object."""
    return bytes(_adapter(type(request)).dump_json(request))


def result_to_plain(declared: Declared, result: Any) -> Any:
    """What an operation returned, as JSON has it. A handle is the facts of its cluster."""
    if declared.result is None:
        return None
    return _adapter(_kind(declared)).dump_python(result, mode="json")


def result_from_plain(declared: Declared, result: Any) -> Any:
    """What an operation returned, with its types; for a handle, the facts of its cluster."""
    if declared.result is None:
        return None
    return _adapter(_kind(declared)).validate_python(result)


_adapters: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]


def _kind(declared: Declared) -> Any:
    result = declared.result
    assert result is not None, "an operation that returns nothing"
    if result.name == CREATED:
        module, name = "cluster_runtime.control.records.model", "DBCluster"
    else:
        module, name = result.module, result.name
    kind = getattr(import_module(module), name)
    return list[kind] if result.many else kind  # type: ignore[valid-type]
