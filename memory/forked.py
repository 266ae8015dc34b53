"""What a forked process may not take over as it is: locks, and what waits for threads.

A thread that held a lock, or was to end a wait, is not there in the child.
"""

import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, WeakSet

T = TypeVar("T")


class FreshLock:
    """A lock that is free in a forked process, whoever held it in the parent."""

    __slots__ = ("__weakref__", "_lock", "_make")

    def __init__(self, *, reentrant: bool = False) -> None:
        self._make: Callable[[], Any] = threading.RLock if reentrant else threading.Lock
        self._lock = self._make()
        _LOCKS.add(self)

    def renew(self) -> None:
        """Be another lock."""
        self._lock = self._make()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()


def after_fork(of: T, call: Callable[[T], None]) -> None:
    """Have `call(of)` run in every forked process, as long as `of` is there."""
    _CALLS[of] = call


_LOCKS: WeakSet[FreshLock] = WeakSet()
_CALLS: WeakKeyDictionary[Any, Callable[[Any], None]] = WeakKeyDictionary()


def _in_child() -> None:
    for lock in list(_LOCKS):
        lock.renew()
    for of, call in list(_CALLS.items()):
        call(of)


os.register_at_fork(after_in_child=_in_child)
