"""What a client hears whose cluster does not wake."""

import pytest

from cluster_runtime.errors import (
    BorealisError,
    ClusterClosedError,
    EngineError,
    InsufficientResourcesError,
    InsufficientStorageError,
    QuorumLostError,
    StorageError,
)
from cluster_runtime.gateway.not_now import AGAIN, why_not

SECRET = "/var/lib/secret: password=hunter2"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InsufficientStorageError(SECRET), "disk of its host is full"),
        (InsufficientResourcesError(SECRET), "no file, process or memory"),
        (QuorumLostError(SECRET), "too few segments"),
        (StorageError(SECRET), "volume is damaged"),
        (EngineError(SECRET), "could not be started"),
        (BorealisError(SECRET), "could not be started"),
    ],
)
def test_it_hears_the_kind_of_trouble_and_what_helps_and_no_more(
    error: BorealisError, said: str
) -> None:
    found = why_not(error)
    assert said in found.text
    assert found.hint is not None
    assert found.hint.endswith(AGAIN)
    assert "secret" not in found.text + found.hint
    assert "hunter2" not in found.text + found.hint


def test_a_cluster_that_is_stopped_says_so() -> None:
    assert "is stopped" in why_not(ClusterClosedError("cluster 'x' is stopped")).text
