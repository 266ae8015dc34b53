"""Items, threads and indexes as tables and as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.table import Column, Table
from rich.text import Text

from mcp_server.cli import console
from memory import RememberedItem, ThreadSummary, Unreadable, VectorIndex

VALUE_WIDTH = 60


def items(found: Sequence[RememberedItem], *, as_json: bool) -> None:
    """What is remembered, and why."""
    if as_json:
        console.json_of([{**asdict(each), "value": _plain(each.value)} for each in found])
        return
    if not found:
        console.note("nothing is remembered there")
        return
    scored = any(each.score is not None for each in found)
    table = Table(
        Column("Namespace", overflow="fold"),
        Column("Key", overflow="fold"),
        Column("Value", overflow="fold"),
        *([Column("Score", justify="right")] if scored else []),
        "Updated",
        "Expires",
        Column("Because of", overflow="fold"),
    )
    for each in found:
        cells = [
            "/".join(each.namespace),
            each.key,
            _shortened(each.value),
            *([("" if each.score is None else f"{each.score:.2f}")] if scored else []),
            _moment(each.updated_at),
            "never" if each.expires_at is None else _moment(each.expires_at),
            because_of(each),
        ]
        table.add_row(*map(Text, cells))
    console.out.print(table)


def threads(found: Sequence[ThreadSummary], *, as_json: bool) -> None:
    """The conversations."""
    if as_json:
        console.json_of([asdict(each) for each in found])
        return
    if not found:
        console.note("there are no threads")
        return
    table = Table(Column("Thread", overflow="fold"))
    for title in ("Checkpoints", "Runs", "Bytes"):
        table.add_column(title, justify="right")
    for title in ("First", "Last", "Expires"):
        table.add_column(title)
    for each in found:
        cells = [
            each.thread_id,
            str(each.checkpoints),
            str(each.runs),
            f"{each.bytes:,}",
            "" if each.first_at is None else _moment(each.first_at),
            "" if each.last_at is None else _moment(each.last_at),
            "never" if each.expires_at is None else _moment(each.expires_at),
        ]
        table.add_row(*map(Text, cells))
    console.out.print(table)


def indexes(found: Sequence[VectorIndex], *, as_json: bool) -> None:
    """The vector indexes."""
    if as_json:
        console.json_of([asdict(each) for each in found])
        return
    if not found:
        console.note("there is no vector index")
        return
    table = Table(Column("Of", overflow="fold"), Column("Bytes", justify="right"), "Used")
    for each in found:
        of = "all namespaces" if each.namespace is None else "/".join(each.namespace)
        cells = [
            of or "a namespace that is gone",
            f"{each.size_bytes:,}",
            "yes" if each.ready else "not yet",
        ]
        table.add_row(*map(Text, cells))
    console.out.print(table)


def because_of(item: RememberedItem) -> str:
    """Who put an item, in words: the thread, the node and the step of its run."""
    origin = item.origin
    if not origin:
        return "not a run"
    node = f"{origin['node']} " if "node" in origin else ""
    step = f"step {origin['step']} " if "step" in origin else ""
    return f"{node}{step}of thread {origin.get('thread_id', '?')}"


def _shortened(value: Any) -> str:
    text = _plain(value)
    said = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False, default=str)
    return said if len(said) <= VALUE_WIDTH else f"{said[: VALUE_WIDTH - 1]}…"


def _plain(value: Any) -> Any:
    """A value for people; one that cannot be read says why."""
    return f"({value.reason})" if isinstance(value, Unreadable) else value


def _moment(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
