"""Where in a value the part is that a serializer refuses."""

import dataclasses
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from memory.errors import AgentMemoryError, NotSerializableError, TypeNotAllowedError

DEEPEST = 100


def placed(
    error: AgentMemoryError, what: str, dumps: Callable[[Any], Any], value: Any
) -> AgentMemoryError:
    """The same error, which says where: `what` and the path in it, as `channel 'plan' at .x[3]`."""
    path = path_of(error, dumps, value)
    said = f"{what}{' at ' + path if path else ''}: {error}"
    if isinstance(error, TypeNotAllowedError):
        return TypeNotAllowedError(said, refused=error.refused)
    return NotSerializableError(said)


def path_of(error: AgentMemoryError, dumps: Callable[[Any], Any], value: Any) -> str:
    """Steps from the value to the innermost part that is refused so, as Python writes them."""
    path = ""
    for _ in range(DEEPEST):
        for step, inner in _parts(value):
            try:
                dumps(inner)
            except AgentMemoryError as inner_error:
                if str(inner_error) == str(error):
                    path, value = path + step, inner
                    break
        else:
            break
    return path


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield f"[{key!r}]", inner
            yield f", key {key!r}", key
    elif isinstance(value, (list, tuple, deque)):
        for position, inner in enumerate(value):
            yield f"[{position}]", inner
    elif isinstance(value, (set, frozenset)):
        for inner in value:
            yield "{...}", inner
    elif isinstance(value, BaseModel):
        for source in (value.__dict__, value.__pydantic_extra__, value.__pydantic_private__):
            for name, inner in (source or {}).items():
                yield f".{name}", inner
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield f".{field.name}", getattr(value, field.name)
