"""PostgreSQL's lexical structure, just enough to know what a text calls and where it ends.

A second reader of the SQL beside sqlglot's: the guard asks this one for the names that are
called, so a text that two parsers understand differently cannot hide a call in what one of them
takes for a string or a comment. Source: PostgreSQL manual, "Lexical Structure"; `scan.l`.
"""

import re
from dataclasses import dataclass
from enum import Enum

MAX_LENGTH = 100_000  # characters
MAX_DEPTH = 64  # open brackets at one place; sqlglot's parser recurses


class LexicalError(ValueError):
    """The text is no sequence of PostgreSQL tokens that this reader accepts."""


class Kind(Enum):
    """What a token is."""

    WORD = "word"  # unquoted identifier or keyword, folded to lower case
    QUOTED = "quoted"  # "identifier", exact
    STRING = "string"
    NUMBER = "number"
    PARAMETER = "parameter"  # $1
    SYMBOL = "symbol"  # one character of ( ) [ ] , ; . : or an operator


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of SQL as PostgreSQL's lexer cuts it."""

    kind: Kind
    text: str
    start: int  # character offset in the source
    end: int


@dataclass(frozen=True, slots=True)
class Call:
    """A name followed by an opening bracket."""

    name: str
    schema: str | None
    quoted: bool


_TOKEN = re.compile(
    r"""
    (?P<space>\s+ | --[^\n\r]*)
  | (?P<comment>/\*)
  | (?P<unicode>[uU]&['"])
  | (?P<escaped>[eE]'(?:[^'\\]|''|\\.)*')
  | (?P<string>[bBxXnN]?'(?:[^']|'')*')
  | (?P<quoted>"(?:[^"]|"")+")
  | (?P<dollar>\$(?P<tag>(?:[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*)?)\$)
  | (?P<parameter>\$\d+)
  | (?P<number>(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?|0[xXoObB][0-9a-fA-F_]+)
  | (?P<word>[A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*)
  | (?P<symbol>::|<\#>|<\+>|<~>|<%>|<<<->|<<->|<->>>|<->>|<<%|%>>|<%|%>
      |[-()\[\],;.:+*/<>=~!@#%^&|`?{}\\])
    """,
    re.VERBOSE | re.DOTALL,
)


def tokens(sql: str) -> list[Token]:
    """The tokens of `sql` without white space and comments.

    Raises LexicalError on text that is too long, too deeply nested or not closed, and on
    U&-strings, whose escapes could spell any name.
    """
    if len(sql) > MAX_LENGTH:
        raise LexicalError(f"the SQL has {len(sql)} characters; at most {MAX_LENGTH} are accepted")
    if "\0" in sql:
        raise LexicalError("the SQL contains a null character")
    found: list[Token] = []
    position = depth = 0
    while position < len(sql):
        match = _TOKEN.match(sql, position)
        if match is None:
            raise LexicalError(_unclosed(sql, position))
        start, position = match.span()
        text = match.group()
        match match.lastgroup:
            case "space":
                continue
            case "comment":
                position = _end_of_comment(sql, start)
                continue
            case "unicode":
                raise LexicalError("U& strings are not accepted; write the characters themselves")
            case "dollar" | "tag":
                closing = sql.find(text, position)
                if closing < 0:
                    raise LexicalError(f"the string that {text} opens is not closed")
                position = closing + len(text)
                found.append(Token(Kind.STRING, sql[start:position], start, position))
            case "quoted":
                name = text[1:-1].replace('""', '"')
                found.append(Token(Kind.QUOTED, name, start, position))
            case "word":
                found.append(Token(Kind.WORD, _fold(text), start, position))
            case "escaped" | "string":
                found.append(Token(Kind.STRING, text, start, position))
            case "number":
                found.append(Token(Kind.NUMBER, text, start, position))
            case "parameter":
                found.append(Token(Kind.PARAMETER, text, start, position))
            case _:
                depth += (text in "([") - (text in ")]")
                if depth > MAX_DEPTH:
                    raise LexicalError(f"the SQL is nested more than {MAX_DEPTH} brackets deep")
                found.append(Token(Kind.SYMBOL, text, start, position))
    return found


def statements(found: list[Token]) -> int:
    """How many non-empty statements the tokens hold, as separated by semicolons."""
    count, empty = 0, True
    for token in found:
        if token.kind is Kind.SYMBOL and token.text == ";":
            empty = True
        elif empty:
            count, empty = count + 1, False
    return count


def calls(found: list[Token]) -> list[Call]:
    """Every name that an opening bracket follows: calls, and what looks like one."""
    result = []
    for i, token in enumerate(found[:-1]):
        if token.kind not in (Kind.WORD, Kind.QUOTED) or found[i + 1].text != "(":
            continue
        if found[i + 1].kind is not Kind.SYMBOL:
            continue
        schema = None
        if i >= 2 and found[i - 1].text == "." and found[i - 2].kind in (Kind.WORD, Kind.QUOTED):
            schema = found[i - 2].text
        result.append(Call(token.text, schema, token.kind is Kind.QUOTED))
    return result


def _fold(word: str) -> str:
    """PostgreSQL folds ASCII letters of unquoted names, and no others in a UTF-8 database."""
    return "".join(c.lower() if c.isascii() else c for c in word)


def _end_of_comment(sql: str, start: int) -> int:
    depth = 0
    for match in re.compile(r"/\*|\*/").finditer(sql, start):
        depth += 1 if match.group() == "/*" else -1
        if depth == 0:
            return match.end()
    raise LexicalError("a comment is not closed")


def _unclosed(sql: str, position: int) -> str:
    match sql[position]:
        case "'":
            return "a string is not closed: a quote ' is missing"
        case '"':
            return 'a quoted name is not closed or empty: a quote " is missing'
        case character:
            return f"unexpected character {character!r} at position {position + 1}"
