"""From a question to an answer: which paths are tried, and what their agreement is worth.

Three paths may have something to say: a template that somebody accepted before, the built-in
translator, and a language model. Each proposes SQL, all SQL is read through the guard, and equal
results speak for each other. `answering` decides and does nothing: it yields what it needs (a
translation, rows, replies) to a driver in `asker.py`.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, Literal, Protocol, TypeAlias

from mcp_server.nl2sql.database.digest import digest
from mcp_server.nl2sql.database.reader import ResultSet
from mcp_server.nl2sql.errors import ModelError, RefusedError
from mcp_server.nl2sql.model.plan import Complete, ModelOutcome, PlanSettings, Trial, Try, plan
from mcp_server.nl2sql.model.prompt import Request, messages
from mcp_server.nl2sql.solved import Solved
from mcp_server.nl2sql.sql.assumptions import assumptions
from mcp_server.nl2sql.sql.paraphrase import reading
from mcp_server.rendering import Json

Origin: TypeAlias = Literal["built-in", "model", "solved"]

SOLVED_CONFIDENCE = 0.95
DISAGREEMENT = 0.6
"""What is left of a path's confidence when another path answers differently."""
ALTERNATIVES_CHECKED = 3


class TranslationLike(Protocol):
    """What the built-in translator gives back; see `translation.py`."""

    @property
    def sql(self) -> str | None:
        """The query; None when declined."""

    @property
    def confidence(self) -> float:
        """How likely it is right, 0 to 1."""

    @property
    def reason(self) -> str:
        """Why it was declined, or chosen."""

    @property
    def candidates(self) -> Sequence[Any]:
        """What was considered, best first."""

    @property
    def assumptions(self) -> Sequence[str]:
        """What the query takes for granted."""

    @property
    def unused(self) -> Sequence[str]:
        """Words of the question that play no part."""

    @property
    def links(self) -> Sequence[Any]:
        """What words were taken for."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another query that was considered, and why it is not the answer."""

    sql: str
    reading: str
    origin: Origin
    confidence: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What `ask` gives back. sql is None when the question was declined; `reason` says why.

    reading: the query in plain English, made from the SQL. rows: JSON values, as
    `mcp_server.rendering` writes them, at most the number asked for; truncated tells whether there
    are more. confidence: 0..1. agreement: whether the paths that answered found the same rows; None
    when only one did. unused: words of the question that the translation did not use. links,
    attempts: only with explain=True. result: what the rows were taken from, as the server sent it.
    """

    question: str
    sql: str | None
    reading: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Json, ...], ...] = ()
    truncated: bool = False
    confidence: float = 0.0
    origin: Origin | None = None
    agreement: bool | None = None
    reason: str = ""
    assumptions: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    links: tuple[Json, ...] = ()
    attempts: tuple[Json, ...] = ()
    result: ResultSet | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """The answer as a JSON object."""
        told = asdict(replace(self, result=None))
        del told["result"]
        return told


# What a driver is asked for


@dataclass(frozen=True, slots=True)
class Similar:
    """Kept pairs like the question. Answered with a list of Solved."""

    question: str


@dataclass(frozen=True, slots=True)
class Translate:
    """The built-in translation. Answered with a TranslationLike."""

    question: str
    evidence: str | None
    explain: bool


@dataclass(frozen=True, slots=True)
class Describe:
    """Everything a model needs to know. Answered with a prompt Request."""

    question: str
    evidence: str | None
    pairs: tuple[Solved, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """Check and run a query. Answered with a ResultSet, or the RefusedError."""

    sql: str


Need: TypeAlias = Similar | Translate | Describe | Read | Complete
Given: TypeAlias = "list[Solved] | TranslationLike | Request | ResultSet | RefusedError | list[str]"
Answering: TypeAlias = Generator[Need, Any, Answer]


@dataclass(slots=True)
class Proposal:
    """SQL of one path that ran."""

    origin: Origin
    sql: str
    confidence: float
    result: ResultSet
    digest: str


@dataclass(slots=True)
class Findings:
    """What the paths came to."""

    proposals: list[Proposal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # why a path has no proposal
    alternatives: list[Alternative] = field(default_factory=list)

    def of(self, origin: Origin) -> Proposal | None:
        """The first proposal of an origin."""
        return next((p for p in self.proposals if p.origin == origin), None)


def answering(
    question: str,
    *,
    evidence: str | None = None,
    explain: bool = False,
    with_model: bool = False,
    settings: PlanSettings | None = None,
    shown_rows: int = 100,
) -> Answering:
    """The steps from a question to an Answer. Errors of the database come out of its driver."""
    pairs: list[Solved] = yield Similar(question)
    translation: TranslationLike = yield Translate(question, evidence, explain)
    findings = Findings()
    reads = _Reads()
    for pair in pairs[:1]:
        if pair.filled:
            yield from _propose(findings, reads, "solved", pair.filled, SOLVED_CONFIDENCE)
    if translation.sql is None:
        findings.notes.append(translation.reason or "the built-in translator declined")
    else:
        yield from _propose(findings, reads, "built-in", translation.sql, translation.confidence)
    outcome: ModelOutcome | None = None
    if with_model:
        try:
            request: Request = yield Describe(question, evidence, tuple(pairs))
            outcome = yield from _ask_model(request, settings or PlanSettings(), reads)
        except ModelError as error:
            findings.notes.append(f"{error}; answered without it")
        else:
            yield from _weigh_model(findings, reads, outcome, translation)
    return _answer(question, findings, translation, outcome, explain, shown_rows)


class _Reads:
    """Results by query, so that no query runs twice for one question."""

    def __init__(self) -> None:
        self._known: dict[str, ResultSet | RefusedError] = {}

    def of(self, sql: str) -> Generator[Need, Any, ResultSet | RefusedError]:
        if sql not in self._known:
            self._known[sql] = yield Read(sql)
        return self._known[sql]


def _propose(
    findings: Findings, reads: _Reads, origin: Origin, sql: str, confidence: float
) -> Generator[Need, Any, None]:
    result = yield from reads.of(sql)
    if isinstance(result, RefusedError):
        findings.notes.append(f"the {origin} query was refused: {result}")
    elif origin == "solved" and not result.rows:
        findings.notes.append("a query kept for such questions finds nothing here")
    else:
        findings.proposals.append(Proposal(origin, sql, confidence, result, digest(result.rows)))


def _ask_model(
    request: Request, settings: PlanSettings, reads: _Reads
) -> Generator[Need, Any, ModelOutcome]:
    """The model's plan, its trials read through the same reads as everything else."""
    steps = plan(messages(request), settings)
    advance: Callable[[], Complete | Try] = partial(next, steps)
    while True:
        try:
            action = advance()
        except StopIteration as stop:
            outcome: ModelOutcome = stop.value
            return outcome
        reply: list[str] | Trial
        match action:
            case Complete():
                try:
                    reply = yield action
                except ModelError as error:
                    advance = partial(steps.throw, error)
                    continue
            case Try(sql):
                result = yield from reads.of(sql)
                if isinstance(result, RefusedError):
                    reply = Trial(error=result)
                else:
                    reply = Trial(digest(result.rows), len(result.rows))
        advance = partial(steps.send, reply)


