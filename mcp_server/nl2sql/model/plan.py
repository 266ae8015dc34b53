"""How a model's queries become one answer: ask, try, mend, repair, vote. Decides, and does nothing.

A plan is a generator. It yields `Complete` (ask the model), `Try` (check and run a query) and
`Mend` (what the database's own facts make of one that fails), and is sent what comes of it. Its
driver owns the model, the database and the clock. Candidates differ by their prompts.
Voting by result: Wang et al., "Self-Consistency Improves Chain of Thought Reasoning" (2023);
repair from the database's own errors: Chen et al., "Teaching Large Language Models to
Self-Debug" (2023).
"""

import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from mcp_server.nl2sql.errors import ForbiddenError, ModelError, RefusedError
from mcp_server.nl2sql.mending.mend import Mended
from mcp_server.nl2sql.model.language_model import Message

CANNOT = "CANNOT"
Conversation: TypeAlias = tuple[Message, ...]

EMPTY_VOTE = 0.5
"""A query that finds nothing has less of a vote."""
WITNESS_VOTE = 0.5
"""What the built-in translator adds to a result that a reply of the model's found as well."""


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """candidates: queries asked for at first. rounds: how often failures go back for repair.

    conflicts: how often the model is shown that the built-in translator finds something else.
    """

    candidates: int = 3
    rounds: int = 2
    conflicts: int = 1


@dataclass(frozen=True, slots=True)
class Complete:
    """Ask the model once in each conversation. Answered with a list of replies for each."""

    conversations: tuple[Conversation, ...]


@dataclass(frozen=True, slots=True)
class Try:
    """Check and run one query. Answered with a Trial."""

    sql: str


@dataclass(frozen=True, slots=True)
class Mend:
    """Queries to try in the place of one that fails, or finds nothing. Answered with them."""

    sql: str
    failed: bool


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of one query: a digest of its rows, or why it was refused.

    rows: how many have a value. zero: whether all that it finds is one zero, as a count does of
    rows that are not there.
    """

    digest: str = ""
    rows: int = 0
    error: RefusedError | None = None
    zero: bool = False


@dataclass(frozen=True, slots=True)
class Witness:
    """What the built-in translator found for the same question. reading: its query in words."""

    sql: str
    digest: str
    rows: int
    reading: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One query of the model's. round: 0 for the first replies, then the round of repair.

    conversation: what it was the reply to. mended: the query that it was made from by the facts
    of the database, refused: whether PostgreSQL had refused that one, notes: what was changed.
    """

    sql: str
    round: int
    trial: Trial
    conversation: Conversation = field(default=(), repr=False)
    mended: str | None = None
    refused: bool = False
    notes: tuple[str, ...] = ()

    @property
    def ran(self) -> bool:
        """Whether PostgreSQL ran it."""
        return self.trial.error is None

    @property
    def hostile(self) -> bool:
        """Whether the guard refused it as one that does more than read."""
        return isinstance(self.trial.error, ForbiddenError)


@dataclass(frozen=True, slots=True)
class ModelOutcome:
    """sql: the winner, or None with the reason. agreement: its share of the votes, 0..1.

    rows: how many it found. cannot: how many replies said that the schema cannot answer.
    mended, refused, notes: see `Attempt`. stood_by: whether the model gave the same result again
    when it was asked for a better one.
    """

    sql: str | None
    reason: str
    digest: str = ""
    agreement: float = 0.0
    rounds: int = 0
    attempts: tuple[Attempt, ...] = ()
    rows: int = 0
    cannot: int = 0
    mended: str | None = None
    notes: tuple[str, ...] = ()
    refused: bool = False
    stood_by: bool = False


Action: TypeAlias = Complete | Try | Mend
Plan: TypeAlias = Generator[Action, Any, ModelOutcome]
Conflict: TypeAlias = Callable[[str, int, Witness], Conversation]
"""The conversation that shows the model its query, how many rows it found, and the witness's."""


def plan(
    conversations: Sequence[Conversation],
    settings: PlanSettings,
    witness: Witness | None = None,
    conflict: Conflict | None = None,
) -> Plan:
    """The plan for one question. conversations: the prompts of `prompt.py`, one a candidate.

    Its driver throws a ModelError in where the model failed; it comes out again unless some
    query ran before.
    """
    run = _Run(witness)
    yield from run.ask(conversations)
    while run.round < settings.rounds:
        failures = run.repairs()
        if not failures:
            break
        run.round += 1
        yield from run.ask_again([_repair(each) for each in failures])
    while conflict is not None and witness is not None and run.conflicts < settings.conflicts:
        winner = run.winner()
        if winner is None or winner.trial.digest == witness.digest:
            break
        run.conflicts += 1
        yield from run.ask_again([conflict(winner.sql, winner.trial.rows, witness)])
    return run.outcome()


