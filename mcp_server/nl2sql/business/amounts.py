"""What rows come to: *total fees*, *how much did we invoice*, *invoice totals*.

Of rows that each have one amount of money, the total is the sum of it and no number of rows. Of
rows that have several, nobody knows which is meant: each is a reading of its own.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mcp_server.nl2sql.linking.heard import root
from mcp_server.nl2sql.linking.linking import NAMED_TABLE, Linker
from mcp_server.nl2sql.schema.amounts import MONEY, amounts_of
from mcp_server.nl2sql.schema.model import Column, Kind, Table
from mcp_server.nl2sql.words.lexicon import PEOPLE, STOP
from mcp_server.nl2sql.words.tokens import lemma, stem, tokenize

KNOWN = 0.8
"""Words that name a column so well need no other."""
DATED = 0.6
MEASURES = (MONEY - {"paid", "due"}) | {"number", "count", "quantity"}
"""Behind the name of rows, these say what is measured of them."""
DONE = ("ed", "en", "aid", "ing", "sent")
"""How words end that say what was done with rows."""
ADJECTIVES_MAX = 2
NAME_MAX = 3
SUMS = frozenset(
    {"fee", "payment", "charge", "fine", "expense", "cost", "donation", "refund", "deposit", "wage",
     "salary", "tax", "rent", "contribution", "expenditure", "spending", "tip", "bonus", "penalty",
     "debt", "toll", "due", "royalty", "fare", "commission", "pledge", "repayment", "payout",
     "reimbursement", "budget", "outlay", "spend", "premium", "levy", "surcharge", "subsidy"}
)  # fmt: skip
"""What is money itself: the total of those is no number of rows."""
PAPERS = frozenset({"invoice", "bill", "receipt", "quote", "claim", "loan", "grant", "transaction"})
"""What is as often counted as summed."""
DOING = {
    "bill": ("bill", "invoice"), "invoice": ("invoice", "bill"), "charge": ("charge", "invoice"),
    "sell": ("sale",), "spend": ("spending", "expense", "expenditure", "spend"),
    "fine": ("fine", "penalty"), "give": ("donation", "gift", "contribution"),
    "lend": ("loan",), "borrow": ("loan",), "reimburse": ("reimbursement",),
}  # fmt: skip
"""What rows are called that come of a verb and not after it, the surest first."""
NOUN_ENDINGS = frozenset({"", "e", "ment", "ion", "al", "ing", "out", "ution", "it"})
_LIGHT = "collect receive get take make raise pay spend charge issue earn bring give bill"
LIGHT = frozenset(map(root, _LIGHT.split()))
"""Verbs of money that say nothing of the rows where these are named."""
_RECEIVING = "pay collect receive get take earn bring spend"
RECEIVING = frozenset(map(root, _RECEIVING.split()))
"""Of these, those that are done when money is paid."""
CUSTOMERS = frozenset(
    {"customer", "client", "buyer", "member", "guest", "patient", "tenant", "donor", "student",
     "subscriber", "user", "caller", "patron", "owner", "visitor", "shopper"}
)  # fmt: skip
"""Those whose money comes in."""
_W = r"[A-Za-z][\w'-]*"
_WE = r"(?:we|they|you|I|our \w+|the (?:company|firm|business|office))"
_MONEY = r"(?:how much(?: money)?(?: in total| altogether)?)"
_TOTAL = re.compile(
    r"\b(?:the )?(?P<plain>(?:grand |overall )?total|sum|(?:total|combined|overall) "
    r"(?P<what>amounts?|values?|sums?))(?: of)? (?:(?:all|the|our|these|those) )*(?=[a-z])",
    re.IGNORECASE,
)
_TOTALS = re.compile(
    r",? (?P<totals>totals?)(?: amounts?)?"
    r"(?P<end>,? (?:by|per|for each|for every|in|for|during|since) |\s*[?.!]*$)",
    re.IGNORECASE,
)
_DID = re.compile(
    rf"\b{_MONEY} (?:did|do|have|had|were|are) {_WE}(?: been)? (?P<verb>{_W})(?P<rest>.*)$",
    re.IGNORECASE,
)
_WAS = re.compile(
    rf"\b{_MONEY} (?:was|were|has been|have been|is|are|got) (?P<verb>{_W})(?P<rest>.*)$",
    re.IGNORECASE,
)
_EACH_DID = re.compile(
    rf"\b(?:{_MONEY}|what) (?:did|does|do|has|have|had) (?:each|every) (?P<doer>{_W}(?: {_W})??)"
    rf" (?P<verb>{_W})(?P<us> (?:us|them|me))?(?P<rest>.*)$",
    re.IGNORECASE,
)
_NAMED_DID = re.compile(
    rf"\b(?:{_MONEY}|[Ww]hat) (?:did|does|has|had) (?P<doer>[A-Z][\w&'.-]*(?: [A-Z&][\w&'.-]*)*)"
    rf" (?P<verb>{_W})(?P<us> (?:us|them|me))?(?P<rest>.*)$"
)
_SPEND = re.compile(
    rf"\b(?:{_MONEY} (?:did|do|have|had) {_WE} (?:spend|spent|pay|paid)"
    r"|(?:our |the )?(?:total |overall )?(?:spend|spending|expenditure|spendings))"
    rf" (?:(?:with|on|to|per|by|for|at) )?(?:each |every )?(?P<whom>{_W}(?: {_W})?)"
    r"(?P<rest>(?: (?:in|during|since|for|last|this|between|before|after)\b.*)?[?.! ]*)$",
    re.IGNORECASE,
)
_WORTH = re.compile(
    rf"\b{_MONEY} (?:(?:is|are|was|were) (?P<are>.+?)(?: worth| in total| altogether)"
    r"|(?:do|does|did) (?P<do>.+?) (?:come|add up|amount|sum|sum up) to)(?P<rest>\b.*)$",
    re.IGNORECASE,
)
_MOST_WITH = re.compile(
    rf"\b(?:which|what) (?P<n>(?:\w+ )?)(?P<whom>{_W}(?: {_W})?) (?:did|do|have|had) {_WE}"
    r" (?:spend|spent|pay|paid) (?:the )?(?P<end>most|least)(?: money)?"
    r"(?: (?:with|on|to|at|for))?"
    r"(?P<rest>(?: (?:in|during|since|for|last|this|between|before|after)\b.*)?[?.! ]*)$",
    re.IGNORECASE,
)
_BEHIND = frozenset(
    {"in", "on", "by", "per", "for", "from", "during", "since", "last", "this", "between", "before",
     "after", "to", "at", "and", "over", "through", "with"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Amounts:
    """A question with the amounts named. readings: one for each that may be meant."""

    readings: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """What was taken for what; of a question that asks for no total, nothing."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """Words that name a table, with the adjectives before them. length: of the text they are."""

    table: Table
    said: str
    length: int


def in_amounts(text: str, linker: Linker) -> Amounts:
    """The question with what is summed, if it asks for a total of rows."""
    for found in (_most_with, _spend, _each_did, _named_did, _worth, _did, _was, _totals, _total):
        told = found(text, linker)
        if told is not None:
            return told
    return Amounts((text,))


def _total(text: str, linker: Linker) -> Amounts | None:
    """Total fees by type; the total value of open bills."""
    for match in _TOTAL.finditer(text):
        rows = _rows_at(text[match.end() :], linker)
        if rows is None:
            continue
        words, rest = set(rows.table.words), text[match.end() + rows.length :]
        plain = match["what"] is None
        if _next(rest) in MEASURES or _named(linker, rows, rest):
            continue
        if match["plain"].lower().endswith("sum") and not re.search(r"\bof", match[0]):
            continue
        if plain and not words & (SUMS | PAPERS):
            continue  # the total orders: how many
        counted = f"{text[: match.start()]}number of {rows.said}{rest}"
        either = (counted,) if plain and not words & SUMS else ()
        return _told(text[: match.start()], rows.table, rows.said, rest, linker, either)
    return None


def _totals(text: str, linker: Linker) -> Amounts | None:
    """Invoice totals by quarter; unpaid fees, total."""
    for match in _TOTALS.finditer(text):
        rows = _rows_before(text[: match.start()], linker)
        plural = match["totals"].lower() == "totals"
        if rows is None or not (plural or lemma(rows.said.split()[-1]) != rows.said.split()[-1]):
            continue
        before = text[: match.start() - rows.length]
        if _sums_already(before):
            continue
        return _told(before, rows.table, rows.said, text[match.start("end") :], linker)
    return None


def _did(text: str, linker: Linker) -> Amounts | None:
    """How much did we invoice per quarter; how much did we collect in fees."""
    match = _DID.search(text)
    return None if match is None else _of_verb(text[: match.start()], match, linker, done=False)


def _was(text: str, linker: Linker) -> Amounts | None:
    """How much was donated in May; how much was paid in fees."""
    match = _WAS.search(text)
    return None if match is None else _of_verb(text[: match.start()], match, linker, done=True)


def _of_verb(before: str, match: re.Match[str], linker: Linker, *, done: bool) -> Amounts | None:
    verb, rest = match["verb"], match["rest"]
    for said in re.finditer(r"\b(?:in|as|for|on|from) (?:(?:the|our|all) )*(?=[a-z])", rest):
        rows = _rows_at(rest[said.end() :], linker)
        light = root(verb) in LIGHT and not rest[: said.start()].strip(" ,")
        if rows is None or not light:
            continue
        paid = root(verb) in RECEIVING and _is_dated("paid", rows.table, linker)
        happened = " paid" if paid else f" {verb}" if done else ""
        end = rest[said.end() + rows.length :]
        return _told(before, rows.table, f"{rows.said}{happened}", end, linker)
    table = _table_of(verb, linker)
    if table is None:
        return None
    if _next(rest) in {"us", "out", "in"} and not done:
        rest = rest.lstrip()[len(_next(rest)) :]
    if _next(rest) in {"each", "every"} or (_next(rest) and _next(rest) not in _BEHIND):
        rest = f" for{rest}"
    return _told(before, table, _all_of(table), rest, linker)


def _each_did(text: str, linker: Linker) -> Amounts | None:
    """What did each vendor bill us in 2026; how much has every donor given."""
    match = _EACH_DID.search(text)
    table = _table_of(match["verb"], linker) if match is not None else None
    if match is None or table is None or _table(match["doer"], linker) in (None, table):
        return None
    rest = f" for each {match['doer']}{match['rest']}"
    return _told(text[: match.start()], table, _all_of(table), rest, linker)


def _named_did(text: str, linker: Linker) -> Amounts | None:
    """How much did Ropes Ltd bill us in 2026."""
    match = _NAMED_DID.search(text)
    table = _table_of(match["verb"], linker) if match is not None else None
    if match is None or table is None or _next(match["rest"]) not in _BEHIND | {""}:
        return None
    rest = f" of {match['doer']}{match['rest']}"
    return _told(text[: match.start()], table, _all_of(table), rest, linker)


def _spend(text: str, linker: Linker) -> Amounts | None:
    """Spend per supplier; how much did we spend with each supplier."""
    match = _SPEND.search(text)
    if match is None or not re.search(r"\b(?:each|every|per|by) ", match[0], re.IGNORECASE):
        return None
    named = any(score >= KNOWN for _, score in linker.columns(("spend",)))
    table = None if named or _table_of("spend", linker) else _paid_to(match["whom"], linker)
    if table is None:
        return None
    rest = f" for each {match['whom']}{match['rest']}"
    return _told(text[: match.start()], table, _all_of(table), rest, linker)


def _paid_to(whom: str, linker: Linker) -> Table | None:
    """The one table with amounts that speaks of those to whom money goes."""
    table = _table(whom, linker)
    if table is None or CUSTOMERS & set(table.words):
        return None
    keys = [key for key in linker.profile.foreign_keys if key.target.table is table]
    paid = {key.column.table for key in keys if amounts_of(key.column.table)}
    return paid.pop() if len(paid) == 1 else None


def _worth(text: str, linker: Linker) -> Amounts | None:
    """How much are the open bills worth; how much do the fees come to."""
    match = _WORTH.search(text)
    if match is None:
        return None
    said = re.sub(r"^(?:(?:the|our|all|these) )+", "", match["are"] or match["do"] or "")
    rows = _rows_at(said, linker)
    if rows is None or lemma(rows.said.split()[-1]) == rows.said.split()[-1]:
        return None
    rest = f"{said[rows.length :]}{match['rest']}"
    return _told(text[: match.start()], rows.table, rows.said, rest, linker)


def _most_with(text: str, linker: Linker) -> Amounts | None:
    """Which five suppliers did we spend the most with: by the one amount that speaks of them."""
    match = _MOST_WITH.search(text)
    table = _paid_to(match["whom"], linker) if match is not None else None
    if match is None or table is None:
        return None
    most = match["end"].lower() == "most"
    first = f"{'top' if most else 'bottom'} {match['n']}{match['whom']} by "
    if not match["n"].strip():
        first = f"{match['whom']} with the {'highest' if most else 'lowest'} "
    before = f"{text[: match.start()]}{first}"
    return _told(before, table, _all_of(table), match["rest"], linker)


def _told(
    before: str, table: Table, said: str, rest: str, linker: Linker, others: tuple[str, ...] = ()
) -> Amounts | None:
    """The readings of a total: one for each amount of the rows, and others."""
    found = amounts_of(table)
    if not found:
        return None
    sums = (f"{before}{_sum_of(column)} of {said}{rest}" for column in found)
    note = f"the total of {said!r} is read as the sum of {found[0].name}"
    return Amounts((*sums, *others), (note,))


def _sum_of(column: Column) -> str:
    words = " ".join(column.words)
    return f"sum of the {words}" if column.words[0] in ("total", "sum") else f"total {words}"


def _rows_at(text: str, linker: Linker) -> _Rows | None:
    """The rows that a text begins with: *unpaid parking fines*."""
    words = list(re.finditer(_W, text))[: ADJECTIVES_MAX + NAME_MAX]
    near = [m for n, m in enumerate(words) if not n or text[words[n - 1].end() : m.start()] == " "]
    words = near if len(near) == len(words) else words[: _run(text, words)]
    if not words or words[0].start():
        return None
    for start in range(min(ADJECTIVES_MAX + 1, len(words))):
        if any(lemma(word[0].lower()) in STOP for word in words[:start]):
            return None
        for end in range(min(len(words), start + NAME_MAX), start, -1):
            table = _table(text[words[start].start() : words[end - 1].end()], linker)
            if table is not None:
                length = words[end - 1].end()
                return _Rows(table, text[:length], length)
    return None


def _run(text: str, words: list[re.Match[str]]) -> int:
    """How many words stand in a row with nothing but a space between them."""
    for number in range(1, len(words)):
        if text[words[number - 1].end() : words[number].start()] != " ":
            return number
    return len(words)


def _rows_before(text: str, linker: Linker) -> _Rows | None:
    """The rows that a text ends with."""
    words = list(re.finditer(_W, text))
    for length in range(min(NAME_MAX, len(words)), 0, -1):
        start = words[-length].start()
        table = _table(text[start:], linker)
        if table is not None and words[-1].end() == len(text):
            for before in reversed(words[:-length][-ADJECTIVES_MAX:]):
                if lemma(before[0].lower()) in STOP or text[before.end() : start].strip():
                    break
                start = before.start()
            return _Rows(table, text[start:], len(text) - start)
    return None


def _sums_already(before: str) -> bool:
    return (
        re.search(r"\b(?:average|total|sum|highest|lowest|how many|number)\b", before) is not None
    )


def _named(linker: Linker, rows: _Rows, rest: str) -> bool:
    """Whether a column is called what is said, or what follows with it."""
    said = tuple(lemma(word) for word in rows.said.lower().split())
    follows = _next(rest)
    follows = "" if follows.endswith(DONE) else follows
    longer = () if follows in _BEHIND or not follows else (*said, follows)
    named = [pair for words in (said, longer) if words for pair in linker.columns(words)]
    return any(column.adds_up and score >= KNOWN for column, score in named)


def _next(text: str) -> str:
    match = re.match(rf"\s*({_W})", text)
    return lemma(match[1].lower()) if match is not None else ""


def _all_of(table: Table) -> str:
    return " ".join(table.words)


def _table(words: str, linker: Linker) -> Table | None:
    said = tuple(token.lemma for token in linker.prepare(tokenize(words)))
    if {lemma(word) for word in words.lower().split()} & (STOP | {"number", "count"}):
        return None
    found = [table for table, score in linker.tables(said) if score >= NAMED_TABLE]
    if not found and len(said) == 1 and said[0] in SUMS:  # the budget, of budget lines
        found = [table for table in linker.profile.tables if said[0] in table.words]
    return found[0] if len(found) == 1 else None


def _table_of(verb: str, linker: Linker) -> Table | None:
    """The one table of what comes of a verb: of what was *invoiced*, the invoices."""
    base = root(verb)
    nouns = DOING.get(base) or next((n for v, n in DOING.items() if root(v) == base), ())
    for noun in (*nouns, *_nouns(base, linker)):
        found = [t for t in linker.profile.tables if t.words and stem(t.words[-1]) == stem(noun)]
        if found:
            return found[0] if len(found) == 1 and not (PEOPLE & set(found[0].words)) else None
    return None


def _nouns(base: str, linker: Linker) -> Iterator[str]:
    for table in linker.profile.tables:
        noun = table.words[-1] if table.words else ""
        if len(base) > 2 and noun.startswith(base) and noun.removeprefix(base) in NOUN_ENDINGS:
            yield noun


def _is_dated(word: str, table: Table, linker: Linker) -> bool:
    """Whether a date of the rows says when that was done: `paid_on` of fees that were paid."""
    named = linker.columns((word,))
    return any(c.table is table and c.kind is Kind.DATE and score >= DATED for c, score in named)
