"""Operations on the difference between two databases: of their schemas, of their rows. Ours."""

from dataclasses import KW_ONLY, dataclass
from typing import Annotated

from cluster_runtime.control.operations.declaration import Request, operation
from cluster_runtime.control.operations.types import DATA_DIFF, SCHEMA_DIFF
from cluster_runtime.control.records.rules import Range
from cluster_runtime.errors import (
    ClusterNotFoundError,
    EngineError,
    InvalidClusterStateError,
    InvalidParameterError,
    QuorumLostError,
)

DIFF_NOUN = "Diff"
ROWS_SHOWN = 20
ROWS_SHOWN_MAX = 1000


DIFF_ERRORS = (
    ClusterNotFoundError,
    InvalidClusterStateError,
    InvalidParameterError,
    EngineError,
    QuorumLostError,
)


@operation(
    "DescribeSchemaDiff",
    of=DIFF_NOUN,
    returns=SCHEMA_DIFF,
    raises=DIFF_ERRORS,
    ours=True,
)
@dataclass(frozen=True, slots=True)
class DescribeSchemaDiff(Request):
    """Show how the schema of one database differs from that of another one, as DDL.

    What is told has to happen to the first so that it is as the second. Paused clusters wake.

    db_cluster_identifier: identifier or resource id of the cluster to come from.
    target_db_cluster_identifier: of the cluster to get to; the same one, to compare two databases.
    database_name: database to come from; by default the cluster's own.
    target_database_name: database to get to; by default the one of the same name, or the cluster's
        own where no name is given.
    """

    db_cluster_identifier: str
    target_db_cluster_identifier: str
    _: KW_ONLY
    database_name: str | None = None
    target_database_name: str | None = None


@operation(
    "DescribeDataDiff",
    of=DIFF_NOUN,
    returns=DATA_DIFF,
    raises=DIFF_ERRORS,
    ours=True,
)
@dataclass(frozen=True, slots=True)
class DescribeDataDiff(Request):
    """Show how the rows of one database differ from those of another one, table by table.

    Each side is read in one snapshot, as its master user. How many rows differ is always exact;
    which ones is shown up to a limit. Paused clusters wake.

    db_cluster_identifier: identifier or resource id of the cluster to come from.
    target_db_cluster_identifier: of the cluster to get to; the same one, to compare two databases.
    database_name: database to come from; by default the cluster's own.
    target_database_name: database to get to; by default the one of the same name, or the cluster's
        own where no name is given.
    tables: only these, such as `public.orders`; by default all.
    max_rows: how many changed rows of each table to show.
    """

    db_cluster_identifier: str
    target_db_cluster_identifier: str
    _: KW_ONLY
    database_name: str | None = None
    target_database_name: str | None = None
    tables: tuple[str, ...] = ()
    max_rows: Annotated[int, Range(0, ROWS_SHOWN_MAX)] = ROWS_SHOWN
