"""The SQL guard: what `run_query` and every translated query pass before they run.

1. the text: one statement, of PostgreSQL's lexical structure, beginning as a query
   (`postgres_lexer.py`);
2. the tree: PostgreSQL itself resolves the statement and prints what it understood
   (`query_tree.py`, `node_fields.py`); only nodes that a read is made of (`references.py`);
3. the catalog: every function behind the tree, whatever way it is reached, without side effects
   (`what_runs.py`, `functions.py`);
4. the database: a READ ONLY transaction, a role that cannot write, a statement timeout, and
   `EXPLAIN`, whose estimate bounds the cost.

What runs is the very statement that was analysed, by its prepared name, in the same transaction,
whose locks keep the tables and views in it as they are. Whatever else the server analyses while
it runs (a body, or the statement again because an operator or a schema was made meanwhile) is
printed too, and judged before the rows are given out.

The pure parts are functions; the rest are steps (`steps.py`) for a sync or async connection.
"""

import math
from dataclasses import dataclass, field
from functools import lru_cache

import psycopg
from psycopg import errors as pg
from psycopg import sql as composed
from sqlglot import exp

from mcp_server.nl2sql.database import parsed, postgres_lexer
from mcp_server.nl2sql.database.guard import query_tree
from mcp_server.nl2sql.database.guard.catalog_queries import BEGIN, NAMES, SETTINGS
from mcp_server.nl2sql.database.guard.functions import words
from mcp_server.nl2sql.database.guard.references import (
    FIRST_USER_OID,
    NoReadError,
    References,
    joined,
    of_statement,
)
from mcp_server.nl2sql.database.guard.what_runs import (
    Surroundings,
    analysed_where_plain,
    surroundings,
    why_refused,
)
from mcp_server.nl2sql.database.refusals import is_judgement, primary, refusal
from mcp_server.nl2sql.database.steps import Fetch, Fetched, Prepare, Script, Steps, Stream
from mcp_server.nl2sql.errors import (
    ForbiddenError,
    InvalidSyntaxError,
    RefusedError,
    TooExpensiveError,
)

# Readable by pg_read_all_data or a superuser, and none of a reader's business.
REFUSED_RELATIONS = words(
    """
    pg_authid pg_shadow pg_user_mapping pg_user_mappings pg_largeobject pg_subscription
    pg_hba_file_rules pg_ident_file_mappings pg_file_settings pg_statistic pg_statistic_ext_data
    pg_foreign_server pg_backend_memory_contexts pg_shmem_allocations
    """
)
SYSTEM_SCHEMAS = frozenset({"pg_catalog", "information_schema", "pg_toast"})
QUERY_WORDS = frozenset({"select", "with", "values", "table", "("})
EXPLAIN_OPTIONS = words(
    """
    analyze verbose costs settings generic_plan buffers serialize wal timing summary memory
    format text xml json yaml on off true false none binary
    """
)
STATEMENT = "borealis_query"
REHEARSAL = "borealis_rehearsal"


OWN_MILLISECONDS = 10_000
"""What this process may take between two statements of a transaction, on a machine that is busy."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one query. cost is in PostgreSQL's planner units (1 = one page read in order)."""

    rows: int = 1000
    bytes: int = 4_000_000  # of all values, as text
    cell: int | None = None  # of one value; what is beyond does not count
    cost: float = 1e8
    timeout: float = 15.0  # seconds, for planning and for running, each


@dataclass(frozen=True, slots=True)
class Inspection:
    """A text that passed the pure checks."""

    sql: str  # without the closing semicolon
    explain: str  # EXPLAIN and its options, or nothing
    query: str  # the rest
    tokens: tuple[postgres_lexer.Token, ...]  # of the rest
    is_show: bool


@dataclass(frozen=True, slots=True)
class CheckedQuery:
    """A query that may run, prepared on the connection that checked it. Only `check` makes one."""

    sql: str
    runs: str = field(repr=False)  # the statement to send, or the name of the prepared one
    prepared: bool
    estimated_cost: float | None  # None where no limit was asked for

    @property
    def tree(self) -> exp.Query | exp.Values | None:
        """What sqlglot makes of the query, for describing it; None where it cannot read it."""
        return tree(self.sql)


