"""The weights of the translator's choice: fitted, and judged on databases not fitted on.

    python bench/nl2sql_weights.py --data DIR [--dsn CONNINFO] [--write] [--out FILE] [--every N]
                                   [--sets spider_more:3,spider_dev/questions_other.jsonl]

DIR is as for `nl2sql.py`; sets that it lacks are those of `questions`, beside this file. Every
candidate of every question is run, and is right or wrong by the gold rows; of a question without
gold rows every answer is wrong. A conditional logit learns from its signs which is right among
those of its question; a logistic model learns whether the one so chosen is. `--write` puts the
weights of a fit on all databases into `choosing/weights.py`, `--out` into another file (for
`nl2sql_model.py --weights`). `--every` asks each n-th question; of one set, `--sets spider_more:3`
does, as without --sets of the sentences, so that they do not outweigh the other styles.

The figures printed are cross-validated by style and database, and of the confidence as the
translator says it: those of a question come from weights that were fitted without its database and
without its style (the field `style` of a question, else the name of the set), scaled by what
questions of all styles say on other databases, and capped where the best candidate leaves out what
the question cannot do without. The reliability table and the calibration error are of ten bins with
equal counts, of questions that have a candidate; per style where it has STYLE_MIN of them. Some
questions are asked of another database as well, where all that is answered is wrong.
"""

import argparse
import datetime
import json
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from calibration import expected_error, fit_sure
from nl2sql import OWN, Match, load, matcher, rows, server
from numpy.typing import NDArray
from report import console, show, write_json

from mcp_server.nl2sql.business.asides import without_asides
from mcp_server.nl2sql.business.cohorts import in_cohort
from mcp_server.nl2sql.business.wording import in_schema_words
from mcp_server.nl2sql.choosing import weights
from mcp_server.nl2sql.choosing.candidates import (
    DOUBTFUL,
    Made,
    candidates,
    is_doubtful,
    is_senseless,
    judge,
)
from mcp_server.nl2sql.choosing.confidence import SURE_WITHOUT, standing
from mcp_server.nl2sql.choosing.results import Result
from mcp_server.nl2sql.choosing.windowed import over_window
from mcp_server.nl2sql.errors import RefusedError
from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.relations.asking import related
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.profile import profile
from mcp_server.nl2sql.translator import THRESHOLD, TRIED, first_rows
from mcp_server.nl2sql.windows.asking import windowed
from mcp_server.nl2sql.words.spoken import in_print

SETS = (
    "keywords,analytics,analytics/unanswerable.jsonl,spider_dev/questions_syn.jsonl,"
    "spider_dev/questions_realistic.jsonl,spider_dev:3,spider_more:3,"
    "everyday,business,joins,time,aggregates"
)
STYLE_MIN = 200
FOREIGN = "asked of another database"
"""Questions that a database cannot answer: every answer is wrong."""
EVERY_FOREIGN = 3
FOLDS = 3
KEPT = (0.005, 0.995)
"""The confidences whose log-odds are scaled."""
RIDGE_RANK = 2.0
STEPS = 40
SMALLEST_KEPT = 0.02
THRESHOLDS = (0.5, 0.55, THRESHOLD, 0.65, 0.7)
TIMEOUT_MS = 15_000
Floats = NDArray[np.float64]


@dataclass(slots=True)
class Tried:
    """One candidate: its signs, what tells its rows from other rows, and whether it is right."""

    signs: dict[str, float]
    rows: Hashable
    right: bool
    doubtful: bool
    """Whether it leaves out what the question cannot do without."""


@dataclass(slots=True)
class Asked:
    """One question and its candidates. The database is the unit of folds."""

    name: str
    database: str
    style: str
    difficulty: str
    candidates: list[Tried]
    doubtful: bool = False
    """Whether the best candidate is."""


@dataclass(slots=True)
class Fitted:
    """Weights by the names of the signs."""

    rank: dict[str, float]
    sure: dict[str, float]
    bias: float
    scale: float = 1.0
    shift: float = 0.0


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--data", type=Path)
    arguments.add_argument("--dsn")
    arguments.add_argument("--sets", default=SETS)
    arguments.add_argument("--every", type=int, default=1, help="ask each n-th question")
    arguments.add_argument("--write", action="store_true", help="write choosing/weights.py")
    arguments.add_argument("--out", type=Path, help="write the weights there")
    options = arguments.parse_args()
    if options.data is None:
        console.print("nl2sql_weights: name a folder of question sets with --data")
        return
    match = matcher(options.data)
    with server(options.dsn) as dsn:
        asked = [
            one
            for name in options.sets.split(",")
            for one in collect(dsn, options.data, *sampled(name, options.every), match)
        ]
    held = cross_validated(asked)
    claimed = as_claimed(asked, held)
    figures: dict[str, Any] = {"cross_validated": report(asked, claimed)}
    figures["calibration"] = reliability(asked, claimed)
    write_json("nl2sql_weights", figures)
    scale, shift = scaled(asked, held)
    homes = [Path(weights.__file__)] if options.write else []
    for home in [*homes, *([options.out] if options.out else [])]:
        write(replace(fit(asked), scale=scale, shift=shift), home)


