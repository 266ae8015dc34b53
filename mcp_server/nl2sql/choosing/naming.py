"""Signs that a query and a question speak of the same things, by the words of their names."""

import re
from collections.abc import Iterable, Sequence

from sqlglot import exp

from mcp_server.nl2sql.choosing.confidence import asks_for_groups, keys_of
from mcp_server.nl2sql.database.guard.functions import words
from mcp_server.nl2sql.schema.derived import LASTING, UNITS
from mcp_server.nl2sql.schema.display import name_of, parts_of_name
from mcp_server.nl2sql.schema.model import Profile
from mcp_server.nl2sql.words.abbreviations import abbreviates
from mcp_server.nl2sql.words.lexicon import (
    COMPARATIVES,
    FILLER,
    HOW,
    MEASURED,
    PEOPLE,
    PHRASE_SUPERLATIVES,
    POLITE,
    RELATING,
    STOP,
    SUPERLATIVES,
    SYNONYMS,
)
from mcp_server.nl2sql.words.related import RELATED
from mcp_server.nl2sql.words.tokens import Mark, Token, identifier_words, lemma, stem

GENERIC = frozenset({"id", "name", "code", "number"})
"""Words of so many names that alone they identify none."""

CALLED = frozenset({"name", "title"})

WHO = frozenset({"who", "whom", "whose", "anyone", "anybody", "somebody", "everyone", "everybody"})

KINDS = frozenset({"type", "method", "code", "status", "category", "kind", "level", "role"})
"""What rows have in common: who asks for them seldom wants one for each row."""

STRUCTURE = words(
    """
    number count total sum average mean avg maximum minimum max min most least highest lowest
    largest smallest biggest fewest top best worst greatest different distinct unique many each
    every per more less greater larger higher lower smaller above below over under after before
    older younger fewer between not never without both either or and at least exactly equal sort
    sorted order ordered ascending descending alphabetical alphabetically first last than same
    only any all contain contains include starting ending substring letter along corresponding
    respectively common popular frequent one two three use used using have hold go went through
    work working worked placed participate participated
    live living world around up end ended being people exist ever single reversed lexicographical
    """
)
"""Words that a query answers by its form, not by a name."""

PARTS_OF_DATES = {
    "isodow": ("weekday", "week", "day"), "hour": ("hour", "day"), "month": ("month", "year"),
    "decade": ("decade",), "epoch": (*LASTING, *UNITS), "year": ("age", "year"),
}  # fmt: skip
"""What questions call a part of a date that a query takes."""

_LINKING = frozenset(["the", "a", "an", "of", "be", "call", "named", "called", "name", "in"])

_HEAD_ENDS = re.compile(
    r"\b(?:of|for|from|whose|that|who|which|where|in|with|sorted|ordered|having|by|when|between)\b"
)
_ARITHMETIC = re.compile(r"\b(?:difference|ratio|quotient|product) (?:between|of)\b")
_LISTED = re.compile(r",\s*and\b|,|\band\b|\bas well as\b")


def _meanings() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for adjective, (hints, _) in [*SUPERLATIVES.items(), *COMPARATIVES.items()]:
        found.setdefault(adjective, set()).update(hints)
    for phrase, (hints, _) in PHRASE_SUPERLATIVES.items():
        found.setdefault(phrase.split()[-1], set()).update(hints)
    for adjective, hints in MEASURED.items():
        found[HOW + adjective] = set(hints)
    for group in (*SYNONYMS, *RELATED):
        for word in group:
            found.setdefault(word, set()).update(group)
    return found


MEANINGS = _meanings()
"""What else a word may be called in the name of a column: `expensive` and `price`."""


