"""A host that ends at a step of a workflow, as by SIGKILL: what a test of the next start runs.

    python readers_host.py STATE_DIRECTORY WORKFLOW STEP

A step is `Class.method`; the process ends once that has returned, the given number of times.
"""

import os
import sys
from collections.abc import Callable
from typing import Any

from cluster_runtime import Runtime
from cluster_runtime.control.instance import HostedInstance
from cluster_runtime.control.records.catalog import Catalog
from cluster_runtime.control.servers.postgres import Reader, Writer
from cluster_runtime.control.workflows.instances import lifecycle
from cluster_runtime.storage.volume import StorageVolume

PLACES: dict[str, Any] = {
    "Catalog": Catalog,
    "HostedInstance": HostedInstance,
    "Reader": Reader,
    "StorageVolume": StorageVolume,
    "Writer": Writer,
    "lifecycle": lifecycle,
}
ENDED = 9

CLUSTER, READER = "cut", "cut-r"


def end_after(place: str, name: str) -> None:
    owner = PLACES[place]
    original: Callable[..., Any] = getattr(owner, name)

    def ending(*arguments: Any, **named: Any) -> Any:
        original(*arguments, **named)
        os._exit(ENDED)

    setattr(owner, name, ending)


def main() -> None:
    state, workflow, step = sys.argv[1:]
    runtime = Runtime.open(state, warm_pool_size=0)
    cluster = runtime.create_db_cluster(CLUSTER)
    with cluster.connect(autocommit=True) as conn:
        conn.execute("create table t as select generate_series(1, 100) as x")
    if workflow != "create":
        runtime.create_db_instance(READER, db_cluster_identifier=CLUSTER)
    end_after(*step.split("."))
    if workflow == "create":
        runtime.create_db_instance(READER, db_cluster_identifier=CLUSTER)
    elif workflow == "delete":
        runtime.delete_db_instance(READER)
    else:
        runtime.failover_db_cluster(CLUSTER, READER)
    os._exit(0)


if __name__ == "__main__":
    main()
