"""A server that offers what the conformance scenarios ask for, made as the real one is made.

The tools are definitions bound as ours are, in a `ToolServer`, served by `hosting.serve`; only what
they say is the suite's. Contents that no tool of ours sends (images, audio, embedded resources)
come from functions in the same `StrictTool`.

Source: the descriptions of the scenarios of @modelcontextprotocol/conformance 0.2.0-alpha.12.
"""

import base64
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import anyio
from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.prompts import Prompt
from mcp.server.mcpserver.prompts.base import Message, PromptArgument, UserMessage
from mcp.server.mcpserver.tools import Tool
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    CallToolResult,
    ClientCapabilities,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    InputRequiredResult,
    ListRootsRequest,
    Resource,
    SamplingMessage,
    SetLevelRequestParams,
    TextContent,
    TextResourceContents,
)
from pydantic import Field

from mcp_server.access.opening import AccessOptions
from mcp_server.answers.pages import Answer
from mcp_server.errors import McpServerError
from mcp_server.hosting import Listening, serve
from mcp_server.nl2sql.model.language_model import Message as ModelMessage
from mcp_server.offers.serving import Readable, ToolServer
from mcp_server.questions import Questions
from mcp_server.sampling import client_model
from mcp_server.toolkit.changes import Changes
from mcp_server.toolkit.definition import Effect, StrictTool, tool
from mcp_server.toolkit.platform import Call, Platform, ServerScope
from mcp_server.tools import ToolDefinition, bind

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJg"
    "gg=="
)
WAV = base64.b64encode(
    b"RIFF&\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0"
    b"data\x02\0\0\0\0\0"
).decode()
BETWEEN_STEPS_SECONDS = 0.05


class IntendedError(McpServerError):
    """What a scenario wants to see fail."""


def asked_for(
    name: str, description: str
) -> Callable[[Callable[..., Awaitable[Any]]], ToolDefinition]:
    """Define a tool of a scenario, which calls it by this name."""

    def define(run: Callable[..., Awaitable[Any]]) -> ToolDefinition:
        run.__name__, run.__doc__ = name, description
        return tool(title=name, toolset=None, effect=Effect.READS)(run)

    return define


def said(text: str) -> Answer:
    return Answer.whole(text)


@asked_for("test_simple_text", "Answers with text")
async def simple_text(call: Call) -> Answer:
    return said("This is a simple text response for testing.")


@asked_for("test_error_handling", "Fails")
async def error_handling(call: Call) -> Answer:
    raise IntendedError("This tool intentionally returns an error for testing")


@asked_for("test_tool_with_progress", "Tells of its progress")
async def tool_with_progress(call: Call) -> Answer:
    for done in (0, 50, 100):
        await call.progress.report(done, 100, f"{done} of 100")
        await anyio.sleep(BETWEEN_STEPS_SECONDS)
    return said("done")


async def _logs(call: Call) -> Answer:
    for text in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await call.context.info(text)
        await anyio.sleep(BETWEEN_STEPS_SECONDS)
    return said("done")


@asked_for("test_tool_with_logging", "Logs while it works")
async def tool_with_logging(call: Call) -> Answer:
    return await _logs(call)


@asked_for("test_logging_tool", "Logs while it works, to who asked for it")
async def logging_tool(call: Call) -> Answer:
    return await _logs(call)


@asked_for("test_sampling", "Asks the client's model")
async def sampling(call: Call, prompt: Annotated[str, Field(description="What to ask")]) -> Answer:
    model = client_model(call.context)
    if model is None:
        raise IntendedError("the client offers no sampling")
    (reply,) = await model.complete([_user(prompt)], 1, 10)
    return said(f"LLM response: {reply}")


def _user(text: str) -> Any:
    return ModelMessage("user", text)


async def _form(call: Call, message: str, properties: Mapping[str, Any]) -> ElicitResult:
    return await call.context.session.elicit_form(
        message,
        {"type": "object", "properties": dict(properties), "required": list(properties)},
        related_request_id=call.context.request_id,
    )


