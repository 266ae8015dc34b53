"""Where a question falls into two: the ratio of A to B, A versus B, average number of A per B.

Each half is a question of its own, and read as one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from mcp_server.nl2sql.words.tokens import Mark, Token, tokenize

HOW_MANY = tuple(tokenize("how many"))
PLACES = frozenset(
    {"in", "at", "during", "on", "since", "from", "within", "after", "before", "between", "overall"}
)
MEASURING = frozenset({"total", "sum", "average", "mean", "maximum", "minimum", "how", "number"})
COUNTING = frozenset({"number", "how"})
EACH = frozenset({"each", "every", "per"})
GROUPING = frozenset({"per", "by", "each", "every"})
SAYING = frozenset(
    {"be", "have", "do", "that", "who", "which", "with", "in", "from", "come", "live"}
)
"""What stands behind the things that are counted."""
WITH = tuple(tokenize("with"))
TO = (("out", "of"), ("to",))


@dataclass(frozen=True, slots=True)
class Halves:
    """Two questions, and what is asked of their answers: a quotient, or both beside each other.

    alike: whether they measure the same, of different rows. rest: whether the second is of the
    rows that the first leaves out.
    """

    how: Literal["/", ","]
    left: tuple[Token, ...]
    right: tuple[Token, ...]
    alike: bool = False
    rest: bool = False


def halves(tokens: Sequence[Token]) -> Iterator[Halves]:
    """The ways to take a question apart; none for most."""
    lemmas = [token.lemma for token in tokens]
    if "ratio" in lemmas:
        yield from _ratio(tokens, lemmas)
    for at, word in enumerate(lemmas):
        if word in ("versus", "vs") and 0 < at < len(lemmas) - 1:
            behind = tokens[at + 1 :]
            behind = behind[1:] if behind[0].mark is Mark.PUNCTUATION else behind
            yield from _spread(",", tokens[:at], behind)
    yield from _compared(tokens, lemmas)
    yield from _average_number(tokens, lemmas)
    yield from _side_by_side(tokens, lemmas)


def _compared(tokens: Sequence[Token], lemmas: Sequence[str]) -> Iterator[Halves]:
    """Compare the average fee of crowns with (that of) fillings."""
    if lemmas[:1] != ["compare"]:
        return
    start = 1 + (lemmas[1:2] == ["the"])
    for at in range(start + 1, len(lemmas) - 1):
        if lemmas[at] in ("with", "to", "and"):
            behind = tokens[at + 1 :]
            if lemmas[at + 1 : at + 3] in (["that", "of"], ["those", "of"]):
                behind = tokens[at + 3 :]
            yield from _spread(",", tokens[start:at], behind)
            return


def _side_by_side(tokens: Sequence[Token], lemmas: Sequence[str]) -> Iterator[Halves]:
    """How many A and how many B; the total of A and of B; the average A and the average B."""
    for at, word in enumerate(lemmas[:-2]):
        if word != "and" or at < 2:
            continue
        left, right = tokens[:at], _unended(tokens[at + 1 :])
        said = [token.lemma for token in right]
        said = said[1:] if said[:1] == ["the"] else said
        if said[:1] == ["of"] and "of" in lemmas[:at] and MEASURING & set(lemmas[:at]):
            measure = _measure_of(left)
            if measure:
                yield _beside(left, (*measure, *right[1:]), alike=True)
        elif said[:2] == ["how", "many"]:
            yield _beside(left, (*right[:2], *_counted(left, said), *right[2:]), alike=True)
        elif MEASURING & set(said[:1]) and MEASURING & set(lemmas[:at]):
            yield _beside(left, right, alike=said[0] in lemmas[:at])


def _beside(left: Sequence[Token], right: Sequence[Token], *, alike: bool = False) -> Halves:
    """Both beside each other: of some things, and of the *other* ones."""
    kept = [token for token in right if token.lemma != "other"]
    return Halves(",", tuple(left), tuple(kept), alike, len(kept) < len(right))


def _measure_of(tokens: Sequence[Token]) -> Sequence[Token]:
    """What is measured, up to its `of`: `the average fee of` fillings."""
    lemmas = [token.lemma for token in tokens]
    first = next((n for n, word in enumerate(lemmas) if word in MEASURING), None)
    if first is None or "of" not in lemmas[first:]:
        return ()
    return tokens[first : lemmas.index("of", first) + 1]


def _counted(left: Sequence[Token], right: Sequence[str]) -> Sequence[Token]:
    """The things of the first half, where the second does not repeat them: `how many are open`."""
    if right[2:3] and right[2] not in SAYING:
        return ()
    lemmas = [token.lemma for token in left]
    start = next((n for n in range(len(lemmas) - 1) if lemmas[n : n + 2] == ["how", "many"]), None)
    if start is None:
        return ()
    ends = (n for n in range(start + 2, len(lemmas)) if lemmas[n] in SAYING)
    return left[start + 2 : next(ends, start + 2)]


def _ratio(tokens: Sequence[Token], lemmas: Sequence[str]) -> Iterator[Halves]:
    at = lemmas.index("ratio")
    opening = lemmas[at + 1 : at + 2]
    if opening not in (["of"], ["between"]):
        return
    joints = TO if opening == ["of"] else (("and",),)
    start = at + 2
    place, length = min(
        (
            (place, len(joint))
            for joint in joints
            for place in range(start + 1, len(lemmas) - 1)
            if tuple(lemmas[place : place + len(joint)]) == joint
        ),
        default=(0, 0),
    )
    if not place:
        return
    right = list(tokens[place + length :])
    if EACH & set(lemmas[:at]):  # `for each city, the ratio of ...`
        comma = next((n for n in range(at) if lemmas[n] == ","), at)
        right = [*_unended(right), *tokens[:comma]]
    yield from _spread("/", tokens[start:place], right)


def _average_number(tokens: Sequence[Token], lemmas: Sequence[str]) -> Iterator[Halves]:
    """The average number of A per B: all of the one for all of the other."""
    for at in range(len(lemmas) - 4):
        if lemmas[at] in ("average", "mean") and lemmas[at + 1 : at + 3] == ["number", "of"]:
            for place in range(at + 4, len(lemmas) - 1):
                each = lemmas[place - 1 : place + 1] in (["for", "each"], ["for", "every"])
                if lemmas[place] == "per" or each:
                    left, right = tokens[at + 3 : place - each], _unended(tokens[place + 1 :])
                    when = _tail(right)
                    if when and len(right) == len(when) + 1:  # orders per customer in 2023
                        left = [*left, *when]
                        right = [right[0], *WITH, *left]
                    yield Halves("/", _asked(left), _asked(right))
                    return
    yield from _on_average(tokens, lemmas)


def _on_average(tokens: Sequence[Token], lemmas: Sequence[str]) -> Iterator[Halves]:
    """(How many) A per B on average; how many A does a B have on average."""
    at = next((n for n in range(len(lemmas) - 1) if lemmas[n : n + 2] == ["on", "average"]), None)
    if at is None:
        return
    rest = [*tokens[:at], *tokens[at + 2 :]]
    said = [token.lemma for token in rest]
    if said[:1] == [","]:
        rest, said = rest[1:], said[1:]
    if said[:2] == ["how", "many"]:
        rest, said = rest[2:], said[2:]
    place = next((n for n, word in enumerate(said) if n and word in ("per", "do")), None)
    if place is None or place + 1 >= len(said):
        return
    behind = _unended(rest[place + 1 :])
    if said[place] == "do":
        if not behind or behind[0].lemma not in (*EACH, "a", "an", "the"):
            return
        behind = behind[1:]
        if len(behind) != 2 or behind[1].lemma not in ("have", "get", "place", "make", "own"):
            return
        behind = behind[:1]
    if len(behind) == 1:
        yield Halves("/", _asked(rest[:place]), _asked(behind))


def _spread(
    how: Literal["/", ","], left: Sequence[Token], right: Sequence[Token]
) -> Iterator[Halves]:
    """What ends the second half is said of both: `A to B in Paris`."""
    ends = _unended(right)
    measure = _measure_of(left)
    alike = how == "," and bool(measure) and measure[0].lemma not in COUNTING
    alike = alike and not MEASURING & {token.lemma for token in ends}
    if alike:
        ends = [*measure, *ends]  # the average fee of fillings versus crowns
    if len(left) == 1 and len(ends) > 1:  # `paid to open invoices`
        yield Halves(how, _asked([*left, *ends[1:]]), _asked(ends))
    tail = () if PLACES & {token.lemma for token in left} else _tail(ends)
    yield Halves(how, _asked([*left, *tail]), _asked(ends), alike)


def _tail(tokens: Sequence[Token]) -> Sequence[Token]:
    """The last phrase of place or time, without what makes groups."""
    starts = [n for n, token in enumerate(tokens) if n and token.lemma in PLACES]
    if not starts:
        return ()
    tail = tokens[starts[-1] :]
    return () if GROUPING & {token.lemma for token in tail} else tail


def _unended(tokens: Sequence[Token]) -> Sequence[Token]:
    ended = bool(tokens) and tokens[-1].mark is Mark.PUNCTUATION
    tokens = tokens[:-1] if ended else tokens
    return tokens[:-1] if tokens and tokens[-1].lemma == "overall" else tokens


def _asked(half: Sequence[Token]) -> tuple[Token, ...]:
    """A half as a question: how many there are, unless it says what to measure."""
    measures = MEASURING & {token.lemma for token in half[:3]}
    return tuple(half) if measures else (*HOW_MANY, *half)
