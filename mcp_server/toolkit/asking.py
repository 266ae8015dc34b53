"""Tools that are operations of the control plane: their arguments come from the declarations."""

import inspect
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

from pydantic import Field

from cluster_runtime.control.operations import Request as Declaration
from cluster_runtime.control.operations.inputs import REQUIRED, Input, arguments, current_values
from mcp_server.results import ToolResult
from mcp_server.toolkit.platform import Call
from mcp_server.wording import argument_of, offered

Request = dict[str, Any]
"""The keyword arguments of an operation."""

A = TypeVar("A", bound=ToolResult)


def asking_for(
    request: type[Declaration],
) -> Callable[[Callable[[Call, Request], Awaitable[A]]], Callable[..., Awaitable[A]]]:
    """Let a function take the arguments of an operation, and get them as a request."""
    asked = offered(request.declared)

    def decorate(run: Callable[[Call, Request], Awaitable[A]]) -> Callable[..., Awaitable[A]]:
        async def taking(call: Call, **given: Any) -> A:
            values = {
                one.name: given[argument_of(one)] for one in asked if argument_of(one) in given
            }
            current = current_values(call.plane, values.get(asked[0].name))
            made = await call.off_loop(lambda: arguments(request.declared, values, current))
            return await run(call, made)

        returned = inspect.signature(run, eval_str=True).return_annotation
        taking.__name__ = run.__name__
        taking.__doc__ = run.__doc__
        taking.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter("call", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Call),
                *(_parameter(one) for one in asked),
            ],
            return_annotation=returned,
        )
        return taking

    return decorate


def _parameter(one: Input) -> inspect.Parameter:
    between = one.range
    limits: dict[str, Any] = (
        {"ge": between.minimum, "le": between.maximum} if between is not None else {}
    )
    # The first sentence: what follows is for people, and is in the reference.
    field: Any = Annotated[one.type, Field(description=one.words.split(". ")[0], **limits)]
    return inspect.Parameter(
        argument_of(one),
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if one.default is REQUIRED else one.default,
        annotation=field,
    )
