"""Commands that are operations of the control plane: their options come from the declarations.

An operation that nobody mentions here is a command too: by its own name, showing what it returns.
"""

import inspect
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cluster_runtime.control.operations import OPERATIONS, Declared
from cluster_runtime.control.operations.inputs import (
    REQUIRED,
    Input,
    arguments,
    current_values,
    inputs,
)
from mcp_server.cli import console, options
from mcp_server.cli.confirming import confirm
from mcp_server.cli.watching import following, progress
from mcp_server.errors import McpServerError
from mcp_server.wording import command_of, is_a_command, option_of

if TYPE_CHECKING:
    from cluster_runtime import Runtime

PATHS = frozenset({"file", "location", "backup_location"})
"""Parameters that may be paths of this machine."""

Opened = Callable[[Path], "AbstractContextManager[Runtime]"]
Show = Callable[[Any, str, bool], None]


@dataclass(frozen=True, slots=True)
class Manner:
    """How a command goes about its operation. show: its result, the subject's name, whether JSON.

    confirm: a question to be answered first, unless --yes says so; {name!r} is the subject.
    may_be_undone: so it never asks, and takes --yes as its siblings do. done: what to say where
    nothing is returned; {0!r} is the first of what the command was given.
    look: raises where there is no such subject. follows: --follow asks again and again, and shows
    what is new in the sequence. progress: draws a bar meanwhile, of the cluster that is made.
    """

    show: Show
    confirm: str = ""
    may_be_undone: bool = False
    done: str = "done"
    look: Callable[["Runtime", str], object] = lambda runtime, name: runtime.cluster(name)
    follows: bool = False
    progress: bool = False


def add_commands(
    groups: dict[str, typer.Typer],
    opened: Opened,
    state_dir: inspect.Parameter,
    operations: Collection[Declared] = OPERATIONS,
    *,
    leave_out: Collection[str] = (),
) -> None:
    """Add a command for each operation. groups: by first word; "" is the application itself.

    state_dir: the option that every command has. leave_out: operations with commands of their own.
    """
    for declared in operations:
        if is_a_command(declared) and declared.method not in leave_out:
            group, _, name = command_of(declared.method).rpartition(" ")
            manner = MANNERS.get(declared.method, AS_IT_IS)
            command = _command(declared, opened, state_dir, manner)
            groups[group].command(name, help=declared.summary)(command)


def _command(
    declared: Declared, opened: Opened, state_dir: inspect.Parameter, manner: Manner
) -> Callable[..., None]:
    asked = inputs(declared)
    subject = asked[0].name if asked and asked[0].names_the_subject else None

    def run(**given: Any) -> None:
        where: Path = given.pop(state_dir.name)
        yes, as_json = given.pop("yes", False), given.pop("as_json", False)
        follow = given.pop("follow", False)
        values = {one.name: _value(one, given[one.name]) for one in asked if one.name in given}
        name = str(values[subject]) if subject is not None else ""
        with opened(where) as runtime:
            if manner.confirm:
                manner.look(runtime, name)
                if not yes:
                    confirm(manner.confirm.format(name=name))
            current = current_values(runtime, name)
            chosen = arguments(declared, values, current)
            perform = partial(getattr(runtime, declared.method), **chosen)
            if follow:
                following.follow(perform, as_json=as_json)
            elif manner.progress:
                manner.show(progress.during(runtime, name, perform), name, as_json)
            elif (result := perform()) is None and manner.show is _show_as_it_is and not as_json:
                console.note(manner.done.format(*values.values()))
            else:
                manner.show(result, name, as_json)

    parameters = [*(_parameter(one) for one in asked), state_dir]
    if manner.confirm:
        parameters.append(_option("yes", bool, False, "--yes", "-y", help="Do not ask."))
    if manner.may_be_undone:
        words = "Changes nothing: this never asks, for it can be taken back."
        parameters.append(_option("yes", bool, False, "--yes", "-y", help=words))
    if manner.follows:
        words = "Go on with what comes, until interrupted."
        parameters.append(_option("follow", bool, False, "--follow", "-f", help=words))
    parameters.append(_option("as_json", bool, False, "--json", help="Print JSON."))
    # Typer wants those without a default first, in the order of the signature.
    ordered = sorted(parameters, key=lambda one: one.default is not inspect.Parameter.empty)
    run.__name__ = declared.method
    run.__doc__ = declared.summary
    run.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in ordered}
    return run