def naming_signs(tokens: Sequence[Token], tree: exp.Expr, profile: Profile) -> dict[str, float]:
    """Whether the names in a query are heard in the question, and its words are in the query."""
    heard = Heard(tokens)
    outer = tree if isinstance(tree, exp.Select) else tree.find(exp.Select) or exp.Select()
    plain = [e.name for e in outer.expressions if isinstance(e, exp.Column)]
    parts = parts_of_name(plain)
    shown = [
        c.name
        for e in outer.expressions
        for c in e.find_all(exp.Column)
        if c.find_ancestor(exp.Where) is None  # what is counted is a condition
        # what a thing is called by need not be said
        if set(identifier_words(c.name)) - CALLED and c.name not in parts
    ]
    tables = {t.name for t in tree.find_all(exp.Table)}
    unsaid = {name for name in tables if heard.share(name) == 0}
    unsaid -= _told_otherwise(heard, tree, profile)
    literals = [str(x.this) for x in tree.find_all(exp.Literal) if x.is_string]
    found = {
        "shown, heard in part": 1.0 - min((heard.share(name) for name in shown), default=1.0),
        "shown, unheard": float(sum(heard.share(name) == 0 for name in shown)),
        "tables unheard": float(min(3, len(unsaid))),
        "tables heard in part": 0.0
        if unsaid
        else min(filter(None, map(heard.share, tables)), default=1.0),
        "literals unheard": float(sum(not heard.text(value) for value in literals)),
    }
    for clause in ("where", "order", "group"):
        part = outer.args.get(clause)
        names = [c.name for c in part.find_all(exp.Column)] if part is not None else []
        if clause == "group" and outer.args.get("joins"):
            # of the things that are measured, the key and the name go without saying
            names = [name for name in names if set(identifier_words(name)) - GENERIC - CALLED]
        found[f"{clause}, unheard"] = float(min(2, sum(heard.share(name) == 0 for name in names)))
    said = " ".join(token.lemma for token in tokens)
    identifies = [
        name
        for name in plain
        if identifier_words(name)[-1:] == ("id",) and not _nameless(name, tables, profile)
    ]
    found["id shown, unasked"] = float(bool(identifies) and not re.search(r"\bid\b|\bkey\b", said))
    names = [n for n in plain if CALLED & set(identifier_words(n)) or "name" in n]
    found["name asked, not shown"] = float("name of" in said and not names)
    listed = 1
    if not _ARITHMETIC.search(said):
        listed += len(_LISTED.findall(_HEAD_ENDS.split(said, maxsplit=1)[0]))
    shown_in_all = len(outer.expressions)
    if parts and not re.search(r"\b(?:first|last|given|family|sur) ?name", said):
        shown_in_all -= 1
    found["fewer shown than listed"] = float(shown_in_all < listed)
    aggregated = any(e.find(exp.AggFunc) for e in outer.expressions)
    keys = keys_of(outer)
    measured = {e.unalias().sql() for e in outer.expressions} & keys
    asked = asks_for_groups(said) and aggregated
    if (
        asks_for_groups(said)
        and any(computed_names(e) for e in outer.expressions)
        and not aggregated
    ):
        # how long each took: what took so long stands beside it
        asked, measured = True, {e.sql() for e in outer.expressions if isinstance(e, exp.Column)}
        found["id shown, unasked"] = 0.0
    beside = shown_in_all - len(measured) if asked else shown_in_all
    found["more shown than listed"] = float(beside > listed)
    found["more shown than listed, groups"] = float(beside <= listed < shown_in_all)
    kinds = bool(plain) and all(KINDS & set(identifier_words(name)[-2:]) for name in plain)
    found["kinds shown, distinct"] = float(kinds and outer.args.get("distinct") is not None)
    found["kinds shown, plain"] = float(kinds and outer.args.get("distinct") is None)
    finer = bool(measured) and len(keys) > len(measured)
    called = bool(CALLED & {w for n in plain for w in identifier_words(n)})
    found["groups finer than shown, names"] = float(finer and called)
    found["groups finer than shown, no names"] = float(finer and not called)
    found["groups as shown, names"] = float(bool(measured) and not finer and called)
    found |= _value_signs(tokens, tree, profile)
    columns = (column.name for column in tree.find_all(exp.Column))
    lost = heard.lost([*tables, *columns, *literals, *computed_names(tree)])
    found["words lost"] = float(min(4, len(lost)))
    otherwise = [t for t in heard.content if t.lemma != lemma(t.text)]
    found["words put otherwise"] = float(min(3, len(otherwise)))
    found["some words lost"] = float(bool(lost))
    return found


def _is_called_by(profile: Profile, table: str, column: str) -> bool:
    """Whether a column holds what the rows of a table are called."""
    tables = (each for each in profile.tables if each.name == table)
    return any((name := name_of(each)) is not None and name.name == column for each in tables)


def _told_otherwise(heard: "Heard", tree: exp.Expr, profile: Profile) -> set[str]:
    """Tables that a question speaks of without their name: those with a row that it names, the only
    one of a query with a value that it says, and the people that `who` asks for.
    """
    named = {table.alias_or_name: table.name for table in tree.find_all(exp.Table)}
    found = set()
    for equal in tree.find_all(exp.EQ):
        column, value = equal.this, equal.expression
        if not (isinstance(column, exp.Column) and isinstance(value, exp.Literal)):
            continue
        table = named.get(column.table, next(iter(named.values())))
        told = len(named) == 1 or _is_called_by(profile, table, column.name)
        if told and value.is_string and heard.text(str(value.this)):
            found.add(table)
    if WHO & heard.words:
        found |= {name for name in named.values() if PEOPLE & set(identifier_words(name))}
    return found


