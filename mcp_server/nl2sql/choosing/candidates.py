"""Queries that a question may mean, and which of them is the answer.

The reading (`mcp_server.nl2sql.grammar`) gives several queries, and each has plain variants. All
are run for their first rows. Signs of English, of SQL and of what was found order them; how far the
best is from the next that finds something else says how sure that is.
"""

import datetime
import logging
import re
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from mcp_server.nl2sql.choosing.confidence import canonical, score, signs, sureness
from mcp_server.nl2sql.choosing.left_out import ASKING, Said
from mcp_server.nl2sql.choosing.moments import has_moments
from mcp_server.nl2sql.choosing.named_keys import with_names
from mcp_server.nl2sql.choosing.naming import naming_signs
from mcp_server.nl2sql.choosing.results import Result, result_signs
from mcp_server.nl2sql.choosing.said_ways import as_said
from mcp_server.nl2sql.choosing.spelling import named
from mcp_server.nl2sql.choosing.variants import variants
from mcp_server.nl2sql.grammar.compound.rates import as_share
from mcp_server.nl2sql.grammar.compound.spelled import Spelled
from mcp_server.nl2sql.grammar.parse import analyse
from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.linking.matching import SURELY
from mcp_server.nl2sql.linking.moments import with_moments, with_rates
from mcp_server.nl2sql.schema.display import name_of
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.model import Table
from mcp_server.nl2sql.semantics.queries import as_it_sounds, filtered
from mcp_server.nl2sql.sql.compile import compile_query
from mcp_server.nl2sql.sql.joined import NoJoinError
from mcp_server.nl2sql.words.dates import with_dates
from mcp_server.nl2sql.words.spans import with_both, with_years
from mcp_server.nl2sql.words.tokens import Token, tokenize

READS = 8
"""Different queries of the reading that are followed."""

MOSTLY = 0.67
"""Less of a question than this is hardly a question about the database."""

DOUBTFUL = 0.5
"""The most confidence in a query that leaves out what the question cannot do without."""

SENSELESS = ("values unused", "shown, all given", "fewer shown than listed", "held and missing")
"""Signs of queries that cannot be meant."""

OPENING = 5
"""So many words at the beginning of a question say what it asks for."""
WITH = frozenset({"with", "who", "that", "whose", "which", "without", "where"})
HIDDEN = "\ufffc"
_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”|(?<!\w)'[^']+'(?!\w)")
log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Made:
    """A candidate. unused: words of the question that its reading left over. settled: whether
    others are out already, since they have not the form that the question asks for.

    score orders the candidates of one question; confidence, 0..1, compares between questions.
    """

    tree: exp.Query
    sql: str
    unused: tuple[str, ...]
    signs: dict[str, float] = field(default_factory=dict)
    score: float = 0.0
    confidence: float = 0.0
    settled: bool = False
    unread: tuple[str, ...] = ()
    """Names of tables in the question that the query does not read, and what says which rows."""


@dataclass(slots=True)
class _Read:
    """A query as it was read. times: in how many ways the phrases lead to it."""

    tree: exp.Query
    unused: tuple[str, ...]
    cost: float
    understood: float
    values_lost: int
    spelled: Spelled | None = None
    half: tuple[str, exp.Query] | None = None
    times: int = 1


def candidates(text: str, linker: Linker, graph: JoinGraph, today: datetime.date) -> list[Made]:
    """Candidates with the signs that need no database, best first; empty where nothing fits.

    today: what `last month` is counted from.
    """
    plain, text = text, _with_times(text, linker, today)
    text = as_share(text, linker)
    tokens = linker.prepare(_scaled(tokenize(text)))
    known, refs = linker.profile, linker.refs(tokens)
    graph = as_said(tokens, refs, known, graph)
    made: dict[str, Made] = {}
    reads = _reads(tokens, linker, graph)
    asked = Said(text, tokens, refs, known, graph)
    for place, read in enumerate(reads):
        for variant, tree in variants(read.tree, tokens, known):
            key = canonical(tree)
            if key in made:
                continue
            whole = filtered(with_names(tree, tokens, known), known)
            one = made[key] = Made(whole, whole.sql(dialect="postgres"), read.unused)
            said, sounds = as_it_sounds(text, tree, known)
            if read.spelled is not None:
                said, sounds = read.spelled.text, named(sounds, read.spelled)
            if read.half is not None:
                said, sounds = read.half
            heard = tokens if said == text else tokenize(said)
            one.signs = signs(said, sounds) | naming_signs(heard, sounds, known)
            one.signs[variant or "as read"] = 1.0
            one.signs |= {
                "read first": float(place == 0),
                "read first, varied": float(place == 0 and bool(variant)),
                "read second": float(place == 1),
                "read later": float(place > 1),
                "read in several ways": float(min(3, read.times - 1)),
                "cost": min(8.0, read.cost),
                "cost over the best": min(3.0, read.cost - reads[0].cost),
                "unused": float(min(4, len(read.unused))),
                "some unused": float(bool(read.unused)),
                "understood": read.understood,
                "values unused": float(min(2, read.values_lost)),
                "half understood": float(read.understood < MOSTLY),
                "only reading": float(len(reads) == 1),
            }
            one.score = score(one.signs)
            one.unread = asked.left_out(tree, read.unused)
            one.unused += tuple(text for text in one.unread if text not in one.unused)
    found = [one for one in made.values() if not _empty_words(one.tree)]
    fits = [one for one in found if has_moments(one.tree, text, plain)]
    for one in fits:
        one.settled = len(fits) < len(found)
    found = _of_the_asked(_grouped(_counting(fits or found, tokens, linker)), tokens, linker)
    return sorted(found, key=lambda one: -one.score)


