"""A cluster as drivers for Aurora find it: names, one port, credentials."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cluster_runtime import ClusterHandle, Runtime
from tests.waiting import wait_until

PASSWORD = "a-password-for-drivers"


@dataclass
class Aurora:
    """How a driver reaches one cluster."""

    runtime: Runtime
    cluster: ClusterHandle
    port: int
    certificate: str
    credentials: Path

    @property
    def host(self) -> str:
        """The cluster endpoint."""
        return self.cluster.describe().endpoint

    @property
    def domain(self) -> str:
        """What follows the identifier in the name of an instance."""
        return self.host.partition(".cluster-")[2]

    def instance(self, identifier: str) -> str:
        """The host name of an instance."""
        return f"{identifier}.{self.domain}"

    @property
    def writer(self) -> str:
        """The identifier of the instance that is the writer now."""
        return self.cluster.instances[0].db_instance_identifier

    @property
    def reader(self) -> str:
        """The identifier of the other one, once it is available."""

        def available() -> str | None:
            found = self.cluster.instances[1]
            ready = found.db_instance_status == "available"
            return found.db_instance_identifier if ready else None

        return wait_until(available, timeout_s=60) or ""

    def environment(self) -> dict[str, str]:
        """For programs: the credentials of the runtime, and nobody else's."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        return {
            **kept,
            "AWS_SHARED_CREDENTIALS_FILE": str(self.credentials),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@pytest.fixture(scope="session")
def aurora(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aurora]:
    """One cluster for the drivers of a session; each leaves it available."""
    state = tmp_path_factory.mktemp("drivers")
    with Runtime.open(state, warm_pool_size=0) as runtime:
        cluster = runtime.create_db_cluster("notes", master_user_password=PASSWORD)
        runtime.create_db_instance("notes-instance-2", db_cluster_identifier="notes")
        host = runtime.describe_host()
        assert host.gateway_port is not None
        yield Aurora(
            runtime, cluster, host.gateway_port, host.certificate_path, state / "credentials"
        )


def of(aurora: Aurora, **more: Any) -> dict[str, Any]:
    """What every libpq client is told."""
    return {
        "host": aurora.host,
        "hostaddr": "127.0.0.1",
        "port": aurora.port,
        "user": "postgres",
        "dbname": "postgres",
        "sslmode": "verify-full",
        "sslrootcert": aurora.certificate,
        **more,
    }
