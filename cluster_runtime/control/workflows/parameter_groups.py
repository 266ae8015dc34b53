"""Parameter groups: made, changed, and applied to the writers of their clusters."""

from collections.abc import Iterable
from dataclasses import replace

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.loop_thread import in_thread
from cluster_runtime.control.operations.engines import (
    CreateDBClusterParameterGroup,
    DescribeDBClusterParameters,
    ModifyDBClusterParameterGroup,
    ResetDBClusterParameterGroup,
)
from cluster_runtime.control.records.parameter_groups import (
    ACCOUNT,
    DEFAULT_PREFIX,
    DBClusterParameterGroup,
    DBParameter,
    changed,
    in_force_after,
    reset,
    shown,
)
from cluster_runtime.control.workflows.engines import family_of
from cluster_runtime.engine.installation import installations
from cluster_runtime.engine.parameters import Definition, definitions
from cluster_runtime.errors import (
    InvalidParameterError,
    ParameterGroupAlreadyExistsError,
    ParameterGroupInUseError,
    ParameterGroupNotFoundError,
)
from cluster_runtime.wording import Hint, Operation


def group_of(runtime: OpenRuntime, name: str | None) -> str:
    """The name under which a cluster keeps its group: none for a default one.

    Raises ParameterGroupNotFoundError.
    """
    if name is None:
        return ""
    group = _find(runtime, name)
    return "" if _is_default(group) else group.db_cluster_parameter_group_name


async def create_group(
    runtime: OpenRuntime, request: CreateDBClusterParameterGroup
) -> DBClusterParameterGroup:
    """Raises what `CreateDBClusterParameterGroup` declares."""
    name = request.db_cluster_parameter_group_name.lower()
    if name in {each.db_cluster_parameter_group_name for each in groups(runtime)}:
        raise ParameterGroupAlreadyExistsError(
            f"a parameter group {name!r} exists already; use it as it is, or choose another name"
        )
    families = await in_thread(_families)
    if request.db_parameter_group_family not in families:
        raise InvalidParameterError(
            f"there is no family {request.db_parameter_group_family!r}; there are "
            f"{', '.join(sorted(families))}"
        )
    group = DBClusterParameterGroup(
        name, request.db_parameter_group_family, request.description, _arn(runtime, name)
    )
    await _keep(runtime, group)
    return group


def groups(runtime: OpenRuntime) -> list[DBClusterParameterGroup]:
    """All, by name; the default one of each family among them. May look for programs."""
    default = [
        DBClusterParameterGroup(
            f"{DEFAULT_PREFIX}{family}",
            family,
            f"Default parameters of {family}",
            _arn(runtime, f"{DEFAULT_PREFIX}{family}"),
        )
        for family in _families()
    ]
    found = [*default, *runtime.parameter_groups.values()]
    return sorted(found, key=lambda each: each.db_cluster_parameter_group_name)


def describe_groups(runtime: OpenRuntime, name: str | None) -> list[DBClusterParameterGroup]:
    """One, or all. Raises ParameterGroupNotFoundError."""
    return groups(runtime) if name is None else [_find(runtime, name)]


async def describe_parameters(
    runtime: OpenRuntime, request: DescribeDBClusterParameters
) -> list[DBParameter]:
    """Raises ParameterGroupNotFoundError."""
    group = _find(runtime, request.db_cluster_parameter_group_name)
    known = await in_thread(_definitions, group)
    found = shown(group.values, known)
    return [each for each in found if request.source in (None, each.source)]


async def modify_group(
    runtime: OpenRuntime, request: ModifyDBClusterParameterGroup
) -> DBClusterParameterGroup:
    """Raises what `ModifyDBClusterParameterGroup` declares."""
    group = _changeable(runtime, request.db_cluster_parameter_group_name)
    known = await in_thread(_definitions, group)
    values, at_once = changed(group.values, request.parameters, known)
    return await _change(runtime, replace(group, values=values), at_once)


async def reset_group(
    runtime: OpenRuntime, request: ResetDBClusterParameterGroup
) -> DBClusterParameterGroup:
    """Raises what `ResetDBClusterParameterGroup` declares."""
    group = _changeable(runtime, request.db_cluster_parameter_group_name)
    if bool(request.reset_all_parameters) == bool(request.parameters):
        raise InvalidParameterError("name the parameters to reset, or say that all are")
    known = await in_thread(_definitions, group)
    chosen = request.parameters or [DBParameter(name) for name in group.values]
    values, at_once = reset(group.values, chosen, known)
    return await _change(runtime, replace(group, values=values), at_once)


