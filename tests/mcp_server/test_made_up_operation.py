"""An operation that one declaration adds: it is in every place that offers operations.

The places are the real ones: the generated classes over a real loop thread, the real command line.
"""

import inspect
import types
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import pytest
import typer
from typer.testing import CliRunner

from cluster_runtime import ServerlessScaling
from cluster_runtime.control.loop_thread import LoopThread
from cluster_runtime.control.operations import OPERATIONS, Request, operation
from cluster_runtime.control.operations.declaration import RDS_HAS_NONE, Changes, Earlier
from cluster_runtime.control.operations.generate import awaited, blocking, plane
from cluster_runtime.control.operations.inputs import arguments, inputs
from cluster_runtime.control.operations.table import reference
from cluster_runtime.control.operations.types import EVENTS, ClusterReference
from cluster_runtime.control.records.fields import SECRET
from cluster_runtime.control.records.model import Event
from cluster_runtime.control.records.resources import Tag
from cluster_runtime.control.records.rules import Range
from cluster_runtime.errors import ClusterNotFoundError, InvalidParameterError
from mcp_server.cli import operation_commands
from mcp_server.wording import NO_COMMANDS, option_of

Gauge = Literal["fine", "coarse"]


@operation(
    "ReticulateDBSplines",
    of="Spline",
    returns=EVENTS,
    raises=(ClusterNotFoundError, InvalidParameterError),
    ours=True,
)
@dataclass(frozen=True, slots=True)
class ReticulateDBSplines(Request):
    """Reticulate the splines of a cluster.

    It takes a while.

    spline_count: how many splines to reticulate.
    gauge: how fine they become.
    capacity: range of capacity meanwhile.
    pass_phrase: what the splines listen to.
    dry_run: only say what would be done.
    """

    db_cluster_identifier: ClusterReference
    _: KW_ONLY
    spline_count: Annotated[int, Range(1, 99)]
    gauge: Annotated[Gauge, Earlier("grain")] = "fine"
    capacity: Annotated[ServerlessScaling | None, Changes("scaling")] = None
    pass_phrase: Annotated[str | None, SECRET] = field(default=None, repr=False)
    dry_run: Annotated[bool, RDS_HAS_NONE] = False


DECLARED = ReticulateDBSplines.declared
WITH_IT = (*OPERATIONS, DECLARED)
PARAMETERS = [
    *("db_cluster_identifier", "spline_count", "gauge", "capacity", "pass_phrase", "dry_run"),
]


class Service:
    """Performs it, by noting what was asked."""

    def __init__(self) -> None:
        self.asked: list[ReticulateDBSplines] = []

    async def reticulate_db_splines(self, request: ReticulateDBSplines) -> list[Event]:
        self.asked.append(request)
        now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        said = f"{request.spline_count} reticulated"
        return [Event(request.db_cluster_identifier, "db-cluster", said, ("splines",), now)]


def loaded(source: str, name: str) -> Any:
    """The class of a generated module."""
    module = types.ModuleType("made_up")
    exec(compile(source, "made_up.py", "exec"), module.__dict__)
    return getattr(module, name)


class Home:
    """Performs operations as the home of a `Runtime` does."""

    def __init__(self, thread: LoopThread, service: Service) -> None:
        self._thread = thread
        self._service = service

    def call(self, request: Request) -> Any:
        return self._thread.call(getattr(self._service, request.declared.method)(request))

    async def acall(self, request: Request) -> Any:
        return await self._thread.acall(getattr(self._service, request.declared.method)(request))


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def offering(service: Service) -> Iterator[Any]:
    """An object of a generated class over a real loop, as `Runtime` is one."""
    thread = LoopThread("made-up")

    def make(kind: Any) -> Any:
        made = kind()
        made._home = Home(thread, service)
        return made

    yield make
    thread.close()


def test_it_appears_in_runtime(offering: Any, service: Service) -> None:
    kind = loaded(blocking(WITH_IT), "BlockingOperations")
    (event,) = offering(kind).reticulate_db_splines("notes", spline_count=3, gauge="coarse")
    assert event.message == "3 reticulated"
    assert service.asked == [ReticulateDBSplines("notes", spline_count=3, gauge="coarse")]
    with pytest.raises(InvalidParameterError, match="spline_count is 100; it must be from 1 to 99"):
        offering(kind).reticulate_db_splines("notes", spline_count=100)
    with pytest.warns(DeprecationWarning, match="grain"):
        offering(kind).reticulate_db_splines("notes", spline_count=3, grain="fine")
    assert len(service.asked) == 2


