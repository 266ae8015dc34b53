"""What a script for `execute_sql` is made of, so that several statements are all or nothing. Pure.

Several statements run in one transaction that is opened for them and ends with them. So none may
end it early, or keep a part: what controls transactions has no place in a script, except BEGIN at
its start with COMMIT at its end, which say what happens anyhow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mcp_server.errors import SqlRefusedError
from mcp_server.nl2sql.database.postgres_lexer import Kind, LexicalError, Token, tokens

LONGEST_SCRIPT = 50_000_000  # characters; more than a client sends in one call
DEEPEST = 10_000

BEGINNING = frozenset({"begin", "start"})
ENDING = frozenset({"commit", "end"})
CONTROL = BEGINNING | ENDING | {"rollback", "abort", "savepoint", "release"}


@dataclass(frozen=True, slots=True)
class Script:
    """count: statements in it. own_transaction: begins with BEGIN and ends with COMMIT."""

    count: int
    own_transaction: bool

    @property
    def needs_a_transaction(self) -> bool:
        """One alone needs none: VACUUM, CREATE DATABASE and the like take none."""
        return self.count > 1 and not self.own_transaction


def read(sql: str) -> Script:
    """Take a script apart. Raises SqlRefusedError for one that controls its transaction."""
    found = statements(sql)
    wrapped = (
        len(found) > 1
        and _opens(found[0])
        and _is_plain_commit(found[-1])
        and not any(map(controls, found[1:-1]))
    )
    if not wrapped:
        for number, statement in enumerate(found, 1):
            if controls(statement):
                raise SqlRefusedError(_advice(statement, number, len(found)))
    return Script(len(found), wrapped)


def statements(sql: str) -> list[list[Token]]:
    """The statements of a script. Raises SqlRefusedError for one that cannot be read."""
    try:
        return pieces(sql)
    except LexicalError as error:
        raise SqlRefusedError(f"the SQL cannot be read: {error}. Nothing was run") from error


def pieces(sql: str) -> list[list[Token]]:
    """The same of any text, such as the body of a function. Raises LexicalError."""
    return split(tokens(sql, longest=LONGEST_SCRIPT, deepest=DEEPEST, unicode_strings=True))


def split(found: Sequence[Token]) -> list[list[Token]]:
    """The statements of a script. Semicolons between BEGIN ATOMIC and its END are of a body."""
    statements: list[list[Token]] = []
    current: list[Token] = []
    depth = brackets = 0
    for token in found:
        symbol = token.text if token.kind is Kind.SYMBOL else ""
        if symbol == ";" and not depth and not brackets:
            if current:
                statements.append(current)
            current = []
            continue
        brackets += (symbol == "(") - (symbol == ")")
        if token.kind is Kind.WORD and not brackets and _makes_a_routine(current):
            opens = token.text == "atomic" and current[-1].text == "begin"
            label = current[-1].text == "as"
            if opens or (depth and token.text == "case" and not label):
                depth += 1
            elif depth and token.text == "end" and not label:
                depth -= 1
        current.append(token)
    if current:
        statements.append(current)
    return statements


def controls(statement: Sequence[Token]) -> bool:
    """Whether a statement begins, ends or divides a transaction."""
    first = _words(statement)[:2]
    return bool(first) and (first[0] in CONTROL or first == ["prepare", "transaction"])


def _makes_a_routine(statement: Sequence[Token]) -> bool:
    words = _words(statement)
    if words[1:3] == ["or", "replace"]:
        del words[1:3]
    return words[:1] == ["create"] and words[1:2] in (["function"], ["procedure"])


ROWS_ALONE = frozenset(
    {"ANALYZE", "COPY", "DELETE", "EXPLAIN", "FETCH", "INSERT", "MERGE", "RESET", "SELECT", "SET"}
    | {"SHOW", "TRUNCATE", "UPDATE", "VACUUM"}
)
"""Commands that leave schemas as they are, unless a function in them does not."""


def may_change_a_schema(tag: str) -> bool:
    """Whether a statement with this command tag may have made, changed or dropped an object."""
    return tag.partition(" ")[0] not in ROWS_ALONE


def _words(statement: Sequence[Token]) -> list[str]:
    """The first words of a statement, as far as it goes without anything else."""
    found = []
    for token in statement[:4]:
        if token.kind is not Kind.WORD:
            break
        found.append(token.text)
    return found


def _opens(statement: Sequence[Token]) -> bool:
    return _words(statement)[:1] == ["begin"] or _words(statement)[:2] == ["start", "transaction"]


def _is_plain_commit(statement: Sequence[Token]) -> bool:
    """COMMIT and END, alone or with WORK or TRANSACTION; not AND CHAIN, not COMMIT PREPARED."""
    words = [token.text for token in statement]
    return words[0] in ENDING and words[1:] in ([], ["work"], ["transaction"])


def _advice(statement: Sequence[Token], number: int, count: int) -> str:
    name = " ".join(token.text.upper() for token in statement[:2] if token.kind is Kind.WORD)
    where = f"statement {number} of {count} is {name}" if count > 1 else f"{name} was sent alone"
    return (
        f"{where}: a script is one transaction by itself, and each call is on its own, so it may "
        "neither begin, end nor divide one. Leave it out; or put BEGIN first and COMMIT last with "
        "nothing of the kind between. Nothing was run"
    )
