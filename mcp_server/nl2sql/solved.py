"""Learning from use: questions whose SQL somebody accepted, kept in the database they are about.

Off until `enable` makes its schema. A pair is kept as a template: values of the question that
stand in the SQL as literals are cut out of both, so that what somebody asked for is not stored,
and a question about another value is answered as well. A question that fits a template exactly
is answered by it; similar ones help a model as examples. Similarity is the overlap of hashed
words and character trigrams: nothing is downloaded, and an index finds the candidates.
"""

import hashlib
import logging
import math
import re
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import sqlglot
from psycopg import errors as pg
from sqlglot import exp
from sqlglot.errors import SqlglotError

from mcp_server.nl2sql.database.guard import own_tables
from mcp_server.nl2sql.database.guard.checks import Limits, inspect
from mcp_server.nl2sql.database.own_names import pinned_names
from mcp_server.nl2sql.database.reader import Reader, ResultSet
from mcp_server.nl2sql.database.steps import Fetch, Script, Steps
from mcp_server.nl2sql.errors import NL2SQLError, RefusedError

log = logging.getLogger(__name__)
T = TypeVar("T")

SCHEMA = "borealis_nl2sql"
MOST_PAIRS = 10_000
LEAST_SIMILARITY = 0.3

ENABLE = f"""
create schema if not exists {SCHEMA};
create table if not exists {SCHEMA}.solved (
    id text primary key,
    question text not null,
    sql text not null,
    grams int[] not null,
    accepted int not null default 1,
    accepted_at timestamptz not null default now()
);
create index if not exists solved_grams on {SCHEMA}.solved using gin (grams);
comment on table {SCHEMA}.solved is 'Accepted translations of questions, values cut out';
"""
EXISTS = f"select pg_catalog.to_regclass('{SCHEMA}.solved') is not null"
KEEP = f"""
insert into {SCHEMA}.solved (id, question, sql, grams) values (%s, %s, %s, %s)
on conflict (id) do update set sql = excluded.sql, accepted_at = now(),
    accepted = case when solved.sql = excluded.sql then solved.accepted + 1 else 1 end
"""
# The oldest go first.
BOUND = f"""
delete from {SCHEMA}.solved where id in (
    select id from {SCHEMA}.solved order by accepted_at desc, id offset %s)
"""
EVERY = f"select question, sql from {SCHEMA}.solved order by accepted_at desc, id"
READER = Reader("", limits=Limits(rows=MOST_PAIRS, bytes=64 << 20, cost=math.inf, timeout=5.0))
"""For what was kept, which is read as any query is: somebody may have put a view in its place."""
FORGET = f"delete from {SCHEMA}.solved where id = %s"
SIMILAR = f"""
select question, sql, similarity from (
    select question, sql, accepted,
           shared::float / (cardinality(grams) + cardinality('{{grams}}'::int[]) - shared)
               as similarity
    from {SCHEMA}.solved,
         lateral (select count(*) as shared from unnest(grams) g
                  where g = any ('{{grams}}'::int[])) overlap
    where grams && '{{grams}}'::int[]) candidates
where similarity >= {LEAST_SIMILARITY}
order by similarity desc, accepted desc, question
limit {{most}}
"""
SLOTS_MAX = 6
"""More than that fit a question in too many ways to try them all."""


