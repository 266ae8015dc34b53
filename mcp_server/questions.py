"""Questions in English about a cluster: the translation, then its rows as run_query gives them."""

import secrets
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from cluster_runtime.control.plane import Cluster
from cluster_runtime.engine.access.roles import READER
from mcp_server.databases.connections import interruptible
from mcp_server.databases.existing import Database
from mcp_server.errors import ArgumentsError
from mcp_server.nl2sql.asker import READ_ROWS, Asker
from mcp_server.nl2sql.conversation.turns import Conversation, Turn
from mcp_server.nl2sql.database.guard.checks import Limits
from mcp_server.nl2sql.found import Answer
from mcp_server.nl2sql.model.language_model import Model, as_model
from mcp_server.nl2sql.model.plan import PlanSettings
from mcp_server.results import Alternative, QueryResult, QuestionAnswer
from mcp_server.rows import Collected, limits_of_a_call, result_of
from mcp_server.sessions import connected

if TYPE_CHECKING:
    from mcp_server.nl2sql import SemanticLayer
    from mcp_server.nl2sql.translator import Translator

TRANSLATORS_KEPT = 64
ANSWERS_KEPT = 512
"""Answers that later questions may build on; the oldest go first."""
CLIENT_MODEL_PLAN = PlanSettings(candidates=1, rounds=2)
"""A client may ask its user before each use of its model: one query, and repairs of it."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question. evidence: what the asker knows of the data; explain: show how it was read.

    after: the handle of an answer that it builds on, or `context`: what was asked and answered.
    """

    text: str
    evidence: str | None = None
    explain: bool = False
    database: str | None = None
    after: str | None = None
    context: Sequence[Turn] = ()
    limits: Limits = field(default_factory=limits_of_a_call)


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer that questions may build on."""

    place: tuple[str, str | None]
    conversation: Conversation


class Questions:
    """Answers questions about clusters. Translators are kept, for each learns its database first.

    model: a LangChain `init_chat_model` string, or None for the built-in translator alone. With a
    model the two check each other. Raises ModelUnavailableError.
    """

    def __init__(self, model: str | None = None) -> None:
        self._model = None if model is None else as_model(model)
        self._translators: OrderedDict[tuple[str, str | None, int], Translator] = OrderedDict()
        self._answers: OrderedDict[str, _Kept] = OrderedDict()

    async def answer(
        self, cluster: Database, question: Question, client_model: Model | None = None
    ) -> QuestionAnswer:
        """Translate, run and explain; declines with a reason rather than guess.

        client_model: a model for this question, instead of the server's own. Raises
        psycopg.OperationalError when the cluster cannot be reached; ArgumentsError for a handle
        that is not known.
        """
        started = time.perf_counter()
        database = question.database
        context = tuple(question.context)
        if question.after is not None:
            context = self._kept(cluster, database, question.after).conversation.turns
        result = None
        async with connected(cluster, database, question.limits, user=READER) as connection:
            translator = self._translator(cluster, database, connection.login)
            asker = Asker(
                translator.dsn,
                model=self._model,
                limits=Limits(rows=READ_ROWS, timeout=question.limits.timeout),
                settings=CLIENT_MODEL_PLAN if client_model is not None else None,
                translator=translator,
            )
            asked = asker.aask(
                question.text,
                question.evidence,
                explain=question.explain,
                context=context,
                model=client_model,
                connection=connection,
            )
            found = await interruptible(connection, asked)
            if (rows := found.result) is not None:
                collected = Collected(question.limits, list(rows.fields), truncated=rows.truncated)
                result = await result_of(connection, collected, rows.texts, rows.seconds)
        told = _told(found, result, (time.perf_counter() - started) * 1000)
        if found.sql is None:
            return told
        handle = self._keep(cluster, question, found, context)
        return told.model_copy(update={"handle": handle, "corrects": found.teaches is not None})

    def lesson(self, cluster: Database, database: str | None, handle: str) -> Turn:
        """What an answer teaches: its question with its SQL; of a correction, the question before.

        Raises ArgumentsError for a handle that is not known, or an answer to a follow-up, whose
        question says nothing by itself.
        """
        lesson = self.conversation(cluster, database, handle).lesson
        if lesson is None:
            raise ArgumentsError(
                "this answer builds on another one, so its question says nothing by itself; give "
                "the whole question with it"
            )
        return lesson

    def conversation(self, cluster: Database, database: str | None, handle: str) -> Conversation:
        """What was asked and answered up to an answer. Raises ArgumentsError as `lesson` does."""
        return self._kept(cluster, database, handle).conversation

    def _kept(self, cluster: Database, database: str | None, handle: str) -> "_Kept":
        kept = self._answers.get(handle)
        if kept is None or kept.place != (cluster.id, database):
            raise ArgumentsError(
                f"no answer {handle!r} of this database is kept here; ask the whole question"
            )
        return kept

    def _keep(
        self, cluster: Database, question: Question, found: Answer, context: tuple[Turn, ...]
    ) -> str:
        assert found.sql is not None
        conversation = Conversation(context).with_answer(
            question.text, found.sql, follows=found.follows, teaches=found.teaches
        )
        handle = secrets.token_urlsafe(6)
        self._answers[handle] = _Kept((cluster.id, question.database), conversation)
        while len(self._answers) > ANSWERS_KEPT:
            self._answers.popitem(last=False)
        return handle

    def _translator(self, cluster: Database, database: str | None, login: int) -> "Translator":
        """login: of the sessions that it learns by; what they find, their settings decide too."""
        from mcp_server.nl2sql.linking.meaning import installed  # loads the lexicon
        from mcp_server.nl2sql.translator import Translator

        key = (cluster.id, database, login)
        if key not in self._translators:
            self._translators[key] = Translator(
                lambda: cluster.dsn("writer", user=READER, dbname=database),
                embeddings=installed(),
            )
        self._translators.move_to_end(key)
        while len(self._translators) > TRANSLATORS_KEPT:
            self._translators.popitem(last=False)
        return self._translators[key]


def ask_once(
    cluster: Database,
    text: str,
    database: str | None = None,
    model: str | None = None,
    context: Sequence[Turn] = (),
) -> tuple[QuestionAnswer, Conversation | None]:
    """Answer one question from code that is not asynchronous. context: what was asked before.

    With the answer comes what later questions may build on, where there is an answer.
    """
    questions = Questions(model)
    question = Question(text, database=database, context=context)
    answer = anyio.run(questions.answer, cluster, question)
    if answer.handle is None:
        return answer, None
    return answer, questions.conversation(cluster, database, answer.handle)


def layer_of(cluster: Cluster, database: str | None = None) -> "SemanticLayer":
    """The semantic layer of a database: read as a reader, written as the master user."""
    from mcp_server.nl2sql import SemanticLayer  # loads a lexicon

    return SemanticLayer(
        lambda: cluster.dsn("writer", dbname=database),
        reading=lambda: cluster.dsn("writer", user=READER, dbname=database),
    )


def _told(found: Answer, result: QueryResult | None, elapsed_ms: float) -> QuestionAnswer:
    return QuestionAnswer(
        answered=found.sql is not None,
        sql=found.sql,
        reading=found.reading or None,
        confidence=found.confidence,
        origin=found.origin,
        agreement=found.agreement,
        reason=found.reason or None,
        assumptions=list(found.assumptions),
        unused=list(found.unused),
        alternatives=[
            Alternative(
                sql=one.sql,
                reading=one.reading,
                origin=one.origin,
                confidence=one.confidence,
                note=one.note,
            )
            for one in found.alternatives
        ],
        links=list(found.links),
        attempts=list(found.attempts),
        result=result,
        elapsed_ms=round(elapsed_ms, 2),
    )
