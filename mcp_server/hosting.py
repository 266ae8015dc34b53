"""One process that serves MCP over the clusters of a state directory: what `borealis mcp` runs."""

import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import anyio
from anyio import to_thread

from cluster_runtime import HostedBy, Runtime, tracing
from cluster_runtime.errors import ClusterAlreadyExistsError, ClusterNotFoundError
from cluster_runtime.serverless.options import CapacityOptions
from mcp_server.access.doors import Access
from mcp_server.access.opening import AccessOptions
from mcp_server.answers.pages import ANSWER_TOKENS
from mcp_server.databases.existing import Databases
from mcp_server.errors import ScopeError
from mcp_server.server import (
    Server,
    address_of,
    build_database_server,
    build_server,
    listen,
    serve_http,
    serve_stdio,
)
from mcp_server.toolkit.toolsets import DEFAULT, Toolsets
from mcp_server.tools import ServerScope

ON_A_FAST_LOOP = {"use_uvloop": sys.platform != "win32"}
"""An eighth less of the processor for a read."""
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


OPEN = AccessOptions()
"""For whoever can open a connection."""


@dataclass(frozen=True, slots=True)
class Options:
    """listen: host and port for HTTP, or None for standard input and output.

    create: make the cluster of the scope where it does not exist. model: a LangChain
    `init_chat_model` string for `ask`. warm_pool: started clusters kept ready.
    hosted_by: who hosts the clusters, as in `Runtime.open`.
    access: with HTTP, who may come in.
    toolsets: those whose tools are served. answer_tokens: most of one answer.
    memory_cluster: where memories are; made when there is something to remember.
    allow_destructive: whether what destroys needs no confirmation.
    """

    state_dir: Path
    cluster: str | None = None
    create: bool = False
    read_only: bool = False
    model: str | None = None
    listen: tuple[str, int] | None = None
    access: AccessOptions = OPEN
    warm_pool: int = 1
    hosted_by: HostedBy = "daemon"
    toolsets: Toolsets = DEFAULT
    answer_tokens: int = ANSWER_TOKENS
    memory_cluster: str | None = None
    allow_destructive: bool = False


@dataclass(frozen=True, slots=True)
class Listening:
    """A listening socket, who may come in, and the URL that clients know it by."""

    listener: socket.socket
    access: Access | None
    known_by: str

    @classmethod
    def at(cls, host: str, port: int, options: AccessOptions) -> "Listening":
        """Listen on a loopback address. Raises ScopeError."""
        listener = listen(host, port)
        address = address_of(listener)
        return cls(listener, options.opened(address), options.known_by(address))


def run(options: Options, announce: Callable[[str], None]) -> None:
    """Serve until the client leaves (stdio) or the process is told to end (HTTP).

    announce: told where it listens, with HTTP. Raises ScopeError, and what `Runtime.open` raises.
    """
    if options.create and options.cluster is None:
        raise ScopeError("--create needs --cluster NAME: it creates that cluster")
    if options.allow_destructive and options.read_only:
        raise ScopeError("--allow-destructive has nothing to allow with --read-only")
    listening = _listening(options)
    with (
        ExitStack() as traces,
        Runtime.open(
            options.state_dir,
            host=options.hosted_by,
            warm_pool_size=options.warm_pool,
            **asdict(CapacityOptions.of(os.environ)),
        ) as runtime,
    ):
        traces.enter_context(tracing.exporting(os.environ))
        if options.create and options.cluster is not None:
            _ensure(runtime, options.cluster)
        scope = ServerScope(
            options.cluster,
            options.read_only,
            toolsets=options.toolsets,
            answer_tokens=options.answer_tokens,
            memory_cluster=options.memory_cluster,
            allow_destructive=options.allow_destructive,
        )
        server = build_server(runtime, scope, model=options.model)

        def close() -> None:
            runtime.close()
            traces.close()

        serve(server, close, listening, announce)


def run_for_databases(
    databases: Databases, options: Options, announce: Callable[[str], None]
) -> None:
    """Serve databases that are there already; no state directory is opened.

    announce: told also what a person should know of them. Raises ScopeError.
    """
    if options.create:
        raise ScopeError("--create makes a cluster: it cannot go with a database that is there")
    if options.memory_cluster is not None:
        raise ScopeError(
            "--memory-cluster names a cluster of ours: it cannot go with a database that is there"
        )
    if options.allow_destructive:
        raise ScopeError("--allow-destructive has nothing to allow: databases are only read")
    listening = _listening(options)
    databases.examine(announce)
    server = build_database_server(
        databases,
        toolsets=options.toolsets,
        answer_tokens=options.answer_tokens,
        model=options.model,
    )
    with ExitStack() as traces:
        traces.enter_context(tracing.exporting(os.environ))
        serve(server, traces.close, listening, announce)


def _listening(options: Options) -> Listening | None:
    """Where to listen, and for whom; None for standard input and output."""
    options.access.check(http=options.listen is not None)
    return Listening.at(*options.listen, options.access) if options.listen else None


def serve(
    server: Server,
    close: Callable[[], None],
    listening: Listening | None,
    announce: Callable[[str], None],
) -> None:
    """Serve over HTTP, or over standard input and output where there is nothing to listen on.

    close: what to do first when the process is told to end while it waits for standard input.
    """
    if listening is None:
        anyio.run(_stdio_until_told_to_end, close, server, backend_options=ON_A_FAST_LOOP)
        return
    announce(f"MCP server at {listening.known_by}")
    # Uvicorn ends in good order and then sends itself the signal that it was told to end by, which
    # must not end the process before the runtime is closed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        given = (server, listening.listener, listening.access, listening.known_by)
        anyio.run(serve_http, *given, backend_options=ON_A_FAST_LOOP)


async def _stdio_until_told_to_end(close: Callable[[], None], server: Server) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_close_on_signal, close)
        await serve_stdio(server)
        tasks.cancel_scope.cancel()


async def _close_on_signal(close: Callable[[], None]) -> None:
    heard = [each for each in ENDING if signal.getsignal(each) is not signal.SIG_IGN]
    with anyio.open_signal_receiver(*heard) as signals:
        async for _ in signals:
            await to_thread.run_sync(close)
            # Where standard input is no pipe, a thread waits for its next line, and nothing can
            # wake it: the interpreter would wait for it. What must be in order is closed by now.
            os._exit(0)


def _ensure(runtime: Runtime, cluster: str) -> None:
    try:
        runtime.cluster(cluster)
    except ClusterNotFoundError:
        with suppress(ClusterAlreadyExistsError):  # another server was faster
            runtime.create_db_cluster(cluster)
