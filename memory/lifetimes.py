"""How long something is kept: minutes or a timedelta, as users give it."""

from datetime import timedelta
from typing import Any

from memory.errors import ConfigurationError


def lifetime(ttl: Any, what: str) -> timedelta | None:
    """The interval that a TTL means. Raises ConfigurationError for what is none."""
    if ttl is None:
        return None
    try:
        interval = ttl if isinstance(ttl, timedelta) else timedelta(minutes=float(ttl))
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigurationError(f"{what} is {ttl!r}, which is no number of minutes") from error
    positive = interval > timedelta(0) if isinstance(ttl, timedelta) else float(ttl) > 0
    if not positive:
        raise ConfigurationError(f"{what} is {ttl!r} minutes; it must be positive, or None")
    return max(interval, timedelta.resolution)
