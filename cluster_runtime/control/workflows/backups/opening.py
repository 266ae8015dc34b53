"""The backups of a host, as its parts are opened."""

import asyncio
from collections.abc import Callable

from cluster_runtime.backup.keeping.keeper import BackupKeeper
from cluster_runtime.control.cluster import OpenRuntime
from cluster_runtime.control.records.catalog import Catalog
from cluster_runtime.control.records.recovery.backup_catalog import BackupCatalog
from cluster_runtime.control.records.state_directory import StateDirectory
from cluster_runtime.control.workflows.backups.automated import archive_of, backed_up


async def open_backups(
    state: StateDirectory, catalog: Catalog, runtime: Callable[[], OpenRuntime]
) -> BackupKeeper:
    """runtime: asked once there is one; what backups report becomes events of clusters there."""
    loop = asyncio.get_running_loop()

    def report(resource_id: str, message: str) -> None:
        cluster = runtime().clusters.get(resource_id)
        if cluster is not None and not loop.is_closed():
            asyncio.run_coroutine_threadsafe(runtime().record(cluster, message, "backup"), loop)

    keeper = BackupKeeper(
        await asyncio.to_thread(archive_of, state, BackupCatalog(catalog)),
        lambda resource_id: backed_up(runtime().clusters.get(resource_id)),
        report,
    )
    keeper.start()
    return keeper
