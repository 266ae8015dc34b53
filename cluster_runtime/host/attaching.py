"""What a program does that wants the clusters of a state directory: a rule, without I/O.

A lock says whether somebody hosts the directory, a socket whether he answers, a file who he is. The
three do not change at the same moment, so each mixture has a meaning here.
"""

from dataclasses import dataclass
from enum import Enum, auto

from cluster_runtime.api.target import PROTOCOL

UNNAMED_SECONDS_MAX = 5.0
"""How long a process may hold the lock before it says who it is; one that never does is of a
release that nobody could attach to."""
SILENT_SECONDS_MAX = 120.0
"""How long a host may take to start with all its clusters, or to end with them."""


class Step(Enum):
    """What to do next."""

    ATTACH = auto()
    """It answers: use it."""
    TAKE = auto()
    """Nobody hosts: host here, or start a host in the background."""
    WAIT = auto()
    """It starts, or it ends: look again soon."""
    IN_USE = auto()
    """A program hosts that nobody can attach to."""
    SILENT = auto()
    """The host neither answers nor ends: give up."""
    OLDER_HOST = auto()
    """The host speaks an older protocol."""
    NEWER_HOST = auto()
    """The host speaks a newer protocol."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is to be seen of a state directory.

    locked: somebody holds its lock. named: that one has said who he is. protocol: the one that he
    names. answers: he takes connections.
    """

    locked: bool
    named: bool = False
    protocol: int = PROTOCOL
    answers: bool = False


def next_step(seen: Seen, waited_seconds: float) -> Step:
    """What to do next, for a program that has waited for so long already."""
    if seen.answers:
        if seen.protocol != PROTOCOL:
            return Step.OLDER_HOST if seen.protocol < PROTOCOL else Step.NEWER_HOST
        return Step.ATTACH
    if not seen.locked:
        return Step.TAKE
    if not seen.named and waited_seconds >= UNNAMED_SECONDS_MAX:
        return Step.IN_USE
    return Step.WAIT if waited_seconds < SILENT_SECONDS_MAX else Step.SILENT


class Fate(Enum):
    """What became of a call that got no answer."""

    NOT_SENT = auto()
    """No host took it: it has done nothing."""
    UNKNOWN = auto()
    """The host ended with the call under way: it may have done all, or nothing."""


def may_be_sent_again(fate: Fate, *, reads: bool) -> bool:
    """Whether a call may be sent to the next host. reads: it changes nothing."""
    return reads or fate is Fate.NOT_SENT
