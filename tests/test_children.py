"""What the runtime starts does not hear the Ctrl-C of whoever has the terminal."""

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
STARTS = ("run", "Popen", "call", "check_call", "check_output")


def started(source: Path) -> list[tuple[str, bool]]:
    """Every place that starts a process, and whether it does so in a session of its own."""
    found = []
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="subprocess"), attr=attr)) if (
                attr in STARTS
            ):
                apart = any(
                    keyword.arg == "start_new_session"
                    and isinstance(keyword.value, ast.Constant)
                    and keyword.value.value is True
                    for keyword in node.keywords
                )
                found.append((f"{source.relative_to(ROOT)}:{node.lineno}", apart))
    return found


def test_every_process_of_the_runtime_is_in_a_session_of_its_own() -> None:
    found = [each for path in (ROOT / "cluster_runtime").rglob("*.py") for each in started(path)]
    assert len(found) >= 4
    assert [where for where, apart in found if not apart] == []
