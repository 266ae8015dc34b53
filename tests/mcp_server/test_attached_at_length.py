"""The rest of what `test_attached` repeats over a runtime that another process hosts."""

import pytest

from tests.mcp_server.test_attached import (  # noqa: F401
    bench,
    directory,
    runtime,
    shop,
    shop_reader,
    tools,
)
from tests.mcp_server.tools.test_queries import *  # noqa: F403
from tests.mcp_server.tools.test_schemas import *  # noqa: F403

pytestmark = pytest.mark.long
