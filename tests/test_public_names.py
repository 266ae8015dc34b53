"""What is public: where it may be imported from, and what its documentation says."""

import ast
import builtins
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import psycopg_pool
import pytest
from mcp.server.auth import provider

import borealis

ROOT = Path(__file__).parent.parent
LOWER = ("cluster_runtime", "memory")
# What the tools and the command line may use of the packages below them, beside the names in
# `__all__`: nouns, errors and their words, what describes a cluster, formats of log files, spans;
# rules of scaling and what they make of a load, which need no cluster.
PUBLIC_MODULES = {
    "cluster_runtime.engine.diagnosis",
    "cluster_runtime.control.records.fields",
    "cluster_runtime.control.records.model",
    "cluster_runtime.control.operations",
    "cluster_runtime.control.plane",
    "cluster_runtime.control.records.options",
    "cluster_runtime.control.records.rules",
    "cluster_runtime.control.records.recovery.backups",
    "cluster_runtime.control.records.recovery.rewinds",
    "cluster_runtime.engine.access.roles",
    "cluster_runtime.diff.results",
    "cluster_runtime.errors",
    "cluster_runtime.host.background",
    "cluster_runtime.host.log_file",
    "cluster_runtime.host.log_limits",
    "cluster_runtime.host.serving",
    "cluster_runtime.api.calls",
    "cluster_runtime.api.protocols.codec",
    "cluster_runtime.serverless.capacity",
    "cluster_runtime.serverless.enforcement.means",
    "cluster_runtime.serverless.host_capacity",
    "cluster_runtime.serverless.options",
    "cluster_runtime.serverless.scaling",
    "cluster_runtime.serverless.simulator",
    "cluster_runtime.serverless.metering.bill",
    "cluster_runtime.serverless.metrics",
    "cluster_runtime.storage.core.batch",
    "cluster_runtime.storage.core.policy.scrub",
    "cluster_runtime.storage.core.quorum",
    "cluster_runtime.storage.core.types",
    "cluster_runtime.storage.core.wal_records",
    "cluster_runtime.storage.description",
    "cluster_runtime.storage.disk.device",
    "cluster_runtime.storage.disk.log_files",
    "cluster_runtime.tracing",
    "cluster_runtime.wording",
    "memory.database.schema",
    "memory.errors",
    "memory.migrate",
}


def imports(source: Path) -> Iterator[tuple[str, str]]:
    """(module, name) of every `from ... import` in a file."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)


def test_the_tools_and_the_command_line_import_public_names_only() -> None:
    offenders = []
    for source in sorted((ROOT / "mcp_server").rglob("*.py")):
        for module, name in imports(source):
            package = module.partition(".")[0]
            if package not in LOWER or module.endswith(".moved"):
                continue
            known = name in __import__(package).__all__ if module == package else False
            places = {module, f"{module}.{name}"}
            within = any(
                place == public or place.startswith(f"{public}.")
                for place in places
                for public in PUBLIC_MODULES
            )
            if not (known or within) or name.startswith("_"):
                offenders.append(f"{source.relative_to(ROOT)}: {module}.{name}")
    assert offenders == []


def public_functions() -> Iterator[Any]:
    """Public functions, and the methods that public classes define."""
    for name in borealis.__all__:
        found = getattr(borealis, name)
        if inspect.isfunction(found):
            yield pytest.param(found, found, id=name)
        elif inspect.isclass(found):
            for method, value in vars(found).items():
                function = getattr(value, "__func__", getattr(value, "fget", value))
                if inspect.isfunction(function) and not method.startswith("_"):
                    yield pytest.param(function, found, id=f"{name}.{method}")


def raised_by(function: Any) -> set[str]:
    """The errors that a function raises in its own body."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    calls = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc]
    return {
        call.func.id
        for call in calls
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id[0].isupper()
    }


@pytest.mark.parametrize(("function", "owner"), list(public_functions()))
def test_public_functions_say_what_they_raise(function: Any, owner: Any) -> None:
    said = (function.__doc__ or "") + (owner.__doc__ or "")
    assert function.__doc__, "no docstring"
    assert {error for error in raised_by(function) if error not in said} == set()


def test_there_are_public_functions() -> None:
    assert len(list(public_functions())) > 80


def test_the_errors_that_documentation_names_exist() -> None:
    known = {
        "MCPError",
        "ResourceError",
        "ToolError",
        *dir(builtins),
        *dir(provider),
        *dir(psycopg),
        *dir(psycopg.errors),
        *dir(psycopg_pool),
    }
    said: dict[str, set[str]] = {}
    for package in ("borealis", *LOWER, "mcp_server"):
        for source in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ClassDef):
                    known.add(node.name)
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                    for clause in re.findall(r"[Rr]aises? ([^.]*)", ast.get_docstring(node) or ""):
                        for error in re.findall(r"\b[A-Z]\w*(?:Error|Needed|Timeout)\b", clause):
                            said.setdefault(error, set()).add(f"{source.name}: {node.name}")
    assert len(said) > 30
    assert {error: places for error, places in said.items() if error not in known} == {}
