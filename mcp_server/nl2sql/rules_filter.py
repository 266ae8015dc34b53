"""Rules for comparisons with numbers and dates: bounds, ranges, periods, averages."""

import re

from mcp_server.nl2sql.lexicon import COMPARATIVES
from mcp_server.nl2sql.logical import (
    AnyOf,
    Between,
    Compare,
    Condition,
    Nested,
    Operator,
    Scalar,
)
from mcp_server.nl2sql.profile_model import Column, Kind
from mcp_server.nl2sql.question import DET, Question, col, tab
from mcp_server.nl2sql.rules_group import OPERATOR, OPERATORS

ABOVE = (
    r"(?:above|over|higher than|greater than|more than|larger than|bigger than|older than|"
    r"longer than|taller than|heavier than|exceed|exceeding|at least)"
)
BELOW = (
    r"(?:below|under|lower than|less than|smaller than|fewer than|younger than|shorter than|"
    r"lighter than|cheaper than|at most)"
)


def averages(question: Question) -> None:
    """`whose age is above the average`, `older than the average`."""
    match = question.search(
        rf"(?:(?:with|whose|that have|have|of|and|where) )?{DET}{col('c')} (?:that )?(?:be )?"
        rf"(?:(?P<above>{ABOVE})|(?P<below>{BELOW})) (?:the |its |their )?(?:average|mean)"
        rf"(?: {DET}{col('d')})?(?: (?:of|for|across|in|among) {DET}@[a-z]+\d+)?"
    ) or question.search(
        rf"(?:(?:with|that have|have|have a|of) )?(?:(?P<above>{ABOVE})|(?P<below>{BELOW})) "
        rf"(?:the |its |their )?(?:average|mean) {DET}{col('c')}"
        rf"(?: (?:of|for|across|in|among) {DET}@[a-z]+\d+)?"
    )
    if match is not None:
        column = question.column(int(match["c"]), numeric=True)
        if column is not None:
            operator: Operator = ">" if match["above"] else "<"
            question.query.where.append(Compare(column, operator, Nested("avg", column)))
            question.strike(match)
            return
    words = "|".join(COMPARATIVES)
    match = question.search(rf"(?P<way>{words}) than (?:the )?(?:average|mean)(?: @[a-z]+\d+)?")
    if match is not None:
        hints, operator = _comparative(match["way"])
        column = question.adjective_column(hints, None)
        if column is not None:
            question.query.where.append(Compare(column, operator, Nested("avg", column)))
            question.strike(match)


def _comparative(word: str) -> tuple[tuple[str, ...], Operator]:
    hints, operator = COMPARATIVES[word]
    return hints, ">" if operator == ">" else "<"


def comparisons(question: Question) -> list[Condition]:
    """Conditions with numbers and dates."""
    found: list[Condition] = []
    while (condition := _one_comparison(question)) is not None:
        condition = _or_another(question, condition)
        question.places[id(condition)] = question.struck
        found.append(condition)
    return found


def _or_another(question: Question, condition: Condition) -> Condition:
    """`in 2014 or 2015`, `aged 32 or 33`: another value for the same comparison."""
    if not isinstance(condition, Compare):
        return condition
    first, end = question.struck
    rest = " ".join(question.code.split()[end:])
    bound = re.match(
        rf"(?:or|and|but) (?:be )?(?P<op>{OPERATOR}|taller than|shorter than|after|before) "
        rf"@n(?P<n>\d+)(?= |$)",
        rest,
    )
    if bound is not None and condition.operator not in ("=", "<>"):
        index = int(bound["n"])
        operator = {"taller than": ">", "shorter than": "<", "after": ">", "before": "<"}.get(
            bound["op"]
        ) or OPERATORS[bound["op"]]
        for item in question.items[end : index + 1]:
            item.used = True
        question.struck = (first, index + 1)
        other = Compare(condition.column, operator, _scalar(question, index))  # type: ignore[arg-type]
        if rest.startswith("or"):
            return AnyOf((condition, other))
        question.query.where.append(other)
        return condition
    if condition.operator not in ("=", "<>"):
        return condition
    match = re.match(
        r"(?:or|and|,)(?: or| and)? (?:in |be |the |year )*@[nd](?P<n>\d+)(?= |$)", rest
    )
    if match is None:
        return condition
    index = int(match["n"])
    for item in question.items[end : index + 1]:
        item.used = True
    question.struck = (first, index + 1)
    other = Compare(condition.column, condition.operator, _scalar(question, index))
    return AnyOf((condition, other))


def _one_comparison(question: Question) -> Condition | None:
    for rule in (
        _between,
        _both_bounds,
        _operator,
        _operator_first,
        _adjective_than,
        _counted_column,
        _period,
        _equal,
        _numbered,
    ):
        condition = rule(question)
        if condition is not None:
            return condition
    return None


