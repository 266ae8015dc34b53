"""The weights of the translator's confidence: fitted, and judged on databases not fitted on.

    python bench/nl2sql_weights.py --data DIR [--dsn CONNINFO] [--write]
                                   [--sets spider_dev,spider_more,spider_dev/questions_other.jsonl]

DIR is as for `nl2sql.py`. Every candidate of every question is run, and is right or wrong by the
gold rows. A logistic model learns from its signs which; `--write` puts the weights of a fit on all
databases into `second/weights.py`. The figures printed are cross-validated by database: those of
each come from weights that were fitted without it.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from nl2sql import load, matcher, rows, server
from numpy.typing import NDArray
from report import console, show, write_json

from mcp_server.nl2sql.joins import JoinGraph
from mcp_server.nl2sql.linking import Linker
from mcp_server.nl2sql.profile import profile
from mcp_server.nl2sql.second import weights
from mcp_server.nl2sql.second.candidates import Made, candidates, judge
from mcp_server.nl2sql.second.results import Result
from mcp_server.nl2sql.translator import first_rows

SETS = "spider_dev,spider_more,spider_dev/questions_realistic.jsonl"
FOLDS = 8
RIDGE = 2.0
SMALLEST_KEPT = 0.02
THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7)
TIMEOUT_MS = 15_000
Floats = NDArray[np.float64]


@dataclass(slots=True)
class Asked:
    """One question and its candidates, right or wrong. The database is the unit of folds."""

    name: str
    database: str
    difficulty: str
    candidates: list[tuple[Made, bool]]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--data", type=Path)
    arguments.add_argument("--dsn")
    arguments.add_argument("--sets", default=SETS)
    arguments.add_argument("--write", action="store_true", help="write second/weights.py")
    options = arguments.parse_args()
    if options.data is None:
        console.print("nl2sql_weights: name a folder of question sets with --data")
        return
    match = matcher(options.data).match
    with server(options.dsn) as dsn:
        asked = [
            one
            for name in options.sets.split(",")
            for one in collect(dsn, options.data, name, match)
        ]
    names = sorted({sign for one in asked for made, _ in one.candidates for sign in made.signs})
    confidence = cross_validated(asked, names)
    write_json("nl2sql_weights", {"cross_validated": report(asked, confidence)})
    if options.write:
        write(names, fit(*matrix(asked, names)))


def collect(dsn: str, data: Path, name: str, match: Any) -> Iterator[Asked]:
    folder, _, file = name.partition("/")
    lines = (data / folder / (file or "questions.jsonl")).read_text("utf-8").splitlines()
    of_database: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        question = json.loads(line)
        of_database.setdefault(question["db"], []).append(question)
    for database, questions in sorted(of_database.items()):
        target = load(dsn, data / folder / database, f"{folder}__{database}")
        with psycopg.connect(target, autocommit=True) as conn:
            found = profile(conn)
            linker, graph = Linker(found), JoinGraph(found)
            conn.execute("set default_transaction_read_only = on")
            conn.execute(f"set statement_timeout = {TIMEOUT_MS}")
            for question in questions:
                golds = [question["gold_sql"], *question.get("gold_alternatives", [])]
                accepted = [gold for gold in (rows(conn, each) for each in golds) if gold]
                tried = list(run(conn, candidates(question["question"], linker, graph)))
                judge(question["question"], tried)
                right = [
                    (made, any(match(gold, rows(conn, made.sql) or []) for gold in accepted))
                    for made, _ in tried
                ]
                yield Asked(name, f"{folder}/{database}", question["difficulty"], right)


def run(conn: psycopg.Connection[Any], made: Sequence[Made]) -> Iterator[tuple[Made, Result]]:
    """Candidates that PostgreSQL runs, with their first rows."""
    for one in made:
        try:
            yield one, first_rows(conn, one.sql)
        except psycopg.Error:
            continue


def matrix(asked: Sequence[Asked], names: Sequence[str]) -> tuple[Floats, Floats]:
    """Signs, one row a candidate, the last column for the bias; and which candidates are right."""
    pairs = [pair for one in asked for pair in one.candidates]
    signs = np.array([[made.signs.get(name, 0.0) for name in names] + [1.0] for made, _ in pairs])
    return signs, np.array([right for _, right in pairs], float)


def fit(signs: Floats, right: Floats) -> Floats:
    """Ridge-regularised logistic regression by Newton's method (Bishop 2006, section 4.3.3)."""
    ridge = np.eye(signs.shape[1]) * RIDGE
    ridge[-1, -1] = 0.0
    found = np.zeros(signs.shape[1])
    for _ in range(15):
        chance = chances(signs, found)
        slope = signs.T @ (chance - right) + ridge @ found
        curve = (signs.T * (chance * (1 - chance) + 1e-9)) @ signs + ridge
        found -= np.linalg.solve(curve, slope)
    return found


def chances(signs: Floats, found: Floats) -> Floats:
    odds: Floats = 1 / (1 + np.exp(-np.clip(signs @ found, -30, 30)))
    return odds


def cross_validated(asked: Sequence[Asked], names: Sequence[str]) -> list[tuple[float, bool]]:
    """Confidence and truth of each question's best candidate, its database not fitted on."""
    databases = sorted({one.database for one in asked})
    np.random.default_rng(0).shuffle(databases)
    fold = {database: number % FOLDS for number, database in enumerate(databases)}
    best: list[tuple[float, bool]] = [(0.0, False)] * len(asked)
    for number in range(FOLDS):
        found = fit(*matrix([one for one in asked if fold[one.database] != number], names))
        for place, one in enumerate(asked):
            if fold[one.database] == number and one.candidates:
                signs, right = matrix([one], names)
                sure = chances(signs, found)
                first = int(sure.argmax())
                best[place] = float(sure[first]), bool(right[first])
    return best


def report(asked: Sequence[Asked], best: Sequence[tuple[float, bool]]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for name in dict.fromkeys(one.name for one in asked):
        table = []
        for threshold in THRESHOLDS:
            both = zip(asked, best, strict=True)
            of_it = [(one, *pair) for one, pair in both if one.name == name]
            answered = [each for each in of_it if each[1] >= threshold]
            line: dict[str, float] = {
                "threshold": threshold,
                "accuracy": sum(each[2] for each in answered) / len(of_it),
                "coverage": len(answered) / len(of_it),
                "precision": sum(each[2] for each in answered) / max(1, len(answered)),
            }
            for difficulty in ("easy", "medium"):
                total = sum(each[0].difficulty == difficulty for each in of_it)
                right = sum(each[2] for each in answered if each[0].difficulty == difficulty)
                line[difficulty] = right / max(1, total)
            table.append(line)
        figures[name] = table
        show(f"{name}, cross-validated", list(table[0]), [list(each.values()) for each in table])
    return figures


def write(names: Sequence[str], found: Floats) -> None:
    lines = [
        '"""Weights of `confidence`; `bench/nl2sql_weights.py` fits them on solved questions."""',
        "",
        f"BIAS = {found[-1]:.3f}",
        "WEIGHTS: dict[str, float] = {",
        *(
            f'    "{name}": {weight:.3f},'
            for name, weight in zip(names, found, strict=False)
            if abs(weight) >= SMALLEST_KEPT
        ),
        "}",
    ]
    Path(weights.__file__).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
