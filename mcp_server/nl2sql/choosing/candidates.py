"""Queries that a question may mean, and which of them is the answer.

The reading (`mcp_server.nl2sql.grammar`) gives several queries, and each has plain variants. All
are run for their first rows. Signs of English, of SQL and of what was found order them; how far the
best is from the next that finds something else says how sure that is.
"""

import datetime
import logging
import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from mcp_server.nl2sql.choosing.confidence import canonical, score, signs, sureness
from mcp_server.nl2sql.choosing.moments import has_moments
from mcp_server.nl2sql.choosing.naming import naming_signs
from mcp_server.nl2sql.choosing.results import Result, result_signs
from mcp_server.nl2sql.choosing.spelling import named
from mcp_server.nl2sql.choosing.variants import variants
from mcp_server.nl2sql.grammar.compound.rates import as_share
from mcp_server.nl2sql.grammar.compound.spelled import Spelled
from mcp_server.nl2sql.grammar.parse import analyse
from mcp_server.nl2sql.linking.linking import SURELY, Linker
from mcp_server.nl2sql.linking.moments import with_moments
from mcp_server.nl2sql.schema.joins import JoinGraph
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

ASKING = frozenset({"which", "what", "list", "show", "find", "give", "name"})
OPENING = 5
"""So many words at the beginning of a question say what it asks for."""
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
    known = linker.profile
    made: dict[str, Made] = {}
    reads = _reads(tokens, linker, graph)
    for place, read in enumerate(reads):
        for variant, tree in variants(read.tree, tokens, known):
            key = canonical(tree)
            if key in made:
                continue
            whole = filtered(tree, known)
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
    found = list(made.values())
    fits = [one for one in found if has_moments(one.tree, text, plain)]
    for one in fits:
        one.settled = len(fits) < len(found)
    found = _of_the_asked(_grouped(fits or found), tokens, linker)
    return sorted(found, key=lambda one: -one.score)


def _with_times(text: str, linker: Linker, today: datetime.date) -> str:
    """The question with its times as the grammar reads them; what is quoted stays as it is."""
    quoted = _QUOTED.findall(text)
    text = _QUOTED.sub(HIDDEN, text)
    if linker.has_years:
        text = with_years(with_both(text), today)
    if linker.has_dates:
        text = with_dates(text, today)
    text = with_moments(text, linker.profile)
    if text.count(HIDDEN) != len(quoted):  # what is put on both sides is there twice
        quoted *= 2
    for part in quoted:
        text = text.replace(HIDDEN, part, 1)
    return text


def _of_the_asked(found: list[Made], tokens: Sequence[Token], linker: Linker) -> list[Made]:
    """Where a question begins with what it asks for, `which drivers`, and no column is called so,
    queries that do not read that table are out.
    """
    if not tokens or tokens[0].lemma not in ASKING:
        return found
    ref = next(iter(linker.refs(tokens[:OPENING])), None)
    surely = [table for table, score in ref.tables if score >= SURELY] if ref is not None else []
    if ref is None or len(surely) != 1 or ref.best_column >= SURELY or ref.values:
        return found
    own = [o for o in found if surely[0].name in {t.name for t in o.tree.find_all(exp.Table)}]
    return own or found


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
    groups.sort(key=lambda group: -group[0].score)
    if groups:
        first = groups[0][0]
        sure = sureness(first.signs, [group[0].score for group in groups])
        if first.signs.get("values unused"):
            sure = min(sure, DOUBTFUL)
        for group in groups:
            for one in group:
                one.confidence = sure * behind(first.score - one.score)
    return sorted((one for group in groups for one in group), key=lambda one: -one.score)


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
