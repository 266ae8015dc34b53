# ruff: noqa: E501 -- a pattern reads best on one line
"""How likely a query is what a question asks: signs that the two fit, weighed.

The signs are about English and SQL only (`each` asks for a grouping, a number in the question
belongs into the query), never about a database. The weights in `weights.py` were fitted on solved
questions about 93 databases: those that order candidates by a conditional logit (McFadden, 1974),
those that say how sure the best is by a logistic model.
"""

import math
import re
from collections.abc import Iterator, Sequence

from sqlglot import exp

from mcp_server.nl2sql.choosing.weights import (
    RANK,
    STYLES_SCALE,
    STYLES_SHIFT,
    SURE,
    SURE_BIAS,
)

MARGIN_MAX = 5.0
SURE_WITHOUT = frozenset({"rows none, denied"})
"""Signs that order candidates and say nothing of how sure the best is: that nothing is without a
loan is as good an answer as another, though questions that were collected with their answers
seldom have it.
"""

_NEGATION = re.compile(
    r"\b(not|no|never|without|except|excluding|neither|nor|n't|don't|didn't|doesn't|other than|besides|but not|outside)\b|n't\b"
)
_GROUP = re.compile(r"\b(each|every|per|for all the different|respectively|by)\b")
_EACH = re.compile(r"\b(each|every|per)\b")
_BY = re.compile(
    r"(?<!ed)(?<!en)(?<!sort)(?<!order)(?<!rank)(?<!made)(?<!won)(?<!sold)(?<!held)(?<!built)(?<!led)(?<!taught)(?<!sung)(?<!paid)(?<!told)(?<!run)(?<!descending)(?<!ascending) by (?!the |an? |all |any |each |every |their |his |its |her )[a-z]"
)
"""`By` and a bare noun behind a noun; things are done, and sorted, by something too."""
_BY_TIME = re.compile(
    r"(?<!sorted)(?<!ordered)(?<!ranked) by (?:day|week|month|quarter|year|decade|hour)\b"
)


def asks_for_groups(low: str) -> bool:
    """Whether a question, in lower case, asks for something of each of several."""
    return bool(_EACH.search(low) or _BY.search(low) or _BY_TIME.search(low))


COUNT = re.compile(r"\b(how many|number of|count|amount of)\b")
SUPERLATIVE = re.compile(
    r"\b(most|least|highest|lowest|largest|smallest|biggest|fewest|top|maximum|minimum|max|min|best|worst|greatest|\w{3,}est)\b"
)
_AVERAGE = re.compile(r"\b(average|mean|avg)\b")
_SUM = re.compile(r"\b(total|sum|altogether|overall|how much)\b")
_SUM_OR_SO = re.compile(
    rf"{_SUM.pattern}|^(?:the )?[a-z]+s (?:[a-z]+(?:ed|en) )?(?:per|by) (?!who)"
)
"""`Points per player` asks for sums where it is read so."""
_MORE = re.compile(
    r"\b(more|less|greater|larger|higher|lower|smaller|above|below|over|under|at least|at most|after|before|older|younger|fewer|between|exceed\w*|since|taller|longer|shorter|heavier|later|earlier|multiple|several|once|twice|only)\b"
)
_SHARE = re.compile(r"\b(percentage|percent|proportion|fraction)\b")
_DIFFERENCE = re.compile(r"\b(difference|ratio|quotient|percentage|percent|proportion)\b")
_LASTING = re.compile(
    r"\b(duration|age|old|(?:seconds|minutes|hours|days|weeks|years|time) (?:between|from))\b"
)
"""What is a difference of dates, and not called one."""
FIRST_OF_EACH = re.compile(
    r"\b(?:first|last|latest|earliest|newest|oldest|most recent)\b(?: [\w-]+){1,3} "
    r"(?:of|for|by|in|per) (?:each|every)\b"
)
_ORDER = re.compile(
    r"\b(sort\w*|order|ordered|rank\w*|ascending|descending|alphabetical\w*|increasing|decreasing)\b"
)
_DISTINCT = re.compile(r"\b(different|distinct|unique)\b")
_LIKE = re.compile(
    r"\b(contain\w*|include\w*|substring|(?:start|begin|end)\w* (?:with|in|by)|letter|word|phrase|like)\b"
)
_MOST_NUMBER = re.compile(
    r"\b(?:most|least|largest|highest|fewest|smallest|greatest|lowest) (?:number|count|amount) of\b"
)
_BOUND = re.compile(
    r"\bat (?:least|most)\b|\b(?:not|no) (?:more|less|fewer|higher|lower|larger|smaller|greater|later|earlier|older|younger) than\b"
)
"""`at least` is no superlative, and `not more than` no negation."""
_BETWEEN_TWO = re.compile(r"\b(?:difference|ratio|quotient) (?:between|of)\b")
"""`difference between` bounds nothing."""
_NUMBER = re.compile(r"(?<![\w.-])\d[\d,]*(?:\.\d+)?(?![\w-])")
_IS_THERE = re.compile(r"(?:is|are|was|were|do|does|did|has|have|any)\b")
"""Whether there is one: the name of it is an answer."""
_QUOTED = re.compile(r"[\"“`]([^\"”`]+)[\"”']|(?<!\w)'([^']+)'(?!\w)")


