"""Every error names what its reader has: calls in Python, commands, or tools."""

import ast
import inspect
import pickle
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors as pg
from typer.main import get_command

from cluster_runtime import ClusterHandle, Runtime, ServerlessScaling
from cluster_runtime.api.services.words import IN_RDS
from cluster_runtime.errors import (
    BorealisError,
    ClusterAlreadyExistsError,
    ClusterNotFoundError,
    DeletionProtectedError,
    SnapshotAlreadyExistsError,
)
from cluster_runtime.wording import DATABASE_CLIENT, PYTHON, Hint, Operation, Parameter
from mcp_server.cli.commands import main, whole
from mcp_server.sql_errors import sql_error_text
from mcp_server.tools import DEFINITIONS, Platform, ServerScope, bind
from mcp_server.wording import (
    ANY_CLUSTER,
    ARGUMENTS,
    COMMAND_LINE,
    COMMANDS,
    EVERY_TOOL,
    LIST_DATABASES,
    OPTIONS,
    InTools,
)
from tests.mcp_server.conftest import Tools

ROOT = Path(__file__).parent.parent.parent
OPERATIONS = {
    name: set(inspect.signature(method).parameters) - {"self", "identifier"}
    for name, method in inspect.getmembers(Runtime, inspect.isfunction)
    if not name.startswith("_") and "_" in name
}
PARAMETERS = {name for names in OPERATIONS.values() for name in names} | set(
    inspect.signature(ServerlessScaling).parameters
)
TOOLS = {
    each.name: set(bind(each, Platform(None, None), ServerScope()).parameters.get("properties", {}))  # type: ignore[arg-type]
    for each in DEFINITIONS
}
ONLY_IN_PYTHON = {name for name in {*OPERATIONS, *PARAMETERS} if "_" in name}
ONLY_IN_TOOLS = {name for name in {*TOOLS, *(a for t in TOOLS.values() for a in t)} if "_" in name}


def named(text: str, names: set[str]) -> set[str]:
    return set(re.findall(r"\w+", text)) & names


def advice(operation: Operation) -> BorealisError:
    return BorealisError("it is so", Hint("do {}", operation))


def hints() -> Iterator[Operation]:
    """Each operation as a hint may name it: bare, of a cluster, with each of its parameters."""
    for name, parameters in OPERATIONS.items():
        yield Operation(name)
        yield Operation(name, "shop")
        for parameter in sorted(parameters):
            yield Operation(name, "shop", {parameter: True})
    yield LIST_DATABASES


