"""CreateDBCluster, and the unnamed clusters that the warm pool holds."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from psycopg import sql

from cluster_runtime.control.cluster import (
    UNNAMED_MARK,
    BranchAhead,
    HostedCluster,
    OpenRuntime,
    UnnamedCluster,
)
from cluster_runtime.control.endpoints import close_endpoints, endpoint_names, open_endpoints
from cluster_runtime.control.instance import HostedInstance
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.operations.clusters import CreateDBCluster
from cluster_runtime.control.records.identifiers import check_identifier, new_resource_id, taken
from cluster_runtime.control.records.model import (
    ClusterStatus,
    DBCluster,
    ServerlessScaling,
)
from cluster_runtime.control.records.resources import MasterUserSecret
from cluster_runtime.control.records.rules import DEFAULT_DATABASE
from cluster_runtime.control.servers.storage import DATA, ClusterStorage
from cluster_runtime.control.topology.publishing import publish
from cluster_runtime.control.workflows.instances.failover import reboot_writer
from cluster_runtime.control.workflows.instances.hosting import (
    give_first_instance,
    instances_of_unnamed,
)
from cluster_runtime.control.workflows.parameter_groups import group_of
from cluster_runtime.control.workflows.resources import with_tags
from cluster_runtime.control.workflows.secrets import master_user_secret, secret_arn
from cluster_runtime.engine.access.roles import MASTER
from cluster_runtime.engine.control_file import new_system_identifier
from cluster_runtime.engine.postmaster import Shutdown
from cluster_runtime.engine.template import Template
from cluster_runtime.gateway import make_verifier
from cluster_runtime.storage.core.policy.past import BACKTRACK_SECONDS
from cluster_runtime.wording import Hint, Operation, Said


async def make_unnamed(runtime: OpenRuntime, engine_version: str | None) -> UnnamedCluster:
    """Copy the template, start PostgreSQL over the copy. Nothing remains where that fails."""
    template = await in_thread(runtime.template, engine_version)
    resource_id = new_resource_id()
    directory = runtime.home.clusters / resource_id
    instances = None
    try:
        instances = await in_thread(
            instances_of_unnamed, runtime, template.installation, resource_id
        )
        await in_thread(_lay_out, runtime, template, resource_id, instances.storage)
        await instances.writer.ensure_running()
    except BaseException:
        try:
            if instances is not None:
                await instances.stop(Shutdown.IMMEDIATE)
        finally:
            await in_thread(runtime.home.remove, directory)
        raise
    return UnnamedCluster(resource_id, template.installation.version, directory, instances)


async def discard_unnamed(runtime: OpenRuntime, unnamed: UnnamedCluster | BranchAhead) -> None:
    """End a cluster that never got a name, and remove all of it."""
    try:
        await unnamed.instances.stop(Shutdown.IMMEDIATE)
    finally:
        runtime.meter.forget(unnamed.resource_id)
        await in_thread(runtime.home.remove, unnamed.directory)


async def create_db_cluster(runtime: OpenRuntime, request: CreateDBCluster) -> HostedCluster:
    """Name an unnamed cluster, open its endpoints, enter it into the catalog.

    Raises ClusterAlreadyExistsError, InvalidParameterError, PortInUseError, EngineNotFoundError,
    InsufficientStorageError; then nothing of the cluster remains.
    """
    identifier = check_identifier(request.db_cluster_identifier)
    if request.if_not_exists and (existing := await _existing(runtime, identifier)) is not None:
        return existing
    as_it_is = Operation("create_db_cluster", identifier, {"if_not_exists": True})
    with reserved(runtime, identifier, Hint("{} takes it as it is", as_it_is)):
        if request.engine_version is None:
            unnamed = await runtime.pool.take()
        else:
            unnamed = await make_unnamed(runtime, request.engine_version)
        try:
            cluster = await _name(runtime, unnamed, identifier, request)
        except BaseException:
            await discard_unnamed(runtime, unnamed)
            raise
        await runtime.record(cluster, "DB cluster created", "creation")
        return cluster


@contextmanager
def reserved(runtime: OpenRuntime, identifier: str, *advice: Said) -> Iterator[None]:
    """Keep a name for a cluster that is being made. Raises ClusterAlreadyExistsError.

    advice: what else to say where it is taken.
    """
    known = {cluster.identifier for cluster in runtime.clusters.values()}
    if identifier in known | runtime.reserved.keys():
        raise taken(identifier, *advice)
    runtime.reserved[identifier] = asyncio.Event()
    try:
        yield
    finally:
        runtime.reserved.pop(identifier).set()


async def _existing(runtime: OpenRuntime, identifier: str) -> HostedCluster | None:
    """The cluster of this name, once whoever makes it is done; not one that is being deleted."""
    while (making := runtime.reserved.get(identifier)) is not None:
        await making.wait()
    for cluster in runtime.clusters.values():
        if (
            cluster.identifier == identifier
            and cluster.db_cluster.status is not ClusterStatus.DELETING
        ):
            return cluster
    return None


async def _name(
    runtime: OpenRuntime, unnamed: UnnamedCluster, identifier: str, request: CreateDBCluster
) -> HostedCluster:
    writer_name, reader_name = endpoint_names(identifier, unnamed.resource_id, runtime.region)
    cluster = HostedCluster(
        db_cluster=DBCluster(
            db_cluster_identifier=identifier,
            db_cluster_resource_id=unnamed.resource_id,
            status=ClusterStatus.AVAILABLE,
            engine=request.engine,
            engine_version=unnamed.engine_version,
            database_name=request.database_name,
            master_username=request.master_username,
            endpoint=writer_name,
            reader_endpoint=reader_name,
            port=request.port or 0,
            reader_port=0,
            region=runtime.region,
            cluster_create_time=datetime.now(UTC),
            scaling=request.serverless_v2_scaling_configuration or ServerlessScaling(),
            express_configuration=request.with_express_configuration,
            deletion_protection=request.deletion_protection,
            storage_type=request.storage_type,
            iam_database_authentication_enabled=request.enable_iam_database_authentication,
            has_writer=request.with_writer,
            db_cluster_parameter_group=group_of(runtime, request.db_cluster_parameter_group_name),
            tag_list=with_tags((), request.tags),
            backup_retention_period=request.backup_retention_period,
            master_user_secret=_managed(runtime, unnamed, request),
            port_was_requested=request.port is not None,
            backtrack_window=BACKTRACK_SECONDS
            if request.backtrack_window is None
            else request.backtrack_window,
            warm_branch=request.warm_branch,
        ),
        directory=unnamed.directory,
        instances=unnamed.instances,
    )
    await _apply_names(cluster.writer, request)
    if cluster.db_cluster.master_user_secret is not None:
        secret = master_user_secret(runtime, cluster.db_cluster)
        await set_password(cluster.writer, request.master_username, secret.password)
    if request.storage_type != "aurora":
        storage = cluster.instances.storage
        await in_thread(storage.set_storage_type, request.storage_type)
    await enter(runtime, cluster)
    if request.with_writer and runtime.parameters_of(cluster.id):
        await _restart_with_parameters(runtime, cluster)
    return cluster


async def enter(runtime: OpenRuntime, cluster: HostedCluster) -> None:
    """Open the endpoints of a cluster that is complete, and enter it into the catalog.

    Its writer, where it has one, becomes its first instance. From then on it stays, whatever
    happens. Raises PortInUseError, InsufficientStorageError.
    """
    if cluster.db_cluster.has_writer:
        await give_first_instance(runtime, cluster)
        await publish(cluster)
        await open_endpoints(runtime, cluster)
    else:
        cluster.db_cluster = replace(cluster.db_cluster, writer_identifier="")
        await cluster.instances.stop(Shutdown.FAST)
    try:
        await in_thread(runtime.catalog.add, cluster.db_cluster)
    except BaseException:
        # A cancelled caller comes here although the row was written.
        await in_thread(runtime.catalog.remove, cluster.id)
        await close_endpoints(runtime, cluster)
        raise
    runtime.clusters[cluster.id] = cluster
    cluster.instances.storage.configure()
    (cluster.directory / UNNAMED_MARK).unlink()


async def _restart_with_parameters(runtime: OpenRuntime, cluster: HostedCluster) -> None:
    """The writer runs already, without them. One that they keep from starting is removed."""
    try:
        await reboot_writer(cluster)
    except BaseException:
        await runtime.store(cluster, replace(cluster.db_cluster, status=ClusterStatus.DELETING))
        await close_endpoints(runtime, cluster)
        await runtime.remove(cluster)
        raise


def _managed(
    runtime: OpenRuntime, unnamed: UnnamedCluster, request: CreateDBCluster
) -> MasterUserSecret | None:
    if not request.manage_master_user_password:
        return None
    return MasterUserSecret(secret_arn(unnamed.resource_id, runtime.region), version=1)


async def _apply_names(instance: HostedInstance, request: CreateDBCluster) -> None:
    """Give the master user its name and password, and make the database that was asked for."""
    user = sql.Identifier(request.master_username)
    if request.master_username != MASTER:
        await instance.execute(
            sql.SQL("alter role {} rename to {}").format(sql.Identifier(MASTER), user)
        )
    if request.master_user_password is not None:
        await set_password(instance, request.master_username, request.master_user_password)
    if request.database_name != DEFAULT_DATABASE:
        await instance.execute(
            sql.SQL("create database {} template postgres owner {}").format(
                sql.Identifier(request.database_name), user
            )
        )


async def set_password(instance: HostedInstance, user: str, password: str) -> None:
    """Store a password as a SCRAM verifier, so that no statement ever holds the clear text."""
    await instance.execute(
        sql.SQL("alter role {} password {}").format(
            sql.Identifier(user), sql.Literal(make_verifier(password))
        )
    )


def _lay_out(
    runtime: OpenRuntime, template: Template, resource_id: str, storage: ClusterStorage
) -> None:
    directory = runtime.home.clusters / resource_id
    identifier = new_system_identifier()
    with ThreadPoolExecutor(1) as beside:
        volume = beside.submit(storage.create, template, identifier)
        template.copy_to(directory / DATA, identifier, storage.user)
    volume.result().release(directory / DATA)


def renamed(db_cluster: DBCluster, identifier: str) -> DBCluster:
    """The cluster under another identifier, with the endpoint names that go with it."""
    writer, reader = endpoint_names(
        identifier, db_cluster.db_cluster_resource_id, db_cluster.region
    )
    return replace(
        db_cluster, db_cluster_identifier=identifier, endpoint=writer, reader_endpoint=reader
    )