def signs(question: str, tree: exp.Expr) -> dict[str, float]:
    """Signs for and against, each about 0..1, or a small count."""
    low = question.lower()
    unbound = _BETWEEN_TWO.sub("", _BOUND.sub("more than", low))
    held = _values_and_names(tree)
    outer = tree if isinstance(tree, exp.Select) else tree.find(exp.Select) or exp.Select()
    group, order, limit = (outer.args.get(name) for name in ("group", "order", "limit"))
    joins = outer.args.get("joins") or []
    where, having = outer.args.get("where"), outer.args.get("having")
    aggregates = {type(node).__name__ for node in tree.find_all(exp.AggFunc)}
    plain = [e for e in outer.expressions if not e.find(exp.AggFunc)]
    compared = tree.find(exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between) is not None
    starred = any(isinstance(count.this, exp.Star) for count in tree.find_all(exp.Count))
    distinct = outer.args.get("distinct") is not None
    counting = "Count" in aggregates
    computed = any(each.find(exp.Sub, exp.Div) for each in outer.expressions)
    ranked = tree.find(exp.Window) is not None
    grouping = group is not None or ranked
    subqueries = sum(1 for _ in tree.find_all(exp.Subquery, exp.In))
    found: dict[str, float] = {}

    def cue(name: str, pattern: re.Pattern[str], present: bool, said: str = unbound) -> bool:
        asked = bool(pattern.search(said))
        found[f"{name} asked, absent"] = float(asked and not present)
        found[f"{name} unasked, present"] = float(present and not asked)
        found[f"{name} asked, present"] = float(present and asked)
        return asked

    cue("negation", _NEGATION, _is_negated(tree))
    cue("group", _GROUP, grouping)
    measured = any(e.find(exp.AggFunc) for e in outer.expressions)
    by_groups = asks_for_groups(low)
    found["groups asked of a measure"] = float(by_groups and measured and grouping)
    found["groups asked of a measure, no group"] = float(by_groups and measured and not grouping)
    found["groups asked of a first"] = float(by_groups and ranked)
    found["groups asked of a first, no group"] = float(
        by_groups and (limit is not None or bool(FIRST_OF_EACH.search(low))) and not grouping
    )
    summed = "Sum" in aggregates and bool(COUNT.search(low) or not _SUM.search(low))
    cue("count", COUNT, counting or summed)
    cue(
        "superlative", SUPERLATIVE, limit is not None or ranked or bool({"Max", "Min"} & aggregates)
    )
    cue("average", _AVERAGE, "Avg" in aggregates)
    summed = "Sum" in aggregates
    cue("sum", _SUM_OR_SO if summed else _SUM, summed)
    cue("compare", _MORE, compared)
    cue("percentage", _SHARE, tree.find(exp.Filter) is not None)
    cue("difference", _DIFFERENCE, computed and not _LASTING.search(low), low)
    keys = keys_of(outer)
    in_order = order is not None and {e.this.sql() for e in order.expressions} <= keys
    cue("order", _ORDER, order is not None and limit is None and not in_order)
    things = starred and not joins  # rows of one table are different things
    asked_distinct = bool(_DISTINCT.search(low))
    different = tree.find(exp.Distinct) is not None
    cue("distinct", _DISTINCT, different or (things and asked_distinct))
    fixed = _fixed(where)
    found["shown, all given"] = float(_all_given(outer) and not _IS_THERE.match(low))
    found["shown, held equal"] = float(any(e.sql() in fixed for e in outer.expressions))
    found["counted, held equal"] = float(
        any(c.sql() in fixed for e in outer.expressions for c in e.find_all(exp.Column))
    )
    cue("like", _LIKE, tree.find(exp.Like, exp.ILike) is not None)
    by_count = order is not None and order.find(exp.Count) is not None
    found["most number asked, not counted"] = float(
        bool(_MOST_NUMBER.search(low)) and limit is not None and not by_count
    )
    found["numbers asked, counted"] = float("numbers of" in low and counting)
    found["and, one column"] = float(
        " and " in low and len(outer.expressions) == 1 and where is None and not computed
    )
    found["or, absent"] = float(" or " in low and tree.find(exp.Or) is None)
    found["both, absent"] = float(" both " in low and not _meets_both(tree))
    numbers = {n.replace(",", "") for n in _NUMBER.findall(low)}
    found["numbers lost"] = float(sum(n not in held for n in numbers))
    quoted = [a or b for a, b in _QUOTED.findall(question)]
    found["quoted lost"] = float(sum(q.strip().lower() not in held for q in quoted))
    names = re.findall(r"(?<=[a-z,] )[A-Z][\w.&-]+", question)
    found["names lost"] = float(
        min(3, sum(n.lower() not in held and n.lower()[:4] not in held for n in names))
    )
    found["joins"] = float(len(joins))
    found["joins over two"] = float(max(0, len(joins) - 2))
    found["join, no filter or group"] = float(
        bool(joins) and where is None and not grouping and not measured
    )
    found["join, measured, no filter or group"] = float(
        bool(joins) and where is None and not grouping and measured
    )
    found["join, distinct"] = float(bool(joins) and distinct)
    found["join, no distinct, plain"] = float(
        bool(joins) and not distinct and not aggregates and limit is None
    )
    beside = sum(e.unalias().sql() in keys for e in plain) if measured and by_groups else 0
    found["columns"] = float(min(5, len(outer.expressions) - beside))
    found["many columns"] = float(len(outer.expressions) > 4)
    found["count and plain"] = float(counting and bool(plain))
    found["group without aggregate"] = float(grouping and not aggregates)
    found["grouped, three keys"] = float(len(group.expressions) > 2 if group else False)
    found["having"] = float(having is not None)
    found["subqueries"] = float(min(3, subqueries))
    found["set operation"] = float(isinstance(tree, exp.SetOperation))
    found["conditions"] = float(
        min(4, len(list(where.find_all(exp.Predicate))) if where is not None else 0)
    )
    found["several aggregates"] = float(
        sum(1 for e in outer.expressions if e.find(exp.AggFunc)) > 1
    )
    found["bare select"] = float(
        where is None and not grouping and order is None and not joins and not subqueries
    )
    words = len(low.split())
    found["held and missing"] = float(_denies_itself(tree))
    found["long"] = max(0, words - 12) / 10
    found["long, bare"] = found["bare select"] * max(0, words - 7) / 5
    found["sentences"] = float(bool(re.search(r"[.?!]\s+\w", question)))
    found["limit, group"] = float(limit is not None and grouping)
    found["limit, joins"] = float(limit is not None and bool(joins))
    found["star count, join"] = float(starred and bool(joins) and not grouping)
    return found


