"""Tags of clusters, and what will be done to them."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from cluster_runtime.control.cluster import HostedCluster, OpenRuntime
from cluster_runtime.control.members import describe_instances
from cluster_runtime.control.records.catalog import CLUSTER_FORMAT
from cluster_runtime.control.records.resources import (
    TAGS_MAX,
    PendingMaintenanceAction,
    ResourcePendingMaintenanceActions,
    Tag,
)
from cluster_runtime.engine.installation import installations
from cluster_runtime.errors import InstanceNotFoundError, InvalidParameterError
from cluster_runtime.wording import Hint, Operation

_ARN = re.compile(r"arn:aws:rds:[a-z0-9-]*:[0-9]*:(?P<kind>[a-z-]+):(?P<name>.+)")


def with_tags(tags: Sequence[Tag], added: Iterable[Tag]) -> tuple[Tag, ...]:
    """The tags with some more. Raises InvalidParameterError for more than 50."""
    found = {each.key: each for each in (*tags, *added)}
    if len(found) > TAGS_MAX:
        raise InvalidParameterError(f"a resource has at most {TAGS_MAX} tags, not {len(found)}")
    return tuple(found.values())


def resource(runtime: OpenRuntime, name: str) -> HostedCluster:
    """The cluster that an ARN names, by itself or by one of its instances.

    Raises ClusterNotFoundError, InstanceNotFoundError, InvalidParameterError.
    """
    arn = _ARN.fullmatch(name)
    if arn is not None and arn["kind"] == "cluster":
        return runtime.find(arn["name"])
    if arn is not None and arn["kind"] == "db":
        for cluster in runtime.clusters.values():
            if any(
                each.db_instance_identifier == arn["name"].lower()
                for each in describe_instances(cluster)
            ):
                return cluster
        raise InstanceNotFoundError(
            f"no instance {arn['name']!r}",
            Hint("{} lists all of them", Operation("describe_db_instances")),
        )
    raise InvalidParameterError(
        f"{name!r} is no ARN of a cluster or of an instance, such as "
        "arn:aws:rds:us-east-1:000000000000:cluster:notes"
    )


async def add_tags(runtime: OpenRuntime, name: str, tags: Iterable[Tag]) -> None:
    """Give a cluster tags. Raises as `resource` and `with_tags`."""
    cluster = resource(runtime, name)
    async with cluster.changing:
        added = with_tags(cluster.db_cluster.tag_list, tags)
        await runtime.store(cluster, replace(cluster.db_cluster, tag_list=added))


async def remove_tags(runtime: OpenRuntime, name: str, keys: Iterable[str]) -> None:
    """Take tags from a cluster. Raises as `resource`."""
    cluster = resource(runtime, name)
    gone = frozenset(keys)
    async with cluster.changing:
        kept = tuple(each for each in cluster.db_cluster.tag_list if each.key not in gone)
        await runtime.store(cluster, replace(cluster.db_cluster, tag_list=kept))


def pending_maintenance(
    clusters: Iterable[HostedCluster],
) -> list[ResourcePendingMaintenanceActions]:
    """What is to be done to clusters; those with nothing are left out. Looks for programs."""
    installed = [each.version for each in installations()]
    found = []
    for cluster in clusters:
        actions = []
        newer = newer_minor(cluster.db_cluster.engine_version, installed)
        if newer is not None:
            actions.append(
                PendingMaintenanceAction(
                    "db-upgrade", f"PostgreSQL {newer} is installed; new clusters have it"
                )
            )
        if cluster.format < CLUSTER_FORMAT:
            actions.append(
                PendingMaintenanceAction(
                    "system-update", "the cluster is brought to this release's format when it wakes"
                )
            )
        if actions:
            found.append(
                ResourcePendingMaintenanceActions(cluster.db_cluster.db_cluster_arn, tuple(actions))
            )
    return found


def newer_minor(version: str, installed: Iterable[str]) -> str | None:
    """The newest installed version of the same major one, where it is newer."""
    same = [each for each in installed if each.partition(".")[0] == version.partition(".")[0]]
    newest = max((*same, version), key=_numbers)
    return newest if _numbers(newest) > _numbers(version) else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"[0-9]+", version))
