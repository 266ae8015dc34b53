"""Where the messages of one direction begin and end: told from type byte and length alone.

What a message holds is never looked at, but for the end of a NoticeResponse; so no data, whatever
bytes it has, can be taken for a message. A body costs nothing however long it is: its length is
skipped, over as many arrivals as it takes.

Source: PostgreSQL 18 documentation, "Message Formats"; `replication/syncrep.c` and
`utils/error/elog.c`.
"""

import struct

HEADER_BYTES = 5
NOTICE_RESPONSE, ERROR_RESPONSE, TERMINATE, READY_FOR_QUERY = b"NEXZ"

CANCELLED_COMMIT = b"\0RSyncRepWaitForLSN\0\0"
"""How a NoticeResponse ends that says that a commit no longer waits to become durable.

A notice's last field names the routine that it comes from, which unlike its text is never
translated, and which no user can choose. A field cannot hold a zero byte, so the one before `R`
ends another field. What follows the notice is the answer to a commit that succeeded.
"""
_MARK_BYTES = len(CANCELLED_COMMIT)

_SAMPLE = 16
_STEPS = range(_SAMPLE)
"""Every so many messages it is looked whether that many of one size follow: rows often do."""

_header = struct.Struct("!BI").unpack_from


def _alike(data: bytes | bytearray, at: int, size: int, stride: int) -> int:
    """How many messages from `at` on have the header that stands there, one `stride` apart.

    What five slices say in C: where a header is followed by its equal one stride on, that is the
    next header, for it is the stride that the first one names.
    """
    columns = [data[at + offset : size : stride] for offset in range(HEADER_BYTES)]
    return min(len(column) - len(column.lstrip(column[:1])) for column in columns)


class Frames:
    """Follows one direction of a connection, from its first typed message on.

    kind: type byte of the last message that began; 0 before the first.
    """

    __slots__ = ("_ahead", "_notice", "_partial", "kind")

    def __init__(self) -> None:
        self.kind = 0
        self._ahead = 0  # bytes from here to the next header
        self._partial = b""  # what has arrived of that header, if not all of it
        self._notice = b""  # the last bytes of a notice that goes on

    @property
    def at_boundary(self) -> bool:
        """Whether the last message is complete: what comes next begins another."""
        return not self._ahead and not self._partial

    def find(self, kinds: bytes, data: bytes | bytearray, size: int) -> tuple[int, int, int] | None:
        """The first message of certain kinds that begins and ends in the next bytes.

        Its kind, and where it begins and ends among the first `size` of `data`, none of which is
        taken in.
        """
        if self._partial:
            return None
        at = self._ahead
        while at + HEADER_BYTES <= size:
            kind, length = _header(data, at)
            end = at + length + 1
            if kind in kinds and end <= size:
                return kind, at, end
            at = end
        return None

    def advance(self, data: bytes | bytearray, size: int) -> int | None:
        """Take in the next bytes: the first `size` of `data`.

        Returns where among them the notice of a cancelled commit ends, None where none does. What
        stands behind such a notice is not taken in.
        """
        body = 0
        if self._partial:
            body = HEADER_BYTES - len(self._partial)
            self._partial += data[: min(body, size)]
            if len(self._partial) < HEADER_BYTES:
                return None
            self.kind, length = _header(self._partial)
            self._partial = b""
            self._ahead = body + length - 4
        at: int = self._ahead
        if at > body and self.kind == NOTICE_RESPONSE:
            self._notice = (self._notice + data[body : min(at, size)])[-_MARK_BYTES:]
            if at <= size:
                ended, self._notice = self._notice, b""
                if ended == CANCELLED_COMMIT:
                    return at
        last = size - HEADER_BYTES
        kind, header = self.kind, _header
        while at <= last:
            kind, length = header(data, at)
            ahead = at + (length + 1) * _SAMPLE
            if ahead <= last and data[ahead] == kind != NOTICE_RESPONSE:
                at += _alike(data, at, size, length + 1) * (length + 1)
            for _ in _STEPS:  # once for every other message: what costs
                if at > last:
                    break
                kind, length = header(data, at)
                at += length + 1
                if kind == NOTICE_RESPONSE:
                    if at > size:
                        self._notice = bytes(data[max(at - length + 4, size - _MARK_BYTES) : size])
                    elif data.endswith(CANCELLED_COMMIT, 0, at):
                        return at
        self.kind = kind
        if at < size:
            self._partial = bytes(data[at:size])
            self._ahead = 0
        else:
            self._ahead = at - size
        return None