def _values_and_names(tree: exp.Expr) -> str:
    """The values, tables and columns of a query in lower case; no word of SQL, no alias."""
    said = [str(literal.this) for literal in tree.find_all(exp.Literal)]
    said += [node.name for node in tree.find_all(exp.Table, exp.Column)]
    return "\n".join(said).lower()


def _is_negated(tree: exp.Expr) -> bool:
    """Whether a query leaves rows out; what is missing within a query of a condition does not."""
    if tree.find(exp.NEQ, exp.Not, exp.Except) is not None:
        return True
    tests = (test for test in tree.find_all(exp.Is) if isinstance(test.expression, exp.Null))
    return any(test.find_ancestor(exp.Subquery, exp.Paren) is None for test in tests)


def _meets_both(tree: exp.Expr) -> bool:
    """Whether two queries have to find the same rows."""
    within = any(test.args.get("query") is not None for test in tree.find_all(exp.In))
    return within or tree.find(exp.Intersect) is not None


def _fixed(where: exp.Expr | None) -> set[str]:
    """The columns that every row of the answer has the same value of."""
    if where is None:
        return set()
    parts = where.this.flatten() if isinstance(where.this, exp.And) else [where.this]
    return {part.this.sql() for part in parts if isinstance(part, exp.EQ)}


