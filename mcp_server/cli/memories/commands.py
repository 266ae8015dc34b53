"""`memory show`, `threads`, `indexes`, `export`, `import`, `copy`, `fork` and `migrate`."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mcp_server.cli import console
from mcp_server.cli.options import STATE_DIR, AsJson, Name, StateDir, clusters

if TYPE_CHECKING:
    from cluster_runtime import Runtime

Opened = Callable[[Path], "AbstractContextManager[Runtime]"]
Database = Annotated[str | None, typer.Option(help="Database of the memory.")]
Schema = Annotated[
    str | None, typer.Option(help="Schema that its tables are in; default: borealis.")
]
Thread = Annotated[str, typer.Argument(help="Id of the thread.", metavar="THREAD")]
NewThread = Annotated[
    str | None, typer.Option("--thread", help="Id that it gets; default: the one it has.")
]


def add_commands(group: typer.Typer, opened: Opened) -> None:
    """Add them. opened: gives the runtime of a state directory."""
    _add_views(group, opened)
    _add_indexes(group, opened)
    _add_moves(group, opened)
    _add_migrate(group, opened)


@contextmanager
def _saver(
    opened: Opened, state_dir: Path, name: str, database: str | None, schema: str | None
) -> Iterator[Any]:
    """A saver over the memory in a cluster, and the runtime."""
    from mcp_server.cli.memories.agent_memory import DatabaseOf, set_up
    from memory import BorealisSaver
    from memory.database.schema import DEFAULT_SCHEMA

    with opened(state_dir) as runtime:
        place = DatabaseOf(runtime.cluster(name), database)
        with set_up(name), BorealisSaver(place, schema=schema or DEFAULT_SCHEMA) as saver:
            yield runtime, saver


def _add_views(group: typer.Typer, opened: Opened) -> None:
    @group.command()
    def show(
        name: Name,
        under: Annotated[
            str, typer.Option(help="Only below this namespace, as users/ada.", metavar="PATH")
        ] = "",
        query: Annotated[
            str | None, typer.Option(help="What fits this best; needs the store's index.")
        ] = None,
        embed: Annotated[
            str,
            typer.Option(help="With --query: the store's embeddings, as hash, local, openai:..."),
        ] = "hash",
        limit: Annotated[int, typer.Option(min=1, help="Most items.")] = 50,
        state_dir: StateDir = STATE_DIR,
        database: Database = None,
        schema: Schema = None,
        as_json: AsJson = False,
    ) -> None:
        """Show what agents remember, how long, and which thread's run it is from."""
        from mcp_server.cli.memories import views
        from mcp_server.cli.memories.agent_memory import DatabaseOf, set_up
        from memory import BorealisStore
        from memory.database.schema import DEFAULT_SCHEMA

        path = tuple(label for label in under.split("/") if label)
        with opened(state_dir) as runtime:
            place = DatabaseOf(runtime.cluster(name), database)
            index = None if query is None else {"embed": embed}
            where = schema or DEFAULT_SCHEMA
            with set_up(name), BorealisStore(place, schema=where, index=index) as store:
                found = store.remembered(path, query=query, limit=limit)
        views.items(found, as_json=as_json)

    @group.command()
    def threads(
        name: Name,
        limit: Annotated[int, typer.Option(min=1, help="Most threads.")] = 1000,
        after: Annotated[str, typer.Option(help="Only those behind this id.")] = "",
        state_dir: StateDir = STATE_DIR,
        database: Database = None,
        schema: Schema = None,
        as_json: AsJson = False,
    ) -> None:
        """Show the threads: conversations with their checkpoints, size and expiry."""
        from mcp_server.cli.memories import views

        with _saver(opened, state_dir, name, database, schema) as (_, saver):
            found = saver.threads(after=after, limit=limit)
        views.threads(found, as_json=as_json)


def _add_indexes(group: typer.Typer, opened: Opened) -> None:
    @group.command()
    def indexes(
        name: Name,
        state_dir: StateDir = STATE_DIR,
        database: Database = None,
        schema: Schema = None,
        as_json: AsJson = False,
    ) -> None:
        """Show the vector indexes of the store: that of all, and those of big namespaces."""
        from mcp_server.cli.memories import views
        from mcp_server.cli.memories.agent_memory import DatabaseOf, set_up
        from memory import BorealisStore
        from memory.database.schema import DEFAULT_SCHEMA

        with opened(state_dir) as runtime:
            place = DatabaseOf(runtime.cluster(name), database)
            with set_up(name), BorealisStore(place, schema=schema or DEFAULT_SCHEMA) as store:
                found = store.indexes()
        views.indexes(found, as_json=as_json)


