"""What the command line prints: tables of clusters, rows and answers, drawn by rich."""

import json
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from rich.box import HEAVY_HEAD
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from cluster_runtime.control.records.model import ClusterStatus, DBCluster
from mcp_server.rendering import Json

if TYPE_CHECKING:
    from cluster_runtime.control.records.recovery.rewinds import RewindDescription
    from mcp_server.results import QueryResult, QuestionAnswer

out = Console()
err = Console(stderr=True)

CELL_WIDTH = 60
TITLES = ("Cluster", "Status", "Version", "Writer", "Reader", "ACU", "Created")
"""Of the table of clusters, which fits into 80 columns; writer and reader are ports."""


def note(message: str) -> None:
    """Say something beside the result, on standard error."""
    err.print(Text(message, style="dim"))


def status(facts: DBCluster) -> str:
    """The status in a word; `paused` is one for people."""
    return "paused" if facts.paused else facts.status.value


def plain(text: str) -> None:
    """Print a text as it is, without breaks or colours: for programs that read it."""
    out.print(Text(text), soft_wrap=True)


def json_of(value: Any) -> None:
    """Print a value as JSON."""
    out.print_json(json.dumps(value, default=str))


def clusters(facts: Sequence[DBCluster], *, as_json: bool = False) -> None:
    """A table of clusters, or how to make the first one."""
    if as_json:
        from mcp_server.results import ClusterList, ClusterSummary

        listed = ClusterList(clusters=[ClusterSummary.of(one) for one in facts])
        plain(listed.model_dump_json(indent=2))
        return
    if not facts:
        note("no clusters yet; make one with: borealis create NAME")
        return
    lines: list[tuple[str, ...]] = [
        (
            one.db_cluster_identifier,
            status(one),
            one.engine_version,
            str(one.port),
            str(one.reader_port),
            f"{one.capacity:g}",
            f"{one.cluster_create_time:%Y-%m-%d %H:%M}",
        )
        for one in facts
    ]
    widths = [max(map(len, cells)) for cells in zip(TITLES, *lines, strict=True)]
    if sum(widths) + len(" │ ") * len(widths) < out.width:
        out.print(_drawn(lines, widths), soft_wrap=True)
        return
    table = Table(*(Column(title, overflow="fold") for title in TITLES))
    for cells in lines:
        table.add_row(*map(Text, cells))
    out.print(table)


def _drawn(lines: Sequence[Sequence[str]], widths: Sequence[int]) -> Text:
    """The table as rich draws it, where all of it fits: rich would measure and break each cell,
    which of hundreds of clusters takes longer than to ask for them.
    """
    box = HEAVY_HEAD.substitute(out.options)
    outer = [width + 2 for width in widths]

    def row(cells: Sequence[str], left: str, between: str, right: str) -> str:
        padded = (f" {cell:{width}} " for cell, width in zip(cells, widths, strict=True))
        return f"{left}{between.join(padded)}{right}\n"

    return Text.assemble(
        f"{box.get_top(outer)}\n",
        (row(TITLES, box.head_left, box.head_vertical, box.head_right), "table.header"),
        f"{box.get_row(outer, 'head')}\n",
        *(row(cells, box.mid_left, box.mid_vertical, box.mid_right) for cells in lines),
        box.get_bottom(outer),
    )


def branches(found: Sequence[tuple[DBCluster, str | None]], *, as_json: bool = False) -> None:
    """A table of branches with what each was made from, which may be gone."""
    if as_json:
        json_of(
            [
                {
                    "branch": one.db_cluster_identifier,
                    "of": of,
                    "status": status(one),
                    "created": one.cluster_create_time,
                }
                for one, of in found
            ]
        )
        return
    if not found:
        note("no branches; make one with: borealis branch create CLUSTER BRANCH")
        return
    table = Table(Column("Branch", overflow="fold"), "Of", "Status", "Port", "Created")
    for one, of in found:
        table.add_row(
            Text(one.db_cluster_identifier),
            Text(of if of is not None else "(deleted)"),
            status(one),
            str(one.port),
            f"{one.cluster_create_time:%Y-%m-%d %H:%M}",
        )
    out.print(table)


