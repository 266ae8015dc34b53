"""Words of a question matched to tables, columns and values of the database."""

from typing import TYPE_CHECKING

from cluster_runtime.moved import names_of

if not TYPE_CHECKING:
    __getattr__ = names_of(__name__, "mcp_server.nl2sql.linking.linking")
