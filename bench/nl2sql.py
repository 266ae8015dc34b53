"""The built-in translator, no model: accuracy, coverage, precision and latency per set.

    python bench/nl2sql.py [--data DIR] [--sets a,b] [--questions questions.jsonl] [--limit N]
                           [--dsn CONNINFO] [--threshold 0.5]

Without --data, the questions beside this file are asked. DIR holds a folder per set (without
--sets, all that have rows are asked), and a matcher `eval.py` where results are to be compared
otherwise than by `digest`. In the folder of a set:
`questions.jsonl` (db, question, evidence, gold_sql, gold_alternatives, difficulty) and a folder per
database with `schema.sql`, `data.sql` and perhaps `comments.sql` and `semantics.yml`. A question
with a `context`, questions and their SQL, builds on the last of them. Databases are named
`<set>__<db>` and loaded where they are missing. Without --dsn a local cluster is made for the run.

Two peers are measured in the same run, on the same questions: the gold query of another question
of the database, and `select *` from the table whose name the question repeats. Accuracy counts a
declined question as wrong; precision is over those that were answered. ask_ms is the median of
`ask`, which translates, checks and runs the query, and says what was asked.
"""

import argparse
import contextlib
import importlib.util
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, cast

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from report import console, show, write_json

sys.path.remove(str(Path(__file__).parent))

from cluster_runtime import Runtime
from mcp_server.nl2sql import SemanticLayer
from mcp_server.nl2sql.asker import Asker
from mcp_server.nl2sql.database.digest import digest
from mcp_server.nl2sql.schema.profile import profile
from mcp_server.nl2sql.translator import Translator

Rows: TypeAlias = Sequence[Sequence[Any]]
Match: TypeAlias = Callable[[Rows, Rows], bool]

MUST = {
    ("spider_dev", "questions.jsonl"): 0.60,
    ("spider_dev", "questions_realistic.jsonl"): 0.40,
    ("spider_more", "questions.jsonl"): 0.55,
}
OWN = Path(__file__).parent / "questions"
"""Questions that come with the project."""
ROWS_MAX = 50_000
TIMEOUT_MS = 15_000
DIFFICULTIES = ("easy", "medium", "hard", "extra")


@dataclass(slots=True)
class Outcome:
    difficulty: str
    answered: bool
    right: bool
    confidence: float
    ms: float
    ask_ms: float
    right_other: bool
    right_table: bool


@contextlib.contextmanager
def server(dsn: str | None) -> Iterator[str]:
    if dsn is not None:
        yield dsn
        return
    with tempfile.TemporaryDirectory(prefix="borealis-bench-") as state, Runtime.open(state) as rt:
        yield rt.create_db_cluster("nl2sql", with_express_configuration=True).dsn()


def matcher(folder: Path) -> Match:
    """What says whether found rows are the gold ones."""
    if not (folder / "eval.py").exists():
        return lambda gold, found: digest(gold) == digest(found)
    spec = importlib.util.spec_from_file_location("nl2sql_matcher", folder / "eval.py")
    if spec is None or spec.loader is None:
        raise SystemExit(f"{folder} has no eval.py with a `match` function")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast("Match", module.match)


def load(dsn: str, folder: Path, name: str) -> str:
    """Make and fill a database unless it is there; its conninfo."""
    with psycopg.connect(dsn, autocommit=True) as admin:
        known = admin.execute("select 1 from pg_database where datname = %s", [name]).fetchone()
        if known is None:
            admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    target = make_conninfo(dsn, dbname=name)
    if known is None:
        with psycopg.connect(target, autocommit=True) as conn:
            for part in ("schema.sql", "data.sql", "comments.sql"):
                text = (folder / part).read_text("utf-8") if (folder / part).exists() else ""
                if text.strip():
                    conn.execute(text.encode())
            conn.execute("analyze")
        if (folder / "semantics.yml").exists():
            SemanticLayer(target).set((folder / "semantics.yml").read_text("utf-8"))
    return target


def rows(conn: psycopg.Connection[Any], query: str) -> list[tuple[Any, ...]] | None:
    try:
        cursor = conn.execute(query.encode(), prepare=True)
        return cursor.fetchmany(ROWS_MAX) if cursor.description else None
    except psycopg.Error:
        return None


