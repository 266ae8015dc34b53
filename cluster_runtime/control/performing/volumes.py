"""Operations on the volumes of clusters: what they are, and faults in them."""

from cluster_runtime.control.operations.volumes import (
    DescribeVolume,
    HealFault,
    InjectFault,
    LoseCompute,
)
from cluster_runtime.control.performing.base import Performing
from cluster_runtime.control.workflows import faults
from cluster_runtime.storage.description import VolumeDescription


class VolumeOperations(Performing):
    """Each takes its declaration, on the runtime's event loop."""

    async def describe_volume(self, request: DescribeVolume) -> VolumeDescription:
        """Perform it; raises what `DescribeVolume` declares."""
        return await faults.describe_volume(self.find(request.db_cluster_identifier))

    async def inject_fault(self, request: InjectFault) -> None:
        """Perform it; raises what `InjectFault` declares."""
        cluster = self.find(request.db_cluster_identifier)
        await faults.inject_fault(cluster, request.target, request.kind, request.duration)

    async def heal_fault(self, request: HealFault) -> None:
        """Perform it; raises what `HealFault` declares."""
        await faults.heal_fault(self.find(request.db_cluster_identifier), request.target)

    async def lose_compute(self, request: LoseCompute) -> None:
        """Perform it; raises what `LoseCompute` declares."""
        await faults.lose_compute(self.find(request.db_cluster_identifier))
