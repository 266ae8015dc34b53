"""The direction of imports (docs/architecture.md): mcp_server -> memory -> cluster_runtime.

Of the runtime, memory knows the root of all errors alone: it works on any PostgreSQL.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "cluster_runtime": set[str](),
    "memory": {"cluster_runtime"},
    "mcp_server": {"memory", "cluster_runtime"},
}
UNKNOWN_TO = {
    "cluster_runtime": {"mcp", "langchain", "langchain_core", "langgraph", "langchain_postgres"},
    "memory": {"mcp"},
}


def imported_packages(source: Path) -> set[str]:
    """First components of every absolute import in a file, lazy ones included."""
    names = set[str]()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        match node:
            case ast.Import():
                names |= {alias.name.partition(".")[0] for alias in node.names}
            case ast.ImportFrom(level=0, module=str(module)):
                names.add(module.partition(".")[0])
    return names


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_never_point_upwards(package: str) -> None:
    forbidden = (set(MAY_IMPORT) - MAY_IMPORT[package] - {package}) | UNKNOWN_TO.get(package, set())
    sources = sorted((ROOT / package).rglob("*.py"))
    assert sources
    offenders = {
        str(path.relative_to(ROOT)): bad
        for path in sources
        if (bad := imported_packages(path) & forbidden)
    }
    assert not offenders


def test_memory_knows_nothing_of_the_runtime_but_its_errors() -> None:
    known = {
        node.module
        for path in (ROOT / "memory").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("cluster_runtime")
    }
    assert known == {"cluster_runtime.errors", "cluster_runtime.wording"}
