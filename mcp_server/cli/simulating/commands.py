"""The commands `simulate scaling` and `simulate trace`. No cluster takes part, and no host."""

from pathlib import Path
from typing import Annotated

import typer

from mcp_server.cli.options import AsJson

LOADS = "sysbench-ramp, sysbench-heavy, or a file: JSON lines, or .csv."


def add_commands(group: typer.Typer) -> None:
    """Add them."""

    @group.command()
    def scaling(
        trace: Annotated[str, typer.Option(help=LOADS, metavar="NAME|FILE")],
        version: Annotated[
            list[str] | None,
            typer.Option(
                help="Platform version, such as 3, or 2+fast for one with other scaling; may be "
                "repeated. Default: those that the load is known for, else 2+fast, 3 and 4.",
            ),
        ] = None,
        minimum: Annotated[float, typer.Option(help="Least ACU.")] = 0.5,
        maximum: Annotated[float, typer.Option(help="Most ACU.")] = 256.0,
        auto_pause: Annotated[
            float | None,
            typer.Option(min=1, help="With a minimum of 0: idle seconds until it pauses."),
        ] = None,
        cores_per_acu: Annotated[float, typer.Option(help="CPU of one ACU, in cores.")] = 0.25,
        price: Annotated[
            float, typer.Option(min=0, help="Of an ACU-hour, in USD. Default: us-east-1.")
        ] = 0.12,
        plot: Annotated[
            Path | None,
            typer.Option(help="Draw it as well: a file that ends in .svg, .png or .pdf."),
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """Show what platform versions would do with a load: time, ACU-hours, cost."""
        from mcp_server.cli.simulating import simulating

        simulating.scaling(
            simulating.Asked(
                trace, tuple(version or ()), minimum, maximum, auto_pause, cores_per_acu, price
            ),
            plot,
            as_json=as_json,
        )

    @group.command("trace")
    def show_trace(
        trace: Annotated[str, typer.Argument(help=LOADS, metavar="NAME|FILE")],
    ) -> None:
        """Print a load as JSON lines, to be changed and simulated."""
        from mcp_server.cli.simulating import simulating

        simulating.show_trace(trace)