def every_error() -> list[type[BorealisError]]:
    found, kinds = [], [BorealisError]
    while kinds:
        found.append(kinds.pop())
        kinds += found[-1].__subclasses__()
    return sorted(found, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_an_error_of_every_class_speaks_to_each_reader_in_its_words(
    kind: type[BorealisError],
) -> None:
    error = kind(
        Parameter("seconds_until_auto_pause"),
        " is wrong",
        Hint("{} changes it", Operation("modify_db_cluster", "a b", {"max_capacity": 4})),
    )
    assert str(error) == (
        "seconds_until_auto_pause is wrong; modify_db_cluster('a b', max_capacity=4) changes it"
    )
    assert error.told(COMMAND_LINE) == (
        "--auto-pause is wrong; borealis modify 'a b' --max-capacity 4 changes it"
    )
    assert error.told(EVERY_TOOL) == (
        "seconds_until_auto_pause is wrong; no tool does that here, but a person can: "
        "borealis modify 'a b' --max-capacity 4 changes it"
    )
    assert error.told(DATABASE_CLIENT) == "seconds until auto pause is wrong"
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert again.told(COMMAND_LINE) == error.told(COMMAND_LINE)


@pytest.mark.parametrize("operation", [*hints()], ids=PYTHON.operation)
def test_a_hint_names_nothing_that_its_reader_lacks(operation: Operation) -> None:
    error = advice(operation)
    python = ONLY_IN_PYTHON - ONLY_IN_TOOLS
    for words, foreign in (
        (COMMAND_LINE, ONLY_IN_PYTHON | ONLY_IN_TOOLS),
        (EVERY_TOOL, python),
        (DATABASE_CLIENT, ONLY_IN_PYTHON | ONLY_IN_TOOLS),
    ):
        said = error.told(words)
        assert said.startswith("it is so")
        # What neither a command nor a tool does is said to be a matter of Python.
        assert named(said, foreign) == set() or "in Python, " in said


@cache
def command_tree() -> Any:
    return get_command(whole())


@pytest.mark.parametrize("operation", [*hints()], ids=PYTHON.operation)
def test_the_command_of_a_hint_is_one_that_there_is(operation: Operation) -> None:
    line = COMMAND_LINE.command(operation)
    if line is None:
        return
    words = line.split()[1:]
    command = command_tree()
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    assert not hasattr(command, "commands"), f"{line!r} is no whole command"
    known = {
        option
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }
    assert {word for word in words if word.startswith("-")} <= known


def test_every_word_of_a_door_is_one_that_its_reader_can_use() -> None:
    options: set[str] = set()
    commands = [command_tree()]
    while commands:
        one: Any = commands.pop()
        options |= {option for parameter in one.params for option in parameter.opts}
        commands += getattr(one, "commands", {}).values()
    assert {option for option in OPTIONS.values() if option.startswith("-")} <= options
    assert set(ARGUMENTS.values()) <= {name for names in TOOLS.values() for name in names}
    assert set(COMMANDS) <= {*OPERATIONS, "rewind"}  # a word in every language
    for operation in hints():
        tool = EVERY_TOOL.tool(operation)
        assert tool is None or tool.partition(" ")[0] in TOOLS


def test_a_server_names_no_tool_that_it_lacks() -> None:
    scoped = {each.name for each in DEFINITIONS if each.fits(ServerScope("shop", read_only=True))}
    words = InTools(scoped.__contains__)
    said = advice(Operation("describe_db_clusters")).told(words)
    assert "list_clusters" not in said
    assert "borealis list" in said
    assert "describe_cluster" in advice(Operation("describe_db_clusters", "shop")).told(words)


def test_a_brace_or_a_quote_in_a_name_stays_what_it_is() -> None:
    error = ClusterNotFoundError(
        "no '{0}'", Hint("{} it", Operation("stop_db_cluster", "{x}'; rm"))
    )
    assert str(error) == """no '{0}'; stop_db_cluster("{x}'; rm") it"""
    assert error.told(COMMAND_LINE) == """no '{0}'; borealis stop '{x}'"'"'; rm' it"""


SQL_ERRORS = [
    (pg.QueryCanceled, "timeout_seconds", "statement_timeout"),
    (pg.InvalidCatalogName, "list_schemas", "pg_database"),
    (psycopg.OperationalError, "describe_cluster", f"borealis describe {ANY_CLUSTER}"),
]


@pytest.mark.parametrize(("kind", "in_tools", "on_command_line"), SQL_ERRORS)
def test_an_error_of_postgresql_gets_advice_that_its_reader_can_follow(
    shop: ClusterHandle, kind: type[psycopg.Error], in_tools: str, on_command_line: str
) -> None:
    error: psycopg.Error
    if kind is psycopg.OperationalError:
        error = psycopg.OperationalError("the connection is lost")
    else:
        made = {
            pg.QueryCanceled: "set statement_timeout = '5ms'; select pg_sleep(10)",
            pg.InvalidCatalogName: "alter database nowhere set work_mem = '1MB'",
        }[kind]
        with shop.connect(autocommit=True) as connection, pytest.raises(kind) as raised:
            connection.execute(made)
        error = raised.value
    assert "; " + in_tools not in sql_error_text(error, EVERY_TOOL), "a hint after nothing"
    assert in_tools in sql_error_text(error, EVERY_TOOL)
    said = sql_error_text(error, COMMAND_LINE)
    assert on_command_line in said
    assert named(said, ONLY_IN_TOOLS) == set()


def test_a_missing_database_is_told_in_the_words_of_its_reader(shop: ClusterHandle) -> None:
    with pytest.raises(psycopg.OperationalError) as raised:
        shop.connect(dbname="nowhere")
    assert "list_schemas" in sql_error_text(raised.value, EVERY_TOOL)
    assert "list_schemas" not in (said := sql_error_text(raised.value, COMMAND_LINE))
    assert "select datname from pg_database" in said


async def test_a_cluster_that_is_not_there_is_told_by_each_door(
    runtime: Runtime, shop: ClusterHandle, tools: Tools, borealis_says: Any
) -> None:
    with pytest.raises(ClusterNotFoundError) as raised:
        runtime.cluster("shopp")
    assert str(raised.value).endswith("did you mean 'shop'? describe_db_clusters lists all of them")
    said = await tools.fails("describe_cluster", cluster="shopp")
    assert said.endswith("did you mean 'shop'? list_clusters lists all of them")
    assert borealis_says("describe", "gone").endswith("; borealis list lists all of them\n")


async def test_a_name_that_is_taken_is_told_by_each_door(
    runtime: Runtime, shop: ClusterHandle, tools: Tools
) -> None:
    so = "a cluster 'shop' exists already; use it as it is, or choose another identifier"
    with pytest.raises(ClusterAlreadyExistsError) as raised:
        runtime.create_db_cluster("shop")
    assert str(raised.value) == (
        f"{so}; create_db_cluster('shop', if_not_exists=True) takes it as it is"
    )
    command = "borealis create shop --if-not-exists"
    assert raised.value.told(COMMAND_LINE) == f"{so}; {command} takes it as it is"
    assert raised.value.told(IN_RDS) == so, "which has no such parameter"
    assert (await tools.fails("create_cluster", cluster="shop")).endswith(f": {so}")
    runtime.create_db_cluster("other")
    with pytest.raises(ClusterAlreadyExistsError) as raised:
        runtime.modify_db_cluster("other", new_db_cluster_identifier="shop")
    assert raised.value.told(COMMAND_LINE).endswith("; choose another identifier")
    runtime.create_db_cluster_snapshot("kept", "shop")
    with pytest.raises(SnapshotAlreadyExistsError) as again:
        runtime.create_db_cluster_snapshot("kept", "other")
    assert again.value.told(COMMAND_LINE) == (
        "a snapshot 'kept' exists already; use it as it is, or choose another identifier; "
        "borealis snapshot list lists all of them"
    )
    runtime.delete_db_cluster_snapshot("kept")
    runtime.delete_db_cluster("other")


@pytest.mark.parametrize(
    "unknown",
    [
        lambda runtime: runtime.cluster("nots"),
        lambda runtime: runtime.describe_db_instances("nots"),
        lambda runtime: runtime.describe_db_cluster_snapshots(
            db_cluster_snapshot_identifier="nots"
        ),
        lambda runtime: runtime.delete_db_cluster_endpoint("nots"),
        lambda runtime: runtime.describe_db_cluster_parameter_groups("nots"),
        lambda runtime: runtime.list_tags_for_resource("arn:aws:rds:us-east-1:1:db:nots"),
    ],
)
def test_what_is_not_there_is_told_without_the_runtime_which_people_do_not_know(
    runtime: Runtime, unknown: Callable[[Runtime], object]
) -> None:
    with pytest.raises(BorealisError) as raised:
        unknown(runtime)
    said = raised.value.told(COMMAND_LINE)
    assert "'nots'" in said
    assert "runtime" not in said
    assert said.endswith("lists all of them")


async def test_a_protected_cluster_is_told_by_each_door(runtime: Runtime, tools: Tools) -> None:
    runtime.create_db_cluster("kept", deletion_protection=True)
    with pytest.raises(DeletionProtectedError) as raised:
        runtime.delete_db_cluster("kept")
    assert "modify_db_cluster('kept', deletion_protection=False)" in str(raised.value)
    command = "borealis modify kept --no-deletion-protection"
    assert raised.value.told(COMMAND_LINE).endswith(f"switch that off first with {command}")
    said = await tools.fails("delete_cluster", cluster="kept")
    assert said.endswith(f"a person can: switch that off first with {command}")
    runtime.modify_db_cluster("kept", deletion_protection=False)
    runtime.delete_db_cluster("kept")


async def test_a_stopped_cluster_is_told_by_each_door(
    runtime: Runtime, tools: Tools, borealis_says: Any
) -> None:
    cluster = runtime.create_db_cluster("asleep")
    runtime.stop_db_cluster("asleep")
    with pytest.raises(BorealisError, match=r"start it with start_db_cluster\('asleep'\)"):
        cluster.dsn()
    with pytest.raises(BorealisError, match=r"start it with start_db_cluster\('asleep'\)"):
        runtime.pause_db_cluster("asleep")
    said = await tools.fails("run_query", cluster="asleep", sql="select 1")
    assert said.endswith("a person can: start it with borealis start asleep")
    runtime.delete_db_cluster("asleep")


def test_a_gateway_that_is_off_is_told_by_each_door(runtime: Runtime) -> None:
    cluster = runtime.create_db_cluster("shut")
    runtime.modify_db_cluster("shut", internet_access_gateway_enabled=False)
    with pytest.raises(BorealisError) as raised:
        cluster.dsn()
    call = "switch it on with modify_db_cluster('shut', internet_access_gateway_enabled=True)"
    assert str(raised.value).endswith(call)
    command = "borealis modify shut --gateway"
    assert raised.value.told(COMMAND_LINE).endswith(f"; switch it on with {command}")
    runtime.delete_db_cluster("shut")


def test_wrong_settings_are_told_as_options(borealis_says: Any) -> None:
    said = borealis_says("create", "x", "--max-capacity", "1.3")
    assert said.startswith("error: --max-capacity is 1.3 ACU; ")
    said = borealis_says("create", "x", "--min-capacity", "4", "--max-capacity", "2")
    assert said == (
        "error: --max-capacity is 2 ACU; it must be at least 1 and not below --min-capacity, "
        "which is 4\n"
    )
    assert borealis_says("create", "x", "--auto-pause", "0").startswith("error: --auto-pause is 0;")


def test_a_change_of_nothing_is_told_as_options(borealis_says: Any) -> None:
    said = borealis_says("modify", "x")
    assert said.startswith("error: nothing to change is given; what can be: --rename, ")
    assert "--max-capacity, --auto-pause, " in said


@pytest.fixture
def borealis_says(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, state_dir: Path
) -> Any:
    """What a command that fails prints on standard error."""
    monkeypatch.setenv("BOREALIS_STATE_DIR", str(state_dir / "wording"))
    monkeypatch.setattr("mcp_server.cli.foreground.end_in_good_order", lambda: None)

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        assert ended.value.code == 1
        return capfd.readouterr().err

    return run


def prose(source: Path) -> Iterator[tuple[int, str]]:
    """The sentences of a module that somebody may read, its docstrings left out."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if " " in text and id(node) not in documentation:
                yield node.lineno, text


SQL = re.compile(
    r"\b(select|insert|create|alter|update|delete|pragma|grant)\b[^;]*\b(from|into|"
    r"table|set|role|database|function|on)\b",
    re.I,
)
READ_BY_TOOLS_ALONE = {
    *("results.py", "server.py", "sessions.py", "databases", "tools", "toolkit", "offers", "demo")
}


@pytest.mark.parametrize("package", ["cluster_runtime", "memory", "mcp_server"])
def test_no_text_has_the_name_of_a_call_or_a_tool_written_into_it(package: str) -> None:
    names = ONLY_IN_PYTHON | ONLY_IN_TOOLS
    offenders = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in (ROOT / package).rglob("*.py")
        if not {*path.relative_to(ROOT / package).parts} & (READ_BY_TOOLS_ALONE | {"wording.py"})
        for line, text in prose(path)
        if named(text, names) and not SQL.search(text)
    ]
    assert offenders == []


def messages(source: Path) -> Iterator[list[ast.expr]]:
    """The parts of what a module raises."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield node.args


def ends_with(part: ast.expr) -> str:
    match part:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=[*_, ast.Constant(value=str(text))]):
            return text
    return ""


