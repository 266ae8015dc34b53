"""A port of the gateway: whoever comes in by it gets a session, or hears that there is no place."""

import asyncio
import math
import socket

from cluster_runtime.gateway.authentication.actions import Refusal
from cluster_runtime.gateway.doors import Entrance
from cluster_runtime.gateway.listener import Listener, ListeningSockets
from cluster_runtime.gateway.session import TOO_MANY_CONNECTIONS, Session
from cluster_runtime.gateway.waiting_room import WaitingRoom
from cluster_runtime.logs import EventLogger

NO_PLACE = Refusal(TOO_MANY_CONNECTIONS, "sorry, too many connections are being opened")
MADE_ROOM = "sorry, too many connections are being opened, and this one kept them waiting"


class Reception:
    """Listens for an entrance, and keeps those who have not found their endpoint yet.

    watched: by whom the sockets are watched.
    """

    # Each endpoint of each cluster has one, and most clusters are paused.
    __slots__ = (
        "_entrance",
        "_here",
        "_listener",
        "_loop",
        "_room",
        "_turned_away",
        "_turned_away_noted",
        "port",
    )

    def __init__(
        self,
        sockets: list[socket.socket],
        watched: ListeningSockets,
        entrance: Entrance,
        room: WaitingRoom[Session],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._entrance = entrance
        self._room = room
        self._here: dict[Session, None] = {}
        self._turned_away = 0
        self._turned_away_noted = -math.inf
        self._listener = Listener(watched, sockets, self._accept)
        self.port = self._listener.port

    def close(self) -> None:
        """Take no more clients; those who are there stay."""
        self._listener.close()

    def end_those_without_endpoint(self, text: str) -> None:
        """End whoever is still to say which endpoint is meant."""
        for session in [each for each in self._here if not each.at_its_endpoint]:
            session.terminate(text)

    @property
    def _log(self) -> EventLogger:
        return self._entrance.log.bind(port=self.port)

    def _accept(self, sock: socket.socket) -> None:
        def closed() -> None:
            self._room.leave(session)
            self._here.pop(session, None)

        session = Session(
            self._loop,
            sock,
            self._entrance,
            on_established=lambda: self._room.leave(session),
            on_closed=closed,
            log=self._log,
        )
        self._here[session] = None
        entry = self._room.enter(session)
        if not entry.admitted:
            self._note_turned_away()
            session.turn_away(NO_PLACE)
        for other in entry.leaving:
            other.terminate(MADE_ROOM, TOO_MANY_CONNECTIONS)

    def _note_turned_away(self) -> None:
        """Into the log, but once a second: a crowd at the door must not fill the disk."""
        self._turned_away += 1
        now = self._loop.time()
        if now - self._turned_away_noted >= 1:
            self._log.warning("no place for connections", turned_away=self._turned_away)
            self._turned_away, self._turned_away_noted = 0, now
