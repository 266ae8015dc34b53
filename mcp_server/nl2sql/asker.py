"""Questions in English, answered from one database: the drivers of `answer.answering`.

    asker = Asker("postgresql://...")
    asker.ask("how many sailors are from France").rows

A model is optional. With one, it and the built-in translator check each other; when it does not
answer in time, the built-in translator answers alone.
"""

import asyncio
import datetime
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import psycopg

from mcp_server.nl2sql import solved
from mcp_server.nl2sql.answer import (
    Answering,
    Describe,
    Need,
    Read,
    Similar,
    Translate,
    answering,
)
from mcp_server.nl2sql.conversation.turns import Turn
from mcp_server.nl2sql.database.connecting import Dsn, conninfo
from mcp_server.nl2sql.database.guard.checks import Limits, begin
from mcp_server.nl2sql.database.own_names import own_names
from mcp_server.nl2sql.database.reader import Reader, ResultSet
from mcp_server.nl2sql.database.steps import Fetch, Steps, arun, run
from mcp_server.nl2sql.database.stopping import in_thread
from mcp_server.nl2sql.errors import ModelError, ModelTimeoutError, RefusedError
from mcp_server.nl2sql.found import Answer, TranslationLike
from mcp_server.nl2sql.mending.mend import Mended
from mcp_server.nl2sql.model.background import run_in_background
from mcp_server.nl2sql.model.describe import describe
from mcp_server.nl2sql.model.facts import Facts, found_values, with_facts
from mcp_server.nl2sql.model.language_model import Model, as_model
from mcp_server.nl2sql.model.plan import Complete, Conversation, Mend, PlanSettings
from mcp_server.nl2sql.model.prompt import Example, Request
from mcp_server.nl2sql.model.ranking import prune

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

T = TypeVar("T")

READ_ROWS = 5000
"""Rows that are read to compare two results; fewer are shown."""


class BuiltIn(Protocol):
    """The built-in translator as the paths need it."""

    def translate(
        self,
        question: str,
        evidence: str | None = None,
        explain: bool = False,
        context: Sequence[Turn] = (),
    ) -> TranslationLike:
        """Translate one question; never raises for a question that it cannot answer."""
        ...

    def mends(self, sql: str, *, failed: bool) -> list[Mended]:
        """Queries to try in the place of one that fails, or finds nothing."""
        ...

    def facts(self, question: str) -> Facts:
        """What it knows of the database, and the values that a question says."""
        ...


