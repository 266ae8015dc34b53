"""The `borealis` command line: one command per thing that a person does with clusters.

Every command attaches to the host of the state directory, and starts one in the background where
there is none. Errors that someone anticipated are one line on standard error and exit status 1;
wrong usage is exit status 2. What a command needs is imported in the command: `--help`, a
completion and a mistyped name answer without loading a database driver.
"""

import gc
import inspect
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cluster_runtime.errors import BorealisError
from cluster_runtime.host.log_limits import BYTES_VARIABLE, FILES_VARIABLE, LogLimits
from cluster_runtime.serverless.options import CapacityOptions
from mcp_server.cli import console, foreground, quick
from mcp_server.cli.asking import commands as asking
from mcp_server.cli.branching import commands as branching
from mcp_server.cli.clients import commands as clients
from mcp_server.cli.connecting import commands as connecting
from mcp_server.cli.machine import configuration
from mcp_server.cli.measuring import commands as measuring
from mcp_server.cli.memories import commands as memories
from mcp_server.cli.options import (
    STATE_DIR,
    WARM_POOL_VARIABLE,
    AllowDestructive,
    AnswerTokens,
    AsJson,
    AuroraDatabase,
    AuroraUser,
    CaBundle,
    CoresPerAcu,
    CreateIt,
    Dsns,
    Enforced,
    HttpHost,
    HttpPort,
    Lexicon,
    MemoryCluster,
    Model,
    Name,
    OAuth,
    OAuthResource,
    OAuthScopes,
    Overcommit,
    OverHttp,
    ReadOnly,
    Served,
    StateDir,
    TokenFile,
    WarmPool,
    clusters,
)
from mcp_server.cli.simulating import commands as simulating
from mcp_server.cli.watching import commands as watching
from mcp_server.errors import DISTRIBUTION, McpServerError, missing_extra
from mcp_server.nl2sql.words import LEXICON_VARIABLE

if TYPE_CHECKING:
    from cluster_runtime import Runtime