def _denies_itself(tree: exp.Expr) -> bool:
    """Whether a query asks for rows with a value where none is: no row is such."""
    for where in tree.find_all(exp.Where):
        parts = list(_conjuncts(where.this))
        missing = {
            part.this.sql()
            for part in parts
            if isinstance(part, exp.Is) and isinstance(part.expression, exp.Null)
        }
        if any(isinstance(part, exp.EQ) and part.this.sql() in missing for part in parts):
            return True
    return False


def _conjuncts(condition: exp.Expr) -> Iterator[exp.Expr]:
    """What has to hold, each: the parts of an AND, and of those within it."""
    plain = condition.unnest()
    if isinstance(plain, exp.And):
        yield from _conjuncts(plain.left)
        yield from _conjuncts(plain.right)
    else:
        yield plain


def _all_given(select: exp.Select) -> bool:
    """Whether a query shows no more than what it was given: the name of whoever is called Ann."""
    where = select.args.get("where")
    if where is None or not all(isinstance(e, exp.Column) for e in select.expressions):
        return False
    within = {
        part.this.sql()
        for part in where.find_all(exp.In)
        if part.parent_select is select and part.args.get("query") and part.find(exp.EQ)
    }
    return {e.sql() for e in select.expressions} <= _fixed(where) | within


def keys_of(select: exp.Select) -> set[str]:
    """What a query groups by, as SQL."""
    group = select.args.get("group")
    return {each.sql() for each in group.expressions} if group is not None else set()


def score(found: dict[str, float]) -> float:
    """What orders the candidates of one question; only differences mean anything."""
    return sum(RANK.get(name, 0.0) * value for name, value in found.items())


def sureness(found: dict[str, float], scores: Sequence[float]) -> float:
    """How likely the best candidate is right, 0..1.

    found: its signs. scores: of the best candidate of each different result, its own first.
    """
    both = found | standing(scores)
    fitted = SURE_BIAS + sum(SURE.get(name, 0.0) * value for name, value in both.items())
    total = STYLES_SHIFT + STYLES_SCALE * fitted
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))


def standing(scores: Sequence[float]) -> dict[str, float]:
    """Signs in how far the best result is ahead of the others. scores: its own first."""
    margin = scores[0] - max(scores[1:]) if len(scores) > 1 else MARGIN_MAX
    return {
        "share of all results": 1 / sum(math.exp(each - scores[0]) for each in scores),
        "margin": min(MARGIN_MAX, margin),
        "score": scores[0] / 5,
    }


def canonical(tree: exp.Expr) -> str:
    """The query with its aliases resolved and its unordered parts sorted, to compare candidates."""
    copy = tree.copy()
    for select in copy.find_all(exp.Select):
        named = {}
        for table in select.find_all(exp.Table):
            if table.parent_select is select and table.alias:
                named[table.alias] = table.name
        for column in select.find_all(exp.Column):
            if column.table in named:
                column.set("table", exp.to_identifier(named[column.table]))
            elif not column.table and len(named) == 0:
                source = select.args.get("from_") or select.args.get("from")
                if source is not None and isinstance(source.this, exp.Table):
                    column.set("table", exp.to_identifier(source.this.name))
    parts = []
    for select in copy.find_all(exp.Select):
        where = select.args.get("where")
        order = select.args.get("order")
        having = select.args.get("having")
        group = select.args.get("group")
        conditions = (
            sorted(c.sql() for c in where.this.flatten())
            if where is not None and isinstance(where.this, exp.And)
            else [where.this.sql()]
            if where is not None
            else []
        )
        parts.append(
            str(
                (
                    sorted(e.sql() for e in select.expressions),
                    conditions,
                    sorted(t.name for t in select.find_all(exp.Table) if t.parent_select is select),
                    sorted(
                        j.args["on"].sql()
                        for j in select.args.get("joins") or []
                        if j.args.get("on")
                    ),
                    order.sql() if order is not None else "",
                    having.sql() if having is not None else "",
                    sorted(e.sql() for e in group.expressions) if group is not None else "",
                    select.args["limit"].sql() if select.args.get("limit") else "",
                    select.args.get("distinct") is not None,
                )
            )
        )
    return f"{type(tree).__name__}{parts}"
