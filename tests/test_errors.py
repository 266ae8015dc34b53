"""One root for all errors: a code, whether a retry helps, and who sees it."""

import ast
import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

import pytest
from botocore.loaders import Loader

import cluster_runtime
import mcp_server
import memory
from cluster_runtime.errors import (
    Audience,
    BorealisError,
    ClusterClosedError,
    ClusterNotFoundError,
    DeletionProtectedError,
    EngineNotFoundError,
    InvalidClusterStateError,
    InvalidParameterError,
    QuorumLostError,
    StaleEpochError,
    StateDirectoryInUseError,
)
from cluster_runtime.wording import Hint, Operation
from mcp_server.errors import McpServerError, ScopeError
from mcp_server.nl2sql.errors import ModelError, ModelUnavailableError, NL2SQLError, RefusedError
from memory.errors import (
    AgentMemoryError,
    ConfigurationError,
    OperationTimeoutError,
    TypeNotAllowedError,
)

ROOT = Path(__file__).parent.parent
INTERNAL = {
    "AbandonedError": "nobody waits for the work that it ends",
    "IssuerError": "a log says it; the token opens nothing",
    "TokenRefusedError": "a log says why; the client is asked for another token",
    "UnknownKeyError": "the issuer's keys are read again",
    "RepeatedKeyError": "the document's text is sent instead",
    "NotPossibleError": "a diagnosis names the check that was not possible, and why",
    "AskFirst": "the server asks the client's person, and the client calls again",
    "UnreadableHistoryError": "what was measured is put aside, and an event says so",
    "UnavailableError": "who chooses what holds servers catches it, and takes the next means",
    "ClientLeftError": "the session that raises it catches it",
    "InstanceGoneError": "the gateway asks again, or tells the client in PostgreSQL's words",
    "KilledError": "the simulated disk ends a process of the simulation",
    "LexicalError": "the guard makes it a refusal",
    "NewerFormatError": "the vault says which object of a backup it is",
    "NotRestorableError": "a restore is refused with the times that are restorable",
    "ObjectMissingError": "the vault says which object is missing, or begins there",
    "UnsealableError": "the vault says which object is damaged",
    "UploadStoppedError": "an upload ends because its volume is closed",
    "_LeftError": "whoever asked for a restore has left",
    "CallerLeftError": "nobody waits for the answer to a request",
    "NotReadError": "a diagnosis says which statement it did not look at, and why",
    "ExpressionError": "semantics refuse the document, and say where",
    "NoReadError": "the guard makes it a refusal",
    "NoJoinError": "another reading of the question is tried",
    "ProtocolError": "the gateway answers it in PostgreSQL's words",
    "ProtocolViolationError": "the WAL service closes the connection",
    "ReplyNeeded": "the server asks its client, and runs the tool again",
    "ScramError": "the handshake refuses the client",
    "TreeError": "the guard makes it a refusal",
    "Violation": "the simulation found that an invariant does not hold",
}
"""Signals that no caller sees: raised and caught within one part."""

COMMON_CODES = {"InternalFailure", "InvalidParameterValue", "InvalidParameterCombination"}


def every_module(package: ModuleType) -> list[ModuleType]:
    """Those of a package that need no extra to be imported, and are no program."""
    return [
        importlib.import_module(each.name)
        for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if not each.name.endswith("__main__")
    ]


def every_error() -> list[type[BorealisError]]:
    found: list[type[BorealisError]] = []
    kinds: list[type[BorealisError]] = [BorealisError]
    while kinds:
        found.append(kinds.pop())
        kinds += found[-1].__subclasses__()
    return [kind for kind in found if not kind.__module__.startswith("tests")]


@pytest.mark.parametrize("package", [cluster_runtime, memory, mcp_server])
def test_every_error_of_a_package_descends_from_the_root(package: ModuleType) -> None:
    astray = {
        value.__name__
        for module in every_module(package)
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, BaseException)
        and value.__module__ == module.__name__
        and not issubclass(value, BorealisError)
    }
    assert astray <= set(INTERNAL)


def test_the_signals_that_are_no_errors_are_still_there() -> None:
    defined = {
        node.name
        for package in ("cluster_runtime", "memory", "mcp_server")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    }
    assert set(INTERNAL) <= defined


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_an_error_says_its_code_whether_a_retry_helps_and_who_sees_it(
    kind: type[BorealisError],
) -> None:
    shapes = Loader().load_service_model("rds", "service-2")["shapes"].values()
    codes = {shape["error"]["code"] for shape in shapes if "code" in shape.get("error", {})}
    assert kind.code in codes | COMMON_CODES
    assert isinstance(kind.retry_helps, bool)
    assert kind.seen_by
    assert kind.__doc__


RETRIES = [
    (InvalidClusterStateError, True),
    (ClusterClosedError, False),
    (DeletionProtectedError, False),
    (QuorumLostError, True),
    (StaleEpochError, False),
    (EngineNotFoundError, False),
    (InvalidParameterError, False),
    (ConfigurationError, False),
    (OperationTimeoutError, True),
    (RefusedError, False),
    (ModelError, True),
    (ModelUnavailableError, False),
]


@pytest.mark.parametrize(("kind", "helps"), RETRIES)
def test_whether_a_retry_helps(kind: type[BorealisError], helps: bool) -> None:
    assert kind.retry_helps is helps


def test_who_sees_it() -> None:
    assert StateDirectoryInUseError.seen_by is Audience.HOST
    assert ScopeError.seen_by is Audience.HOST
    assert Audience.DATABASE_CLIENT in ClusterClosedError.seen_by
    assert Audience.DATABASE_CLIENT not in DeletionProtectedError.seen_by
    assert Audience.CALLER in ClusterNotFoundError.seen_by


@pytest.mark.parametrize("kind", [AgentMemoryError, McpServerError, NL2SQLError])
def test_an_error_of_the_upper_packages_speaks_as_the_root_does(kind: type[BorealisError]) -> None:
    error = kind("it is so", Hint("{} helps", Operation("start_db_cluster", "notes")))
    assert str(error) == "it is so; start_db_cluster('notes') helps"
    with pytest.raises(BorealisError):
        raise error


def test_an_error_stays_what_it_was_besides() -> None:
    assert issubclass(ConfigurationError, ValueError)
    assert issubclass(OperationTimeoutError, TimeoutError)
    assert TypeNotAllowedError("no", refused=("a", "B")).refused == ("a", "B")
    assert str(OperationTimeoutError("one", " and", " more")) == "one and more"
