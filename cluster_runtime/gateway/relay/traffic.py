"""How much goes through the gateway: counted where it passes, read by whoever wants to know."""


class Tally:
    """Bytes of one direction. The thread that relays adds to it; reading it is free to all."""

    __slots__ = ("bytes",)

    def __init__(self) -> None:
        self.bytes = 0


class Traffic:
    """Of all sessions of one server, as clients sent it and were sent it, without TLS around it.

    What passes before a session is established does not count.
    """

    __slots__ = ("__weakref__", "received", "sent")

    def __init__(self) -> None:
        self.received, self.sent = Tally(), Tally()