def sampled(name: str, every: int) -> tuple[str, int]:
    """The name of a set, and which of its questions are asked: `spider_more:3` is each third."""
    name, _, own = name.partition(":")
    return name, int(own or every)


def collect(dsn: str, data: Path, name: str, every: int, match: Match) -> Iterator[Asked]:
    folder, _, file = name.partition("/")
    data = data if (data / folder).is_dir() else OWN
    lines = (data / folder / (file or "questions.jsonl")).read_text("utf-8").splitlines()
    of_database: dict[str, list[dict[str, Any]]] = {}
    for line in lines[::every]:
        question = json.loads(line)
        of_database.setdefault(question["db"], []).append(question)
    others = sorted(of_database)
    for place, (database, questions) in enumerate(sorted(of_database.items())):
        target = load(dsn, data / folder / database, f"{folder}__{database}")
        # the guard leaves no prepared statement behind, which `rows` would use again
        with (
            psycopg.connect(target, autocommit=True) as conn,
            psycopg.connect(target, autocommit=True, prepare_threshold=None) as guarded,
        ):
            found = profile(guarded)
            linker, graph = Linker(found), JoinGraph(found)
            conn.execute("set default_transaction_read_only = on")
            conn.execute(f"set statement_timeout = {TIMEOUT_MS}")
            for question in questions:
                golds = [question.get("gold_sql"), *question.get("gold_alternatives", [])]
                golds = [gold for gold in golds if gold]
                accepted = [gold for gold in (rows(conn, each) for each in golds) if gold]
                tried = ask(guarded, question["question"], linker, graph)
                if tried is None:
                    continue
                found_right = [
                    Tried(
                        one.signs,
                        result.key(one.sql),
                        any(match(gold, rows(conn, one.sql) or []) for gold in accepted),
                        is_doubtful(one),
                    )
                    for one, result in tried
                ]
                style = question.get("style") or folder
                difficulty = question.get("difficulty") or "all"
                yield Asked(name, f"{folder}/{database}", style, difficulty, found_right)
            foreign = of_database[others[place - 1]] if len(others) > 1 else []
            for question in foreign[::EVERY_FOREIGN]:
                tried = ask(guarded, question["question"], linker, graph) or []
                wrong = [
                    Tried(one.signs, result.key(one.sql), False, is_doubtful(one))
                    for one, result in tried
                ]
                yield Asked(FOREIGN, f"{folder}/{database}", FOREIGN, "all", wrong)


def ask(
    conn: psycopg.Connection[Any], text: str, linker: Linker, graph: JoinGraph
) -> list[tuple[Made, Result]] | None:
    """The candidates of a question that PostgreSQL runs, judged by what they find.

    Those that cannot be meant are there only where there are no others. None: the relations answer
    the question, or it has several readings whatever the weights. Stages are left out: a question
    that falls into them is read as any other.
    """
    today = datetime.date.today()
    amounts, _ = in_schema_words(in_print(without_asides(text), linker.profile), linker)
    if len(amounts.readings) > 1:
        return None
    text = amounts.readings[0]
    asked = in_cohort(text, linker, graph, today) or windowed(text)
    if asked is not None:
        window, plain = asked
        made = candidates(plain, linker, graph, today)
        over = meant(conn, plain, over_window(window, made, plain, linker, graph))
        if over:
            return over
    told = related(text, linker, graph)
    if told is not None and told.special and told.confidence >= THRESHOLD:
        return None
    return meant(conn, text, candidates(text, linker, graph, today))


def meant(
    conn: psycopg.Connection[Any], text: str, made: Sequence[Made]
) -> list[tuple[Made, Result]]:
    tried = list(run(conn, made[:TRIED]))
    judge(text, tried)
    return [pair for pair in tried if not is_senseless(pair[0])] or tried


def run(conn: psycopg.Connection[Any], made: Sequence[Made]) -> Iterator[tuple[Made, Result]]:
    """Candidates that PostgreSQL runs, with their first rows."""
    for one in made:
        try:
            yield one, first_rows(conn, one.sql)
        except (psycopg.Error, RefusedError):
            continue


