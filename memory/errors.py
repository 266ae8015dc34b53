"""Every error that the memory backends raise on purpose.

`except AgentMemoryError` catches all of them and nothing else, `except BorealisError` those of the
clusters as well; errors of PostgreSQL that a caller can do something about pass through as psycopg
raised them. Messages never quote a DSN or a value.
"""

from typing import TypeVar

from cluster_runtime.errors import BorealisError
from cluster_runtime.wording import Said

E = TypeVar("E", bound=BaseException)


class AgentMemoryError(BorealisError):
    """Base of all errors of this package."""


class ConfigurationError(AgentMemoryError, ValueError):
    """A constructor or a call got a value outside its rules. Trying again cannot help."""

    code = "InvalidParameterValue"


class MissingExtraError(ConfigurationError, ImportError):
    """A part was used whose packages are not installed. Install the extra that the message names.

    Trying again helps once it is installed.
    """


class SetupRequiredError(AgentMemoryError):
    """The tables are missing or older than this version. Call `setup()` once, then try again."""


class NewerSchemaError(AgentMemoryError):
    """A newer version of this package made the tables. Upgrade it; nothing was changed."""


class OperationTimeoutError(AgentMemoryError, TimeoutError):
    """The deadline of one operation passed while the database could not be used.

    Its cause is the last database error. Trying again may help: every write is idempotent.
    """

    retry_helps = True


class StoppedError(AgentMemoryError):
    """Work in the background ended because what it was for was closed. Only the log says so."""


class CorruptedCheckpointError(AgentMemoryError):
    """Stored bytes are truncated, altered or of an unknown format. Other threads are unaffected.

    Trying again cannot help; restore the thread from a backup, or delete it.
    """


class NotSerializableError(AgentMemoryError, TypeError):
    """A value that would not come back as it is: nothing of it was stored.

    The message names its channel and its place in it. Trying again cannot help; store something
    else, as a number for a handle, or a list for an iterator.
    """


class ThreadTransferError(AgentMemoryError):
    """A thread was not copied, exported, imported or forked, and nothing half of it is there.

    The message says why: it is not there, or one of that id is already, or the file is damaged, of
    a newer format, or encrypted with another key.
    """


class TypeNotFoundError(AgentMemoryError):
    """A stored value's class is allowed, but its name leads nowhere: it was renamed or moved.

    Pass `aliases={"module.Old": New}`, or `recover=True` to see what is stored.
    """


class TypeNotAllowedError(AgentMemoryError):
    """A value's class is not on the serializer's allow-list. Nothing of it was imported or called.

    Raised when it is written (nothing is stored) as well as when it is read. Pass `allow=[...]`
    with exactly the classes you trust. refused: the module and the class, where it is one.
    """

    def __init__(self, *said: Said, refused: tuple[str, str] | None = None) -> None:
        super().__init__(*said)
        self.refused = refused


def without_frames(error: E) -> E:
    """An error like this one that holds nothing of where it was raised, to be kept.

    Made without its constructor, whose parameters need not be what `args` holds.
    """
    kind = type(error)
    made = kind.__new__(kind, *error.args)
    made.args = error.args
    made.__dict__.update(error.__dict__)
    made.__cause__ = None if error.__cause__ is None else without_frames(error.__cause__)
    return made
