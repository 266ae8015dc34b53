"""The SQL guard: what `run_query` and every translated query pass before they run.

Four checks, each on its own enough to stop the usual attack, the last one the real wall:

1. the text: one statement, of PostgreSQL's lexical structure, beginning as a query (`lexical.py`);
2. the syntax tree: only nodes that a read is made of (`syntax.py`);
3. the catalog: functions without side effects (`functions.py`), tables and columns that exist;
4. the database: a READ ONLY transaction, a role that cannot write, a statement timeout, and
   `EXPLAIN`, whose estimate bounds the cost.

The first two are pure. The rest are steps (`steps.py`) that a sync or async connection drives.
"""

import re
from dataclasses import dataclass

import psycopg
import sqlglot
from psycopg import errors as pg
from sqlglot import exp
from sqlglot.errors import SqlglotError

from mcp_server.nl2sql import lexical, names, syntax
from mcp_server.nl2sql.catalog import (
    FUNCTION_NAMES,
    SYSTEM_SCHEMAS,
    Facts,
    Relation,
    look_up,
    nearest,
    user_relations,
)
from mcp_server.nl2sql.errors import (
    ForbiddenError,
    InvalidQueryError,
    InvalidSyntaxError,
    QueryTimeoutError,
    RefusedError,
    TooExpensiveError,
    UnknownNameError,
)
from mcp_server.nl2sql.functions import GRAMMAR_WORDS, RESERVED_WORDS, objection, words
from mcp_server.nl2sql.steps import Fetch, Steps

