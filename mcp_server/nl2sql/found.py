"""What the paths to an answer bring, and the answer that is made of it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Protocol, TypeAlias

from mcp_server.nl2sql.database.reader import ResultSet
from mcp_server.nl2sql.model.plan import ModelOutcome
from mcp_server.nl2sql.weighing.trust import Evidence
from mcp_server.rendering import Json

Origin: TypeAlias = Literal["built-in", "model", "solved"]


class TranslationLike(Protocol):
    """What the built-in translator gives back; see `translation.py`."""

    @property
    def sql(self) -> str | None:
        """The query; None when declined."""

    @property
    def confidence(self) -> float:
        """How likely it is right, 0 to 1."""

    @property
    def reason(self) -> str:
        """Why it was declined, or chosen."""

    @property
    def reading(self) -> str:
        """What it asks, in plain words."""

    @property
    def candidates(self) -> Sequence[Any]:
        """What was considered, best first."""

    @property
    def assumptions(self) -> Sequence[str]:
        """What the query takes for granted."""

    @property
    def unused(self) -> Sequence[str]:
        """Words of the question that play no part."""

    @property
    def links(self) -> Sequence[Any]:
        """What words were taken for."""

    @property
    def follows(self) -> bool:
        """Whether it is the last answer's query with a part changed."""

    @property
    def corrects(self) -> bool:
        """Whether the last answer was said to be wrong."""

    @property
    def about_schema(self) -> bool:
        """Whether the question is about tables and columns."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another query that was considered, and why it is not the answer."""

    sql: str
    reading: str
    origin: Origin
    confidence: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What `ask` gives back. sql is None when the question was declined; `reason` says why.

    reading: the query in plain English, made from the SQL. rows: JSON values, as
    `mcp_server.rendering` writes them, at most the number asked for; truncated tells whether there
    are more. confidence: 0..1. agreement: whether the paths that answered found the same rows; None
    when only one did. unused: words of the question that the translation did not use. links,
    attempts: only with explain=True. result: what the rows were taken from, as the server sent it.
    evidence: what the confidence was made from, where a model had a part in it.
    teaches: after a correction, the question that was answered wrongly before and the SQL that is
    right for it, to be kept if the asker wants that (`SemanticLayer.teach`). follows: whether the
    question was read as one that builds on the last answer.
    """

    question: str
    sql: str | None
    reading: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Json, ...], ...] = ()
    truncated: bool = False
    confidence: float = 0.0
    origin: Origin | None = None
    agreement: bool | None = None
    reason: str = ""
    assumptions: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    links: tuple[Json, ...] = ()
    attempts: tuple[Json, ...] = ()
    teaches: tuple[str, str] | None = None
    follows: bool = False
    result: ResultSet | None = field(default=None, repr=False, compare=False)
    evidence: Evidence | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """The answer as a JSON object."""
        told = asdict(replace(self, result=None, evidence=None))
        del told["result"], told["evidence"]
        return told


@dataclass(slots=True)
class Proposal:
    """SQL of one path that ran."""

    origin: Origin
    sql: str
    confidence: float
    result: ResultSet
    digest: str


@dataclass(slots=True)
class Findings:
    """What the paths came to. notes: why a path has no proposal, and where they differ."""

    solved: Proposal | None = None
    built_in: Proposal | None = None
    model: Proposal | None = None
    outcome: ModelOutcome | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def proposals(self) -> list[Proposal]:
        """What each path proposes, the one that leads first."""
        return [each for each in (self.solved, self.model, self.built_in) if each is not None]