async def test_it_appears_in_async_runtime(offering: Any, service: Service) -> None:
    kind = loaded(awaited(WITH_IT), "AwaitedOperations")
    (event,) = await offering(kind).reticulate_db_splines("notes", spline_count=4)
    assert event.message == "4 reticulated"
    assert [one.gauge for one in service.asked] == ["fine"]


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (blocking, "BlockingOperations"),
        (awaited, "AwaitedOperations"),
        (plane, "ControlPlane"),
    ],
)
def test_it_has_a_signature_and_words_in_each(make: Any, name: str) -> None:
    method = loaded(make(WITH_IT), name).reticulate_db_splines
    _, *parameters = inspect.signature(method).parameters.values()
    assert [one.name for one in parameters] == PARAMETERS
    assert [one.kind is one.KEYWORD_ONLY for one in parameters] == [False] + [True] * 5
    hints = get_type_hints(inspect.unwrap(method))
    assert hints["spline_count"] is int
    assert hints["gauge"] == Gauge
    assert hints["capacity"] == ServerlessScaling | None
    assert hints["return"].__args__ == (Event,)
    said = inspect.getdoc(method)
    assert said is not None
    assert said.startswith("Reticulate the splines of a cluster.\n\nIt takes a while.\n\n")
    assert "spline_count: how many splines to reticulate." in said
    assert said.endswith("Raises ClusterNotFoundError, InvalidParameterError.")
    kind = loaded(make(WITH_IT), name)
    assert [one.method for one in OPERATIONS if not hasattr(kind, one.method)] == []


def test_it_appears_in_the_documentation() -> None:
    page = reference(WITH_IT)
    assert "## Spline\n" in page
    assert "### reticulate_db_splines\n" in page
    assert "(ours alone)" in page
    row = "| `spline_count` | `int` | required | How many splines to reticulate. A number from 1"
    assert row in page
    kind = '`Literal["fine", "coarse"]`'
    assert f"| `gauge` | {kind} | `'fine'` | How fine they become. |" in page
    assert "What the splines listen to. Secret." in page
    assert page.startswith(reference(OPERATIONS).partition("## ServerlessScaling")[0])


# The command line.


class Borealis:
    """The commands of a made-up application over a made-up runtime."""

    def __init__(self, runtime: Any) -> None:
        self.app = typer.Typer()

        @contextmanager
        def opened(state_dir: Path) -> Iterator[Any]:
            assert state_dir == Path("/made/up")
            yield runtime

        state_dir = inspect.Parameter(
            "state_dir", inspect.Parameter.KEYWORD_ONLY, default=Path("/made/up"), annotation=Path
        )
        groups = defaultdict(typer.Typer, {"": self.app})
        operation_commands.add_commands(groups, opened, state_dir, WITH_IT)

    def __call__(self, *line: str) -> Any:
        return CliRunner().invoke(self.app, line, env={"COLUMNS": "200"})


@pytest.fixture
def borealis(offering: Any) -> Borealis:
    runtime = offering(loaded(blocking(WITH_IT), "BlockingOperations"))
    facts = types.SimpleNamespace(scaling=ServerlessScaling(0, 16, 60))
    runtime.cluster = lambda name: types.SimpleNamespace(describe=lambda: facts)
    return Borealis(runtime)


def test_it_appears_on_the_command_line(borealis: Borealis, service: Service) -> None:
    listed = borealis("--help")
    assert "reticulate-db-splines" in listed.output
    assert "Reticulate the splines of a cluster." in listed.output
    helped = borealis("reticulate-db-splines", "--help").output
    for option in ("--spline-count", "--gauge", "--dry-run", "--min-capacity", "--auto-pause"):
        assert option in helped
    assert "How many splines to reticulate." in helped
    assert "--pass-phrase-file" in helped
    assert "--no-dry-run" not in helped
    assert service.asked == []


