"""The plan of the house: import contracts (see pyproject.toml), and folders that are no heaps."""

import ast
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("cluster_runtime", "memory", "mcp_server")
LINT_IMPORTS = Path(sys.executable).parent / "lint-imports"

MOST_MODULES = 14
MOST_LINES = 500
LONGEST_CLASS = 350
GENERATED = {
    "cluster_runtime/_awaited.py",
    "cluster_runtime/_blocking.py",
    "cluster_runtime/api/client/_asked.py",
    "cluster_runtime/control/plane.py",
}
"""As long as there are operations; nobody reads them."""


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    command = [str(LINT_IMPORTS), "--no-cache", "--config", str(root / "pyproject.toml")]
    environment = {"PYTHONPATH": str(root), "NO_COLOR": "1"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def test_the_import_contracts_hold() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout
    assert " 0 broken" in done.stdout


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("module", "statement", "broken"),
    [
        ("memory/errors.py", "import mcp_server.errors", "Three packages"),
        ("memory/errors.py", "import cluster_runtime.logs", "memory knows nothing of the runtime"),
        ("cluster_runtime/logs.py", "def late():\n    import langgraph", "MCP or LangChain"),
        ("cluster_runtime/serverless/watch.py", "import cluster_runtime.control.cluster", "circle"),
        (
            "cluster_runtime/control/cluster.py",
            "import cluster_runtime.control.endpoints",
            "control:",
        ),
        ("cluster_runtime/engine/system/files.py", "import cluster_runtime.engine.home", "engine:"),
        ("cluster_runtime/gateway/wire/frames.py", "import cluster_runtime.gateway.relay", "wire"),
        ("cluster_runtime/storage/core/types.py", "import cluster_runtime.storage.disk", "core"),
        (
            "cluster_runtime/storage/core/quorum.py",
            "import cluster_runtime.storage.core.policy",
            "core:",
        ),
        ("memory/database/steps.py", "import memory.encoding.ids", "memory: what agents use"),
        ("memory/newcomer.py", "", "memory: what agents use"),
        ("mcp_server/errors.py", "import mcp_server.tools", "mcp_server: the command line"),
        ("mcp_server/nl2sql/grammar/draft.py", "import mcp_server.nl2sql.choosing", "nl2sql: from"),
    ],
)
def test_an_import_that_points_upwards_breaks_a_contract(
    copied: Path, module: str, statement: str, broken: str
) -> None:
    with (copied / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{statement}\n")
    done = lint_imports(copied)
    assert done.returncode == 1, done.stdout + done.stderr
    assert any(broken in line for line in done.stdout.splitlines() if "BROKEN" in line), done.stdout


def test_no_folder_of_a_package_is_a_heap() -> None:
    modules = Counter(
        str(path.parent.relative_to(ROOT)) for path in sources() if path.name != "__init__.py"
    )
    heaps = {folder: number for folder, number in modules.items() if number > MOST_MODULES}
    assert heaps == {}


def test_no_file_and_no_class_is_too_long_to_read() -> None:
    files, classes = set[str](), set[str]()
    for path in sources():
        name, text = str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
        if name in GENERATED:
            continue
        if text.count("\n") > MOST_LINES:
            files.add(name)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef):
                first, last = node.lineno, node.end_lineno
                if last is not None and last - first >= LONGEST_CLASS:
                    classes.add(f"{name}: {node.name}")
    assert not files
    assert not classes
