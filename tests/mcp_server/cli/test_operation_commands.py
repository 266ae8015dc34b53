"""Commands that are operations of the control plane, on real clusters."""

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from cluster_runtime.control.operations import OPERATIONS
from cluster_runtime.control.operations.inputs import inputs
from mcp_server.cli import console
from mcp_server.cli.commands import main, whole
from mcp_server.cli.operation_commands import AS_IT_IS, MANNERS
from mcp_server.wording import is_a_command


@pytest.fixture
def borealis(
    request: pytest.FixtureRequest,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    state_dir: Path,
) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.setenv("BOREALIS_STATE_DIR", str(state_dir / request.module.__name__))
    monkeypatch.setenv("COLUMNS", "200")
    before = signal.getsignal(signal.SIGTERM)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        signal.signal(signal.SIGTERM, before)
        captured = capfd.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


def test_what_happened_and_which_instances_there_are(borealis: Any) -> None:
    assert borealis("events") == (0, "", "there are none\n")
    assert borealis("instances", "--json") == (0, "[]\n", "")
    assert borealis("create", "watched", "--database", "app", "--master-user", "captain")[0] == 0
    assert (
        borealis("modify", "watched", "--reset-settings", "--storage-type", "aurora-iopt1")[0] == 0
    )

    status, out, _ = borealis("instances", "--cluster", "watched", "--json")
    (writer,) = json.loads(out)
    assert (status, writer["db_instance_identifier"]) == (0, "watched-instance-1")
    assert writer["is_cluster_writer"] is True
    assert "watched-instance-1" in borealis("instances", "watched-instance-1")[1]
    status, _, err = borealis("instances", "watched-instance-9")
    assert status == 1
    assert "did you mean 'watched-instance-1'? borealis instances lists all of them" in err

    status, out, _ = borealis("events", "watched")
    assert status == 0
    assert "configuration change" in out
    told = [each["message"] for each in json.loads(borealis("events", "watched", "--json")[1])]
    assert any("were reset" in message for message in told)
    assert told[-1] == "Finished applying modification to storage type: aurora-iopt1"

    described = json.loads(borealis("describe", "watched", "--json")[1])
    assert described["storage_type"] == "aurora-iopt1"
    assert (described["database"], described["master_username"]) == ("app", "captain")

    status, _, err = borealis("lose-compute", "watched")
    assert status == 0
    assert "watched" in err
    assert "42" in borealis("psql", "watched", "-c", "select 42")[1]

    status, _, err = borealis("delete", "watched", "--yes", "--no-skip-final-snapshot")
    assert status == 1
    assert "must name the final snapshot" in err
    assert borealis("delete", "watched", "--yes")[0] == 0


def test_a_password_stands_in_a_file(borealis: Any, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("correct-horse\n", encoding="utf-8")
    assert borealis("create", "plain", "--no-express", "--password-file", str(password))[0] == 0
    assert borealis("delete", "plain", "--yes")[0] == 0

    status, _, err = borealis("create", "plain", "--no-express")
    assert status == 1
    assert err.endswith("needs --password-file or --manage-master-user-password\n")
    password.write_text("short", encoding="utf-8")
    status, _, err = borealis("create", "plain", "--password-file", str(password))
    assert status == 1
    assert err == "error: --password-file must have 8 to 128 characters\n"
    status, _, err = borealis("create", "plain", "--password-file", str(tmp_path))
    assert status == 1
    assert err.startswith(f"error: cannot read {tmp_path} for --password-file")
    assert borealis("create", "plain", "--password", "correct-horse")[0] == 2
    assert json.loads(borealis("list", "--json")[1])["clusters"] == []


def test_a_command_shows_a_cluster_as_all_do_or_says_what_was_done() -> None:
    for declared in OPERATIONS:
        if not is_a_command(declared) or declared.method == "describe_db_clusters":
            continue
        manner = MANNERS.get(declared.method, AS_IT_IS)
        if declared.result is None:
            assert manner.done != "done" or manner.show is not AS_IT_IS.show, declared.name
            assert manner.done.format(*(one.name for one in inputs(declared)))
        elif declared.result.name == "DBCluster":
            assert manner.show is not AS_IT_IS.show, declared.name


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "none"),
        (True, "yes"),
        ({"min_capacity": 0.5, "paused": False}, "min capacity 0.5, paused no"),
        ([{"key": "a"}, {"key": "b"}], "key a; key b"),
        (("x", "y"), "x, y"),
    ],
)
def test_what_an_operation_returns_is_shown_without_pythons_words(
    capsys: pytest.CaptureFixture[str], value: object, said: str
) -> None:
    console.result({"only": value}, as_json=False)
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("number", "noun", "said"),
    [(0, "commit", "0 commits"), (1, "process", "1 process"), (2, "process", "2 processes")],
)
def test_a_number_of_things(number: int, noun: str, said: str) -> None:
    assert console.counted(number, noun) == said