@dataclass(slots=True)
class _Run:
    witness: Witness | None
    round: int = 0
    conflicts: int = 0
    attempts: list[Attempt] = field(default_factory=list)
    declined: list[str] = field(default_factory=list)

    def ask(self, conversations: Sequence[Conversation]) -> Generator[Action, Any, None]:
        """Ask, and try what the replies hold."""
        replies: list[list[str]] = yield Complete(tuple(conversations))
        for conversation, texts in zip(conversations, replies, strict=True):
            for text in texts:
                sql, reason = query_in(text)
                if sql:
                    yield from self._attempt(sql, conversation)
                elif reason:
                    self.declined.append(reason)

    def ask_again(self, conversations: Sequence[Conversation]) -> Generator[Action, Any, None]:
        """As `ask`; what ran already is worth more than a model that fails now."""
        try:
            yield from self.ask(conversations)
        except ModelError:
            if not any(attempt.ran for attempt in self.attempts):
                raise

    def _attempt(self, sql: str, conversation: Conversation) -> Generator[Action, Any, None]:
        if any(sql in (a.sql, a.mended) and not a.ran for a in self.attempts):
            return  # the same mistake again
        known = next((a for a in self.attempts if sql in (a.sql, a.mended)), None)
        if known is None:
            trial: Trial = yield Try(sql)
            known = yield from _mended(Attempt(sql, 0, trial))
        now = self.round + self.conflicts
        self.attempts.append(replace(known, round=now, conversation=conversation))

    def repairs(self) -> list[Attempt]:
        """What is worth another round: failures of the last one, unless enough queries ran."""
        last = [a for a in self.attempts if a.round == self.round]
        ran = [a for a in self.attempts if a.ran]
        if any(a.trial.rows for a in ran) and 2 * len(ran) >= len(self.attempts):
            return []
        failed = [a for a in last if not a.ran and not a.hostile]
        # A query that finds nothing often compares with a value that is spelled differently.
        nothing_found = [a for a in last if a.ran and not a.trial.rows]
        unique = {attempt.sql: attempt for attempt in [*failed, *nothing_found]}
        return list(unique.values())

    def votes(self) -> dict[str, float]:
        """The weight of each result."""
        found: dict[str, float] = {}
        for attempt in self.attempts:
            if attempt.ran:
                weight = 1.0 if attempt.trial.rows else EMPTY_VOTE
                found[attempt.trial.digest] = found.get(attempt.trial.digest, 0.0) + weight
        if self.witness is not None and self.witness.digest in found and self.conflicts:
            found[self.witness.digest] += WITNESS_VOTE
        return found

    def winner(self) -> Attempt | None:
        """The first query with the result that has most votes."""
        votes = self.votes()
        if not votes:
            return None
        most = max(votes, key=lambda digest: votes[digest])  # the first among equals
        return next(a for a in self.attempts if a.ran and a.trial.digest == most)

    def outcome(self) -> ModelOutcome:
        """What came of it all."""
        attempts, best = tuple(self.attempts), self.winner()
        if best is None:
            return ModelOutcome(
                None,
                self._why_nothing(),
                rounds=self.round,
                attempts=attempts,
                cannot=len(self.declined),
            )
        votes = self.votes()
        total = sum(votes.values()) + len(self.declined)
        return ModelOutcome(
            best.sql,
            "",
            best.trial.digest,
            votes[best.trial.digest] / total,
            self.round,
            attempts,
            best.trial.rows,
            len(self.declined),
            best.mended,
            best.notes,
            best.refused,
            any(a.ran and a.round > 0 and a.trial.digest == best.trial.digest for a in attempts),
        )

    def _why_nothing(self) -> str:
        if self.declined:
            return f"the model cannot answer it: {self.declined[0]}"
        hostile = [attempt for attempt in self.attempts if attempt.hostile]
        if hostile and len(hostile) == len(self.attempts):
            return f"the model's query was refused: {hostile[0].trial.error}"
        if self.attempts:
            return f"no query of the model's runs: {self.attempts[-1].trial.error}"
        return "the model's reply holds no SQL"


def _mended(first: Attempt) -> Generator[Action, Any, Attempt]:
    """The attempt, or what the facts of the database make of one that fails or finds nothing."""
    best = first
    if not best.ran and not best.hostile:
        best = yield from _first_that_runs(best, first.sql, failed=True)
    if best.ran and (best.trial.zero or not best.trial.rows):
        best = yield from _first_that_runs(best, first.sql, failed=False)
    return best


def _first_that_runs(
    attempt: Attempt, origin: str, *, failed: bool
) -> Generator[Action, Any, Attempt]:
    others: list[Mended] = yield Mend(attempt.sql, failed)
    for other in others:
        trial: Trial = yield Try(other.sql)
        if trial.error is None and (failed or (trial.rows and not trial.zero)):
            return replace(
                attempt,
                sql=other.sql,
                trial=trial,
                mended=origin,
                refused=attempt.refused or failed,
                notes=(*attempt.notes, *other.notes),
            )
    return attempt


def query_in(reply: str) -> tuple[str, str]:
    """The query of one reply; or the reason, if the model says that it cannot answer.

    The last fenced block counts: a model may think aloud before it. A reply that is nothing but a
    query is taken as one.
    """
    text = re.sub(r"<think(ing)?>.*?</think(ing)?>", "", reply, flags=re.DOTALL)
    blocks = re.findall(
        r"```[ \t]*(?:sql|postgres(?:ql)?|pgsql)?[ \t]*\n(.*?)```", text, re.S | re.I
    )
    queries = [sql for block in blocks if (sql := block.strip().rstrip(";").strip())]
    if queries:
        return queries[-1], ""
    cannot = re.search(rf"\b{CANNOT}\b\s*[:\-]?\s*(.*)", text, re.S)
    if cannot:
        return "", " ".join(cannot[1].split())[:300] or "no reason given"
    bare = text.strip().rstrip(";").strip()
    if re.match(r"(select|with|values|insert|update|delete|drop|alter|create|copy)\b", bare, re.I):
        return bare, ""
    return "", ""


def _repair(failure: Attempt) -> Conversation:
    """The conversation that a failing query came from, gone on with."""
    error = failure.trial.error
    if error is None:
        note = (
            "This query runs, but finds no rows. If a value in it may be written otherwise in "
            "the data, or a join loses rows, correct it; if no rows is the answer, repeat it."
        )
    else:
        note = f"This query fails ({error.kind}): {error}\nWrite the corrected query."
    return (
        *failure.conversation,
        Message("assistant", f"```sql\n{failure.mended or failure.sql}\n```"),
        Message("user", note),
    )
