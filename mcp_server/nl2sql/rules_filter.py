"""Rules for conditions: comparisons, ranges, periods, values, patterns, and rows that are absent."""

import re

from mcp_server.nl2sql.lexicon import COMPARATIVES, FILLER, STOP
from mcp_server.nl2sql.logical import (
    AnyOf,
    Between,
    Compare,
    Condition,
    Like,
    Nested,
    Null,
    Operator,
    Scalar,
)
from mcp_server.nl2sql.profile_model import Column, Kind
from mcp_server.nl2sql.question import DET, Question, col, tab, val
from mcp_server.nl2sql.rules_group import OPERATOR, OPERATORS
from mcp_server.nl2sql.tokens import Mark, normal_text

BE = r"(?:(?:be|that be|which be|value be|equal to|of|=|as|with|have|has|called|named|is) )*"
NOT = r"(?:not|other than|except|except for|excluding|besides|apart from|never)"
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
        rf"(?:or|and|but) (?:be )?(?P<op>{OPERATOR}|taller than|shorter than|after|before) @n(?P<n>\d+)(?= |$)",
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
        rf"(?:(?:with|whose|that have|have|where|of) )?{DET}{col('c')} (?:be |range |ranging |that be )*"
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
    return token.text if token.value is None else token.value


def _operator(question: Question) -> Condition | None:
    extra = r"|after|later than|before|earlier than|since|older than|younger than|longer than|shorter than|bigger than|exceed|exceeding|beyond|equal to or greater than|greater than or equal to|less than or equal to|not equal to"
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
    above = r"after|later than|older than|longer than|bigger.*|exceed.*|beyond|higher|larger|greater|more"
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
        rf"(?P<op>{OPERATOR}) @n(?P<n>\d+)(?: or (?P<or>more|less))? (?:in |of |dollar |total )?{DET}{col('c')}"
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
        r"(?:(?:made|built|founded|held|happened|released|born|produced|published|established|dated) )?"
        r"(?P<when>in|on|during|after|before|since|until|by|from|of|prior to|later than|earlier than)"
        r" (?:the |year |of )*(?P<both>both |either )?@[nd](?P<n>\d+)(?: (?P<link>and|or) (?:in )?@[nd](?P<m>\d+))?"
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
        rf"(?P<not>not )?(?:(?:be|of|equal to|=|number|as|is|to|value|a|an|either) )*(?P<not2>not )?@n(?P<n>\d+)"
    )
    if match is None:
        return None
    column = question.column(int(match["c"]), numeric=True)
    if column is None or not (column.counts or column.kind is Kind.TEXT):
        return None
    value = _scalar(question, int(match["n"]))
    question.strike(match)
    return Compare(column, "<>" if match["not"] or match["not2"] else "=", value)


def values(question: Question) -> list[Condition]:
    """Conditions with texts: known values, quoted ones, and patterns."""
    found: list[Condition] = []
    for rule in (_pattern, _named_like, _missing, _bare_value, _one_value):
        while (condition := rule(question)) is not None:
            question.places[id(condition)] = question.struck
            found.append(condition)
    return found


def _pattern(question: Question) -> Condition | None:
    filler = (
        r"(?:(?:the|a|an|word|letter|substring|string|character|phrase|text|prefix|in|it|its|"
        r"character|prefix|suffix|with|of) )*"
    )
    verbs = (
        r"(?P<verb>contain|containing|include|including|start with|starting with|begin with|"
        r"beginning with|end with|ending with|have|has|with|like|have the|start|begin|end)"
    )
    match = question.search(
        rf"(?:(?:with|whose|that|which|who|where|have|the|in|its|their) )*{col('c')} "
        rf"(?:(?:whose|which|that|with|where) (?:the |its )?(?:name |@[a-z]*c[a-z]*\d+ )?)?"
        rf"(?P<not>(?:do )?not )?{verbs} {filler}(?:(?P<v>@[a-z]*[vqct]+(?P<i>\d+))|(?P<w>[a-z]+)(?= |$))"
    )
    if match is None:
        return _letter_in(question)
    if match["i"] is None and match["verb"] in ("have", "has", "with") and "the" not in match[0]:
        return None
    if match["i"] and (
        match["verb"] in ("have", "has", "with")
        and not (match["i"] and question.items[int(match["i"])].token.mark is Mark.QUOTED)
    ):
        return None
    if match["i"]:
        text = question.items[int(match["i"])].token.text
    elif re.search(
        r"\b(?:substring|word|letter|string|phrase|character|prefix|suffix)\b", match[0]
    ):
        place = len(match.string[: match.start("w")].split())
        text = question.items[place].token.text
    else:
        return None
    column = question.column(int(match["c"]))
    if column is None:
        return None
    escaped = re.sub(r"([%_\\])", r"\\\1", text)
    if match["verb"].startswith(("start", "begin")):
        pattern = f"{escaped}%"
    elif match["verb"].startswith("end"):
        pattern = f"%{escaped}"
    else:
        pattern = f"%{escaped}%"
    question.strike(match)
    return Like(column, pattern, bool(match["not"]))


