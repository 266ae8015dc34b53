"""The tables of agent memory in a cluster: made, brought up to date, and LangGraph's moved over."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cluster_runtime.control.plane import Cluster
from mcp_server.errors import McpServerError
from memory import BorealisSaver, BorealisStore
from memory.database.schema import DEFAULT_SCHEMA
from memory.errors import SetupRequiredError, TypeNotAllowedError
from memory.migrate import Migrated
from memory.migrate import migrate as migrate_tables


class AgentMemoryRefusedError(McpServerError):
    """The memory package refused; its words say why and what to do."""


@dataclass(frozen=True, slots=True)
class DatabaseOf:
    """One database of a cluster, as the memory package asks for connections."""

    cluster: Cluster
    database: str | None

    @property
    def id(self) -> str:
        """The resource id of the cluster."""
        return self.cluster.id

    def dsn(self, endpoint: Any = "writer") -> str:
        """A DSN of the database that was named, not of the cluster's default."""
        return self.cluster.dsn(endpoint, dbname=self.database)

    def over(self, cluster: Cluster) -> "DatabaseOf":
        """The database of the same name in another cluster."""
        return DatabaseOf(cluster, self.database)


@contextmanager
def set_up(name: str) -> Iterator[None]:
    """Say how the tables are made where they are missing, or older than this release."""
    try:
        yield
    except SetupRequiredError as error:
        raise AgentMemoryRefusedError(
            f"cluster {name!r} has no tables of agent memory there, or older ones; "
            f"`borealis memory migrate {name}` makes them"
        ) from error


def migrate(
    cluster: Cluster,
    database: str | None,
    *,
    schema: str | None = None,
    allow: Sequence[str] = (),
    progress: Callable[[str], None],
) -> Migrated:
    """Set the tables up, and copy what `PostgresSaver` and `PostgresStore` have there into them.

    allow: classes of states in LangGraph's tables, each as `module:Class`.
    """
    source = DatabaseOf(cluster, database)
    where = schema or DEFAULT_SCHEMA
    try:
        with BorealisSaver(source, schema=where) as saver:
            saver.setup()
        with BorealisStore(source, schema=where, index={}) as store:
            store.setup()
        classes = [_class(name) for name in allow]
        return migrate_tables(
            source, schema=where, allow=classes, index={}, progress=progress, why=_why
        )
    except TypeNotAllowedError as error:
        raise AgentMemoryRefusedError(_why(error)) from error


def _why(error: Exception) -> str:
    if not isinstance(error, TypeNotAllowedError) or error.refused is None:
        return str(error)
    module, name = error.refused
    return (
        f"a stored state holds a {module}.{name}, which is not on the allow-list; if you trust "
        f"that class, pass --allow {module}:{name}"
    )


def _class(name: str) -> tuple[str, str]:
    module, separator, qualified = name.partition(":")
    if not (module and separator and qualified):
        raise AgentMemoryRefusedError(f"--allow takes module:Class, and {name!r} is not one")
    return module, qualified
