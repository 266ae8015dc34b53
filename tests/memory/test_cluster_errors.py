"""What memory makes of an error of its cluster: it asks the error whether a retry helps."""

import time

import psycopg
import pytest

from cluster_runtime.errors import (
    BorealisError,
    ClusterClosedError,
    ClusterNotFoundError,
    EngineError,
    InvalidClusterStateError,
    QuorumLostError,
)
from memory import BorealisStore
from memory.database.connections import Dialer
from memory.errors import OperationTimeoutError


class Cluster:
    """A cluster whose endpoint is as each error says, one after the other."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.asked = 0

    def dsn(self, endpoint: str = "writer") -> str:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return "host=127.0.0.1 port=1"


def dialed(error: Exception) -> BaseException:
    dialer = Dialer(Cluster(error), prepare=False, application_name="test")
    with pytest.raises(Exception) as raised:  # noqa: PT011
        dialer.conninfo(5)
    return raised.value


@pytest.mark.parametrize("kind", [InvalidClusterStateError, EngineError, QuorumLostError])
def test_an_error_that_passes_is_one_of_the_connection(kind: type[BorealisError]) -> None:
    found = dialed(kind("cluster 'notes' takes no connections: failing-over"))
    assert isinstance(found, psycopg.OperationalError)
    assert "failing-over" in str(found)
    assert isinstance(found.__cause__, kind)


@pytest.mark.parametrize(
    "error",
    [
        ClusterClosedError("stopped"),
        ClusterNotFoundError("no cluster"),
        BorealisError("this runtime is closed"),
        ValueError("a bug"),
        OSError("the token's key cannot be read"),
    ],
)
def test_an_error_that_lasts_reaches_the_caller_as_it_is(error: Exception) -> None:
    assert dialed(error) is error


def test_a_closed_cluster_is_told_at_once_and_a_changing_one_is_waited_for() -> None:
    closed = Cluster(ClusterClosedError("cluster 'notes' takes no connections: stopped"))
    started = time.monotonic()
    with BorealisStore(closed, deadline=30) as store, pytest.raises(ClusterClosedError):
        store.get(("a",), "k")
    assert time.monotonic() - started < 15
    assert closed.asked == 1

    changing = Cluster(*[InvalidClusterStateError("starting") for _ in range(3)])
    with BorealisStore(changing, deadline=1) as store, pytest.raises(OperationTimeoutError):
        store.get(("a",), "k")
    assert changing.asked > 3