def run(
    target: str, questions: list[dict[str, Any]], match: Match, threshold: float
) -> Iterator[Outcome]:
    translator = Translator(target)
    asker = Asker(target, translator=translator)
    asker.ask("how many rows")  # profiles
    with psycopg.connect(target, autocommit=True) as conn:
        conn.execute(f"set statement_timeout = {TIMEOUT_MS}")
        conn.execute("set default_transaction_read_only = on")
        tables = [table.name for table in profile(conn).tables]
        golds = {q["gold_sql"]: rows(conn, q["gold_sql"]) for q in questions}
        for number, question in enumerate(questions):
            accepted = [golds[question["gold_sql"]]]
            accepted += [rows(conn, other) for other in question.get("gold_alternatives", [])]

            def right(found: Any, accepted: list[Any] = accepted) -> bool:
                return found is not None and any(
                    match(gold, found) for gold in accepted if gold is not None
                )

            began = time.perf_counter()
            before = [(text, query) for text, query in question.get("context", [])]
            answer = translator.translate(
                question["question"], question.get("evidence"), context=before
            )
            taken = (time.perf_counter() - began) * 1000
            began = time.perf_counter()
            asker.ask(question["question"], question.get("evidence"))
            asked = (time.perf_counter() - began) * 1000
            answered = answer.sql is not None and answer.confidence >= threshold
            other = golds[questions[number - 1]["gold_sql"]]
            named = best_named(question["question"], tables)
            yield Outcome(
                question.get("difficulty") or "all",
                answered,
                answered and right(rows(conn, answer.sql or "")),
                answer.confidence,
                taken,
                asked,
                right(other),
                right(rows(conn, f'select * from "{named}"')),
            )


def best_named(question: str, tables: list[str]) -> str:
    words = question.lower()
    return max(tables, key=lambda name: (name.lower().rstrip("s") in words, len(name)))


def figures(outcomes: list[Outcome]) -> dict[str, float]:
    count = len(outcomes)
    answered = [each for each in outcomes if each.answered]
    return {
        "questions": count,
        "accuracy": sum(each.right for each in outcomes) / count,
        "coverage": len(answered) / count,
        "precision": sum(each.right for each in answered) / max(1, len(answered)),
        "another_gold": sum(each.right_other for each in outcomes) / count,
        "best_table": sum(each.right_table for each in outcomes) / count,
        "median_ms": statistics.median(each.ms for each in outcomes),
        "ask_ms": statistics.median(each.ask_ms for each in outcomes),
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--data", type=Path, default=OWN)
    arguments.add_argument("--dsn")
    arguments.add_argument("--sets", help="names of folders, with commas between")
    arguments.add_argument("--questions", default="questions.jsonl")
    arguments.add_argument("--limit", type=int, default=0, help="at most so many questions a set")
    arguments.add_argument("--threshold", type=float, default=0.0)
    options = arguments.parse_args()
    match = matcher(options.data)
    results: dict[str, dict[str, dict[str, float]]] = {}
    with server(options.dsn) as dsn:
        for name in options.sets.split(",") if options.sets else sets_in(options):
            outcomes = list(measure(dsn, options, name, match))
            parts = {"all": figures(outcomes)}
            for difficulty in DIFFICULTIES:
                of_it = [each for each in outcomes if each.difficulty == difficulty]
                if of_it:
                    parts[difficulty] = figures(of_it)
            results[name] = parts
            report(f"{name}, {options.questions}", parts)
            curve(outcomes)
            must = MUST.get((name, options.questions))
            if must is not None:
                console.print(f"must hold: accuracy {must:.0%} (all)")
    write_json("nl2sql", {"questions": options.questions, "sets": results})


def sets_in(options: argparse.Namespace) -> list[str]:
    """The folders that have the questions, and rows to ask them of."""

    def has_rows(folder: Path) -> bool:
        texts = (path.read_text("utf-8").lower() for path in folder.glob("*/data.sql"))
        return any("insert into" in text for text in texts)

    folders = [path.parent for path in options.data.glob(f"*/{options.questions}")]
    return sorted(folder.name for folder in folders if has_rows(folder))


def measure(dsn: str, options: argparse.Namespace, name: str, match: Match) -> Iterator[Outcome]:
    folder = options.data / name
    asked: dict[str, list[dict[str, Any]]] = {}
    lines = (folder / options.questions).read_text("utf-8").splitlines()
    questions = [json.loads(line) for line in lines if line.strip()]
    if options.limit:
        questions = questions[:: max(1, len(questions) // options.limit)][: options.limit]
    for question in questions:
        asked.setdefault(question["db"], []).append(question)
    for database, of_it in sorted(asked.items()):
        target = load(dsn, folder / database, f"{name}__{database}")
        yield from run(target, of_it, match, options.threshold)


def report(title: str, parts: dict[str, dict[str, float]]) -> None:
    columns = list(next(iter(parts.values())))
    show(title, ["", *columns], [[name, *part.values()] for name, part in parts.items()])


def curve(outcomes: list[Outcome]) -> None:
    """What precision the confidence buys at which coverage."""
    ranked = sorted((o for o in outcomes if o.answered), key=lambda o: -o.confidence)
    points = []
    for share in (0.4, 0.5, 0.6, 0.7, 0.8):
        kept = ranked[: int(len(outcomes) * share)]
        if len(kept) == int(len(outcomes) * share) and kept:
            precision = sum(o.right for o in kept) / len(kept)
            points.append([f"{share:.0%}", precision, kept[-1].confidence])
    show("precision by coverage", ["coverage", "precision", "confidence from"], points)


if __name__ == "__main__":
    main()