def _weigh_model(
    findings: Findings, reads: _Reads, outcome: ModelOutcome, translation: TranslationLike
) -> Generator[Need, Any, None]:
    """Add the model's query, its confidence raised where the built-in one nearly said the same."""
    if outcome.sql is None:
        findings.notes.append(outcome.reason)
        return
    confidence = 0.45 + 0.4 * outcome.agreement - 0.05 * outcome.rounds
    if findings.of("built-in") is None:
        for candidate in list(translation.candidates)[:ALTERNATIVES_CHECKED]:
            result = yield from reads.of(candidate.sql)
            if not isinstance(result, RefusedError) and digest(result.rows) == outcome.digest:
                confidence = min(0.95, confidence + 0.1)
                break
    yield from _propose(findings, reads, "model", outcome.sql, confidence)


def _answer(
    question: str,
    findings: Findings,
    translation: TranslationLike,
    outcome: ModelOutcome | None,
    explain: bool,
    shown_rows: int,
) -> Answer:
    unused = tuple(translation.unused)
    links = tuple(asdict(link) for link in translation.links) if explain else ()
    attempts = _attempts(outcome) if explain and outcome else ()
    if not findings.proposals:
        return Answer(
            question,
            None,
            reason="; ".join(dict.fromkeys(findings.notes)),
            unused=unused,
            alternatives=_declined_candidates(translation),
            links=links,
            attempts=attempts,
        )
    chosen, confidence, agreement = _judge(findings.proposals)
    others = [p for p in findings.proposals if p.digest != chosen.digest]
    notes = list(findings.notes)
    if others:
        notes.insert(
            0,
            f"the {chosen.origin} and the {others[0].origin} translation disagree: "
            f"{others[0].origin} reads it as {_reading(others[0])!r}",
        )
    tree = chosen.result.query.tree
    granted = () if tree is None else assumptions(tree)
    said = translation.assumptions if chosen.origin == "built-in" else ()
    return Answer(
        question,
        chosen.sql,
        reading=_reading(chosen),
        columns=chosen.result.columns,
        rows=chosen.result.rendered(shown_rows),
        truncated=chosen.result.truncated or len(chosen.result.rows) > shown_rows,
        confidence=round(confidence, 3),
        origin=chosen.origin,
        agreement=agreement,
        reason="; ".join(dict.fromkeys(notes)),
        assumptions=tuple(dict.fromkeys([*said, *granted])),
        unused=unused if chosen.origin == "built-in" else (),
        alternatives=tuple(
            Alternative(
                p.sql,
                _reading(p),
                p.origin,
                round(p.confidence, 3),
                f"finds {len(p.result.rows)} other rows",
            )
            for p in others
        ),
        links=links,
        attempts=attempts,
        result=chosen.result,
    )


