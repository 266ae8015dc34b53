"""Which classes a serializer builds, and how a class is named so that it is found again.

A class is named by its module and `__qualname__`. Whatever may be written can be found when it is
read: a name that leads nowhere (a class inside a function that nobody passed in `allow`) is refused
at the write. Allowing a class allows the classes of its fields; a `TypedDict` stands for those of
its fields. Nothing is imported before its name is known to be allowed.
"""

import builtins
import dataclasses
import importlib
import sys
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, NamedTuple, TypeAlias

from langgraph.checkpoint.serde._msgpack import SAFE_MSGPACK_TYPES
from pydantic import BaseModel
from typing_extensions import is_typeddict

from memory.errors import NotSerializableError, TypeNotAllowedError, TypeNotFoundError
from memory.forked import FreshLock

TypeKey: TypeAlias = tuple[str, ...]
Aliases: TypeAlias = Mapping[str | type | TypeKey, str | type | TypeKey]

EXCEPTIONS = frozenset(
    ("builtins", name)
    for name, found in vars(builtins).items()
    if isinstance(found, type) and issubclass(found, BaseException)
)
ALWAYS_ALLOWED: frozenset[TypeKey] = (
    SAFE_MSGPACK_TYPES
    | EXCEPTIONS
    | {
        ("langgraph.store.base", "SearchItem"),
        ("pydantic.types", "SecretStr"),
        ("pydantic.types", "SecretBytes"),
        ("builtins", "bytearray"),
        ("builtins", "complex"),
        ("builtins", "range"),
        ("fractions", "Fraction"),
        ("collections", "OrderedDict"),
        ("collections", "defaultdict"),
        ("collections", "Counter"),
    }
)
# What may stand for a type: the factory of a defaultdict, the argument of a generic model.
PLAIN_TYPES: dict[str, type] = {
    cls.__name__: cls
    for cls in (bool, bytes, complex, dict, float, frozenset, int, list, set, str, tuple)
}
# A subclass of one of these is restored as what it is.
BASES: tuple[type, ...] = (str, bytes, int, float, list, dict, set, frozenset, tuple)


class Name(NamedTuple):
    """How a class is written down. args: of a generic model, as references."""

    module: str
    qualname: str
    args: list[Any] | None = None


