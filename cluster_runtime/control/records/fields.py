"""What a dataclass says of its fields: type, default, rules and words, as data.

The words of a field stand in the docstring of its class, as `name: what it is`, continued on
indented lines; `Doc` in the type of a field says it for all classes that use the type.
"""

import inspect
import re
import types
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from cluster_runtime.control.records.rules import Rule
from cluster_runtime.errors import InvalidParameterError
from cluster_runtime.wording import Parameter

REQUIRED = MISSING
"""The default of a field that has none."""

_ENTRY = re.compile(r"([a-z][a-z0-9_]*(?:, [a-z][a-z0-9_]*)*): (\S.*)")
_KINDS: dict[type, tuple[tuple[type, ...], str]] = {
    str: ((str,), "text"),
    bool: ((bool,), "True or False"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    datetime: ((datetime,), "a datetime"),
}


@dataclass(frozen=True, slots=True)
class Doc:
    """What a parameter of this type is."""

    text: str


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that no log, message or command line may hold."""


SECRET = Secret()


@dataclass(frozen=True, slots=True)
class OfTheHost:
    """A value that leads to something of the host's machine, or that its user has the keys of.

    paths_alone: only where it begins as a path; anything else is a plain name. Who may ask for
    clusters may not ask for those: only the user whose machine it is.
    """

    paths_alone: bool = False

    def is_meant(self, value: object) -> bool:
        """Whether a value leads there."""
        return value is not None and (not self.paths_alone or str(value).startswith("/"))


@dataclass(frozen=True, slots=True)
class Field:
    """One field. type: without None and without notes; optional: None is allowed.

    default: REQUIRED where there is none. notes: rules and the like, from its type.
    """

    name: str
    type: Any
    optional: bool
    default: Any
    keyword_only: bool
    notes: tuple[object, ...]
    doc: str

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is REQUIRED

    @property
    def secret(self) -> bool:
        """Whether its value is shown to nobody."""
        return SECRET in self.notes

    def leads_to_the_host(self, value: object) -> bool:
        """Whether a value of it leads to something of the host's machine."""
        return any(note.is_meant(value) for note in self.notes if isinstance(note, OfTheHost))

    @property
    def choices(self) -> tuple[Any, ...]:
        """The only values that it takes; empty where there are others."""
        return get_args(self.type) if get_origin(self.type) is Literal else ()

    @property
    def structure(self) -> bool:
        """Whether its value has fields of its own."""
        return isinstance(self.type, type) and hasattr(self.type, "__dataclass_fields__")

    @property
    def items(self) -> Any:
        """The type of each of its values, where it has any number of them; else None."""
        return get_args(self.type)[0] if get_origin(self.type) is tuple else None

    @property
    def rules(self) -> Iterator[Rule]:
        """What its value must obey, beyond its type."""
        return (note for note in self.notes if isinstance(note, Rule))

    def check(self, value: object) -> None:
        """Raises InvalidParameterError for a value of another kind, or outside the rules."""
        if value is None and self.optional:
            return
        if self.choices:
            self._check_kind(value in self.choices, value, _either(self.choices))
            return
        if self.items is not None:
            of = self.items.__name__
            right = isinstance(value, tuple | list) and all(
                isinstance(each, self.items) for each in value
            )
            self._check_kind(right, value, f"a sequence of {of}")
            return
        kinds, words = _KINDS.get(self.type, ((self.type,), f"a {self.type.__name__}"))
        right = isinstance(value, kinds) and (self.type is bool or not isinstance(value, bool))
        self._check_kind(right, value, words)
        for rule in self.rules:
            rule.check(self.name, value)

    def _check_kind(self, right: bool, value: object, words: str) -> None:
        if not right:
            what = f"a {type(value).__name__}" if self.secret else repr(value)
            raise InvalidParameterError(Parameter(self.name), f" is {what}; it must be {words}")


_known: dict[type, tuple[Field, ...]] = {}


def fields_of(kind: type) -> tuple[Field, ...]:
    """The fields of a dataclass, in their order."""
    if kind not in _known:
        _known[kind] = tuple(_read(kind))
    return _known[kind]


def _read(kind: type) -> Iterator[Field]:
    hints = get_type_hints(kind, include_extras=True)
    documented = entries(inspect.getdoc(kind) or "")
    for each in fields(kind):
        inner, optional, notes = _taken_apart(hints[each.name])
        default = each.default if each.default_factory is MISSING else each.default_factory()
        said = documented.get(each.name) or next(
            (note.text for note in notes if isinstance(note, Doc)), ""
        )
        yield Field(each.name, inner, optional, default, bool(each.kw_only), notes, said)


def check_rules(value: Any) -> None:
    """Raises InvalidParameterError for the first field whose value is not as its type says."""
    for each in fields_of(type(value)):
        each.check(getattr(value, each.name))


def entries(docstring: str) -> dict[str, str]:
    """The words of each field that a docstring describes."""
    found: dict[str, str] = {}
    names: list[str] = []
    for line in docstring.splitlines():
        entry = _ENTRY.fullmatch(line)
        if entry is not None:
            names = entry.group(1).split(", ")
            found |= dict.fromkeys(names, entry.group(2))
        elif names and line.startswith("    "):
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
        else:
            names = []
    return found


def prose(docstring: str) -> str:
    """A docstring without its words about fields."""
    kept: list[str] = []
    within = False
    for line in docstring.splitlines():
        within = _ENTRY.fullmatch(line) is not None or (within and line.startswith("    "))
        if not within:
            kept.append(line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()


def _taken_apart(hint: Any) -> tuple[Any, bool, tuple[object, ...]]:
    """(type, whether None is allowed, notes) of a type with notes inside or outside of a union."""
    if get_origin(hint) is Annotated:
        inner, optional, notes = _taken_apart(hint.__origin__)
        return inner, optional, (*notes, *hint.__metadata__)
    if get_origin(hint) in (Union, types.UnionType):
        (one,) = [arm for arm in get_args(hint) if arm is not type(None)]
        inner, _, notes = _taken_apart(one)
        return inner, True, notes
    return hint, False, ()


def _either(choices: tuple[Any, ...]) -> str:
    return " or ".join(repr(choice) for choice in choices)
