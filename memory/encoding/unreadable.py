"""What stands in the place of a value that cannot be built."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A stored value whose class is not allowed, not there any more, or whose bytes are damaged.

    type_name: of its class, "module.Name"; "" where even that is lost. value: its fields or
    arguments, as plain values. reason: why it was not built. Stored again, it is the same bytes.
    """

    type_name: str
    value: Any
    reason: str
    stored: tuple[int, bytes] | None = field(default=None, repr=False, compare=False)
