"""Simple values of AWS's protocols, and the check of a whole request against its shape."""

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cluster_runtime.api.refusals import invalid_value, missing


def scalar(kind: str, text: str) -> Any:
    """A value of one of the model's simple types. Raises ValueError."""
    match kind:
        case "boolean":
            if text.lower() not in ("true", "false"):
                raise ValueError(text)
            return text.lower() == "true"
        case "integer" | "long":
            return int(text)
        case "float" | "double":
            return float(text)
        case "timestamp":
            return moment(text)
        case "blob":
            try:
                return base64.b64decode(text, validate=True)
            except binascii.Error as error:
                raise ValueError(text) from error
        case _:
            return text


def moment(value: str | float) -> datetime:
    """A time as text (ISO 8601), or in seconds since 1970. Raises ValueError for what is none."""
    try:
        if isinstance(value, str):
            found = datetime.fromisoformat(value)
            aware = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
            return aware.astimezone(UTC)
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, OSError) as error:
        raise ValueError(value) from error


def check(members: Mapping[str, Any], shape: Any) -> None:
    """Raises RefusedRequestError for what the shape does not allow."""
    from botocore.validate import ParamValidator

    if shape is None:
        return
    for name in shape.required_members:
        if name not in members:
            raise missing(name)
    report = ParamValidator().validate(dict(members), shape)
    if report.has_errors():
        raise invalid_value(report.generate_report())
    for name, value in members.items():
        allowed = getattr(shape.members[name], "enum", None)
        if allowed and value not in allowed:
            raise invalid_value(f"{name} is {value!r}; it must be one of {', '.join(allowed)}")
