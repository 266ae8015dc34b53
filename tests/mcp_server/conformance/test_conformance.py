"""The scenarios of the protocol's conformance suite, of both eras."""

from pathlib import Path

import pytest

from tests.mcp_server.conformance.suite import REVISIONS, Check, inspected, results, scored

pytestmark = pytest.mark.long

DOCS = Path(__file__).parents[3] / "docs" / "mcp.md"
MEANINGFUL = {
    "2025-11-25": {
        "completion-complete",
        "dns-rebinding-protection",
        "ping",
        "prompts-list",
        "resources-list",
        "resources-subscribe",
        "resources-unsubscribe",
        "server-initialize",
        "server-session-lifecycle",
        "server-sse-multiple-streams",
        "tools-list",
    },
    "2026-07-28": {
        "caching",
        "completion-complete",
        "dns-rebinding-protection",
        "http-header-validation",
        "input-required-result-unsupported-methods",
        "prompts-list",
        "resources-list",
        "sep-2164-resource-not-found",
        "server-sse-multiple-streams",
        "server-stateless",
        "tools-list",
    },
}
"""Scenarios that need no tool, prompt or resource of the suite's own."""
NEEDS_A_TOOL_OF_THE_SUITE = {
    "sep-2575-server-rejects-undeclared-capability",
    "sep-2575-missing-capability-http-400",
    "sep-2575-server-sends-prompts-list-changed-on-subscription",
    "sep-2575-server-sends-tools-list-changed-on-subscription",
}
"""Checks within them that do: they call a tool that needs sampling, or changes what there is."""


def failures(found: dict[str, list[Check]], scenarios: set[str]) -> list[tuple[str, Check]]:
    return [(name, check) for name in scenarios for check in found[name] if not check.passed]


@pytest.mark.parametrize(("revision", "required"), [("2025-11-25", 30), ("2026-07-28", 37)])
def test_the_factory_makes_servers_that_pass_every_scored_scenario(
    fixture_url: str, tmp_path: Path, revision: str, required: int
) -> None:
    scenarios = set(scored(revision))
    assert len(scenarios) == required
    found = results(fixture_url, revision, tmp_path)
    assert scenarios <= found.keys()
    assert all(any(check.status == "SUCCESS" for check in found[name]) for name in scenarios)
    assert failures(found, scenarios) == []


@pytest.fixture(scope="module")
def url_with_a_cluster(real_url: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The real server, with something to read."""
    home = tmp_path_factory.mktemp("inspector")
    inspected(real_url, "tools/call", home, "create_cluster", cluster="read")
    return real_url


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_real_server_passes_what_its_features_make_meaningful(
    url_with_a_cluster: str, tmp_path: Path, revision: str
) -> None:
    found = results(url_with_a_cluster, revision, tmp_path)
    failed = failures(found, MEANINGFUL[revision])
    assert [each for each in failed if each[1].id not in NEEDS_A_TOOL_OF_THE_SUITE] == []


@pytest.mark.parametrize("revision", REVISIONS)
def test_the_documentation_gives_a_reason_for_each_of_the_rest(revision: str) -> None:
    text = DOCS.read_text()
    rest = set(scored(revision)) - MEANINGFUL[revision]
    assert [name for name in sorted(rest) if f"`{name}`" not in text] == []