async def _filled_in(call: Call, words: str, message: str, properties: Mapping[str, Any]) -> Answer:
    answer = await _form(call, message, properties)
    return said(f"{words}: action={answer.action}, content={json.dumps(answer.content or {})}")


@asked_for("test_elicitation", "Asks the person before the client")
async def elicitation(
    call: Call, message: Annotated[str, Field(description="What to ask")]
) -> Answer:
    fields = {
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "description": "User's email address"},
    }
    return await _filled_in(call, "User response", message, fields)


@asked_for("test_elicitation_sep1034_defaults", "Asks with defaults of all simple types")
async def elicitation_defaults(call: Call) -> Answer:
    fields = {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {
            "type": "string",
            "enum": ["active", "inactive", "pending"],
            "default": "active",
        },
        "verified": {"type": "boolean", "default": True},
    }
    return await _filled_in(call, "Elicitation completed", "Who are you?", fields)


@asked_for("test_elicitation_sep1330_enums", "Asks for choices in all ways of writing them")
async def elicitation_enums(call: Call) -> Answer:
    titled = [{"const": f"value{n}", "title": f"Option {n}"} for n in (1, 2, 3)]
    plain = ["option1", "option2", "option3"]
    fields = {
        "untitledSingle": {"type": "string", "enum": plain},
        "titledSingle": {"type": "string", "oneOf": titled},
        "legacyEnum": {"type": "string", "enum": plain, "enumNames": ["One", "Two", "Three"]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": plain}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled}},
    }
    return await _filled_in(call, "Elicitation completed", "Choose", fields)


@asked_for("test_missing_capability", "Needs a client with sampling")
async def missing_capability(call: Call) -> Answer:
    if _offered(call).sampling is None:
        raise MCPError(
            MISSING_REQUIRED_CLIENT_CAPABILITY,
            "this tool needs the client's model",
            {"requiredCapabilities": {"sampling": {}}},
        )
    return said("the client offers sampling")


@asked_for("test_trigger_tool_change", "Tells that the tools have changed")
async def trigger_tool_change(call: Call) -> Answer:
    await call.context.notify_tools_changed()
    return said("told")


@asked_for("test_trigger_prompt_change", "Tells that the prompts have changed")
async def trigger_prompt_change(call: Call) -> Answer:
    await call.context.notify_prompts_changed()
    return said("told")


def _question(message: str, field: str, kind: str = "string") -> ElicitRequest:
    schema = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def _to_model(text: str, tokens: int) -> CreateMessageRequest:
    content = TextContent(type="text", text=text)
    return CreateMessageRequest(
        params=CreateMessageRequestParams(
            messages=[SamplingMessage(role="user", content=content)], max_tokens=tokens
        )
    )


NAME = {"user_name": _question("What is your name?", "name")}
CAPITAL = {"capital_question": _to_model("What is the capital of France?", 100)}
ROOTS = {"client_roots": ListRootsRequest()}
CONFIRM = {"confirm": _question("Please confirm", "ok", "boolean")}


def _wanted(requests: Mapping[str, Any], state: str | None = None) -> InputRequiredResult:
    return InputRequiredResult(input_requests=dict(requests), request_state=state)


def _given(call: Call, name: str, kind: type) -> Any:
    """The answer of that name, where it is one of that kind."""
    answer = (call.context.input_responses or {}).get(name)
    return answer if isinstance(answer, kind) else None


def _offered(call: Call) -> ClientCapabilities:
    return call.context.client_capabilities or ClientCapabilities()


async def _named(call: Call) -> Answer | InputRequiredResult:
    answer = _given(call, "user_name", ElicitResult)
    if answer is None or answer.content is None:
        return _wanted(NAME)
    return said(f"Hello, {answer.content['name']}!")


@asked_for("test_input_required_result_elicitation", "Asks for a name first")
async def first_elicitation(call: Call) -> Answer | InputRequiredResult:
    return await _named(call)


@asked_for("test_streaming_elicitation", "Asks for a name first, in a stream")
async def streaming_elicitation(call: Call) -> Answer | InputRequiredResult:
    await call.progress.report(0, 1, "begun")
    return await _named(call)


@asked_for("test_input_required_result_sampling", "Asks the client's model first")
async def first_sampling(call: Call) -> Answer | InputRequiredResult:
    answer = _given(call, "capital_question", CreateMessageResult)
    return _wanted(CAPITAL) if answer is None else said(f"It says: {answer.content.text}")


@asked_for("test_input_required_result_list_roots", "Asks for the client's roots first")
async def first_roots(call: Call) -> Answer | InputRequiredResult:
    answer = (call.context.input_responses or {}).get("client_roots")
    if answer is None:
        return _wanted(ROOTS)
    return said(", ".join(str(each.uri) for each in answer.roots))


async def _confirmed(call: Call) -> Answer | InputRequiredResult:
    """The SDK seals the state: one that somebody changed does not get here."""
    if call.context.request_state is None:
        return _wanted(CONFIRM, "asked")
    return said("state-ok")


@asked_for("test_input_required_result_request_state", "Asks first, and keeps a state meanwhile")
async def first_state(call: Call) -> Answer | InputRequiredResult:
    return await _confirmed(call)


@asked_for("test_input_required_result_tampered_state", "The same, for who changes the state")
async def tampered_state(call: Call) -> Answer | InputRequiredResult:
    return await _confirmed(call)


@asked_for("test_input_required_result_multiple_inputs", "Asks for three things at once")
async def multiple_inputs(call: Call) -> Answer | InputRequiredResult:
    wanted = {**NAME, "greeting": _to_model("Generate a greeting", 50), **ROOTS}
    if wanted.keys() <= (call.context.input_responses or {}).keys():
        return said("all three are there")
    return _wanted(wanted, "asked for three")


@asked_for("test_input_required_result_multi_round", "Asks twice, one after the other")
async def multi_round(call: Call) -> Answer | InputRequiredResult:
    match call.context.request_state:
        case None:
            question = _question("Step 1: What is your name?", "name")
            return _wanted({"step1": question}, "round 1")
        case "round 1":
            question = _question("Step 2: What is your favorite color?", "color")
            return _wanted({"step2": question}, "round 2")
        case _:
            return said("both are answered")


@asked_for("test_input_required_result_capabilities", "Asks for what the client offers")
async def what_is_offered(call: Call) -> Answer | InputRequiredResult:
    offered = _offered(call)
    wanted = {
        **(CAPITAL if offered.sampling is not None else {}),
        **(NAME if offered.elicitation is not None else {}),
        **(ROOTS if offered.roots is not None else {}),
    }
    return _wanted(wanted, "asked for what is offered")


def _text_at(uri: str, kind: str, text: str) -> EmbeddedResource:
    contents = TextResourceContents(uri=uri, mime_type=kind, text=text)
    return EmbeddedResource(type="resource", resource=contents)


PICTURE = ImageContent(type="image", data=PNG, mime_type="image/png")
CONTENTS: dict[str, list[Any]] = {
    "test_image_content": [PICTURE],
    "test_audio_content": [AudioContent(type="audio", data=WAV, mime_type="audio/wav")],
    "test_embedded_resource": [
        _text_at("test://embedded-resource", "text/plain", "This is an embedded resource content.")
    ],
    "test_multiple_content_types": [
        TextContent(type="text", text="Multiple content types test:"),
        PICTURE,
        _text_at(
            "test://mixed-content-resource", "application/json", '{"test":"data","value":123}'
        ),
    ],
}


def tool_with_contents(name: str) -> Tool:
    async def answer(ctx: Context[Any, Any]) -> CallToolResult:
        return CallToolResult(content=CONTENTS[name])

    made = StrictTool.from_function(
        answer, name=name, description=f"Answers as {name}", structured_output=False
    )
    return made.refusing_unknown_arguments()


def prompt(name: str, text: Callable[..., Any], *arguments: str) -> Prompt:
    return Prompt(
        name=name,
        description=f"What {name} asks for",
        arguments=[
            PromptArgument(name=each, description=each, required=True) for each in arguments
        ],
        fn=text,
        context_kwarg="ctx" if text is with_context else None,
    )


def with_image() -> list[Message]:
    return [UserMessage(content=PICTURE), UserMessage(content="Please analyze the image above.")]


def with_resource(resourceUri: str) -> list[Message]:
    embedded = _text_at(resourceUri, "text/plain", "Embedded resource content for testing.")
    return [
        UserMessage(content=embedded),
        UserMessage(content="Please process the embedded resource above."),
    ]


def with_context(ctx: Context[Any, Any]) -> list[Message] | InputRequiredResult:
    answer = (ctx.input_responses or {}).get("user_context")
    if not isinstance(answer, ElicitResult):
        return _wanted({"user_context": _question("In which context?", "context")})
    return [UserMessage(content=f"The context is: {(answer.content or {})['context']}")]


PROMPTS = [
    prompt("test_simple_prompt", lambda: "This is a simple prompt for testing."),
    prompt(
        "test_prompt_with_arguments",
        lambda arg1, arg2: f"Prompt with arguments: arg1={arg1!r}, arg2={arg2!r}",
        *("arg1", "arg2"),
    ),
    prompt("test_prompt_with_embedded_resource", with_resource, "resourceUri"),
    prompt("test_prompt_with_image", with_image),
    prompt("test_input_required_result_prompt", with_context),
]


class Resources:
    """The suite's resources, in the place of ours."""

    def __init__(self) -> None:
        self.changes = Changes()

    def readable(self) -> Sequence[Readable]:
        async def text() -> str:
            return "This is the content of the static text resource."

        async def binary() -> bytes:
            return base64.b64decode(PNG)

        async def of_template(id: str) -> str:
            told = {"id": id, "templateTest": True, "data": f"Data for ID: {id}"}
            return json.dumps(told)

        return [
            Readable("test://static-text", "static-text", "Text", text),
            Readable("test://static-binary", "static-binary", "An image", binary, "image/png"),
            Readable("test://watched-resource", "watched", "To subscribe to", text),
            Readable(
                "test://template/{id}/data", "template", "By id", of_template, "application/json"
            ),
        ]

    async def listed(self) -> list[Resource]:
        return [
            Resource(
                uri=each.uri,
                name=each.name,
                description=each.description,
                mime_type=each.mime_type,
            )
            for each in self.readable()
            if "{" not in each.uri
        ]

    async def names(self, argument: str, given: Mapping[str, str]) -> list[str]:
        return ["paris", "park", "party"] if argument == "arg1" else []


def build() -> ToolServer:
    platform = Platform(None, Questions(None))
    definitions = [each for each in globals().values() if isinstance(each, ToolDefinition)]
    server = ToolServer(
        title="What the scenarios ask for",
        instructions="For the conformance suite.",
        version="1",
        tools=[
            *(bind(each, platform, ServerScope()) for each in definitions),
            *map(tool_with_contents, CONTENTS),
        ],
        prompts=PROMPTS,
        offered=Resources(),
    )

    async def set_level(
        ctx: ServerRequestContext[Any, Any], params: SetLevelRequestParams
    ) -> EmptyResult:
        return EmptyResult()

    # Our own tools do not log to clients; the protocol has given that up.
    server._lowlevel_server.add_request_handler(
        "logging/setLevel", SetLevelRequestParams, set_level
    )
    return server


def main() -> None:
    """Serve on any free port of 127.0.0.1, told on standard output, until told to end."""
    listening = Listening.at("127.0.0.1", 0, AccessOptions())
    serve(build(), lambda: None, listening, partial(print, flush=True))


if __name__ == "__main__":
    main()
