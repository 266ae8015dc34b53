"""The tool that takes a question in English."""

from typing import Annotated, Literal

from mcp_types import InputRequiredResult
from pydantic import Field

from mcp_server import sampling
from mcp_server.nl2sql.model.language_model import ReplyNeeded
from mcp_server.questions import Question
from mcp_server.results import QuestionAnswer
from mcp_server.rows import limits_of_a_call
from mcp_server.toolkit.arguments import ClusterName, DatabaseName, RowLimit, TimeoutSeconds
from mcp_server.toolkit.definition import Effect, Reach, tool
from mcp_server.toolkit.platform import Call
from mcp_server.toolkit.toolsets import Toolset


@tool(title="Ask in English", toolset=Toolset.QUERIES, effect=Effect.READS, reach=Reach.DATABASE)
async def ask(
    call: Call,
    cluster: ClusterName,
    question: Annotated[
        str,
        Field(
            min_length=1,
            max_length=2000,
            description="E.g. which 5 customers spent the most?",
        ),
    ],
    evidence: Annotated[
        str | None,
        Field(description="What you know, e.g. a good score is 8 or more"),
    ] = None,
    after: Annotated[
        str | None, Field(description="Handle of the answer that it builds on")
    ] = None,
    explain: Annotated[bool, Field(description="Also show how words were linked")] = False,
    client_model: Annotated[
        Literal["when needed", "always", "never"],
        Field(description="Whether to ask the client's model by sampling, too"),
    ] = "when needed",
    limit: RowLimit = 100,
    timeout_seconds: TimeoutSeconds = 30,
    database: DatabaseName = None,
) -> QuestionAnswer | InputRequiredResult:
    """Answer a question in English: translate it to SQL, run that, and say what it computes.

    Changes nothing. `reading` is made from the SQL: compare it with what was meant. If declined,
    write the SQL yourself, for run_query.
    """
    handle = await call.database(cluster)
    asked = Question(
        question,
        evidence,
        explain,
        database,
        after,
        limits=limits_of_a_call(limit, timeout_seconds),
    )
    questions = call.platform.questions
    model = sampling.client_model(call.context) if client_model != "never" else None
    async with call.progress.during("answering"):
        if model is None:
            return await questions.answer(handle, asked)
        if client_model == "when needed" and not sampling.is_repeated(call.context):
            plain = await questions.answer(handle, asked)
            if plain.answered:
                return plain
        try:
            return await questions.answer(handle, asked, model)
        except ReplyNeeded as wanted:
            return sampling.request_for(call.context, wanted)


TOOLS = (ask,)
