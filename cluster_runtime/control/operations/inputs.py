"""What a person or an agent is asked for, to call an operation of the control plane.

Taken from the declarations (`cluster_runtime.control.operations`): the command line and the tools
make their options and arguments of it. A structure is asked for member by member. What has one
possible value is not asked for.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cluster_runtime.control.operations import Declared
from cluster_runtime.control.operations.declaration import AS_IN_SOURCE, Changes
from cluster_runtime.control.records.fields import REQUIRED as REQUIRED
from cluster_runtime.control.records.fields import Field, fields_of
from cluster_runtime.control.records.rules import Range

if TYPE_CHECKING:
    from cluster_runtime.control.plane import ControlPlane


@dataclass(frozen=True, slots=True)
class Input:
    """A parameter, or a member of the structure `within` that is one."""

    field: Field
    within: Field | None = None

    @property
    def name(self) -> str:
        """Its name in Python."""
        return self.field.name

    @property
    def default(self) -> Any:
        """None where what is not given stays as it is; REQUIRED where it must be given."""
        within = self.within
        if within is not None and (_changed_field(within) or AS_IN_SOURCE in within.notes):
            return None
        return self.field.default

    @property
    def type(self) -> Any:
        """Its type, None included where that is its default."""
        optional = self.field.optional or self.default is None
        return self.field.type | None if optional else self.field.type

    @property
    def words(self) -> str:
        """A sentence."""
        said = self.field.doc.rstrip(".")
        steps = f" (in steps of {self.range.step:g})" if self.range and self.range.step else ""
        return f"{said[:1].upper()}{said[1:]}{steps}."

    @property
    def range(self) -> Range | None:
        """The range that its value must lie in, if there is one."""
        return next((rule for rule in self.field.rules if isinstance(rule, Range)), None)

    @property
    def names_the_subject(self) -> bool:
        """Whether it says what the operation works on: an identifier, the first parameter."""
        return self.name.endswith("_identifier") and not self.field.keyword_only


def inputs(declared: Declared, leave_out: Collection[str] = ()) -> tuple[Input, ...]:
    """What to ask for, in the order of the declaration."""
    return tuple(each for each in _all(declared) if each.name not in leave_out)


def arguments(
    declared: Declared, given: Mapping[str, Any], current: Callable[[str], Any]
) -> dict[str, Any]:
    """The keyword arguments of the operation. given: by name of input; what is absent has its
    default. current: the value of a field of the noun, for structures that are given in part.
    """
    found: dict[str, Any] = {}
    for parameter in declared.parameters:
        if not parameter.structure:
            if parameter.name in given:
                found[parameter.name] = given[parameter.name]
            continue
        members = {
            each.name: given[each.name]
            for each in fields_of(parameter.type)
            if given.get(each.name) is not None
        }
        changed = _changed_field(parameter)
        if members and changed is not None:
            found[parameter.name] = replace(current(changed), **members)
        elif members:
            found[parameter.name] = parameter.type(**members)
    return found


def current_values(plane: "ControlPlane", identifier: Any) -> Callable[[str], Any]:
    """The values of the fields of a cluster, looked up when asked for."""
    return lambda field: getattr(plane.cluster(str(identifier)).describe(), field)


def _all(declared: Declared) -> Iterator[Input]:
    for parameter in declared.parameters:
        if parameter.structure:
            yield from (Input(member, within=parameter) for member in fields_of(parameter.type))
        elif len(parameter.choices) != 1:
            yield Input(parameter)


def _changed_field(parameter: Field) -> str | None:
    return next((note.field for note in parameter.notes if isinstance(note, Changes)), None)
