"""Queries that a question may mean: of two independent readings, and plain variants of them.

The first reading is by rules over the marked string of a question (`mcp_server.nl2sql.analysis`),
the second takes clauses out one kind after the other (`nl2sql.analysis`). Where the two agree, they
are seldom wrong; where they do not, the signs of `confidence` decide.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from mcp_server.nl2sql.analysis import analyse as analyse_first
from mcp_server.nl2sql.compile import NoJoinError, compile_query
from mcp_server.nl2sql.joins import JoinGraph
from mcp_server.nl2sql.linking import Linker, Ref
from mcp_server.nl2sql.question import Question, build
from mcp_server.nl2sql.second.analysis import analyse as analyse_second
from mcp_server.nl2sql.second.confidence import canonical, confidence, signs
from mcp_server.nl2sql.tokens import Token, tokenize

FAILED = (
    NoJoinError,
    ValueError,
    AssertionError,
    KeyError,
    IndexError,
    StopIteration,
    AttributeError,
    TypeError,
)
"""What a reading raises when its rules do not fit a question: that reading has no candidate."""


@dataclass(slots=True)
class Made:
    """A candidate with its signs. unused: words of the question that its reading left over."""

    tree: exp.Query
    key: str
    unused: tuple[str, ...]
    signs: dict[str, float] = field(default_factory=dict)
    confidence: float = 0.0


@dataclass(slots=True)
class _Read:
    tree: exp.Query
    unused: tuple[str, ...]
    doubt: float
    coverage: float
    weak: int


def candidates(text: str, linker: Linker, graph: JoinGraph) -> list[Made]:
    """Candidates, best first; empty where neither reading came to a query."""
    tokens = tokenize(text)
    linked = _Linked(linker, tokens)
    first, second = _first(text, tokens, linked, graph), _second(tokens, linked, graph)
    made: dict[str, Made] = {}
    keys: dict[str, str] = {}
    for origin, read in (("first", first), ("second", second)):
        if read is None:
            continue
        for variant, tree in _variants(read.tree):
            key = canonical(tree)
            if not variant:
                keys[origin] = key
            if key not in made:
                made[key] = Made(tree, key, read.unused, signs(text, tree))
                made[key].signs["variant"] = float(bool(variant))
                made[key].signs[variant or "as read"] = 1.0
            elif not variant:
                made[key].signs["variant"] = 0.0
                if len(read.unused) < len(made[key].unused):
                    made[key].unused = read.unused
            made[key].signs[f"from {origin}{' variant' if variant else ''}"] = 1.0
    agree = len(keys) == 2 and keys["first"] == keys["second"]
    tables = [_tables(read.tree) for read in (first, second) if read is not None]
    for one in made.values():
        one.signs["agreed"] = float(agree and one.signs.get("variant") == 0.0)
        one.signs["the other agreed"] = float(agree and one.signs.get("variant") == 1.0)
        one.signs["one reading"] = float(len(keys) == 1)
        one.signs["tables differ"] = float(len(tables) == 2 and tables[0] != tables[1])
        for origin, read in (("first", first), ("second", second)):
            if read is not None:
                one.signs[f"{origin} unused"] = float(min(4, len(read.unused)))
                one.signs[f"{origin} some unused"] = float(bool(read.unused))
                one.signs[f"{origin} doubt"] = min(1.0, read.doubt)
                one.signs[f"{origin} coverage"] = read.coverage
                one.signs[f"{origin} weak"] = float(min(3, read.weak))
        one.confidence = confidence(one.signs)
    return sorted(made.values(), key=lambda one: -one.confidence)


class _Linked(Linker):
    """A linker that has found the spans of one question, for both readings."""

    def __init__(self, linker: Linker, tokens: Sequence[Token]) -> None:
        self.__dict__.update(linker.__dict__)
        self._found = linker.refs(tokens)

    def refs(self, tokens: Sequence[Token]) -> list[Ref]:
        return list(self._found)


def _first(text: str, tokens: Sequence[Token], linker: Linker, graph: JoinGraph) -> _Read | None:
    try:
        asked = build(text, tokens, linker, graph)
        if not asked.mentioned and not any(i.ref and i.ref.columns for i in asked.items):
            return None
        analyse_first(asked)
        tree = compile_query(asked.query, graph)
    except FAILED:
        return None
    return _Read(tree, tuple(asked.unused()), asked.doubt, _coverage(asked), _weak(asked))


def _coverage(asked: Question) -> float:
    used = sum(1 for item in asked.items if item.used) or 1
    return used / (used + 1.5 * len(asked.unused()))


def _weak(asked: Question) -> int:
    return sum(
        1
        for item in asked.items
        if item.ref is not None
        and item.used
        and not item.ref.values
        and max(item.ref.best_column, item.ref.best_table) < 0.7
    )


def _second(tokens: Sequence[Token], linker: Linker, graph: JoinGraph) -> _Read | None:
    try:
        found = analyse_second(tokens, linker, graph)
        tree = compile_query(found.query, graph)
    except FAILED:
        return None
    atoms = found.text.atoms
    unused = tuple(found.text.unused())
    used = sum(atom.used for atom in atoms) or 1
    weak = sum(
        1
        for atom in atoms
        if atom.ref is not None
        and atom.used
        and not atom.ref.values
        and max(atom.ref.best_column, atom.ref.best_table) < 0.7
    )
    return _Read(tree, unused, found.doubt, used / (used + 1.5 * len(unused)), weak)


def _variants(tree: exp.Query) -> Iterator[tuple[str, exp.Query]]:
    """The query, and what it is in conventions that questions leave open."""
    yield "", tree
    if not isinstance(tree, exp.Select):
        return
    bare = _without_existence(tree)
    if bare is not None:
        yield "without existence", bare
    if tree.args.get("group") or tree.args.get("limit"):
        return
    if any(e.find(exp.AggFunc) for e in tree.expressions):
        starred = _counting_rows(tree)
        if starred is not None:
            yield "counting rows", starred
        return
    copy = tree.copy()
    if copy.args.get("distinct") is not None:
        copy.set("distinct", None)
        yield "without distinct", copy
    elif not tree.args.get("order"):
        yield "with distinct", copy.distinct()


def _counting_rows(tree: exp.Select) -> exp.Select | None:
    """count(*) for the count of distinct keys over a join."""
    copy = tree.copy()
    for count in copy.find_all(exp.Count):
        if isinstance(count.this, exp.Distinct) and count.parent_select is copy:
            count.set("this", exp.Star())
            return copy
    return None


def _without_existence(tree: exp.Select) -> exp.Select | None:
    """The query less conditions that only ask whether there are rows of another table."""
    where = tree.args.get("where")
    if where is None:
        return None
    parts = list(where.this.flatten()) if isinstance(where.this, exp.And) else [where.this]
    kept = [part for part in parts if not _is_existence(part)]
    if len(kept) == len(parts):
        return None
    copy = tree.copy()
    copy.set("where", exp.Where(this=exp.and_(*(part.copy() for part in kept))) if kept else None)
    return copy


def _is_existence(part: exp.Expr) -> bool:
    if not isinstance(part, exp.In):
        return False
    inner = part.find(exp.Select)
    return inner is not None and not any(
        inner.args.get(n) for n in ("where", "having", "group", "limit")
    )


def _tables(tree: exp.Expr) -> set[str]:
    return {table.name for table in tree.find_all(exp.Table)}
