"""Errors of natural language to SQL. `except NL2SQLError` catches all of them."""

from collections.abc import Sequence
from typing import Self

from cluster_runtime.errors import BorealisError


class NL2SQLError(BorealisError):
    """Base of every error that this package raises on purpose."""


class RefusedError(NL2SQLError):
    """The guard, or PostgreSQL behind it, will not run a text. Unchanged, it never will.

    kind: one word that says which check refused, for programs.
    The message says what is wrong and, for names, what comes nearest: it is also what a model
    gets to see when it is asked to repair its query.
    """

    kind = "refused"


class InvalidSyntaxError(RefusedError):
    """The text is not one PostgreSQL statement."""

    kind = "syntax"


class ForbiddenError(RefusedError):
    """The statement does more than read: it writes, locks, waits, or reaches outside."""

    kind = "forbidden"


class UnknownNameError(RefusedError):
    """A table, column or function of that name does not exist or is not visible."""

    kind = "unknown name"


class InvalidQueryError(RefusedError):
    """PostgreSQL rejected the statement: types, grouping, privileges, division by zero."""

    kind = "invalid"


class TooExpensiveError(RefusedError):
    """The planner expects more work than the limits allow."""

    kind = "too expensive"


class QueryTimeoutError(RefusedError):
    """The statement ran into its time limit."""

    kind = "timeout"
    retry_helps = True


class UnsupportedServerError(NL2SQLError):
    """The server is older than what the guard can judge queries of. Nothing was run."""


class SemanticsError(NL2SQLError):
    """A document of semantics has mistakes, or does not fit the schema. Nothing was kept.

    problems: all of them, each with its place and, for names, what comes nearest.
    """

    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, problems: Sequence[str]) -> Self:
        """The error that tells all of these."""
        error = cls("the semantics were not kept: " + "; ".join(problems))
        error.problems = tuple(problems)
        return error


class LexiconError(NL2SQLError):
    """A file of the lexicon has a mistake, or is not there. No question is read until it is mended.

    The message names the file and, where there is one, the line and the key.
    """


class ModelError(NL2SQLError):
    """The language model gave no usable answer. Another try, or another model, may help."""

    retry_helps = True


class ModelTimeoutError(ModelError):
    """The language model did not answer in time."""


class ModelUnavailableError(ModelError):
    """The language model cannot be called: not installed, not configured, or not offered."""

    retry_helps = False
