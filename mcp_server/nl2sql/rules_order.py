"""Rules for order, superlatives and limits."""

import re

from mcp_server.nl2sql.lexicon import PHRASE_SUPERLATIVES, SUPERLATIVES
from mcp_server.nl2sql.logical import Aggregate, Order
from mcp_server.nl2sql.profile_model import Kind
from mcp_server.nl2sql.question import DET, Question, col, num, tab

DIRECTION = (
    r"(?:ascending|descending|ascend|descend|increasing|decreasing|asc|desc|alphabetical|"
    r"alphabetic|alphabetically|lexicographical|lexicographic|lexicographically|chronological|"
    r"reverse)"
)
SORT = r"(?:sort|sorted|sorting|order|ordered|ordering|rank|ranked|arrange|arranged|list|listed)"
COUNT = r"(?:number|count|quantity|frequency|amount|total number)"
MOST = r"(?:most|largest|greatest|highest|maximum|biggest|max)"
LEAST = r"(?:fewest|least|lowest|smallest|minimum|min)"
HAVE = (
    r"(?:with|have|has|had|having|that have|who have|which have|own|get|receive|received|contain|"
    r"offer|make|made|take|use|used|produce|serve|for|of|in)"
)


_HIGH_END = frozenset(
    {"high", "highest", "large", "largest", "oldest", "most", "latest", "biggest", "newest"}
    | {"longest", "old", "greatest", "recent"}
)


def order_by(question: Question) -> None:
    """`sorted by age in descending order`, `in alphabetical order of name`."""
    counted = rf"(?:(?P<counted>{COUNT}) of {DET}{tab('t')}|(?P<bare>count|frequency))"
    averaged = rf"(?:(?P<agg>average|mean|total|sum of|maximum|minimum) {DET}{col('ac')})"
    what = rf"(?:{counted}|{averaged}|(?:{COUNT} of )?{col('c')})"
    tail = (
        rf"(?: ,?(?: ?(?:in|by|from|with))?(?: (?:an?|the))?(?: (?P<dir2>{DIRECTION}))"
        rf"(?: alphabetical)?(?: order)?)?"
        r"(?: from (?:the )?(?P<first>[a-z]+)(?: one)? to (?:the )?[a-z]+(?: one)?)?"
    )
    more = rf"(?: (?:and|,|then|and then)(?: by)? {DET}{col('c2')})?"
    patterns = (
        rf"(?:, )?(?:and )?(?:{SORT} )?(?:(?:the )?result )?(?:in|by|with) (?:an? |the )?"
        rf"(?P<dir>{DIRECTION})(?: alphabetical)? order (?:of|by|for|with|on|according to|based on)"
        rf" {DET}{what}{more}",
        rf"(?:, )?(?:and )?{SORT}(?P<mid>(?: (?!by|in)[a-z@0-9]+){{0,3}}) (?:by|in order of|"
        rf"according to|"
        rf"based on|on|in term of) {DET}(?:(?P<dir>{DIRECTION})(?: order of)? )?{DET}{what}{more}"
        rf"{tail}",
        rf"(?:, )?in order of {DET}{what}{more}{tail}",
        rf"(?:, )?by (?P<dir>{DIRECTION}) (?:order of )?{DET}{what}",
        rf"(?:, )?(?:and )?{SORT} (?:them |it |the result |the @[a-z]+\d+ )?(?:in |by )?(?:an? |"
        rf"the )?"
        rf"(?P<dir>{DIRECTION})(?: (?:alphabetical|order))*",
        rf"(?:, )?in (?:an? |the )?(?P<dir>{DIRECTION})(?: alphabetical)? order",
        r"(?P<dir>alphabetically|lexicographically)",
    )
    for pattern in patterns:
        match = question.search(pattern)
        if match is not None:
            _add_order(question, match)
            question.strike(match)
            question.ordered_at = question.struck[0]
            for index in re.findall(r"@[a-z]+(\d+)", match.groupdict().get("mid") or ""):
                question.items[int(index)].used = False  # `sort the names by age` asks for names
            return