def _parameter(one: Input) -> inspect.Parameter:
    default = inspect.Parameter.empty if one.default is REQUIRED else one.default
    if one.field.secret:
        optional = default is not inspect.Parameter.empty
        kind = Path | None if optional else Path
        words = f"A file that holds it: {one.words[0].lower()}{one.words[1:]}"
        return _option(one.name, kind, default, option_of(one), help=words, metavar="FILE")
    if one.names_the_subject:
        word = _subject(one.name)
        complete = options.clusters if word in ("CLUSTER", "SOURCE") else None
        return _argument(one, default, word, complete)
    option = option_of(one)
    if not option.startswith("-"):
        return _argument(one, default, option, None)
    if one.field.items is not None:
        many: Any = default if default is inspect.Parameter.empty else list(one.default)
        words = f"{one.words} May be given several times."
        metavar = "TEXT" if one.field.items is str else "KEY=VALUE"
        return _option(one.name, list[str], many, option, help=words, metavar=metavar)
    if one.field.type is datetime:
        words = f"{one.words} {options.TIME}. Without a time zone: this machine's."
        return _option(one.name, str | None, default, option, help=words, metavar="TIME")
    if one.field.type is bool and default is not False:
        option = f"{option}/{option.replace('--', '--no-', 1)}"
    return _option(one.name, one.type, default, option, help=one.words)


def _subject(name: str) -> str:
    """What an identifier is of, as help shows it."""
    if "snapshot" in name:
        return {"source": "SNAPSHOT", "target": "COPY"}.get(name.partition("_")[0], "SNAPSHOT")
    if name.startswith("source_"):
        return "SOURCE"
    words = (each for each in ("INSTANCE", "ENDPOINT") if each.lower() in name)
    return next(words, "CLUSTER")


def _argument(
    one: Input, default: Any, word: str, complete: Callable[..., list[str]] | None
) -> inspect.Parameter:
    argument = typer.Argument(help=one.words, metavar=word, autocompletion=complete)
    return _named(one.name, Annotated[one.type, argument], default)


def _option(
    name: str, kind: Any, default: Any, *words: str, help: str, metavar: str | None = None
) -> inspect.Parameter:
    annotation: Any = Annotated[kind, typer.Option(*words, help=help, metavar=metavar)]
    return _named(name, annotation, default)


