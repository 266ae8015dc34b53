"""Rules for what is shown: counts, aggregates, columns, and the name of a thing asked for."""

import re

from mcp_server.nl2sql.logical import Aggregate, Output
from mcp_server.nl2sql.profile_model import Column, Kind, Table
from mcp_server.nl2sql.question import DET, Question, col, letters, tab
from mcp_server.nl2sql.tokens import stem

AGGREGATES: dict[str, Aggregate] = {
    "average": "avg",
    "mean": "avg",
    "avg": "avg",
    "maximum": "max",
    "max": "max",
    "highest": "max",
    "largest": "max",
    "greatest": "max",
    "biggest": "max",
    "longest": "max",
    "oldest": "max",
    "latest": "max",
    "most": "max",
    "minimum": "min",
    "min": "min",
    "lowest": "min",
    "smallest": "min",
    "least": "min",
    "shortest": "min",
    "youngest": "min",
    "earliest": "min",
    "total": "sum",
    "sum": "sum",
    "combined": "sum",
    "overall": "sum",
}
WORD = "|".join(AGGREGATES)
DISTINCT = r"(?:different|distinct|unique|various|distinctive)"
CLOSING = frozenset({"that", "who", "whose", "with", "where", "from", "by", "when", "whom"})
REOPENING = frozenset({"list", "show", "give", "return", "tell", "find", "what", "report"})
TIES = ("their", "its", "his", "her")


def aggregates(question: Question) -> None:
    """`how many X`, `number of X`, `average age`, `the minimum and maximum of`."""
    while _aggregate(question) or _count(question):
        pass


def _aggregate(question: Question) -> bool:
    more = rf"(?P<more>(?:(?: ,| and| as-well-as| or| as well as)+ (?:the )?(?:{WORD}))*)"
    match = question.search(
        rf"(?:the )?(?P<first>{WORD}){more} (?:(?:value|amount|number|total|score) )*(?:of )?{DET}"
        rf"(?:{DISTINCT} )?{col('c')}(?P<rest>(?: (?:and|,) (?:the )?@(?=[a-z]*c)[a-z]+\d+(?! "
        rf"(?:of|for) ))*)"
    )
    if match is None:
        match = question.search(
            rf"(?:how much|what be the amount of|the amount of) {DET}(?:[a-z]+ )?{col('c')}"
        )
        if match is None:
            return False
        words = ["total"]
    else:
        words = [match["first"], *re.findall(WORD, match["more"])]
    index = int(match["c"])
    item = question.items[index]
    if words == ["total"] and re.search(r"number|count", match[0]) and "t" in letters(item):
        return False
    numeric = words[0] not in ("latest", "earliest", "most", "least")
    column = question.column(index, numeric=numeric)
    if column is None:
        return False
    adds = AGGREGATES[words[0]] in ("sum", "avg")
    if adds and not column.counts and column.kind is not Kind.DATE:
        return False
    columns = [column]
    if len(words) == 1 and words[0] in ("average", "mean", "avg", "total", "sum", "maximum",
                                        "minimum"):  # fmt: skip
        for each in re.findall(r"@[a-z]+(\d+)", match.groupdict().get("rest") or ""):
            other = question.column(int(each), numeric=True)
            if other is not None and other.counts:
                columns.append(other)
                question.items[int(each)].used = True
    for each_column in columns:
        for word in words:
            question.query.select.append(Output(each_column, AGGREGATES[word]))
    end = match.start("rest") if match.groupdict().get("rest") is not None else match.end()
    first = len(match.string[: match.start()].split())
    for item in question.items[first : first + len(match.string[match.start() : end].split())]:
        item.used = True
    return True


def _count(question: Question) -> bool:
    match = question.search(
        rf"(?:how many|(?:count )?(?:the )?(?:total )?(?:number|count|quantity|no|amount) of|"
        rf"count(?: up)?(?: the)?)(?: (?P<v>@[a-z]*v[a-z]*\d+)(?= @[a-z]*t))?(?: the| all| of| "
        rf"total| type of| kind of| (?P<d>{DISTINCT})(?: [a-z]+(?= @c))?)* "
        rf"(?P<x>@(?=[a-z]*[ct])[a-z]+(?P<i>\d+))(?: (?P<y>@[a-z]*t[a-z]*(?P<j>\d+)))?"
    )
    if match is None:
        return False
    index = int(match["i"])
    kinds = letters(question.items[index])
    ref = question.items[index].ref
    assert ref is not None
    distinct = bool(match["d"])
    table = question.table(index) if "t" in kinds else None
    end = match.end("x")
    if match["y"] and table is None:
        other = question.table(int(match["j"]))
        column = question.column(index)
        if other is not None and (column is None or ref.best_column < 0.75):
            table, end = other, match.end()
    if (
        table is not None
        and ref.best_table >= ref.best_column - 0.05
        and not (distinct and "c" in kinds and ref.best_column >= ref.best_table)
    ):
        question.query.select.append(Output(None, "count", distinct, table))
    else:
        column = question.column(index)
        if column is None:
            return False
        if (
            column.counts
            and not distinct
            and not column.primary
            and not column.foreign
            and ("total" in match[0] or _AMOUNTS & set(column.words))
            and column.kind is Kind.NUMBER
        ):
            question.query.select.append(Output(column, "sum"))
        else:
            question.query.select.append(Output(column, "count", distinct=True))
    first = len(match.string[: match.start()].split())
    question.counted.add(first)
    for item in question.items[first : first + len(match.string[match.start() : end].split())]:
        item.used = True
    if match["v"]:
        question.items[int(re.sub(r"\D", "", match["v"]))].used = False
    return True


