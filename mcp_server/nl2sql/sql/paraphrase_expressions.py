"""Expressions and conditions of SQL as English phrases; whole queries are in `paraphrase.py`."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlglot import exp

from mcp_server.nl2sql.database.names import identifier

QueryPhrase = Callable[["exp.Expr", "Visible"], str]


@dataclass(frozen=True, slots=True)
class Source:
    """One table or subquery of a FROM clause, as the reader knows it."""

    singular: str
    plural: str


@dataclass(frozen=True, slots=True)
class Visible:
    """What the names of one query stand for; outer: the query around it."""

    sources: Mapping[str, Source] = field(default_factory=dict)
    outputs: Mapping[str, exp.Expr] = field(default_factory=dict)
    outer: "Visible | None" = None
    qualified: bool = False  # whether a column needs its table's name to be told apart

    @property
    def rows(self) -> str:
        """What one row of the query is, in the plural."""
        return next(iter(self.sources.values())).plural if len(self.sources) == 1 else "rows"

    def source(self, alias: str) -> Source | None:
        """What an alias stands for, here or in a query around this one."""
        here: Visible | None = self
        while here is not None:
            if alias in here.sources:
                return here.sources[alias]
            here = here.outer
        return None


def humanise(name: str) -> str:
    """`first_launch_year` and `FirstLaunchYear` are "first launch year"."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return " ".join(re.sub(r"[_\-.]+", " ", spaced).split()).lower() or name


def plural(noun: str) -> str:
    """A noun in the plural."""
    head, _, last = noun.rpartition(" ")
    if re.search(r"(?<![aeiou])y$", last):
        last = last[:-1] + "ies"
    elif re.search(r"(x|ch|sh|ss|z)$", last) or re.search(r"[^aeho]us$", last):
        last += "es"
    elif not last.endswith("s") and last.isalpha():
        last += "s"
    return f"{head} {last}".strip()


def singular(noun: str) -> str:
    """A noun in the singular."""
    head, _, last = noun.rpartition(" ")
    if last.endswith("ies") and len(last) > 4:
        last = last[:-3] + "y"
    elif re.search(r"(x|ch|sh|ss|z|[^aeho]us)es$", last):
        last = last[:-2]
    elif last.endswith("s") and not last.endswith(("ss", "us", "is")) and len(last) > 3:
        last = last[:-1]
    return f"{head} {last}".strip()


def listing(parts: Iterable[str], word: str = "and") -> str:
    """Parts as a sentence lists them: `a, b and c`."""
    items = list(parts)
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {word} {items[-1]}"


AGGREGATES: dict[type[exp.Expr], str] = {
    exp.Sum: "total",
    exp.Avg: "average",
    exp.Min: "lowest",
    exp.Max: "highest",
    exp.Stddev: "standard deviation of",
    exp.StddevPop: "standard deviation of",
    exp.StddevSamp: "standard deviation of",
    exp.Variance: "variance of",
    exp.VariancePop: "variance of",
    exp.Median: "median",
    exp.ArrayAgg: "list of every",
    exp.LogicalAnd: "answer whether always",
    exp.LogicalOr: "answer whether ever",
    exp.GroupConcat: "list of every",
}
ARITHMETIC: dict[type[exp.Expr], str] = {
    exp.Add: "plus",
    exp.Sub: "minus",
    exp.Mul: "times",
    exp.Div: "divided by",
    exp.Mod: "modulo",
    exp.DPipe: "followed by",
}
COMPARISONS: dict[type[exp.Expr], tuple[str, str, str]] = {  # plain, of dates, negated
    exp.EQ: ("is", "is", "is not"),
    exp.NEQ: ("is not", "is not", "is"),
    exp.GT: ("is greater than", "is after", "is at most"),
    exp.GTE: ("is at least", "is on or after", "is less than"),
    exp.LT: ("is less than", "is before", "is at least"),
    exp.LTE: ("is at most", "is on or before", "is greater than"),
    exp.NullSafeEQ: ("is", "is", "differs from"),
    exp.NullSafeNEQ: ("differs from", "differs from", "is"),
}
_DATE = re.compile(r"\d{4}-\d\d(-\d\d)?([ T].*)?")


