"""The tool that goes on where an answer was too large."""

import time
from typing import Annotated

from pydantic import Field

from mcp_server.toolkit.definition import Effect, Reach, tool
from mcp_server.toolkit.platform import Call
from mcp_server.toolkit.sending import Continued


@tool(title="Read more", toolset=None, effect=Effect.READS, reach=Reach.DATABASE)
async def read_more(
    call: Call,
    cursor: Annotated[str, Field(description="As the answer gave it; good for 10 minutes")],
) -> Continued:
    """Read the next part of an answer that was too large for one."""
    answer, start = call.platform.kept.find(cursor, call.owner, time.monotonic())
    return Continued(answer, start, cursor)


TOOLS = (read_more,)
