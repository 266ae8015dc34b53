"""Operations on engine versions: which there are, and what clusters of them may have."""

from dataclasses import dataclass
from typing import Annotated

from cluster_runtime.control.operations.declaration import Request, operation
from cluster_runtime.control.operations.types import ENGINE_VERSIONS, OPTIONS
from cluster_runtime.control.records.fields import Doc

EngineName = Annotated[str, Doc("Name of the engine; there is `aurora-postgresql`.")]


@operation("DescribeDBEngineVersions", of="DBEngineVersion", returns=ENGINE_VERSIONS)
@dataclass(frozen=True, slots=True)
class DescribeDBEngineVersions(Request):
    """Show the versions of PostgreSQL that new clusters may have, the default first.

    engine_version: the only version to show, such as `18` or `18.6`.
    db_parameter_group_family: the only family to show, such as `aurora-postgresql18`.
    default_only: show the default version alone.
    """

    engine: EngineName | None = None
    engine_version: str | None = None
    db_parameter_group_family: str | None = None
    default_only: bool | None = None


@operation("DescribeOrderableDBInstanceOptions", of="DBEngineVersion", returns=OPTIONS)
@dataclass(frozen=True, slots=True)
class DescribeOrderableDBInstanceOptions(Request):
    """Show which classes of instances and which storage clusters of an engine may have.

    engine_version: the only version to show.
    db_instance_class: the only class to show; there is `db.serverless`.
    """

    engine: EngineName
    engine_version: str | None = None
    db_instance_class: str | None = None