async def delete_group(runtime: OpenRuntime, name: str) -> None:
    """Raises what `DeleteDBClusterParameterGroup` declares."""
    group = _changeable(runtime, name)
    users = [each.identifier for each in _clusters_of(runtime, group)]
    if users:
        raise ParameterGroupInUseError(
            f"parameter group {name!r} is that of cluster {users[0]!r}",
            Hint(
                "give it another one with {}",
                Operation(
                    "modify_db_cluster",
                    users[0],
                    {
                        "db_cluster_parameter_group_name": DEFAULT_PREFIX
                        + group.db_parameter_group_family
                    },
                ),
            ),
        )
    del runtime.parameter_groups[group.db_cluster_parameter_group_name]
    await in_thread(runtime.catalog.remove_parameter_group, group.db_cluster_parameter_group_name)


async def apply_parameters(
    runtime: OpenRuntime, cluster: HostedCluster, at_once: Iterable[str] | None
) -> None:
    """Have the instances that run take what their group and class say now.

    at_once: which parameters; None: all that they can.
    """
    if at_once is None:
        installation = await in_thread(runtime.installation, cluster.db_cluster.engine_version)
        known = await in_thread(definitions, installation)
        at_once = [each.name for each in known.values() if not each.static]
    changing = tuple(at_once)
    places = {each.db_instance_identifier: each.place for each in cluster.records.values()}
    servers = {
        places.get(name, ""): instance.server
        for name, instance in (
            (cluster.writer_name, cluster.writer),
            *cluster.instances.readers.items(),
        )
    }
    for place, server in servers.items():
        said = runtime.parameters_of(cluster.id, place)
        wanted = {name: str(value) for name, value in said.items()}
        await in_thread(server.take, in_force_after(server.parameters, wanted, changing))


async def _change(
    runtime: OpenRuntime, group: DBClusterParameterGroup, at_once: frozenset[str]
) -> DBClusterParameterGroup:
    await _keep(runtime, group)
    for cluster in _clusters_of(runtime, group):
        async with cluster.changing:
            await apply_parameters(runtime, cluster, at_once)
    return group


async def _keep(runtime: OpenRuntime, group: DBClusterParameterGroup) -> None:
    await in_thread(runtime.catalog.put_parameter_group, group)
    runtime.parameter_groups[group.db_cluster_parameter_group_name] = group


def _find(runtime: OpenRuntime, name: str) -> DBClusterParameterGroup:
    for each in groups(runtime):
        if each.db_cluster_parameter_group_name == name.lower():
            return each
    raise ParameterGroupNotFoundError(
        f"no parameter group {name!r}",
        Hint("{} lists all of them", Operation("describe_db_cluster_parameter_groups")),
    )


def _changeable(runtime: OpenRuntime, name: str) -> DBClusterParameterGroup:
    group = _find(runtime, name)
    if _is_default(group):
        raise ParameterGroupInUseError(
            f"parameter group {name!r} is a default one, which nobody changes; make another one "
            "and give it to clusters"
        )
    return group


def _is_default(group: DBClusterParameterGroup) -> bool:
    return group.db_cluster_parameter_group_name.startswith(DEFAULT_PREFIX)


def _clusters_of(runtime: OpenRuntime, group: DBClusterParameterGroup) -> list[HostedCluster]:
    name = group.db_cluster_parameter_group_name
    return [
        each
        for each in runtime.clusters.values()
        if each.db_cluster.db_cluster_parameter_group == name
    ]


def _definitions(group: DBClusterParameterGroup) -> dict[str, Definition]:
    for each in installations():
        if family_of(each.version) == group.db_parameter_group_family:
            return definitions(each)
    return {}


def _families() -> list[str]:
    return list(dict.fromkeys(family_of(each.version) for each in installations()))


def _arn(runtime: OpenRuntime, name: str) -> str:
    return f"arn:aws:rds:{runtime.region}:{ACCOUNT}:cluster-pg:{name}"