def everything(question: Question) -> None:
    """`all the information about X`: every column of it."""
    match = question.search(
        r"(?:all |the |every |full |complete )*(?:information|info|detail|details|record|records|"
        r"data|everything)(?: (?:about|of|for|on|regarding))? (?:all |the |every |each |a )*"
        rf"{tab('t')}"
    )
    if match is None or question.query.select:
        return
    index = int(match["t"])
    table = question.table(index)
    if table is not None:
        question.query.select.append(Output(None, table=table))
        question.strike(match)


_AMOUNTS = frozenset(
    {"num", "number", "count", "total", "amount", "quantity", "population", "sum", "qty"}
)


def columns(question: Question) -> None:
    """The columns that are asked for by name, in the parts of the question that ask."""
    open_ = True
    seen_ref = False
    distinct = False
    items = question.items
    counted = min(question.counted, default=None)
    chosen: list[tuple[int, Column]] = []
    for index, item in enumerate(items):
        word = item.token.lemma
        if (
            counted is not None
            and index >= counted
            and not (question.query.group or question.query.group_tables)
        ):
            open_, counted = False, None  # what follows a count belongs to it, until `and`
        if item.ref is None or item.used:
            if item.used:
                continue
            if not open_ and question.counted and word in ("and", ",") and not seen_ref:
                open_ = True
            if word in REOPENING or (
                word in TIES and items[index - 1].token.lemma in ("and", "with")
            ):
                open_ = True
            elif word in ("different", "distinct", "unique"):
                distinct = True
            elif word in CLOSING and seen_ref:
                open_ = (
                    word == "with"
                    and index + 1 < len(items)
                    and (items[index + 1].token.lemma in TIES)
                )
            elif word in ("along", "together", "including", "also", "well"):
                open_ = True
            elif word == "in" and seen_ref and index + 1 < len(items):
                open_ = False
            continue
        seen_ref = True
        kinds = letters(item)
        if not open_ or "c" not in kinds or item.ref.best_column < 0.52:
            continue
        if _is_verb(question, index) or (chosen and _owns(question, index)):
            item.used = True
            continue
        if "t" in kinds and item.ref.best_table > item.ref.best_column - 0.02:
            column = _own_name(question, index)
            if column is None and chosen and _continues_list(question, index):
                table = question.table(index)
                column = display(table)[0] if table is not None else None
            if column is None:
                continue
        else:
            found = question.column(index)
            if found is None:
                continue
            column = found
        ordered = any(o.column is column and o.aggregate is None for o in question.query.order)
        if ordered and item.ref.best_column < 0.85 and index > question.ordered_at:
            item.used = True
            continue
        chosen.append((index, column))
    chosen = _of_one_table(question, chosen)
    for index, column in chosen:
        question.selected.add(index)
        shown = [output.column for output in question.query.select if not output.aggregate]
        if column not in shown and not any(
            other is not None and other.name == column.name and _joined(question, other, column)
            for other in shown
        ):
            question.query.select.append(Output(column))
        items[index].used = True
    question.query.distinct = question.query.distinct or (
        distinct and not any(output.aggregate for output in question.query.select)
    )


def _is_verb(question: Question, index: int) -> bool:
    """`located in`, `was awarded`: what was done, and no column that is asked for."""
    item = question.items[index]
    if not item.token.text.lower().endswith("ed") or item.ref is None or item.ref.best_column >= 1:
        return False
    before = question.items[index - 1].token.lemma if index else ""
    after = question.items[index + 1].token.lemma if index + 1 < len(question.items) else ""
    return before in ("be", "have", "that", "which", "who") or after in (
        "in",
        "at",
        "by",
        "on",
        "to",
    )


def _owns(question: Question, index: int) -> bool:
    """`area and county of all regions`: whose columns they are, said at the end."""
    before = [item.token.lemma for item in question.items[max(0, index - 4) : index]]
    while before and before[-1] in ("the", "all", "each", "every", "a", "an", "any"):
        before.pop()
    return bool(before) and before[-1] == "of"


