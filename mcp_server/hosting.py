"""One process that serves MCP over the clusters of a state directory: what `borealis mcp` runs."""

import os
import signal
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import anyio
from anyio import to_thread

from cluster_runtime import HostedBy, Runtime, tracing
from cluster_runtime.errors import ClusterAlreadyExistsError, ClusterNotFoundError
from cluster_runtime.serverless.options import CapacityOptions
from mcp_server.answers.pages import ANSWER_TOKENS
from mcp_server.databases.existing import Databases
from mcp_server.errors import ScopeError
from mcp_server.server import (
    HTTP_PATH,
    Server,
    build_database_server,
    build_server,
    listen,
    serve_http,
    serve_stdio,
)
from mcp_server.toolkit.toolsets import DEFAULT, Toolsets
from mcp_server.tools import ServerScope

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
TOKEN_CHARACTERS_MIN = 16


@dataclass(frozen=True, slots=True)
class Options:
    """listen: host and port for HTTP, or None for standard input and output.

    create: make the cluster of the scope where it does not exist. model: a LangChain
    `init_chat_model` string for `ask`. warm_pool: started clusters kept ready.
    hosted_by: who hosts the clusters, as in `Runtime.open`.
    token_file: with HTTP, a file whose content clients must send as a bearer token.
    toolsets: those whose tools are served. answer_tokens: most of one answer.
    """

    state_dir: Path
    cluster: str | None = None
    create: bool = False
    read_only: bool = False
    model: str | None = None
    listen: tuple[str, int] | None = None
    token_file: Path | None = None
    warm_pool: int = 1
    hosted_by: HostedBy = "daemon"
    toolsets: Toolsets = DEFAULT
    answer_tokens: int = ANSWER_TOKENS


def run(options: Options, announce: Callable[[str], None]) -> None:
    """Serve until the client leaves (stdio) or the process is told to end (HTTP).

    announce: told where it listens, with HTTP. Raises ScopeError, and what `Runtime.open` raises.
    """
    if options.create and options.cluster is None:
        raise ScopeError("--create needs --cluster NAME: it creates that cluster")
    token, listener = _prepared(options)
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
        )
        server = build_server(runtime, scope, model=options.model)

        def close() -> None:
            runtime.close()
            traces.close()

        serve(server, close, listener, token, announce)


def run_for_databases(
    databases: Databases, options: Options, announce: Callable[[str], None]
) -> None:
    """Serve databases that are there already; no state directory is opened.

    announce: told also what a person should know of them. Raises ScopeError.
    """
    if options.create:
        raise ScopeError("--create makes a cluster: it cannot go with a database that is there")
    token, listener = _prepared(options)
    databases.examine(announce)
    server = build_database_server(
        databases,
        toolsets=options.toolsets,
        answer_tokens=options.answer_tokens,
        model=options.model,
    )
    with ExitStack() as traces:
        traces.enter_context(tracing.exporting(os.environ))
        serve(server, traces.close, listener, token, announce)


def _prepared(options: Options) -> tuple[str | None, socket.socket | None]:
    """The token that clients must send, and the socket to listen on; None for none."""
    if options.token_file is not None and options.listen is None:
        raise ScopeError("--token-file needs --http: over standard input there is only one client")
    token = _token(options.token_file) if options.token_file else None
    return token, listen(*options.listen) if options.listen else None


def serve(
    server: Server,
    close: Callable[[], None],
    listener: socket.socket | None,
    token: str | None,
    announce: Callable[[str], None],
) -> None:
    """Serve over a listener, or over standard input and output where there is none.

    close: what to do first when the process is told to end while it waits for standard input.
    """
    if listener is None:
        anyio.run(_stdio_until_told_to_end, close, server)
        return
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    announce(f"MCP server at http://{shown}:{port}{HTTP_PATH}")
    # Uvicorn ends in good order and then sends itself the signal that it was told to end by, which
    # must not end the process before the runtime is closed.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        anyio.run(serve_http, server, listener, token)


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
            # A thread waits for the next line of standard input, and nothing can wake it: the
            # interpreter would wait for that thread. All that must be in order is closed by now.
            os._exit(0)


def _token(file: Path) -> str:
    try:
        token = file.expanduser().read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ScopeError(f"cannot read the token file {file}: {error}") from error
    if len(token) < TOKEN_CHARACTERS_MIN:
        raise ScopeError(
            f"the token in {file} is too short to be a secret; make one with: "
            'python3 -c "import secrets; print(secrets.token_urlsafe())"'
        )
    return token


def _ensure(runtime: Runtime, cluster: str) -> None:
    try:
        runtime.cluster(cluster)
    except ClusterNotFoundError:
        with suppress(ClusterAlreadyExistsError):  # another server was faster
            runtime.create_db_cluster(cluster)