def test_its_command_performs_it(borealis: Borealis, service: Service, tmp_path: Path) -> None:
    phrase = tmp_path / "phrase"
    phrase.write_text("open sesame\n", encoding="utf-8")
    done = borealis(
        *("reticulate-db-splines", "notes", "--spline-count", "7", "--gauge", "coarse"),
        *("--max-capacity", "4", "--pass-phrase-file", str(phrase), "--dry-run", "--json"),
    )
    assert done.exit_code == 0, done.output
    assert service.asked == [
        ReticulateDBSplines(
            "notes",
            spline_count=7,
            gauge="coarse",
            capacity=ServerlessScaling(0, 4, 60),
            pass_phrase="open sesame",
            dry_run=True,
        )
    ]


@pytest.mark.parametrize(
    "line",
    [
        [],
        ["notes"],
        ["notes", "--spline-count", "many"],
        ["notes", "--spline-count", "3", "--gauge", "rough"],
        ["notes", "--spline-count", "3", "--pass-phrase", "open sesame"],
        ["notes", "--spline-count", "3", "more"],
    ],
)
def test_its_command_refuses_what_is_no_option_or_value_of_it(
    borealis: Borealis, service: Service, line: list[str]
) -> None:
    assert borealis("reticulate-db-splines", *line).exit_code == 2
    assert service.asked == []


def test_what_there_is_any_number_of_is_an_option_that_may_be_repeated() -> None:
    asked: list[dict[str, Any]] = []
    borealis = Borealis(
        types.SimpleNamespace(
            add_tags_to_resource=lambda **given: asked.append(given),
            remove_tags_from_resource=lambda **given: asked.append(given),
        )
    )
    lines = [
        ["add-tags-to-resource", "--resource-name", "arn", "--tag", "a=1=2", "--tag", "b"],
        ["remove-tags-from-resource", "--resource-name", "arn", "--tag-key", "a"],
    ]
    for line in lines:
        assert borealis(*line).exit_code == 0
    assert asked == [
        {"resource_name": "arn", "tags": (Tag("a", "1=2"), Tag("b"))},
        {"resource_name": "arn", "tag_keys": ("a",)},
    ]
    assert borealis("add-tags-to-resource", "--resource-name", "arn").exit_code == 2
    reserved = borealis("add-tags-to-resource", "--resource-name", "arn", "--tag", "aws:a=1")
    assert isinstance(reserved.exception, InvalidParameterError)


def test_a_secret_that_cannot_be_read_is_an_error_that_names_the_option(
    borealis: Borealis, service: Service, tmp_path: Path
) -> None:
    missing = str(tmp_path / "missing")
    done = borealis(
        "reticulate-db-splines", "notes", "--spline-count", "3", "--pass-phrase-file", missing
    )
    assert "for --pass-phrase-file" in str(done.exception)
    assert service.asked == []


def test_what_is_no_command_is_none() -> None:
    borealis = Borealis(None)
    assert set(NO_COMMANDS) < {one.method for one in OPERATIONS}
    names = [method.replace("_", "-") for method in NO_COMMANDS]
    assert [name for name in names if borealis(name, "--help").exit_code != 2] == []


# What is asked for.


def test_a_structure_is_asked_for_by_its_members() -> None:
    asked = inputs(DECLARED)
    assert [one.name for one in asked] == [
        *("db_cluster_identifier", "spline_count", "gauge"),
        *("min_capacity", "max_capacity", "seconds_until_auto_pause"),
        *("pass_phrase", "dry_run"),
    ]
    assert [option_of(one) for one in asked[3:7]] == [
        *("--min-capacity", "--max-capacity", "--auto-pause", "--pass-phrase-file")
    ]
    assert [one.default for one in asked[3:6]] == [None, None, None]


def no_facts(field: str) -> Any:
    raise AssertionError(f"nobody needs {field}")


def test_a_structure_of_which_nothing_is_given_stays_away() -> None:
    given = {"db_cluster_identifier": "x", "spline_count": 1, "min_capacity": None}
    assert arguments(DECLARED, given, no_facts) == {
        "db_cluster_identifier": "x",
        "spline_count": 1,
    }


def test_a_structure_of_which_a_part_is_given_keeps_the_rest() -> None:
    before = ServerlessScaling(1, 8, 900)
    given = {"db_cluster_identifier": "x", "min_capacity": 0.0}
    made = arguments(DECLARED, given, {"scaling": before}.__getitem__)
    assert made["capacity"] == ServerlessScaling(0, 8, 900)
