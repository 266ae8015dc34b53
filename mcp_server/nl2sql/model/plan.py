"""How a model's queries become one answer: ask, try, repair, vote. Decides, and does nothing.

A plan is a generator. It yields `Complete` (ask the model) and `Try` (check and run a query),
and is sent the replies, or the `Trial`. Its driver owns the model, the database and the clock.
Voting by result: Wang et al., "Self-Consistency Improves Chain of Thought Reasoning" (2023);
repair from the database's own errors: Chen et al., "Teaching Large Language Models to
Self-Debug" (2023).
"""

import re
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TypeAlias

from mcp_server.nl2sql.errors import ForbiddenError, ModelError, RefusedError
from mcp_server.nl2sql.model.language_model import Message

CANNOT = "CANNOT"


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """candidates: queries asked for at first. rounds: how often failures go back for repair."""

    candidates: int = 3
    rounds: int = 2


@dataclass(frozen=True, slots=True)
class Complete:
    """Ask the model. Answered with replies as text."""

    messages: tuple[Message, ...]
    n: int


@dataclass(frozen=True, slots=True)
class Try:
    """Check and run one query. Answered with a Trial."""

    sql: str


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of one query: a digest of its rows, or why it was refused."""

    digest: str = ""
    rows: int = 0
    error: RefusedError | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One query of the model's. round: 0 for the first replies, then the round of repair."""

    sql: str
    round: int
    trial: Trial

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
    """sql: the winner, or None with the reason. agreement: its share of the votes, 0..1."""

    sql: str | None
    reason: str
    digest: str = ""
    agreement: float = 0.0
    rounds: int = 0
    attempts: tuple[Attempt, ...] = ()


Action: TypeAlias = Complete | Try
Plan: TypeAlias = Generator[Action, "list[str] | Trial", ModelOutcome]


def plan(messages: tuple[Message, ...], settings: PlanSettings) -> Plan:
    """The plan for one question; messages: what `prompt.py` made of it.

    Its driver throws a ModelError in where the model failed; it comes out again unless some
    query ran before.
    """
    run = _Run(list(messages))
    replies = yield from _complete(run.conversation, settings.candidates)
    yield from run.try_all(replies, settings.candidates)
    while run.round < settings.rounds:
        repairs = run.repairs()
        if not repairs:
            break
        run.round += 1
        wanted = len(repairs)
        conversation = [*run.conversation, *_repair_messages(repairs)]
        try:
            replies = yield from _complete(conversation, wanted)
        except ModelError:
            if not any(attempt.ran for attempt in run.attempts):
                raise
            break  # what ran already is worth more than nothing
        yield from run.try_all(replies, wanted)
    return run.outcome()


@dataclass(slots=True)
class _Run:
    conversation: list[Message]
    round: int = 0
    attempts: list[Attempt] = field(default_factory=list)
    declined: list[str] = field(default_factory=list)

    def try_all(
        self, replies: list[str], most: int
    ) -> Generator[Action, "list[str] | Trial", None]:
        known = {attempt.sql for attempt in self.attempts if not attempt.ran}
        queries: list[str] = []
        for reply in replies:
            found, reason = queries_in(reply)
            queries += found
            if reason and not found:
                self.declined.append(reason)
        for sql in queries[:most]:
            if sql in known:
                continue  # the same mistake again
            trial = next((a.trial for a in self.attempts if a.sql == sql), None)
            if trial is None:
                answer = yield Try(sql)
                assert isinstance(answer, Trial)
                trial = answer
            self.attempts.append(Attempt(sql, self.round, trial))

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

    def outcome(self) -> ModelOutcome:
        attempts = tuple(self.attempts)
        ran = [attempt for attempt in self.attempts if attempt.ran]
        if not ran:
            return ModelOutcome(None, self._why_nothing(), rounds=self.round, attempts=attempts)
        votes: dict[str, float] = {}
        for attempt in ran:
            weight = 1.0 if attempt.trial.rows else 0.5
            votes[attempt.trial.digest] = votes.get(attempt.trial.digest, 0.0) + weight
        winner = max(votes, key=lambda d: votes[d])  # the first among equals
        best = next(attempt for attempt in ran if attempt.trial.digest == winner)
        total = sum(votes.values()) + len(self.declined)
        return ModelOutcome(best.sql, "", winner, votes[winner] / total, self.round, attempts)

    def _why_nothing(self) -> str:
        if self.declined:
            return f"the model cannot answer it: {self.declined[0]}"
        hostile = [attempt for attempt in self.attempts if attempt.hostile]
        if hostile and len(hostile) == len(self.attempts):
            return f"the model's query was refused: {hostile[0].trial.error}"
        if self.attempts:
            return f"no query of the model's runs: {self.attempts[-1].trial.error}"
        return "the model's reply holds no SQL"


def queries_in(reply: str) -> tuple[list[str], str]:
    """The queries of one reply, and the reason if the model says that it cannot answer.

    Queries are in fenced blocks; a reply that is nothing but a query is taken as one.
    """
    text = re.sub(r"<think(ing)?>.*?</think(ing)?>", "", reply, flags=re.DOTALL)
    blocks = re.findall(
        r"```[ \t]*(?:sql|postgres(?:ql)?|pgsql)?[ \t]*\n(.*?)```", text, re.S | re.I
    )
    queries = [sql for block in blocks if (sql := block.strip().rstrip(";").strip())]
    if queries:
        return list(dict.fromkeys(queries)), ""
    cannot = re.search(rf"\b{CANNOT}\b\s*[:\-]?\s*(.*)", text, re.S)
    if cannot:
        return [], " ".join(cannot[1].split())[:300] or "no reason given"
    bare = text.strip().rstrip(";").strip()
    if re.match(r"(select|with|values|insert|update|delete|drop|alter|create|copy)\b", bare, re.I):
        return [bare], ""
    return [], ""


def _complete(messages: list[Message], n: int) -> Generator[Action, "list[str] | Trial", list[str]]:
    answer = yield Complete(tuple(messages), n)
    assert isinstance(answer, list)
    return answer


def _repair_messages(failures: list[Attempt]) -> list[Message]:
    written = "\n\n".join(f"```sql\n{attempt.sql}\n```" for attempt in failures)
    notes = []
    for number, attempt in enumerate(failures, 1):
        error = attempt.trial.error
        label = f"Query {number}" if len(failures) > 1 else "This query"
        if error is None:
            notes.append(
                f"{label} runs, but finds no rows. If a value in it may be written otherwise in "
                "the data, or a join loses rows, correct it; if no rows is the answer, repeat it."
            )
        else:
            notes.append(f"{label} fails ({error.kind}): {error}")
    asked = (
        "\n".join(notes)
        + "\nWrite the corrected query"
        + ("." if len(failures) == 1 else " for each, in a block of its own.")
    )
    return [Message("assistant", written), Message("user", asked)]
