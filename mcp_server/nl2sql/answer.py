"""From a question to an answer: which paths are tried, and what their agreement is worth.

Three paths may have something to say: a template that somebody accepted before, a language model,
and the built-in translator. All SQL is read through the guard. With a model the model leads, and
the built-in translator is its witness; alone it answers where there is no model, or the model's
query cannot be repaired. `answering` decides and does nothing: it yields what it needs (a
translation, rows, replies) to a driver in `asker.py`.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, TypeAlias

from mcp_server.nl2sql.conversation.turns import Turn
from mcp_server.nl2sql.database.digest import digest
from mcp_server.nl2sql.database.reader import ResultSet
from mcp_server.nl2sql.errors import ModelError, RefusedError
from mcp_server.nl2sql.found import (
    Alternative,
    Answer,
    Findings,
    Origin,
    Proposal,
    TranslationLike,
)
from mcp_server.nl2sql.model.before import before
from mcp_server.nl2sql.model.plan import (
    Complete,
    Mend,
    ModelOutcome,
    PlanSettings,
    Trial,
    Try,
    Witness,
    plan,
)
from mcp_server.nl2sql.model.prompt import Request, conflict, conversations
from mcp_server.nl2sql.solved import Solved
from mcp_server.nl2sql.sql.assumptions import assumptions
from mcp_server.nl2sql.sql.paraphrase import reading
from mcp_server.nl2sql.weighing.agreement import Likeness, likeness, same_text
from mcp_server.nl2sql.weighing.trust import Evidence, Lead, trust
from mcp_server.rendering import Json

SOLVED_CONFIDENCE = 0.95
DISAGREEMENT = 0.6
"""What is left of the confidence in a kept query when another path answers differently."""
CANNOT_LEAVES = 0.6
"""What is left of any confidence when the model says that the schema cannot answer."""
LEAST = 0.5
"""What was lowered below this is declined."""
SHAPES: dict[Likeness | None, str] = {
    Likeness.EXTRA: "the model's query finds the same rows and shows more columns",
    Likeness.REPEATED: "the model's query finds the same rows, repeated otherwise",
}
"""Where the answer is as the built-in translator shows it, and what is said of that."""
SURE_OF_ROWS = 0.75
"""A translator that is less sure than this does not say how often rows are repeated."""
ALTERNATIVES_CHECKED = 3
DRAFTS = 2


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
    context: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True)
class Describe:
    """Everything a model needs to know. Answered with a prompt Request."""

    question: str
    evidence: str | None
    pairs: tuple[Solved, ...]
    drafts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """Check and run a query. Answered with a ResultSet, or the RefusedError."""

    sql: str


Need: TypeAlias = Similar | Translate | Describe | Read | Complete | Mend
Answering: TypeAlias = Generator[Need, Any, Answer]


def answering(
    question: str,
    *,
    evidence: str | None = None,
    explain: bool = False,
    with_model: bool = False,
    settings: PlanSettings | None = None,
    shown_rows: int = 100,
    context: Sequence[Turn] = (),
) -> Answering:
    """The steps from a question to an Answer. Errors of the database come out of its driver."""
    translation: TranslationLike = yield Translate(question, evidence, explain, tuple(context))
    pairs: list[Solved] = []
    if not translation.follows:  # the same words meant something else after another question
        pairs = yield Similar(question)
    findings = Findings()
    reads = _Reads()
    for pair in pairs[:1]:
        if pair.filled:
            findings.solved = yield from _proposed(
                findings, reads, "solved", pair.filled, SOLVED_CONFIDENCE
            )
    if translation.sql is None:
        findings.notes.append(translation.reason or "the built-in translator declined")
    else:
        findings.built_in = yield from _proposed(
            findings, reads, "built-in", translation.sql, translation.confidence
        )
    chosen = _without_model(findings)
    if with_model and not translation.about_schema:
        drafts = tuple(each.sql for each in list(translation.candidates)[:DRAFTS])
        try:
            known = "\n".join(part for part in (evidence or "", before(context)) if part)
            request: Request = yield Describe(question, known or None, tuple(pairs), drafts)
            outcome = yield from _ask_model(
                request, settings or PlanSettings(), reads, findings.built_in
            )
        except ModelError as error:
            findings.notes.append(f"{error}; answered without it")
        else:
            chosen = yield from _with_model(findings, reads, outcome, translation)
    answer = _answer(question, findings, chosen, translation, explain, shown_rows)
    sql = answer.sql
    if sql is None:
        return answer
    if answer.origin != "built-in":
        # What a model made of the questions before is not known; what was taught stands alone.
        return replace(answer, follows=bool(context) and answer.origin != "solved")
    if translation.about_schema:
        answer = replace(answer, reading=translation.reading)
    # Of several turns, only the first one's question says all that was asked.
    lesson = (context[0][0], sql) if translation.corrects and len(context) == 1 else None
    return replace(answer, teaches=lesson, follows=translation.follows)


class _Reads:
    """Results by query, so that no query runs twice for one question."""

    def __init__(self) -> None:
        self._known: dict[str, ResultSet | RefusedError] = {}

    def of(self, sql: str) -> Generator[Need, Any, ResultSet | RefusedError]:
        if sql not in self._known:
            self._known[sql] = yield Read(sql)
        return self._known[sql]


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The proposal to give, the confidence in it, and whether the paths agree."""

    proposal: Proposal
    confidence: float
    agreement: bool | None
    changes: tuple[str, ...] = ()
    evidence: Evidence | None = None