def fit(asked: Sequence[Asked]) -> Fitted:
    """The weights of both models."""
    asked = [one for one in asked if one.candidates]
    names = sorted({sign for one in asked for each in one.candidates for sign in each.signs})
    rank = dict(zip(names, fit_rank(asked, names), strict=True))
    chosen = [choose(one, rank) for one in asked]
    both = sorted({sign for signs, _ in chosen for sign in signs} - SURE_WITHOUT)
    signs = np.array([[found.get(name, 0.0) for name in both] + [1.0] for found, _ in chosen])
    sure = fit_sure(signs, np.array([best.right for _, best in chosen], float))
    return Fitted(rank, dict(zip(both, sure[:-1], strict=True)), float(sure[-1]))


def fit_rank(asked: Sequence[Asked], names: Sequence[str]) -> Floats:
    """The conditional logit, ridge-regularised; any of several right candidates counts as chosen.

    Where several are right, each step shares the choice among them as the model has it now
    (expectation-maximisation).
    """
    told = [
        one
        for one in asked
        if any(c.right for c in one.candidates) and not all(c.right for c in one.candidates)
    ]
    signs = np.array([[c.signs.get(n, 0.0) for n in names] for one in told for c in one.candidates])
    right = np.array([float(c.right) for one in told for c in one.candidates])
    sizes = np.array([len(one.candidates) for one in told])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    found = np.zeros(len(names))
    for _ in range(STEPS):
        scores = signs @ found
        odds = np.exp(scores - np.repeat(np.maximum.reduceat(scores, starts), sizes))
        share = odds / np.repeat(np.add.reduceat(odds, starts), sizes)
        of_right = odds * right / np.repeat(np.add.reduceat(odds * right, starts), sizes)
        slope = signs.T @ (of_right - share) - RIDGE_RANK * found
        means = np.add.reduceat(signs * share[:, None], starts)
        curve = (signs.T * share) @ signs - means.T @ means + RIDGE_RANK * np.eye(len(names))
        found += np.linalg.solve(curve, slope)
    return found


def choose(one: Asked, rank: dict[str, float]) -> tuple[dict[str, float], Tried]:
    """The best candidate of a question, its signs and its standing."""
    scores = [
        sum(rank.get(name, 0.0) * value for name, value in each.signs.items())
        for each in one.candidates
    ]
    of_rows: dict[Hashable, float] = {}
    for each, points in zip(one.candidates, scores, strict=True):
        of_rows[each.rows] = max(points, of_rows.get(each.rows, points))
    best = one.candidates[int(np.argmax(scores))]
    same = [each for each in one.candidates if each.rows == best.rows]
    shown = max(
        same, key=lambda each: ("as read" in each.signs, scores[one.candidates.index(each)])
    )
    return shown.signs | standing(sorted(of_rows.values(), reverse=True)), shown


def cross_validated(asked: Sequence[Asked]) -> list[tuple[float, bool]]:
    """Confidence and truth of each question's best candidate.

    Neither its database was fitted on, nor its style, where there are several.
    """
    fold = folds(asked)
    styles = sorted({one.style for one in asked} - {FOREIGN})
    best: list[tuple[float, bool]] = [(0.0, False)] * len(asked)
    for style in styles:
        for number in range(FOLDS):
            rest = [o for o in asked if fold[o.database] != number and o.style != style]
            fitted = fit(rest or [o for o in asked if fold[o.database] != number])
            for place, one in enumerate(asked):
                held = one.style == style or (one.style == FOREIGN and style == styles[0])
                if held and fold[one.database] == number and one.candidates:
                    best[place] = sure_of(one, fitted)
                    one.doubtful = choose(one, fitted.rank)[1].doubtful
    return best


def sure_of(one: Asked, fitted: Fitted) -> tuple[float, bool]:
    """The confidence in the best candidate of a question, and whether it is right."""
    signs, chosen = choose(one, fitted.rank)
    total = fitted.bias + sum(fitted.sure.get(n, 0.0) * v for n, v in signs.items())
    return float(1 / (1 + np.exp(-np.clip(total, -30, 30)))), chosen.right


def as_claimed(
    asked: Sequence[Asked], held: Sequence[tuple[float, bool]]
) -> list[tuple[float, bool]]:
    """The same as the translator would say it: scaled, by other databases, and capped."""
    fold, found = folds(asked), list(held)
    for number in range(FOLDS):
        rest = [place for place, one in enumerate(asked) if fold[one.database] != number]
        rest = rest or [*range(len(asked))]
        scale, shift = scaled([asked[place] for place in rest], [held[place] for place in rest])
        for place, (one, (sure, right)) in enumerate(zip(asked, held, strict=True)):
            if fold[one.database] == number and one.candidates:
                kept = np.clip(sure, *KEPT)
                claimed = float(1 / (1 + np.exp(-(shift + scale * np.log(kept / (1 - kept))))))
                found[place] = min(claimed, DOUBTFUL) if one.doubtful else claimed, right
    return found