class AllowList:
    """The classes that may be built; grows by what LangGraph names. Safe to use from threads.

    entries: classes, `TypedDict`s, or `(module, name)`. aliases: old name to class (or new name),
    for what was renamed since it was stored.
    """

    def __init__(self, entries: Iterable[type | TypeKey], aliases: Aliases | None = None) -> None:
        self._lock = FreshLock(reentrant=True)
        self._keys: set[TypeKey] = set(ALWAYS_ALLOWED)
        self._classes: dict[TypeKey, type] = {}
        self._unread: set[TypeKey] = set()
        self._names: dict[type, Name] = {}
        self._langchains: dict[TypeKey, type[BaseModel]] = {}
        self._aliases = {_dotted(old): new for old, new in (aliases or {}).items()}
        for target in self._aliases.values():
            if isinstance(target, type):
                self.extend([target])
        self.extend(entries)

    @property
    def keys(self) -> frozenset[TypeKey]:
        """Every allowed name."""
        return frozenset(self._keys)

    def extend(self, entries: Iterable[type | TypeKey]) -> None:
        """Allow more."""
        with self._lock:
            for entry in entries:
                if isinstance(entry, type) or is_typeddict(entry):
                    for cls in classes_in(entry):
                        self._keys |= {key_of(cls), (cls.__module__, cls.__name__)}
                        self._classes[key_of(cls)] = cls
                        self._classes.setdefault((cls.__module__, cls.__name__), cls)
                elif tuple(entry) not in self._keys:
                    self._keys.add(tuple(entry))
                    self._unread.add(tuple(entry))

    # -- writing

    def name(self, cls: type) -> Name:
        """How an allowed class is written; raises for one that reading would refuse or not find."""
        found = self._names.get(cls)
        if found is None:
            found = self._names[cls] = self._name(cls)
        return found

    def _name(self, cls: type) -> Name:
        module, qualname = key_of(cls)
        self.require(module, qualname, cls.__name__)
        generic = _generic(cls)
        if generic is not None and self._classes.get((module, qualname)) is not cls:
            arguments = map(self.reference, generic["args"])
            name = Name(module, qualname, [generic["origin"].__qualname__, *arguments])
        else:
            name = Name(module, qualname)
        try:
            same = self.find(*name) is cls
        except TypeNotFoundError:
            same = False
        if not same:
            raise NotSerializableError(
                f"{module}.{qualname} could not be found again by that name: define it at the top "
                f"level of its module, or pass the class itself: allow=[{cls.__name__}]"
            )
        return name

    def reference(self, cls: Any) -> list[Any]:
        """A type as data: `[module, qualname]`, with its arguments where it has some."""
        if cls is type(None):
            return ["builtins", "None"]
        origin = typing.get_origin(cls)
        if isinstance(cls, types.GenericAlias) and isinstance(origin, type):
            return [*self.reference(origin), [self.reference(a) for a in typing.get_args(cls)]]
        if not isinstance(cls, type):
            raise NotSerializableError(f"the type {cls!r} cannot be stored")
        if PLAIN_TYPES.get(cls.__name__) is cls:
            return ["builtins", cls.__name__]
        return [part for part in self.name(cls) if part is not None]

    # -- reading

    def type_of(self, reference: list[Any]) -> Any:
        """What `reference` was given."""
        module, name, *args = reference
        if (module, name) == ("builtins", "None"):
            return type(None)
        if module == "builtins" and name in PLAIN_TYPES:
            plain: Any = PLAIN_TYPES[name]
            return plain[tuple(self.type_of(a) for a in args[0])] if args else plain
        return self.find(module, name, args[0] if args else None)

    def find(self, module: str, name: str, args: list[Any] | None = None) -> Any:
        """The class of a name; raises TypeNotAllowedError, and TypeNotFoundError if it is gone."""
        alias = self._aliases.get(f"{module}.{name}")
        if isinstance(alias, type):
            return alias
        if alias is not None:
            module, _, name = _dotted(alias).rpartition(".")
            return self._walk_dotted(f"{module}.{name}")
        self.require(module, name)
        if args is not None and (module, name) not in self._classes:
            if args[0] != name.partition("[")[0]:
                self.require(module, args[0])
            origin = _walk(module, args[0])
            return origin[tuple(self.type_of(reference) for reference in args[1:])]
        with self._lock:
            known = self._classes.get((module, name))
        if known is not None:
            return known
        found = _walk(module, name)
        if (module, name) not in self._keys and (
            not isinstance(found, type) or key_of(found) != (module, name)
        ):
            # Allowed by its last part only, and that is another module's or no class.
            raise TypeNotAllowedError(f"{module}.{name} is not the class of that name: refused")
        return found

    def langchains(self, module: Any, name: Any) -> type[BaseModel] | None:
        """A model of LangChain's that `find` would find; None if this name is none."""
        if self._aliases:
            return None
        key = (module, name)
        known = self._langchains.get(key)
        if known is None and key in ALWAYS_ALLOWED and module.startswith("langchain_core."):
            found = self.find(module, name)
            if isinstance(found, type) and issubclass(found, BaseModel):
                known = self._langchains[key] = found
        return known

    def require(self, module: Any, qualname: Any, short: str | None = None) -> None:
        """Raise `TypeNotAllowedError` for a name that is not allowed."""
        if self._allows(module, qualname, short) or (
            self._read_fields() and self._allows(module, qualname, short)
        ):
            return
        name = short or str(qualname).rpartition(".")[2]
        raise TypeNotAllowedError(
            f"{module}.{qualname} is not on the serializer's allow-list. If you trust it, pass "
            f"allow=[{name}] (or allow=[({module!r}, {qualname!r})]) to BorealisSaver; elsewhere, "
            "serde=BorealisSerializer(allow=...)",
            refused=(str(module), str(qualname)),
        )

    def _allows(self, module: Any, qualname: Any, short: str | None) -> bool:
        if (module, qualname) in self._keys:
            return True
        name = str(qualname)
        plain = name.partition("[")[0]
        names = {plain, plain.rpartition(".")[2], short or name}
        return module != "builtins" and any(
            (module, n) in self._keys and (module, n) not in ALWAYS_ALLOWED for n in names
        )

    def _read_fields(self) -> bool:
        """Look at classes that were allowed by name, for the classes of their fields."""
        with self._lock:
            unread, self._unread = self._unread, set()
        for module, name, *_ in unread - ALWAYS_ALLOWED:
            try:
                found = _walk(module, name)
            except TypeNotFoundError:
                continue  # refused by name where it is met
            if isinstance(found, type):
                self.extend([found])
        return bool(unread)

    def _walk_dotted(self, dotted: str) -> Any:
        parts = dotted.split(".")
        for cut in range(len(parts) - 1, 0, -1):
            try:
                return _walk(".".join(parts[:cut]), ".".join(parts[cut:]))
            except TypeNotFoundError:
                continue
        raise TypeNotFoundError(f"the alias leads to {dotted}, which cannot be found")


def key_of(cls: type) -> TypeKey:
    """Module and qualified name of a class; `Box[int]` is where `Box` is, not where it was made."""
    generic = _generic(cls)
    return (cls if generic is None else generic["origin"]).__module__, cls.__qualname__


def _generic(cls: type) -> Mapping[str, Any] | None:
    """What pydantic knows of a parametrized model."""
    generic: Mapping[str, Any] = cls.__dict__.get("__pydantic_generic_metadata__") or {}
    return generic if generic.get("origin") is not None else None


def classes_in(schema: Any) -> Iterator[type]:
    """A class with the classes of its fields, theirs, and so on; those that values are made of."""
    seen: set[int] = set()
    pending = [schema]
    while pending:
        current = pending.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        if not isinstance(current, type) or typing.get_origin(current) is not None:
            pending += typing.get_args(current)
            continue
        if current.__module__ != "builtins" and not is_typeddict(current):
            yield current
        pending += _field_types(current)


def _field_types(cls: Any) -> list[Any]:
    """The annotations of what has fields."""
    if not (
        is_typeddict(cls)
        or dataclasses.is_dataclass(cls)
        or (isinstance(cls, type) and issubclass(cls, BaseModel))
        or hasattr(cls, "_fields")
    ) or issubclass(cls, Enum):
        return []
    try:
        found = list(typing.get_type_hints(cls).values())
    except (NameError, TypeError, AttributeError):
        found = list(getattr(cls, "__annotations__", {}).values())
    if issubclass(cls, BaseModel):
        found += [field.annotation for field in cls.model_fields.values()]
    return found


def _walk(module: str, name: str) -> Any:
    try:
        found: Any = sys.modules.get(module) or importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise TypeNotFoundError(
            f"{module}.{name} cannot be found ({error}). If it was renamed or moved, pass "
            f"aliases={{{module + '.' + name!r}: NewClass}}; recover=True shows what is stored"
        ) from error
    return found


def _dotted(name: str | type | TypeKey) -> str:
    if isinstance(name, type):
        return ".".join(key_of(name))
    return name if isinstance(name, str) else ".".join(name)
