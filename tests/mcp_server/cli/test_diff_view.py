"""`borealis diff`: what two databases differ in, drawn and as JSON, by way of an attached host."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from cluster_runtime import ClusterHandle, Runtime
from cluster_runtime.diff.results import (
    ComparedDatabase,
    DataDiff,
    RowChange,
    SchemaDiff,
    SequenceDiff,
    TableDiff,
)
from mcp_server.cli.commands import main
from mcp_server.cli.comparing.view import draw_data, draw_schema

SIDES = ComparedDatabase("main", "postgres"), ComparedDatabase("try", "postgres")
Run = Callable[..., str]


def drawn(what: RenderableType) -> list[str]:
    console = Console(file=io.StringIO(), width=120)
    console.print(what)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_rows_are_drawn_with_what_changed_in_them() -> None:
    rows = (
        RowChange("changed", ("1",), ("1", "old", None), ("1", "new", None)),
        RowChange("removed", ("2",), ("2", "x" * 80, ""), None),
        RowChange("added", ("3",), None, ("3", None, "[red]not markup[/red]")),
    )
    table = TableDiff("public.t", ("id", "v", "w"), ("id",), 5, 5, 1, 1, 4, rows, "columns: some")
    lines = drawn(draw_data(DataDiff(*SIDES, 3, (table,), (SequenceDiff("q", None, 7),), "log")))
    assert lines[0] == "3 tables compared by log"
    assert lines[1] == "public.t: 1 added, 1 removed, 4 changed"
    assert lines[2] == "not compared: columns: some"
    text = "\n".join(lines)
    assert "old → new" in text
    assert f"{'x' * 59}…" in text
    assert "[red]not markup[/red]" in text
    assert "... and 3 more rows" in lines
    assert lines[-1] == "sequence q: not used → 7"


def test_what_is_the_same_is_said_to_be() -> None:
    assert drawn(draw_schema(SchemaDiff(*SIDES, (), ""))) == ["the schemas are the same"]
    assert drawn(draw_data(DataDiff(*SIDES, 1, (), ()))) == ["all rows of 1 table are the same"]


@pytest.fixture(scope="module")
def other(runtime: Runtime, shop: ClusterHandle) -> ClusterHandle:
    return runtime.restore_db_cluster_to_point_in_time(
        "shop-try", "shop", restore_type="copy-on-write", use_latest_restorable_time=True
    )


@pytest.fixture
def borealis(
    state_dir: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Run:
    monkeypatch.setenv("BOREALIS_STATE_DIR", str(state_dir / "state"))

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as exit_:
            main(list(arguments))
        captured = capfd.readouterr()
        assert not exit_.value.code, captured.err
        return captured.out

    return run


def test_a_branch_is_compared_on_the_command_line(borealis: Run, other: ClusterHandle) -> None:
    assert borealis("diff", "schema", "shop", "shop-try") == "the schemas are the same\n"
    with other.connect(autocommit=True) as conn:
        conn.execute("alter table customers add phone text")
        conn.execute("delete from sales.orders where id = 30")
    text = borealis("diff", "schema", "shop", "shop-try")
    assert text.startswith("--- shop/postgres: table public.customers\n")
    assert "\n+    phone text,\n" in text
    (change,) = json.loads(borealis("diff", "schema", "shop", "shop-try", "--json"))["changes"]
    assert (change["change"], change["name"]) == ("changed", "public.customers")

    text = borealis("diff", "data", "shop", "shop-try")
    assert "compared by log" in text
    assert "sales.orders: 1 removed" in text
    found = json.loads(
        borealis("diff", "data", "shop", "shop-try", "--table", "sales.orders", "--json")
    )
    (orders,) = found["tables"]
    assert orders["rows"][0]["key"] == ["30"]
