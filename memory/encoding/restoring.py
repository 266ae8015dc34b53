"""Building stored values: as they were, without calling what a class does in its constructor.

A class that has other fields now than when the value was stored is built by its constructor
instead, which fills in defaults.
"""

import dataclasses
import importlib
import re
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from functools import cache
from typing import Any

from langgraph.checkpoint.serde.jsonplus import EXT_PYDANTIC_V2
from pydantic import BaseModel

from memory.encoding.classes import BASES
from memory.errors import CorruptedCheckpointError

RAW = "raw"
"""In place of a method's name: the fields are those of the object itself."""

_set = object.__setattr__
NAMING = ("name", "path")
NAMING_ERRORS = (ImportError, NameError, AttributeError)
"""They have these beside their arguments."""
_FILLED = (set, frozenset, deque, OrderedDict, Counter, defaultdict)
"""What takes the elements of anything; a range has as many as it says."""
_RATIO = re.compile(r"-?\d+(/\d+)?")
"""Not an exponent, which stands for any number of digits."""


def require_as_stored(factory: Any, arguments: Any) -> None:
    """Raise for arguments from which a class makes more than was ever stored of it."""
    as_stored = type(arguments) is list
    if as_stored and factory in _FILLED:
        as_stored = all(type(argument) is not range for argument in arguments)
    elif as_stored and factory is bytearray:
        as_stored = [type(argument) for argument in arguments] == [bytes]
    elif as_stored and factory is Fraction:
        as_stored = all(_RATIO.fullmatch(str(argument)) for argument in arguments)
    if not as_stored:
        raise CorruptedCheckpointError(
            f"a stored {factory.__qualname__} was not written by this package"
        )


def generic_arguments(code: int, rest: Sequence[Any]) -> list[Any] | None:
    """The arguments of a generic pydantic model, as references."""
    if code == EXT_PYDANTIC_V2 and len(rest) > 1:
        arguments: list[Any] | None = rest[1][3]
        return arguments
    return None


def model(cls: Any, values: dict[str, Any], rest: Sequence[Any]) -> Any:
    """A pydantic model: exactly if its class has the same fields, validated if it can be."""
    if len(rest) > 1 and values.keys() == _model_fields(cls):
        made = cls.__new__(cls)
        fields_set, extra, private, *_ = rest[1]
        _set(made, "__dict__", values)
        if issubclass(cls, BaseModel):
            _set(made, "__pydantic_fields_set__", set(values if fields_set is None else fields_set))
            if not cls.__pydantic_root_model__:  # which has these two for all its instances
                _set(made, "__pydantic_extra__", extra)
                _set(made, "__pydantic_private__", private)
        else:
            _set(made, "__fields_set__", set(values if fields_set is None else fields_set))
            for name, value in (private or {}).items():
                _set(made, name, value)
        return made
    try:
        return cls(**values)
    except (TypeError, ValueError):
        construct = getattr(cls, "model_construct", None) or cls.construct
        return construct(**values)


def message(cls: Any, values: Any) -> Any:
    """One of LangChain's messages or documents, as its constructor makes it of these fields.

    None if these are not all its fields: then the constructor is to fill in the others.
    """
    names, takes_more = _form(cls)
    if type(values) is not dict or values.keys() != names:
        return None
    made = cls.__new__(cls)
    _set(made, "__dict__", values)
    _set(made, "__pydantic_fields_set__", set(values))
    _set(made, "__pydantic_extra__", {} if takes_more else None)
    _set(made, "__pydantic_private__", None)
    return made


@cache
def _form(cls: Any) -> tuple[frozenset[str], bool]:
    """The fields of a class of LangChain's, which never change, and whether it takes others."""
    return frozenset(cls.model_fields), cls.model_config.get("extra") == "allow"


def _model_fields(cls: Any) -> Any:
    fields = cls.model_fields if issubclass(cls, BaseModel) else cls.__fields__
    return fields.keys()


def from_fields(cls: Any, values: dict[str, Any], rest: Sequence[Any]) -> Any:
    """A dataclass, a named tuple, or what else is made of keyword arguments."""
    require_as_stored(cls, list(values.values()))
    if not rest or rest[0] != RAW or not isinstance(cls, type):
        return cls(**values)
    others = rest[1] if len(rest) > 1 else {}
    beside = rest[2] if len(rest) > 2 else {}
    if dataclasses.is_dataclass(cls):
        if {f.name for f in dataclasses.fields(cls)} == values.keys() | others.keys():
            made = cls.__new__(cls)
            for name, value in (*values.items(), *others.items(), *beside.items()):
                _set(made, name, value)
            return made
    elif values.keys() == set(getattr(cls, "_fields", ())):
        return tuple.__new__(cls, [values[name] for name in cls._fields])  # type: ignore[attr-defined]
    return cls(**values)


def subclass(cls: Any, content: Any, base_name: str, attributes: Mapping[str, Any] | None) -> Any:
    """An instance of a subclass of a built-in type."""
    base: Any = next((b for b in BASES if b.__name__ == base_name), None)
    if base is None or not issubclass(cls, base):
        raise CorruptedCheckpointError(f"{cls.__qualname__} is no {base_name} any more")
    if type(content) is not (list if base in (tuple, set, frozenset) else base):
        raise CorruptedCheckpointError(f"a stored {cls.__qualname__} has another content")
    if base in (list, dict, set):
        made = base.__new__(cls)
        fill: Any = base.extend if base is list else base.update
        fill(made, content)
    else:
        made = base.__new__(cls, content)
    if attributes:
        made.__dict__.update(attributes)
    return made


def exception(cls: Any, arguments: Sequence[Any], attributes: Mapping[str, Any] | None) -> Any:
    """An exception with its arguments; its constructor is not called."""
    if not (isinstance(cls, type) and issubclass(cls, BaseException)):
        raise CorruptedCheckpointError(f"{cls!r} is no exception")
    require_as_stored(cls, arguments)
    made = built_in(cls).__new__(cls, *arguments)
    with suppress(TypeError):  # a class that never called it has other arguments
        built_in(cls).__init__(made, *arguments)
    for name, value in (attributes or {}).items():
        if name == "args" or (name in NAMING and isinstance(made, NAMING_ERRORS)):
            setattr(made, name, value)
        else:
            made.__dict__[name] = value
    return made


def built_in(cls: type[BaseException]) -> Any:
    """The class that an exception is made of, which may keep arguments where nothing shows them."""
    return next(base for base in cls.__mro__ if base.__module__ == "builtins")


def array(dtype: Any, shape: Sequence[int], order: str, buffer: bytes) -> Any:
    """A numpy array that may be written to, as the one that was stored."""
    numpy: Any = importlib.import_module("numpy")
    kind = numpy.dtype(dtype) if isinstance(dtype, str) else numpy.lib.format.descr_to_dtype(dtype)
    flat = numpy.frombuffer(bytearray(buffer), dtype=kind) if buffer else numpy.empty(0, kind)
    return flat.reshape(shape, order=order)
