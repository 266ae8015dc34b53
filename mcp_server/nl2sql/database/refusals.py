"""What an error of PostgreSQL means for whoever wrote the query, nearest names included."""

import re

import psycopg
from psycopg import errors as pg
from sqlglot import exp

from mcp_server.nl2sql.database import names
from mcp_server.nl2sql.database.catalog import (
    FUNCTION_NAMES,
    Relation,
    look_up,
    nearest,
    user_relations,
)
from mcp_server.nl2sql.database.own_names import own_names
from mcp_server.nl2sql.database.steps import Fetch, Steps
from mcp_server.nl2sql.errors import (
    ForbiddenError,
    InvalidQueryError,
    InvalidSyntaxError,
    QueryTimeoutError,
    RefusedError,
    UnknownNameError,
)


def refusal(
    error: psycopg.Error, tree: exp.Expr | None = None, before: int = 0
) -> Steps[RefusedError]:
    """The refusal that an error of PostgreSQL means, with its code and where in the text it is.

    tree: the query, where it can be read: then the names of its tables alone are compared.
    before: characters of the text before the statement that PostgreSQL got.
    The transaction has failed by now; the names are read after a rollback to its start.
    Raises `error` itself when it is no judgement on the statement (a lost connection).
    """
    if not is_judgement(error):
        raise error
    said = primary(error)
    place = _place(error, before)
    match error:
        case pg.UndefinedColumn() | pg.UndefinedTable():
            yield from _begin_again()
            return UnknownNameError((yield from _near_names(said, tree)) + place)
        case pg.UndefinedFunction():
            yield from _begin_again()
            return (yield from _near_functions(said, place))
        case pg.QueryCanceled():
            return QueryTimeoutError(f"{said}; narrow the query")
        case pg.SyntaxError():
            return InvalidSyntaxError(said + place)
        case pg.ReadOnlySqlTransaction() | pg.InsufficientPrivilege():
            return ForbiddenError(said + place)
        case _:
            return InvalidQueryError(said + place)
    raise AssertionError("unreachable")


def is_judgement(error: psycopg.Error) -> bool:
    """Whether an error is about what was sent, and not about the connection or the server."""
    if isinstance(error, pg.QueryCanceled):
        return True
    return error.sqlstate is not None and error.sqlstate[:2] not in ("08", "57", "58", "XX")


def primary(error: psycopg.Error) -> str:
    """PostgreSQL's message in one line, with its hint."""
    message = error.diag.message_primary or str(error).partition("\n")[0]
    hint = error.diag.message_hint
    return f"{message}. {hint}" if hint else message


def _place(error: psycopg.Error, before: int) -> str:
    position = error.diag.statement_position
    where = "" if position is None else f", at character {int(position) + before} of the SQL"
    return f" (SQLSTATE {error.sqlstate}{where})"


def _begin_again() -> Steps[None]:
    yield Fetch("rollback", ())
    yield Fetch("begin transaction read only", ())
    yield from own_names()


def _near_names(said: str, tree: exp.Expr | None) -> Steps[str]:
    known = yield from user_relations()
    if tree is not None:
        relations = yield from look_up({name for _, name in names.tables(tree)})
        missing = names.unknown_table(tree, relations)
        if missing:
            return names.table_message(*missing, known)
        if message := names.unknown_column(tree, relations):
            return message
    return _with_names(said, known)


def _with_names(said: str, known: list[Relation]) -> str:
    of_table = re.search(r'column "(.+?)" of relation "(.+?)" does not exist', said)
    if of_table:
        there = [each for each in known if each.name == of_table[2]]
        return f"{said} ({names.column_message(of_table[1], None, there or known)})"
    column = re.search(r'column (?:"(.+?)"|[^\s".]+\.(.+?)) does not exist', said)
    if column:
        return f"{said} ({names.column_message(column[1] or column[2], None, known)})"
    table = re.search(r'relation "(?:([^".]+)\.)?([^"]+)" does not exist', said)
    if table:
        return names.table_message(table[1], table[2], known)
    return said


def _near_functions(said: str, place: str) -> Steps[RefusedError]:
    """An operator, or a function that there is with other parameters, is no unknown name."""
    function = re.match(r'function (?:[^\s".(]+\.)?"?([^\s"(]+)"?\(', said)
    known = [row[0] for row in (yield Fetch(FUNCTION_NAMES, ())).rows] if function else []
    if not function or function[1] in known:
        return InvalidQueryError(said + place)
    near = nearest(function[1], known)
    suggestion = f"; nearest: {', '.join(near)}" if near else ""
    return UnknownNameError(f"there is no function {function[1]}(){suggestion}{place}")
