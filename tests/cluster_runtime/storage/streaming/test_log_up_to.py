"""The log of a volume as one standby gets it, up to where it is told to end."""

import os
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.storage.core.policy.feedback import Feedback
from cluster_runtime.storage.core.timelines import Timelines
from cluster_runtime.storage.streaming.log_up_to import LogUpTo
from cluster_runtime.storage.streaming.wal_protocol import ServedLog
from cluster_runtime.storage.streaming.wal_service import WalCursor


class Log:
    """A volume whose log is durable up to where the test says."""

    def __init__(self) -> None:
        self.served = ServedLog(1, Timelines(), 0, 0, 1 << 24, "18.6")
        self.watched: set[int] = set()
        self.relayed: list[Feedback] = []

    def grow(self, by: int) -> None:
        self.served = replace(self.served, end=self.served.end + by)

    def served_log(self) -> ServedLog:
        return self.served

    def cursor(self, lsn: int) -> WalCursor:
        raise LookupError(f"{lsn} was collected")

    def watch(self, fd: int) -> None:
        self.watched.add(fd)

    def unwatch(self, fd: int) -> None:
        self.watched.discard(fd)

    def relay(self, feedback: Feedback) -> None:
        self.relayed.append(feedback)


@given(st.lists(st.integers(1, 100)), st.lists(st.integers(1, 100)), st.integers(0, 300))
def test_what_was_held_back_comes_up_to_the_end_that_is_given_and_never_more(
    before: list[int], meanwhile: list[int], further: int
) -> None:
    log = Log()
    limited = LogUpTo(log)
    for each in before:
        log.grow(each)
        assert limited.served_log() == log.served
    limited.stop()
    held = log.served.end
    for each in meanwhile:
        log.grow(each)
        assert limited.served_log().end == held
    end = log.served.end
    limited.go_on(end)
    assert limited.served_log().end == end
    log.grow(further)
    assert limited.served_log().end == end


def test_who_watches_is_told_that_there_is_more_though_the_log_itself_stands_still() -> None:
    log = Log()
    limited = LogUpTo(log)
    reading, told = os.pipe()
    for end in (reading, told):
        os.set_blocking(end, False)
    try:
        limited.watch(told)
        assert log.watched == {told}
        limited.stop()
        limited.go_on(8)
        assert os.read(reading, 8)
        limited.unwatch(told)
        assert not log.watched
    finally:
        os.close(reading)
        os.close(told)
    limited.go_on(16)


def test_the_writer_keeps_no_rows_for_it() -> None:
    log = Log()
    LogUpTo(log).relay(Feedback())
    assert not log.relayed
