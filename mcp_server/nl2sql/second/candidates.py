"""Queries that a question may mean: of two independent readings, and plain variants of them.

The first reading is by rules over the marked string of a question (`mcp_server.nl2sql.analysis`),
the second takes clauses out one kind after the other (`second.analysis`). Where the two agree,
they are seldom wrong; where they do not, the signs of `confidence` decide.
"""

import logging
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from mcp_server.nl2sql.analysis import analyse as analyse_first
from mcp_server.nl2sql.compile import NoJoinError, compile_query
from mcp_server.nl2sql.grammar.reading import analyse as analyse_third
from mcp_server.nl2sql.joins import JoinGraph
from mcp_server.nl2sql.linking import Linker, Ref
from mcp_server.nl2sql.question import Question, build
from mcp_server.nl2sql.second.analysis import analyse as analyse_second
from mcp_server.nl2sql.second.confidence import canonical, confidence, signs
from mcp_server.nl2sql.second.naming import naming_signs
from mcp_server.nl2sql.second.results import Result, result_signs
from mcp_server.nl2sql.second.variants import variants, with_full_names
from mcp_server.nl2sql.tokens import Token, tokenize

UNFIT = (NoJoinError, ValueError)
"""What a reading raises when its rules do not fit a question: that reading has no candidate."""

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Made:
    """A candidate with its signs. unused: words of the question that its reading left over."""

    tree: exp.Query
    sql: str
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
    """Candidates with the signs that need no database; empty where neither reading fits."""
    tokens = linker.prepare(_scaled(tokenize(text)))
    linked = _Linked(linker, tokens)
    first, second = _first(text, tokens, linked, graph), _second(tokens, linked, graph)
    third = _third(tokens, linked, graph)
    known = linker.profile
    made: dict[str, Made] = {}
    keys: dict[str, str] = {}
    reads = [("first", first), ("second", second)]
    reads += [("third" if number == 0 else "third again", read) for number, read in enumerate(third)]
    for origin, read in reads:
        if read is None:
            continue
        named = with_full_names(tokens, read.tree, known)
        for variant, tree in variants(named, tokens, known):
            key = canonical(tree)
            if not variant and origin != "third again":
                keys[origin] = key
            if key not in made:
                made[key] = Made(tree, tree.sql(dialect="postgres"), read.unused)
                made[key].signs = signs(text, tree) | naming_signs(tokens, tree, known)
                made[key].signs["variant"] = float(bool(variant))
                made[key].signs[variant or "as read"] = 1.0
            elif not variant:
                made[key].signs["variant"] = 0.0
                if len(read.unused) < len(made[key].unused):
                    made[key].unused = read.unused
            made[key].signs[f"from {origin}{' variant' if variant else ''}"] = 1.0
    agreed = max((list(keys.values()).count(key) for key in keys.values()), default=0)
    tables = [_tables(read.tree) for read in (first, second, *third[:1]) if read is not None]
    for key, one in made.items():
        same = list(keys.values()).count(key)
        one.signs["two readings"] = float(same == 2)
        one.signs["three readings"] = float(same == 3)
        one.signs["others agreed on another"] = float(same < agreed > 1)
        one.signs["readings that fit"] = float(len(keys))
        one.signs["tables differ"] = float(any(each != tables[0] for each in tables[1:]))
        for origin, read in (("first", first), ("second", second)):
            if read is not None:
                one.signs[f"{origin} unused"] = float(min(4, len(read.unused)))
                one.signs[f"{origin} some unused"] = float(bool(read.unused))
                one.signs[f"{origin} doubt"] = min(1.0, read.doubt)
                one.signs[f"{origin} coverage"] = read.coverage
                one.signs[f"{origin} weak"] = float(min(3, read.weak))
        if third:
            one.signs["third unused"] = float(min(4, len(third[0].unused)))
            one.signs["third some unused"] = float(bool(third[0].unused))
            one.signs["third cost"] = min(6.0, third[0].doubt)
        one.confidence = confidence(one.signs)
    return sorted(made.values(), key=lambda one: -one.confidence)


def judge(text: str, tried: Sequence[tuple[Made, Result]]) -> list[Made]:
    """Candidates with their confidence, best first, by all signs: also those in what they find."""
    groups: dict[Hashable, list[Made]] = {}
    for made, result in tried:
        groups.setdefault(result.key(made.sql), []).append(made)
    for made, result in tried:
        key = result.key(made.sql)
        same = groups[key]
        read = [any(f"from {origin}" in one.signs for one in same) for origin in _ORIGINS]
        close = [
            any(f"from {origin}" in one.signs or f"from {origin} variant" in one.signs
                for one in same)
            for origin in _ORIGINS
        ]  # fmt: skip
        ordered = bool(made.tree.args.get("limit")) or made.tree.find(exp.AggFunc) is not None
        joined = bool(made.tree.args.get("joins"))
        made.signs |= result_signs(text, result, ordered=ordered, joined=joined)
        made.signs |= {
            "rows as first read": float(read[0]),
            "rows as second read": float(read[1]),
            "rows as third read": float(read[2]),
            "rows as two read": float(sum(read) == 2),
            "rows as three read": float(sum(read) == 3),
            "rows near two": float(sum(close) == 2),
            "rows near three": float(sum(close) == 3),
            "results": float(min(4, len(groups) - 1)),
            "only result": float(len(groups) == 1),
            "distinct idle": float(
                len({one.tree.args.get("distinct") is None for one in same}) == 2
            ),
            "others empty": float(any(found.rows == [] for one, found in tried if one not in same)),
        }
        made.confidence = confidence(made.signs)
    found = sorted((made for made, _ in tried), key=lambda one: -one.confidence)
    same = next((group for group in groups.values() if found and found[0] in group), [])
    for plain in same:  # of one answer, the query as it was read rather than a variant of it
        if plain.signs.get("variant") == 0.0 and found[0].signs.get("variant") == 1.0:
            plain.confidence = found[0].confidence
            found.remove(plain)
            found.insert(0, plain)
    return found


_ORIGINS = ("first", "second", "third")


def _scaled(tokens: Sequence[Token]) -> list[Token]:
    """`two million` and `5 thousand` are one number each."""
    found: list[Token] = []
    for token in tokens:
        last = found[-1] if found else None
        scale = token.value if token.lemma in ("hundred", "thousand", "million") else None
        if scale is not None and last is not None and last.value is not None:
            product = last.value * scale
            found[-1] = Token(str(product), str(product), last.mark, product)
        else:
            found.append(token)
    return found


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
    except UNFIT:
        return None
    except Exception:  # a mistake in one reading leaves the question to the other
        log.exception("the first reading of a question failed")
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
    except UNFIT:
        return None
    except Exception:
        log.exception("the second reading of a question failed")
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


def _third(tokens: Sequence[Token], linker: Linker, graph: JoinGraph) -> list[_Read]:
    found: dict[str, _Read] = {}
    try:
        for meant in analyse_third(tokens, linker, graph):
            try:
                tree = compile_query(meant.query, graph)
            except UNFIT:
                continue
            key = canonical(tree)
            if key not in found:
                found[key] = _Read(tree, meant.unused, meant.cost, 0.0, 0)
            if len(found) >= 4:
                break
    except Exception:
        log.exception("the third reading of a question failed")
    return list(found.values())


def _tables(tree: exp.Expr) -> set[str]:
    return {table.name for table in tree.find_all(exp.Table)}