def _proposed(
    findings: Findings, reads: _Reads, origin: Origin, sql: str, confidence: float
) -> Generator[Need, Any, Proposal | None]:
    result = yield from reads.of(sql)
    if isinstance(result, RefusedError):
        findings.notes.append(f"the {origin} query was refused: {result}")
    elif origin == "solved" and not result.rows:
        findings.notes.append("a query kept for such questions finds nothing here")
    else:
        return Proposal(origin, sql, confidence, result, digest(result.rows))
    return None


def _ask_model(
    request: Request, settings: PlanSettings, reads: _Reads, built_in: Proposal | None
) -> Generator[Need, Any, ModelOutcome]:
    """The model's plan, its trials read through the same reads as everything else."""
    witness = None
    if built_in is not None:
        rows = len(built_in.result.rows)
        witness = Witness(built_in.sql, built_in.digest, rows, _reading(built_in))
    prompts = conversations(request, settings.candidates)
    steps = plan(prompts, settings, witness, partial(conflict, request))
    advance: Callable[[], Complete | Try | Mend] = partial(next, steps)
    while True:
        try:
            action = advance()
        except StopIteration as stop:
            outcome: ModelOutcome = stop.value
            return outcome
        if isinstance(action, Try):
            result = yield from reads.of(action.sql)
            advance = partial(steps.send, _trial(result))
            continue
        try:
            given = yield action
        except ModelError as error:
            advance = partial(steps.throw, error)
        else:
            advance = partial(steps.send, given)


def _trial(result: ResultSet | RefusedError) -> Trial:
    if isinstance(result, RefusedError):
        return Trial(error=result)
    filled = sum(any(value is not None for value in row) for row in result.rows)
    zero = len(result.rows) == 1 and all(value in (None, 0) for value in result.rows[0])
    return Trial(digest(result.rows), filled, zero=zero)


def _without_model(findings: Findings) -> _Chosen | None:
    """What is known without a model: a kept query leads, the built-in translator speaks for it."""
    kept, built_in = findings.solved, findings.built_in
    if kept is None:
        return None if built_in is None else _Chosen(built_in, built_in.confidence, None)
    return _kept(kept, [] if built_in is None else [built_in])


def _kept(kept: Proposal, others: Sequence[Proposal]) -> _Chosen:
    """A query that somebody accepted; other paths that find the same rows are its witnesses.

    The chance that all of them are wrong is the product of theirs.
    """
    agreeing = [each for each in others if each.digest == kept.digest]
    if others and not agreeing:
        return _Chosen(kept, kept.confidence * DISAGREEMENT, False)
    wrong = 1.0 - kept.confidence
    for each in agreeing:
        wrong *= 1.0 - each.confidence
    return _Chosen(kept, min(0.99, 1.0 - wrong), True if agreeing else None)


