"""Options and arguments of several commands, and the names of clusters that a shell completes.

Those come from the catalog's file, without any host: a shell waits for them at each TAB, so this
loads no runtime and starts nothing.
"""

import os
import re
import sqlite3
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from cluster_runtime.serverless.enforcement.means import Enforcement
from cluster_runtime.serverless.options import (
    CORES_VARIABLE,
    ENFORCEMENT_VARIABLE,
    OVERCOMMIT_VARIABLE,
)
from mcp_server.nl2sql.words import LEXICON_VARIABLE

STATE_DIR = Path("~/.borealis")
STATE_DIR_VARIABLE = "BOREALIS_STATE_DIR"
WARM_POOL_VARIABLE = "BOREALIS_WARM_POOL"
BUSY_SECONDS = 0.2
NAMES = "select identifier from db_cluster order by identifier"


def clusters(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the clusters of the state directory that the command line names so far."""
    given = ctx.params.get("state_dir") or os.environ.get(STATE_DIR_VARIABLE) or STATE_DIR
    catalog = Path(given).expanduser() / "catalog.sqlite"
    return [name for name in _names(catalog) if name.startswith(incomplete.lower())]


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_AGO = re.compile(r"(\d{1,6})\s*([smhd])", re.IGNORECASE)
TIME = "A time, or how long before: 90s, 10m, 2h, 3d"


def ago(given: str, now: datetime | None = None) -> datetime | None:
    """The time so long before now (`90s`, `10m`, `2h`, `3d`); None for what says no duration."""
    found = _AGO.fullmatch(given.strip())
    if found is None:
        return None
    seconds = int(found[1]) * _UNITS[found[2].lower()]
    try:
        return (now or datetime.now().astimezone()) - timedelta(seconds=seconds)
    except OverflowError:
        return None


def moment(given: str, option: str, now: datetime | None = None) -> datetime:
    """A time as it was given, or a duration before now; without a time zone this machine's."""
    before = ago(given, now)
    if before is not None:
        return before
    try:
        return datetime.fromisoformat(given).astimezone()
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{given!r} is no time such as 2026-11-29T20:15:00+01:00, and no duration such as 10m",
            param_hint=option,
        ) from None


Lexicon = Annotated[
    str | None,
    typer.Option(
        "--lexicon",
        envvar=LEXICON_VARIABLE,
        help="Files or folders with words of your own (docs/nl2sql-lexicon.md).",
        metavar="FILE",
    ),
]
StateDir = Annotated[
    Path,
    typer.Option(
        "--state-dir", envvar=STATE_DIR_VARIABLE, help="Where the clusters live.", metavar="DIR"
    ),
]
Name = Annotated[
    str,
    typer.Argument(help="Identifier of the cluster.", metavar="CLUSTER", autocompletion=clusters),
]
WarmPool = Annotated[
    int,
    typer.Option(
        min=0,
        envvar=WARM_POOL_VARIABLE,
        help="Started clusters that a new host keeps ready for the next create.",
    ),
]
Enforced = Annotated[
    Enforcement,
    typer.Option(
        "--enforcement",
        envvar=ENFORCEMENT_VARIABLE,
        help="What holds clusters to their capacity: auto, the best that there is here.",
    ),
]
Overcommit = Annotated[
    float,
    typer.Option(
        envvar=OVERCOMMIT_VARIABLE,
        help="How many times the machine may be given to clusters; 1: as it is.",
    ),
]
CoresPerAcu = Annotated[float, typer.Option(envvar=CORES_VARIABLE, help="CPU that one ACU brings.")]
Model = Annotated[
    str | None,
    typer.Option(
        envvar="BOREALIS_MODEL",
        help="Language model for questions, e.g. anthropic:claude-sonnet-4-5; default: none.",
    ),
]
Dsns = Annotated[
    list[str] | None,
    typer.Option(
        "--dsn",
        metavar="[NAME=]URI",
        help="Read this existing database instead of clusters; may be repeated. A connection "
        "string with a password belongs in BOREALIS_DATABASES, one a line, or in ~/.pgpass.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
AllowDestructive = Annotated[
    bool,
    typer.Option("--allow-destructive", help="Have what destroys (DROP, ...) not confirmed."),
]
Reader = Annotated[bool, typer.Option("--reader", help="Connect to the reader endpoint.")]
Database = Annotated[str | None, typer.Option(help="Database to connect to.")]
StablePassword = Annotated[
    bool,
    typer.Option(
        "--password",
        help="With a password of the master user that stays, made where it is not set yet, instead "
        "of a token that opens connections for 15 minutes.",
    ),
]
Served = Annotated[
    str | None,
    typer.Option(
        "--toolsets",
        help="Tools to serve, as `a,b` or `all`: clusters, branches, history, schema, queries, "
        "writes (these by default), advice, memory, capacity.",
    ),
]
AnswerTokens = Annotated[
    int, typer.Option(min=500, help="Most tokens of one answer; clients can ask for its rest.")
]
CreateIt = Annotated[
    bool, typer.Option("--create", help="With --cluster: create it if it does not exist.")
]
AuroraUser = Annotated[
    str | None,
    typer.Option("--user", help="Amazon Aurora: role with rds_iam; default: the master user."),
]
CaBundle = Annotated[
    Path | None,
    typer.Option(
        envvar="PGSSLROOTCERT", help="Amazon Aurora: certificates to verify the server by."
    ),
]
AuroraDatabase = Annotated[
    str | None,
    typer.Option("--database", help="Amazon Aurora: database; default: its own."),
]
ReadOnly = Annotated[bool, typer.Option("--read-only", help="Leave out the tools that write.")]
OverHttp = Annotated[
    bool, typer.Option("--http", help="Serve streamable HTTP instead of standard input.")
]
HttpHost = Annotated[str, typer.Option(help="With --http: 127.0.0.1 or ::1.")]
HttpPort = Annotated[
    int, typer.Option(min=0, max=65535, help="With --http: the port; 0 takes any free one.")
]
TokenFile = Annotated[
    Path | None,
    typer.Option(help="With --http: let in who sends the content of this file as a bearer token."),
]
OAuth = Annotated[
    str | None,
    typer.Option(
        "--oauth",
        metavar="ISSUER",
        help="With --http: let in who has a token of this OAuth issuer (a URL); `local`: of this "
        "server itself, which asks a person for the content of --token-file.",
    ),
]
OAuthResource = Annotated[
    str | None,
    typer.Option(
        "--oauth-resource",
        metavar="URL",
        help="With --oauth: the URL that clients know this server by, and tokens are for; default: "
        "its own.",
    ),
]
OAuthScopes = Annotated[
    list[str] | None,
    typer.Option(
        "--oauth-scope",
        metavar="SCOPE",
        help="With --oauth ISSUER: what tokens must have; may be repeated.",
    ),
]
MemoryCluster = Annotated[
    str | None,
    typer.Option(
        help="With the toolset memory: the cluster that memories are in, made at the first one. "
        "Default: that of --cluster, or the one that a call names."
    ),
]


def _names(catalog: Path) -> list[str]:
    if not catalog.exists():
        return []
    try:
        file = f"file:{quote(str(catalog))}?mode=ro"
        connection = sqlite3.connect(file, uri=True, timeout=BUSY_SECONDS)
        try:
            return [name for (name,) in connection.execute(NAMES)]
        finally:
            connection.close()
    except sqlite3.Error:
        return []  # a shell has no place for an error