def test_what_else_could_be_given_is_a_hint_which_some_readers_do_not_get() -> None:
    """A parameter in its place is told to those as well who have none of that name."""
    offenders = [
        f"{path.relative_to(ROOT)}:{after.lineno}"
        for path in (ROOT / "cluster_runtime").rglob("*.py")
        for parts in messages(path)
        for before, after in pairwise(parts)
        if isinstance(after, ast.Call)
        and isinstance(after.func, ast.Name)
        and after.func.id == "Parameter"
        and re.search(r"(, or|; (give|try|use|pass|set|raise)) $", ends_with(before))
    ]
    assert offenders == []


EVERY_ARGUMENT = {argument for arguments in TOOLS.values() for argument in arguments}


@pytest.mark.parametrize("folder", sorted(READ_BY_TOOLS_ALONE - {"demo"}))
def test_a_text_for_tools_names_no_argument_that_they_lack(folder: str) -> None:
    place = ROOT / "mcp_server" / folder
    for path in [place] if place.suffix else sorted(place.rglob("*.py")):
        for line, text in prose(path):
            if SQL.search(text):
                continue
            where = f"{path.relative_to(ROOT)}:{line}: {text}"
            tools = named(text, set(TOOLS))
            known = {each for tool in tools for each in TOOLS[tool]} if tools else EVERY_ARGUMENT
            said = re.findall(r"\b([a-z_]{2,})=(?=[\"'{]|$)", text)
            assert set(said) <= known | {"confirmation"}, where
            words = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", text))
            assert not words & (ONLY_IN_PYTHON - {*EVERY_ARGUMENT, *TOOLS}), where


async def test_a_time_that_is_out_of_reach_is_told_to_each_reader(
    runtime: Runtime, shop: ClusterHandle, tools: Tools
) -> None:
    call = {"cluster": "shop", "new_cluster": "then", "time": "2999-01-01T00:00:00Z"}
    said = await tools.fails("restore_to_time", **call)
    assert "is yet to come; choose a time that is past" in said
    assert "latest restorable time" not in said
    with pytest.raises(BorealisError) as raised:
        runtime.restore_db_cluster_to_point_in_time(
            "then", "shop", restore_to_time=datetime.fromisoformat("2999-01-01T00:00:00Z")
        )
    assert "borealis restore --latest takes the latest" in raised.value.told(COMMAND_LINE)