def inspect(sql: str) -> Inspection:
    """The checks that need no database.

    Raises InvalidSyntaxError, or ForbiddenError for a statement that does more than read.
    """
    try:
        found = postgres_lexer.tokens(sql)
    except postgres_lexer.LexicalError as error:
        raise InvalidSyntaxError(str(error)) from error
    count = postgres_lexer.statements(found)
    if count == 0:
        raise InvalidSyntaxError("the SQL is empty")
    if count > 1:
        raise ForbiddenError("more than one statement; send one query at a time")
    body = [
        token
        for token in found
        if token.text != ";" or token.kind is not postgres_lexer.Kind.SYMBOL
    ]
    start, end = body[0].start, body[-1].end
    query = _after_explain(body)
    if not query:
        raise InvalidSyntaxError("EXPLAIN of nothing; a query must follow")
    is_show = query is body and _is_word(body[0], "show")
    if is_show and len(body) == 2 and _is_word(body[1], "all"):
        raise ForbiddenError("SHOW ALL is not a query; name one setting, or read pg_settings")
    if not is_show and (query[0].text not in QUERY_WORDS or query[0].kind in _QUOTED):
        raise ForbiddenError(
            f"{query[0].text.upper()[:40]} is not a query; only SELECT, WITH, VALUES, TABLE, SHOW "
            "of one setting, and EXPLAIN of a query are read-only statements"
        )
    for token in query:
        if token.kind is postgres_lexer.Kind.PARAMETER:
            raise ForbiddenError(f"{token.text} is a parameter; write the value itself")
    first = query[0].start
    return Inspection(sql[start:end], sql[start:first], sql[first:end], tuple(query), is_show)


_QUOTED = (postgres_lexer.Kind.STRING, postgres_lexer.Kind.QUOTED)


def tree(sql: str) -> exp.Query | exp.Values | None:
    """What sqlglot makes of a query, for describing it; None where it cannot read it."""
    try:
        inspection = inspect(sql)
    except RefusedError:
        return None
    return None if inspection.is_show else parsed.tree(inspection.query)


def check(
    sql: str, limits: Limits | None = None, *, system_catalogs: bool = True, begins: bool = False
) -> Steps[CheckedQuery]:
    """All checks of one text, inside a transaction that `begin` opened.

    system_catalogs: whether pg_catalog and information_schema may be read. begins: whether that
    transaction is still to be opened; it is then, in the round trip that is made anyhow.
    Raises a RefusedError whose class and message say which check refused, and why.
    """
    bounds = limits or Limits()
    inspection = inspect(sql)
    try:
        around, found = yield from _understood(inspection, bounds if begins else None)
        yield from _check_tables(found, system_catalogs)
        reason = yield from why_refused(found, around)
        if reason:
            raise ForbiddenError(reason)
        cost = None
        if not inspection.is_show and math.isfinite(bounds.cost):
            plan = yield Fetch(f"explain (format json) execute {STATEMENT}", ())
            cost = float(plan.rows[0][0][0]["Plan"]["Total Cost"])
            if plan.trees[1:]:  # the first is of EXPLAIN itself; see `fetch`
                yield from _expect_reads(plan.trees[1:])
    except psycopg.Error as error:
        before = inspection.tokens[0].start
        raise (yield from refusal(error, tree(sql), before)) from error
    if cost is not None and cost > bounds.cost:
        raise TooExpensiveError(
            f"the planner expects a cost of {cost:.0f}, the limit is {bounds.cost:.0f}; "
            "a join condition or a filter may be missing"
        )
    if inspection.is_show:
        return CheckedQuery(inspection.sql, inspection.sql, False, cost)
    if inspection.explain:
        return CheckedQuery(inspection.sql, f"{inspection.explain}execute {STATEMENT}", False, cost)
    return CheckedQuery(inspection.sql, STATEMENT, True, cost)


def _understood(
    inspection: Inspection, begins: Limits | None
) -> Steps[tuple[Surroundings, References]]:
    """What there is in the database, and what a statement refers to.

    begins: the limits of the transaction where it is still to be opened.
    """
    if begins is not None:
        opening = _beginning(begins, None)
        plain = yield from analysed_where_plain(STATEMENT, inspection.query, opening)
        if plain is not None:
            around, trees = plain
            return around, _referred(trees)
        yield Fetch("rollback", ())
    around = yield from surroundings("" if begins is None else beginning(begins))
    if around.unsafe_domain:
        yield from _rehearse(inspection, around)
    return around, (yield from _analysed(STATEMENT, inspection.query))


def fetch(
    query: CheckedQuery, limits: Limits, role: str | None = None, *, values: bool = True
) -> Steps[Fetched]:
    """Run a checked query and read rows up to the limits. Raises RefusedError.

    values: whether the rows are wanted as Python values too, beside their texts.

    The server still prints what it analyses, so what was not there to be judged is judged now.
    """
    try:
        answer = yield Stream(
            query.runs, query.prepared, limits.rows, limits.bytes, limits.cell, values
        )
        meanwhile = answer.trees if query.prepared else answer.trees[1:]  # the first is its own
        if meanwhile:
            yield Fetch("rollback", ())
            yield from begin(limits, role)
            yield from _expect_reads(meanwhile)
    except psycopg.Error as error:
        raise (yield from refusal(error, query.tree)) from error
    return answer


