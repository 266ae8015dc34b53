"""Which SQL destroys something, as far as its tokens tell. Pure.

Asked for is what a person should have seen first: DROP, TRUNCATE, DELETE and UPDATE of every row,
ALTER ... DROP, and what cannot be known before it runs (DO, CALL, EXECUTE of what another made).
PostgreSQL's keywords cannot be hidden: they are never quoted or escaped. In doubt, it destroys.
What a function does is not in its call: `Judged.calls` names those to look up, and
`destroys_in_body` says of their source. `docs/mcp.md` has what nobody can know.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from mcp_server import sql_script
from mcp_server.nl2sql.database.postgres_lexer import Kind, LexicalError, Token
from mcp_server.rendering import clip

Statement = Sequence[Token]

NO_FUNCTIONS = frozenset(
    {
        *("all", "and", "any", "array", "as", "check", "default", "else", "from", "in", "not"),
        *("on", "or", "primary", "returning", "select", "some", "then", "unique", "using"),
        *("values", "when", "where", "with"),
    }
)
"""Words that stand before a bracket and cannot be functions, unless they are quoted."""
REASONS_MAX = 20
NAME_CHARACTERS = 80

DESTROYING_FUNCTIONS = frozenset(
    {"lo_unlink", "lo_truncate", "lo_truncate64", "pg_drop_replication_slot"}
)
"""PostgreSQL's own. `dblink_exec` and its like, of extensions, reach other databases."""
RUNNING_SQL = frozenset({"dblink", "dblink_exec", "dblink_send_query", "dblink_open"})

BODIES = frozenset({"function", "procedure", "rule", "trigger", "policy", "view", "publication"})
"""What CREATE makes whose words run later, if at all."""
BEFORE_A_KIND = frozenset(
    {"or", "replace", "constraint", "event", "recursive", "materialized"}
    | {"temp", "temporary", "global", "local", "unlogged"}
)
NOT_A_VERB_AFTER = frozenset({"for", "key", "on", "grant", "revoke", "after", "or"})
"""FOR UPDATE, ON UPDATE, GRANT UPDATE."""
A_PART_AFTER = frozenset({"do", "then"})
"""ON CONFLICT DO UPDATE SET, MERGE ... THEN UPDATE SET; a block has DO and THEN before others."""
SAME_FOR_EVERY_ROW = frozenset({Kind.SYMBOL, Kind.STRING, Kind.NUMBER, Kind.PARAMETER})
CONSTANTS = frozenset({"true", "false", "null", "not", "is", "and", "or", "in", "between"})
DYNAMIC = frozenset({"execute", "call", "drop", "truncate"})


@dataclass(frozen=True, slots=True)
class Judged:
    """reasons: what a script destroys, in words. calls: names of functions that it may call.

    in_parts: whether a part of it may stay done when it fails, for it is a CALL or DO that commits.
    """

    reasons: tuple[str, ...]
    calls: frozenset[str]
    in_parts: bool


def judge(sql: str) -> Judged:
    """What a script destroys. Raises SqlRefusedError for one that cannot be read."""
    statements = sql_script.statements(sql)
    prepared = {
        statement[1].text
        for statement in statements
        if _word(statement, 0) == "prepare" and len(statement) > 1
    }
    reasons = [
        f"statement {number}: {reason}" if len(statements) > 1 else reason
        for number, statement in enumerate(statements, 1)
        for reason in _reasons(statement, prepared)
    ]
    reasons += [f"{name}(), which the SQL makes itself" for name in _made_and_called(statements)]
    if len(reasons) > REASONS_MAX:
        reasons = [*reasons[:REASONS_MAX], f"and {len(reasons) - REASONS_MAX} more"]
    calls = frozenset(name for statement in statements for name in _called(statement))
    in_parts = len(statements) == 1 and _word(statements[0], 0) in {"call", "do"}
    return Judged(tuple(reasons), calls, in_parts)


def _made_and_called(statements: Sequence[Statement]) -> list[str]:
    """Functions that a script makes and calls, which nobody can look up before."""
    made: set[str] = set()
    called: set[str] = set()
    for statement in statements:
        if _word(statement, 0) == "create" and _kind(statement) in {"function", "procedure"}:
            made |= _called(statement[: next(_brackets(statement), 0) + 1])
        else:
            called |= _called(statement)
    return sorted(made & called)


