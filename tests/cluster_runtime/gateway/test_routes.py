"""Which endpoint a client of the shared port means: decided without a socket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.gateway.authentication.actions import Refusal
from cluster_runtime.gateway.routes import NO_SUCH_ENDPOINT, Routes

DOMAIN = "abc123.us-east-1.localhost"
NAMES = {
    "writer": (f"notes.cluster-{DOMAIN}", ("notes",)),
    "reader": (f"notes.cluster-ro-{DOMAIN}", ()),
    "first": (f"notes-instance-1.{DOMAIN}", ("notes-instance-1",)),
    "custom": (f"reports.cluster-custom-{DOMAIN}", ("reports",)),
    "other": ("books.cluster-def456.us-east-1.localhost", ("books",)),
}


@pytest.fixture
def routes() -> Routes[str]:
    made = Routes[str]()
    for target, (name, aliases) in NAMES.items():
        made.put(target, [name], aliases)
    return made


def refused(found: str | Refusal) -> str:
    assert isinstance(found, Refusal)
    assert found.sqlstate == NO_SUCH_ENDPOINT
    return found.text


@pytest.mark.parametrize("target", NAMES)
def test_a_name_leads_to_its_endpoint_by_tls_and_by_option(
    routes: Routes[str], target: str
) -> None:
    name = NAMES[target][0]
    for spelled in (name, name.upper(), f"{name}."):
        assert routes.find(spelled, None) == target
        assert routes.find(None, spelled) == target
        assert routes.find(spelled, name) == target


@pytest.mark.parametrize(
    ("option", "target"),
    [
        ("notes", "writer"),
        ("NOTES", "writer"),
        ("notes.cluster-abc123", "writer"),
        ("notes.cluster-ro-abc123", "reader"),
        ("notes-instance-1", "first"),
        ("reports", "custom"),
        ("books", "other"),
    ],
)
def test_an_identifier_or_the_beginning_of_a_name_is_enough_for_the_option(
    routes: Routes[str], option: str, target: str
) -> None:
    assert routes.find(None, option) == target
    assert routes.find("localhost", option) == target


def test_who_names_none_hears_how_to_name_one(routes: Routes[str]) -> None:
    assert "options=endpoint=" in refused(routes.find(None, None))
    assert '"localhost" is no endpoint' in refused(routes.find("localhost", None))
    assert "notes.cluster-zzz" in refused(
        routes.find("notes.cluster-zzz.us-east-1.localhost", None)
    )
    assert '"nobody"' in refused(routes.find(None, "nobody"))
    assert refused(routes.find(None, "")).count("there is no endpoint")


def test_what_may_mean_several_means_none(routes: Routes[str]) -> None:
    routes.put("same", [f"same.{DOMAIN}"], ["notes"])
    said = refused(routes.find(None, "notes"))
    assert NAMES["writer"][0] in said
    assert f"same.{DOMAIN}" in said
    assert routes.find(NAMES["writer"][0], None) == "writer"


def test_a_name_and_an_option_that_differ_are_refused(routes: Routes[str]) -> None:
    assert "another endpoint" in refused(routes.find(NAMES["writer"][0], "books"))


def test_an_endpoint_that_is_renamed_or_gone_is_not_found(routes: Routes[str]) -> None:
    routes.put("writer", [f"renamed.cluster-{DOMAIN}"], ["renamed"])
    assert isinstance(routes.find(NAMES["writer"][0], None), Refusal)
    assert routes.find(None, "renamed") == "writer"
    routes.remove("writer")
    routes.remove("writer")
    assert isinstance(routes.find(None, "renamed"), Refusal)


def test_a_name_beside_those_of_a_cluster_has_a_domain_of_endpoints(routes: Routes[str]) -> None:
    assert routes.domain_of(f"gone.{DOMAIN}") == DOMAIN
    assert routes.domain_of(f"GONE.cluster-ro-{DOMAIN}.") == f"cluster-ro-{DOMAIN}"
    for name in (None, "", "localhost", "gone.zzz.us-east-1.localhost"):
        assert routes.domain_of(name) is None


labels = st.text("ab-1.", min_size=0, max_size=6)


@given(st.lists(st.tuples(labels, labels), max_size=5), labels, st.none() | labels)
def test_one_endpoint_is_found_or_a_reason_and_never_another_cluster(
    called: list[tuple[str, str]], server_name: str, option: str | None
) -> None:
    routes = Routes[int]()
    for target, (name, alias) in enumerate(called):
        routes.put(target, [name], [alias])
    found = routes.find(server_name, option)
    if isinstance(found, Refusal):
        assert found.text
        return
    name, alias = called[found]
    if option is None:
        assert name == server_name.rstrip(".")
    else:
        said = option.rstrip(".")
        assert said in (name, alias) or name.startswith(f"{said}.")
