"""Questions one after the other, and what words mean, on the command line."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster_runtime import Runtime
from tests.hosts import end_hosts
from tests.places import reachable_folder

CELLAR = """
create table rack (rack_id int primary key, label text not null, room text not null);
create table bottle (bottle_id int primary key, rack_id int not null references rack,
  filled_on date not null, opened_on date, litres numeric not null, price numeric not null);
insert into rack values (1, 'A', 'north'), (2, 'B', 'north'), (3, 'C', 'south');
insert into bottle values (1, 1, '2021-01-01', '2022-02-02', 0.75, 10),
  (2, 1, '2022-01-01', null, 1.5, 30), (3, 3, '2022-05-05', '2022-06-06', 0.75, 20);
analyze;
"""
SAID = "cubes: [{name: rack, meta: {synonyms: [shelf]}}]\n"


def borealis(directory: Path, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mcp_server.cli", *arguments, "--state-dir", str(directory)],
        env={**os.environ, "COLUMNS": "200"},
        input=given,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def cellar() -> Iterator[Path]:
    folder = reachable_folder()
    directory = folder / "state"
    with Runtime.open(directory, warm_pool_size=0) as runtime:
        cluster = runtime.create_db_cluster("cellar")
        with cluster.connect(autocommit=True) as connection:
            connection.execute(CELLAR)
        yield directory
    end_hosts(folder)


def asked(directory: Path, question: str, *options: str) -> dict[str, object]:
    done = borealis(directory, "ask", "cellar", question, "--json", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def rows(answer: dict[str, object]) -> object:
    result = answer["result"]
    assert isinstance(result, dict)
    return result["rows"]


def test_a_question_follows_the_last_one(cellar: Path) -> None:
    assert rows(asked(cellar, "How many racks are in the north room?")) == [[2]]
    assert rows(asked(cellar, "and in the south?", "--follow")) == [[1]]
    assert rows(asked(cellar, "which ones are they?", "-f")) == [["C"]]
    assert stat.S_IMODE((cellar / "asked.json").stat().st_mode) == 0o600


def test_a_correction_is_taught_and_forgotten(cellar: Path) -> None:
    asked(cellar, "How many bottles were filled in 2022?")
    assert rows(asked(cellar, "no, by the opening date", "--follow")) == [[2]]
    taught = borealis(cellar, "semantics", "cellar", "teach")
    assert taught.returncode == 0, taught.stderr
    again = asked(cellar, "How many bottles were filled in 2023?")
    assert "opened_on" in str(again["sql"]) or again["origin"] != "solved"

    shown = borealis(cellar, "semantics", "cellar").stdout
    assert "How many bottles were filled in {1}" in shown
    gone = borealis(cellar, "semantics", "cellar", "forget", "How many bottles were filled in {1}?")
    assert gone.returncode == 0, gone.stderr
    assert "filled in" not in borealis(cellar, "semantics", "cellar").stdout


def test_a_question_that_stands_alone_teaches_though_it_was_to_follow(cellar: Path) -> None:
    asked(cellar, "How many racks are in the north room?")
    asked(cellar, "How many bottles are there?", "--follow")
    taught = borealis(cellar, "semantics", "cellar", "teach")
    assert taught.returncode == 0, taught.stderr
    assert "How many bottles are there?" in taught.stderr
    borealis(cellar, "semantics", "cellar", "forget", "How many bottles are there?")


def test_a_document_is_set_shown_and_removed(cellar: Path, tmp_path: Path) -> None:
    file = tmp_path / "said.yml"
    file.write_text(SAID)
    done = borealis(cellar, "semantics", "cellar", "set", str(file))
    assert done.returncode == 0, done.stderr
    assert borealis(cellar, "semantics", "cellar").stdout == SAID
    assert rows(asked(cellar, "How many shelves are there?")) == [[3]]

    wrong = borealis(cellar, "semantics", "cellar", "set", "-", given=SAID.replace("rack", "rak"))
    assert wrong.returncode == 1
    assert "no table 'rak'; did you mean 'rack'?" in wrong.stderr
    assert borealis(cellar, "semantics", "cellar").stdout == SAID

    assert borealis(cellar, "semantics", "cellar", "remove").returncode == 0
    assert json.loads(borealis(cellar, "semantics", "cellar", "--json").stdout) == {
        "document": "",
        "taught": [],
    }


def test_a_suggestion_may_be_set_as_it_is(cellar: Path) -> None:
    document = borealis(cellar, "semantics", "cellar", "suggest").stdout
    assert "display" in document
    done = borealis(cellar, "semantics", "cellar", "set", "-", given=document)
    assert done.returncode == 0, done.stderr
    borealis(cellar, "semantics", "cellar", "remove")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("set", "/nowhere"), "/nowhere cannot be read"),
        (("teach", "one"), "teach takes QUESTION and SQL"),
        (("forget", "what nobody asked"), "nothing was taught for"),
    ],
)
def test_wrong_usage_says_what_is_wanted(
    cellar: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = borealis(cellar, "semantics", "cellar", *arguments)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
