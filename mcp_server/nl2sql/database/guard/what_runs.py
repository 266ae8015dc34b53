"""What runs behind a query, found out from the catalog and judged: functions of every origin.

A query calls functions by name, but also by operators, casts, the domains it converts to, views
(resolved in its tree), defaults of parameters, parts of aggregates, bodies in SQL, and what the
planner evaluates: index expressions and CHECK constraints of the tables that it reads. All of it
is followed here until nothing new comes up.

Facts of PostgreSQL's own functions are kept, for they never change; those of users' objects are
read again for every query.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import psycopg
from psycopg import sql as composed

from mcp_server.nl2sql.database import postgres_lexer
from mcp_server.nl2sql.database.guard.catalog_queries import (
    DO_NOT_PRINT,
    FAMILIES,
    FUNCTIONS,
    NO_CHECKED_DOMAIN,
    OPERATORS,
    OWN_FUNCTIONS,
    PRINT,
    RELATIONS,
    SEARCH_PATH,
    SET_SEARCH_PATH,
    SURROUNDINGS,
    TYPES,
    VALIDATE,
)
from mcp_server.nl2sql.database.guard.functions import (
    BELIEVED_LANGUAGES,
    Function,
    has_effects,
    objection,
    objection_to_the_unknown,
)
from mcp_server.nl2sql.database.guard.node_fields import (
    FAMILY,
    FUNCTION,
    MADE,
    OPERATOR,
    RELATION,
    SAMPLER,
    TYPE,
)
from mcp_server.nl2sql.database.guard.query_tree import TreeError
from mcp_server.nl2sql.database.guard.references import (
    FIRST_USER_OID,
    KINDS,
    NoReadError,
    References,
    joined,
    of_expression,
    of_statement,
)
from mcp_server.nl2sql.database.steps import Fetch, Prepare, Row, Script, Steps

FIXED_OIDS = 10_000
"""Below are numbers that PostgreSQL's source gives, the same in every server of a version."""

