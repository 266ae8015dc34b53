"""PostgreSQL's lexical structure, just enough to know where a statement begins and ends.

The guard learns from it that there is one statement and of which kind, `sql_script.py` where each
of several ends. What a statement calls PostgreSQL says itself.
Source: PostgreSQL manual, "Lexical Structure"; `scan.l`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

MAX_LENGTH = 100_000  # characters
MAX_DEPTH = 64  # open brackets at one place; the parsers recurse


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

    __hash__ = object.__hash__  # a script has many tokens, and Enum's own is written in Python


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of SQL as PostgreSQL's lexer cuts it."""

    kind: Kind
    text: str
    start: int  # character offset in the source
    end: int


TIME_WORDS = frozenset({"interval", "time", "timestamp"})
"""Grammar's own, before a string: interval '1 day'."""

_TOKEN = re.compile(
    r"""
    (?P<space>\s+ | --[^\n\r]*)
  | (?P<comment>/\*)
  | (?P<unicode>[uU]&['"])
  | (?P<escaped>[eE]'(?:[^'\\]|''|\\.)*'
      # It goes on behind a line break, escapes and all.
      (?:(?:[ \t\f\v]|--[^\n\r]*)*[\n\r](?:\s|--[^\n\r]*[\n\r])*'(?:[^'\\]|''|\\.)*')*)
  | (?P<string>[bBxXnN]?'(?:[^']|'')*')
  | (?P<quoted>"(?:[^"]|"")+")
  | (?P<dollar>\$(?P<tag>(?:[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*)?)\$)
  | (?P<parameter>\$\d+)
  | (?P<number>(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?|0[xXoObB][0-9a-fA-F_]+)
  | (?P<word>[A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*)
  | (?P<symbol>::|<\#>|<\+>|<~>|<%>|<<<->|<<->|<->>>|<->>|<<%|%>>|<%|%>
      |[-()\[\],;.:+*/<>=~!@#%^&|`?{}\\])
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
# ASCII: PostgreSQL takes every character above for a letter, blanks and digits of Unicode too.


def tokens(
    sql: str,
    *,
    longest: int = MAX_LENGTH,
    deepest: int = MAX_DEPTH,
    unicode_strings: bool = False,
) -> list[Token]:
    """The tokens of `sql` without white space and comments.

    Raises LexicalError on text that is too long, too deeply nested or not closed, and on
    U&-strings, whose escapes could spell any name, unless they are let through as they are.
    """
    if len(sql) > longest:
        raise LexicalError(f"the SQL has {len(sql)} characters; at most {longest} are accepted")
    if "\0" in sql:
        raise LexicalError("the SQL contains a null character")
    if not _is_unicode(sql):
        raise LexicalError("the SQL contains half of a character (a lone surrogate)")
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
            case "unicode" if unicode_strings:
                position = start + 2  # the string or name itself comes next
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
                if depth > deepest:
                    raise LexicalError(f"the SQL is nested more than {deepest} brackets deep")
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


def literals(found: Sequence[Token]) -> list[Token]:
    """The strings whose type is told by where they stand: all but bits, and time's own syntax."""
    return [
        token
        for before, token in zip([None, *found], found, strict=False)
        if token.kind is Kind.STRING
        and token.text[0] not in "bBxXnN"
        and not (before and before.kind is Kind.WORD and before.text in TIME_WORDS)
    ]


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


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
