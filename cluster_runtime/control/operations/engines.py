"""Operations on engine versions and on the parameters that clusters of them run with."""

from dataclasses import dataclass
from typing import Annotated

from cluster_runtime.control.operations.declaration import Request, operation
from cluster_runtime.control.operations.types import (
    ENGINE_VERSIONS,
    OPTIONS,
    PARAMETER_GROUP,
    PARAMETER_GROUPS,
    PARAMETERS,
)
from cluster_runtime.control.records.fields import Doc
from cluster_runtime.control.records.parameter_groups import DBParameter, check_group_name
from cluster_runtime.control.records.rules import Must
from cluster_runtime.errors import (
    InvalidParameterError,
    ParameterGroupAlreadyExistsError,
    ParameterGroupInUseError,
    ParameterGroupNotFoundError,
)

GROUP_NOUN = "DBClusterParameterGroup"
GroupReference = Annotated[str, Doc("Name of the parameter group.")]

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
    db_instance_class: the only class to show, such as `db.serverless`.
    """

    engine: EngineName
    engine_version: str | None = None
    db_instance_class: str | None = None


@operation(
    "CreateDBClusterParameterGroup",
    of=GROUP_NOUN,
    returns=PARAMETER_GROUP,
    raises=(ParameterGroupAlreadyExistsError, InvalidParameterError),
)
@dataclass(frozen=True, slots=True)
class CreateDBClusterParameterGroup(Request):
    """Make a group of parameters for clusters, with the engine's default values.

    db_cluster_parameter_group_name: its name: letters, digits and single hyphens.
    db_parameter_group_family: of the clusters it is for, such as `aurora-postgresql18`.
    description: what it is for.
    """

    db_cluster_parameter_group_name: Annotated[str, Must(check_group_name)]
    db_parameter_group_family: str
    description: str


@operation(
    "DescribeDBClusterParameterGroups",
    of=GROUP_NOUN,
    returns=PARAMETER_GROUPS,
    raises=(ParameterGroupNotFoundError,),
)
@dataclass(frozen=True, slots=True)
class DescribeDBClusterParameterGroups(Request):
    """Show one parameter group, or all; the default one of each family among them.

    db_cluster_parameter_group_name: the only group to show.
    """

    db_cluster_parameter_group_name: str | None = None


@operation(
    "DescribeDBClusterParameters",
    of=GROUP_NOUN,
    returns=PARAMETERS,
    raises=(ParameterGroupNotFoundError,),
)
@dataclass(frozen=True, slots=True)
class DescribeDBClusterParameters(Request):
    """Show the parameters of a group, by name: their values, ranges, and when a change applies.

    source: show only those of this source: `user` or `engine-default`.
    """

    db_cluster_parameter_group_name: GroupReference
    source: str | None = None


@operation(
    "ModifyDBClusterParameterGroup",
    of=GROUP_NOUN,
    returns=PARAMETER_GROUP,
    raises=(ParameterGroupNotFoundError, ParameterGroupInUseError, InvalidParameterError),
)
@dataclass(frozen=True, slots=True)
class ModifyDBClusterParameterGroup(Request):
    """Change parameters of a group, and so of its clusters.

    Those with the method `immediate` apply to running writers at once, the others when these start
    the next time, for a reboot, a failover, or a wake after a pause.

    parameters: names, values and methods.
    """

    db_cluster_parameter_group_name: GroupReference
    parameters: tuple[DBParameter, ...]


@operation(
    "ResetDBClusterParameterGroup",
    of=GROUP_NOUN,
    returns=PARAMETER_GROUP,
    raises=(ParameterGroupNotFoundError, ParameterGroupInUseError, InvalidParameterError),
)
@dataclass(frozen=True, slots=True)
class ResetDBClusterParameterGroup(Request):
    """Give parameters of a group the engine's default values again.

    reset_all_parameters: all of them.
    parameters: those to reset; what is said beside their names counts for nothing.
    """

    db_cluster_parameter_group_name: GroupReference
    reset_all_parameters: bool | None = None
    parameters: tuple[DBParameter, ...] = ()


@operation(
    "DeleteDBClusterParameterGroup",
    of=GROUP_NOUN,
    returns=None,
    raises=(ParameterGroupNotFoundError, ParameterGroupInUseError),
)
@dataclass(frozen=True, slots=True)
class DeleteDBClusterParameterGroup(Request):
    """Delete a parameter group that no cluster has."""

    db_cluster_parameter_group_name: GroupReference
