"""What a comparison of two databases finds, as its callers get it.

A change is told from the source's side: what has to happen to the source so that it is as the
target. `added` is in the target alone, `removed` in the source alone.
"""

from dataclasses import dataclass
from typing import Literal

Change = Literal["added", "removed", "changed"]
Method = Literal["hash", "log"]


@dataclass(frozen=True, slots=True)
class ComparedDatabase:
    """One side of a comparison."""

    db_cluster_identifier: str
    database_name: str


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """An object of a schema that differs. source, target: its DDL there; None where it is not."""

    change: Change
    kind: str
    name: str
    source: str | None
    target: str | None


@dataclass(frozen=True, slots=True)
class SchemaDiff:
    """How two schemas differ. text: the same as a unified diff, for people; empty where equal."""

    source: ComparedDatabase
    target: ComparedDatabase
    changes: tuple[SchemaChange, ...]
    text: str


@dataclass(frozen=True, slots=True)
class RowChange:
    """A row that differs. key: its values of the table's key columns, where it has a key.

    source, target: its values in the order of the table's compared columns, as PostgreSQL writes
    them, long ones cut; None where the row is not there.
    """

    change: Change
    key: tuple[str | None, ...]
    source: tuple[str | None, ...] | None
    target: tuple[str | None, ...] | None


@dataclass(frozen=True, slots=True)
class TableDiff:
    """How the rows of a table differ.

    columns: those that were compared. key: the columns that say which row is which; without any,
    a row that changed is one that went and one that came. source_rows, target_rows: how many there
    are; None where the table is not there, or where nobody had to count. rows: the first changes,
    as many as were asked for; the numbers count all of them. not_compared: why its rows were not
    looked at, or which columns of it were not; empty where everything was. method: `log` where only
    blocks were read that the log says were changed, `hash` where all of it was.
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    source_rows: int | None
    target_rows: int | None
    added: int
    removed: int
    changed: int
    rows: tuple[RowChange, ...]
    not_compared: str = ""
    method: Method = "hash"

    @property
    def differs(self) -> bool:
        """Whether there is anything to say of it."""
        return bool(self.added or self.removed or self.changed or self.not_compared)


@dataclass(frozen=True, slots=True)
class SequenceDiff:
    """Where a sequence stands. None: it was not used yet, or is not there."""

    name: str
    source: int | None
    target: int | None


@dataclass(frozen=True, slots=True)
class DataDiff:
    """How the rows of two databases differ: tables with differences, and those not compared.

    compared_tables: how many were looked at. method: `log` where the two were one once and their
    logs say what changed since, else `hash`; of single tables, see there.
    """

    source: ComparedDatabase
    target: ComparedDatabase
    compared_tables: int
    tables: tuple[TableDiff, ...]
    sequences: tuple[SequenceDiff, ...]
    method: Method = "hash"