def _with_model(
    findings: Findings, reads: _Reads, outcome: ModelOutcome, translation: TranslationLike
) -> Generator[Need, Any, _Chosen | None]:
    """The model's query leads; see the module for when it does not."""
    findings.outcome = outcome
    if outcome.sql is not None:
        findings.model = yield from _proposed(findings, reads, "model", outcome.sql, 0.0)
    if outcome.sql is None or findings.model is None:
        findings.notes.append(outcome.reason)
        chosen = _without_model(findings)
        if chosen is None or not outcome.cannot:
            return chosen
        return replace(chosen, confidence=chosen.confidence * CANNOT_LEAVES)
    chosen = yield from _model_leads(findings, findings.model, reads, outcome, translation)
    if findings.solved is not None:
        others = [each for each in findings.proposals if each is not findings.solved]
        chosen = _kept(findings.solved, others)
    return chosen


def _model_leads(
    findings: Findings,
    model: Proposal,
    reads: _Reads,
    outcome: ModelOutcome,
    translation: TranslationLike,
) -> Generator[Need, Any, _Chosen]:
    """The model's answer, weighed by what the built-in translator makes of the question.

    Where both find the same but for columns or repeated rows, the rows are as the built-in
    translator shows them. Where the model's query finds nothing, and the model did not insist, the
    built-in translator's is the answer.
    """
    built_in = findings.built_in
    evidence = yield from _evidence(model, built_in, reads, outcome, translation)
    chosen, agreement = model, None if built_in is None else model.digest == built_in.digest
    if built_in is not None and _shapes(evidence, built_in):
        chosen, agreement = built_in, True
        findings.notes.append(SHAPES[evidence.likeness])
        evidence = replace(evidence, lead=Lead.SHAPE)
    elif built_in is not None and _yields(evidence, built_in, outcome):
        evidence = replace(evidence, lead=Lead.BUILT_IN)
        chosen = built_in
        findings.notes.append("the model's query finds nothing")
    confidence = trust(evidence)
    model.confidence = confidence if chosen is model else 0.0
    if outcome.cannot:
        confidence *= CANNOT_LEAVES ** (outcome.cannot / (outcome.cannot + len(outcome.attempts)))
    changes = outcome.notes if chosen is model else ()
    return _Chosen(chosen, confidence, agreement, changes, evidence)


def _yields(evidence: Evidence, built_in: Proposal, outcome: ModelOutcome) -> bool:
    """Whether a model's query that finds nothing gives way to one that finds something."""
    return evidence.nothing and bool(built_in.result.rows) and not outcome.stood_by


def _shapes(evidence: Evidence, built_in: Proposal) -> bool:
    """Whether the answer is as the built-in translator shows what both find."""
    repeated = evidence.likeness is Likeness.REPEATED
    return evidence.likeness in SHAPES and not (repeated and built_in.confidence < SURE_OF_ROWS)


def _evidence(
    model: Proposal,
    built_in: Proposal | None,
    reads: _Reads,
    outcome: ModelOutcome,
    translation: TranslationLike,
) -> Generator[Need, Any, Evidence]:
    """What is known of the model's query; also against what was considered and declined."""
    candidates = list(translation.candidates)[:ALTERNATIVES_CHECKED]
    best: tuple[str, float, ResultSet] | None = None
    if built_in is not None:
        best = built_in.sql, built_in.confidence, built_in.result
    nearly = False
    for candidate in candidates:
        result = yield from reads.of(candidate.sql)
        if isinstance(result, RefusedError):
            continue
        if best is None:
            best = candidate.sql, candidate.confidence, result
        elif candidate.sql != best[0]:
            nearly = nearly or digest(result.rows) == model.digest
    mended = outcome.mended is not None
    return Evidence(
        Lead.MODEL,
        best[1] if best else 0.0,
        likeness(model.result.rows, best[2].rows) if best else None,
        nearly=nearly,
        same_text=best is not None and same_text(model.sql, best[0]),
        refused=mended and outcome.refused,
        empty=mended and not outcome.refused,
        nothing=not outcome.rows,
        share=outcome.agreement,
        rounds=outcome.rounds,
    )