def _add_order(question: Question, match: re.Match[str]) -> None:
    found = match.groupdict()
    words = " ".join(filter(None, (found.get("dir"), found.get("dir2"), found.get("mid"))))
    descending = bool(re.search(r"desc|decreas|reverse", words))
    first = found.get("first")
    if first is not None:
        descending = first in _HIGH_END
        if first == "z":
            descending = True
    order = question.query.order
    if found.get("counted"):
        table = question.table(int(found["t"]))
        order.append(Order(descending, aggregate="count", table=table))
    elif found.get("bare"):
        order.append(Order(descending, aggregate="count"))
    elif found.get("ac"):
        aggregate = _AGGREGATES[found["agg"]]
        column = question.column(int(found["ac"]))
        order.append(Order(descending, column, aggregate))
    elif found.get("c"):
        column = question.column(int(found["c"]))
        order.append(Order(descending, column))
        if found.get("c2"):
            order.append(Order(descending, question.column(int(found["c2"]))))
    else:
        order.append(Order(descending))


_AGGREGATES: dict[str, Aggregate] = {
    "average": "avg",
    "mean": "avg",
    "total": "sum",
    "sum of": "sum",
    "maximum": "max",
    "minimum": "min",
}


def superlatives(question: Question) -> None:
    """`the 3 youngest`, `with the most concerts`, `the most common nationality`."""
    for rule in (
        _top_of,
        _phrase,
        _most_common,
        _most_of_table,
        _extreme_column,
        _adjective,
        _most_verb,
    ):
        if rule(question):
            ahead = question.search(
                rf"(?:the |top )?{num('n')} {tab('t')} (?:who|that|which|with|whose)"
            )
            if question.query.limit == 1 and ahead is not None:
                question.query.limit = int(question.number(ahead, "n"))
                question.strike(ahead, "n")
                question.items[int(ahead["n"])].used = True
            return


def _limit(question: Question, match: re.Match[str]) -> int:
    if match.groupdict().get("n"):
        return int(question.number(match, "n"))
    return 1


def _top_of(question: Question) -> bool:
    """`top 3 countries by population`."""
    match = question.search(
        rf"(?:the )?(?P<end>top|bottom) {num('n')} {DET}(?P<x>@[a-z]+\d+)(?P<mid>(?: [^#,]+?)??) "
        rf"(?:by|in term of|based on|with the (?:highest|largest|most|greatest)|ordered by|"
        rf"sorted by|in) {DET}(?:{COUNT} of {DET}{tab('t')}|{col('c')})"
    )
    if match is None:
        return False
    descending = match["end"] == "top"
    if match["t"] is not None:
        order = Order(descending, aggregate="count", table=question.table(int(match["t"])))
    else:
        order = Order(descending, question.column(int(match["c"])))
    question.query.order.append(order)
    question.query.limit = _limit(question, match)
    start = match.start("x")
    head = re.match(r".*", match.string[:start])
    assert head is not None
    tail_start = match.end("mid")
    _strike_span(question, match, match.start(), start)
    _strike_span(question, match, tail_start, match.end())
    return True


def _strike_span(question: Question, match: re.Match[str], start: int, end: int) -> None:
    first = len(match.string[:start].split())
    count = len(match.string[start:end].split())
    for item in question.items[first : first + count]:
        item.used = True


def _most_common(question: Question) -> bool:
    """`the most common nationality`: the group with the most rows."""
    match = question.search(
        rf"(?:the )?(?:{num('n')} )?(?P<way>most|least)(?: {num('m')})? "
        rf"(?:common|frequent|popular|frequently used|commonly used|used|prominent|shared) "
        rf"(?:@[a-z]*t[a-z]*(?P<also>\d+) )?{col('c')}"
    )
    if match is None:
        return False
    column = question.column(int(match["c"]))
    if column is None:
        return False
    question.query.order.append(Order(match["way"] == "most", aggregate="count"))
    question.query.limit = (
        int(question.number(match, "m")) if match["m"] else _limit(question, match)
    )
    question.query.group.append(column)
    question.strike(match)
    question.items[int(match["c"])].used = False
    return True


def _most_of_table(question: Question) -> bool:
    """`with the most concerts`, `with the largest number of singers`."""
    match = question.search(
        rf"(?:(?:that|which|who) )?(?:{HAVE} )?(?:the )?(?:{num('n')} )?"
        rf"(?P<way>{MOST}|{LEAST}|more|top) (?:(?P<counted>{COUNT}) of )?{DET}{tab('t')}"
    )
    if match is None:
        return False
    index = int(match["t"])
    table = question.table(index)
    strong = match["counted"] or match["way"] in ("most", "fewest", "least")
    if not strong or table is None:
        return False
    named = question.items[index].ref
    if match["way"] == "most" and named is not None and named.best_column > named.best_table:
        return False
    descending = re.fullmatch(rf"{MOST}|more|top", match["way"]) is not None
    question.query.order.append(Order(descending, aggregate="count", table=table))
    question.query.limit = _limit(question, match)
    question.strike(match)
    return True


