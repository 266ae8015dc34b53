"""The questions that come with the project, and how their answers are compared."""

import importlib
from argparse import Namespace
from decimal import Decimal
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parents[3] / "bench"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCH)
    return importlib.import_module("nl2sql")


@pytest.mark.parametrize(
    ("questions", "precision", "accuracy"),
    [(48, 0.97, 0.77), pytest.param(240, 0.93, 0.72, marks=pytest.mark.long)],
)
def test_everyday_questions_are_answered_rightly_or_not_at_all(
    bench: ModuleType, module_dsn: str, questions: int, precision: float, accuracy: float
) -> None:
    """The few are spread over all of them."""
    options = Namespace(data=bench.OWN, questions="questions.jsonl", limit=questions, threshold=0.0)
    match = bench.matcher(bench.OWN)
    found = bench.figures(list(bench.measure(module_dsn, options, "everyday", match)))

    assert found["questions"] == questions
    assert found["precision"] >= precision
    assert found["accuracy"] >= accuracy


@pytest.mark.parametrize(
    ("questions", "precision", "accuracy"),
    [(25, 0.9, 0.48), pytest.param(75, 0.93, 0.55, marks=pytest.mark.long)],
)
def test_business_questions_are_answered_rightly_or_not_at_all(
    bench: ModuleType, module_dsn: str, questions: int, precision: float, accuracy: float
) -> None:
    options = Namespace(data=bench.OWN, questions="questions.jsonl", limit=questions, threshold=0.0)
    match = bench.matcher(bench.OWN)
    found = bench.figures(list(bench.measure(module_dsn, options, "business", match)))

    assert found["questions"] == questions
    assert found["precision"] >= precision
    assert found["accuracy"] >= accuracy


@pytest.mark.parametrize(
    ("questions", "precision", "accuracy"),
    [(30, 0.92, 0.8), pytest.param(120, 0.94, 0.84, marks=pytest.mark.long)],
)
def test_questions_of_joins_are_answered_rightly_or_not_at_all(
    bench: ModuleType, module_dsn: str, questions: int, precision: float, accuracy: float
) -> None:
    options = Namespace(data=bench.OWN, questions="questions.jsonl", limit=questions, threshold=0.0)
    match = bench.matcher(bench.OWN)
    found = bench.figures(list(bench.measure(module_dsn, options, "joins", match)))

    assert found["questions"] == questions
    assert found["precision"] >= precision
    assert found["accuracy"] >= accuracy


def test_results_are_the_same_in_any_order_of_rows_and_columns(bench: ModuleType) -> None:
    match = bench.matcher(bench.OWN)
    gold = [("Ann", 1), ("Ben", 2), ("Ben", 2)]

    assert match(gold, [(2, "Ben"), (1, "Ann"), (2.0, "Ben")])
    assert match([(Decimal("1") / 3,)], [(0.3333333,)])
    assert match([(1, 1), (1, 2)], [(1, 1), (2, 1)])
    assert not match(gold, [("Ann", 2), ("Ben", 1), ("Ben", 2)])
    assert not match(gold, [("Ann", 1), ("Ben", 2)])
    assert not match(gold, [("Ann",), ("Ben",), ("Ben",)])
    assert match([], [])
