"""The engine versions that this machine has, as RDS describes them."""

from collections.abc import Iterable
from typing import get_args

from cluster_runtime.control.operations.engines import (
    DescribeDBEngineVersions,
    DescribeOrderableDBInstanceOptions,
)
from cluster_runtime.control.records.instances import INSTANCE_CLASSES
from cluster_runtime.control.records.model import StorageType
from cluster_runtime.control.records.resources import (
    DBEngineVersion,
    OrderableDBInstanceOption,
)
from cluster_runtime.engine.installation import Installation, find_installation, installations

ENGINE = "aurora-postgresql"


def family_of(version: str) -> str:
    """The family of parameter groups for clusters of a version."""
    return f"{ENGINE}{version.partition('.')[0]}"


def engine_versions(
    request: DescribeDBEngineVersions, default: str | None
) -> list[DBEngineVersion]:
    """Those that a request asks for. default: what the runtime was told to use. Blocking."""
    first = find_installation(default)
    found = _distinct((first, *installations()))
    if request.default_only:
        found = found[:1]
    wanted = [
        each
        for each in found
        if request.engine in (None, ENGINE)
        and _matches(request.engine_version, each.version)
        and request.db_parameter_group_family in (None, family_of(each.version))
    ]
    return [
        DBEngineVersion(
            engine=ENGINE,
            engine_version=each.version,
            major_engine_version=str(each.major),
            db_parameter_group_family=family_of(each.version),
            db_engine_description="PostgreSQL on a volume of six segments",
            db_engine_version_description=f"PostgreSQL {each.version} ({each.source})",
        )
        for each in wanted
    ]


def orderable_options(
    request: DescribeOrderableDBInstanceOptions,
) -> list[OrderableDBInstanceOption]:
    """Those that a request asks for. Blocking."""
    if request.engine != ENGINE:
        return []
    return [
        OrderableDBInstanceOption(ENGINE, each.version, instance_class, storage_type)
        for each in _distinct(installations())
        if _matches(request.engine_version, each.version)
        for instance_class in INSTANCE_CLASSES
        if request.db_instance_class in (None, instance_class)
        for storage_type in get_args(StorageType)
    ]


def _distinct(found: Iterable[Installation]) -> list[Installation]:
    """One of each version: the first, which is the one that clusters get."""
    return list({each.version: each for each in reversed(list(found))}.values())[::-1]


def _matches(wanted: str | None, version: str) -> bool:
    return wanted is None or version == wanted or version.startswith(f"{wanted}.")
