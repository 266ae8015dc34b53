"""Rules for groups: `for each`, `per`, and conditions on how many rows a group has."""

import re

from mcp_server.nl2sql.logical import Having, Operator
from mcp_server.nl2sql.question import DET, Question, letters, num, tab

OPERATORS: dict[str, Operator] = {
    "more than": ">",
    "greater than": ">",
    "larger than": ">",
    "higher than": ">",
    "over": ">",
    "above": ">",
    "at least": ">=",
    "minimum of": ">=",
    "no less than": ">=",
    "no fewer than": ">=",
    "not less than": ">=",
    "less than": "<",
    "fewer than": "<",
    "lower than": "<",
    "smaller than": "<",
    "under": "<",
    "below": "<",
    "at most": "<=",
    "no more than": "<=",
    "not more than": "<=",
    "maximum of": "<=",
    "up to": "<=",
    "not higher than": "<=",
    "not greater than": "<=",
    "not larger than": "<=",
    "no greater than": "<=",
    "no higher than": "<=",
    "not over": "<=",
    "not lower than": ">=",
    "not smaller than": ">=",
    "not fewer than": ">=",
    "no lower than": ">=",
    "older than": ">",
    "younger than": "<",
    "exactly": "=",
    "only": "=",
}
OPERATOR = "|".join(OPERATORS)


_AGGREGATED = (
    r"\b(?:how many|how much|number|count|average|mean|avg|total|sum|maximum|minimum|max|min|most|"
    r"least|highest|lowest|largest|smallest|oldest|youngest|longest|shortest|latest|earliest|"
    r"percentage|proportion|ratio)\b"
)


_TIMES = r"(?:time|record|entry|occurrence|instance)(?: on file)?"


def groups(question: Question) -> None:
    """`for each country`, `per store`, `in each department`, `of each`."""
    aggregated = re.search(_AGGREGATED, question.code) is not None
    things = r"(?P<x>@[a-z]+\d+)(?: (?:and|,) (?:each |every )?(?P<y>@[a-z]*c[a-z]*\d+))?"
    patterns = (
        rf"(?:, )?(?:for|of|in|by|from|on|at|to|with|across|within|among|belong to|live in|under) "
        rf"(?:each|every)(?: of the| different| possible| distinct| type of| kind of| single)* "
        rf"{things}",
        rf"(?:, )?(?:grouped|group|broken down|separated|categorized) (?:by|into) {DET}{things}",
        rf"(?:, )?per {things}",
        rf"(?:, )?(?:do|does) each (?:of the )?{things}",
        rf"(?:, )?each {things}",
        rf"(?:, )?(?:for|in|from|by|across) (?:all )?(?:the )?different {things}",
    )
    for pattern in patterns:
        match = question.search(pattern)
        if match is not None and aggregated:
            for name in ("x", "y"):
                if match[name]:
                    _group_by(question, int(re.sub(r"\D", "", match[name])))
            question.strike(match)
            return
    match = question.search(
        r"(?:, )?(?:for|of|in|by|from|with|belonging to|corresponding to) (?:each|every)"
        r"(?: (?:one|of them|group|person|of these))?(?= [?.#,]| and|$)"
    ) or question.search(r"(?:for|of) (?:each|them)(?=$| [?.])")
    if match is not None:
        question.notes.append("each")
        question.strike(match)
        return
    match = question.search(r"(?:respectively|each)(?=$| [?.,#])")
    if match is not None:
        question.notes.append("each")
        question.strike(match)


def _group_by(question: Question, index: int) -> None:
    kinds = letters(question.items[index])
    ref = question.items[index].ref
    if "t" in kinds and ref is not None and ("c" not in kinds or ref.best_table > ref.best_column):
        table = question.table(index)
        if table is not None:
            question.query.group_tables.append(table)
            return
    column = question.column(index)
    if column is not None:
        question.query.group.append(column)
    elif "t" in kinds:
        table = question.table(index)
        if table is not None:
            question.query.group_tables.append(table)


def having(question: Question) -> None:
    """`with at least 3 concerts`, `that have more than one pet`, `two or more employees`."""
    lead = (
        r"(?:(?:that|which|who|whose) )?(?:(?:be|do) )?(?:with|have|has|had|having|own|contain|"
        r"speak|use|used by|used in|shared by|belong to|offer|take|make|play|get|receive|teach|"
        r"attend|enrolled in|enroll in|produce|build|published|write|written|visited|visit|for|"
        r"list|include|live in|by|treated|operate|appear in|owned)?"
    )
    patterns = (
        rf"{lead} ?(?:a )?(?P<op>{OPERATOR}) {num('n')} (?:or (?P<or>more|fewer|less) )?"
        rf"(?:different |distinct |kind of |type of |unique |corresponding )*{tab('t')}",
        rf"{lead} ?{num('n')} or (?P<or>more|fewer|less) (?:different |distinct )?{tab('t')}",
        rf"(?:whose |with |and )?(?:the )?(?:number|count) of {DET}{tab('t')} (?:be |that be )?"
        rf"(?P<op>{OPERATOR}) {num('n')}",
        rf"{lead} (?P<op>exactly )?{num('n')} (?:different |distinct )?{tab('t')}",
    )
    match = question.search(
        rf"{lead} ?(?:between |from )?{num('n')} (?:and|to) {num('m')} (?:different )?{tab('t')}"
    )
    if match is not None:
        table = question.table(int(match["t"]))
        low, high = question.number(match, "n"), question.number(match, "m")
        question.query.having += [Having(">=", low, table=table), Having("<=", high, table=table)]
        question.strike(match)
        return
    for position, pattern in enumerate(patterns):
        match = question.search(pattern)
        if match is None:
            continue
        index = int(match["t"])
        table = question.table(index)
        ref = question.items[index].ref
        if table is None or ref is None or ref.best_table < 0.7:
            continue
        if position == 3 and not re.search(r"with|have|has|had|own|use", match[0]):
            continue
        found = match.groupdict()
        if found.get("or"):
            operator: Operator = ">=" if found["or"] == "more" else "<="
        else:
            operator = OPERATORS[(found.get("op") or "exactly").strip()]
        value = question.number(match, "n")
        question.query.having.append(Having(operator, value, table=table))
        question.strike(match)
        return
    match = question.search(
        rf"(?:(?:that|which|who) )?(?:be |have )?(?:[a-z]+ )?(?P<op>{OPERATOR}) {num('n')} {_TIMES}"
    ) or question.search(
        rf"(?:have |with )?(?:(?P<op>{OPERATOR}) )?{num('n')}(?: or (?P<or>more|fewer|less))? "
        rf"{_TIMES}"
    )
    if match is not None:
        operator = OPERATORS[match["op"] or "exactly"]
        if match.groupdict().get("or"):
            operator = ">=" if match["or"] == "more" else "<="
        question.query.having.append(Having(operator, question.number(match, "n")))
        question.strike(match)
