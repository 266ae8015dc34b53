"""What an operation of the control plane is, before anything performs it.

A declaration is a frozen dataclass: its fields are the parameters, their types carry the rules, its
docstring has the words. `operation` adds what RDS calls it, its result and its errors. Everything
that offers operations reads this: `Runtime`, `AsyncRuntime`, `ControlPlane`, the command line, the
tools, and the table in docs/operations.md.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar, TypeVar

from cluster_runtime.control.records.fields import Field, check_rules, fields_of, prose
from cluster_runtime.errors import BorealisError, InvalidParameterError
from cluster_runtime.wording import Parameter, Said

R = TypeVar("R", bound="type[Request]")


@dataclass(frozen=True, slots=True)
class InRds:
    """How RDS has a parameter where that is not the same: its default, or that it is required."""

    default: object


READING = ("Describe", "Download", "List", "Get")
"""How the names of operations begin that only read, in all of AWS."""

RDS_REQUIRES_IT = InRds("required")
RDS_HAS_NONE = InRds("absent")
"""A parameter of ours alone."""


@dataclass(frozen=True, slots=True)
class MeantInRds:
    """What a parameter of ours alone is for whoever asks in RDS's words, which have none for it."""

    value: object


MAKES_NO_INSTANCE_IN_RDS = MeantInRds(False)


@dataclass(frozen=True, slots=True)
class Earlier:
    """The name of a parameter one release ago, which still works and warns."""

    name: str


@dataclass(frozen=True, slots=True)
class Changes:
    """A structure that changes this field of the noun; members that are not given stay."""

    field: str


@dataclass(frozen=True, slots=True)
class AsInSource:
    """A structure of something that is made of another thing: not given, it is as there."""


AS_IN_SOURCE = AsInSource()


@dataclass(frozen=True, slots=True)
class Result:
    """What an operation returns. module, name: of its class, loaded by whoever needs it.

    protocol_name: what `ControlPlane` promises of it, where that is less.
    """

    module: str
    name: str
    many: bool = False
    protocol_name: str = ""


@dataclass(frozen=True, slots=True)
class Declared:
    """One operation. name: RDS's. of: the noun that it works on. result: None for nothing.

    ours: RDS has no such operation. of_this_host: what it does or shows ends with the host process.
    """

    name: str
    request: "type[Request]"
    of: str
    result: Result | None
    raises: tuple[type[BorealisError], ...]
    ours: bool = False
    of_this_host: bool = False

    @property
    def method(self) -> str:
        """Its name in Python: FailoverDBCluster -> failover_db_cluster."""
        return snake_case(self.name)

    @property
    def reads(self) -> bool:
        """Whether it changes nothing, so that it may be sent twice: RDS says so by its name."""
        return self.name.startswith(READING)

    @property
    def parameters(self) -> tuple[Field, ...]:
        """The parameters, in their order."""
        return fields_of(self.request)

    @property
    def summary(self) -> str:
        """One sentence."""
        return self.words.partition("\n")[0]

    @property
    def words(self) -> str:
        """What it does, without its parameters and errors."""
        return prose(inspect.getdoc(self.request) or "")


class Request:
    """Base of the declarations. An instance is a call of the operation, whose values are checked.

    Raises InvalidParameterError for a value outside its rules, and for a change of nothing.
    """

    __slots__ = ()
    declared: ClassVar[Declared]

    def __post_init__(self) -> None:
        check_rules(self)
        self.check()
        if changes_nothing(self.declared, values_of(self)):
            raise InvalidParameterError(*_what_can_be_changed(self.declared))

    def check(self) -> None:
        """Rules that look at several parameters. Raises InvalidParameterError."""


def changes_nothing(declared: Declared, given: Mapping[str, Any]) -> bool:
    """Whether an operation that changes something was given no more than what to change."""
    if not declared.name.startswith("Modify"):
        return False
    subject, *others = declared.parameters
    return subject.name.endswith(("_identifier", "_name")) and all(
        given.get(each.name, each.default) in (each.default, ()) for each in others
    )


def values_of(request: Request) -> dict[str, Any]:
    """The parameters of a call, by their names."""
    return {each.name: getattr(request, each.name) for each in fields_of(type(request))}


def _what_can_be_changed(declared: Declared) -> Iterator[Said]:
    yield "nothing to change is given; what can be: "
    for number, field in enumerate(declared.parameters[1:]):
        members = fields_of(field.type) if field.structure else (field,)
        for each, member in enumerate(members):
            yield from (", ",) if number or each else ()
            yield Parameter(member.name)


def operation(
    name: str,
    *,
    of: str,
    returns: Result | None,
    raises: Iterable[type[BorealisError]] = (),
    ours: bool = False,
    of_this_host: bool = False,
) -> Callable[[R], R]:
    """Make a frozen dataclass the declaration of an operation (`Declared` says what each is)."""

    def declare(request: R) -> R:
        request.declared = Declared(
            name, request, of, returns, tuple(raises), ours=ours, of_this_host=of_this_host
        )
        return request

    return declare


def declared_in(modules: Iterable[ModuleType]) -> tuple[Declared, ...]:
    """The operations that modules declare, in the order of their text."""
    return tuple(
        value.declared
        for module in modules
        for value in vars(module).values()
        if _declares(value) and value.__module__ == module.__name__
    )


def snake_case(name: str) -> str:
    """A name of RDS's API in Python, as botocore writes it."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _declares(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Request) and "declared" in vars(value)
