"""What a tool is, before any server: a function, its words, its effect and its reach.

A definition is bound to a control plane and a scope to become a tool of a server. A scope takes
away instead of checking: a server for one cluster has no `cluster` parameter to get wrong, and a
read-only server has no tool that writes.
"""

import inspect
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, cast

import psycopg
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp_types import CallToolResult, InputRequiredResult, ToolAnnotations
from pydantic import ValidationError

from cluster_runtime import tracing
from cluster_runtime.errors import BorealisError
from cluster_runtime.wording import Words
from mcp_server.answers.pages import Answer
from mcp_server.rendering import clip
from mcp_server.results import ToolResult
from mcp_server.sql_errors import sql_error_text
from mcp_server.toolkit.arguments import (
    CLUSTER_PARAMETER,
    CONFIRMATION_PARAMETER,
    DATABASE_PARAMETER,
    Confirmation,
    explain_arguments,
    one_of,
)
from mcp_server.toolkit.confirming import AskFirst
from mcp_server.toolkit.platform import Call, Platform, ServerScope
from mcp_server.toolkit.progress import Progress
from mcp_server.toolkit.sending import Continued, sent
from mcp_server.toolkit.toolsets import Toolset
from mcp_server.toolkit.trimming import only, trimmed
from mcp_server.wording import EVERY_TOOL

ERROR = "borealis.error.type"
"""Attribute of a span: the class of an error, or its SQLSTATE. `error.type` is the SDK's."""


class Effect(Enum):
    """What a call may change; becomes the hints that clients decide by.

    Of a tool that reads, the protocol gives no meaning to the others.
    """

    READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
    ADDS = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)
    DESTROYS = ToolAnnotations(read_only_hint=False, destructive_hint=True, open_world_hint=False)

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        return not self.value.read_only_hint


class Reach(Enum):
    """What a call works on. A server for one cluster has only the tools that reach one."""

    DATABASE = "a database, whoever runs it"
    CLUSTER = "one cluster, which it does not create or delete"
    SERVER = "the clusters of the server"


ERROR_CHARACTERS = 4000
"""What SQL raises itself may be of any length."""

Told = ToolResult | Answer | Continued | InputRequiredResult
Run = Callable[..., Awaitable[Told]]


@dataclass(frozen=True, slots=True)
class ToolDefinition:
    """One tool. Its name and description are those of `run`, its parameters those after `call`.

    toolset: the one that it belongs to; None where it serves the tools of all. structured:
    the fields of its answer that programs use, and so get with a schema. undoable: whether what it
    does, though it takes something away, is taken back by the same call.
    """

    run: Run
    title: str
    toolset: Toolset | None
    effect: Effect
    reach: Reach
    structured: tuple[str, ...] = ()
    undoable: bool = False

    @property
    def name(self) -> str:
        """The tool's name, which is that of its function."""
        return self.run.__name__

    def confirms(self, scope: ServerScope) -> bool:
        """Whether calls of it may have to be confirmed."""
        destroys = self.effect is Effect.DESTROYS and not self.undoable
        return destroys and not scope.allow_destructive

    def fits(self, scope: ServerScope) -> bool:
        """Whether a server of this scope has the tool."""
        if self.toolset is not None and self.toolset not in scope.toolsets:
            return False
        if scope.read_only and self.effect.writes:
            return False
        if scope.databases:
            return self.reach is Reach.DATABASE and not self.effect.writes
        return scope.cluster is None or self.reach is not Reach.SERVER


def tool(
    *,
    title: str,
    toolset: Toolset | None,
    effect: Effect,
    reach: Reach = Reach.CLUSTER,
    structured: tuple[str, ...] = (),
    undoable: bool = False,
) -> Callable[[Run], ToolDefinition]:
    """Define a tool: an async function whose docstring and parameter descriptions are its words."""

    def define(run: Run) -> ToolDefinition:
        return ToolDefinition(run, title, toolset, effect, reach, structured, undoable)

    return define


