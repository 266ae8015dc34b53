"""A library that exists as a profile only."""

import pytest

from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.schema.joins import JoinGraph
from mcp_server.nl2sql.schema.model import Profile
from tests.mcp_server.nl2sql import profiles


@pytest.fixture
def library() -> Profile:
    return profiles.library()


@pytest.fixture
def linker(library: Profile) -> Linker:
    return Linker(library)


@pytest.fixture
def graph(library: Profile) -> JoinGraph:
    return JoinGraph(library)
