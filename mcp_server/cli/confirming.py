"""A question before what destroys."""

import sys

import typer

from mcp_server.errors import McpServerError


def confirm(question: str) -> None:
    """Ask on standard error, for results are on standard output.

    Raises Abort for a no, McpServerError where nobody is there to answer.
    """
    if sys.stdin is None:  # it was closed by whoever began this process
        raise _unanswered()
    try:
        confirmed = typer.confirm(question, err=True)
    except typer.Abort:
        if sys.stdin.isatty():
            raise  # somebody is there, and interrupted it
        typer.echo(err=True)
        raise _unanswered() from None
    if not confirmed:
        raise typer.Abort


def _unanswered() -> McpServerError:
    return McpServerError(
        "nobody answers this question, for there is no terminal, so nothing was changed; "
        "--yes is the answer in a script"
    )
