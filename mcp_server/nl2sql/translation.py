"""What the built-in translator gives back."""

from dataclasses import dataclass

from mcp_server.rendering import Json


@dataclass(frozen=True, slots=True)
class Candidate:
    """SQL that was considered, and how sure the translator is of it (0..1).

    note: what was taken for granted that makes it no answer.
    """

    sql: str
    confidence: float
    reading: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """Words of the question and what they were taken for."""

    words: str
    meaning: str
    score: float


@dataclass(frozen=True, slots=True)
class Translation:
    """A question as SQL, or the reason why not.

    sql: None when declined. confidence: 0..1. reading: the query in plain English, made from the
    SQL. unused: words of the question that play no part in the SQL. links: with `explain` only.
    follows: whether it is the last answer's query with a part changed. corrects: whether the
    question said that the last answer was wrong; then what was asked before means this SQL.
    about_schema: whether the question is about tables and columns, and not about rows.
    """

    sql: str | None
    confidence: float
    reading: str = ""
    reason: str = ""
    candidates: tuple[Candidate, ...] = ()
    assumptions: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    follows: bool = False
    corrects: bool = False
    about_schema: bool = False

    def to_json(self) -> dict[str, Json]:
        """The translation without its candidates, as a JSON object."""
        return {
            "sql": self.sql,
            "confidence": self.confidence,
            "reading": self.reading,
            "reason": self.reason,
        }
