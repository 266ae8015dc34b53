"""The model path without a model: recorded answers are replayed, raw against the pipeline.

    python bench/nl2sql_model.py --data DIR --recordings FILE [FILE ...]
        [--set NAME] [--questions questions.jsonl ...] [--every N] [--weights FILE]
        [--dsn CONNINFO] [--fit] [--write]

DIR/NAME holds questions and databases as for `nl2sql.py`. A recording is a file of JSON lines, one
for each question that a model was asked:

    {"id": "q1", "sql": "select count(*) from boat"}
    {"id": "q2", "replies": [["Boats have no owner here. CANNOT: no such column"], ["..."]]}

id: of the question. sql: the one query that the model wrote, for PostgreSQL; empty or left out
where it wrote none. replies: in its place, what the model said in each turn, as text; turns after
the first are what it said when it was asked to repair a query, or shown that the built-in
translator finds something else. When a recording has no more turns the model says nothing. So with
one answer a question, what asking again brings is not measured here: scripted models do that
(`tests/mcp_server/nl2sql/model`).

raw: the share of questions that the recorded query answers as it is. pipeline: the share that the
answer given is right for; one that is declined counts as wrong. must: what it has to gain.
ece: the calibration error of the confidence, ten bins of equal counts. --weights FILE: weights of
the built-in translator's confidence to use, as `nl2sql_weights.py --out` writes them: the ones
fitted without this set. --fit: fit the weights of `trust` and print the error that is to be
expected, cross-validated by recording and database; --write keeps them.
"""

import argparse
import importlib.util
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from calibration import expected_error, fit_sure
from nl2sql import Match, load, matcher, rows, server
from report import console, show, write_json

from mcp_server.nl2sql.answer import Describe, Need, Read, Similar, Translate, answering
from mcp_server.nl2sql.asker import READ_ROWS
from mcp_server.nl2sql.choosing import confidence
from mcp_server.nl2sql.database.guard.checks import Limits
from mcp_server.nl2sql.database.reader import Reader, ResultSet
from mcp_server.nl2sql.database.steps import run
from mcp_server.nl2sql.errors import RefusedError
from mcp_server.nl2sql.found import Answer, TranslationLike
from mcp_server.nl2sql.model.plan import Complete, Mend, PlanSettings
from mcp_server.nl2sql.model.prompt import PromptSchema, Request
from mcp_server.nl2sql.translator import Translator
from mcp_server.nl2sql.weighing import weights
from mcp_server.nl2sql.weighing.trust import MOST, SET, Evidence, signs

SETTINGS = PlanSettings(candidates=1)
TIMEOUT_MS = 15_000
NEVER_BELOW = 0.0
GAINS = ((0.70, 0.06), (0.80, 0.03))
"""Below this raw share, so much has to be gained."""


@dataclass(slots=True)
class Replayed:
    """One question of one recording."""

    recording: str
    database: str
    raw: bool
    right: bool
    answer: Answer


