"""Groups of parameters that clusters run with, and what a change of one means. Pure.

Source: Amazon RDS API Reference, data types DBClusterParameterGroup and Parameter.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from cluster_runtime.engine.settings import Settings
from cluster_runtime.errors import InvalidParameterError

if TYPE_CHECKING:
    from cluster_runtime.engine.parameters import Definition

ApplyMethod = Literal["immediate", "pending-reboot"]
DEFAULT_PREFIX = "default."
NAME_MAX_CHARACTERS = 255
ACCOUNT = "000000000000"


@dataclass(frozen=True, slots=True)
class DBParameter:
    """One parameter of a group: a value that is asked for, or one that is shown.

    apply_method: `immediate`, for one that a running server takes, or `pending-reboot`.
    source: `user` where a group sets it, else `engine-default`. apply_type: `static` or `dynamic`.
    """

    parameter_name: str
    parameter_value: str | None = None
    apply_method: ApplyMethod = "pending-reboot"
    description: str | None = None
    source: str | None = None
    apply_type: str | None = None
    data_type: str | None = None
    allowed_values: str | None = None
    is_modifiable: bool | None = None

    @classmethod
    def parse(cls, text: str) -> "DBParameter":
        """One that is written as `name=value`; it applies as soon as it can."""
        name, _, value = text.partition("=")
        return cls(name, value, "immediate")


@dataclass(frozen=True, slots=True)
class DBClusterParameterGroup:
    """A named set of values that differ from the engine's. values: by the parameters' names."""

    db_cluster_parameter_group_name: str
    db_parameter_group_family: str
    description: str
    db_cluster_parameter_group_arn: str
    values: Mapping[str, str] = field(default_factory=dict)


def check_group_name(name: str) -> None:
    """RDS's rules. Raises InvalidParameterError."""
    formed = re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", name, re.ASCII)
    ends_well = not name.endswith("-") and "--" not in name
    if not formed or not ends_well or len(name) > NAME_MAX_CHARACTERS:
        raise InvalidParameterError(
            f"parameter group {name!r} must begin with a letter, hold letters, digits and single "
            f"hyphens, and have at most {NAME_MAX_CHARACTERS} characters"
        )


def changed(
    values: Mapping[str, str],
    parameters: Iterable[DBParameter],
    known: "Mapping[str, Definition]",
) -> tuple[dict[str, str], frozenset[str]]:
    """The values of a group after a change, and which of them a running server is to take now.

    Raises InvalidParameterError for an unknown parameter, a value that it does not take, or a
    static one that is to apply at once.
    """
    after, at_once = dict(values), set()
    for each in parameters:
        definition = _known(each.parameter_name, known)
        if each.parameter_value is None:
            raise InvalidParameterError(f"parameter {each.parameter_name!r} has no value")
        after[definition.name] = definition.check(each.parameter_value)
        if each.apply_method == "immediate":
            if definition.static:
                raise InvalidParameterError(
                    f"parameter {definition.name!r} is static: it applies at the next start of the "
                    "writer; give it the method pending-reboot"
                )
            at_once.add(definition.name)
    return after, frozenset(at_once)


def reset(
    values: Mapping[str, str],
    parameters: Iterable[DBParameter],
    known: "Mapping[str, Definition]",
) -> tuple[dict[str, str], frozenset[str]]:
    """The same for parameters that go back to the engine's default."""
    after, at_once = dict(values), set()
    for each in parameters:
        definition = _known(each.parameter_name, known)
        after.pop(definition.name, None)
        if not definition.static:
            at_once.add(definition.name)
    return after, frozenset(at_once)


def in_force_after(before: Settings, after: Mapping[str, str], at_once: Iterable[str]) -> Settings:
    """What a running server has once it took some of the new values."""
    names = frozenset(at_once)
    kept = {name: value for name, value in before.items() if name not in names}
    return kept | {name: value for name, value in after.items() if name in names}


def shown(values: Mapping[str, str], known: "Mapping[str, Definition]") -> list[DBParameter]:
    """All parameters of a family as a group has them, by name."""
    return [
        DBParameter(
            parameter_name=each.name,
            parameter_value=values.get(each.name),
            apply_method="pending-reboot" if each.static else "immediate",
            description=each.description,
            source="user" if each.name in values else "engine-default",
            apply_type="static" if each.static else "dynamic",
            data_type=each.data_type,
            allowed_values=each.allowed_values or None,
            is_modifiable=each.modifiable,
        )
        for each in sorted(known.values(), key=lambda one: one.name)
    ]


def _known(name: str, known: "Mapping[str, Definition]") -> "Definition":
    definition = known.get(name.lower())
    if definition is None:
        raise InvalidParameterError(f"PostgreSQL has no parameter {name!r}")
    return definition