def _brackets(statement: Statement) -> Iterator[int]:
    """Where brackets open."""
    return (
        at for at, token in enumerate(statement) if token.kind is Kind.SYMBOL and token.text == "("
    )


def destroys_in_body(source: str) -> bool:
    """Whether the source of a function in SQL or PL/pgSQL may destroy something.

    It does if it has a word for that, or runs SQL that it makes itself.
    """
    try:
        statements = sql_script.pieces(source)
    except LexicalError:
        return True
    return any(
        any(token.kind is Kind.WORD and token.text in DYNAMIC for token in statement)
        or any(True for _ in _rows_that_go(statement))
        or bool(_called(statement) & (DESTROYING_FUNCTIONS | RUNNING_SQL))
        for statement in statements
    )


def _reasons(statement: Statement, prepared: set[str]) -> Iterator[str]:
    if _word(statement, 0) == "explain":
        if not any(_is(token, "analyze", "analyse") for token in statement):
            return
        # What it runs begins behind its options, wherever these end; rows go from all of it.
        yield from _rows_that_go(statement)
        verbs = ("execute", "declare", "create")
        at = next((n for n, token in enumerate(statement) if _is(token, *verbs)), len(statement))
        for name in sorted(_called(statement[:at]) & (DESTROYING_FUNCTIONS | RUNNING_SQL)):
            yield f"{name}()"
        statement = statement[at:]
        if not statement:
            return
    match _word(statement, 0):
        case "drop" | "truncate":
            yield _beginning(statement)
            return
        case "do":
            yield "DO, a block that may do anything"
            return
        case "call":
            yield f"{_beginning(statement)}, a procedure that may do anything"
            return
        case "alter":
            yield from _altered(statement)
            return
        case "create":
            kind = _kind(statement)
            if kind in BODIES and _word(statement, 1) != "materialized":
                return
            yield from _executed(statement, prepared)
        case "execute":
            yield from _executed(statement, prepared)
    yield from _rows_that_go(statement)
    for name in sorted(_called(statement) & DESTROYING_FUNCTIONS):
        yield f"{name}()"
    for name in sorted(_called(statement) & RUNNING_SQL):
        yield f"{name}(), which may run anything elsewhere"


def _altered(statement: Statement) -> Iterator[str]:
    words = [token.text for token in statement if token.kind is Kind.WORD]
    if "drop" in words[2:]:
        yield f"{_beginning(statement)} ... DROP"
    elif "type" in words[2:] and "using" in words:
        yield f"{_beginning(statement)} ... TYPE ... USING, which replaces all values"


def _executed(statement: Statement, prepared: set[str]) -> Iterator[str]:
    """EXECUTE of what the script itself prepared was judged where it was prepared."""
    for at, token in enumerate(statement[:-1]):
        before = _word(statement, at - 1) if at else ""
        if _is(token, "execute") and before in {"", "as"}:
            name = statement[at + 1].text
            if name not in prepared:
                yield f"EXECUTE {clip(name, NAME_CHARACTERS)}, which may be anything"
            return


def _rows_that_go(statement: Statement) -> Iterator[str]:
    """DELETE and UPDATE of every row, and MERGE that deletes: at the top, or in a WITH."""
    for at, token in enumerate(statement):
        following = _word(statement, at + 1)
        if _is(token, "delete") and following == "from":
            target = at + 2
        elif _is(token, "update") and not _is_part(statement, at):
            target = at + 1
        elif _is(token, "merge") and following == "into":
            target = at + 2
        else:
            continue
        rest = _to_the_end_of_its_brackets(statement[target:])
        if why := _of_every_row(token.text, rest):
            yield f"{token.text.upper()} of {_name(statement, target)}{why}"


def _is_part(statement: Statement, at: int) -> bool:
    """Whether the word UPDATE at a place is part of something else."""
    before = _word(statement, at - 1)
    return before in NOT_A_VERB_AFTER or (
        before in A_PART_AFTER and _word(statement, at + 1) == "set"
    )


