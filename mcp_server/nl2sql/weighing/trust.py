"""How likely an answer is right that a model had a part in: signs, weighed.

The signs say who found what, and never what the question or the database is about. Weights:
`bench/nl2sql_model.py --write` fits them on recorded answers of models.
"""

import math
from dataclasses import dataclass
from enum import Enum

from mcp_server.nl2sql.weighing.agreement import Likeness
from mcp_server.nl2sql.weighing.weights import BIAS, WEIGHTS

MOST = 0.99
SET = {"votes elsewhere": -2.0, "rounds": -0.2}
"""Weights of what recordings with one answer a question do not show: set, and not fitted."""


class Lead(Enum):
    """Whose query is the answer."""

    MODEL = "model"
    SHAPE = "shape"
    """The model's but for its columns or repeated rows, which are the built-in translator's."""
    BUILT_IN = "built-in"
    """The built-in translator's, where the model's runs and finds nothing."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of an answer.

    built_in: confidence of the built-in translator's best query, 0 without one. likeness: of the
    model's rows to those of that query; None where there is none. nearly: whether another of its
    candidates finds the model's rows. same_text: both are written alike. refused, empty: whether
    the model's query was mended after it was refused, or had found nothing. nothing: it finds no
    rows. share: of the model's votes, 0..1. rounds: of repair.
    """

    lead: Lead
    built_in: float
    likeness: Likeness | None
    nearly: bool = False
    same_text: bool = False
    refused: bool = False
    empty: bool = False
    nothing: bool = False
    share: float = 1.0
    rounds: int = 0


def signs(evidence: Evidence) -> dict[str, float]:
    """The signs in what is known, each 0..1."""
    like, sure = evidence.likeness, evidence.built_in
    led = evidence.lead is Lead.MODEL
    found = {
        f"lead {evidence.lead.value}": 1.0,
        "mended after a refusal": float(evidence.refused),
        "mended after nothing": float(evidence.empty),
        "finds nothing": float(evidence.nothing),
        "votes elsewhere": 1.0 - evidence.share,
        "rounds": min(2.0, evidence.rounds),
        "no other reading": float(like is None),
    }
    if not led:
        found[f"sure, lead {evidence.lead.value}"] = sure
    elif like is Likeness.SAME:
        found |= {
            "agreed": 1.0,
            "agreed, sure": sure,
            "agreed, same text": float(evidence.same_text),
        }
    elif like is not None:
        found |= {
            "nearly agreed": float(evidence.nearly),
            "other shape": float(like is not Likeness.OTHER),
            "other rows": float(like is Likeness.OTHER),
            "other rows, sure": sure if like is Likeness.OTHER else 0.0,
        }
    return found


def trust(evidence: Evidence) -> float:
    """How likely the answer is right, 0..MOST."""
    known = WEIGHTS | SET
    total = BIAS + sum(known.get(name, 0.0) * value for name, value in signs(evidence).items())
    return min(MOST, 1.0 / (1.0 + math.exp(-total)))
