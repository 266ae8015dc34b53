"""The server of the SDK with what changes while it serves: resources, completion, who is told."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Protocol

from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.prompts import Prompt
from mcp.server.mcpserver.resources import ResourceSecurity
from mcp.server.mcpserver.tools import Tool
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import ListenHandler
from mcp_types import (
    INVALID_PARAMS,
    Completion,
    CompletionArgument,
    CompletionContext,
    EmptyResult,
    GetPromptResult,
    InputRequiredResult,
    PromptReference,
    Resource,
    ResourceTemplateReference,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

from mcp_server.databases.kept import keeping
from mcp_server.offers.pipes import standard_pipes
from mcp_server.offers.prompts import wrong_arguments
from mcp_server.toolkit.changes import Changes
from mcp_server.toolkit.platform import owner_of

COMPLETIONS_MAX = 100
NO_PATHS = ResourceSecurity(reject_path_traversal=False, reject_absolute_paths=False)
"""Names of tables are looked up in a catalog and never in a file system: `..` may be one."""


@dataclass(frozen=True, slots=True)
class Readable:
    """Resources of one kind. uri: with or without variables, which `read` takes by name."""

    uri: str
    name: str
    description: str
    read: Callable[..., Awaitable[str | bytes]]
    mime_type: str = "text/plain"


class Offered(Protocol):
    """The resources of a server. None of them is kept from one request to the next."""

    @property
    def changes(self) -> Changes:
        """Who is told when one changes."""

    def readable(self) -> Sequence[Readable]:
        """Their kinds."""

    async def listed(self) -> list[Resource]:
        """Those that there are now."""

    async def names(self, argument: str, given: Mapping[str, str]) -> list[str]:
        """What an argument may be, after those given before it. Raises MCPError."""


Living = Callable[[], AbstractAsyncContextManager[dict[str, object]]]


class ToolServer(MCPServer[dict[str, object]]):
    """An MCP server with tools, prompts and resources. living: what is entered while it serves."""

    def __init__(
        self,
        *,
        title: str,
        instructions: str,
        version: str,
        tools: list[Tool],
        prompts: Sequence[Prompt],
        offered: Offered,
        living: Living = keeping,
    ) -> None:
        changes = offered.changes
        super().__init__(
            "borealis",
            title=title,
            instructions=instructions,
            version=version,
            tools=tools,
            log_level="WARNING",
            subscriptions=changes.bus,
            lifespan=lambda _: living(),
        )
        self._offered = offered
        for each in prompts:
            self.add_prompt(each)
        for kind in offered.readable():
            self.resource(
                kind.uri,
                name=kind.name,
                description=kind.description,
                mime_type=kind.mime_type,
                security=NO_PATHS,
            )(kind.read)
        self.completion()(self._completed)  # type: ignore[no-untyped-call]
        # The SDK has no public door for these two; its own server is registered to in this way.
        low = self._lowlevel_server
        low.add_request_handler("resources/subscribe", SubscribeRequestParams, self._subscribe)
        low.add_request_handler(
            "resources/unsubscribe", UnsubscribeRequestParams, self._unsubscribe
        )
        listen = ListenHandler(changes.bus)

        async def listening(
            ctx: ServerRequestContext[Any, Any], params: SubscriptionsListenRequestParams
        ) -> SubscriptionsListenResult:
            with changes.listening(params.notifications.resource_subscriptions or ()):
                return await listen(ctx, params)

        low.add_request_handler("subscriptions/listen", SubscriptionsListenRequestParams, listening)

    async def run_stdio_async(self) -> None:
        """Serve one client over standard input and output."""
        low = self._lowlevel_server
        with standard_pipes() as pipes:
            streams: Any = pipes or ()  # the SDK's type is of files, of which it uses no more
            async with stdio_server(*streams) as (reads, writes):
                await low.run(reads, writes, low.create_initialization_options())

    async def list_resources(self) -> list[Resource]:
        """Those that there are now."""
        return await self._offered.listed()

    async def get_prompt(
        self,
        name: str,
        arguments: dict[str, Any] | None = None,
        context: Context[dict[str, object], Any] | None = None,
    ) -> GetPromptResult | InputRequiredResult:
        """A prompt with its arguments. Raises MCPError for one that there is not, or wrong ones."""
        known = {each.name: each for each in self._prompt_manager.list_prompts()}
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
            raise MCPError(INVALID_PARAMS, f"there is no prompt {name!r}; {hint}")
        if (wrong := wrong_arguments(known[name], arguments or {})) is not None:
            raise MCPError(INVALID_PARAMS, wrong)
        return await super().get_prompt(name, arguments, context)

    async def _completed(
        self,
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion | None:
        given = (context.arguments if context is not None else None) or {}
        names = await self._offered.names(argument.name, given)
        beginning = argument.value.lower()
        fitting = [each for each in names if each.lower().startswith(beginning)]
        return Completion(
            values=fitting[:COMPLETIONS_MAX],
            total=len(fitting),
            has_more=len(fitting) > COMPLETIONS_MAX,
        )

    async def _subscribe(
        self, ctx: ServerRequestContext[Any, Any], params: SubscribeRequestParams
    ) -> EmptyResult:
        uri = str(params.uri)
        self._offered.changes.subscribe(owner_of(ctx), uri, ctx.session)
        return EmptyResult()

    async def _unsubscribe(
        self, ctx: ServerRequestContext[Any, Any], params: UnsubscribeRequestParams
    ) -> EmptyResult:
        self._offered.changes.unsubscribe(owner_of(ctx), str(params.uri))
        return EmptyResult()