def _of_one_table(question: Question, chosen: list[tuple[int, Column]]) -> list[tuple[int, Column]]:
    """A list of columns is most likely of one table, where one has something for each."""
    said = {table for index, _ in chosen if (table := question.table_around(index)) is not None}
    if len({column.table for _, column in chosen}) < 2 or len(said) > 1:
        return chosen
    options: list[dict[Table, tuple[float, Column]]] = []
    for index, column in chosen:
        ref = question.items[index].ref
        best: dict[Table, tuple[float, Column]] = {}
        for other, score in ref.columns if ref is not None else []:
            if score > best.get(other.table, (0.0, other))[0]:
                best[other.table] = (score, other)
        best.setdefault(column.table, (0.5, column))
        options.append(best)
    shared = set(options[0]).intersection(*options[1:])
    now = sum(best[c.table][0] for best, (_, c) in zip(options, chosen, strict=True))
    now -= 0.3 * (len({column.table for _, column in chosen}) - 1)

    def worth(table: Table) -> float:
        near = 0.1 * (table is question.subject) + 0.1 * (table in question.mentioned)
        return sum(best[table][0] for best in options) + near

    table = max(shared, key=worth, default=None)
    if table is None or worth(table) <= now:
        return chosen
    return [(i, best[table][1]) for best, (i, _) in zip(options, chosen, strict=True)]


def _joined(question: Question, one: Column, other: Column) -> bool:
    """Whether two columns are the two ends of a key, and so hold the same."""
    return any(
        {key.column, key.target} == {one, other}
        for key in question.graph.keys_between(one.table, other.table)
    )


def _continues_list(question: Question, index: int) -> bool:
    """`the names of conductors and the orchestras`: a thing in a list of what is asked for."""
    before = [item.token.lemma for item in question.items[max(0, index - 3) : index]]
    while before and before[-1] in ("the", "all", "their", "corresponding", "each", "of"):
        before.pop()
    return bool(before) and before[-1] in ("and", ",", "as-well-as", "well-as")


def _own_name(question: Question, index: int) -> Column | None:
    """A column named as its own table (`airlines.airline`): the thing itself is meant."""
    table = question.table(index)
    ref = question.items[index].ref
    if ref is None or table is None:
        return None
    if ref.best_column < 0.97:
        return None
    if question.query.select or _others_ask(question, index):
        return None
    return next(
        (column for column, score in ref.columns if column.table is table and score > 0.9), None
    )


def _others_ask(question: Question, index: int) -> bool:
    return any(
        other != index
        and not item.used
        and item.ref is not None
        and item.ref.best_column > item.ref.best_table
        and item.ref.best_column >= 0.7
        for other, item in enumerate(question.items[:index])
    )


def fallback(question: Question) -> None:
    """Nothing is asked for by name: the things themselves are, by theirs."""
    query = question.query
    query.select = list(dict.fromkeys(query.select))
    computed = {output.column for output in query.select if output.aggregate}
    query.select = [
        output
        for output in query.select
        if output.aggregate or output.column not in computed or output.column in query.group
    ]
    if query.select:
        return
    if query.group:
        query.select.extend(Output(column) for column in query.group)
        return
    if not question.mentioned:  # `the 3 highest rates`
        query.select.extend(
            Output(order.column) for order in query.order if order.column and not order.aggregate
        )
    first = question.items[0].token.lemma if question.items else ""
    if not query.select and question.subject is not None and first in ("when", "where"):
        asked = _when_or_where(question, question.subject, first)
        query.select.extend(Output(column) for column in asked[:1])
    for table in (*query.group_tables, question.subject):
        if table is not None and not query.select:
            query.select.extend(Output(column) for column in display(table))
            return


_PLACES = ("location", "hometown", "city", "address", "place", "country", "state", "county")


def _when_or_where(question: Question, table: Table, word: str) -> list[Column]:
    """The columns that answer `when` or `where`, those named like a word of the question first."""
    said = {stem(item.token.text) for item in question.items}
    found = [
        column
        for column in table.columns
        if (column.kind is Kind.DATE or column.year_like or set(column.words) & {"date", "year"})
        if word == "when"
    ] or [
        column
        for place in _PLACES
        for column in table.columns
        if word == "where" and place in column.words and not column.foreign
    ]
    return sorted(found, key=lambda column: -len({stem(w) for w in column.words} & said))


def display(table: Table) -> list[Column]:
    """The column that tells a person which row is meant: a name, a title, else the key."""
    text = [column for column in table.columns if column.kind is Kind.TEXT and not column.foreign]
    for ending in (("name",), ("title",)):
        exact = [column for column in text if column.words == ending]
        named = [
            column
            for column in text
            if column.words[-1:] == ending
            and set(column.words[:-1]) <= {*table.words, "full", "short"}
        ]
        if exact or named:
            return (exact or named)[:1]
    person = [
        c for c in text if c.words in (("first", "name"), ("last", "name"), ("fname",), ("lname",))
    ]
    if len(person) >= 2:
        return person[:2]
    named = [column for column in text if column.words[-1:] in (("name",), ("title",))]
    own = [column for column in text if set(column.words) & set(table.words) and not column.primary]
    if named or own:
        return (named or own)[:1]
    if table.key is not None:
        return [table.key]
    return (text or table.columns)[:1]