class Database:
    """What one database answers: every translation and every query once, for all recordings."""

    def __init__(self, target: str) -> None:
        self._translator = Translator(target)
        self._reader = Reader(target, limits=Limits(rows=READ_ROWS), system_catalogs=False)
        self._translations: dict[str, TranslationLike] = {}
        self._results: dict[str, ResultSet | RefusedError] = {}
        # the guard leaves no prepared statement behind, which `rows` would use again
        self._guarded = psycopg.connect(target, autocommit=True, prepare_threshold=None)
        self._connection = psycopg.connect(target, autocommit=True)
        for connection in (self._guarded, self._connection):
            connection.execute(f"set statement_timeout = {TIMEOUT_MS}")
            connection.execute("set default_transaction_read_only = on")
        self._plain: dict[str, list[tuple[Any, ...]] | None] = {}

    def plain(self, sql: str) -> list[tuple[Any, ...]] | None:
        """The rows of a query that is run as it is."""
        if sql not in self._plain:
            self._plain[sql] = rows(self._connection, sql)
        return self._plain[sql]

    def ask(self, question: str, turns: Sequence[Sequence[str]]) -> Answer:
        """The pipeline's answer, with the model's turns replayed."""
        steps = answering(question, with_model=True, settings=SETTINGS)
        left = list(turns)
        given: Any = None
        try:
            while True:
                need = steps.send(given)
                if isinstance(need, Complete):
                    said = left.pop(0) if left else []
                    given = [list(said) for _ in need.conversations]
                else:
                    given = self._supply(need)
        except StopIteration as stop:
            answer: Answer = stop.value
            return answer

    def close(self) -> None:
        """Close all connections."""
        self._translator.close()
        self._guarded.close()
        self._connection.close()

    def _supply(self, need: Need) -> Any:
        match need:
            case Similar():
                return []
            case Translate(question):
                if question not in self._translations:
                    self._translations[question] = self._translator.translate(question)
                return self._translations[question]
            case Describe(question):
                return Request(question, PromptSchema("", ()))  # nobody reads the prompt
            case Mend(sql, failed):
                return self._translator.mends(sql, failed=failed)
            case Read(sql):
                if sql not in self._results:
                    self._results[sql] = self._read(sql)
                return self._results[sql]
            case _:
                raise AssertionError(f"{need!r} is not for the database")

    def _read(self, sql: str) -> ResultSet | RefusedError:
        try:
            return run(self._guarded, self._reader.steps(sql))
        except RefusedError as error:
            return error


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--data", type=Path)
    arguments.add_argument("--recordings", type=Path, nargs="*", default=[])
    arguments.add_argument("--set", default="spider_dev")
    arguments.add_argument("--questions", nargs="*", default=["questions.jsonl"])
    arguments.add_argument("--every", type=int, default=1, help="ask each n-th question")
    arguments.add_argument("--weights", type=Path, help="of the built-in translator's confidence")
    arguments.add_argument("--dsn")
    arguments.add_argument("--fit", action="store_true")
    arguments.add_argument("--write", action="store_true", help="write weighing/weights.py")
    options = arguments.parse_args()
    if options.data is None or not options.recordings:
        console.print("nl2sql_model: name a folder with --data, and files with --recordings")
        return
    if options.weights is not None:
        use_weights(options.weights)
    with server(options.dsn) as dsn:
        replayed = list(replay(dsn, options, matcher(options.data)))
    figures = report(replayed)
    if options.fit or options.write:
        figures["cross_validated"] = cross_validated(replayed)
    write_json("nl2sql_model", figures)
    if options.write:
        write(*fit([one for one in replayed if one.answer.evidence is not None]))