def _letter_in(question: Question) -> Condition | None:
    """`with the letter w in their description`."""
    match = question.search(
        r"(?:(?:that|which|who|with|have|contain|containing|include|including) )+(?:the |a )?"
        r"(?:letter|word|substring|string|phrase|character) (?P<w>@?[a-z0-9]+) (?:in|within) "
        rf"{DET}{col('c')}"
    )
    if match is None:
        return None
    column = question.column(int(match["c"]))
    if column is None:
        return None
    place = len(match.string[: match.start("w")].split())
    text = question.items[place].token.text
    question.strike(match)
    escaped = re.sub(r"([%_\\])", r"\\\1", text)
    return Like(column, f"%{escaped}%")


def _named_like(question: Question) -> Condition | None:
    """`with 'Ex' in its name`; `organizations that contain the word 'Party'`."""
    match = question.search(
        rf"(?:(?:that|which|who|with|have|contain|containing|include|including) )+(?:the |a )?"
        rf"(?:letter |word |substring |string |phrase )?(?P<v>@[a-z]*[vq][a-z]*(?P<i>\d+)) "
        rf"(?:in|within) (?:the|its|their|his|her) {col('c')}"
    )
    column = question.column(int(match["c"])) if match is not None else None
    if match is None:
        match = question.search(
            r"(?:(?:that|which|who) )?(?:contain|containing|include|including|have|with) (?:the |a )?"
            r"(?:word|substring|string|phrase) (?P<v>@[a-z]*[vq][a-z]*(?P<i>\d+))"
        )
        column = _name_column(question)
    if match is None or column is None:
        return None
    text = question.items[int(match["i"])].token.text
    question.strike(match)
    escaped = re.sub(r"([%_\\])", r"\\\1", text)
    return Like(column, f"%{escaped}%")


def _bare_value(question: Question) -> Condition | None:
    """`with code x`, `product voluptatem`: a plain word that the column before it holds."""
    for kind in (col("x"), tab("x")):
        for match in re.finditer(
            rf"(?:(?<=\s)|^)(?:(?:with|of|for|in|the|whose) )*{kind} (?:be |of |named |called )?"
            r"(?P<w>[a-z0-9]+)(?=\s|$)",
            question.code,
        ):
            place = len(match.string[: match.start("w")].split())
            token = question.items[place].token
            if (
                token.lemma in STOP
                or token.lemma in FILLER
                or question.items[place].ref is not None
            ):
                continue
            ref = question.items[int(match["x"])].ref
            columns = [column for column, _ in ref.columns] if ref is not None else []
            if ref is not None and kind.startswith("@(?=[a-z]*t"):
                columns = [c for table, _ in ref.tables for c in table.columns]
            for column in columns:
                stored = column.values.get(normal_text(token.text))
                if stored is not None and column.kind is Kind.TEXT:
                    question.strike(match)
                    return Compare(column, "=", stored)
    return None