def cluster(facts: DBCluster, *, as_json: bool = False) -> None:
    """Everything about one cluster, a line each."""
    if as_json:
        from mcp_server.results import ClusterDescription

        plain(ClusterDescription.of(facts).model_dump_json(indent=2))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    scaling = facts.scaling
    pause = f"after {scaling.seconds_until_auto_pause} s" if scaling.auto_pause else "never"
    for name, value in (
        ("Cluster", facts.db_cluster_identifier),
        ("Resource id", facts.db_cluster_resource_id),
        ("ARN", facts.db_cluster_arn),
        ("Status", status(facts)),
        ("Engine", f"{facts.engine} {facts.engine_version}"),
        ("Endpoint", f"{facts.endpoint}:{facts.port}"),
        ("Reader endpoint", f"{facts.reader_endpoint}:{facts.reader_port}"),
        ("Database", facts.database_name),
        ("Master user", facts.master_username),
        (
            "Capacity",
            f"{facts.capacity:g} of {scaling.min_capacity:g}-{scaling.max_capacity:g} ACU",
        ),
        ("Capacity, why", _why(facts)),
        ("Held by", _held(facts)),
        ("Platform version", facts.serverless_v2_platform_version or "not known"),
        ("Auto-pause", pause),
        ("Deep pause", _deep_pause(facts)),
        ("Storage", facts.storage_type),
        ("Restorable", _window(facts)),
        ("Warm branch", facts.warm_branch_status),
        ("Walls", _walls(facts)),
        ("Deletion protection", "on" if facts.deletion_protection else "off"),
        ("Created", f"{facts.cluster_create_time:%Y-%m-%d %H:%M:%S %Z}"),
    ):
        table.add_row(name, Text(value))
    out.print(table)


def _window(facts: DBCluster) -> str:
    earliest, latest = facts.earliest_restorable_time, facts.latest_restorable_time
    days = f"kept for {facts.backup_retention_period} d"
    if earliest is None or latest is None:
        return f"not yet, or not known yet; {days}"
    return f"{earliest:%Y-%m-%d %H:%M:%S} to {latest:%Y-%m-%d %H:%M:%S %Z}; {days}"


def _deep_pause(facts: DBCluster) -> str:
    if facts.deep_pause is not None:
        since, taken = facts.deep_pause.since, facts.deep_pause.bytes_used
        return f"since {since:%Y-%m-%d %H:%M:%S %Z}; it takes {taken / 1e6:.1f} MB of the disk"
    seconds = facts.seconds_until_deep_pause
    return f"after {seconds} s of pause" if seconds and facts.scaling.auto_pause else "never"


def _at_rest(facts: DBCluster) -> str:
    """What there is to say of a server of which nothing is known now."""
    now = status(facts)
    return "not measured" if now == ClusterStatus.AVAILABLE else f"{now}: known once it runs"


def _why(facts: DBCluster) -> str:
    now = facts.serverless_capacity
    if now is None:
        return _at_rest(facts)
    return f"{now.granted:g} ACU of {now.wanted:g} that it wants: {now.reason}"


def _held(facts: DBCluster) -> str:
    from cluster_runtime.serverless.enforcement.means import describe

    now = facts.serverless_capacity
    if now is None:
        return _at_rest(facts)
    return describe(now.in_force) + "".join(f"\nnot held: {gap}" for gap in now.in_force.gaps)


def _walls(facts: DBCluster) -> str:
    if facts.walls is None:
        return f"{_at_rest(facts)}; borealis doctor tries them now"
    missing = "".join(f"\nnot held: {gap}" for gap in facts.walls.gaps)
    return ", ".join(facts.walls.standing) + missing


def what_goes(preview: "RewindDescription") -> str:
    """Whose transactions a rewind would take, in a sentence."""
    if not preview.commits:
        return "no transaction would go"
    sessions = ", ".join(preview.sessions) or "nobody"
    return f"{_commits(preview)} would go{_between(preview)}; connected now: {sessions}"


