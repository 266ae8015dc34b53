"""The tool by which a model keeps what words mean in a database: the semantic layer."""

from typing import Annotated, Literal

from pydantic import Field

from mcp_server.answers.pages import Answer
from mcp_server.errors import ArgumentsError
from mcp_server.questions import layer_of
from mcp_server.rendering import Json
from mcp_server.toolkit.arguments import ClusterName, DatabaseName
from mcp_server.toolkit.confirming import confirmed
from mcp_server.toolkit.definition import Effect, tool
from mcp_server.toolkit.platform import Call
from mcp_server.toolkit.toolsets import Toolset

Action = Literal["show", "suggest", "set", "teach", "forget"]


@tool(title="What words mean", toolset=Toolset.ADVICE, effect=Effect.DESTROYS)
async def semantics(
    call: Call,
    cluster: ClusterName,
    action: Annotated[
        Action,
        Field(
            description="show what is kept; suggest a document; set one (an empty one removes it); "
            "teach the answer with a handle; forget a question that was taught"
        ),
    ] = "show",
    document: Annotated[
        str | None, Field(description="For set: YAML in the form of a Cube data model")
    ] = None,
    handle: Annotated[str | None, Field(description="For teach: of the answer of ask")] = None,
    question: Annotated[
        str | None, Field(description="For forget: as show has it; for teach: another wording")
    ] = None,
    database: DatabaseName = None,
) -> Answer:
    """Say what words mean for ask: metrics, synonyms, codes, default filters, hidden tables.

    Kept in the database itself. A document with a mistake is refused as a whole.
    """
    place = await call.cluster(cluster)
    layer = layer_of(place, database)
    match action:
        case "show":
            kept, taught = await call.platform.off_loop(lambda: (layer.show(), layer.taught()))
            pairs: list[Json] = [{"question": text, "sql": sql} for text, sql in taught]
            return Answer.whole({"document": kept, "taught": pairs}, fenced=True)
        case "suggest":
            return Answer.lines((await call.platform.off_loop(layer.suggest)).splitlines())
        case "set":
            if document is None:
                raise ArgumentsError("set needs a document; an empty one removes what is kept")
            text = document
            if text.strip():
                await call.platform.off_loop(lambda: layer.check(text))
            if await call.platform.off_loop(layer.show):
                await confirmed(call, f"It replaces what is kept of the words of {cluster}.")
            await call.platform.off_loop(
                lambda: layer.set(text) if text.strip() else layer.remove()
            )
            return Answer.whole({"kept": bool(text.strip())})
        case "teach":
            if handle is None:
                raise ArgumentsError("teach needs the handle of the answer that is right")
            asked, sql = call.platform.questions.lesson(place, database, handle)
            asked = question or asked
            await call.platform.off_loop(lambda: layer.teach(asked, sql))
            return Answer.whole({"taught": asked, "sql": sql}, fenced=True)
        case "forget":
            if question is None:
                raise ArgumentsError("forget needs the question, as show has it")
            text = question
            await confirmed(call, f"It forgets what was taught for {text!r}.")
            return Answer.whole(
                {"forgotten": await call.platform.off_loop(lambda: layer.forget(text))}
            )


TOOLS = (semantics,)
