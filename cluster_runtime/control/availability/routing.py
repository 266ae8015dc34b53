"""Which instance a new connection goes to, and which instances an endpoint may lead to."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Balance:
    """Spreads the connections of one endpoint: to who has the fewest, then in turn."""

    _turn: dict[str, int] = field(default_factory=dict)
    _number: int = 0

    def choose(self, ready: Sequence[str], connections: Iterable[tuple[str, int]]) -> str | None:
        """The one of `ready` to connect to; None where there is none.

        connections: how many each has now. Those under way are not among them: whoever was chosen
        last comes last of those with as many.
        """
        if not ready:
            return None
        known = dict(connections)
        chosen = min(ready, key=lambda name: (known.get(name, 0), self._turn.get(name, 0), name))
        self._number += 1
        self._turn[chosen] = self._number
        for gone in self._turn.keys() - set(ready):
            del self._turn[gone]
        return chosen


@dataclass(frozen=True, slots=True)
class Membership:
    """The members of a custom endpoint: those that are named, or all but those that are excluded.

    readers_only: not the writer, whichever instance that is.
    """

    static: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    readers_only: bool = False

    def members(self, writer: str, readers: Iterable[str]) -> list[str]:
        """The instances that it leads to now, of those that there are."""
        all_of_them = [*readers] if self.readers_only else [writer, *readers]
        if self.static:
            return [each for each in all_of_them if each in self.static]
        return [each for each in all_of_them if each not in self.excluded]
