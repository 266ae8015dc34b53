"""A session between a client and its server: greeted, then bytes both ways on one thread."""

from typing import TYPE_CHECKING

from cluster_runtime.moved import names_of

if not TYPE_CHECKING:
    __getattr__ = names_of(__name__, "cluster_runtime.gateway.relay.relay")
