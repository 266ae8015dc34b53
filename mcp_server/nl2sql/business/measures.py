"""What business calls its measures, in words of the schema: *revenue*, *order value*.

A name that the schema has is left as it is. Otherwise revenue is what the one column of money of
the one table of sales adds up to; where there are quantities too, nothing is taken for granted.
"""

import re
from collections.abc import Iterator

from mcp_server.nl2sql.linking.linking import NAMED_TABLE, Linker
from mcp_server.nl2sql.schema.model import Column, Kind, Table
from mcp_server.nl2sql.words.tokens import lemma, stem

KNOWN = 0.8
"""A word that names a column so well needs no other."""
SALES = ("sale", "order", "purchase", "invoice", "booking", "transaction", "ticket", "receipt")
"""Tables whose rows bring money, the surest first."""
MONEY = frozenset({"price", "amount", "total", "value", "revenue", "fee", "fare", "charge", "sum"})
NO_PRICE = frozenset(
    {"discount", "tax", "refund", "tip", "commission", "cost", "list", "deposit", "shipping",
     "delivery", "postage", "handling", "penalty", "fine"}
)  # fmt: skip
"""Words of columns of money that are not what is sold."""
QUANTITIES = frozenset({"quantity", "qty", "count", "units", "unit", "number", "share"})
ABBREVIATED = {
    "aov": "average order value", "atv": "average transaction value",
    "asp": "average sale price", "abv": "average basket value",
}  # fmt: skip
"""Known abbreviations of measures."""
_ABBREVIATED = re.compile(rf"\b(?:{'|'.join(ABBREVIATED)})\b", re.IGNORECASE)
_COUNT = re.compile(r"\b(?:the )?(?:total )?(?P<rows>[a-z]+) counts?\b(?! of\b)", re.IGNORECASE)
_OF_ROWS = re.compile(
    r"\b(?P<rows>[a-z]+) (?P<what>amounts?|values?|revenues?|volumes? in money|proceeds)\b"
    r"(?! (?:of|in|for) [a-z]+ column)",
    re.IGNORECASE,
)
_REVENUE = re.compile(
    r"\b(?P<measure>total |overall |gross |sum of (?:the )?|average )?"
    r"(?:sales )?(?P<noun>revenues?|turnover|proceeds|takings)(?: amounts?)?\b",
    re.IGNORECASE,
)
_SALES = re.compile(
    r"\btotal (?P<rows>sales|payments(?: (?:received|made))?)\b"
    r"(?! (?:\w+ )?(?:number|count|amounts?|values?|prices?|revenues?)\b)",
    re.IGNORECASE,
)
"""What they come to; how many there are is called so."""
_SIGNUPS = re.compile(
    r"\b(?:the )?(?:total )?(?:number of )?(?P<rows>[a-z]+?)s? (?:sign[- ]?ups|registrations)\b",
    re.IGNORECASE,
)
_MORE_SIGNUPS = re.compile(
    r"\btotal (?:number of )?(?:sign[- ]?ups|registrations)\b", re.IGNORECASE
)
_SIGNED_UP = re.compile(r"\bsigned up\b", re.IGNORECASE)
JOINED = {"join": "joined", "joined": "joined", "register": "registered", "signup": "signup"}
"""What dates are called on which somebody came, and how people say it."""