def test_a_cluster_that_is_paused_is_said_to_be(borealis: Any) -> None:
    assert borealis("create", "resting")[0] == 0
    assert borealis("pause", "resting")[0] == 0
    shown = borealis("describe", "resting")[1]
    assert shown.count("paused: known once it runs") == 3
    assert borealis("delete", "resting", "--yes")[0] == 0


WITHOUT_JSON = {
    "psql": "prints as psql does",
    "exec": "prints what its program prints",
    "mcp": "speaks a protocol",
    "serve": "prints notes alone",
    "demo": "is a show",
    "simulate trace": "prints a trace, which is lines of JSON",
}


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, each in group.commands.items():
        if hasattr(each, "commands"):
            yield from commands(each, (*path, name))
        else:
            yield " ".join((*path, name)), each


def test_every_command_speaks_json_but_those_that_have_nothing_to_say_in_it() -> None:
    every = dict(commands(get_command(whole())))
    without = {
        name
        for name, one in every.items()
        if not any("--json" in parameter.opts for parameter in one.params)
    }
    assert without == set(WITHOUT_JSON)


def test_what_commands_say_in_json_is_the_result_alone(borealis: Any) -> None:
    def said(*line: str) -> Any:
        status, out, err = borealis(*line, "--json")
        assert (status, err) == (0, ""), line
        return json.loads(out)

    made = said("create", "spoken", "--if-not-exists")
    assert said("create", "spoken", "--if-not-exists")["resource_id"] == made["resource_id"]
    assert borealis("create", "spoken")[0] == 1
    assert said("modify", "spoken", "--max-capacity", "4")["max_capacity"] == 4
    assert said("failover", "spoken")["status"] == "available"
    assert len(said("storage", "show", "spoken")["segments"]) == 6
    assert said("fault", "inject", "spoken", "az:a", "crash") == {"cluster": "spoken"}
    assert said("fault", "heal", "spoken") == {"cluster": "spoken"}
    assert said("sessions", "spoken") == []
    assert said("activity", "spoken")["db_cluster_identifier"] == "spoken"
    assert said("lose-compute", "spoken") == {"cluster": "spoken"}
    assert said("reset-settings", "spoken") == {"cluster": "spoken"}
    assert "were reset" in said("events", "spoken")[-1]["message"]
    assert said("pause", "spoken")["paused"] is True
    assert said("stop", "spoken")["status"] == "stopped"
    assert said("start", "spoken")["status"] == "available"
    assert said("delete", "spoken", "--yes") == {"cluster": "spoken"}


def test_a_fault_is_told_with_where_to_see_it(borealis: Any) -> None:
    assert borealis("create", "broken")[0] == 0
    status, _, err = borealis(
        "fault", "inject", "broken", "segment:b1", "slow:5", "--duration", "9"
    )
    assert (status, "borealis storage show broken" in err) == (0, True)
    status, _, err = borealis("fault", "inject", "broken", "az:z", "crash")
    assert status == 1
    assert borealis("fault", "inject", "broken", "az:a")[0] == 2
    assert borealis("delete", "broken", "--yes")[0] == 0