def _empty_words(tree: exp.Expr) -> bool:
    """Whether a condition on joined rows says nothing: in 2023 *and not in 2024*, which a row in
    2023 never is. What was meant is of other rows; nor does anything lie between 2024 and 2023.
    """
    for between in tree.find_all(exp.Between):
        low, high = between.args["low"], between.args["high"]
        if low.is_int and high.is_int and int(low.name) > int(high.name):
            return True
    for select in tree.find_all(exp.Select):
        where = select.args.get("where")
        if where is None or not select.args.get("joins"):
            continue
        parts = list(where.this.flatten()) if isinstance(where.this, exp.And) else []
        held = {part.this.sql() for part in parts if isinstance(part, exp.EQ)}
        if any(isinstance(part, exp.NEQ) and part.this.sql() in held for part in parts):
            return True
    return False


def _with_times(text: str, linker: Linker, today: datetime.date) -> str:
    """The question with its times as the grammar reads them; what is quoted stays as it is."""
    quoted = _QUOTED.findall(text)
    text = _QUOTED.sub(HIDDEN, text)
    if linker.has_years:
        text = with_years(with_both(text), today)
    if linker.has_dates:
        text = with_dates(text, today)
    text = with_moments(with_rates(text, linker.profile), linker.profile)
    if text.count(HIDDEN) != len(quoted):  # what is put on both sides is there twice
        quoted *= 2
    for part in quoted:
        text = text.replace(HIDDEN, part, 1)
    return text


def _of_the_asked(found: list[Made], tokens: Sequence[Token], linker: Linker) -> list[Made]:
    """Where a question begins with what it asks for, `which drivers`, and no column is called so,
    queries that do not read that table are out; and those that show others, where `which` asks or
    it is said which ones: `drivers with`.
    """
    ref = next(iter(linker.refs(tokens[:OPENING])), None)
    if ref is None or (ref.start and tokens[0].lemma not in ASKING):
        return found
    surely = [table for table, score in ref.tables if score >= SURELY]
    if len(surely) != 1 or ref.best_column >= SURELY or ref.values:
        return found
    own = [o for o in found if surely[0].name in {t.name for t in o.tree.find_all(exp.Table)}]
    if tokens[0].lemma == "which" or {each.lemma for each in tokens[ref.end :][:1]} & WITH:
        own = [o for o in own if _shows(o.tree, surely[0])] or own
    return own or found


def _shows(tree: exp.Query, table: Table) -> bool:
    """Whether a query shows rows of a table, or measures."""
    names = {t.alias_or_name: t.name for t in tree.find_all(exp.Table)}
    for each in tree.selects:
        column = each.unalias()
        if not isinstance(column, exp.Column):
            return True
        if names.get(column.table, next(iter(names.values()))) == table.name:
            return True
    return False


def _counting(found: list[Made], tokens: Sequence[Token], linker: Linker) -> list[Made]:
    """Without queries whose every count is one: of the rows of a table for each of its rows, or of
    the values of what is the same in the whole group.

    A name that no two rows share is as good as a key, unless the question speaks of names.
    """
    said = {token.lemma for token in tokens}
    names = {name for table in linker.profile.tables if (name := name_of(table)) is not None}
    keys = {
        (c.table.name, c.name)
        for c in linker.profile.columns
        if c.primary
        or c.unique
        or (c in names and c.distinct >= c.table.rows > 1 and c.words[-1] not in said)
    }
    return [one for one in found if not _counts_ones(one.tree, keys)]


def _counts_ones(tree: exp.Query, keys: Collection[tuple[str, str]]) -> bool:
    group, tables = tree.args.get("group"), list(tree.find_all(exp.Table))
    if group is None or not any(e.find(exp.Count) for e in tree.selects):
        return False
    same = {each.sql() for each in group.expressions} | _held_equal(tree)
    counted = (d.expressions for e in tree.selects for d in e.find_all(exp.Distinct))
    if any(of and all(each.sql() in same for each in of) for of in counted):
        return True
    if len(tables) != 1:
        return False
    names = {each.name for each in group.expressions if isinstance(each, exp.Column)}
    own = {name for table, name in keys if table == tables[0].name}
    return bool(names & own)