def _numbered(question: Question) -> Condition | None:
    """`course 301`, `supplier 3`: the row with that key."""
    match = question.search(
        rf"(?:(?:by|of|for|with|in|the|from) )*{tab('t')} (?:id |number |no |with id |numbered )?@n(?P<n>\d+)"
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


def _missing(question: Question) -> Condition | None:
    match = question.search(
        rf"(?:(?:with|whose|that|which|where) )*{DET}{col('c')} (?:be |have )?(?P<not>not )?"
        rf"(?:null|missing|unknown|empty|blank|unspecified)"
    )
    if match is None:
        return None
    column = question.column(int(match["c"]))
    if column is None:
        return None
    question.strike(match)
    return Null(column, bool(match["not"]))


def _one_value(question: Question) -> Condition | None:
    either = rf"{val('v')}(?P<more>(?: (?:or|and|,|nor)+ (?:either |in |from |by |the )*@[a-z]*[vqd]+\d+)*)"
    match = question.search(
        rf"(?:(?:with|whose|that have|have|where|of|in|for|the|from|and|by|on|a|an|do|be|that|which|who) )*"
        rf"(?P<not>(?:not|outside) (?:[a-z]+ed |have )?(?:(?:in|from|of|at|by|the|a|an) )*)?{col('c')} "
        rf"(?P<not3>{NOT} )?(?:locate |located )?{BE}(?P<not2>{NOT} )?(?:the |either |both |in |to )*{either}"
    )
    if match is not None:
        index = int(match["c"])
        column = _column_for_value(question, index, int(match["v"]))
        if column is not None:
            condition = _value_condition(question, match, column)
            question.as_said.append(condition)
            return condition
    match = question.search(
        rf"(?:(?:that|which|who|whose|be|do) )*(?P<not>(?:{NOT}|outside) (?:(?!(?:and|or|but|be) )[a-z]+ ){{0,4}}?)?(?:(?:in|from|of|for|at|on|by|to|with|named|called|the|be|a|an|as|"
        rf"made|based|located|titled|entitled|have|use|using|own|either|both|live|living|any) )*(?P<not2>{NOT} (?:[a-z]+ ){{0,2}})?{either}"
        rf"(?P<not3> be not(?= ))?"
    )
    if match is None:
        return None
    options = question.value_columns(int(match["v"]))
    after = re.match(rf" {col('c')}(?= |$)", match.string[match.end() :])
    if after is not None and not match["more"]:  # `Paris county`: the column says which value
        ref = question.items[int(after["c"])].ref
        named = {column for column, score in ref.columns if score >= 0.7} if ref else set()
        held = [pair for pair in options if pair[0] in named]
        if held:
            question.items[int(after["c"])].used = True
            options = held
    if options:
        if len(options) > 1 and options[0][0].table is not options[1][0].table:
            question.doubt += 0.03
        return _value_condition(question, match, options[0][0])
    column = _name_column(question)
    if column is None:
        return None
    question.doubt += 0.25
    return _value_condition(question, match, column)


def _column_for_value(question: Question, index: int, value: int) -> Column | None:
    """The column that a span names and that holds the value, where there is such a one."""
    ref = question.items[index].ref
    assert ref is not None
    holders = {column for column, _ in question.value_columns(value)}
    both = [column for column, _ in ref.columns if column in holders]
    if both:
        ranked = [column for column, _ in question.value_columns(value) if column in both]
        return ranked[0]
    if ref.best_table > ref.best_column or holders:
        return None
    question.doubt += 0.1
    return question.column(index)


def _value_condition(question: Question, match: re.Match[str], column: Column) -> Condition:
    indexes = [int(match["v"]), *(int(each) for each in re.findall(r"@[a-z]+(\d+)", match["more"]))]
    negated = bool(match["not"] or match["not2"] or match.groupdict().get("not3"))
    both = bool(re.search(r"\b(?:both)\b", match[0])) or (
        " and " in match["more"] and " or " not in match["more"]
    )
    conditions: list[Condition] = []
    for index in indexes:
        conditions.append(
            Compare(column, "<>" if negated else "=", _stored(question, column, index))
        )
    question.strike(match)
    if len(conditions) == 1:
        return conditions[0]
    if negated:
        question.query.where.extend(conditions[:-1])
        return conditions[-1]
    if both:
        question.notes.append("both")
    return AnyOf(tuple(conditions))


def _stored(question: Question, column: Column, index: int) -> Scalar:
    ref = question.items[index].ref
    if ref is not None:
        for other, value in ref.values:
            if other is column:
                return value
        if ref.values:
            return ref.values[0][1]
    token = question.items[index].token
    if column.kind is Kind.NUMBER:
        try:
            return float(token.text) if "." in token.text else int(token.text)
        except ValueError:
            return token.text
    return token.text


def _name_column(question: Question) -> Column | None:
    """Where a text that no column holds would stand: the name of what is asked for."""
    tables = [t for t in (question.subject, *question.mentioned) if t is not None]
    for table in dict.fromkeys(tables):
        for column in table.columns:
            if column.kind is Kind.TEXT and column.words[-1:] in (("name",), ("title",)):
                return column
    return None
