"""The parameters that several tools share, described once, and what to say when one is wrong."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, WithJsonSchema

from mcp_server.rows import ROWS_MAX

CLUSTER_PARAMETER = "cluster"
CONFIRMATION_PARAMETER = "confirmation"
DATABASE_PARAMETER = "database"

ClusterName = Annotated[
    str,
    Field(description="Cluster identifier"),
]
DatabaseName = Annotated[
    str | None,
    Field(description="Default: the cluster's own"),
]
RowLimit = Annotated[int, Field(ge=1, le=ROWS_MAX, description="Most rows to return")]
TimeoutSeconds = Annotated[
    float,
    Field(gt=0, le=600, description="Then the SQL is cancelled"),
]
Parameters = Annotated[
    list[str | int | float | bool | list[object] | dict[str, object] | None],
    Field(
        description="Values of $1, $2, ... in the SQL. A list is an array where the SQL takes one, "
        "else JSON",
    ),
    WithJsonSchema({"type": "array", "items": {}}),
]


Confirmation = Annotated[str | None, Field(description="Token that an unconfirmed call gave")]


def one_of(databases: Sequence[str]) -> Any:
    """The type of an argument that names one of the databases that a server reads."""
    return Annotated[
        Literal[tuple(databases)],
        Field(description="The database to read, one of those that this server was started with"),
    ]


def explain_arguments(tool: str, error: ValidationError, known: Iterable[str]) -> str:
    """One sentence for each argument that is wrong, without echoing long values."""
    names = list(known)
    return " ".join(
        _explain(tool, problem["loc"], problem["type"], problem["msg"], names)
        for problem in error.errors(include_input=False, include_url=False)
    )


def _explain(
    tool: str, place: tuple[int | str, ...], kind: str, message: str, known: list[str]
) -> str:
    name = str(place[0]) if place else "arguments"
    match kind:
        case "missing":
            return f"{tool} needs the argument {name!r}."
        case "extra_forbidden":
            near = get_close_matches(name, known, n=1)
            hint = (
                f"did you mean {near[0]!r}?" if near else f"it takes {', '.join(known) or 'none'}."
            )
            return f"{tool} has no argument {name!r}; {hint}"
        case _:
            return f"{tool}: the argument {name!r} is wrong: {message}."
