"""Rules for texts: known and quoted values, patterns, and what is missing."""

import re

from mcp_server.nl2sql.lexicon import FILLER, STOP
from mcp_server.nl2sql.logical import (
    AnyOf,
    Compare,
    Condition,
    Like,
    Null,
    Scalar,
)
from mcp_server.nl2sql.profile_model import Column, Kind
from mcp_server.nl2sql.question import DET, Question, col, tab, val
from mcp_server.nl2sql.tokens import Mark, normal_text

BE = r"(?:(?:be|that be|which be|value be|equal to|of|=|as|with|have|has|called|named|is) )*"
NOT = r"(?:not|non|other than|except|except for|excluding|besides|apart from|never)"


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
        rf"(?P<not>(?:do )?not )?{verbs} {filler}(?:(?P<v>@[a-z]*[vqct]+(?P<i>\d+))|"
        rf"(?P<w>[a-z]+)(?= |$))"
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
            r"(?:(?:that|which|who) )?(?:contain|containing|include|including|have|with) (?:the |"
            r"a )?"
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
    either = (
        rf"{val('v')}(?P<more>(?: (?:or|and|,|nor)+ (?:either |in |from |by |the "
        rf")*@[a-z]*[vqd]+\d+)*)"
    )
    match = question.search(
        rf"(?:(?:with|whose|that have|have|where|of|in|for|the|from|and|by|on|a|an|do|be|that|"
        rf"which|who) )*"
        rf"(?P<not>(?:not|outside) (?:[a-z]+ed |have )?(?:(?:in|from|of|at|by|the|a|an) "
        rf")*)?{col('c')} "
        rf"(?P<not3>{NOT} )?(?:locate |located )?{BE}(?P<not2>{NOT} )?(?:the |either |both |in |"
        rf"to )*{either}"
    )
    if match is not None:
        index = int(match["c"])
        column = _column_for_value(question, index, int(match["v"]))
        if column is not None:
            condition = _value_condition(question, match, column)
            question.as_said.append(condition)
            return condition
    match = question.search(
        rf"(?:(?:that|which|who|whose|be|do) )*(?P<not>(?:{NOT}|outside) (?:(?!(?:and|or|but|be) "
        rf")[a-z]+ ){{0,4}}?)?(?:(?:in|from|of|for|at|on|by|to|with|named|called|the|be|a|an|as|"
        rf"made|based|located|titled|entitled|have|use|using|own|either|both|live|living|any) "
        rf")*(?P<not2>{NOT} (?:[a-z]+ ){{0,2}})?{either}"
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