class Phrases:
    """Turns expressions to words. query, rows: how to put a nested query, or what it finds."""

    def __init__(self, query: QueryPhrase, rows: QueryPhrase) -> None:
        self._query = query
        self._rows = rows

    def expression(self, node: exp.Expr, scope: Visible) -> str:
        """A noun phrase for a value."""
        match node:
            case exp.Column():
                return self._column(node, scope)
            case exp.Alias() | exp.Paren():
                return self.expression(node.this, scope)
            case exp.Literal():
                return f"'{node.this}'" if node.is_string else str(node.this)
            case exp.Neg():
                return f"-{self.expression(node.this, scope)}"
            case exp.Null():
                return "nothing"
            case exp.Boolean():
                return "true" if node.this else "false"
            case exp.Count():
                return self._count(node, scope)
            case exp.Filter():
                condition = node.expression.this
                return (
                    f"{self.expression(node.this, scope)} where {self.condition(condition, scope)}"
                )
            case exp.Window():
                return self._window(node, scope)
            case exp.WithinGroup(this=exp.PercentileCont() as share, expression=exp.Order() as by):
                what = listing(self.expression(e.this, scope) for e in by.expressions)
                return (
                    f"the median {what}"
                    if share.name == "0.5"
                    else (f"the value of {what} that a share of {share.name} is not above")
                )
            case exp.Subquery() | exp.Select() | exp.SetOperation():
                return f"({self._query(node, scope)})"
            case exp.Case():
                return self._case(node, scope)
            case exp.Cast():
                return self.expression(node.this, scope)
            case exp.Distinct():
                return "different " + listing(self.expression(e, scope) for e in node.expressions)
            case exp.Star():
                return "all columns"
            case exp.Interval():
                number = node.this.name if node.this is not None else ""
                return f"{number} {node.args.get('unit') or ''}".strip().lower()
            case exp.And() | exp.Or() | exp.Not() | exp.Predicate():
                return f"whether {self.condition(node, scope)}"
            case _:
                return self._function(node, scope)

    def _column(self, node: exp.Column, scope: Visible) -> str:
        if isinstance(node.this, exp.Star):
            source = scope.source(identifier(node.args.get("table")))
            return f"all columns of {source.plural}" if source else "all columns"
        name, qualifier = identifier(node.this), identifier(node.args.get("table"))
        words = humanise(name)
        if not qualifier:
            output = scope.outputs.get(name)
            # An output column that holds something computed is named by what it holds.
            if output is not None and not isinstance(output, exp.Column) and output is not node:
                return self.expression(output, replace(scope, outputs={}))
            return words
        source = scope.source(qualifier)
        if source is None or (qualifier in scope.sources and not scope.qualified):
            return words
        return words if words.startswith(source.singular) else f"{source.singular} {words}"

    def _count(self, node: exp.Count, scope: Visible) -> str:
        counted, condition = node.this, _counted_condition(node)
        if condition is not None:
            return f"the number of {scope.rows} where {self.condition(condition, scope)}"
        if counted is None or isinstance(counted, exp.Star | exp.Literal):
            return f"the number of {scope.rows}"
        if isinstance(counted, exp.Distinct):
            what = listing(self.expression(e, scope) for e in counted.expressions)
            return f"the number of different values of {what}"
        return f"the number of known values of {self.expression(counted, scope)}"

    def _case(self, node: exp.Case, scope: Visible) -> str:
        parts = []
        for branch in node.args.get("ifs") or []:
            value = self.expression(branch.args["true"], scope)
            if node.this is not None:
                condition = (
                    f"{self.expression(node.this, scope)} is {self.expression(branch.this, scope)}"
                )
            else:
                condition = self.condition(branch.this, scope)
            parts.append(f"{value} where {condition}")
        default = node.args.get("default")
        if default is not None and not isinstance(default, exp.Null):
            parts.append(f"{self.expression(default, scope)} otherwise")
        return ", ".join(parts)

    def _window(self, node: exp.Window, scope: Visible) -> str:
        text = self.expression(node.this, scope)
        frame, order = node.args.get("spec"), node.args.get("order")
        if isinstance(node.this, exp.Lag):
            text = f"that before it ({self.expression(node.this.this, scope)})"
        elif isinstance(node.this, exp.Sum | exp.Avg | exp.Count) and order is not None:
            before = frame.args.get("start") if frame is not None else None
            rows = f"each row and the {before} before" if before is not None else "all rows so far"
            text = f"{text} over {rows}"
        elif isinstance(node.this.this, exp.AggFunc) and order is None:
            text = f"the sum of {self.expression(node.this.this, scope)} over all groups"
        partition = node.args.get("partition_by") or []
        if partition:
            text += f" within each {listing(self.expression(p, scope) for p in partition)}"
        if order is not None:
            text += f" by {self.order(order.expressions, scope)}"
        return text

    def _function(self, node: exp.Expr, scope: Visible) -> str:
        def of(key: str = "this") -> str:
            inner = node.args.get(key)
            return self.expression(inner, scope) if isinstance(inner, exp.Expr) else ""

        if type(node) in AGGREGATES:
            inner, counted = node.this, _counted_condition(node)
            if counted is not None:
                return f"the number of {scope.rows} where {self.condition(counted, scope)}"
            if isinstance(inner, exp.Distinct):
                return f"the {AGGREGATES[type(node)]} {self.expression(inner, scope)}"
            return f"the {AGGREGATES[type(node)]} {of()}"
        if type(node) in ARITHMETIC:
            return f"{self._operand(node.this, scope)} {ARITHMETIC[type(node)]} " + self._operand(
                node.args["expression"], scope
            )
        match node:
            case exp.Extract(expression=exp.Anonymous(expressions=[since]) as age) if (
                age.name.lower() == "age" and node.name.lower() == "year"
            ):
                return f"the number of years since {self.expression(since, scope)}"
            case exp.Extract() | exp.TimestampTrunc() | exp.DateTrunc():
                extract = isinstance(node, exp.Extract)
                part = node.args.get("this" if extract else "unit")
                unit = part.name.lower() if isinstance(part, exp.Expr) else str(part)
                return f"the {unit} of {of('expression' if extract else 'this')}"
            case exp.TimeToStr() | exp.ToChar():
                return f"{of()} written as {self._format(node)}"
            case exp.Nullif() if node.args["expression"].sql() == "0":
                return of()  # the guard of a division
            case exp.Coalesce():
                others = [self.expression(e, scope) for e in node.expressions]
                return f"{of()} (or {listing(others, 'or')} where missing)"
            case exp.Round():
                decimals = node.args.get("decimals")
                digits = f" to {decimals.sql()} digits" if decimals is not None else ""
                return f"{of()} rounded{digits}"
            case exp.Lower() | exp.Upper():
                return f"{of()} in {'lower' if isinstance(node, exp.Lower) else 'upper'} case"
            case exp.Length():
                return f"the length of {of()}"
            case exp.Abs():
                return f"the absolute value of {of()}"
            case exp.CurrentDate():
                return "today"
            case exp.CurrentTimestamp() | exp.Localtimestamp():
                return "now"
            case exp.Distance():
                return f"the distance of {of()} from {of('expression')}"
            case exp.RowNumber():
                return "the row number"
            case exp.Rank() | exp.DenseRank():
                return "the rank"
            case exp.Substring():
                start, length = of("start") or "1", of("length")
                span = (
                    f"{length} characters from position {start}"
                    if length
                    else f"the part from position {start}"
                )
                return (
                    f"{span} of {of()}"
                    if start != "1" or not length
                    else f"the first {length} characters of {of()}"
                )
            case exp.Tuple():
                return listing(self.expression(e, scope) for e in node.expressions)
            case exp.Anonymous():
                arguments = listing(self.expression(e, scope) for e in node.expressions)
                return (
                    f"{str(node.this).lower()} of {arguments}"
                    if arguments
                    else str(node.this).lower()
                )
            case _:
                return node.sql(dialect="postgres", comments=False)

    def _format(self, node: exp.Expr) -> str:
        """The format of to_char as it was written; sqlglot keeps it in Python's notation."""
        text = node.sql(dialect="postgres")
        found = re.search(r"('(?:[^']|'')*')\)$", text)
        return found[1] if found else "text"

    def _operand(self, node: exp.Expr, scope: Visible) -> str:
        text = self.expression(node, scope)
        inner = node.unnest()
        return f"({text})" if type(inner) in ARITHMETIC else text

    # Conditions

    def condition(self, node: exp.Expr, scope: Visible, negated: bool = False) -> str:
        """A clause for a truth value: "age is greater than 20"."""
        if node.args.get("negate"):  # how sqlglot keeps NOT LIKE and IS NOT NULL
            negated = not negated
        match node:
            case exp.Paren():
                return self.condition(node.this, scope, negated)
            case exp.Not():
                return self.condition(node.this, scope, not negated)
            case exp.And() | exp.Or():
                return self._connective(node, scope, negated)
            case exp.In():
                return self._membership(node, scope, negated)
            case exp.Exists():
                return self._existence(node, scope, negated)
            case exp.Between():
                low, high = (self.expression(node.args[k], scope) for k in ("low", "high"))
                word = "is not between" if negated else "is between"
                return f"{self.expression(node.this, scope)} {word} {low} and {high}"
            case exp.Like() | exp.ILike():
                return self._pattern(node, scope, negated)
            case exp.Is():
                return self._is(node, scope, negated)
            case exp.EQ() | exp.NEQ() | exp.GT() | exp.GTE() | exp.LT() | exp.LTE():
                return self._comparison(node, scope, negated)
            case exp.NullSafeEQ() | exp.NullSafeNEQ():
                return self._comparison(node, scope, negated)
            case exp.Boolean():
                return "always" if bool(node.this) is not negated else "never"
            case exp.RegexpLike() | exp.RegexpILike():
                verb = "does not match" if negated else "matches"
                pattern = self.expression(node.expression, scope)
                return f"{self.expression(node.this, scope)} {verb} {pattern}"
            case exp.Column() | exp.Cast():
                return f"{self.expression(node, scope)} is {'false' if negated else 'true'}"
            case _:
                text = node.sql(dialect="postgres", comments=False)
                return f"not ({text})" if negated else text

    def _connective(self, node: exp.Expr, scope: Visible, negated: bool) -> str:
        joined_by_and = isinstance(node, exp.And) is not negated
        texts = []
        for part in node.flatten():
            text = self.condition(part, scope, negated)
            inner = part.unnest()
            nested = isinstance(inner, exp.And | exp.Or)
            texts.append(f"({text})" if nested else text)
        word = " and " if joined_by_and else " or "
        return word.join(texts)

    def _membership(self, node: exp.In, scope: Visible, negated: bool) -> str:
        left = self.expression(node.this, scope)
        query = node.args.get("query")
        if query is not None:
            return f"{left} is {'not ' if negated else ''}among ({self._query(query, scope)})"
        values = [self.expression(e, scope) for e in node.expressions]
        if len(values) == 1:
            return f"{left} is {'not ' if negated else ''}{values[0]}"
        return f"{left} is {'none' if negated else 'one'} of {listing(values, 'or')}"

    def _existence(self, node: exp.Exists, scope: Visible, negated: bool) -> str:
        return f"there are {'no ' if negated else ''}{self._rows(node.this, scope)}"

    def _pattern(self, node: exp.Expr, scope: Visible, negated: bool) -> str:
        left, pattern = self.expression(node.this, scope), node.args["expression"]
        case = " (in any case)" if isinstance(node, exp.ILike) else ""
        if not pattern.is_string:
            verb = "is not like" if negated else "is like"
            return f"{left} {verb} {self.expression(pattern, scope)}{case}"
        text = pattern.name
        core = text.strip("%")
        plain = not re.search(r"[%_\\]", core)
        ends = (text.startswith("%"), text.endswith("%"))
        verbs = {
            (True, True): ("contains", "does not contain"),
            (False, True): ("starts with", "does not start with"),
            (True, False): ("ends with", "does not end with"),
            (False, False): ("is", "is not"),
        }
        if not plain or not core:
            verb = "does not match the pattern" if negated else "matches the pattern"
            return f"{left} {verb} '{text}'{case}"
        return f"{left} {verbs[ends][negated]} '{core}'{case}"

    def _is(self, node: exp.Is, scope: Visible, negated: bool) -> str:
        left, right = self.expression(node.this, scope), node.args["expression"]
        if isinstance(right, exp.Null):
            return f"{left} is {'known' if negated else 'missing'}"
        return f"{left} is {'not ' if negated else ''}{self.expression(right, scope)}"

    def _comparison(self, node: exp.Expr, scope: Visible, negated: bool) -> str:
        left, right = node.this, node.args["expression"]
        plain, of_dates, opposite = COMPARISONS[type(node)]
        verb = opposite if negated else of_dates if _is_date(left) or _is_date(right) else plain
        note = ""
        if isinstance(left, exp.Lower | exp.Upper) and right.find(
            exp.Literal, exp.Lower, exp.Upper
        ):
            left, note = left.this, " (in any case)"
            right = right.this if isinstance(right, exp.Lower | exp.Upper) else right
        if isinstance(right, exp.Any | exp.All):
            which = "any of" if isinstance(right, exp.Any) else "every one of"
            values = self.expression(right.this, scope)
            return f"{self.expression(left, scope)} {verb} {which} {values}"
        return f"{self.expression(left, scope)} {verb} {self.expression(right, scope)}{note}"

    def order(self, terms: Sequence[exp.Expr], scope: Visible) -> str:
        """Terms of ORDER BY: "age (highest first) and name (lowest first)"."""
        return listing(
            f"{self.expression(term.this, scope)} "
            f"({'highest' if term.args.get('desc') else 'lowest'} first)"
            for term in terms
        )


def _counted_condition(node: exp.Expr) -> exp.Expr | None:
    """The condition that SUM(CASE WHEN c THEN 1 ELSE 0 END), or COUNT of the like, counts."""
    case = node.this
    while isinstance(case, exp.Cast | exp.Paren):
        case = case.this
    if not isinstance(case, exp.Case) or case.this is not None or len(case.args["ifs"]) != 1:
        return None
    default = case.args.get("default")
    branch = case.args["ifs"][0]
    if isinstance(node, exp.Count):
        counts = default is None or isinstance(default, exp.Null)
        plain = branch.args["true"].is_number
    else:
        counts = isinstance(node, exp.Sum) and (default is None or default.sql() == "0")
        plain = branch.args["true"].sql() == "1"
    condition: exp.Expr = branch.this
    return condition if counts and plain else None


def _is_date(node: exp.Expr) -> bool:
    if isinstance(node, exp.Cast):
        return node.to.is_type(*exp.DataType.TEMPORAL_TYPES)
    if isinstance(node, exp.CurrentDate | exp.CurrentTimestamp):
        return True
    return bool(node.is_string and _DATE.fullmatch(node.name))
