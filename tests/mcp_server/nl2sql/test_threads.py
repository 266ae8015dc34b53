"""A translator, and all that is made of words, in several threads at once."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import errors as pg

from mcp_server.nl2sql import Translator
from mcp_server.nl2sql.words.tokens import stem


def test_the_stemmer_is_right_in_many_threads_at_once() -> None:
    words = [
        f"{word}{ending}"
        for word in ("order", "manag", "shipp", "organis", "hous", "relat")
        for ending in ("ing", "ed", "ational", "ement", "ously", "er", "iveness", "es")
    ]
    alone = {word: stem(word) for word in words}
    wrong: list[object] = []

    def stemming() -> None:
        try:
            for _ in range(40):
                wrong.extend(w for w in words if stem.__wrapped__(w) != alone[w])
        except Exception as error:  # noqa: BLE001 -- whatever a thread dies of is what is looked for
            wrong.append(error)

    threads = [threading.Thread(target=stemming) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not wrong


def test_questions_are_answered_in_several_threads(shop: str) -> None:
    translator = Translator(shop)
    questions = ["How many customers are there?", "How many purchases are there?",
                 "customers in Rome", "What is the average amount of purchases?"] * 4  # fmt: skip
    alone = {question: Translator(shop).translate(question).sql for question in set(questions)}

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda q: (q, translator.translate(q).sql), questions))

    assert found == [(question, alone[question]) for question in questions]
    translator.close()


def until(true: Callable[[], bool]) -> None:
    ends = time.monotonic() + 20
    while not true():
        assert time.monotonic() < ends
        threading.Event().wait(0.01)


def test_closing_cancels_a_question_that_is_being_translated(fresh_dsn: str) -> None:
    with psycopg.connect(fresh_dsn, autocommit=True) as conn:
        conn.execute(
            "create view tortoise as select count(*)::int as id, 'Tuga'::text as name"
            " from generate_series(1, 100000000) a, generate_series(1, 1000) b"
        )
        translator = Translator(fresh_dsn)
        raised: list[BaseException] = []

        def asking() -> None:
            try:
                translator.translate("What are the names of the tortoises?")
            except psycopg.Error as error:
                raised.append(error)

        thread = threading.Thread(target=asking)
        thread.start()
        running = (
            "select count(*) from pg_stat_activity"
            " where query like '%tortoise%' and pid <> pg_backend_pid()"
        )
        until(lambda: conn.execute(running).fetchone() == (1,))
        translator.close()
        thread.join(timeout=20)

        assert not thread.is_alive()
        assert [type(error) for error in raised] == [pg.QueryCanceled]


def test_one_slow_question_does_not_hold_up_another(
    shop: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    translator = Translator(shop)
    translator.translate("How many customers are there?")
    entered, leave = threading.Event(), threading.Event()
    from mcp_server.nl2sql import translator as module

    run = module.first_rows

    def slow(conn: object, query: str) -> object:
        if "purchase" in query:
            entered.set()
            leave.wait(20)
        return run(conn, query)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "first_rows", slow)
    thread = threading.Thread(target=lambda: translator.translate("How many purchases are there?"))
    thread.start()
    entered.wait(20)

    assert translator.translate("How many customers are there?").sql is not None
    assert thread.is_alive()
    leave.set()
    thread.join()
    translator.close()


def test_a_question_whose_connection_opens_while_the_translator_is_closed_is_ended(
    shop: str,
) -> None:
    closings: list[None] = []

    def dsn() -> str:
        if not closings:
            closings.append(None)
            translator.close()
        return shop

    translator = Translator(dsn)

    with pytest.raises(pg.QueryCanceled):
        translator.translate("How many customers are there?")

    assert translator.translate("How many customers are there?").sql is not None
    translator.close()
