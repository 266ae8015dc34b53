"""The MCP server over stdio, against others: awslabs' PostgreSQL server, mem0, langmem.

queries: one row, a hundred rows and twenty tables described, by both servers on one cluster, taking
turns; tokens are characters / 4 of the text that a model gets. memory: `remember` and `recall`
beside mem0's local store and langmem's tools over PostgreSQL, with the same texts and vectors.
search: `search_schema` over 3,000 tables. preview: `preview_write` of 1,000 rows.
Peers are installed below build/peers; what cannot be had is said, and left out.

    python bench/mcp.py [--only queries|memory|search|preview] [--rounds 30] [--scale 68]

What must hold: queries and describing at most 0.7 times their time, answers at most 0.6 times their
tokens; recall@5 not lower and calls not slower than either memory; a search in 100 ms; a preview on
1 GB (scale 68) in 2 s. `run_query` of `select 1` beside it says how busy the machine is.
"""

import argparse
import asyncio
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peers import Peer, PeerMissingError, environment
from report import console, show, write_json

sys.path.remove(str(Path(__file__).parent))  # or `mcp` and `memory` would be files of it

from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.api import Credentials
from cluster_runtime.api.client.finding import read_facts
from memory import HashEmbeddings

TIMES_MAX, TOKENS_MAX = 0.7, 0.6
SEARCH_MS_MAX, PREVIEW_MS_MAX = 100.0, 2000.0
FULL_SCALE = 68
AWSLABS = "awslabs.postgres-mcp-server"
REGION = "us-east-1"
CHARACTERS_A_TOKEN = 4
RECALLED = 5
SEARCHED_TABLES, DESCRIBED_TABLES = 3000, 20
WORDS = (
    *("order", "customer", "invoice", "item", "price", "stock", "ship", "user", "account"),
    *("event", "log", "audit", "region", "product", "tag", "note", "batch", "task"),
    *("payment", "refund"),
)

Work = Callable[[], Awaitable[str]]
Figures = dict[str, Any]


@dataclass
class Bar:
    """What must hold: a figure of ours against what it may be at most."""

    name: str
    ours: float
    theirs: float
    most: float

    @property
    def holds(self) -> bool:
        """Whether it does."""
        return self.ours <= self.most

    @property
    def row(self) -> tuple[object, ...]:
        """As the table shows it."""
        return self.name, self.ours, self.theirs, self.most, "yes" if self.holds else "NO"


@dataclass
class Bench:
    """A runtime with an endpoint, and clients of servers over stdio."""

    runtime: Runtime
    state_dir: Path
    rounds: int
    scale: int
    figures: Figures

    def ours(self, *options: str) -> Any:
        """Our server in a process of its own."""
        return Client(
            StdioServerParameters(
                command=sys.executable,
                args=["-m", "mcp_server", "--state-dir", str(self.state_dir), *options],
                env=dict(os.environ),
            )
        )

    def awslabs(self, errors: Any) -> Any:
        """AWS's, with an environment as AWS's programs have it."""
        programs = environment("awslabs", f"{AWSLABS}>=1.2.2")
        facts = read_facts(self.state_dir)
        assert facts is not None
        assert facts.endpoint_url is not None
        key_id, key = Credentials.read(self.state_dir).first
        services = ("RDS", "SECRETS_MANAGER", "STS", "IAM", "CLOUDWATCH")
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "AWS_ACCESS_KEY_ID": key_id,
            "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "PGHOSTADDR": "127.0.0.1",
            **{f"AWS_ENDPOINT_URL_{each}": facts.endpoint_url for each in services},
        }
        certificate = self.runtime.describe_host().certificate_path
        return Client(
            stdio_client(
                StdioServerParameters(
                    command=str(programs / AWSLABS), args=["--ca_bundle", certificate], env=env
                ),
                errlog=errors,
            )
        )


async def said(client: Client, tool: str, **arguments: Any) -> str:
    """The text of a call that must succeed."""
    answer = await client.call_tool(tool, arguments)
    text = "\n".join(part.text for part in answer.content if hasattr(part, "text"))
    assert not answer.is_error, text
    return text


