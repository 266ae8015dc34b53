"""A question as a row of symbols: names, values, numbers, and what the vocabulary knows.

Words that never matter are left out. What a symbol may be is in `alphabet`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from mcp_server.nl2sql.grammar.alphabet.kinds import (
    BY,
    COL,
    COLUMN,
    COLUMN_OR_TABLE,
    DATE,
    EACH,
    FIGURE,
    FILLER,
    FULL_STOP,
    HAVE,
    IN,
    MOST,
    NAME,
    NTH,
    NUMBER,
    OF,
    OR_MORE,
    QUOTED,
    SORTED,
    TAB,
    TABLE,
    THAT,
    TIMES,
    VAL,
    VALUE,
    VALUE_COLUMN_OR_TABLE,
    VALUE_OR_COLUMN,
    VALUE_OR_TABLE,
    WORD,
)
from mcp_server.nl2sql.grammar.alphabet.vocabulary import CUES, PHRASE_MAX, SOFT, Cue
from mcp_server.nl2sql.linking.heard import NUMBERED
from mcp_server.nl2sql.linking.linking import Linker, Ref
from mcp_server.nl2sql.linking.matching import name_match
from mcp_server.nl2sql.schema.display import name_of
from mcp_server.nl2sql.schema.model import Column, Kind, Table
from mcp_server.nl2sql.words.lexicon import RELATING, STOP
from mcp_server.nl2sql.words.tokens import Mark, Token, lemma

ORDERS = frozenset({"name", "state"})
"""Words that at the beginning say what to do, and else are names."""

BEFORE_ONE = frozenset({"the", "each", "every", "this", "that", "which", "any"})

EITHER_WITHIN = 0.2
"""A span may name a column or a table if neither name fits better by more than this."""
NAMED_WELL = 0.75
SURE = 0.9
PARTLY = 0.7
CERTAIN = 0.99
OR_VALUE = {
    COLUMN: VALUE_OR_COLUMN,
    TABLE: VALUE_OR_TABLE,
    COLUMN_OR_TABLE: VALUE_COLUMN_OR_TABLE,
}
"""What a name is that is a value too."""
FACTORS = {"half": 0.5, "double": 2, "triple": 3}
OF_A_FIGURE = frozenset({"average", "mean", "avg", "median"})
RANKING = NTH | MOST
IN_CONTEXT = WORD | COLUMN
"""What may be something else beside its neighbours."""
ORDINALS = {
    word: number
    for number, word in enumerate(
        [
            "first",
            "second",
            "third",
            "fourth",
            "fifth",
            "sixth",
            "seventh",
            "eighth",
            "ninth",
            "tenth",
        ],
        start=1,
    )
} | {f"{number}{ending}": number for number, ending in
     ((2, "nd"), (3, "rd"), *((number, "th") for number in range(4, 21)))}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Symbol:
    """A phrase of the question; tokens [start, end). kind: the letter of its `SymbolKind`."""

    kind: str
    start: int
    end: int
    text: str
    ref: Ref | None = None
    cue: Cue | None = None
    value: int | float | None = None
    lead: tuple[str, ...] = ()
    """The words before it that were left out."""


def symbols(tokens: Sequence[Token], linker: Linker) -> list[Symbol]:
    """The symbols of a question, in order."""
    refs = {part.start: part for ref in linker.refs(tokens) for part in _parts(ref, tokens, linker)}
    found: list[Symbol] = []
    at = int(bool(tokens) and tokens[0].text.lower() in ORDERS)
    while at < len(tokens):
        ref = refs.get(at)
        phrase, cue = _cue(tokens, at, refs)
        if tokens[at].lemma == "one" and at and tokens[at - 1].lemma in BEFORE_ONE:
            at += 1  # `the one`, `each one` stand for what was named before
        elif ref is not None and (_figured(ref, found) or not _yields(ref, phrase, cue, refs)):
            found.append(_named(ref, tokens))
            at = ref.end
        elif tokens[at].lemma in ("once", "twice") or _multiplies(tokens, at):
            times = FACTORS.get(tokens[at].lemma, tokens[at].value)
            found.append(Symbol(NUMBER.letter, at, at + 1, tokens[at].text, value=times))
            found.append(Symbol(TIMES.letter, at, at + 1, "times"))
            at += 1
        elif cue is not None:
            found.append(Symbol(cue.kind, at, at + len(phrase), " ".join(phrase), cue=cue))
            at += len(phrase)
        else:
            found.append(_plain(tokens[at], at))
            at += 1
    kept, lead = list[Symbol](), list[str]()
    for symbol in found:
        if symbol.kind in FILLER:
            lead.append(symbol.text)
        else:
            kept.append(replace(symbol, lead=tuple(lead)) if lead else symbol)
            lead.clear()
    kept = [_row_of_table(each, kept[place + 1 :]) for place, each in enumerate(kept)]
    kept = [each for place, each in enumerate(kept) if not _relates(kept, place)]
    keys = {key.column for key in linker.profile.foreign_keys}
    kept = [_as_role(each, kept, place, keys) for place, each in enumerate(kept)]
    kept = [_in_context(symbol, kept, place) for place, symbol in enumerate(kept)]
    return _headed([_having(symbol, kept, place) for place, symbol in enumerate(kept)])


def _relates(row: Sequence[Symbol], place: int) -> bool:
    """Whether a word says no more than that two things belong together: rivers that *run* through
    states, students *enrolled* in courses. The join says it as well.
    """
    symbol, before = row[place], row[place - 1] if place else None
    after = row[place + 1] if place + 1 < len(row) else None
    if symbol.kind not in WORD or symbol.text.lower() not in RELATING or before is None:
        return False
    behind = before.kind in NAME | VAL | THAT
    if _adds_up(before) and (after is None or after.kind in FULL_STOP | BY | EACH):
        return True  # the quantity *sold*, minutes *logged* by each
    last = after is None or after.kind in FULL_STOP
    if last:
        return behind and any(each.kind in THAT for each in row[:place])
    return behind and after is not None and after.kind in NAME | VAL | IN | OF


def _adds_up(symbol: Symbol) -> bool:
    """Whether a symbol names a measure."""
    if symbol.kind not in COL or symbol.ref is None:
        return False
    return any(column.adds_up for column, score in symbol.ref.columns if score >= SURE)


def _as_role(symbol: Symbol, row: Sequence[Symbol], place: int, keys: Collection[Column]) -> Symbol:
    """Per *project manager*, where a key is called so, and something else is: the key is meant.
    So it is of things and their project managers.
    """
    before, ref = row[place - 1] if place else None, symbol.ref
    if symbol.kind not in VAL or ref is None or before is None:
        return symbol
    if before.kind not in EACH | BY and "their" not in symbol.lead:
        return symbol
    said = tuple(lemma(word) for word in symbol.text.lower().split())
    called = [c for c, _ in ref.columns if c in keys and _without_id(c) == said]
    if len(called) != 1:
        return symbol
    ref = replace(ref, columns=[(called[0], 1.0)], values=[])
    return replace(symbol, kind=COLUMN.letter, ref=ref)


def _without_id(column: Column) -> tuple[str, ...]:
    return column.words[:-1] if column.words[-1] in NUMBERED else column.words


def _having(symbol: Symbol, row: Sequence[Symbol], place: int) -> Symbol:
    """A verb that says no more than the name behind it: who *earns* the highest salary has it."""
    before, ref = row[place - 1] if place else None, symbol.ref
    if symbol.kind not in COLUMN or ref is None or ref.best_column >= SURE:
        return symbol
    figures = next((n for n, each in enumerate(row[place + 1 :]) if each.kind not in RANKING), 0)
    named = row[place + 1 + figures] if figures else None
    if before is None or before.kind not in TAB | THAT or named is None or named.ref is None:
        return symbol
    told = [column for column, score in named.ref.columns if score >= SURE]
    same = named.kind in COL and any(column is ref.columns[0][0] for column in told)
    return replace(symbol, kind=HAVE.letter, ref=None) if same else symbol


def _row_of_table(symbol: Symbol, behind: Sequence[Symbol]) -> Symbol:
    """A value before the name of a table whose row is called so: the *Ohio* river."""
    table = behind[0] if behind and behind[0].start == symbol.end else None
    if symbol.kind not in VAL or symbol.ref is None or table is None or table.kind not in TAB:
        return symbol
    tables = [t for t, score in table.ref.tables if score >= SURE] if table.ref else []
    held = [pair for pair in symbol.ref.values if pair[0] in map(name_of, tables)]
    return replace(symbol, ref=replace(symbol.ref, values=held)) if held else symbol


def _headed(row: list[Symbol]) -> list[Symbol]:
    """Two measures in a row are one, told by the last word: the *population density*."""
    found: list[Symbol] = []
    for symbol in row:
        last = found[-1] if found else None
        one, other = _measured(last), _measured(symbol)
        if last is not None and _only_called(last, symbol):
            found[-1] = replace(last, end=symbol.end, text=f"{last.text} {symbol.text}")
            continue
        beside = last is not None and last.end == symbol.start and _singled_out(found)
        if last is not None and beside and one and other and one & other:
            text = f"{last.text} {symbol.text}"
            found[-1] = replace(symbol, start=last.start, text=text, lead=last.lead)
        else:
            found.append(symbol)
    return found


def _only_called(symbol: Symbol, behind: Symbol) -> bool:
    """The country *name*, where the country is a text: no other name is meant."""
    if behind.kind not in COLUMN or behind.start != symbol.end or symbol.kind not in COLUMN:
        return False
    ref = symbol.ref
    texts = ref is not None and ref.best_column >= SURE
    texts = texts and ref is not None and all(c.kind is Kind.TEXT for c, _ in ref.columns)
    return texts and behind.text.lower() in ("name", "names") and symbol.text.lower() != "name"


def _measured(symbol: Symbol | None) -> set[Table]:
    """The tables with a column of numbers that a symbol names by one word."""
    if symbol is None or symbol.kind not in COL or symbol.ref is None or " " in symbol.text:
        return set()
    named = [column for column, score in symbol.ref.columns if score >= SURE]
    return {column.table for column in named if column.counts}


def _singled_out(found: Sequence[Symbol]) -> bool:
    """Whether the last symbol is one thing that is spoken of, and not one of a list of words."""
    before = found[-2] if len(found) > 1 else None
    ranked = before is not None and before.kind in FIGURE | BY
    return ranked or "the" in found[-1].lead


def _in_context(symbol: Symbol, row: Sequence[Symbol], place: int) -> Symbol:
    """What a plain word is by the symbols beside it: a value of a column, an ordinal, `times`."""
    if symbol.kind not in IN_CONTEXT:
        return symbol
    before = row[place - 1] if place else None
    after = row[place + 1] if place + 1 < len(row) else None
    word = symbol.text.lower()
    if before is not None and before.kind in NUMBER and word in ("time", "times"):
        return replace(symbol, kind=TIMES.letter, ref=None)
    if symbol.kind in COLUMN:
        return symbol
    if word in ORDINALS and after is not None and after.kind in COL:
        return replace(symbol, kind=NUMBER.letter, value=ORDINALS[word])
    if ORDINALS.get(word, 1) > 1 and after is not None and after.kind in MOST:
        return replace(symbol, kind=NTH.letter, value=ORDINALS[word])
    if before is not None and before.ref is not None:
        named = [column for column, score in before.ref.columns if score >= NAMED_WELL]
        named += [c for table, score in before.ref.tables if score >= SURE for c in table.columns]
        held = [(column, column.values[word]) for column in named if word in column.values]
        if held:
            ref = Ref(symbol.start, symbol.end, symbol.text, values=held, score=1.0)
            return replace(symbol, kind=VALUE.letter, ref=ref)
    return symbol


def _cue(
    tokens: Sequence[Token], at: int, refs: Mapping[int, Ref]
) -> tuple[tuple[str, ...], Cue | None]:
    """The longest phrase that begins at a token and cuts no name of several words."""
    for length in range(min(PHRASE_MAX, len(tokens) - at), 0, -1):
        if any(inner in refs and _whole(refs[inner]) for inner in range(at + 1, at + length)):
            continue
        phrase = tuple(token.lemma for token in tokens[at : at + length])
        cue = CUES.get(phrase)
        inner = refs.get(at + 1)
        if length > 1 and cue and cue.kind in FIGURE and inner and inner.best_column >= CERTAIN:
            continue  # `the total amount of`, where there is an amount
        after = tokens[at + length] if at + length < len(tokens) else None
        bounds = after is not None and (
            after.lemma == "than" or after.mark in (Mark.NUMBER, Mark.DATE)
        )
        if cue is not None and cue.kind in OR_MORE and bounds:
            continue  # `or less than 5` is another bound
        plural = tokens[at].text.lower().endswith("s")
        if cue is not None and cue.kind in SORTED and (plural or bounds):
            continue  # `orders by status` sorts nothing, nor does `ordered in 2024`
        if cue is not None and not any(
            token.mark in (Mark.QUOTED, Mark.NUMBER) for token in tokens[at : at + length]
        ):
            return phrase, cue
    return (), None


def _whole(ref: Ref) -> bool:
    return ref.end - ref.start > 1 and max(ref.best_column, ref.best_table) >= SURE


def _multiplies(tokens: Sequence[Token], at: int) -> bool:
    """Whether a word says how many times an average: *half the* average, *double of the* mean."""
    behind = [token.lemma for token in tokens[at + 1 : at + 4]]
    small = [word for word in behind if word not in ("of", "the")]
    return tokens[at].lemma in FACTORS and bool(OF_A_FIGURE & set(small[:1]))


def _yields(ref: Ref, phrase: tuple[str, ...], cue: Cue | None, refs: Mapping[int, Ref]) -> bool:
    """Whether a name gives way to a phrase that begins where it does."""
    if cue is None:
        return False
    length = ref.end - ref.start
    if cue.kind in FIGURE and ref.start + len(phrase) in refs and len(phrase) >= length:
        return True
    if length != len(phrase):
        return length < len(phrase) and not (
            " ".join(phrase) in SOFT and max(ref.best_column, ref.best_table) >= SURE
        )
    if ref.values and max(ref.best_column, ref.best_table) < SURE:
        return cue.kind not in FILLER
    return " ".join(phrase) not in SOFT and max(ref.best_column, ref.best_table) < SURE


def _figured(ref: Ref, found: Sequence[Symbol]) -> bool:
    """Whether a column of several words is told how to take: the sum of the *total amount* of."""
    before = next((each for each in reversed(found) if each.kind not in FILLER), None)
    figure = before is not None and before.kind in FIGURE
    return figure and ref.end - ref.start > 1 and ref.best_column >= CERTAIN


def _named(ref: Ref, tokens: Sequence[Token]) -> Symbol:
    token = tokens[ref.start]
    if token.mark is Mark.QUOTED:
        quoted = VALUE if ref.values else QUOTED
        return Symbol(quoted.letter, ref.start, ref.end, ref.text, ref)
    if _only_begun(ref):
        ref = replace(ref, columns=[])
    column, table = ref.best_column, ref.best_table
    may_be_column = column > 0 and column >= table - EITHER_WITHIN
    may_be_table = table > 0 and table >= column - EITHER_WITHIN
    either = may_be_column and may_be_table
    kind = COLUMN_OR_TABLE if either else COLUMN if may_be_column else TABLE
    if ref.values:
        kind = OR_VALUE[kind] if max(column, table) >= NAMED_WELL else VALUE
    value = token.value if ref.end == ref.start + 1 else None
    return Symbol(kind.letter, ref.start, ref.end, ref.text, ref, value=value)


def _only_begun(ref: Ref) -> bool:
    """Whether the columns that a name of a table may be have that name before their own: of
    violations, `viol_type`.
    """
    if not ref.tables or abs(ref.best_column - ref.best_table) > EITHER_WITHIN / 2:
        return False
    words = ref.tables[0][0].words
    near = [c for c, score in ref.columns if score >= ref.best_table - EITHER_WITHIN]
    begun = (
        c.words[: len(words)] == words
        and len(c.words) > len(words)
        and c.words[-1] not in NUMBERED | {"name"}
        for c in near
    )
    return bool(near) and all(begun)


def _parts(ref: Ref, tokens: Sequence[Token], linker: Linker) -> list[Ref]:
    """A table and a column of it, where a span names both: `singer names`, `names of singers`."""
    words = tuple(token.lemma for token in tokens[ref.start : ref.end])
    whole = any(name_match(words, c.words) >= SURE for c, _ in ref.columns)
    if len(words) < 2 or ref.values or whole or ref.best_table >= SURE:
        return [ref]
    for cut in range(ref.start + 1, ref.end):
        left, right = linker.ref(tokens, ref.start, cut), linker.ref(tokens, cut, ref.end)
        after = cut
        while right is None and after + 1 < ref.end and tokens[after].lemma in STOP:
            after += 1
            right = linker.ref(tokens, after, ref.end)
        if left is None or right is None:
            continue
        sides = (left, right)
        if any(_table_and_column(one, other) for one, other in (sides, sides[::-1])):
            return list(sides)
    return [ref]


def _table_and_column(one: Ref, other: Ref) -> bool:
    """Whether the one names a table, and the other a column: of it, if only in part."""
    if one.best_table < SURE:
        return False
    tables = {table for table, score in one.tables if score >= SURE}
    return other.best_column >= SURE or any(
        column.table in tables and score >= PARTLY for column, score in other.columns
    )


def _plain(token: Token, at: int) -> Symbol:
    match token.mark:
        case Mark.NUMBER:
            return Symbol(NUMBER.letter, at, at + 1, token.text, value=token.value)
        case Mark.DATE:
            return Symbol(DATE.letter, at, at + 1, token.text)
        case Mark.QUOTED:
            return Symbol(QUOTED.letter, at, at + 1, token.text)
        case _:
            return Symbol(WORD.letter, at, at + 1, token.text)