@dataclass(frozen=True, slots=True)
class Template:
    """A question and its SQL with numbered slots where both had the same value."""

    question: str
    sql: str

    @property
    def id(self) -> str:
        """A name for the question, whatever its spaces and case."""
        return hashlib.sha256(_normal(self.question).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Solved:
    """A kept pair that is like the question asked. similarity: 0..1, 1 when it fits exactly."""

    question: str
    sql: str
    similarity: float
    filled: str | None
    """The SQL for the question asked, where the template fits it exactly."""


class LearningDisabledError(NL2SQLError):
    """A pair was to be kept in a database where nobody has enabled learning."""


def enable() -> Steps[None]:
    """Make the schema. Raises NL2SQLError when the role may not create it, or another did."""
    return in_own_table(_nothing(), make=True)


def disable() -> Steps[None]:
    """Drop everything learnt; what else is kept in the schema stays."""
    yield Fetch(f"drop table if exists {SCHEMA}.solved", ())
    with suppress(pg.DependentObjectsStillExist):
        yield Fetch(f"drop schema if exists {SCHEMA}", ())


def enabled() -> Steps[bool]:
    """Whether somebody has enabled learning in this database, where the role may see that."""
    try:
        return bool((yield Fetch(EXISTS, ())).rows[0][0])
    except pg.InsufficientPrivilege:
        return False


def in_own_table(steps: Steps[T], *, make: bool = False) -> Steps[T]:
    """Take steps that write in one transaction, in which the table is this role's own and stays so.

    What another role made there (a trigger, a view in its place) would run with the rights of this
    one. make: make the table first, where there is none. Raises NL2SQLError for a table that is
    another's, LearningDisabledError where there is none; and then nothing was written.
    """
    yield from pinned_names("begin")
    try:
        if make:
            yield from _made()
        yield from _own()
        done = yield from steps
    except BaseException:
        yield Script("rollback")
        raise
    yield Script("commit")
    return done


def _made() -> Steps[None]:
    try:
        for statement in ENABLE.strip().split(";\n"):
            yield Fetch(statement, ())
    except pg.InsufficientPrivilege as error:
        raise NL2SQLError(
            f"learning needs the right to create the schema {SCHEMA}: {error.diag.message_primary}"
        ) from error


def _own() -> Steps[None]:
    try:
        yield Fetch(own_tables.lock(SCHEMA, "solved"), ())
        if (yield Fetch(own_tables.is_own(SCHEMA, "solved"), ())).rows:
            return
    except (pg.UndefinedTable, pg.InvalidSchemaName) as error:
        raise LearningDisabledError(
            "learning is not enabled in this database; enable it first"
        ) from error
    except (pg.InsufficientPrivilege, pg.WrongObjectType):
        pass
    raise NL2SQLError(
        f"{SCHEMA}.solved, its schema, or something on it is another role's; whoever owns it "
        "keeps what is taught there, or drops it"
    )


def _nothing() -> Steps[None]:
    yield from ()


def accept(question: str, sql: str) -> Steps[Template]:
    """Keep a pair that somebody found right; the same question again replaces its SQL.

    As all steps that write here, to be taken `in_own_table`. Raises RefusedError for SQL that the
    guard refuses by its text.
    """
    inspect(sql)
    template = mask(question, sql)
    yield Fetch(KEEP, (template.id, template.question, template.sql, grams(template.question)))
    yield Fetch(BOUND, (MOST_PAIRS,))
    return template


def forget(question: str, sql: str) -> Steps[None]:
    """Remove the pair that `accept` would have kept."""
    yield Fetch(FORGET, (mask(question, sql).id,))


def forgotten(question: str) -> Steps[bool]:
    """Remove what is kept for a question, as `every` shows it; whether there was anything."""
    return bool((yield Fetch(FORGET + " returning id", (Template(question, "").id,))).rows)


def every() -> Steps[list[tuple[str, str]]]:
    """All kept questions with their SQL, values cut out, the newest first; none that are hidden."""
    if not (yield from enabled()):
        return []
    try:
        found: ResultSet = yield from READER.steps(EVERY)
    except RefusedError as error:
        log.warning("what was taught cannot be read: %s", error)
        return []
    return [(str(question), _shown(str(sql))) for question, sql in found.rows]


def similar(question: str, most: int = 3, role: str | None = None) -> Steps[list[Solved]]:
    """The kept pairs most like the question, best first; none where learning is off, or hidden.

    role: the role to read as.
    """
    if not (yield from enabled()):
        return []
    bag = "{" + ",".join(map(str, grams(question))) + "}"
    reader = Reader("", limits=READER.limits, role=role)
    try:
        found = yield from reader.steps(SIMILAR.format(grams=bag, most=most + 8))
    except (RefusedError, pg.InsufficientPrivilege) as error:
        log.warning("what was taught cannot be read: %s", error)
        return []
    pairs = []
    for text, sql, likeness in found.rows:
        text, sql = str(text), str(sql)
        filled = fill(Template(text, sql), question)
        pairs.append(Solved(text, sql, 1.0 if filled else float(likeness), filled))
    pairs.sort(key=lambda pair: -pair.similarity)
    return pairs[:most]


def mask(question: str, sql: str) -> Template:
    """Cut the values that question and SQL share out of both.

    A literal that the question does not spell stays in the SQL: it belongs to the query's form
    (a code, a unit, LIMIT 1) and no value of the asker's is in it.
    """
    tree = sqlglot.parse_one(sql, dialect="postgres")
    masked, slots = question, 0
    seen: dict[tuple[str, bool], int] = {}
    for literal in list(tree.find_all(exp.Literal)):
        key = (literal.name, bool(literal.is_string))
        if key not in seen:
            text = literal.name.strip("%") if literal.is_string else literal.name
            pattern = _whole(text)
            if not text or "{" in text or pattern.search(masked) is None:
                continue
            slots += 1
            seen[key] = slots
            masked = pattern.sub(f"{{{slots}}}", masked)
        literal.replace(_slot(literal, seen[key]))
    return Template(masked, tree.sql(dialect="postgres"))


def fill(template: Template, question: str) -> str | None:
    """The template's SQL for a question that fits it word for word, else None.

    A template is what somebody wrote into a table: one that `mask` would not make fits nothing.
    """
    pattern = ""
    order: list[int] = []
    for part in re.split(r"(\{\d{1,3}\})", _normal(template.question)):
        slot = re.fullmatch(r"\{(\d{1,3})\}", part)
        if slot is None:
            pattern += re.escape(part)
        elif slot[1] in map(str, order):
            pattern += f"(?P=s{slot[1]})"
        elif len(order) == SLOTS_MAX or slot[1] != str(int(slot[1])):
            return None
        else:
            order.append(int(slot[1]))
            pattern += rf"(?P<s{slot[1]}>.+?)"
    match = re.fullmatch(pattern, _normal(question), re.IGNORECASE)
    if match is None:
        return None
    values = {slot: match[f"s{slot}"].strip("'\"").strip() for slot in order}
    try:
        tree = sqlglot.parse_one(template.sql, dialect="postgres")
    except SqlglotError:
        return None
    for literal in list(tree.find_all(exp.Literal)):
        filled = _filled(literal, values)
        if filled is None:
            return None
        literal.replace(filled)
    return tree.sql(dialect="postgres")


def grams(text: str) -> list[int]:
    """Hashes of the words, word pairs and character trigrams of a masked question."""
    words = re.findall(r"[^\W_]+", re.sub(r"\{\d+\}|\d+", " ", _normal(text).lower()))
    features = {f"w {word}" for word in words}
    features |= {f"p {a} {b}" for a, b in pairwise(words)}
    for word in words:
        padded = f" {word} "
        features |= {f"t {padded[i : i + 3]}" for i in range(len(padded) - 2)}
    # PostgreSQL's int is signed.
    return sorted({zlib.crc32(feature.encode()) - 2**31 for feature in features})


_MARK = "\u27e8{}\u27e9"  # a slot inside an SQL string, with what surrounds it ('%⟨1⟩%')
_NUMBER_BASE = 7_700_000_000_000_000  # a slot of a number; no value of a question


def _slot(literal: exp.Literal, slot: int) -> exp.Expr:
    if not literal.is_string:
        return exp.Literal.number(_NUMBER_BASE + slot)
    core = literal.name.strip("%")
    return exp.Literal.string(literal.name.replace(core, _MARK.format(slot), 1))


def _filled(literal: exp.Literal, values: dict[int, str]) -> exp.Expr | None:
    if literal.is_string:
        marked = re.search(_MARK.format(r"(\d+)"), literal.name)
        if marked is None:
            return literal
        value = values.get(int(marked[1]))
        return None if value is None else exp.Literal.string(literal.name.replace(marked[0], value))
    if literal.name.isdigit() and int(literal.name) > _NUMBER_BASE:
        value = values.get(int(literal.name) - _NUMBER_BASE)
        number = value is not None and re.fullmatch(r"-?\d+(\.\d+)?", value)
        return exp.Literal.number(value) if number else None
    return literal


def _whole(text: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w{{])(['\"]?){re.escape(text)}\1(?![\w}}])", re.IGNORECASE)


def _normal(question: str) -> str:
    return " ".join(question.split()).rstrip(" ?.!")


def examples(pairs: Sequence[Solved]) -> list[tuple[str, str]]:
    """Kept pairs as a model may see them: slots are shown as {1}, {2}."""
    return [(p.question, _shown(p.sql)) for p in pairs]


def _shown(sql: str) -> str:
    text = re.sub(_MARK.format(r"(\d+)"), r"{\1}", sql)
    return re.sub(
        rf"\b{str(_NUMBER_BASE)[:6]}\d{{10}}\b", lambda m: f"{{{int(m[0]) - _NUMBER_BASE}}}", text
    )