app = typer.Typer(
    name="borealis",
    help="Aurora-style PostgreSQL clusters for AI agents, in one Python process.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)
snapshot = typer.Typer(help="Keep what a cluster is, and go back to it.", no_args_is_help=True)
backup = typer.Typer(help="Where backups are kept, and what there is.", no_args_is_help=True)
storage = typer.Typer(help="Look at the storage volume of a cluster.", no_args_is_help=True)
memory = typer.Typer(help="See, move and maintain what agents remember.", no_args_is_help=True)
branch = typer.Typer(help="Clones of a cluster, to try things on.", no_args_is_help=True)
restore_point = typer.Typer(help="Names for moments to rewind to.", no_args_is_help=True)
fault = typer.Typer(help="Make part of a cluster fail, and heal it.", no_args_is_help=True)
diff = typer.Typer(help="Compare two clusters, or two databases.", no_args_is_help=True)
simulate = typer.Typer(help="Try scaling on a load, in virtual time.", no_args_is_help=True)
app.add_typer(branch, name="branch")
app.add_typer(snapshot, name="snapshot")
app.add_typer(backup, name="backup")
app.add_typer(restore_point, name="restore-point")
app.add_typer(diff, name="diff")
app.add_typer(storage, name="storage")
app.add_typer(fault, name="fault")
app.add_typer(memory, name="memory")
app.add_typer(simulate, name="simulate")

Dsn = Annotated[
    str | None,
    typer.Option(
        metavar="URI",
        help="Ask this existing database; without a value on the command line: BOREALIS_DATABASES.",
    ),
]
Region = Annotated[
    str | None,
    typer.Option(help="The cluster is one of Amazon Aurora in this region, with IAM tokens."),
]


def _say_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version as version_of

        print(f"borealis {version_of(DISTRIBUTION)}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_say_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Aurora-style PostgreSQL clusters for AI agents, in one Python process."""


def main(arguments: list[str] | None = None) -> None:
    """The console script. Turns anticipated errors into one line and an exit status."""
    log_to_stderr()
    foreground.end_in_good_order()
    try:
        given = sys.argv[1:] if arguments is None else arguments
        try:
            quick.command_of(app, given, whole=whole)(arguments)
        finally:
            # What it does not take is to be told, which the interpreter's end would not do.
            if sys.stdout is not None:
                with suppress(BrokenPipeError):
                    sys.stdout.flush()
    except Exception as error:
        text = _anticipated(error)
        if text is None:
            raise
        typer.echo(f"error: {text}", err=True)
        sys.exit(1)


def log_to_stderr(level: int = logging.WARNING) -> None:
    """Log to standard error, for standard output belongs to results (and to the MCP protocol)."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger().setLevel(level)


@contextmanager
def loading() -> Iterator[None]:
    """Imports make much that stays, which the garbage collector need not look at, now or ever."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def opened(state_dir: Path) -> "Iterator[Runtime]":
    """The runtime of a state directory, in the host of that: started where there is none."""
    with loading():
        from cluster_runtime import Runtime

    size = os.environ.get(WARM_POOL_VARIABLE, "1")
    if not size.isdecimal():
        raise McpServerError(f"{WARM_POOL_VARIABLE} is {size!r}; it must be a whole number")
    given = asdict(CapacityOptions.of(os.environ))
    with Runtime.open(
        state_dir.expanduser(), host="daemon", warm_pool_size=int(size), **given
    ) as runtime:
        yield runtime


@app.command()
def serve(
    state_dir: StateDir = STATE_DIR,
    warm_pool: WarmPool = 1,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log every event.")] = False,
    port: Annotated[
        int,
        typer.Option(
            min=0,
            max=65535,
            help="Port of the RDS-compatible endpoint; 0: the one it had, or any free one.",
        ),
    ] = 0,
    replace: Annotated[
        bool, typer.Option("--replace", help="End the present host, and host instead of it.")
    ] = False,
    stop: Annotated[
        bool, typer.Option("--stop", help="End the present host; host nothing.")
    ] = False,
    install: Annotated[
        bool, typer.Option("--install", help="Have systemd or launchd do it after each login.")
    ] = False,
    log_bytes: Annotated[
        int, typer.Option(min=1, envvar=BYTES_VARIABLE, help="Size of a file of the host's log.")
    ] = LogLimits().bytes_max,
    log_files: Annotated[
        int, typer.Option(min=2, envvar=FILES_VARIABLE, help="How many such files are kept.")
    ] = LogLimits().files_max,
    enforcement: Enforced = "auto",
    overcommit: Overcommit = 1.0,
    cores_per_acu: CoresPerAcu = 0.25,
) -> None:
    """Host all clusters until interrupted, so that programs can connect to them."""
    with loading():
        from mcp_server.cli import serving

    if stop:
        serving.stop(state_dir)
    elif install:
        serving.install(state_dir, warm_pool)
    else:
        if verbose:
            log_to_stderr(logging.INFO)
        limits = LogLimits(log_bytes, log_files)
        capacity = CapacityOptions(enforcement, overcommit, cores_per_acu)
        serving.serve(state_dir, warm_pool, port, limits, capacity, replace=replace)


@app.command()
def status(state_dir: StateDir = STATE_DIR, as_json: AsJson = False) -> None:
    """Show who hosts the clusters, and for whom; status 1 where nobody does."""
    from mcp_server.cli import serving

    raise typer.Exit(serving.show_status(state_dir, as_json=as_json))


@cache
def whole() -> typer.Typer:
    """The application with the commands that are operations, which take a while to make."""
    from mcp_server.cli.operation_commands import add_commands

    add_commands(
        {
            "": app,
            "backup": backup,
            "branch": branch,
            "diff": diff,
            "fault": fault,
            "snapshot": snapshot,
            "restore-point": restore_point,
            "storage": storage,
        },
        opened,
        inspect.Parameter(
            "state_dir", inspect.Parameter.KEYWORD_ONLY, default=STATE_DIR, annotation=StateDir
        ),
        # `list` and `describe`; it draws; it asks
        leave_out={"describe_db_clusters", "describe_metrics", "rewind"},
    )
    branching.add_commands(branch, opened)
    branching.add_rewind(app, opened)
    return app


connecting.add_commands(app, opened)
watching.add_commands(app, opened)
measuring.add_commands(app, opened)
clients.add_commands(app)
asking.add_commands(app, opened)
configuration.add_commands(app, whole)
simulating.add_commands(simulate)
memories.add_commands(memory, opened)


@app.command("list")
def list_clusters(state_dir: StateDir = STATE_DIR, as_json: AsJson = False) -> None:
    """List all clusters."""
    with opened(state_dir) as runtime:
        console.clusters(runtime.describe_db_clusters(), as_json=as_json)


@app.command()
def describe(name: Name, state_dir: StateDir = STATE_DIR, as_json: AsJson = False) -> None:
    """Show everything about one cluster."""
    with opened(state_dir) as runtime:
        console.cluster(runtime.cluster(name).describe(), as_json=as_json)


@app.command()
def ask(
    name: Annotated[
        str,
        typer.Argument(
            help="Identifier of the cluster; none with --dsn.",
            metavar="[CLUSTER]",
            autocompletion=clusters,
        ),
    ],
    question: Annotated[str | None, typer.Argument(help="A question in English.")] = None,
    state_dir: StateDir = STATE_DIR,
    database: Annotated[str | None, typer.Option(help="Database to ask.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="It builds on the last question asked of it.")
    ] = False,
    model: Model = None,
    lexicon: Lexicon = None,
    as_json: AsJson = False,
    dsn: Dsn = None,
    region: Region = None,
    user: AuroraUser = None,
    ca_bundle: CaBundle = None,
) -> None:
    """Ask a question in English: prints the SQL, what it computes, and the rows."""
    if lexicon is not None:
        os.environ[LEXICON_VARIABLE] = lexicon  # read with the translator, below
    with loading():
        from mcp_server.cli import existing
        from mcp_server.cli.asking.conversing import ask_in_turn

    place = existing.to_ask(name, question, dsn, region, user, database, ca_bundle)
    if place is not None:
        asked, text = place
        with existing.told():
            answer = ask_in_turn(asked, text, None, model, state_dir, follow=follow)
    elif question is None:
        raise typer.BadParameter("a question in English must follow", param_hint="QUESTION")
    else:
        with opened(state_dir) as runtime:
            cluster = runtime.cluster(name)
            answer = ask_in_turn(cluster, question, database, model, state_dir, follow=follow)
    if as_json:
        typer.echo(answer.model_dump_json(indent=2))
    else:
        console.answer(answer)
    if not answer.answered:
        raise typer.Exit(1)


@app.command("reset-settings")
def reset_settings(name: Name, state_dir: StateDir = STATE_DIR, as_json: AsJson = False) -> None:
    """Undo ALTER DATABASE ... SET and ALTER ROLE ... SET, for a master locked out by them."""
    with opened(state_dir) as runtime:
        runtime.modify_db_cluster(name, reset_settings=True)
    if as_json:
        console.json_of({"cluster": name})
    else:
        console.note(f"the settings of the databases and roles in cluster {name!r} are reset")


@app.command()
def mcp(
    state_dir: StateDir = STATE_DIR,
    cluster: Annotated[
        str | None,
        typer.Option(help="Serve this cluster only: the tools lose their cluster parameter."),
    ] = None,
    create_cluster: CreateIt = False,
    read_only: ReadOnly = False,
    allow_destructive: AllowDestructive = False,
    toolsets: Served = None,
    memory_cluster: MemoryCluster = None,
    answer_tokens: AnswerTokens = 20_000,
    model: Model = None,
    warm_pool: WarmPool = 1,
    http: OverHttp = False,
    host: HttpHost = "127.0.0.1",
    port: HttpPort = 8765,
    hosted_by: Annotated[
        Literal["daemon", "process", "auto"],
        typer.Option(
            help="Who hosts the clusters: daemon (in the background), process (this one), or auto "
            "(whoever does, else this process).",
        ),
    ] = "daemon",
    token_file: TokenFile = None,
    oauth: OAuth = None,
    oauth_resource: OAuthResource = None,
    oauth_scope: OAuthScopes = None,
    dsn: Dsns = None,
    region: Region = None,
    user: AuroraUser = None,
    database: AuroraDatabase = None,
    ca_bundle: CaBundle = None,
) -> None:
    """Serve the MCP tools, over standard input and output or over HTTP."""
    with loading():
        from mcp_server import hosting
        from mcp_server.access.opening import AccessOptions
        from mcp_server.cli import existing
        from mcp_server.toolkit.toolsets import DEFAULT, chosen

    options = hosting.Options(
        state_dir=state_dir.expanduser(),
        cluster=cluster,
        create=create_cluster,
        read_only=read_only,
        model=model,
        listen=(host, port) if http else None,
        access=AccessOptions(token_file, oauth, oauth_resource, tuple(oauth_scope or ())),
        warm_pool=warm_pool,
        hosted_by=hosted_by,
        toolsets=DEFAULT if toolsets is None else chosen(toolsets),
        answer_tokens=answer_tokens,
        memory_cluster=memory_cluster,
        allow_destructive=allow_destructive,
    )
    databases = existing.to_serve(dsn or (), cluster, region, user, database, ca_bundle)
    if databases is None:
        hosting.run(options, console.note)
    else:
        hosting.run_for_databases(databases, options, console.note)


@app.command()
def doctor(state_dir: StateDir = STATE_DIR, as_json: AsJson = False) -> None:
    """Examine this machine: engine, kernel, walls, disk; say what is wrong and what to do."""
    with loading():
        from mcp_server.cli.machine import doctor as examination

    raise typer.Exit(examination.run(state_dir.expanduser(), as_json=as_json))


@storage.command()
def dump(
    file: Annotated[
        Path, typer.Argument(help="A file in the folder log of a segment.", metavar="FILE")
    ],
    as_json: AsJson = False,
) -> None:
    """Print the frames of a log file; status 1 when some are damaged."""
    from mcp_server.cli import log_dump

    found = log_dump.read(file)
    if as_json:
        console.json_of(log_dump.as_json(found))
    else:
        console.out.print(log_dump.draw(found))
    if found.damaged:
        raise typer.Exit(1)


@app.command()
def demo(
    state_dir: Annotated[
        Path | None,
        typer.Option("--state-dir", help="Keep the demo's clusters here; default: nowhere."),
    ] = None,
) -> None:
    """Show everything once: a cluster, questions in English, memory, pause and wake."""
    with loading():
        from mcp_server.cli.demo.script import run

    raise typer.Exit(run(state_dir))


def _anticipated(error: Exception) -> str | None:
    """What to tell a person about an error; None for one that is a bug."""
    if isinstance(error, BorealisError):
        from mcp_server.wording import COMMAND_LINE

        return error.told(COMMAND_LINE)
    if isinstance(error, ImportError):
        missing = missing_extra(error)
        return None if missing is None else str(missing)
    if isinstance(error, OSError):
        from mcp_server.cli.machine import unwritten

        return unwritten.told(error)
    psycopg = sys.modules.get("psycopg")  # it can only have raised where it was loaded
    if psycopg is not None and isinstance(error, psycopg.Error):
        from mcp_server.sql_errors import sql_error_text
        from mcp_server.wording import COMMAND_LINE

        return sql_error_text(error, COMMAND_LINE)
    return None