def bind(
    definition: ToolDefinition, platform: Platform, scope: ServerScope, words: Words = EVERY_TOOL
) -> Tool:
    """The tool of one server: `call` is filled in, and `cluster` too when the scope names it.

    words: how errors call things, which names no tool that the server lacks.
    """
    signature = inspect.signature(definition.run, eval_str=True)
    structured = bool(definition.structured)
    fixed = {
        name: value
        for name, value in _fixed(scope, definition.toolset).items()
        if name in signature.parameters
    }

    async def answered(run: Callable[[], Awaitable[Told]], cluster: str) -> Told:
        if not definition.effect.writes:
            return await platform.asked_again(run, cluster)
        done: Told | None = None
        try:
            done = await run()
            return done
        finally:
            # It may have renamed, deleted or replaced clusters; only rows come of a memory.
            if done is None or definition.toolset is not Toolset.MEMORY:
                platform.forget()

    async def invoke(
        ctx: Context[Any, Any], **arguments: Any
    ) -> CallToolResult | InputRequiredResult:
        confirmation = arguments.pop(CONFIRMATION_PARAMETER, None)
        progress = Progress(ctx.report_progress)
        call = Call(
            platform, scope, progress, ctx, definition.name, fixed | arguments, confirmation
        )
        # The SDK has begun a span of the call, and ends it.
        tracing.annotate(_told_by_span(fixed | arguments))
        try:
            answer = await answered(
                lambda: definition.run(call, **fixed, **arguments),
                call.arguments.get(CLUSTER_PARAMETER, ""),
            )
        except AskFirst as asked:
            return asked.request
        except BorealisError as error:
            tracing.annotate({ERROR: type(error).__qualname__})
            raise ToolError(clip(error.told(words), ERROR_CHARACTERS)) from error
        except psycopg.Error as error:
            tracing.annotate({ERROR: error.sqlstate or type(error).__qualname__})
            raise ToolError(clip(sql_error_text(error, words), ERROR_CHARACTERS)) from error
        if isinstance(answer, InputRequiredResult):
            return answer
        return sent(answer, call, structured=structured)

    parameters = [
        p.replace(annotation=one_of(scope.databases))
        if name == CLUSTER_PARAMETER and scope.databases
        else p
        for name, p in signature.parameters.items()
        if name not in {"call", *fixed}
    ]
    if definition.confirms(scope):
        parameters.append(
            inspect.Parameter(
                CONFIRMATION_PARAMETER,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=Confirmation,
            )
        )
    context = inspect.Parameter(
        "ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Context[Any, Any]
    )
    invoke.__name__ = definition.name
    invoke.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [context, *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters)],
        return_annotation=_result_of(
            signature.return_annotation, structured=bool(definition.structured)
        ),
    )
    bound = StrictTool.from_function(
        invoke,
        title=definition.title,
        description=inspect.getdoc(definition.run),
        annotations=definition.effect.value,
        structured_output=structured,
    )
    return cast(StrictTool, bound).refusing_unknown_arguments(definition.structured)


def _told_by_span(arguments: Mapping[str, Any]) -> tracing.Attributes:
    """What the span of a call tells of its arguments: values of statements never."""
    told = {
        **tracing.ON_POSTGRESQL,
        "borealis.cluster": arguments.get(CLUSTER_PARAMETER),
        "db.namespace": arguments.get(DATABASE_PARAMETER),
    }
    if tracing.traces_statements(os.environ):
        told["db.query.text"] = arguments.get("sql")
    return told


def _fixed(scope: ServerScope, toolset: Toolset | None) -> dict[str, Any]:
    """The arguments that a scope decides. A connection string names one database of its server."""
    if scope.databases:
        only = {CLUSTER_PARAMETER: scope.databases[0]} if len(scope.databases) == 1 else {}
        return {DATABASE_PARAMETER: None, **only}
    named = scope.memory_home if toolset is Toolset.MEMORY else scope.cluster
    return {} if named is None else {CLUSTER_PARAMETER: named}


def _result_of(annotation: Any, *, structured: bool) -> Any:
    """A tool's return type as the SDK wants it: with a schema, a result checked against a model."""
    return Annotated[CallToolResult, annotation] if structured else CallToolResult


class StrictTool(Tool):
    """A tool that names an argument it does not know, where the SDK's would ignore it."""

    def refusing_unknown_arguments(self, told: tuple[str, ...] = ()) -> "StrictTool":
        """Itself, with a schema that takes no argument it does not name.

        told: the fields of its answer that its schema names; there may be others.
        """
        model = self.fn_metadata.arg_model
        model.model_config["extra"] = "forbid"
        model.model_rebuild(force=True)
        self.parameters = trimmed(model.model_json_schema(by_alias=True))
        if (schema := self.fn_metadata.output_schema) is not None:
            self.fn_metadata.output_schema = only(trimmed(schema, described=False), told)
        return self

    async def run(
        self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False
    ) -> Any:
        """Run the tool. Raises ToolError, with what to do about it."""
        try:
            return await super().run(arguments, context, convert_result)
        except ToolError as error:
            if isinstance(error.__cause__, ValidationError):
                known = self.parameters.get("properties", {})
                text = explain_arguments(self.name, error.__cause__, known)
                raise ToolError(text) from error.__cause__
            raise