class Asker:
    """Answers questions about one database.

    dsn: connection string of a role that may read, or what gives one; role: another one to read as.
    model: a LangChain chat model, an `init_chat_model` string, or any `Model`; None for none.
    model_timeout: seconds that the model has for all its replies to one question.
    translator: the built-in one unless given.
    """

    def __init__(
        self,
        dsn: Dsn,
        *,
        model: "Model | BaseChatModel | str | None" = None,
        limits: Limits | None = None,
        role: str | None = None,
        settings: PlanSettings | None = None,
        model_timeout: float = 60.0,
        shown_rows: int = 100,
        translator: BuiltIn | None = None,
    ) -> None:
        self.dsn = dsn
        self.model = None if model is None else as_model(model)
        self.settings = settings or PlanSettings()
        self.model_timeout = model_timeout
        self.shown_rows = shown_rows
        self.reader = Reader(
            dsn, limits=limits or Limits(rows=READ_ROWS), role=role, system_catalogs=False
        )
        self.translator = translator or _built_in(dsn)

    def ask(
        self,
        question: str,
        evidence: str | None = None,
        *,
        explain: bool = False,
        context: Sequence[Turn] = (),
    ) -> Answer:
        """Answer one question; declines with a reason rather than guess.

        evidence: what the asker knows of the data ("a good score is 8 or more").
        context: what was asked before, with the SQL of the answers: see `Translator.translate`.
        Raises psycopg.OperationalError when the database cannot be reached.
        """
        if self.model is not None:
            return run_in_background(
                self.aask(question, evidence, explain=explain, context=context)
            )
        steps = self._steps(question, evidence, explain, None, context)
        with self.reader.connect() as conn:
            try:
                need = next(steps)
                while True:
                    need = steps.send(self._supply(conn, need))
            except StopIteration as stop:
                answer: Answer = stop.value
                return answer

    async def aask(
        self,
        question: str,
        evidence: str | None = None,
        *,
        explain: bool = False,
        context: Sequence[Turn] = (),
        model: Model | None = None,
        connection: psycopg.AsyncConnection[Any] | None = None,
    ) -> Answer:
        """As `ask`. model: one for this question only, such as the calling client's.

        connection: one in autocommit mode to read by, instead of a new one.
        """
        model = model or self.model
        steps = self._steps(question, evidence, explain, model, context)
        patience = _Patience(self.model_timeout)
        async with self.reader.aconnect(connection) as conn:
            advance: Callable[[], Need] = partial(next, steps)
            while True:
                # comparing thousands of rows is work: other tasks of the loop go on meanwhile
                need = await in_thread(_next_or_answer, advance)
                if isinstance(need, Answer):
                    return need
                try:
                    given = await self._asupply(conn, need, model, patience)
                except ModelError as error:
                    advance = partial(steps.throw, error)
                else:
                    advance = partial(steps.send, given)

    def accept(self, question: str, sql: str) -> None:
        """Keep a pair that somebody found right, where learning is enabled (`enable_learning`).

        Raises LearningDisabledError; RefusedError for SQL that is no read; NL2SQLError where
        another role made the table.
        """
        self._write(solved.in_own_table(solved.accept(question, sql)))

    def forget(self, question: str, sql: str) -> None:
        """Take an accepted pair back."""
        self._write(solved.in_own_table(solved.forget(question, sql)))

    def enable_learning(self) -> None:
        """Make the schema that accepted pairs are kept in. Needs the right to create it."""
        self._write(solved.enable())

    def disable_learning(self) -> None:
        """Drop that schema with everything in it."""
        self._write(solved.disable())

    def _write(self, steps: Steps[Any]) -> None:
        with psycopg.connect(conninfo(self.dsn), autocommit=True, prepare_threshold=None) as conn:
            run(conn, steps)

    def _steps(
        self,
        question: str,
        evidence: str | None,
        explain: bool,
        model: Model | None,
        context: Sequence[Turn],
    ) -> Answering:
        return answering(
            question,
            evidence=evidence,
            explain=explain,
            with_model=model is not None,
            settings=self.settings,
            shown_rows=self.shown_rows,
            context=context,
        )

    def _supply(self, conn: psycopg.Connection[Any], need: object) -> Any:
        if isinstance(need, Translate):
            return self._translated(need)
        return run(conn, self._database(need))

    async def _asupply(
        self,
        conn: psycopg.AsyncConnection[Any],
        need: Need,
        model: Model | None,
        patience: "_Patience",
    ) -> Any:
        match need:
            case Complete(conversations):
                assert model is not None
                return await patience.complete(model, conversations)
            case Mend(sql, failed):
                return await in_thread(partial(self.translator.mends, failed=failed), sql)
            case Describe(question, evidence, _, _):
                said = f"{question} {evidence or ''}".strip()
                known = await in_thread(self.translator.facts, said)
                return await arun(conn, self._request(need, known))
            case Translate():
                return await in_thread(self._translated, need)
            case _:
                return await arun(conn, self._database(need))

    def _translated(self, need: Translate) -> TranslationLike:
        said = need.question, need.evidence, need.explain
        if not need.context:
            return self.translator.translate(*said)
        return self.translator.translate(*said, context=need.context)

    def _database(self, need: object) -> Steps[Any]:
        """The steps for what the database is asked."""
        match need:
            case Read(sql):
                return _refusal_as_value(self.reader.steps(sql))
            case Similar(question):
                return solved.similar(question, role=self.reader.role)
            case _:
                raise AssertionError(f"{need!r} is not for the database")

    def _request(self, need: Describe, known: Facts) -> Steps[Request]:
        evidence = need.evidence or ""
        schema = with_facts((yield from self._inside(describe())), known)
        pruned = prune(schema, need.question, evidence)
        shown = tuple(Example(text, sql) for text, sql in solved.examples(need.pairs))
        return Request(
            need.question,
            pruned,
            evidence,
            found_values(pruned, known, need.question),
            shown,
            drafts=need.drafts,
            today=datetime.date.today(),
        )

    def _inside(self, steps: Steps[T]) -> Steps[T]:
        """Run steps inside a read-only transaction of the reading role."""
        yield from begin(self.reader.limits, self.reader.role)
        yield from own_names()
        result = yield from steps
        yield Fetch("rollback", ())
        return result


def _next_or_answer(advance: Callable[[], Need]) -> Need | Answer:
    try:
        return advance()
    except StopIteration as stop:
        answer: Answer = stop.value
        return answer


def _built_in(dsn: Dsn) -> BuiltIn:
    from mcp_server.nl2sql.linking.meaning import installed
    from mcp_server.nl2sql.translator import Translator

    return Translator(dsn, embeddings=installed())


class _Patience:
    """The seconds that a model has for one question, counted from when it is first asked."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadline: float | None = None

    async def complete(
        self, model: Model, conversations: Sequence[Conversation]
    ) -> list[list[str]]:
        """The replies in each conversation. Raises ModelError when there are none in any."""
        now = time.monotonic()
        self._deadline = self._deadline or now + self._seconds
        left = self._deadline - now
        asked = [asyncio.ensure_future(model.complete(each, 1, left)) for each in conversations]
        try:
            await asyncio.wait(asked, timeout=left)  # what is there by then counts
        finally:
            for each in asked:
                each.cancel()
        replies = await asyncio.gather(*asked, return_exceptions=True)
        replies = [
            self._late() if isinstance(each, asyncio.CancelledError) else each for each in replies
        ]
        failed = [reply for reply in replies if isinstance(reply, BaseException)]
        for failure in failed:
            if not isinstance(failure, ModelError):
                raise failure
        if len(failed) == len(replies):
            if isinstance(failed[0], ModelTimeoutError):
                raise self._late() from failed[0]
            raise failed[0]
        return [[] if isinstance(reply, BaseException) else reply for reply in replies]

    def _late(self) -> ModelTimeoutError:
        return ModelTimeoutError(f"the model did not answer within {self._seconds:g} s")


def _refusal_as_value(steps: Steps[ResultSet]) -> Steps[ResultSet | RefusedError]:
    try:
        return (yield from steps)
    except RefusedError as error:
        return error