def _between(question: Question) -> Condition | None:
    match = question.search(
        rf"(?:(?:with|whose|that have|have|where|of) )?{DET}{col('c')} (?:be |range |ranging |"
        rf"that be )*"
        rf"(?:between|from|in the range of|in the range) @[nd](?P<a>\d+) (?:and|to) @[nd](?P<b>\d+)"
    ) or question.search(
        r"(?:between|from) (?:the year )?@[nd](?P<a>\d+) (?:and|to) @[nd](?P<b>\d+)"
    )
    if match is None:
        return None
    low, high = (_scalar(question, int(match[name])) for name in ("a", "b"))
    if "c" in match.groupdict():
        column = question.column(int(match["c"]), numeric=True)
    else:
        column = _time_column(question, low)
    if column is None:
        return None
    question.strike(match)
    return Between(column, low, high)


def _scalar(question: Question, index: int) -> Scalar:
    token = question.items[index].token
    if token.value is None or (len(token.text) > 1 and token.text.startswith("0")):
        return token.text  # a telephone number is no number
    return token.value


def _operator(question: Question) -> Condition | None:
    extra = (
        r"|after|later than|before|earlier than|since|older than|younger than|longer than|shorter "
        r"than|bigger than|exceed|exceeding|beyond|equal to or greater than|greater than or equal "
        r"to|less than or equal to|not equal to"
    )
    match = question.search(
        rf"(?:(?:with|whose|that have|have|where|of|and|a|an) )*{DET}{col('c')} "
        rf"(?:(?:be|that be|which be|value|score|a|an|of|whose|with|than) )*"
        rf"(?P<op>{OPERATOR}{extra}|>|<|>=|<=)"
        rf"(?: or (?P<equal>equal to))? (?:the year )?@[nd](?P<n>\d+)"
    )
    if match is None:
        match = question.search(
            rf"(?:(?:with|whose|have|where|of|a|an|the) )*{DET}(?P<op>higher|larger|greater|lower|"
            rf"smaller|more|less|bigger) {col('c')} than @[nd](?P<n>\d+)"
        )
        if match is None:
            return None
    index = int(match["c"])
    column = question.column(index, numeric=True)
    if column is None:
        return None
    operator = _operator_of(match["op"])
    if match["op"] in ("after", "before", "since", "later than", "earlier than") and not (
        column.kind is Kind.DATE or column.counts
    ):
        dated = _time_column(question, _scalar(question, int(match["n"])))
        column = dated if dated is not None else column
    if "equal" in match.groupdict() and match["equal"]:
        operator = ">=" if operator == ">" else "<="
    value = _scalar(question, int(match["n"]))
    question.strike(match)
    return Compare(column, operator, value)


def _operator_first(question: Question) -> Condition | None:
    """`above age 20`, `under the age of 30`."""
    match = question.search(
        rf"(?:(?:with|be|of|that|who|which) )*(?P<op>{OPERATOR}|after|before|since|later than|"
        rf"earlier than|prior to) (?:the |an |a )?{col('c')} "
        rf"(?:of |be )?@[nd](?P<n>\d+)"
    )
    if match is None:
        return None
    column = question.column(int(match["c"]), numeric=True)
    if column is None:
        return None
    value = _scalar(question, int(match["n"]))
    question.strike(match)
    later = {"after": ">", "later than": ">", "since": ">="}
    operator = OPERATORS.get(match["op"]) or later.get(match["op"], "<")
    return Compare(column, operator, value)  # type: ignore[arg-type]


def _both_bounds(question: Question) -> Condition | None:
    """`weighing at least 3000 and at most 4000`: two bounds of one column."""
    match = question.search(
        rf"(?:(?:with|whose|that|which|have|be|of) )*{DET}{col('c')} (?:be )?(?P<op>{OPERATOR}) "
        rf"@[nd](?P<n>\d+) (?:and|but|,) (?:be )?(?P<op2>{OPERATOR}) @[nd](?P<m>\d+)"
    )
    if match is None:
        return None
    column = question.column(int(match["c"]), numeric=True)
    if column is None:
        return None
    first, second = (_scalar(question, int(match[name])) for name in ("n", "m"))
    question.query.where.append(Compare(column, OPERATORS[match["op"]], first))
    question.strike(match)
    return Compare(column, OPERATORS[match["op2"]], second)


def _operator_of(words: str) -> Operator:
    if words in OPERATORS:
        return OPERATORS[words]
    if words in (">", "<", ">=", "<="):
        return words  # type: ignore[return-value]
    if words in ("equal to or greater than", "greater than or equal to", "since"):
        return ">="
    if words == "less than or equal to":
        return "<="
    if words == "not equal to":
        return "<>"
    above = (
        r"after|later than|older than|longer than|bigger.*|exceed.*|beyond|higher|larger|greater|"
        r"more"
    )
    return ">" if re.fullmatch(above, words) else "<"


