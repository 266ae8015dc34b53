"""Telling clients that a resource has changed, in the way of their protocol.

Since 2026-07-28 a client listens on a stream that it asked for (`subscriptions/listen`), to which
events come over a bus. Earlier ones subscribe to a resource and are sent a notification.
What other processes change, this one does not hear of.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from mcp.server.subscriptions import InMemorySubscriptionBus, ResourcesListChanged, ResourceUpdated

SUBSCRIPTIONS_MAX = 1000
"""Of clients of earlier protocols; beyond it, the oldest is forgotten."""


class Session(Protocol):
    """A client that subscribed."""

    async def send_resource_updated(self, uri: Any) -> None:
        """Tell it, or do nothing where it has gone."""


class Changes:
    """Who is told of what, of one server."""

    def __init__(self) -> None:
        self.bus = InMemorySubscriptionBus()
        self._listening = Counter[str]()
        self._subscribed: dict[tuple[str, str], Session] = {}

    @contextmanager
    def listening(self, uris: Sequence[str]) -> Iterator[None]:
        """While a stream is open that asks for these resources."""
        self._listening.update(uris)
        try:
            yield
        finally:
            self._listening.subtract(uris)
            self._listening += Counter()

    def subscribe(self, owner: str, uri: str, session: Session) -> None:
        """A client of an earlier protocol wants to hear of a resource."""
        self._subscribed.pop((owner, uri), None)
        self._subscribed[owner, uri] = session
        while len(self._subscribed) > SUBSCRIPTIONS_MAX:
            del self._subscribed[next(iter(self._subscribed))]

    def unsubscribe(self, owner: str, uri: str) -> None:
        """It does no longer."""
        self._subscribed.pop((owner, uri), None)

    async def of_clusters(self) -> None:
        """A cluster was made, or is gone."""
        await self.bus.publish(ResourcesListChanged())

    async def of(self, *beginnings: str) -> None:
        """Resources whose URIs are one of these, or go on behind one that ends in a slash."""
        for uri in [each for each in self._listening if _is_one(each, beginnings)]:
            await self.bus.publish(ResourceUpdated(uri=uri))
        for (_, uri), session in list(self._subscribed.items()):
            if _is_one(uri, beginnings):
                await session.send_resource_updated(uri)


def _is_one(uri: str, beginnings: Sequence[str]) -> bool:
    return any(uri == each or (each.endswith("/") and uri.startswith(each)) for each in beginnings)