def rewind(found: "RewindDescription", *, as_json: bool) -> None:
    """A rewind that would be, or that was."""
    if as_json:
        json_of(_as_dict(found))
    elif found.dry_run:
        plain(what_goes(found))
    else:
        name = found.db_cluster_identifier
        went = f"{_commits(found)} went{_between(found)}" if found.commits else "nothing went"
        plain(
            f"cluster {name!r} is as it was at LSN {found.lsn}: {went}; borealis undo-rewind "
            f"{name} takes that back until {_said(found.can_be_undone)} UTC"
        )


def _commits(found: "RewindDescription") -> str:
    return counted(found.commits, "commit")


def _between(found: "RewindDescription") -> str:
    return f", from {_said(found.first_commit)} to {_said(found.last_commit)} UTC"


def counted(number: int, noun: str) -> str:
    """`1 commit`, `2 commits`, `1 process`, `2 processes`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun}{'es' if noun.endswith('s') else 's'}"


def result(value: Any, *, as_json: bool) -> None:
    """What an operation returned: for each thing a line for each of its fields."""
    several = value if isinstance(value, list | tuple) else None
    if as_json:
        json_of([_as_dict(one) for one in several] if several is not None else _as_dict(value))
        return
    if value is None:
        note("done")
    elif several is not None and not several:
        note("there are none")
    for at, one in enumerate([value] if several is None else several):
        if at:
            out.print()
        table = Table(show_header=False, box=None, pad_edge=False)
        table.add_column(style="bold")
        table.add_column(overflow="fold")
        for name, each in _as_dict(one).items():
            table.add_row(_title(name), Text(_said(each)))
        out.print(table)


def _as_dict(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else {"": value}


def _title(name: str) -> str:
    words = name.removeprefix("db_").replace("_", " ")
    return words[:1].upper() + words[1:]


def _said(value: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case Enum():
            return str(value.value)
        case dict():
            named = ((_title(str(name)).lower(), each) for name, each in value.items())
            return ", ".join(f"{name} {_said(each)}" for name, each in named)
        case list() | tuple():
            between = "; " if any(isinstance(each, dict) for each in value) else ", "
            return between.join(map(_said, value))
        case _:
            return str(value)


def rows(result: "QueryResult", console: Console = out, limit: int | None = None) -> None:
    """A result as a table; `limit` draws only the first rows."""
    table = Table()
    for name, type_ in zip(result.columns, result.types, strict=True):
        numeric = type_.startswith(("int", "big", "small", "num", "real", "double"))
        table.add_column(Text(name), justify="right" if numeric else "left")
    shown = result.rows[:limit]
    for row in shown:
        table.add_row(*(_cell(value) for value in row))
    console.print(table)
    left = len(result.rows) - len(shown)
    if left:
        console.print(Text(f"... and {left} more rows", style="dim"))
    if result.note:
        console.print(Text(result.note, style="yellow"))


def answer(found: "QuestionAnswer", console: Console = out, limit: int | None = None) -> None:
    """SQL, what it computes, and the rows; or why there are none."""
    if found.sql:
        from rich.syntax import Syntax  # brings highlighters of all languages

        console.print(Syntax(found.sql, "postgresql", word_wrap=True, background_color="default"))
    if found.reading:
        console.print(Text(f"{found.reading}  (confidence {found.confidence:.0%})", style="italic"))
    if found.answered and found.reason:
        console.print(Text(f"note: {found.reason}", style="yellow"))
    for assumption in found.assumptions:
        console.print(Text(f"assumed: {assumption}", style="dim"))
    if not found.answered:
        console.print(Text(f"declined: {found.reason}", style="yellow"))
        for other in found.alternatives:
            console.print(Text(f"  maybe: {other.reading}", style="dim"))
    if found.result:
        rows(found.result, console, limit)


def _cell(value: Json) -> Text:
    if value is None:
        return Text("null", style="dim")
    text = str(value)
    return Text(text if len(text) <= CELL_WIDTH else f"{text[: CELL_WIDTH - 1]}…")


def line(value: Any, *, as_json: bool) -> None:
    """One thing as one line, at once: for what goes on and on."""
    facts = _as_dict(value)
    if as_json:
        print(json.dumps(facts, default=str), flush=True)
        return
    print(" ".join(_said(each) for each in facts.values() if each not in ("", None)), flush=True)
