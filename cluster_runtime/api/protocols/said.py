"""Errors of the runtime as JSON, so that who attaches reads them in words of its own."""

from collections.abc import Iterable, Mapping
from typing import Any

from cluster_runtime import errors
from cluster_runtime.errors import BorealisError
from cluster_runtime.wording import Hint, Operation, Parameter, Said


def to_json(error: BorealisError) -> dict[str, Any]:
    """Its class, and what it says."""
    return {"class": type(error).__name__, "said": [_plain(part) for part in error.said]}


def from_json(found: Mapping[str, Any]) -> BorealisError:
    """The error again; of a class that this release does not know, one of the root's."""
    kind = getattr(errors, str(found.get("class")), BorealisError)
    if not (isinstance(kind, type) and issubclass(kind, BorealisError)):
        kind = BorealisError
    return kind(*_parts(found.get("said", ())))


def _plain(part: Said) -> Any:
    match part:
        case Parameter(name):
            return {"parameter": name}
        case Hint(text, Operation(name, identifier, settings)):
            return {"hint": text, "operation": name, "on": identifier, "settings": dict(settings)}
        case _:
            return str(part)


def _parts(said: Iterable[Any]) -> Iterable[Said]:
    for part in said:
        match part:
            case {"parameter": name}:
                yield Parameter(name)
            case {"hint": text, "operation": name, "on": identifier, "settings": settings}:
                yield Hint(text, Operation(name, identifier, settings))
            case _:
                yield str(part)
