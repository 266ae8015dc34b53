"""The start of a host: what the last one left is ended, finished, swept, or brought back."""

import asyncio
import contextlib
from dataclasses import replace

from cluster_runtime.control.cluster import UNNAMED_MARK, HostedCluster, OpenRuntime
from cluster_runtime.control.endpoints import open_endpoints
from cluster_runtime.control.records.catalog import Catalog, CatalogEntry
from cluster_runtime.control.records.model import ClusterStatus
from cluster_runtime.control.records.options import RuntimeOptions
from cluster_runtime.control.records.state_directory import StateDirectory
from cluster_runtime.control.workflows import create
from cluster_runtime.control.workflows.create import instances_over
from cluster_runtime.control.workflows.delete import finish_delete
from cluster_runtime.control.workflows.upgrade import BEFORE_ADMIN_DATABASE, restore_configuration
from cluster_runtime.engine.home import open_home, shared_directory
from cluster_runtime.engine.installation import Installation, find_installation
from cluster_runtime.engine.sandbox.os_user import engine_user
from cluster_runtime.engine.system.processes import end_orphans
from cluster_runtime.engine.system.resources import raise_open_files
from cluster_runtime.engine.template import Template, ensure_template
from cluster_runtime.engine.warm_pool import WarmPool
from cluster_runtime.errors import PortInUseError
from cluster_runtime.gateway import CertificateAuthority, Gateway, GatewayLimits, SigningKey
from cluster_runtime.logs import get_logger

_log = get_logger(__name__)


async def open_parts(state: StateDirectory, options: RuntimeOptions) -> OpenRuntime:
    """The parts of a runtime over a locked state directory; no cluster is looked at yet.

    Raises CatalogCorruptedError, StateDirectoryError.
    """
    raise_open_files()
    user = engine_user()
    home = await asyncio.to_thread(open_home, state.path, user)
    catalog = await asyncio.to_thread(Catalog.open, state.path / "catalog.sqlite")
    try:
        access_key = state.access_key()
        certificates = await asyncio.to_thread(CertificateAuthority.open, state.path / "tls")
        gateway = Gateway(
            certificates=certificates,
            access_keys={access_key.access_key_id: SigningKey(access_key.secret_access_key)},
            region=options.region,
            limits=options.gateway_limits or GatewayLimits(),
        )

        def installation(engine_version: str | None) -> Installation:
            found = find_installation(engine_version or options.engine_version)
            return found.reachable_by(user, shared_directory(user))

        def template(engine_version: str | None) -> Template:
            return ensure_template(installation(engine_version), user, shared_directory(user))

        runtime = OpenRuntime(
            state=state,
            catalog=catalog,
            home=home,
            gateway=gateway,
            certificates=certificates,
            access_key=access_key,
            region=options.region,
            installation=installation,
            template=template,
            pool=WarmPool(
                lambda: create.make_unnamed(runtime, None),
                lambda unnamed: create.discard_unnamed(runtime, unnamed),
                options.warm_pool_size,
            ),
        )
        for each in await asyncio.to_thread(catalog.parameter_groups):
            runtime.parameter_groups[each.db_cluster_parameter_group_name] = each
    except BaseException:
        catalog.close()
        raise
    return runtime


async def recover(runtime: OpenRuntime) -> None:
    """Bring the clusters of the catalog back.

    Raises CatalogCorruptedError before anything is touched.
    """
    known = await asyncio.to_thread(runtime.catalog.clusters)
    orphans = await asyncio.to_thread(end_orphans, runtime.home.clusters)
    if orphans:
        _log.warning("ended PostgreSQL that a killed host left behind", pids=orphans)
    await asyncio.to_thread(
        _sweep, runtime, {each.db_cluster.db_cluster_resource_id for each in known}
    )
    for entry in known:
        await _bring_back(runtime, entry)


async def _bring_back(runtime: OpenRuntime, entry: CatalogEntry) -> None:
    db_cluster = entry.db_cluster
    installation = await asyncio.to_thread(runtime.installation, db_cluster.engine_version)
    instances = await asyncio.to_thread(
        instances_over, runtime, installation, db_cluster.db_cluster_resource_id
    )
    directory = runtime.home.clusters / db_cluster.db_cluster_resource_id
    cluster = HostedCluster(db_cluster, directory, instances, entry.format)
    if db_cluster.status is ClusterStatus.DELETING:
        await finish_delete(runtime, cluster)
        return
    runtime.clusters[cluster.id] = cluster
    if cluster.format == BEFORE_ADMIN_DATABASE:
        await restore_configuration(runtime, cluster)
    open_to_clients = db_cluster.internet_access_gateway_enabled and db_cluster.has_writer
    if db_cluster.status is ClusterStatus.STOPPED or not open_to_clients:
        return
    cluster.db_cluster = replace(db_cluster, status=ClusterStatus.AVAILABLE)
    try:
        await open_endpoints(runtime, cluster)
    except PortInUseError as error:
        _log.error("cluster has no endpoint", cluster=cluster.identifier, error=str(error))
        cluster.db_cluster = replace(db_cluster, status=ClusterStatus.INCOMPATIBLE_NETWORK)
    if cluster.db_cluster != db_cluster:
        await runtime.store(cluster, cluster.db_cluster)


def _sweep(runtime: OpenRuntime, known: set[str]) -> None:
    """Remove directories of clusters that never got a name.

    One that has a name but no row belongs to a catalog that was moved away: it is left alone.
    """
    for directory in runtime.home.clusters.iterdir():
        if directory.name in known:
            with contextlib.suppress(FileNotFoundError):
                (directory / UNNAMED_MARK).unlink()
        elif (directory / UNNAMED_MARK).exists():
            runtime.home.remove(directory)
        else:
            _log.warning("a cluster's directory is in no catalog", directory=str(directory))
