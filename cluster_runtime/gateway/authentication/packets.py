"""The packets of a client that is not let in yet: their size is judged before their body."""

import struct

from cluster_runtime.gateway.wire import protocol
from cluster_runtime.gateway.wire.protocol import ProtocolError


class IncomingPacket:
    """The packet that a client sends now, one after the other.

    typed: whether it begins with the byte of a message type (a password response), and not with its
    length (a startup packet).
    """

    def __init__(self) -> None:
        self._received = bytearray()

    @property
    def begun(self) -> bool:
        """Whether some of it is here."""
        return bool(self._received)

    def add(self, data: bytes) -> None:
        """Note what has come."""
        self._received += data

    def lacks(self, *, typed: bool) -> int:
        """Bytes that its header, and then the whole of it, still lack.

        Raises ProtocolError where its header cannot be right.
        """
        header = 5 if typed else 4
        if len(self._received) < header:
            return header - len(self._received)
        return max(self._bytes(typed=typed) - len(self._received), 0)

    def take(self, *, typed: bool) -> tuple[bytes, bool]:
        """It, with whatever came behind it, and whether that is anything. The next one begins."""
        packet, size = bytes(self._received), self._bytes(typed=typed)
        self._received.clear()
        return packet, len(packet) > size

    def _bytes(self, *, typed: bool) -> int:
        prefix = 1 if typed else 0
        (length,) = struct.unpack_from("!I", self._received, prefix)
        if typed:
            if self._received[:1] != b"p":
                kind = self._received[0]
                raise ProtocolError(f"expected password response, got message type {kind}")
            if not 4 <= length <= protocol.CREDENTIAL_BYTES_MAX:
                raise ProtocolError("invalid password packet size")
        elif not 8 <= length <= protocol.STARTUP_BYTES_MAX:
            raise ProtocolError("invalid length of startup packet")
        return prefix + int(length)
