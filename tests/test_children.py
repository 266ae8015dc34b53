"""What the runtime starts does not hear the Ctrl-C of whoever has the terminal."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STARTS = ("run", "Popen", "call", "check_call", "check_output")

PRESSING = """
import os, signal, sys, threading
from pathlib import Path

signal.signal(signal.SIGINT, lambda *_: None)
over = threading.Event()

def press():
    while not over.is_set():
        os.killpg(0, signal.SIGINT)

keys = threading.Thread(target=press)
"""
HELPERS = """
from cluster_runtime.engine import children

def ended(**options):
    child = children.start(["/bin/sh", "-c", "exit 7"], **options)
    return child.wait()

keys.start()
codes = {ended() for _ in range(150)} | {ended(preexec_fn=children.hear_signals) for _ in range(50)}
over.set()
keys.join()
assert codes == {7}, codes
heard = children.start(["/bin/sh", "-c", "kill -INT $$; exit 7"], preexec_fn=children.hear_signals)
assert heard.wait() == -signal.SIGINT
"""
POOL = """
from cluster_runtime import Runtime

with Runtime.open(Path(sys.argv[1]), warm_pool_size=0) as runtime:
    runtime.create_db_cluster("first")  # its template is there now
with Runtime.open(Path(sys.argv[1]), warm_pool_size=3) as runtime:
    keys.start()
    runtime.warm()
    over.set()
    keys.join()
"""


def started(source: Path) -> list[str]:
    """Every place that starts a process."""
    return [
        f"{source.relative_to(ROOT)}:{node.lineno}"
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "subprocess"
        and node.func.attr in STARTS
    ]


def test_every_process_of_the_runtime_is_started_in_one_place() -> None:
    found = [each for path in (ROOT / "cluster_runtime").rglob("*.py") for each in started(path)]
    assert {each.partition(":")[0] for each in found} == {"cluster_runtime/engine/children.py"}
    assert len(found) == 2


@pytest.mark.parametrize("program", [HELPERS, POOL], ids=["a helper", "the warm pool"])
def test_a_ctrl_c_between_the_fork_and_the_session_of_a_child_ends_nothing(
    program: str, engine_dir: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRESSING + program, engine_dir / "state"],
        start_new_session=True,  # the keys are for this group alone
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