_own_functions: dict[tuple[int, int], Function] = {}  # by version of the server and oid
_names_with_effects: dict[int, frozenset[str]] = {}  # by version of the server


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What there is in a database beside tables.

    code: functions that its users wrote (those in C are a superuser's). unsafe_domain: why some
    domain's CHECK may not run, or None when all may. PostgreSQL reads '(1,x)'::some_row or
    '{x}'::some_domain[] while it analyses a query: such a CHECK would run before the tree is seen.
    """

    version: int
    code: bool
    unsafe_domain: str | None


Analysed: TypeAlias = tuple[Surroundings, tuple[str, ...]]
"""What there is, and the trees of a statement."""


def surroundings(before: str = "") -> Steps[Surroundings]:
    """Look round, inside the guard's transaction; from then on the server prints trees.

    before: statements that are sent first, such as those that open the transaction.
    """
    answer = yield Script(f"{before}; {SURROUNDINGS}; {PRINT}")
    version, code = answer.server_version, answer.rows[0][0]
    for _, name, check in answer.rows:
        if name is None:
            continue
        try:
            around = Surroundings(version, code, None)
            reason = yield from why_refused(of_expression(check), around)
        except (NoReadError, TreeError) as error:
            reason = str(error)
        if reason:
            return Surroundings(version, code, f"the CHECK of domain {name}: {reason}")
    return Surroundings(version, code, None)


def analysed_where_plain(name: str, query: str, before: Sequence[str]) -> Steps[Analysed | None]:
    """Look round and have a statement analysed at once, as nearly every database permits.

    None where a domain has a CHECK, which is judged before anything of the statement is read; the
    transaction has failed then. before: statements that open it.
    """
    first = (*before, NO_CHECKED_DOMAIN, SURROUNDINGS, PRINT)
    try:
        answer = yield Prepare(name, query, first)
    except psycopg.errors.DivisionByZero:
        return None
    (code, *_), *_ = answer.rows
    return Surroundings(answer.server_version, code, None), answer.trees


def why_refused(found: References, around: Surroundings) -> Steps[str | None]:
    """Why what was found may not run, or None. The server prints trees before and after."""
    return (yield from _Inquiry(around).run(found))


@dataclass(slots=True)
class _Inquiry:
    """Follows references until nothing new comes up, or something is refused.

    path: the search path where it is not the session's. That of a function is also the one of the
    functions that it calls, so these have an inquiry of their own; entered: those that have had it.
    """

    around: Surroundings
    path: str | None = None
    entered: set[tuple[int, str | None]] = field(default_factory=set)
    seen: set[tuple[str, int]] = field(default_factory=set)
    pending: dict[str, dict[int, str]] = field(default_factory=dict)  # kind -> oid -> through what

    def run(self, found: References, through: str = "") -> Steps[str | None]:
        self._add_all(found, through)
        look_up = {
            FUNCTION: self._functions,
            SAMPLER: self._samplers,
            OPERATOR: self._operators,
            FAMILY: self._families,
            TYPE: self._types,
            MADE: self._made,
            RELATION: self._relations,
        }
        while self.pending:
            kind, given = self.pending.popitem()
            try:
                reason = yield from look_up[kind](given)
            except (NoReadError, TreeError) as error:
                reason = str(error)
            if reason:
                return reason
        return None

    def _add_all(self, found: References, through: str) -> None:
        for kind in KINDS:
            self._add(kind, found.of(kind), through)

    def _add(self, kind: str, oids: Iterable[int], through: str) -> None:
        for oid in oids:
            # PostgreSQL's own operators, types and relations bring in no function of a user's.
            least = 1 if kind in (FUNCTION, SAMPLER) else FIRST_USER_OID
            if oid >= least and (kind, oid) not in self.seen:
                self.seen.add((kind, oid))
                self.pending.setdefault(kind, {})[oid] = through

    def _functions(self, given: dict[int, str]) -> Steps[str | None]:
        for function in (yield from self._described(given)):
            through = given[function.oid]
            behind = f" ({through})" if through else ""
            reason = objection(function, unsafe_types=self.around.unsafe_domain is not None)
            if reason:
                return f"{function.name}() may not be called here{behind}: {reason}"
            if function.built_in:
                continue
            if function.defaults:
                self._add_all(of_expression(function.defaults), f"a default of {function.label}")
            if function.kind == "a":
                part = f"part of aggregate {function.label}"
                self._add(FUNCTION, function.parts, part)
                self._add(TYPE, [function.state_type], part)
                self._add(OPERATOR, [function.sort_operator], part)
            elif function.language not in BELIEVED_LANGUAGES:
                reason = yield from self._inside(function)
                if reason:
                    return f"{function.name}() may not be called here{behind}: {reason}"
        return None

    def _inside(self, function: Function) -> Steps[str | None]:
        """Look into a body in SQL; judge any other by what is known from outside."""
        path = self.path if function.search_path is None else function.search_path
        statements: tuple[str, ...] = ()
        if function.can_be_looked_into:
            unsafe = None if function.resolved_body else self.around.unsafe_domain
            if unsafe and _has_literals(function.source or ""):
                return (
                    f"the values in the body of {function.label} cannot be looked into safely "
                    f"({unsafe}); BEGIN ATOMIC instead of a string helps"
                )
            means = None if function.resolved_body else path
            statements = yield from _statements_of(function, means)
        if not statements:
            return objection_to_the_unknown(
                function, (yield from _with_effects(self.around.version))
            )
        through = f"in the body of {function.label}"
        try:
            found = joined(map(of_statement, statements))
        except NoReadError as error:
            return f"{through} {error}"
        if path == self.path:
            self._add_all(found, through)
        elif (function.oid, path) not in self.entered:
            self.entered.add((function.oid, path))
            return (yield from _Inquiry(self.around, path, self.entered).run(found, through))
        return None

    def _samplers(self, given: dict[int, str]) -> Steps[str | None]:
        for function in (yield from self._described(given)):
            if function.language not in BELIEVED_LANGUAGES:
                return f"{function.label} is no sampling method that can be trusted"
        return None

    def _operators(self, given: dict[int, str]) -> Steps[str | None]:
        for label, code, others, support in (yield from _ask(OPERATORS, given)):
            through = f"operator {label}"
            self._add(FUNCTION, [code, *support], through)
            self._add(OPERATOR, others, through)
        return None

    def _families(self, given: dict[int, str]) -> Steps[str | None]:
        found = yield from _ask(FAMILIES, given)
        self._add(FUNCTION, [oid for (oid,) in found], "an operator family")
        return None

    def _types(self, given: dict[int, str]) -> Steps[str | None]:
        """What reading values calls. Where nobody wrote a function, no type brings one in."""
        if self.around.code:
            for each in (yield from _ask(TYPES, given)):
                self._add_reading(_Type(*each))
        return None

    def _made(self, given: dict[int, str]) -> Steps[str | None]:
        """What making values calls, beside reading them."""
        if not self.around.code and self.around.unsafe_domain is None:
            return None
        for each in (yield from _ask(TYPES, given)):
            type_ = _Type(*each)
            self._add_reading(type_)
            self._add_user_functions(type_.making, f"type {type_.label}")
            for check in type_.checks:
                self._add_all(of_expression(check), f"the CHECK of domain {type_.label}")
        return None

    def _add_reading(self, type_: "_Type") -> None:
        self._add_user_functions([*type_.reading, *type_.support], f"type {type_.label}")
        self._add(FUNCTION, type_.casts, f"a cast of type {type_.label}")

    def _add_user_functions(self, oids: Iterable[int | None], through: str) -> None:
        self._add(FUNCTION, [oid for oid in oids if oid and oid >= FIRST_USER_OID], through)

    def _relations(self, given: dict[int, str]) -> Steps[str | None]:
        if self.around.code:
            found = yield from _ask(RELATIONS, given)
            through = "an index, constraint or statistic of a table that is read"
            self._add(FUNCTION, [oid for (oid,) in found], through)
        return None

    def _described(self, oids: Iterable[int]) -> Steps[list[Function]]:
        """What functions are, in no order. Raises NoReadError when one is gone."""
        wanted, version = set(oids), self.around.version
        found = [kept for oid in wanted if (kept := _own_functions.get((version, oid)))]
        missing = wanted - {function.oid for function in found}
        if missing:
            for function in map(_function, (yield from _ask(FUNCTIONS, missing))):
                found.append(function)
                if function.oid < FIXED_OIDS:
                    _own_functions[version, function.oid] = function
        if len(found) != len(wanted):
            raise NoReadError("a function was dropped meanwhile; send the query again")
        return found


@dataclass(frozen=True, slots=True)
class _Type:
    """A row of TYPES: functions that making, reading and comparing values call."""

    label: str
    making: list[int | None]
    reading: list[int | None]
    casts: list[int]
    support: list[int | None]
    checks: list[str]


def _ask(query: str, oids: Iterable[int]) -> Steps[list[Row]]:
    """The rows of a query about some objects, whose own tree nobody needs to see."""
    given = composed.SQL(query).format(oids="{" + ",".join(map(str, oids)) + "}").as_string()
    return (yield Script(f"{DO_NOT_PRINT}; {given}; {PRINT}")).rows


def _function(row: Row) -> Function:
    settings, (parts, state_type, sort_operator) = row[7], row[13:]
    own = (tuple(part for part in parts if part), state_type or 0, sort_operator or 0)
    return Function(*(*row[:7], tuple(settings or ()), *row[8:13], *own))


def _with_effects(version: int) -> Steps[frozenset[str]]:
    """Names of PostgreSQL's own functions that no read may call."""
    if version not in _names_with_effects:
        rows = yield from _ask(OWN_FUNCTIONS, ())
        _names_with_effects[version] = frozenset(name for name, v in rows if has_effects(name, v))
    return _names_with_effects[version]


def _statements_of(function: Function, path: str | None) -> Steps[tuple[str, ...]]:
    """The statements of a body in SQL, resolved as they will be when it runs with a search path.

    The validator of the language analyses a body as CREATE FUNCTION does, and runs nothing of
    it. It tells nothing of a function with polymorphic parameters.
    """
    before: str | None = None
    if path is not None:
        before = (yield Fetch(SEARCH_PATH, ())).rows[0][0]
        yield Fetch(SET_SEARCH_PATH, (path,))
    answer = yield Fetch(VALIDATE, (function.oid,))
    if before is not None:
        yield Fetch(SET_SEARCH_PATH, (before,))
    return answer.trees[1:]  # the first is of the statement that asks


def _has_literals(source: str) -> bool:
    try:
        return bool(postgres_lexer.literals(postgres_lexer.tokens(source, unicode_strings=True)))
    except postgres_lexer.LexicalError:
        return True
