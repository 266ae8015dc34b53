"""What of a Python value PostgreSQL's jsonb can hold and give back exactly.

jsonb refuses NUL characters, lone surrogates, NaN and infinities; it turns 1e300 into an integer
and -0.0 into 0. Such values are kept in sealed form; jsonb gets the rest, for filters.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from memory.encoding.ids import original, storable

_NOTHING = object()
_TOO_LARGE = 10**300
_as_text = json.JSONEncoder(ensure_ascii=False).encode


def plain(value: Any) -> Any:
    """The value in JSON's own types: an enum of texts as text, a scalar of numpy's as a number."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Mapping):
        return {plain(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (int, float)):
        return int(value) if isinstance(value, int) else float(value)
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        return value.item()
    return value


def to_jsonb(value: Mapping[str, Any]) -> tuple[str, bool]:
    """JSON text for a jsonb column, and whether jsonb gives back exactly this value."""
    keep = _Keep()
    kept = keep(value)
    return _as_text(kept), keep.exact


def is_exact(value: Any) -> bool:
    """Whether jsonb gives back exactly this value."""
    keep = _Keep()
    keep(value)
    return keep.exact


def contains(value: Any, wanted: Any) -> bool:
    """jsonb's `value @> wanted`, for values that jsonb cannot hold.

    Source: PostgreSQL documentation, "jsonb Containment and Existence".
    """
    if isinstance(wanted, Mapping):
        return isinstance(value, Mapping) and all(
            key in value and contains(value[key], inner) for key, inner in wanted.items()
        )
    if isinstance(wanted, (list, tuple)):
        return isinstance(value, (list, tuple)) and all(
            any(contains(element, inner) for element in value) for inner in wanted
        )
    return equal(value, wanted)


def equal(left: Any, right: Any) -> bool:
    """Equality of JSON values: 1 is 1.0, but never True."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def is_fit(value: Any) -> bool:
    """Whether PostgreSQL can store every text in a JSON value."""
    texts: list[str] = []

    def note(text: str) -> str:
        texts.append(text)
        return text

    _each_text(value, note)
    return all(map(_is_text, texts))


def escaped(value: Any) -> Any:
    """The value with texts that PostgreSQL can store (`memory.encoding.ids.storable`)."""
    return _each_text(value, storable)


def unescaped(value: Any) -> Any:
    """What `escaped` was given."""
    return _each_text(value, original)


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {
            change(key) if isinstance(key, str) else key: _each_text(inner, change)
            for key, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_each_text(inner, change) for inner in value]
    return value


class _Keep:
    """Copies what jsonb can hold, and notes whether that is all of it, unchanged."""

    def __init__(self) -> None:
        self.exact = True

    def __call__(self, value: Any) -> Any:
        match value:
            case None | bool():
                return value
            case str() if type(value) is str and _is_text(value):
                return value
            case int() if type(value) is int and abs(value) < _TOO_LARGE:
                return value
            case float() if type(value) is float and math.isfinite(value):
                if "e" in repr(value) or (value == 0 and math.copysign(1, value) < 0):
                    self.exact = False
                return value
            case list():
                return self._keep_elements(value)
            case tuple():
                self.exact = False
                return self._keep_elements(value)
            case Mapping():
                return self._keep_pairs(value)
            case _:
                self.exact = False
                return _NOTHING

    def _keep_elements(self, value: Sequence[Any]) -> list[Any]:
        return [kept for element in value if (kept := self(element)) is not _NOTHING]

    def _keep_pairs(self, value: Mapping[Any, Any]) -> dict[str, Any]:
        if type(value) is not dict:
            self.exact = False
        result: dict[str, Any] = {}
        for key, inner in value.items():
            if not isinstance(key, str) or not _is_text(key):
                self.exact = False
            elif (kept := self(inner)) is not _NOTHING:
                result[key] = kept
        return result


def _is_text(value: str) -> bool:
    if "\x00" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
