"""Operations on the storage volume of a cluster, and faults on purpose. Ours."""

from dataclasses import dataclass
from typing import Annotated

from cluster_runtime.control.operations.declaration import Request, operation
from cluster_runtime.control.operations.types import VOLUME, ClusterReference
from cluster_runtime.control.records.rules import Range
from cluster_runtime.errors import (
    ClusterNotFoundError,
    InvalidClusterStateError,
    InvalidParameterError,
    QuorumLostError,
)

VOLUME_NOUN = "Volume"
FAULT_SECONDS_MAX = 366 * 86_400


@operation(
    "DescribeVolume",
    of=VOLUME_NOUN,
    returns=VOLUME,
    raises=(ClusterNotFoundError, InvalidClusterStateError, QuorumLostError),
    ours=True,
)
@dataclass(frozen=True, slots=True)
class DescribeVolume(Request):
    """Show the storage volume of a cluster: LSNs, epoch, and its six segments."""

    db_cluster_identifier: ClusterReference


@operation(
    "InjectFault",
    of=VOLUME_NOUN,
    returns=None,
    raises=(ClusterNotFoundError, InvalidClusterStateError, InvalidParameterError),
    ours=True,
    of_this_host=True,
)
@dataclass(frozen=True, slots=True)
class InjectFault(Request):
    """Make part of a cluster fail, for some seconds or until it is healed.

    A fault does not outlive the host process: after its restart all segments answer again.
    The writer can have `crash` (its server is killed and comes back by itself), `partition` (it is
    cut off from its volume) and `slow`.

    target: `segment:<id>`, `az:<a, b or c>` or `writer`.
    kind: `crash`, `partition`, `slow:<ms>`, `drop:<percent>`, `corrupt` or `disk-full`.
    duration: seconds; by default until it is healed.
    """

    db_cluster_identifier: ClusterReference
    target: str
    kind: str
    duration: Annotated[float | None, Range(0, FAULT_SECONDS_MAX)] = None


@operation(
    "HealFault",
    of=VOLUME_NOUN,
    returns=None,
    raises=(ClusterNotFoundError, InvalidClusterStateError, InvalidParameterError),
    ours=True,
    of_this_host=True,
)
@dataclass(frozen=True, slots=True)
class HealFault(Request):
    """End the faults of a target, or all of them.

    target: `segment:<id>`, `az:<a, b or c>` or `writer`; by default all.
    """

    db_cluster_identifier: ClusterReference
    target: str | None = None


@operation(
    "LoseCompute",
    of=VOLUME_NOUN,
    returns=None,
    raises=(ClusterNotFoundError, InvalidClusterStateError),
    ours=True,
)
@dataclass(frozen=True, slots=True)
class LoseCompute(Request):
    """Kill the writer and delete its data directory; the next connect rebuilds it."""

    db_cluster_identifier: ClusterReference
