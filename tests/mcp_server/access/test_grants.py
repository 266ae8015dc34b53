"""Codes and tokens of the local authorization server, and where answers may go."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_server.access import grants
from mcp_server.access.grants import Asked, Grants
from mcp_server.access.redirects import wrong_redirect

ASKED = Asked("editor", "http://127.0.0.1:1/cb", True, "s", ("borealis",), "challenge")
NOW = 1000.0


def with_code() -> tuple[Grants, str]:
    made = Grants()
    return made, made.consent(made.ask(ASKED, NOW), NOW)


def test_a_code_is_good_once_and_a_second_use_takes_back_what_came_of_it() -> None:
    made, code = with_code()
    issued = made.redeem(code, NOW)
    assert made.access(issued.access, NOW).client_id == "editor"
    assert made.redeem(code, NOW) is None
    assert made.access(issued.access, NOW) is None
    assert made.refreshable(issued.refresh, NOW) is None


def test_a_refresh_token_is_good_once_and_a_second_use_takes_back_its_family() -> None:
    made, code = with_code()
    first = made.redeem(code, NOW)
    second = made.renew(first.refresh, first.scopes, NOW)
    assert made.access(first.access, NOW) is None
    assert made.access(second.access, NOW) is not None
    assert made.renew(first.refresh, first.scopes, NOW) is None
    assert made.access(second.access, NOW) is None
    assert made.renew(second.refresh, second.scopes, NOW) is None


def test_all_has_an_end() -> None:
    made = Grants()
    name = made.ask(ASKED, NOW)
    assert made.waiting(name, NOW + grants.PENDING_SECONDS) is None
    issued = made.redeem(made.consent(name, NOW), NOW)
    assert made.access(issued.access, NOW + grants.ACCESS_SECONDS) is None
    assert made.refreshable(issued.refresh, NOW + grants.ACCESS_SECONDS) is not None
    assert made.refreshable(issued.refresh, NOW + grants.REFRESH_SECONDS) is None


def test_pass_phrases_are_not_guessed_without_end() -> None:
    made = Grants()
    name = made.ask(ASKED, NOW)
    tries = [made.guessed_wrong(name) for _ in range(grants.GUESSES_MAX)]
    assert tries == [True] * (grants.GUESSES_MAX - 1) + [False]
    assert made.waiting(name, NOW) is None


def test_no_secret_is_kept_as_it_is() -> None:
    made, code = with_code()
    issued = made.redeem(code, NOW)
    kept = repr(made)
    assert not [each for each in (code, issued.access, issued.refresh) if each in kept]


@given(st.lists(st.sampled_from(["code", "refresh", "used refresh", "revoke"]), max_size=12))
def test_at_most_one_access_token_of_a_consent_is_good(steps: list[str]) -> None:
    made, code = with_code()
    refreshes, accesses = [], []
    for step in steps:
        issued = None
        if step == "code":
            issued = made.redeem(code, NOW)
        elif step == "revoke" and refreshes:
            grant = made.refreshable(refreshes[-1], NOW)
            if grant is not None:
                made.revoke(grant.family)
        elif refreshes:
            token = refreshes[-1 if step == "refresh" else 0]
            issued = made.renew(token, ASKED.scopes, NOW)
        if issued is not None:
            refreshes.append(issued.refresh)
            accesses.append(issued.access)
        assert sum(made.access(each, NOW) is not None for each in accesses) <= 1


def test_what_waits_is_bounded() -> None:
    made = Grants()
    names = [made.ask(replace(ASKED, state=str(n)), NOW) for n in range(grants.PENDING_MAX + 5)]
    assert made.waiting(names[0], NOW) is None
    assert made.waiting(names[-1], NOW) is not None


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:33418/",
        "http://localhost:6274/oauth/callback",
        "http://[::1]:8080/cb?x=1",
        "https://vscode.dev/redirect",
        "cursor://anysphere.cursor-mcp/oauth/callback",
        "com.example.app:/callback",
    ],
)
def test_an_answer_may_go_to_this_machine_an_application_or_over_tls(uri: str) -> None:
    assert wrong_redirect(uri) is None


@pytest.mark.parametrize(
    "uri",
    [
        "http://evil.example.com/cb",
        "http://127.0.0.1.evil.example.com/cb",
        "http://127.0.0.1@evil.example.com/cb",
        "https://user:pw@example.com/cb",
        "http://localhost\\@evil.example.com/",
        "https://example.com/cb#fragment",
        "https://*.example.com/cb",
        "https:///cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "blob:https://example.com/x",
        "ws://127.0.0.1/",
        "http://[::1",
        "",
    ],
)
def test_it_goes_nowhere_else(uri: str) -> None:
    assert wrong_redirect(uri) is not None
