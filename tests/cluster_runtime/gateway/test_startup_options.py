"""The options of a startup message, read as PostgreSQL reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_runtime.gateway.wire.startup_options import (
    DURABLE_COMMITS,
    ENDPOINT_PARAMETER,
    durable,
    take,
)

NAME = "borealis.auth"


@pytest.mark.parametrize(
    ("options", "value", "rest"),
    [
        ("-c borealis.auth=iam", "iam", ""),
        ("-cborealis.auth=iam", "iam", ""),
        ("--borealis.auth=iam", "iam", ""),
        ("-c BOREALIS.Auth=iam -c work_mem=1MB", "iam", "-c work_mem=1MB"),
        ("-c a=b\\ c -c borealis.auth=iam -c d=e", "iam", "-c a=b\\ c -c d=e"),
        ("-c borealis.auth=iam -c borealis.auth=scram", "scram", ""),
        ("-c borealis.auth=", "", ""),
        ("-c\tborealis.auth=iam", "iam", ""),
        ("-c a=-c\\ borealis.auth=iam", None, "-c a=-c\\ borealis.auth=iam"),
        ("-c a=b\\\\ -c borealis.auth=iam", "iam", "-c a=b\\\\"),
        ("borealis.auth=iam", None, "borealis.auth=iam"),
        ("-c borealis.authority=iam", None, "-c borealis.authority=iam"),
        ("-c borealis.auth", None, "-c borealis.auth"),
        ("-c", None, "-c"),
        ("", None, ""),
    ],
)
def test_a_setting_is_taken_out_of_the_options(options: str, value: str | None, rest: str) -> None:
    parameters = {"user": "app", "options": options}
    assert take(parameters, NAME) == (value, {"user": "app", "options": rest})


def test_a_parameter_of_its_own_counts_more() -> None:
    parameters = {"Borealis.Auth": "scram", "options": "-c borealis.auth=iam -c x=y"}
    assert take(parameters, NAME) == ("scram", {"options": "-c x=y"})


@pytest.mark.parametrize(
    ("options", "value", "rest"),
    [
        ("endpoint=notes", "notes", ""),
        ("-c endpoint=notes", "notes", ""),
        ("--endpoint=notes -c work_mem=1MB", "notes", "-c work_mem=1MB"),
        ("-c work_mem=1MB endpoint=notes", "notes", "-c work_mem=1MB"),
        ("-c work_mem=endpoint=notes", None, "-c work_mem=endpoint=notes"),
        ("-endpoint=notes", None, "-endpoint=notes"),
        ("endpoints=notes", None, "endpoints=notes"),
    ],
)
def test_the_endpoint_may_be_a_word_of_its_own(options: str, value: str | None, rest: str) -> None:
    assert take({"options": options}, ENDPOINT_PARAMETER) == (value, {"options": rest})


words = st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=1, max_size=8)


@given(st.lists(words.filter(lambda word: not word.isspace()), max_size=4), words)
def test_what_is_left_is_what_was_there(others: list[str], value: str) -> None:
    def escaped(word: str) -> str:
        return "".join("\\" + c if c in "\\ \t\n\r\f\v" else c for c in word)

    rest = " ".join(f"-c x={escaped(word)}" for word in others)
    options = f"{rest} -c {NAME}={escaped(value)}"
    assert take({"options": options}, NAME) == (value, {"options": rest})


def test_what_the_gateway_puts_in_comes_first_so_that_the_client_has_the_last_word() -> None:
    assert durable({"user": "app"}) == {"user": "app", "options": DURABLE_COMMITS}
    assert durable({"options": "-c x=y"})["options"] == f"{DURABLE_COMMITS} -c x=y"