def begin(limits: Limits, role: str | None = None) -> Steps[None]:
    """Open the READ ONLY transaction that everything else runs in.

    role: the role to read as, for example one with SELECT grants only. Without it a superuser
    becomes `pg_read_all_data` for the transaction, and anybody else stays who they are (reading
    as `pg_read_all_data` would give them more than their own grants).
    Raises ForbiddenError when the session may not become `role`, psycopg.Error without server.
    """
    try:
        yield Script(beginning(limits, role))
    except psycopg.Error as error:
        if not is_judgement(error):
            raise
        raise ForbiddenError(f"cannot read as role {role!r}: {primary(error)}") from error


def beginning(limits: Limits, role: str | None = None) -> str:
    """The statements of `begin`, to be sent with others."""
    return "; ".join(_beginning(limits, role))


def _beginning(limits: Limits, role: str | None) -> tuple[str, str]:
    return BEGIN, _settings(int(limits.timeout * 1000), role)


@lru_cache(maxsize=64)
def _settings(milliseconds: int, role: str | None) -> str:
    text = composed.SQL(SETTINGS).format(
        statement=str(milliseconds),
        idle=str(max(milliseconds, OWN_MILLISECONDS)),
        transaction=str(3 * milliseconds + OWN_MILLISECONDS),
        role=role,
    )
    return text.as_string()


def _rehearse(inspection: Inspection, around: Surroundings) -> Steps[None]:
    """Judge the query without its strings, for reading them may run what nobody has judged yet.

    Only in a database that has an unsafe domain; see `Surroundings`.
    """
    literals = postgres_lexer.literals(inspection.tokens)
    if not literals:
        return
    pieces, done = [], inspection.tokens[0].start
    offset = done
    for token in literals:
        pieces += [inspection.query[done - offset : token.start - offset], " null "]
        done = token.end
    text = "".join([*pieces, inspection.query[done - offset :]])
    try:
        found = yield from _analysed(REHEARSAL, text)
    except pg.SyntaxError as error:
        raise ForbiddenError(
            f"the database has a type that is not safe to read ({around.unsafe_domain}), so a "
            "value must be written as '...'::type, and not in another way"
        ) from error
    reason = yield from why_refused(found, around)
    if reason:
        raise ForbiddenError(reason)


def _analysed(name: str, query: str) -> Steps[References]:
    """Have PostgreSQL resolve a statement; what it refers to."""
    return _referred((yield Prepare(name, query)).trees)


def _referred(trees: tuple[str, ...]) -> References:
    if not trees:
        raise ForbiddenError(
            "PostgreSQL did not print how it understands the query (debug_print_rewritten, "
            "client_min_messages), so it cannot be checked"
        )
    # Its own comes last, after those of CHECKs that were run to read the values in it.
    return joined(_read(each) for each in trees)


def _expect_reads(printed: tuple[str, ...]) -> Steps[None]:
    """Judge what the server analysed while a query ran."""
    found = joined(_read(each) for each in printed)
    reason = yield from why_refused(found, (yield from surroundings()))
    if reason:
        raise ForbiddenError(f"while the query ran, something else came of it: {reason}")


def _read(printed: str) -> References:
    try:
        return of_statement(printed)
    except NoReadError as error:
        raise ForbiddenError(f"{error}, so it has no place in a read") from error
    except query_tree.TreeError as error:
        raise ForbiddenError(f"PostgreSQL's query tree cannot be read: {error}") from error


def _check_tables(found: References, system_catalogs: bool) -> Steps[None]:
    own = [oid for oid in found.tables if oid < FIRST_USER_OID]
    if not own:
        return
    for schema, name in (yield Fetch(NAMES, ("{" + ",".join(map(str, own)) + "}",))).rows:
        if name in REFUSED_RELATIONS:
            raise ForbiddenError(f"{name} holds what a reader has no business with")
        if schema in SYSTEM_SCHEMAS and not system_catalogs:
            raise ForbiddenError(f"{name} is a system catalog, not data")


def _is_word(token: postgres_lexer.Token, text: str) -> bool:
    return token.kind is postgres_lexer.Kind.WORD and token.text == text


def _after_explain(body: list[postgres_lexer.Token]) -> list[postgres_lexer.Token]:
    """The tokens of the query, without EXPLAIN and its options if the text starts with it."""
    if not _is_word(body[0], "explain"):
        return body
    at = 1
    while at < len(body) and body[at].text in ("analyze", "verbose"):
        at += 1
    # A bracket opens options, or the query itself: explain (select 1)
    if at + 1 < len(body) and body[at].text == "(" and body[at + 1].text in EXPLAIN_OPTIONS:
        closing = next((i for i in range(at, len(body)) if body[i].text == ")"), len(body) - 1)
        for token in body[at + 1 : closing]:
            if token.text != "," and token.text.lower() not in EXPLAIN_OPTIONS:
                raise InvalidSyntaxError(f"{token.text!r} is no option of EXPLAIN")
        at = closing + 1
    return body[at:]