def computed_names(tree: exp.Expr) -> list[str]:
    """What parts of dates, and the time between two, are called: no column has the name."""
    found: list[str] = []
    for part in tree.find_all(exp.Extract):
        found += PARTS_OF_DATES.get(part.name.lower(), ())
    found += (cut.text("unit").lower() for cut in tree.find_all(exp.TimestampTrunc, exp.DateTrunc))
    for passed in tree.find_all(exp.Sub):
        if isinstance(passed.this, exp.Column | exp.Cast):
            found += (*LASTING, *UNITS)
    return found


def _nameless(name: str, tables: set[str], profile: Profile) -> bool:
    """Whether a column is of a table whose rows have no other name."""
    return any(
        table.name in tables and table.column(name) is not None and name_of(table) is None
        for table in profile.tables
    )


def _value_signs(tokens: Sequence[Token], tree: exp.Expr, profile: Profile) -> dict[str, float]:
    """Whether a value is compared with the column that stands beside it: `Kent county`."""
    texts = [token.text.lower() for token in tokens]
    its, others = 0, 0
    for equal in tree.find_all(exp.EQ):
        column, value = equal.this, equal.expression
        if not isinstance(column, exp.Column) or not isinstance(value, exp.Literal):
            continue
        words = str(value.this).lower().split()
        place = next((i for i in range(len(texts)) if texts[i : i + len(words)] == words), None)
        if place is None:
            continue
        beside = {t.lemma for t in tokens[place + len(words) : place + len(words) + 1]}
        before = [t.lemma for t in tokens[max(0, place - 4) : place] if t.lemma not in _LINKING]
        beside |= set(before[-1:])
        siblings = {
            other.name: set(other.words) - GENERIC
            for table in profile.tables
            if table.column(column.name) is not None
            for other in table.columns
        }
        if beside & siblings.get(column.name, set()):
            its += 1
        elif any(beside & of_other for of_other in siblings.values()):
            others += 1
    return {
        "value beside its column": float(min(2, its)),
        "value beside another column": float(min(2, others)),
    }


class Heard:
    """The words of a question, to look names up in."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.words = {t.lemma for t in tokens if t.mark is not Mark.PUNCTUATION}
        self.stems = {stem(word) for word in self.words}
        self.meant = {other for word in self.words for other in MEANINGS.get(word, ())}
        self.long = [word for word in self.words if len(word) >= 4]
        self.joined = "".join(t.lemma for t in tokens if t.mark is not Mark.PUNCTUATION)
        self.content = [
            t
            for t in tokens
            if t.mark is Mark.WORD and t.lemma not in STOP | FILLER | POLITE | STRUCTURE | RELATING
        ]
        self._text = " ".join(t.lemma for t in tokens)

    def share(self, name: str) -> float:
        """How much of a name the question says, 0..1; a generic word counts a quarter."""
        words = identifier_words(name)
        weights = [0.25 if word in GENERIC and len(words) > 1 else 1.0 for word in words]
        said = sum(w for word, w in zip(words, weights, strict=True) if self.word(word))
        return said / (sum(weights) or 1.0)

    def word(self, word: str) -> bool:
        """Whether the question says a word, or something that means it."""
        return (
            word in self.words
            or word in self.meant
            or stem(word) in self.stems
            or (len(word) >= 5 and word in self.joined)
            or (len(word) >= 3 and any(other.startswith(word) for other in self.words))
            or any(word.startswith(other) for other in self.long)
            or (len(word) >= 3 and any(abbreviates(word, other) for other in self.words))
        )

    def text(self, value: str) -> bool:
        """Whether the question says a value."""
        words = re.findall(r"\w+", value.lower())
        return any(word in self._text or lemma(word) in self._text for word in words) or not words

    def lost(self, names: Iterable[str]) -> list[str]:
        """Words of the question that none of the names has."""
        parts = {word for name in names for word in identifier_words(name)}
        stems = {stem(word) for word in parts}
        joined = " ".join(parts)
        return [
            t.lemma
            for t in self.content
            if stem(t.lemma) not in stems
            and not MEANINGS.get(t.lemma, set()) & parts
            and not (len(t.lemma) >= 4 and t.lemma[:4] in joined)
            and not any(len(part) >= 3 and t.lemma.startswith(part) for part in parts)
            and not any(len(part) >= 3 and abbreviates(part, t.lemma) for part in parts)
        ]
