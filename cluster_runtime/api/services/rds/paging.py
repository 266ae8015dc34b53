"""Pages and filters of Describe operations. Pure.

A marker says how far the list was read; it is opaque to clients and checked when it comes back.
"""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from cluster_runtime.api.refusals import RefusedRequestError, invalid_value
from cluster_runtime.control.operations.declaration import snake_case
from cluster_runtime.control.records.fields import fields_of

T = TypeVar("T")
RECORDS_MIN, RECORDS_MAX = 20, 100


def page(
    found: Sequence[T], members: Mapping[str, Any], key: Callable[[T], str]
) -> tuple[Sequence[T], str | None]:
    """One page of what was found, and the marker of the next; None where there is none.

    key: what names an entry, unique in the list, which is in this order or in that of its age.
    Raises RefusedRequestError for a number of records outside 20 to 100, or a foreign marker.
    """
    most = members.get("MaxRecords", RECORDS_MAX)
    if not RECORDS_MIN <= most <= RECORDS_MAX:
        raise invalid_value(f"MaxRecords is {most}; it must be {RECORDS_MIN} to {RECORDS_MAX}")
    start = 0
    if members.get("Marker"):
        after, position = _read(members["Marker"])
        # The entry may have gone since: then what stood behind it stands at its place.
        places = [place for place, each in enumerate(found) if key(each) == after]
        start = places[0] + 1 if places else position
    chosen = found[start : start + most]
    more = start + most < len(found)
    return chosen, _marker(key(chosen[-1]), start + most - 1) if more else None


def filtered(
    found: Sequence[T], members: Mapping[str, Any], facts: Mapping[str, Callable[[T], str]]
) -> list[T]:
    """Those that pass all filters. facts: what each filter looks at, by its name.

    Raises RefusedRequestError for a filter that there is not.
    """
    kept = list(found)
    for each in members.get("Filters", ()):
        fact = facts.get(each["Name"])
        if fact is None:
            raise invalid_value(f"Unrecognized filter name: {each['Name']}")
        wanted = {value.lower() for value in each["Values"]}
        kept = [one for one in kept if fact(one).lower() in wanted]
    return kept


def filters_of(kind: type) -> dict[str, Callable[[Any], str]]:
    """What the filters of a noun look at: its texts, by the names that RDS forms of theirs.

    `db_cluster_identifier` is `db-cluster-id`; `endpoint_type` of a `DBClusterEndpoint` is
    `db-cluster-endpoint-type` too.
    """
    noun = snake_case(kind.__name__)
    found: dict[str, Callable[[Any], str]] = {}
    for each in fields_of(kind):
        if each.choices or (isinstance(each.type, type) and issubclass(each.type, str)):
            short = each.name.removesuffix("entifier")
            longer = f"{noun}_{short.replace(noun.rpartition('_')[2] + '_', '')}"
            for name in (longer, short):
                found[name.replace("_", "-")] = _text_of(each.name)
    return found


def _text_of(field: str) -> Callable[[Any], str]:
    return lambda noun: str(getattr(noun, field) or "")


def _marker(name: str, position: int) -> str:
    return base64.urlsafe_b64encode(f"{position}:{name}".encode()).decode()


def _read(marker: str) -> tuple[str, int]:
    try:
        position, _, name = base64.urlsafe_b64decode(marker.encode()).decode().partition(":")
        return name, int(position)
    except (binascii.Error, ValueError) as error:
        raise RefusedRequestError(
            "Marker is none that this operation gave out", fault="InvalidParameterValue"
        ) from error
