"""`borealis semantics`: what words mean in a database, shown, set, suggested, taught."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mcp_server.cli import console
from mcp_server.cli.options import STATE_DIR, AsJson, Name, StateDir

if TYPE_CHECKING:
    from cluster_runtime import Runtime
    from mcp_server.nl2sql import SemanticLayer

Opened = Callable[[Path], "AbstractContextManager[Runtime]"]
Action = Literal["show", "set", "suggest", "remove", "teach", "forget"]


def add_commands(app: typer.Typer, opened: Opened) -> None:
    """Add it. opened: gives the runtime of a state directory."""

    @app.command()
    def semantics(
        name: Name,
        action: Annotated[
            Action,
            typer.Argument(
                help="show what is kept; set FILE (- is standard input); suggest a document; "
                "remove it; teach the last answer of ask, or QUESTION SQL; forget QUESTION."
            ),
        ] = "show",
        given: Annotated[list[str] | None, typer.Argument(metavar="[FILE|QUESTION] [SQL]")] = None,
        state_dir: StateDir = STATE_DIR,
        database: Annotated[str | None, typer.Option(help="Database that it is about.")] = None,
        as_json: AsJson = False,
    ) -> None:
        """Say what words of questions mean: metrics, synonyms, codes, filters, hidden tables."""
        from mcp_server.questions import layer_of

        words = given or []
        _expect(action, words)
        with opened(state_dir) as runtime:
            cluster = runtime.cluster(name)
            layer = layer_of(cluster, database)
            match action:
                case "show":
                    _show(layer, as_json=as_json)
                case "set":
                    layer.set(_text(words[0]))
                    console.note(f"kept in cluster {name!r}: questions are read by it from now on")
                case "suggest":
                    typer.echo(layer.suggest(), nl=False)
                case "remove":
                    layer.remove()
                    console.note(f"cluster {name!r} has no semantics any more")
                case "teach":
                    question, sql = words or _lesson(state_dir, cluster.id, database)
                    layer.teach(question, sql)
                    console.note(f"taught: {question}")
                case "forget":
                    if not layer.forget(words[0]):
                        raise typer.BadParameter(
                            f"nothing was taught for {words[0]!r}; show lists what was"
                        )
                    console.note(f"forgotten: {words[0]}")


def _expect(action: Action, words: list[str]) -> None:
    wanted = {"set": (1,), "forget": (1,), "teach": (0, 2)}.get(action, (0,))
    if len(words) not in wanted:
        needs = {"set": "a FILE", "forget": "the QUESTION", "teach": "QUESTION and SQL, or none"}
        raise typer.BadParameter(f"{action} takes {needs.get(action, 'nothing more')}")


def _show(layer: "SemanticLayer", *, as_json: bool) -> None:
    from mcp_server.cli.asking.last import lines

    document, taught = layer.show(), layer.taught()
    if as_json:
        pairs = [{"question": question, "sql": sql} for question, sql in taught]
        console.json_of({"document": document, "taught": pairs})
        return
    if document:
        typer.echo(document, nl=not document.endswith("\n"))
    if taught:
        typer.echo(f"# taught\n{lines(taught)}")
    if not document and not taught:
        console.note("nothing is said of it yet; suggest prints a document to begin with")


def _text(file: str) -> str:
    if file == "-":
        return sys.stdin.read()
    try:
        return Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{file} cannot be read: {error}") from error


def _lesson(state_dir: Path, place: str, database: str | None) -> tuple[str, str]:
    from mcp_server.cli.asking.last import key_of, recalled

    lesson = recalled(state_dir.expanduser(), key_of(place, database)).lesson
    if lesson is None:
        raise typer.BadParameter(
            "the last answer builds on another one, or there is none: give QUESTION and SQL"
        )
    return lesson
