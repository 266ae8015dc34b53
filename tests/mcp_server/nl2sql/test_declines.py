"""Questions that a database of customers and purchases cannot answer."""

from pathlib import Path

from mcp_server.nl2sql import Translator

QUESTIONS = (Path(__file__).parent / "off_topic.txt").read_text(encoding="utf-8").splitlines()
DECLINED_MIN = 0.95


def test_at_least_95_of_100_questions_that_cannot_be_answered_are_declined(shop: str) -> None:
    assert len(set(QUESTIONS)) == 100
    translator = Translator(shop)

    answered = {
        question: found.sql
        for question in QUESTIONS
        if (found := translator.translate(question)).sql is not None
    }

    assert len(answered) <= 100 * (1 - DECLINED_MIN), answered


def test_a_declined_question_comes_with_a_reason_and_no_sql(shop: str) -> None:
    found = Translator(shop).translate("what is the weather in Rome today")

    assert found.sql is None
    assert found.reason
    assert found.confidence < 0.5