def use_weights(path: Path) -> None:
    """Have the built-in translator weigh by other weights than the project's own."""
    spec = importlib.util.spec_from_file_location("other_weights", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{path} is no Python module")
    other = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(other)
    confidence.RANK.clear()
    confidence.RANK.update(other.RANK)
    confidence.SURE.clear()
    confidence.SURE.update(other.SURE)
    confidence.SURE_BIAS = other.SURE_BIAS
    confidence.STYLES_SCALE = other.STYLES_SCALE
    confidence.STYLES_SHIFT = other.STYLES_SHIFT


def replay(dsn: str, options: argparse.Namespace, match: Match) -> Iterator[Replayed]:
    folder = options.data / options.set
    recordings = {path.stem: recorded(path) for path in options.recordings}
    of_database: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for file in options.questions:
        lines = (folder / file).read_text("utf-8").splitlines()
        questions = [json.loads(line) for line in lines if line.strip()]
        for question in questions[:: options.every]:
            of_database[question["db"]].append(question)
    for name, questions in sorted(of_database.items()):
        database = Database(load(dsn, folder / name, f"{options.set}__{name}"))
        for question in questions:
            golds = [question["gold_sql"], *question.get("gold_alternatives", [])]
            accepted = [found for found in map(database.plain, golds) if found is not None]

            def right(found: Any, accepted: list[Any] = accepted) -> bool:
                return found is not None and any(match(gold, found) for gold in accepted)

            for recording, answers in recordings.items():
                if question["id"] not in answers:
                    continue
                raw, turns = answers[question["id"]]
                answer = database.ask(question["question"], turns)
                found = None if answer.result is None else answer.result.rows
                yield Replayed(
                    recording, name, bool(raw) and right(database.plain(raw)), right(found), answer
                )
        database.close()


def recorded(path: Path) -> dict[str, tuple[str, list[list[str]]]]:
    """By the id of the question: the query, and the model's turns."""
    found = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.strip():
            continue
        told = json.loads(line)
        if "id" not in told or not {"sql", "replies"} & set(told):
            raise SystemExit(f"{path}, line {number}: a recording has an id, and sql or replies")
        sql = told.get("sql") or ""
        turns = told.get("replies") or ([[f"```sql\n{sql}\n```"]] if sql else [])
        found[told["id"]] = sql, turns
    return found


def report(replayed: Sequence[Replayed]) -> dict[str, Any]:
    lines, figures = [], {}
    for name in dict.fromkeys(one.recording for one in replayed):
        its = [one for one in replayed if one.recording == name]
        answered = [one for one in its if one.answer.sql is not None]
        raw, right = share(its, "raw"), share(its, "right")
        must = next((gain for below, gain in GAINS if raw < below), NEVER_BELOW)
        pairs = [(one.answer.confidence, one.right) for one in answered]
        figures[name] = {
            "questions": len(its),
            "raw": raw,
            "pipeline": right,
            "gain": right - raw,
            "must": must,
            "declined": 1 - len(answered) / len(its),
            "ece": expected_error(pairs),
        }
        lines.append([name, *figures[name].values()])
    show("recorded models", ["recording", *next(iter(figures.values()))], lines)
    missed = [name for name, each in figures.items() if each["gain"] < each["must"]]
    console.print(f"must hold: {'missed by ' + ', '.join(missed) if missed else 'held by all'}")
    by_agreement(replayed)
    answered = [one for one in replayed if one.answer.sql is not None]
    pooled = expected_error([(one.answer.confidence, one.right) for one in answered])
    console.print(f"calibration error of all answers, weights as they are: {pooled:.3f}")
    return {"recordings": figures, "ece": pooled}


def by_agreement(replayed: Sequence[Replayed]) -> None:
    """What agreement is worth: how many answers, how sure, how many right."""
    groups: dict[tuple[str, str], list[Replayed]] = defaultdict(list)
    for one in replayed:
        agreement = {True: "agree", False: "differ", None: "alone"}[one.answer.agreement]
        groups[one.answer.origin or "declined", agreement].append(one)
    lines = []
    for (origin, agreement), its in sorted(groups.items()):
        confident = sum(one.answer.confidence for one in its) / len(its)
        lines.append([origin, agreement, len(its), confident, share(its, "right")])
    show("by agreement", ["answer of", "paths", "answers", "confidence", "right"], lines)


def share(its: Sequence[Replayed], what: str) -> float:
    return sum(bool(getattr(one, what)) for one in its) / max(1, len(its))


def fit(replayed: Sequence[Replayed]) -> tuple[dict[str, float], float]:
    """The weights of the signs, and the bias."""
    found = [signs(evidence) for evidence in map(evidence_of, replayed)]
    names = sorted({name for each in found for name in each} - set(SET))
    table = np.array([[each.get(name, 0.0) for name in names] + [1.0] for each in found])
    solved = fit_sure(table, np.array([one.right for one in replayed], float))
    return dict(zip(names, solved[:-1], strict=True)), float(solved[-1])


def cross_validated(replayed: Sequence[Replayed]) -> dict[str, float]:
    """The calibration error on recordings and databases that were not fitted on."""
    told = [one for one in replayed if one.answer.evidence is not None]
    pairs: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    databases = sorted({one.database for one in told})
    fold = {name: number % 4 for number, name in enumerate(databases)}
    for recording in sorted({one.recording for one in told}):
        for number in range(4):
            held = [o for o in told if o.recording == recording and fold[o.database] == number]
            rest = [o for o in told if o.recording != recording and fold[o.database] != number]
            if not held or not rest:
                continue
            by_name, bias = fit(rest)
            for one in held:
                known = signs(evidence_of(one))
                total = bias + sum(by_name.get(n, 0.0) * v for n, v in known.items())
                chance = min(MOST, float(1 / (1 + np.exp(-np.clip(total, -30, 30)))))
                pairs[recording].append((chance, one.right))
    errors = {name: expected_error(its) for name, its in pairs.items()}
    errors["all"] = expected_error([pair for its in pairs.values() for pair in its])
    show("calibration error, cross-validated", ["recording", "ece"], [[*e] for e in errors.items()])
    return errors


def evidence_of(one: Replayed) -> Evidence:
    evidence = one.answer.evidence
    assert evidence is not None
    return evidence


def write(by_name: dict[str, float], bias: float) -> None:
    lines = [
        '"""Weights of `trust`; `bench/nl2sql_model.py` fits them on answers of models."""',
        "",
        f"BIAS = {bias:.3f}",
        "WEIGHTS: dict[str, float] = {",
        *(f'    "{name}": {weight:.3f},' for name, weight in sorted(by_name.items())),
        "}",
    ]
    Path(weights.__file__).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
