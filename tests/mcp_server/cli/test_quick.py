"""The quick way to a command is Typer's own, less what this command does not need."""

import os
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from mcp_server.cli import quick
from mcp_server.cli.commands import app, whole


def outcome(
    command: Any, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> tuple[object, str, str]:
    with pytest.raises(SystemExit) as ended:
        command(arguments, prog_name="borealis")
    return (ended.value.code, *capsys.readouterr())


@pytest.mark.parametrize(
    "line",
    [
        *("--help", "--version", "", "list --help", "describe", "lits", "list --jsno"),
        *("storage", "storage --help", "storage shwo x", "fault inject --help", "serve --port x"),
        *("serve --port 70000", "create x --auto-pause soon"),
        *("storage dump .", "storage dump nowhere", "demo too much", "--install-completion=no"),
    ],
)
def test_a_command_line_is_answered_as_typer_answers_it(
    line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    words = line.split()
    if words[:2] == ["storage", "dump"]:
        words.append("--jsno")  # paths are taken before an option is missed, and nothing is read
    expected = outcome(get_command(whole()), words, capsys)
    assert outcome(quick.command_of(app, words, {}, whole=whole), words, capsys) == expected


@pytest.mark.parametrize(
    "line", ["mcp --hosted-by nobody", "bill --what-if io-optimised", "metrics x --role judge"]
)
def test_a_choice_that_there_is_not_is_refused_without_the_words_of_a_library(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = line.split()
    command = quick.command_of(app, words, {}, whole=whole)
    status, _, err = outcome(command, words, capsys)
    assert status == 2
    assert f"'{words[-1]}' is not one of" in err
    assert "Value error" not in err


def test_a_path_that_cannot_be_read_is_refused_as_typer_refuses_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may read everything
    words = ["list", "--state-dir", str(tmp_path)]
    status, _, err = expected = outcome(get_command(whole()), words, capsys)
    assert status == 2
    assert "readable" in err
    assert outcome(quick.command_of(app, words, {}, whole=whole), words, capsys) == expected


@pytest.mark.parametrize(
    ("environment", "made"),
    [
        ({"COMP_WORDS": "borealis describe n", "COMP_CWORD": "2"}, ["describe"]),
        ({"COMP_WORDS": "borealis describe ", "COMP_CWORD": "2"}, ["describe"]),
        ({"COMP_WORDS": "borealis storage show n", "COMP_CWORD": "3"}, ["storage"]),
        ({"_TYPER_COMPLETE_ARGS": "borealis list --st"}, ["list"]),
        ({"COMP_WORDS": "borealis list", "COMP_CWORD": "1"}, None),
        ({"_TYPER_COMPLETE_ARGS": "borealis list"}, None),
        ({"COMP_WORDS": "borealis ", "COMP_CWORD": "1"}, None),
        ({}, None),
    ],
)
def test_a_completion_makes_the_command_of_its_line_alone(
    environment: dict[str, str], made: list[str] | None
) -> None:
    shell = {"_BOREALIS_COMPLETE": "complete_any", **environment}
    everything = list(get_command(whole()).commands)  # type: ignore[attr-defined]
    assert list(quick.command_of(app, [], shell, whole=whole).commands) == (made or everything)


def test_a_command_is_made_alone() -> None:
    assert list(quick.command_of(app, ["list", "--json"], {}, whole=whole).commands) == ["list"]
    assert len(whole().registered_commands) > 20  # the application itself is as it was


def test_a_command_of_its_own_does_not_wait_for_those_that_are_operations() -> None:
    def never() -> Any:
        raise AssertionError("nobody needs all of them")

    for words in (["list"], ["url", "x"], ["psql", "x"], ["ask", "x", "how many?"], ["status"]):
        assert list(quick.command_of(app, words, {}, whole=never).commands) == words[:1]
