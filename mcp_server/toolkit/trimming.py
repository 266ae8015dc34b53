"""JSON schemas of tools as a model needs them: each word of them stands in its context."""

from collections.abc import Collection
from typing import Any

Schema = dict[str, Any]

_NULL = {"type": "null"}


def trimmed(schema: Schema, *, described: bool = True) -> Schema:
    """A schema without titles, without null as another way to leave something out, and, if not
    `described`, without descriptions.
    """
    kept: Schema = {}
    for key, value in schema.items():
        match key, value:
            case ("title", str()) | ("default", None | []):
                continue
            case "description", str() if not described:
                continue
            case (("properties" | "$defs"), dict()):
                kept[key] = {
                    name: trimmed(each, described=described) for name, each in value.items()
                }
            case _, dict():
                kept[key] = trimmed(value, described=described)
            case _, list():
                kept[key] = [
                    trimmed(each, described=described) if isinstance(each, dict) else each
                    for each in value
                ]
            case _:
                kept[key] = value
    return _without_null(kept)


def only(schema: Schema, names: Collection[str]) -> Schema:
    """The schema of an object of which these fields are told, and others are left open."""
    kept = {name: schema["properties"][name] for name in names}
    definitions = schema.get("$defs", {})
    used = {name: _open(each) for name, each in definitions.items() if _refers(kept, name)}
    return {
        "type": "object",
        "properties": kept,
        "required": [name for name in schema.get("required", ()) if name in kept],
        **({"$defs": used} if used else {}),
    }


def _open(definition: Schema) -> Schema:
    return {key: value for key, value in definition.items() if key != "additionalProperties"}


def _refers(part: Any, name: str) -> bool:
    if isinstance(part, dict):
        return part.get("$ref") == f"#/$defs/{name}" or any(
            _refers(each, name) for each in part.values()
        )
    return isinstance(part, list) and any(_refers(each, name) for each in part)


def _without_null(schema: Schema) -> Schema:
    ways = schema.get("anyOf")
    if not isinstance(ways, list) or _NULL not in ways:
        return schema
    others = [each for each in ways if each != _NULL]
    rest = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**others[0], **rest} if len(others) == 1 else {"anyOf": others, **rest}