def _of_every_row(verb: str, rest: Statement) -> str | None:
    """Why a DELETE, UPDATE or MERGE should be confirmed; None where it need not."""
    words = [(at, rest[at].text) for at in _outside_brackets(rest) if rest[at].kind is Kind.WORD]
    texts = [word for _, word in words]
    if verb == "merge":
        deletes = ("then", "delete") in pairwise(texts)
        return ", which deletes rows" if deletes else None
    if verb == "update" and "set" not in texts[1:]:
        return None  # it is a name, or FOR UPDATE and its like
    ends = next((at for at, word in words if word == "loop"), len(rest))  # others' begins there
    where = next((at for at, word in words if word == "where" and at < ends), None)
    if where is None:
        return " without WHERE"
    end = next((at for at, word in words if word == "returning" and at > where), ends)
    constant = all(
        token.kind in SAME_FOR_EVERY_ROW or _is(token, *CONSTANTS)
        for token in rest[where + 1 : end]
    )
    return " with a WHERE that is the same for every row" if constant else None


def _to_the_end_of_its_brackets(statement: Statement) -> Statement:
    depth = 0
    for at, token in enumerate(statement):
        symbol = token.text if token.kind is Kind.SYMBOL else ""
        depth += (symbol == "(") - (symbol == ")")
        if depth < 0:
            return statement[:at]
    return statement


def _outside_brackets(statement: Statement) -> Iterator[int]:
    """Where tokens stand that are in no bracket."""
    depth = 0
    for at, token in enumerate(statement):
        symbol = token.text if token.kind is Kind.SYMBOL else ""
        depth += symbol == "("
        if depth == 0:
            yield at
        depth -= symbol == ")"


def _called(statement: Statement) -> frozenset[str]:
    """Names before a bracket. Of what is no call (a type's length) nothing is found later."""
    return frozenset(
        token.text
        for at, (token, following) in enumerate(pairwise(statement))
        if following.text == "("
        and following.kind is Kind.SYMBOL
        and (token.kind is Kind.QUOTED or _may_be_called(token))
        and _word(statement, at - 1) != "into"
    )


def _may_be_called(token: Token) -> bool:
    return token.kind is Kind.WORD and token.text not in NO_FUNCTIONS


def _kind(statement: Statement) -> str:
    """What a CREATE makes."""
    words = (token.text for token in statement[1:6] if token.kind is Kind.WORD)
    return next((word for word in words if word not in BEFORE_A_KIND), "")


def _beginning(statement: Statement) -> str:
    """Its first words, with the name that they are about."""
    skipped = {"if", "exists", "only", "concurrently"}
    keywords, at = [], 0
    while at < min(len(statement), 3) and statement[at].kind is Kind.WORD and at < 2:
        keywords.append(statement[at].text.upper())
        at += 1
    if keywords[1:] and keywords[0] in {"TRUNCATE", "CALL"} and keywords[1] != "TABLE":
        keywords, at = keywords[:1], 1
    if keywords[1:] == ["MATERIALIZED"] or keywords[1:] == ["FOREIGN"]:
        keywords.append(_word(statement, at).upper())
        at += 1
    while _word(statement, at) in skipped:
        at += 1
    return " ".join([*keywords, _name(statement, at)]).strip()


def _name(statement: Statement, start: int) -> str:
    """A name with its schema, as it was written."""
    at = start + (_word(statement, start) == "only")
    parts: list[str] = []
    for token in statement[at : at + 5]:
        if token.kind in {Kind.WORD, Kind.QUOTED} and (not parts or parts[-1] == "."):
            parts.append(token.text if token.kind is Kind.WORD else f'"{token.text}"')
        elif token.kind is Kind.SYMBOL and token.text == "." and parts:
            parts.append(".")
        else:
            break
    return clip("".join(parts), NAME_CHARACTERS)


def _word(statement: Statement, at: int) -> str:
    if 0 <= at < len(statement) and statement[at].kind is Kind.WORD:
        return statement[at].text
    return ""


def _is(token: Token, *words: str) -> bool:
    return token.kind is Kind.WORD and token.text in words
