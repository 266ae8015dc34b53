"""What was asked before, as a model is told of it."""

from collections.abc import Sequence

TURNS = 4


def before(context: Sequence[tuple[str, str]]) -> str:
    """The last questions with their SQL; empty where the question stands for itself."""
    if not context:
        return ""
    turns = [f"Asked before: {question}\nAnswered by: {sql}" for question, sql in context[-TURNS:]]
    return "\n".join([*turns, "The question may build on the last of these."])