def in_measures(text: str, linker: Linker) -> tuple[str, tuple[str, ...]]:
    """The question with measures as the schema has them, and what was taken for what."""
    notes: dict[str, None] = {}

    def money_in(text: str, of: Table | None, measure: str = "") -> str:
        """The column that holds the money, with its table where others have one so called."""
        money = None if of is None else _money_of(of)
        if money is None or of is None:
            return text
        alone = sum(column.words == money.words for column in linker.profile.columns) == 1
        whose = "" if alone else f" of {' '.join(of.words)}"
        return noted(text, f"{measure}{' '.join(money.words)}{whose}")

    def noted(said: str, read: str) -> str:
        if said.lower() != read.lower():
            notes[f"{said!r} is read as {read!r}"] = None
        return read

    def abbreviated(match: re.Match[str]) -> str:
        if linker.columns((match[0].lower(),)) or linker.tables((match[0].lower(),)):
            return match[0]
        return noted(match[0], ABBREVIATED[match[0].lower()])

    def count_of(match: re.Match[str]) -> str:
        words = match["rows"].lower()
        if _table(words, linker) is None or _is_named(linker, words, "count"):
            return match[0]
        return f"number of {words}"

    def of_rows(match: re.Match[str]) -> str:
        said = match["rows"].lower(), lemma(match["what"].lower())
        if _is_named(linker, *said):
            return match[0]
        before = [lemma(word) for word in match.string[: match.start()].lower().split()]
        # coaches by booking amount are in the order of what all bookings of each come to
        total = "total " if before[-1:] == ["by"] and lemma(said[0]) not in before else ""
        return money_in(match[0], _table(match["rows"], linker), total)

    def revenue(match: re.Match[str]) -> str:
        average = (match["measure"] or "").lower() == "average "
        if average or _is_named(linker, lemma(match["noun"].lower())):
            return match[0]
        return money_in(match[0], _sold(linker), "total ")

    def sales(match: re.Match[str]) -> str:
        return money_in(match[0], _table(match["rows"], linker), "total ")

    def signups(match: re.Match[str]) -> str:
        rows = match["rows"].lower()
        if _table(rows, linker) is None or linker.tables(("signup",)):
            return match[0]
        counted.append(rows)
        return f"number of {rows}s"

    def more_signups(match: re.Match[str]) -> str:
        return f"number of {counted[0]}s" if counted else match[0]

    def signed_up(match: re.Match[str]) -> str:
        said = lemma(match[0].lower().split()[0])
        days = [c for c in linker.profile.columns if c.kind is Kind.DATE]
        names = [word for day in days for word in day.words if word in JOINED]
        known = any(stem(said) == stem(word) for day in days for word in day.words)
        return match[0] if known or not names else JOINED[names[0]]

    counted: list[str] = []
    text = _MORE_SIGNUPS.sub(more_signups, _SIGNUPS.sub(signups, text))
    text = _SIGNED_UP.sub(signed_up, text)
    text = _ABBREVIATED.sub(abbreviated, text)
    text = _SALES.sub(sales, _REVENUE.sub(revenue, text))
    text = _OF_ROWS.sub(of_rows, text)
    return _COUNT.sub(count_of, text), tuple(notes)


def _is_named(linker: Linker, *words: str) -> bool:
    """Whether the words name a column, as its own name or what is said of it."""
    said = tuple(lemma(word) for word in words)
    return any(score >= KNOWN for _, score in linker.columns(said))


def _table(word: str, linker: Linker) -> Table | None:
    words = tuple(lemma(each) for each in word.lower().split())
    found = [t for t, score in linker.tables(words) if score >= NAMED_TABLE]
    return found[0] if len(found) == 1 else None


def _sold(linker: Linker) -> Table | None:
    """The one table of sales, of the surest kind that there is."""
    for kind in SALES:
        tables = [t for t in linker.profile.tables if kind in t.words and _is_event(t)]
        if tables:
            return tables[0] if len(tables) == 1 else None
    return None


def _is_event(table: Table) -> bool:
    return any(column.kind is Kind.DATE for column in table.columns)


def _money_of(table: Table) -> Column | None:
    """What rows of a table cost, where they have one price and no quantity beside it."""
    if any(QUANTITIES & set(column.words) for column in table.columns if column.adds_up):
        return None
    found = list(_prices(table))
    return found[0] if len(found) == 1 else None


def _prices(table: Table) -> Iterator[Column]:
    for column in table.columns:
        if column.adds_up and MONEY & set(column.words) and not NO_PRICE & set(column.words):
            yield column