def _add_moves(group: typer.Typer, opened: Opened) -> None:
    @group.command("export")
    def export_thread(
        name: Name,
        thread: Thread,
        file: Annotated[Path, typer.Argument(help="Where nothing is yet.", metavar="FILE")],
        state_dir: StateDir = STATE_DIR,
        database: Database = None,
        schema: Schema = None,
        as_json: AsJson = False,
    ) -> None:
        """Write a thread with all its history to a file that `memory import` reads."""
        with _saver(opened, state_dir, name, database, schema) as (_, saver):
            _tell(saver.export_thread(thread, file), f"is in {file}", as_json)

    @group.command("import")
    def import_thread(
        name: Name,
        file: Annotated[Path, typer.Argument(help="What `export` wrote.", metavar="FILE")],
        thread: NewThread = None,
        state_dir: StateDir = STATE_DIR,
        database: Database = None,
        schema: Schema = None,
        as_json: AsJson = False,
    ) -> None:
        """Make a thread of a file: all of it, or nothing where the file is damaged."""
        with _saver(opened, state_dir, name, database, schema) as (_, saver):
            saver.setup()
            _tell(saver.import_thread(file, thread_id=thread), f"is in {name!r}", as_json)

    @group.command("copy")
    def copy_thread(
        name: Name,
        thread: Thread,
        target: Annotated[
            str,
            typer.Argument(help="Cluster to copy to.", metavar="TARGET", autocompletion=clusters),
        ],
        new_thread: NewThread = None,
        state_dir: StateDir = STATE_DIR,
        database: Database = None,
        schema: Schema = None,
        as_json: AsJson = False,
    ) -> None:
        """Copy a thread with all its history to another cluster."""
        with (
            _saver(opened, state_dir, name, database, schema) as (_, saver),
            _saver(opened, state_dir, target, database, schema) as (_, other),
        ):
            other.setup()
            moved = saver.copy_thread_to(thread, other, target_thread_id=new_thread)
            _tell(moved, f"is in {target!r}", as_json)

    @group.command("fork")
    def fork_thread(
        name: Name,
        thread: Thread,
        branch: Annotated[str, typer.Argument(help="Identifier of the branch.", metavar="BRANCH")],
        checkpoint: Annotated[
            str | None, typer.Option(help="Id of the checkpoint; default: the latest.")
        ] = None,
        state_dir: StateDir = STATE_DIR,
        database: Database = None,
        schema: Schema = None,
        as_json: AsJson = False,
    ) -> None:
        """Branch a cluster as it was when a checkpoint of a thread was stored."""
        config = {"configurable": {"thread_id": thread, "checkpoint_id": checkpoint}}
        with _saver(opened, state_dir, name, database, schema) as (runtime, saver):
            fork = saver.fork_thread(config, runtime, branch)
            fork.saver.close()
            console.cluster(fork.cluster.describe(), as_json=as_json)


def _add_migrate(group: typer.Typer, opened: Opened) -> None:
    @group.command()
    def migrate(
        name: Name,
        state_dir: StateDir = STATE_DIR,
        database: Database = None,
        schema: Schema = None,
        allow: Annotated[
            list[str] | None,
            typer.Option(help="A class in old states, as module:Class; may be repeated."),
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """Make the tables of agent memory, and move LangGraph's, of PostgresSaver and Store."""
        from mcp_server.cli.memories import agent_memory

        with opened(state_dir) as runtime:
            moved = agent_memory.migrate(
                runtime.cluster(name),
                database,
                schema=schema,
                allow=allow or (),
                progress=console.note,
            )
        if as_json:
            console.result(moved, as_json=True)
            raise typer.Exit(1 if moved.refused else 0)
        console.note(
            f"the memory in cluster {name!r} is up to date; moved "
            f"{console.counted(moved.threads, 'thread')} with "
            f"{console.counted(moved.checkpoints, 'checkpoint')}, and "
            f"{console.counted(moved.items, 'item')}"
        )
        if moved.refused:
            console.note(
                f"not moved: {console.counted(len(moved.refused), 'thread')}: "
                + "; ".join(f"{thread}: {why}" for thread, why in moved.refused.items())
            )
            raise typer.Exit(1)


def _tell(moved: Any, where: str, as_json: bool) -> None:
    if as_json:
        console.result(moved, as_json=True)
    else:
        console.note(
            f"thread {moved.thread_id!r} with {console.counted(moved.checkpoints, 'checkpoint')} "
            f"and {console.counted(moved.writes, 'write')} {where}"
        )
