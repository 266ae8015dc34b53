"""Schema ranking for prompts: are the tables and columns of the gold query among those kept?

For each question, half of its database's columns may stay. What must hold: 95 % of the gold tables
and columns are among them.

    python bench/nl2sql_linking.py FOLDER [--dsn "host=127.0.0.1 user=postgres"] [--share 0.5]

FOLDER holds `questions.jsonl` with db, question, evidence, gold_sql and tables; the databases are
named `<folder>__<db>` and loaded already. Rows are not needed.
"""

import argparse
import json
import statistics
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import psycopg
import sqlglot
from psycopg.conninfo import make_conninfo
from report import console, show, write_json
from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope

from mcp_server.nl2sql.database.steps import run
from mcp_server.nl2sql.model.describe import describe
from mcp_server.nl2sql.model.prompt import PromptSchema
from mcp_server.nl2sql.model.ranking import keep, rank

RECALL_MIN = 0.95

Place = tuple[str, str]


def gold_columns(sql: str, schema: PromptSchema) -> set[Place]:
    """The (table, column) pairs that a query reads."""
    columns = {
        plain(table.name): {plain(c.name): (table.name, c.name) for c in table.columns}
        for table in schema.tables
    }
    found = set()
    for scope in traverse_scope(sqlglot.parse_one(sql, dialect="postgres")):
        for column in scope.columns:
            place = owner(column, scope, columns)
            if place is not None:
                found.add(place)
    return found


def owner(column: exp.Column, scope: Scope, columns: dict[str, dict[str, Place]]) -> Place | None:
    here: Scope | None = scope
    while here is not None:
        for alias, source in here.sources.items():
            if column.table and column.table.lower() != alias.lower():
                continue
            if isinstance(source, exp.Table):
                place = columns.get(source.name.lower(), {}).get(column.name.lower())
                if place is not None:
                    return place
        here = here.parent
    return None


def plain(name: str) -> str:
    return name.strip('"').lower()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("folder", type=Path, nargs="?")
    arguments.add_argument("--dsn", default="")
    arguments.add_argument("--share", type=float, default=0.5)
    options = arguments.parse_args()
    if options.folder is None:
        console.print("nl2sql_linking: name a folder with questions.jsonl; nothing measured")
        return
    questions: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in (options.folder / "questions.jsonl").read_text(encoding="utf-8").splitlines():
        questions[json.loads(line)["db"]].append(json.loads(line))
    rows, seconds = [], []
    totals = dict.fromkeys(("tables", "tables_kept", "columns", "columns_kept", "shares"), 0.0)
    for database, asked in sorted(questions.items()):
        name = f"{options.folder.resolve().name}__{database}"
        with psycopg.connect(make_conninfo(options.dsn, dbname=name), autocommit=True) as conn:
            schema = run(conn, describe())
        size = sum(len(table.columns) for table in schema.tables)
        counts = dict.fromkeys(totals, 0.0)
        for question in asked:
            began = time.perf_counter()
            scores = rank(schema, question["question"], question.get("evidence") or "")
            kept = keep(schema, scores, int(size * options.share))
            seconds.append(time.perf_counter() - began)
            gold = gold_columns(question["gold_sql"], schema)
            tables = {plain(name) for name in question["tables"]}
            counts["tables"] += len(tables)
            counts["tables_kept"] += len(tables & {plain(at[0]) for at in kept})
            counts["columns"] += len(gold)
            counts["columns_kept"] += len(gold & kept)
            counts["shares"] += len(kept) / size
        for figure, count in counts.items():
            totals[figure] += count
        rows.append((database, *figures(counts, len(asked)), size))
    total = figures(totals, len(seconds))
    rows.append(("all", *total, ""))
    show(
        f"Linking recall with {options.share:.0%} of the columns",
        ("database", "questions", "tables", "columns", "kept", "of columns"),
        rows,
    )
    console.print(
        f"must hold: {RECALL_MIN:.0%} of tables and columns; "
        f"{statistics.median(seconds) * 1000:.1f} ms a question (median)"
    )
    write_json(
        "nl2sql_linking",
        {"set": options.folder.resolve().name, "tables": total[1], "columns": total[2],
         "kept": total[3], "median_ms": statistics.median(seconds) * 1000},
    )  # fmt: skip


def figures(counts: dict[str, float], questions: int) -> tuple[int, float, float, float]:
    return (
        questions,
        counts["tables_kept"] / counts["tables"],
        counts["columns_kept"] / counts["columns"],
        counts["shares"] / questions,
    )


if __name__ == "__main__":
    main()