def _answer(
    question: str,
    findings: Findings,
    chosen: _Chosen | None,
    translation: TranslationLike,
    explain: bool,
    shown_rows: int,
) -> Answer:
    unused = tuple(translation.unused)
    links = tuple(asdict(link) for link in translation.links) if explain else ()
    attempts = _attempts(findings.outcome) if explain and findings.outcome else ()
    if chosen is None or chosen.confidence < LEAST <= chosen.proposal.confidence:
        considered = [] if chosen is None else [chosen.proposal]
        return Answer(
            question,
            None,
            reason="; ".join(dict.fromkeys(findings.notes)),
            unused=unused,
            alternatives=(
                *(_alternative(each, "considered") for each in considered),
                *_declined_candidates(translation),
            ),
            links=links,
            attempts=attempts,
        )
    best = chosen.proposal
    others = [p for p in findings.proposals if p is not best and p.digest != best.digest]
    notes = list(findings.notes)
    if others and chosen.agreement is False:
        notes.insert(
            0,
            f"the {best.origin} and the {others[0].origin} translation disagree: "
            f"{others[0].origin} reads it as {_reading(others[0])!r}",
        )
    tree = best.result.query.tree
    granted = () if tree is None else assumptions(tree)
    said = translation.assumptions if best.origin == "built-in" else ()
    return Answer(
        question,
        best.sql,
        reading=_reading(best),
        columns=best.result.columns,
        rows=best.result.rendered(shown_rows),
        truncated=best.result.truncated or len(best.result.rows) > shown_rows,
        confidence=round(chosen.confidence, 3),
        origin=best.origin,
        agreement=chosen.agreement,
        reason="; ".join(dict.fromkeys(notes)),
        assumptions=tuple(dict.fromkeys([*said, *chosen.changes, *granted])),
        unused=unused if best.origin == "built-in" else (),
        alternatives=tuple(
            _alternative(p, _difference(p, agreed=chosen.agreement is True)) for p in others
        ),
        links=links,
        attempts=attempts,
        result=best.result,
        evidence=chosen.evidence,
    )


def _alternative(proposal: Proposal, note: str) -> Alternative:
    return Alternative(
        proposal.sql, _reading(proposal), proposal.origin, round(proposal.confidence, 3), note
    )


def _difference(other: Proposal, *, agreed: bool) -> str:
    if agreed:
        return "finds the same, and shows it otherwise"
    return f"finds {len(other.result.rows)} other rows"


def _reading(proposal: Proposal) -> str:
    """What the query asks; nothing where sqlglot cannot read what PostgreSQL can."""
    tree = proposal.result.query.tree
    return "" if tree is None else reading(tree)


def _declined_candidates(translation: TranslationLike) -> tuple[Alternative, ...]:
    """What the built-in translator considered before it declined."""
    shown = []
    for candidate in list(translation.candidates)[:ALTERNATIVES_CHECKED]:
        confidence = float(getattr(candidate, "confidence", 0.0))
        shown.append(
            Alternative(
                candidate.sql,
                reading(candidate.sql),
                "built-in",
                confidence,
                getattr(candidate, "note", "") or "considered",
            )
        )
    return tuple(shown)


def _attempts(outcome: ModelOutcome) -> tuple[Json, ...]:
    return tuple(
        {
            "sql": attempt.sql,
            "round": attempt.round,
            "rows": attempt.trial.rows if attempt.ran else None,
            "refused": None if attempt.trial.error is None else str(attempt.trial.error),
            "mended": attempt.mended,
            "changes": list(attempt.notes),
        }
        for attempt in outcome.attempts
    )
