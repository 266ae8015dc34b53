"""Plain nouns of the control plane as members of RDS's shapes, and back, by their names. Pure.

What a noun and a shape both have goes over; what only one of them has stays behind.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from cluster_runtime.api.refusals import missing
from cluster_runtime.control.operations.declaration import snake_case


def to_members(noun: Any, shape: Any) -> dict[str, Any]:
    """The members of a structure that a noun has values for."""
    found = {}
    for name, member in shape.members.items():
        value = getattr(noun, snake_case(name), None)
        if value is not None:
            found[name] = to_value(value, member)
    return found


def to_value(value: Any, shape: Any) -> Any:
    """A value of a noun as a value of a shape."""
    if shape.type_name == "structure":
        return to_members(value, shape)
    if shape.type_name == "list":
        return [to_value(each, shape.member) for each in value]
    return value


def from_members(kind: type, members: Mapping[str, Any]) -> Any:
    """A noun from a structure's members; what these lack has the noun's default.

    Raises RefusedRequestError where it has none.
    """
    given = {snake_case(name): value for name, value in members.items()}
    hints = _hints(kind)
    for each in fields(kind):
        if each.name not in given and each.default is each.default_factory is MISSING:
            raise missing(f"{each.name.title().replace('_', '')} of each {kind.__name__}")
    return kind(
        **{
            each.name: from_value(hints[each.name], given[each.name])
            for each in fields(kind)
            if each.name in given
        }
    )


def from_value(hint: Any, value: Any) -> Any:
    """A value of a shape as a noun has it. hint: its type there."""
    if get_origin(hint) in (Union, UnionType):
        hint = next(each for each in get_args(hint) if each is not type(None))
    if get_origin(hint) is tuple:
        return tuple(from_value(get_args(hint)[0], each) for each in value)
    if isinstance(hint, type) and is_dataclass(hint):
        return from_members(hint, value)
    return value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