# Readable by pg_read_all_data or a superuser, and none of a reader's business.
REFUSED_RELATIONS = words(
    """
    pg_authid pg_shadow pg_user_mapping pg_user_mappings pg_largeobject pg_subscription
    pg_hba_file_rules pg_ident_file_mappings pg_file_settings pg_statistic pg_statistic_ext_data
    pg_foreign_server pg_backend_memory_contexts pg_shmem_allocations
    """
)
# Operators of pgvector and pg_trgm (distance, similarity) that sqlglot does not parse.
OPERATOR_STANDS_FOR = {
    **dict.fromkeys(("<#>", "<+>", "<~>", "<%>", "<<->", "<<<->", "<->>", "<->>>"), "<->"),
    **dict.fromkeys(("<%", "%>", "<<%", "%>>"), "%"),
}
QUERY_WORDS = frozenset({"select", "with", "values", "table", "("})
EXPLAIN_OPTIONS = words(
    """
    analyze verbose costs settings generic_plan buffers serialize wal timing summary memory
    format text xml json yaml on off true false none binary
    """
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one query. cost is in PostgreSQL's planner units (1 = one page read in order)."""

    rows: int = 1000
    bytes: int = 4_000_000  # of all values, as text
    cost: float = 1e8
    timeout: float = 15.0  # seconds, for planning and for running, each


@dataclass(frozen=True, slots=True)
class Inspection:
    """A text that passed the pure checks, and the names that it uses."""

    sql: str  # without the closing semicolon
    query: str  # the same without EXPLAIN and its options
    tree: exp.Query | exp.Values
    calls: tuple[lexical.Call, ...]
    tables: tuple[tuple[str | None, str], ...]


@dataclass(frozen=True, slots=True)
class CheckedQuery:
    """A query that may run. Only `check` makes one."""

    sql: str
    tree: exp.Query | exp.Values
    is_explain: bool
    estimated_cost: float
    estimated_rows: float


def inspect(sql: str) -> Inspection:
    """The checks that need no database.

    Raises InvalidSyntaxError, or ForbiddenError for a statement that does more than read.
    """
    try:
        found = lexical.tokens(sql)
    except lexical.LexicalError as error:
        raise InvalidSyntaxError(str(error)) from error
    count = lexical.statements(found)
    if count == 0:
        raise InvalidSyntaxError("the SQL is empty")
    if count > 1:
        raise ForbiddenError("more than one statement; send one query at a time")
    body = [token for token in found if token.text != ";" or token.kind is not lexical.Kind.SYMBOL]
    sql = sql[body[0].start : body[-1].end]
    query = _after_explain(body)
    if not query:
        raise InvalidSyntaxError("EXPLAIN of nothing; a query must follow")
    if query[0].text not in QUERY_WORDS or query[0].kind is lexical.Kind.STRING:
        raise ForbiddenError(
            f"{query[0].text.upper()[:40]} is not a query; only SELECT, WITH, VALUES and TABLE "
            "are read-only statements"
        )
    for token in query:
        if token.kind is lexical.Kind.PARAMETER:
            raise ForbiddenError(f"{token.text} is a parameter; write the value itself")
    text = sql[query[0].start - body[0].start :]
    tree = _parse(_with_known_operators(text, query))
    _refuse_foreign_nodes(tree)
    calls = tuple(dict.fromkeys(lexical.calls(query)))
    return Inspection(sql, text, tree, calls, tuple(names.tables(tree)))


def check(
    sql: str, limits: Limits | None = None, *, system_catalogs: bool = True
) -> Steps[CheckedQuery]:
    """All checks of one text, inside a transaction that `begin` opened.

    system_catalogs: whether pg_catalog and information_schema may be read.
    Raises a RefusedError whose class and message say which check refused, and why.
    """
    bounds = limits or Limits()
    try:
        inspection = inspect(sql)
    except InvalidSyntaxError as error:
        raise (yield from _in_the_words_of_postgresql(sql, error)) from error
    facts = yield from look_up(
        {call.name for call in inspection.calls}, {name for _, name in inspection.tables}
    )
    yield from _check_calls(inspection, facts)
    yield from _check_names(inspection, facts, system_catalogs)
    try:
        plan = (yield Fetch("explain (format json) " + inspection.query)).rows
    except psycopg.Error as error:
        raise (yield from refusal(error)) from error
    top = plan[0][0][0]["Plan"]
    if top["Total Cost"] > bounds.cost:
        raise TooExpensiveError(
            f"the planner expects a cost of {top['Total Cost']:.0f}, the limit is "
            f"{bounds.cost:.0f}; a join condition or a filter may be missing"
        )
    return CheckedQuery(
        inspection.sql,
        inspection.tree,
        inspection.sql != inspection.query,
        float(top["Total Cost"]),
        float(top["Plan Rows"]),
    )


def begin(limits: Limits, role: str | None = None) -> Steps[None]:
    """Open the READ ONLY transaction that everything else runs in.

    role: the role to read as, for example one with SELECT grants only. Without it a superuser
    becomes `pg_read_all_data` for the transaction, and anybody else stays who they are (reading
    as `pg_read_all_data` would give them more than their own grants).
    Raises ForbiddenError when the session may not become `role`.
    """
    yield Fetch("begin transaction read only", ())
    statement = str(int(limits.timeout * 1000))
    transaction = str(int(limits.timeout * 3000) + 1000)
    try:
        yield Fetch(BEGIN_SETTINGS, (statement, statement, transaction, role, role))
    except psycopg.Error as error:
        raise ForbiddenError(f"cannot read as role {role!r}: {_primary(error)}") from error


BEGIN_SETTINGS = """
select set_config('statement_timeout', %s, true),
       set_config('lock_timeout', '2000', true),
       set_config('idle_in_transaction_session_timeout', %s, true),
       set_config('standard_conforming_strings', 'on', true),
       set_config('cursor_tuple_fraction', '1', true),
       case when current_setting('server_version_num')::int >= 170000
            then set_config('transaction_timeout', %s, true) end,
       case when %s::text is not null then set_config('role', %s, true)
            when (select rolsuper from pg_roles where rolname = current_user)
            then set_config('role', 'pg_read_all_data', true) end
"""


def refusal(error: psycopg.Error) -> Steps[RefusedError]:
    """The refusal that an error of PostgreSQL means, nearest names included.

    The transaction has failed by now; the names are read after a rollback to its start.
    Raises `error` itself when it is no judgement on the statement (a lost connection).
    """
    primary = _primary(error)
    match error:
        case pg.UndefinedColumn() | pg.UndefinedTable():
            yield Fetch("rollback", ())
            yield Fetch("begin transaction read only", ())
            return UnknownNameError(_with_names(primary, (yield from user_relations())))
        case pg.QueryCanceled():
            return QueryTimeoutError(f"{primary}; narrow the query")
        case pg.SyntaxError():
            return InvalidSyntaxError(primary)
        case pg.ReadOnlySqlTransaction() | pg.InsufficientPrivilege():
            return ForbiddenError(primary)
        case _ if error.sqlstate is None or error.sqlstate[:2] in ("08", "57", "58", "XX"):
            raise error
        case _:
            return InvalidQueryError(primary)
    raise AssertionError("unreachable")


def _primary(error: psycopg.Error) -> str:
    message = error.diag.message_primary or str(error).partition("\n")[0]
    hint = error.diag.message_hint
    return f"{message}. {hint}" if hint else message


def _with_names(primary: str, known: list[Relation]) -> str:
    column = re.search(r'column "?(?:([^\s".]+)\.)?([^\s"]+)"? does not exist', primary)
    if column:
        near = names.column_message(column[2], None, known)
        return f"{primary} ({near})"
    table = re.search(r'relation "(?:([^".]+)\.)?([^"]+)" does not exist', primary)
    if table:
        return names.table_message(table[1], table[2], known)
    return primary


def _parse(sql: str) -> exp.Query | exp.Values:
    try:
        trees = sqlglot.parse(sql, dialect="postgres")
    except (SqlglotError, RecursionError) as error:
        detail = error.errors[0] if isinstance(error, sqlglot.ParseError) and error.errors else {}
        where = f" near {detail['highlight']!r}" if detail.get("highlight") else ""
        what = detail.get("description") or (
            "nested too deeply" if isinstance(error, RecursionError) else str(error)
        )
        raise InvalidSyntaxError(f"{what.rstrip('.')}{where}") from error
    if len(trees) != 1 or trees[0] is None:
        raise ForbiddenError("more than one statement; send one query at a time")
    tree = trees[0]
    if not isinstance(tree, exp.Query | exp.Values):
        reason = syntax.REFUSED.get(type(tree).__name__, "is not a query")
        raise ForbiddenError(f"{tree.key.upper()} {reason}; only a query may be sent")
    return tree


def _with_known_operators(text: str, tokens: list[lexical.Token]) -> str:
    """The text with operators that sqlglot does not know put as ones that it does.

    Only for the analysis: what runs is the text as it was written.
    """
    pieces, done, start = [], 0, tokens[0].start
    for token in tokens:
        if token.kind is lexical.Kind.SYMBOL and token.text in OPERATOR_STANDS_FOR:
            pieces += [text[done : token.start - start], OPERATOR_STANDS_FOR[token.text]]
            done = token.end - start
    return "".join([*pieces, text[done:]])


def _in_the_words_of_postgresql(sql: str, error: InvalidSyntaxError) -> Steps[InvalidSyntaxError]:
    """A syntax error as the server words it. EXPLAIN plans the text, and runs nothing of it."""
    try:
        found = lexical.tokens(sql)
    except lexical.LexicalError:
        return error
    if not found or found[0].text not in QUERY_WORDS or lexical.statements(found) != 1:
        return error
    try:
        yield Fetch("explain " + sql)
    except psycopg.Error as theirs:
        refused = yield from refusal(theirs)
        return refused if isinstance(refused, InvalidSyntaxError) else error
    return InvalidSyntaxError(f"the guard cannot analyse this, write it more simply: {error}")


def _refuse_foreign_nodes(tree: exp.Expr) -> None:
    for node in tree.walk():
        name = type(node).__name__
        if name not in syntax.ALLOWED and name not in syntax.CALLS:
            reason = syntax.REFUSED.get(name, "is not known to the guard")
            raise ForbiddenError(f"{_label(node)} {reason}, so it has no place in a read")


def _label(node: exp.Expr) -> str:
    match node:
        case exp.Lock():
            return "FOR UPDATE/SHARE"
        case exp.Into():
            return "SELECT INTO"
        case _:
            return node.key.upper()


def _after_explain(body: list[lexical.Token]) -> list[lexical.Token]:
    """The tokens of the query, without EXPLAIN and its options if the text starts with it."""
    if body[0].text != "explain" or body[0].kind is not lexical.Kind.WORD:
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


def _check_calls(inspection: Inspection, facts: Facts) -> Steps[None]:
    aliases = {
        names.identifier(alias.this)
        for alias in inspection.tree.find_all(exp.TableAlias)
        if alias.args.get("columns")
    }
    for call in inspection.calls:
        if not call.quoted and call.schema is None and call.name in RESERVED_WORDS:
            continue
        overloads = facts.functions.get(call.name, [])
        reason = objection(overloads, call.schema)
        if reason:
            raise ForbiddenError(f"{call.name}() may not be called here: {reason}")
        reachable = [
            f for f in overloads if (f.schema == call.schema if call.schema else f.on_search_path)
        ]
        if reachable or call.name in facts.types:
            continue
        if call.schema is None and (
            call.name in aliases or (call.name in GRAMMAR_WORDS and not call.quoted)
        ):
            continue
        known = [row[0] for row in (yield Fetch(FUNCTION_NAMES, ())).rows]
        near = nearest(call.name, known)
        suggestion = f"; nearest: {', '.join(near)}" if near else ""
        raise UnknownNameError(f"there is no function {call.name}(){suggestion}")


def _check_names(inspection: Inspection, facts: Facts, system_catalogs: bool) -> Steps[None]:
    for schema, name in inspection.tables:
        found = facts.relation(schema, name)
        if name in REFUSED_RELATIONS and (found is None or found.schema == "pg_catalog"):
            raise ForbiddenError(f"{name} holds what a reader has no business with")
        if found and found.schema in SYSTEM_SCHEMAS and not system_catalogs:
            raise ForbiddenError(f"{name} is a system catalog, not data")
    missing = names.unknown_table(inspection.tree, facts)
    if missing:
        raise UnknownNameError(names.table_message(*missing, (yield from user_relations())))
    message = names.unknown_column(inspection.tree, facts)
    if message:
        raise UnknownNameError(message)
