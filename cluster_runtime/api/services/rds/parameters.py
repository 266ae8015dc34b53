"""The members of RDS's input shapes as arguments of the runtime's operations. Pure."""

from collections.abc import Mapping
from typing import Any

from cluster_runtime.api.protocols.models import service_model
from cluster_runtime.api.protocols.nouns import from_value
from cluster_runtime.api.refusals import invalid_combination, not_from_here
from cluster_runtime.api.services.rds.without_effect import without_effect
from cluster_runtime.control.operations import OPERATIONS, Declared
from cluster_runtime.control.operations.declaration import (
    RDS_HAS_NONE,
    RDS_REQUIRES_IT,
    Changes,
    InRds,
    MeantInRds,
    snake_case,
)
from cluster_runtime.control.records.fields import Field, fields_of

EVENTS_TAKE = {
    "DescribeEventCategories": frozenset({"SourceType"}),
    "DescribeEvents": frozenset(
        {"Duration", "EndTime", "EventCategories", "SourceType", "StartTime"}
    ),
}
"""Members that the endpoint carries out by itself."""
PAGING = frozenset({"Filters", "MaxRecords", "Marker"})
"""Members that many operations have and that the endpoint itself carries out."""


def arguments(
    declared: Declared,
    members: Mapping[str, Any],
    *,
    current: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The keyword arguments of an operation; what is not given has RDS's default.

    current: the noun's fields, for structures of which only a part is given.
    Raises RefusedRequestError for a member that the operation does not have here.
    """
    fields = {each.name: each for each in declared.parameters if RDS_HAS_NONE not in each.notes}
    found: dict[str, Any] = {}
    for member, value in members.items():
        field = fields.get(snake_case(member))
        if field is not None:
            if field.leads_to_the_host(value):
                raise not_from_here(member, value)
            found[field.name] = _value(field, value, current or {})
        elif member not in without_effect(declared.name) | PAGING:
            raise invalid_combination(
                f"{declared.name} takes no {member} here; docs/rds-api.md lists what it takes"
            )
    return {**_defaults(declared), **found}


def taken(name: str) -> frozenset[str]:
    """The members that an operation takes, by RDS's name of it; without those of all."""
    declared = next((each for each in OPERATIONS if each.name == name), None)
    if declared is None:
        return EVENTS_TAKE.get(name, frozenset())
    fields = {each.name for each in declared.parameters if RDS_HAS_NONE not in each.notes}
    shape = service_model("rds").operation_model(name).input_shape
    named = {member for member in shape.members if snake_case(member) in fields}
    return frozenset(named) | EVENTS_TAKE.get(name, frozenset())


def _defaults(declared: Declared) -> dict[str, Any]:
    found = {}
    for field in declared.parameters:
        for note in field.notes:
            if isinstance(note, MeantInRds):
                found[field.name] = note.value
            elif isinstance(note, InRds) and note not in (RDS_REQUIRES_IT, RDS_HAS_NONE):
                found[field.name] = note.default
    return found


def _value(field: Field, value: Any, current: Mapping[str, Any]) -> Any:
    if not field.structure:
        return from_value(field.type, value)
    known = {each.name for each in fields_of(field.type)}
    given = {snake_case(name): inner for name, inner in value.items()}
    unknown = sorted(given.keys() - known)
    if unknown:
        raise invalid_combination(f"{field.name} takes no {unknown[0]}")
    changed = next((note.field for note in field.notes if isinstance(note, Changes)), None)
    if changed is not None and changed in current:
        before = current[changed]
        given = {name: getattr(before, name) for name in known} | given
    return field.type(**given)