def _adjective_than(question: Question) -> Condition | None:
    words = "|".join(COMPARATIVES)
    match = question.search(
        rf"(?:(?:that|who|which) )?(?:be )?(?P<way>{words}) than @n(?P<n>\d+)(?: year(?: old)?)?"
    )
    if match is not None:
        hints, operator = _comparative(match["way"])
        column = question.adjective_column(hints, None)
        if column is not None:
            value = _scalar(question, int(match["n"]))
            question.strike(match)
            return Compare(column, operator, value)
    match = question.search(
        rf"(?P<op>{OPERATOR})? ?@n(?P<n>\d+) year(?: old| of age)?(?: or (?P<or>older|younger))?"
    ) or question.search(
        r"(?:be )?(?:aged|age) (?:either |at )?(?:(?P<op>over|under) )?@n(?P<n>\d+)"
    )
    if match is not None:
        column = question.adjective_column(("age",), None)
        if column is not None:
            operator = OPERATORS[match["op"]] if match["op"] else "="
            if match.groupdict().get("or"):
                operator = ">=" if match["or"] == "older" else "<="
            value = _scalar(question, int(match["n"]))
            question.strike(match)
            return Compare(column, operator, value)
    return None


def _counted_column(question: Question) -> Condition | None:
    """`more than 4 cylinders`, `3 cylinders`: a number before the column that it limits."""
    match = question.search(
        rf"(?:(?:with|have|has|having|of|cost|costing|worth|earn|pay|paid|spend|a|an|that|which) )*"
        rf"(?P<op>{OPERATOR}) @n(?P<n>\d+)(?: or (?P<or>more|less))? (?:in |of |dollar |total "
        rf")?{DET}{col('c')}"
    ) or question.search(
        rf"(?:with|have|has|having|of) @n(?P<n>\d+)(?: or (?P<or>more|less))? {DET}{col('c')}"
    )
    if match is None:
        return None
    column = question.column(int(match["c"]), numeric=True)
    if column is None or not column.counts:
        return None
    found = match.groupdict()
    operator = OPERATORS[found["op"]] if found.get("op") else "="
    if found.get("or"):
        operator = ">=" if found["or"] == "more" else "<="
    value = _scalar(question, int(match["n"]))
    question.strike(match)
    return Compare(column, operator, value)


def _period(question: Question) -> Condition | None:
    """`in 2014`, `after 1990`, `before 2000-01-01`."""
    match = question.search(
        r"(?:(?:made|built|founded|held|happened|released|born|produced|published|established|"
        r"dated) )?"
        r"(?P<when>in|on|during|after|before|since|until|by|from|of|prior to|later than|earlier "
        r"than)"
        r" (?:the |year |of )*(?P<both>both |either )?@[nd](?P<n>\d+)(?: (?P<link>and|or) (?:in "
        r")?@[nd](?P<m>\d+))?"
    )
    if match is None:
        return None
    value = _scalar(question, int(match["n"]))
    column = _time_column(question, value)
    if column is None:
        return None
    if match["m"]:
        other = _scalar(question, int(match["m"]))
        if match["both"] or match["link"] == "and":
            question.notes.append("both")
        question.strike(match)
        return AnyOf((Compare(column, "=", value), Compare(column, "=", other)))
    when = match["when"]
    question.strike(match)
    if when in ("after", "later than"):
        return Compare(column, ">", value)
    if when in ("before", "prior to", "earlier than"):
        return Compare(column, "<", value)
    if when == "since":
        return Compare(column, ">=", value)
    return Compare(column, "=", value)


def _time_column(question: Question, value: Scalar) -> Column | None:
    """The column for a year or a date, in the tables at hand."""
    if isinstance(value, float) or (isinstance(value, int) and not 1500 <= value <= 2100):
        return None
    tables = [t for t in (question.subject, *question.mentioned) if t is not None]
    for table in dict.fromkeys(tables):
        for column in table.columns:
            year = column.year_like or column.name.lower().endswith("year")
            if isinstance(value, int) and year and (column.counts or column.kind is Kind.TEXT):
                return column
            if column.kind is Kind.DATE and not column.foreign:
                return column
    return None


def _equal(question: Question) -> Condition | None:
    match = question.search(
        rf"(?:(?:with|whose|that have|have|where|of|and|in|by|for) )*{DET}{col('c')} "
        rf"(?P<not>not )?(?:(?:be|of|equal to|=|number|as|is|to|value|a|an|either) )*(?P<not2>not "
        rf")?@n(?P<n>\d+)"
    )
    if match is None:
        return None
    column = question.column(int(match["c"]), numeric=True)
    if column is None or not (column.counts or column.kind is Kind.TEXT):
        return None
    value = _scalar(question, int(match["n"]))
    question.strike(match)
    return Compare(column, "<>" if match["not"] or match["not2"] else "=", value)


def _numbered(question: Question) -> Condition | None:
    """`course 301`, `supplier 3`: the row with that key."""
    match = question.search(
        rf"(?:(?:by|of|for|with|in|the|from) )*{tab('t')} (?:id |number |no |with id |numbered "
        rf")?@n(?P<n>\d+)"
    )
    if match is None or re.match(r" (?:or|to|and @n|time|year)", match.string[match.end() :]):
        return None
    table = question.table(int(match["t"]))
    key = table.key if table is not None else None
    if key is None or not key.counts:
        return None
    value = _scalar(question, int(match["n"]))
    question.strike(match)
    return Compare(key, "=", value)