def _extreme_column(question: Question) -> bool:
    """`with the highest salary`; after `what is the` it is an aggregate instead."""
    match = question.search(
        rf"(?P<lead>(?:(?:that|which|who|whose|where) (?:[a-z]+ )?)?{HAVE} |(?:that|which|who) "
        rf"(?:[a-z]+ ){{1,2}})?(?:the )?(?:{num('n')} )?"
        rf"(?P<way>{MOST}|{LEAST}|top|best|worst|longest|shortest|earliest|latest|youngest|oldest)"
        rf" (?:(?:amount|value|total|total amount|degree|level|number) of )?{DET}{col('c')}"
    )
    if match is None:
        match = question.search(
            rf"(?P<lead>whose {DET}{col('c')} (?:be|be the|have) )(?:the )?(?:{num('n')} )?"
            rf"(?P<way>{MOST}|{LEAST}|longest|shortest|earliest|latest)"
        )
    if match is None:
        return False
    before = match.string[: match.start()].split()
    index = int(match["c"])
    if match["lead"] is None and not _follows_subject(question, before, match):
        return False
    led_by = match["lead"].split()[-1] if match["lead"] is not None else ""
    if (
        led_by in ("of", "for", "in", "use", "make")
        and not question.query.select
        and not _has_earlier_ref(question, before)
    ):
        return False
    column = question.column(index, numeric=match["way"] in ("most", "least"))
    if column is None:
        return False
    descending = re.fullmatch(rf"{MOST}|top|best|longest|latest|oldest", match["way"]) is not None
    if match["way"] == "oldest" and column.kind is Kind.DATE:
        descending = False
    question.query.order.append(Order(descending, column))
    question.query.limit = _limit(question, match)
    question.strike(match)
    return True


def _has_earlier_ref(question: Question, before: list[str]) -> bool:
    return any(word.startswith("@") for word in before)


def _follows_subject(question: Question, before: list[str], match: re.Match[str]) -> bool:
    """`which dog has the highest weight` after its lead was lost; not `what is the highest`."""
    tail = match.string[match.end() :].split()
    led = bool(before) and before[-1] in ("have", "has", "with", "had")
    return led or (bool(match["n"]) and bool(tail))


def _phrase(question: Question) -> bool:
    """`the most expensive car`, `the most recently finished race`."""
    return _adjective(question, "|".join(re.escape(each) for each in PHRASE_SUPERLATIVES))


def _adjective(question: Question, words: str = "|".join(SUPERLATIVES)) -> bool:
    """`the oldest dog`, `the 5 largest countries`."""
    match = question.search(
        rf"(?:the )?(?:{num('n')} )?(?P<way>{words})(?: {num('m')})?(?: [a-z]+ed)?(?: "
        rf"(?P<x>@[a-z]+\d+))?"
    )
    if match is None:
        return False
    hints, descending = PHRASE_SUPERLATIVES.get(match["way"]) or SUPERLATIVES[match["way"]]
    near = None
    if match["x"]:
        index = int(re.sub(r"\D", "", match["x"]))
        near = question.table(index)
    column = question.adjective_column(hints, near)
    if column is None:
        return False
    if column.kind is Kind.DATE or any(w in column.words for w in ("birth", "born", "year")):
        if match["way"] in ("oldest", "eldest"):
            descending = False
        elif match["way"] == "youngest":
            descending = True
    question.query.order.append(Order(descending, column))
    question.query.limit = (
        int(question.number(match, "m")) if match["m"] else _limit(question, match)
    )
    if match["x"]:
        _strike_span(question, match, match.start(), match.start("x"))
    else:
        question.strike(match)
    return True


def _most_verb(question: Question) -> bool:
    """`used the most`, `appears most often`: the group with the most rows."""
    match = question.search(
        r"(?:by |that |which )?(?:be |have )?(?:[a-z]+ )?(?:the )?(?P<way>most|least)"
        r"(?: often| frequently| time| commonly)?"
    )
    if match is None or match.string[match.end() :].lstrip().startswith(("@", "of")):
        return False
    question.query.order.append(Order(match["way"] == "most", aggregate="count"))
    question.query.limit = 1
    question.strike(match)
    return True
