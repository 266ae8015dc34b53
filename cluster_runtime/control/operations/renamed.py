"""Earlier names of parameters, which work for one release more and warn."""

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

P = ParamSpec("P")
T = TypeVar("T")


def renamed(**names: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let a function take arguments by the names they had before: `renamed(old="new")`."""

    def accepting(function: Callable[P, T]) -> Callable[P, T]:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                return await function(*args, **_today(function.__name__, names, kwargs))

            return cast("Callable[P, T]", awaited)

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **_today(function.__name__, names, kwargs))

        return cast("Callable[P, T]", called)

    return accepting


def _today(function: str, names: dict[str, str], given: dict[str, Any]) -> dict[str, Any]:
    earlier = given.keys() & names.keys()
    for old in earlier:
        new = names[old]
        if new in given:
            raise TypeError(f"{function}() got {new!r} twice: it was called {old!r} before")
        warnings.warn(
            f"{function}() takes {new!r}, which was called {old!r} before; the next release does "
            "not know that name",
            DeprecationWarning,
            stacklevel=3,
        )
    return {names.get(name, name): value for name, value in given.items()} if earlier else given
