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
EACH = frozenset({"each", "every", "per"})
GROUPING = frozenset({"per", "by", "each", "every"})
TO = (("out", "of"), ("to",))


@dataclass(frozen=True, slots=True)
class Halves:
    """Two questions, and what is asked of their answers: a quotient, or both beside each other."""

    how: Literal["/", ","]
    left: tuple[Token, ...]
    right: tuple[Token, ...]


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
    yield from _average_number(tokens, lemmas)


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
                    left = tokens[at + 3 : place - each]
                    yield Halves("/", _asked(left), _asked(tokens[place + 1 :]))
                    return


def _spread(
    how: Literal["/", ","], left: Sequence[Token], right: Sequence[Token]
) -> Iterator[Halves]:
    """What ends the second half is said of both: `A to B in Paris`."""
    ends = _unended(right)
    if len(left) == 1 and len(ends) > 1:  # `paid to open invoices`
        yield Halves(how, _asked([*left, *ends[1:]]), _asked(ends))
    tail = () if PLACES & {token.lemma for token in left} else _tail(ends)
    yield Halves(how, _asked([*left, *tail]), _asked(ends))


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