def _held_equal(tree: exp.Query) -> set[str]:
    """The columns that have one value in all rows that a query reads."""
    where = tree.args.get("where")
    conditions = where.this.flatten() if where and isinstance(where.this, exp.And) else [where]
    plain = (each.this if isinstance(each, exp.Where) else each for each in conditions if each)
    return {e.this.sql() for e in plain if isinstance(e, exp.EQ) and isinstance(e.this, exp.Column)}


def _grouped(found: list[Made]) -> list[Made]:
    """Where something is asked of each, and is so read first, queries that find it of all are out:
    of measures, and of what comes first.
    """
    for sign in ("measure", "first"):
        each = [one for one in found if not one.signs[f"groups asked of a {sign}, no group"]]
        read = (one.signs["read first"] and one.signs[f"groups asked of a {sign}"] for one in each)
        found = each if any(read) else found
    return found


def judge(text: str, tried: Sequence[tuple[Made, Result]]) -> list[Made]:
    """Candidates with their confidence, best first, by all signs: also those in what they find."""
    groups: dict[Hashable, list[Made]] = {}
    for made, result in tried:
        groups.setdefault(result.key(made.sql), []).append(made)
    plain = sum(1 for made, _ in tried if "as read" in made.signs)
    for made, result in tried:
        same = groups[result.key(made.sql)]
        ordered = bool(made.tree.args.get("limit")) or made.tree.find(exp.AggFunc) is not None
        joined = bool(made.tree.args.get("joins"))
        denied = bool(made.signs["negation asked, present"])
        made.signs |= result_signs(text, result, ordered=ordered, joined=joined, denied=denied)
        made.signs |= {
            "rows as read first": float(
                any(one.signs["read first"] and "as read" in one.signs for one in same)
            ),
            "rows near what was read first": float(any(one.signs["read first"] for one in same)),
            "share of readings": sum("as read" in one.signs for one in same) / max(1, plain),
            "results": float(min(4, len(groups) - 1)),
            "only result": float(len(groups) == 1),
            "distinct idle": float(
                len({one.tree.args.get("distinct") is None for one in same}) == 2
            ),
            "others empty": float(any(found.rows == [] for one, found in tried if one not in same)),
        }
        made.score = score(made.signs)
    return _ranked(list(groups.values()))


def _ranked(groups: list[list[Made]]) -> list[Made]:
    """All candidates by score, with the confidence that the distance to other results gives."""
    for group in groups:
        # of one result, the query as it was read rather than a variant of it
        group.sort(key=lambda one: ("as read" not in one.signs, -one.score))
        best = max(one.score for one in group)
        group[0].score = best
    groups.sort(key=lambda group: _standing(group[0]))
    if groups:
        first = groups[0][0]
        # what cannot be meant is no rival of what can
        rivals = [group[0] for group in groups if not is_senseless(group[0])] or [first]
        sure = sureness(first.signs, [one.score for one in rivals])
        if is_doubtful(first):
            sure = min(sure, DOUBTFUL)
        for group in groups:
            for one in group:
                one.confidence = sure * behind(first.score - one.score)
    return sorted((one for group in groups for one in group), key=_standing)


def _standing(one: Made) -> tuple[bool, float]:
    """What orders candidates: those that cannot be meant go last."""
    return is_senseless(one), -one.score


def is_doubtful(one: Made) -> bool:
    """Whether a query is not what was asked, however likely the best of several is."""
    return is_senseless(one) or _ranked_otherwise(one.signs) or bool(one.unread)


def is_senseless(one: Made) -> bool:
    """Whether a query leaves out what the question cannot do without, shows less than it lists,
    says only what it said, or asks for what cannot be.
    """
    return any(one.signs.get(sign) for sign in SENSELESS)


def _ranked_otherwise(found: dict[str, float]) -> bool:
    """Whether the most of something is asked for, and the order is by what nobody spoke of."""
    unheard = found.get("order, unheard", 0.0)
    return bool(unheard and found.get("most number asked, not counted"))


def behind(distance: float) -> float:
    """How much of the confidence of the best is left for a candidate that far behind it."""
    return float(0.5 ** max(0.0, distance))


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


def _reads(tokens: Sequence[Token], linker: Linker, graph: JoinGraph) -> list[_Read]:
    """Different queries that the question may mean, the likeliest first."""
    found: dict[str, _Read] = {}
    try:
        for meant in analyse(tokens, linker, graph):
            half = None
            try:
                tree = compile_query(meant.query, graph)
                if meant.half is not None:
                    half = meant.half[0], compile_query(meant.half[1], graph)
            except NoJoinError:
                continue
            key = canonical(tree)
            if key in found:
                found[key].times += 1
            elif len(found) < READS:
                found[key] = _Read(
                    tree,
                    meant.unused,
                    meant.cost,
                    meant.understood,
                    meant.values_lost,
                    meant.spelled,
                    half,
                )
    except Exception:  # a mistake in the grammar: the question is declined, and the log says why
        log.exception("the reading of a question failed")
    return list(found.values())