def _named(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


def _value(one: Input, given: Any) -> Any:
    """What was given; for a secret, what its file holds; of many, each as what it is."""
    if one.field.items is not None:
        kind = one.field.items
        return tuple(each if kind is str else kind.parse(each) for each in given)
    if one.field.type is datetime and given is not None:
        return options.moment(given, option_of(one))
    if one.name in PATHS and given is not None and "://" not in given:
        return str(Path(given).expanduser().absolute())  # the host stands elsewhere
    if not one.field.secret or given is None:
        return given
    try:
        return Path(given).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise McpServerError(f"cannot read {given} for {option_of(one)}: {error}") from error


def _find_snapshot(runtime: "Runtime", name: str) -> object:
    return runtime.describe_db_cluster_snapshots(db_cluster_snapshot_identifier=name)


def _draw_snapshots(found: Any, name: str, as_json: bool) -> None:
    from mcp_server.cli import backup_views

    backup_views.snapshots(found, as_json=as_json)


def _draw_backups(found: Any, name: str, as_json: bool) -> None:
    from mcp_server.cli import backup_views

    backup_views.automated_backups(found, as_json=as_json)


def _show_created(handle: Any, name: str, as_json: bool) -> None:
    console.cluster(handle.describe(), as_json=as_json)


def _show_cluster(facts: Any, name: str, as_json: bool) -> None:
    console.cluster(facts, as_json=as_json)


def _say_status(facts: Any, name: str, as_json: bool) -> None:
    if as_json:
        console.cluster(facts, as_json=True)
    else:
        console.note(f"cluster {facts.db_cluster_identifier!r} is {console.status(facts)}")


def _say(sentence: str) -> Show:
    """Say that it is done; {name!r} is the subject. As JSON: its name."""

    def show(result: Any, name: str, as_json: bool) -> None:
        if as_json:
            console.json_of({"cluster": name})
        else:
            console.note(sentence.format(name=name))

    return show


def _draw_volume(volume: Any, name: str, as_json: bool) -> None:
    from mcp_server.cli import volume_view

    if as_json:
        console.result(volume, as_json=True)
    else:
        console.out.print(volume_view.draw(volume))


def _draw_schema_diff(diff: Any, name: str, as_json: bool) -> None:
    from mcp_server.cli.comparing import view

    if as_json:
        console.result(diff, as_json=True)
    else:
        console.out.print(view.draw_schema(diff), soft_wrap=True)


def _draw_data_diff(diff: Any, name: str, as_json: bool) -> None:
    from mcp_server.cli.comparing import view

    if as_json:
        console.result(diff, as_json=True)
    else:
        console.out.print(view.draw_data(diff))


def _draw_bill(bill: Any, name: str, as_json: bool) -> None:
    from mcp_server.cli.watching import bill_view

    if as_json:
        console.result(bill, as_json=True)
    else:
        console.out.print(bill_view.draw(bill))


def _show_as_it_is(result: Any, name: str, as_json: bool) -> None:
    console.result(result, as_json=as_json)


AS_IT_IS = Manner(_show_as_it_is)
MANNERS = {
    "add_tags_to_resource": Manner(_show_as_it_is, done="{0} has the tags"),
    "create_db_cluster": Manner(_show_created),
    "delete_db_cluster": Manner(
        _say("cluster {name!r} is deleted"), confirm="Delete cluster {name!r} and all its data?"
    ),
    "delete_db_cluster_automated_backup": Manner(
        _show_as_it_is,
        confirm="Delete the backup of the deleted cluster {name!r}?",
        look=lambda runtime, name: None,
    ),
    "delete_db_cluster_parameter_group": Manner(
        _show_as_it_is, done="parameter group {0!r} is deleted"
    ),
    "delete_db_cluster_snapshot": Manner(
        _say("snapshot {name!r} is deleted"),
        confirm="Delete snapshot {name!r}?",
        look=_find_snapshot,
    ),
    "delete_restore_point": Manner(
        _show_as_it_is,
        done="restore point {1!r} of cluster {0!r} is deleted; its data stays as it is",
    ),
    "describe_bill": Manner(_draw_bill),
    "describe_data_diff": Manner(_draw_data_diff),
    "describe_db_cluster_automated_backups": Manner(_draw_backups),
    "describe_db_cluster_snapshots": Manner(_draw_snapshots),
    "describe_events": Manner(_show_as_it_is, follows=True),
    "describe_schema_diff": Manner(_draw_schema_diff),
    "describe_volume": Manner(_draw_volume),
    "failover_db_cluster": Manner(_show_cluster),
    "heal_fault": Manner(_say("cluster {name!r}: healed")),
    "inject_fault": Manner(
        _say("cluster {name!r}: the fault is in force, as borealis storage show {name} shows")
    ),
    "lose_compute": Manner(_say("the writer of cluster {name!r} and its data directory are gone")),
    "modify_db_cluster": Manner(_show_cluster),
    "pause_db_cluster": Manner(_say_status),
    "remove_tags_from_resource": Manner(_show_as_it_is, done="{0} has no tags of these keys"),
    "reset_branch": Manner(_show_cluster, may_be_undone=True),
    "resume_db_cluster": Manner(_say_status),
    "restore_db_cluster_from_snapshot": Manner(_show_created, progress=True),
    "restore_db_cluster_to_point_in_time": Manner(_show_created, progress=True),
    "start_db_cluster": Manner(_say_status),
    "stop_db_cluster": Manner(_say_status),
    "undo_rewind": Manner(_show_cluster, may_be_undone=True),
}