async def in_turns(rounds: int, sides: dict[str, Work]) -> dict[str, float]:
    """Median milliseconds of each, after one call that warms up."""
    took: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, work in sides.items():
            began = time.perf_counter()
            await work()
            if number:
                took[name].append((time.perf_counter() - began) * 1000)
    return {name: statistics.median(each) for name, each in took.items()}


def make_tables(cluster: ClusterHandle, count: int) -> list[str]:
    """Tables with a few columns and comments; their names."""
    names = []
    with cluster.connect(autocommit=True) as conn:
        for number in range(count):
            a, b = WORDS[number % 20], WORDS[number // 20 % 20]
            name = f"{a}_{b}_{number}"
            conn.execute(
                f"create table {name} (id int primary key, {a}_name text not null, "
                f"{b}_at timestamptz default now(), amount numeric(10, 2), note text)"
            )
            if number % 3 == 0:
                conn.execute(f"comment on table {name} is 'what {a} has of {b}'")
            names.append(name)
        conn.execute("analyze")
    return names


async def queries(bench: Bench) -> list[Bar]:
    """Ours and awslabs', on the same cluster."""
    cluster = bench.runtime.create_db_cluster("queries", manage_master_user_password=True)
    names = make_tables(cluster, DESCRIBED_TABLES)
    facts = cluster.describe()
    async with AsyncExitStack() as stack:
        errors = stack.enter_context((bench.state_dir.parent / "awslabs.log").open("w+"))
        theirs = await stack.enter_async_context(bench.awslabs(errors))
        ours = await stack.enter_async_context(bench.ours("--read-only", "--cluster", "queries"))
        place = {
            "connection_method": "pgwire",
            "cluster_identifier": "queries",
            "db_endpoint": facts.endpoint,
            "database": "postgres",
        }
        about = {"region": REGION, "database_type": "APG", "port": facts.port}
        await said(theirs, "connect_to_database", **about, **place)

        async def each_table() -> str:
            told = [await said(theirs, "get_table_schema", table_name=n, **place) for n in names]
            return "\n".join(told)

        hundred = "select n as id, 'name ' || n as name, n * 1.5 as amount "
        hundred += "from generate_series(1, 100) as n"
        parts: dict[str, tuple[Work, Work]] = {
            "one row": (
                lambda: said(ours, "run_query", sql="select 1 as x"),
                lambda: said(theirs, "run_query", sql="select 1 as x", **place),
            ),
            "100 rows": (
                lambda: said(ours, "run_query", sql=hundred),
                lambda: said(theirs, "run_query", sql=hundred, **place),
            ),
            "20 tables described": (
                lambda: said(ours, "describe_tables", tables=names),
                each_table,
            ),
        }
        bars, tokens = [], [0.0, 0.0]
        for part, (mine, other) in parts.items():
            medians = await in_turns(bench.rounds, {"ours": mine, "theirs": other})
            sizes = [len(await each()) / CHARACTERS_A_TOKEN for each in (mine, other)]
            bench.figures[part] = {"median_ms": medians, "tokens": sizes}
            tokens = [sum(pair) for pair in zip(tokens, sizes, strict=True)]
            most = TIMES_MAX * medians["theirs"]
            bars.append(Bar(f"{part}, ms (awslabs)", *medians.values(), most))
    bars.append(Bar("tokens of these answers (awslabs)", *tokens, TOKENS_MAX * tokens[1]))
    return bars


PEOPLE = (
    *("Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gita", "Hugo", "Ines", "Jan", "Kira", "Leo"),
    *("Mona", "Nils", "Olga", "Paul", "Rosa", "Sven", "Tara", "Uwe"),
)
FACTS = (
    ("{who} drinks {what} in the morning and nothing else", "what does {who} drink in the morning"),
    ("the birthday of {who} is in {what}", "when is {who}'s birthday"),
    ("{who} lives in {what} with two cats", "where does {who} live"),
    ("for work {who} writes {what} every day", "which language does {who} write at work"),
    ("{who} is allergic to {what}, so never order that", "what is {who} allergic to"),
    ("{who} plays the {what} in a small band", "which instrument does {who} play"),
    ("the invoice of {who} is overdue since {what}", "since when is {who}'s invoice overdue"),
    ("on weekends {who} goes {what} if it is dry", "what does {who} do on weekends"),
)
THINGS = (
    ("green tea", "black coffee", "hot milk", "water"),
    ("January", "April", "July", "October"),
    ("Lisbon", "Oslo", "Turin", "Gdansk"),
    ("Rust", "Python", "SQL", "Haskell"),
    ("peanuts", "shellfish", "soy", "eggs"),
    ("violin", "trumpet", "cello", "drums"),
    ("Monday", "last week", "spring", "the holidays"),
    ("sailing", "climbing", "cycling", "swimming"),
)


def remembered() -> list[tuple[str, str]]:
    """(text, question that it answers), made of people and things."""
    return [
        (text.format(who=who, what=THINGS[at][number % 4]), question.format(who=who))
        for number, who in enumerate(PEOPLE)
        for at, (text, question) in enumerate(FACTS)
    ]


async def memories(bench: Bench) -> list[Bar]:
    """Ours, mem0 and langmem, with the same texts and vectors."""
    facts = remembered()
    embedding = HashEmbeddings()
    vectors = {text: embedding.embed_query(text) for pair in facts for text in pair}
    places = {
        "mem0": str(bench.state_dir.parent / "mem0"),
        "langmem": bench.runtime.create_db_cluster("langmem").dsn(),
    }
    packages = {
        "mem0": ("mem0ai", "langchain"),
        "langmem": ("langmem", "langgraph-checkpoint-postgres", "psycopg[binary]"),
    }
    took: dict[str, dict[str, list[float]]] = {}
    hits: dict[str, int] = {}
    async with AsyncExitStack() as stack:
        options = ("--toolsets", "memory", "--memory-cluster", "memories")
        ours = await stack.enter_async_context(bench.ours(*options))
        sides: dict[str, Peer] = {}
        for name, needed in packages.items():
            try:
                first = {"side": name, "vectors": vectors, "place": places[name]}
                peer = Peer(environment(name, *needed), "peer_memories.py", first)
            except PeerMissingError as error:
                console.print(f"left out: {error}")
                continue
            sides[name] = stack.enter_context(peer)
        await said(ours, "remember", scope="user:nobody", text="the cluster is made at the first")
        for text, _ in facts:
            began = time.perf_counter()
            await said(ours, "remember", scope="user:ada", text=text)
            _note(took, "borealis", "remember", (time.perf_counter() - began) * 1000)
            for name, peer in sides.items():
                _note(took, name, "remember", peer.ask(do="remember", text=text)["ms"])
        for text, question in facts:
            began = time.perf_counter()
            asked = {"scopes": ["user:ada"], "query": question, "limit": RECALLED}
            found = await said(ours, "recall", **asked)
            _note(took, "borealis", "recall", (time.perf_counter() - began) * 1000)
            hits["borealis"] = hits.get("borealis", 0) + (json.dumps(text)[1:-1] in found)
            for name, peer in sides.items():
                answer = peer.ask(do="recall", text=question, limit=RECALLED)
                _note(took, name, "recall", answer["ms"])
                hits[name] = hits.get(name, 0) + (text in answer["found"])
    medians = {
        side: {call: statistics.median(each) for call, each in calls.items()}
        for side, calls in took.items()
    }
    shares = {side: count / len(facts) for side, count in hits.items()}
    bench.figures["memory"] = {"median_ms": medians, "recall_at_5": shares, "texts": len(facts)}
    bars = []
    for name in sides:
        for call in ("remember", "recall"):
            theirs = medians[name][call]
            bars.append(Bar(f"{call}, ms ({name})", medians["borealis"][call], theirs, theirs))
        missed = [1 - shares[side] for side in ("borealis", name)]
        bars.append(Bar(f"not in the first 5 ({name})", *missed, missed[1]))
    return bars


def _note(took: dict[str, dict[str, list[float]]], side: str, call: str, ms: float) -> None:
    took.setdefault(side, {}).setdefault(call, []).append(ms)


async def search(bench: Bench) -> list[Bar]:
    """search_schema over many tables, beside a query of one row."""
    make_tables(bench.runtime.create_db_cluster("many"), SEARCHED_TABLES)
    asked = ("customer payments", "refund", "status of order", "batch_task_2", "xyzzy")
    async with bench.ours("--read-only", "--cluster", "many") as client:
        sides: dict[str, Work] = {
            text: lambda text=text: said(client, "search_schema", query=text) for text in asked
        }
        sides["select 1"] = lambda: said(client, "run_query", sql="select 1")
        medians = await in_turns(bench.rounds, sides)
    bench.figures["search"] = {"median_ms": medians, "tables": SEARCHED_TABLES}
    beside = medians.pop("select 1")
    ours = statistics.median(medians.values())
    return [Bar("search_schema, 3,000 tables, ms (select 1)", ours, beside, SEARCH_MS_MAX)]


async def preview(bench: Bench) -> list[Bar]:
    """preview_write of 1,000 rows, of a cluster with a warm branch and of one without."""
    cluster = bench.runtime.create_db_cluster("preview")
    with cluster.connect(autocommit=True) as conn:
        conn.execute("create table accounts (aid int primary key, abalance int, filler char(84))")
        fill = "insert into accounts select n, 0, '' from generate_series(1, %s) n"
        conn.execute(fill, (bench.scale * 100_000,))
        conn.execute("vacuum analyze accounts")
        (size,) = conn.execute("select pg_database_size(current_database())").fetchone() or (0,)
    write = "update accounts set abalance = abalance + 1 where aid % 6800 = 1 and aid <= 6800000"
    if bench.scale < FULL_SCALE:
        write = "update accounts set abalance = abalance + 1 where aid <= 1000"
    bars = []
    async with bench.ours("--cluster", "preview") as client:
        for kind in ("cold", "warm"):
            warm = kind == "warm"
            if warm:
                bench.runtime.modify_db_cluster("preview", warm_branch=True)
            took = []
            for _ in range(max(3, bench.rounds // 6)):
                if warm:
                    await _warm(bench.runtime)
                began = time.perf_counter()
                told = await said(client, "preview_write", sql=write, timeout_seconds=300)
                took.append((time.perf_counter() - began) * 1000)
                assert '"rows_touched":[1000]' in told, told[:300]
            bench.figures[f"preview, {kind}"] = {"ms": took, "bytes": size}
            name = f"preview_write of 1,000 rows, {size >> 20} MiB, {kind}, ms"
            bars.append(Bar(name, statistics.median(took), max(took), PREVIEW_MS_MAX))
    return bars


async def _warm(runtime: Runtime) -> None:
    """Until the next branch has a standby that is ready."""
    warm = runtime._home.service.find("preview").instances.warm_branch
    while warm is None or not warm.ready:
        await asyncio.sleep(0.1)
        warm = runtime._home.service.find("preview").instances.warm_branch


PARTS: dict[str, Callable[[Bench], Awaitable[list[Bar]]]] = {
    "queries": queries,
    "memory": memories,
    "search": search,
    "preview": preview,
}


def main() -> int:
    """Run the bench; the exit status says whether the bars hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--scale", type=int, default=FULL_SCALE, help="68 makes 1 GB")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="borealis-bench-", dir="/tmp"))
    folder.chmod(0o711)
    bars: list[Bar] = []
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        state_dir = folder / "state"
        runtime = stack.enter_context(
            Runtime.open(state_dir, warm_pool_size=0, endpoint_port=0, region=REGION)
        )
        bench = Bench(runtime, state_dir, given.rounds, given.scale, {"rounds": given.rounds})
        for name, part in PARTS.items():
            if given.only in (None, name):
                try:
                    bars += asyncio.run(part(bench))
                except PeerMissingError as error:
                    console.print(f"left out: {error}")
    columns = ("", "ours", "beside", "at most", "holds")
    show("MCP over stdio, medians", columns, [each.row for each in bars])
    told = [{**vars(each), "holds": each.holds} for each in bars]
    name = "mcp" if given.only is None else f"mcp-{given.only}"
    console.print(f"written to {write_json(name, {**bench.figures, 'bars': told})}")
    return 0 if all(each.holds for each in bars) else 1


if __name__ == "__main__":
    raise SystemExit(main())