def _reading(proposal: Proposal) -> str:
    """What the query asks; nothing where sqlglot cannot read what PostgreSQL can."""
    tree = proposal.result.query.tree
    return "" if tree is None else reading(tree)


def _judge(proposals: list[Proposal]) -> tuple[Proposal, float, bool | None]:
    """The proposal to give, the confidence in it, and whether the paths agree.

    Paths that find the same rows are independent witnesses: the chance that all are wrong is the
    product of theirs. Where they differ, the strongest group wins and loses part of its weight.
    """
    groups: dict[str, list[Proposal]] = {}
    for proposal in proposals:
        groups.setdefault(proposal.digest, []).append(proposal)

    def weight(group: list[Proposal]) -> float:
        wrong = 1.0
        for proposal in group:
            wrong *= 1.0 - proposal.confidence
        return 1.0 - wrong

    best = max(groups.values(), key=weight)
    confidence = min(0.99, weight(best))
    chosen = max(best, key=lambda p: p.confidence)
    if len(groups) > 1:
        return chosen, confidence * DISAGREEMENT, False
    return chosen, confidence, True if len(best) > 1 else None


def _declined_candidates(translation: TranslationLike) -> tuple[Alternative, ...]:
    """What the built-in translator considered before it declined."""
    shown = []
    for candidate in list(translation.candidates)[:ALTERNATIVES_CHECKED]:
        confidence = float(getattr(candidate, "confidence", 0.0))
        shown.append(
            Alternative(candidate.sql, reading(candidate.sql), "built-in", confidence, "considered")
        )
    return tuple(shown)


def _attempts(outcome: ModelOutcome) -> tuple[Json, ...]:
    return tuple(
        {
            "sql": attempt.sql,
            "round": attempt.round,
            "rows": attempt.trial.rows if attempt.ran else None,
            "refused": None if attempt.trial.error is None else str(attempt.trial.error),
        }
        for attempt in outcome.attempts
    )
