"""`branch create`, `warm`, `list` and `delete`. `branch reset` is an operation."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mcp_server.cli import console
from mcp_server.cli.confirming import confirm
from mcp_server.cli.options import STATE_DIR, TIME, AsJson, Name, StateDir, ago, clusters

if TYPE_CHECKING:
    from cluster_runtime import Runtime
    from cluster_runtime.control.records.model import DBCluster

Opened = Callable[[Path], "AbstractContextManager[Runtime]"]
NewName = Annotated[str, typer.Argument(help="Identifier of the new branch.", metavar="BRANCH")]
Branch = Annotated[
    str,
    typer.Argument(help="Identifier of the branch.", metavar="BRANCH", autocompletion=clusters),
]
Of = Annotated[
    str | None,
    typer.Argument(
        help="Only branches of this cluster.", autocompletion=clusters, metavar="CLUSTER"
    ),
]


def add_commands(group: typer.Typer, opened: Opened) -> None:
    """Add them. opened: gives the runtime of a state directory."""

    @group.command()
    def create(
        name: Name, branch: NewName, state_dir: StateDir = STATE_DIR, as_json: AsJson = False
    ) -> None:
        """Make a branch: a cluster of its own with everything that CLUSTER holds now."""
        with opened(state_dir) as runtime:
            made = runtime.restore_db_cluster_to_point_in_time(
                branch, name, restore_type="copy-on-write", use_latest_restorable_time=True
            )
            console.cluster(made.describe(), as_json=as_json)

    @group.command()
    def warm(
        name: Name,
        state_dir: StateDir = STATE_DIR,
        off: Annotated[bool, typer.Option("--off", help="Keep none any more.")] = False,
        as_json: AsJson = False,
    ) -> None:
        """Keep a standby ready for the next branch of CLUSTER, while that runs."""
        with opened(state_dir) as runtime:
            facts = runtime.modify_db_cluster(name, warm_branch=not off)
            console.cluster(facts, as_json=as_json)

    @group.command("list")
    def list_branches(
        name: Of = None, state_dir: StateDir = STATE_DIR, as_json: AsJson = False
    ) -> None:
        """List branches, and what each was made from."""
        with opened(state_dir) as runtime:
            everyone = runtime.describe_db_clusters()
            of = None if name is None else runtime.cluster(name).id
        console.branches(branches_among(everyone, of), as_json=as_json)

    @group.command()
    def delete(
        branch: Branch,
        state_dir: StateDir = STATE_DIR,
        yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
        as_json: AsJson = False,
    ) -> None:
        """Delete a branch with all its changes. What it was made from stays as it is."""
        with opened(state_dir) as runtime:
            if not runtime.cluster(branch).describe().branch_of:
                raise typer.BadParameter(
                    f"{branch!r} is no branch; `borealis delete` deletes clusters",
                    param_hint="BRANCH",
                )
            if not yes:
                confirm(f"Delete branch {branch!r} and all its changes?")
            runtime.delete_db_cluster(branch)
        if as_json:
            console.json_of({"branch": branch})
        else:
            console.note(f"branch {branch!r} is deleted")


def add_rewind(app: typer.Typer, opened: Opened) -> None:
    """Add `rewind`, which says whose transactions go before it asks."""

    @app.command()
    def rewind(
        name: Name,
        to: Annotated[str, typer.Argument(help=f"A restore point, or an LSN. {TIME}.")],
        state_dir: StateDir = STATE_DIR,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Only say whose transactions would go.")
        ] = False,
        yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
        as_json: AsJson = False,
    ) -> None:
        """Bring a cluster back to what it was, in place; `undo-rewind` takes that back."""
        before = ago(to)
        to = to if before is None else before.isoformat()
        with opened(state_dir) as runtime:
            if dry_run or not yes:
                preview = runtime.rewind(name, to, dry_run=True)
                if dry_run:
                    console.rewind(preview, as_json=as_json)
                    return
                console.note(console.what_goes(preview))
                confirm(f"Rewind cluster {name!r} to {to}?")
            console.rewind(runtime.rewind(name, to), as_json=as_json)


def branches_among(
    everyone: Sequence["DBCluster"], of: str | None
) -> list[tuple["DBCluster", str | None]]:
    """Branches with the name of what each was made from; None where that is gone.

    of: only those of the cluster with this resource id.
    """
    names = {each.db_cluster_resource_id: each.db_cluster_identifier for each in everyone}
    return [
        (each, names.get(each.branch_of))
        for each in everyone
        if each.branch_of and of in (None, each.branch_of)
    ]
