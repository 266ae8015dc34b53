"""`branch`, `restore-point`, `rewind` and `undo-rewind`, as a person types them."""

import json
import os
import subprocess
import sys
from pathlib import Path

from cluster_runtime import Runtime
from tests.numbers import rows, write
from tests.waiting import wait_until

Done = subprocess.CompletedProcess[str]


def borealis(directory: Path, *arguments: str, given: str = "") -> Done:
    return subprocess.run(
        [sys.executable, "-m", "mcp_server.cli", *arguments],
        env={**os.environ, "BOREALIS_STATE_DIR": str(directory), "COLUMNS": "200"},
        input=given,
        capture_output=True,
        text=True,
    )


def test_a_branch_from_its_beginning_to_its_end(engine_dir: Path) -> None:
    with Runtime.open(engine_dir / "state", warm_pool_size=0) as runtime:

        def run(*arguments: str, given: str = "") -> Done:
            return borealis(engine_dir / "state", *arguments, given=given)

        notes = runtime.create_db_cluster("notes")
        write(notes, 1)
        assert "no branches" in run("branch", "list").stderr
        made = run("branch", "create", "notes", "try", "--json")
        assert made.returncode == 0, made.stderr
        assert json.loads(made.stdout)["cluster"] == "try"
        (listed,) = json.loads(run("branch", "list", "--json").stdout)
        assert (listed["branch"], listed["of"]) == ("try", "notes")
        assert "try" in run("branch", "list", "notes").stdout
        twig = runtime.cluster("try")
        write(twig, 2)
        write(notes, 3)
        readable = run("branch", "reset", "try", "--yes")
        assert readable.returncode == 0, readable.stderr
        assert "Walls" in readable.stdout
        assert "{" not in readable.stdout
        assert rows(twig) == [1, 3]

        assert run("restore-point", "create", "notes", "before").returncode == 0
        write(notes, 4)
        preview = run("rewind", "notes", "before", "--dry-run", "--json")
        assert json.loads(preview.stdout)["commits"] == 1
        refused = run("rewind", "notes", "before", given="n\n")
        assert refused.returncode == 1
        assert "1 commit would go, from" in refused.stderr
        unanswered = run("rewind", "notes", "before")
        assert unanswered.returncode == 1
        assert "nobody answers this question" in unanswered.stderr
        assert "; --yes is the answer in a script" in unanswered.stderr
        assert rows(notes) == [1, 3, 4]
        went = run("rewind", "notes", "before", "--yes").stdout
        assert "1 commit went, from" in went
        assert "borealis undo-rewind notes takes that back until" in went
        assert run("rewind", "notes", "before", "--dry-run").stdout == ("no transaction would go\n")
        assert rows(notes) == [1, 3]
        assert "before" in run("restore-point", "list", "notes").stdout
        again = run("undo-rewind", "notes")
        assert again.returncode == 0, again.stderr
        assert "Walls" in again.stdout
        assert "{" not in again.stdout
        assert run("undo-rewind", "notes", "--yes").returncode == 0
        assert rows(notes) == [1, 3]
        assert run("undo-rewind", "notes", "--yes").returncode == 0
        assert rows(notes) == [1, 3, 4]
        gone = run("restore-point", "delete", "notes", "before")
        assert gone.returncode == 0
        assert "restore point 'before' of cluster 'notes' is deleted" in gone.stderr
        out_of_reach = run("rewind", "notes", "2020-01-01", "--yes")
        assert out_of_reach.returncode == 1
        assert "out of reach" in out_of_reach.stderr

        assert run("branch", "delete", "notes", "--yes").returncode == 2
        assert run("branch", "delete", "try", "--yes").returncode == 0
        assert [each.db_cluster_identifier for each in runtime.describe_db_clusters()] == ["notes"]

        assert run("branch", "warm", "notes").returncode == 0
        wait_until(lambda: runtime.cluster("notes").describe().warm_branch_status == "ready")
        (line,) = (
            each for each in run("describe", "notes").stdout.splitlines() if "Warm branch" in each
        )
        assert line.split()[-1] == "ready"
        assert run("branch", "warm", "notes", "--off").returncode == 0
        assert not runtime.cluster("notes").describe().warm_branch
