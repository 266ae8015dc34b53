"""The server of the SDK with what depends on the clusters that there are: resources, completion."""

from collections.abc import Awaitable, Sequence
from difflib import get_close_matches
from typing import Any

import psycopg
from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.prompts import Prompt
from mcp.server.mcpserver.resources import ResourceSecurity
from mcp.server.mcpserver.tools import Tool
from mcp.server.subscriptions import ListenHandler
from mcp_types import (
    INTERNAL_ERROR,
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

from cluster_runtime.errors import BorealisError
from mcp_server.offers.prompts import wrong_arguments
from mcp_server.offers.resources import Resources
from mcp_server.sql_errors import sql_error_text
from mcp_server.toolkit.platform import owner_of
from mcp_server.toolkit.uris import (
    CLUSTER_URI,
    MEMORY_OF_CLUSTER_URI,
    MEMORY_URI,
    TABLE_URI,
)

COMPLETIONS_MAX = 100
NO_PATHS = ResourceSecurity(reject_path_traversal=False, reject_absolute_paths=False)
"""Names of tables are looked up in a catalog and never in a file system: `..` may be one."""


class ToolServer(MCPServer[dict[str, object]]):
    """An MCP server with tools, prompts and resources.

    resources: what its resources say; `None` of them is kept from one request to the next.
    """

    def __init__(
        self,
        *,
        title: str,
        instructions: str,
        version: str,
        tools: list[Tool],
        prompts: Sequence[Prompt],
        resources: Resources,
    ) -> None:
        changes = resources.platform.changes
        super().__init__(
            "borealis",
            title=title,
            instructions=instructions,
            version=version,
            tools=tools,
            log_level="WARNING",
            subscriptions=changes.bus,
        )
        self._resources = resources
        for each in prompts:
            self.add_prompt(each)
        self.resource(
            CLUSTER_URI,
            name="cluster",
            description="Status, endpoints and settings of a cluster",
            mime_type="application/json",
        )(resources.cluster)
        self.resource(
            TABLE_URI,
            name="table",
            description="Columns, keys, constraints and indexes of a table, as M-Schema",
            security=NO_PATHS,
        )(resources.table)
        if resources.has_memories:
            home = resources.scope.memory_home
            self.resource(
                MEMORY_OF_CLUSTER_URI if home is None else MEMORY_URI,
                name="memory",
                description="Core blocks of a scope (user:NAME, agent:NAME, run:NAME)",
                mime_type="text/plain",
                security=NO_PATHS,
            )(resources.memory_of if home is None else resources.memory)
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

    async def list_resources(self) -> list[Resource]:
        """The clusters that there are now."""
        return await self._resources.listed()

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
        names = await self._names(argument.name, given)
        beginning = argument.value.lower()
        fitting = [each for each in names if each.lower().startswith(beginning)]
        return Completion(
            values=fitting[:COMPLETIONS_MAX],
            total=len(fitting),
            has_more=len(fitting) > COMPLETIONS_MAX,
        )

    async def _names(self, argument: str, given: dict[str, str]) -> list[str]:
        """What an argument may be, as far as those given before it tell."""
        clusters = await self._resources.clusters()
        if argument in ("cluster", "id"):
            return clusters
        if argument == "scope":
            home = self._resources.scope.memory_home or given.get("id")
            return [] if home is None else await self._told(self._resources.memory_scopes(home))
        # Of several, none is woken that nobody named.
        only = clusters[0] if len(clusters) == 1 else None
        cluster = given.get("id") or given.get("cluster") or only
        if cluster not in clusters:
            return []
        match argument:
            case "schema":
                return await self._told(self._resources.schemas(cluster))
            case "table":
                return await self._told(self._resources.tables(cluster, given.get("schema")))
            case _:
                return []

    async def _told(self, asked: Awaitable[list[str]]) -> list[str]:
        """Names. Raises MCPError where they cannot be had, which clients get as it is."""
        try:
            return await asked
        except BorealisError as error:
            raise MCPError(INTERNAL_ERROR, error.told(self._resources.words)) from error
        except psycopg.Error as error:
            text = sql_error_text(error, self._resources.words)
            raise MCPError(INTERNAL_ERROR, text) from error

    async def _subscribe(
        self, ctx: ServerRequestContext[Any, Any], params: SubscribeRequestParams
    ) -> EmptyResult:
        uri = str(params.uri)
        self._resources.platform.changes.subscribe(owner_of(ctx), uri, ctx.session)
        return EmptyResult()

    async def _unsubscribe(
        self, ctx: ServerRequestContext[Any, Any], params: UnsubscribeRequestParams
    ) -> EmptyResult:
        self._resources.platform.changes.unsubscribe(owner_of(ctx), str(params.uri))
        return EmptyResult()