def folds(asked: Sequence[Asked]) -> dict[str, int]:
    """By database, in which part of the questions it is held out."""
    databases = sorted({one.database for one in asked})
    np.random.default_rng(0).shuffle(databases)
    return {database: number % FOLDS for number, database in enumerate(databases)}


def scaled(asked: Sequence[Asked], best: Sequence[tuple[float, bool]]) -> tuple[float, float]:
    """What to multiply log-odds by, and to add, so that they hold in styles not fitted on.

    Platt, "Probabilistic Outputs for Support Vector Machines" (1999), on held-out predictions.
    """
    told = [one.style != FOREIGN and bool(one.candidates) and not one.doubtful for one in asked]
    held = [pair for pair, counts in zip(best, told, strict=True) if counts]
    sure = np.clip([confidence for confidence, _ in held], *KEPT)
    odds = np.column_stack([np.log(sure / (1 - sure)), np.ones(len(held))])
    scale, shift = fit_sure(odds, np.array([right for _, right in held], float))
    return float(scale), float(shift)


def reliability(asked: Sequence[Asked], best: Sequence[tuple[float, bool]]) -> dict[str, float]:
    """Confidence against truth in ten bins, and the error by style."""
    made = [
        (one.style, *pair)
        for one, pair in zip(asked, best, strict=True)
        if one.candidates and one.style != FOREIGN
    ]
    ranked = np.array(sorted((sure, right) for _, sure, right in made), float)
    bins = [part for part in np.array_split(ranked, 10) if len(part)]
    lines = [[len(b), b[0, 0], b[-1, 0], b[:, 0].mean(), b[:, 1].mean()] for b in bins]
    show("reliability", ["questions", "from", "to", "confidence", "right"], lines)
    errors = {"all": expected_error([pair for _, *pair in made])}
    for style in sorted({each[0] for each in made}):
        its = [pair for name, *pair in made if name == style]
        if len(its) >= STYLE_MIN:
            errors[style] = expected_error(its)
    show("calibration error", ["style", "ece"], [[*each] for each in errors.items()])
    return errors


def report(asked: Sequence[Asked], best: Sequence[tuple[float, bool]]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for name in dict.fromkeys(one.name for one in asked):
        table = []
        both = [(one, *pair) for one, pair in zip(asked, best, strict=True) if one.name == name]
        for threshold in THRESHOLDS:
            answered = [each for each in both if each[1] >= threshold]
            line: dict[str, float] = {
                "threshold": threshold,
                "accuracy": sum(each[2] for each in answered) / len(both),
                "coverage": len(answered) / len(both),
                "precision": sum(each[2] for each in answered) / max(1, len(answered)),
            }
            for difficulty in ("easy", "medium"):
                total = sum(each[0].difficulty == difficulty for each in both)
                right = sum(each[2] for each in answered if each[0].difficulty == difficulty)
                line[difficulty] = right / max(1, total)
            table.append(line)
        figures[name] = table
        show(f"{name}, cross-validated", list(table[0]), [list(each.values()) for each in table])
        chosen = sum(each[2] for each in both) / len(both)
        among = sum(any(c.right for c in each[0].candidates) for each in both) / len(both)
        console.print(f"chosen right {chosen:.1%}, right among the candidates {among:.1%}")
    return figures


def write(fitted: Fitted, home: Path) -> None:
    lines = [
        '"""Weights of `confidence`; `bench/nl2sql_weights.py` fits them on solved questions."""',
        "",
        "RANK: dict[str, float] = {",
        *_entries(fitted.rank),
        "}",
        '"""What orders the candidates of a question."""',
        "",
        f"STYLES_SCALE = {fitted.scale:.3f}",
        f"STYLES_SHIFT = {fitted.shift:.3f}",
        '"""What is left of the log-odds in styles of questions that were not fitted on."""',
        "",
        f"SURE_BIAS = {fitted.bias:.3f}",
        "SURE: dict[str, float] = {",
        *_entries(fitted.sure),
        "}",
        '"""What says how likely the first of them is right."""',
    ]
    home.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _entries(found: dict[str, float]) -> Iterator[str]:
    for name, weight in sorted(found.items()):
        if abs(weight) >= SMALLEST_KEPT:
            yield f'    "{name}": {weight:.3f},'


if __name__ == "__main__":
    main()
