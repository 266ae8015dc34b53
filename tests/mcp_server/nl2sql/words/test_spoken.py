"""What people say beside a question goes; what the database calls or holds never does."""

import re

import pytest

from mcp_server.nl2sql.words.spoken import in_print
from mcp_server.nl2sql.words.typed import spelt

HELD = (
    "hello kitty mug", "hey jude", "dear john", "still life", "no regrets yet", "love actually",
    "basically books", "rite aid", "vitamin r", "cheers", "good morning america", "ann moore",
    "paid", "red", "hi", "ann secs moore",
)  # fmt: skip


class Catalogue:
    """Names of columns, and texts."""

    named = frozenset({"name", "names", "price", "prices", "weight"})

    def says(self, word: str) -> bool:
        return word in self.named or word in HELD

    def holds(self, text: str) -> bool:
        return any(re.search(rf"(?<!\w){re.escape(text)}(?!\w)", each) for each in HELD)

    def shows(self, word: str) -> bool:
        return word in self.named


@pytest.mark.parametrize(
    ("question", "printed"),
    [
        ("hi, how many parcels", "how many parcels"),
        ("hello there! good morning, list parcels", "list parcels"),
        ("hi how many parcels in hi", "how many parcels in hi"),
        ("list parcels. Thanks!", "list parcels"),
        ("parcels, pls", "parcels"),
        ("can you list parcels, if possible?", "can you list parcels?"),
        ("which parcels are still open", "which parcels are open"),
        ("which parcels were not sent yet", "which parcels were not sent"),
        ("how many parcels do we have right now?", "how many parcels do we have?"),
        ("men who drive their own car and also a van", "men who drive their car and a van"),
        ("i am looking for parcels", "show parcels"),
        ("parcels in Oslo, names only", "show the names of parcels in Oslo"),
        ("parcels in Oslo, just the colours", "show the colours of parcels in Oslo"),
        ("how much weight did we sell in total", "what is the total weight"),
        ("how many parcels do we have rn", "how many parcels do we have"),
        ("people on file who sent parcels", "people who sent parcels"),
        (
            "list the weight of parcels, skip the empty ones",
            "list the weight of parcels whose weight is not missing",
        ),
        (
            "show all prices? leave out the blank ones",
            "show all prices whose prices is not missing",
        ),
        ("fees over 50 dollars", "fees over 50"),
    ],
)
def test_what_is_said_beside_a_question_goes(question: str, printed: str) -> None:
    assert in_print(question, Catalogue()) == printed


@pytest.mark.parametrize(
    "question",
    [
        # names and texts of the database
        "hello kitty products",
        "show all crates, skip the empty ones",
        "papers on file servers",
        "hey jude covers",
        "Dear John letters",
        "paintings that are still life",
        "albums called no regrets yet",
        "shops named Basically Books",
        "episodes of cheers",
        "good morning america episodes",
        # names that the database may hold, though nobody saw them
        "show the film Truth Actually",
        "who directed Lovely Yet",
        "episodes of Thanks",
        "hi-fi parts",
        # what is quoted
        'songs like "so far, so good"',
        "songs called 'hello, thanks'",
        # a word that says something where it is
        "terms any longer than 30 days",
        "after 2020, parcels by city",
        "withdrawals at the atm",
        "parcels over 5 pounds",
        "how many 5 dollars bills",
        "how much weight did people sell on average",
        # which rows, and not what is shown of them
        "parcels from Oslo, paid only",
        "parcels from Oslo, just red",
        "sales by month, weekdays only",
    ],
)
def test_what_belongs_to_a_question_stays(question: str) -> None:
    assert in_print(question, Catalogue()) == question


def test_sorry_may_correct_the_answer_before() -> None:
    assert in_print("sorry, by name", Catalogue(), follows=True) == "sorry, by name"
    assert in_print("sorry, how many parcels", Catalogue()) == "how many parcels"


@pytest.mark.parametrize(
    ("typed", "printed"),
    [
        ("can u show parcels", "can you show parcels"),
        ("which parcels r from Oslo", "which parcels are from Oslo"),
        ("Wich parcels havent come", "which parcels have not come"),
        ("how mnay parcels withuot a label", "how many parcels without a label"),
        ("totla weight", "total weight"),
        ("avarage weight, avg price", "average weight, average price"),
        ("haighest price in hrs", "haighest price in hours"),
        ("qty of parcels that took 20 mins", "quantity of parcels that took 20 minutes"),
    ],
)
def test_words_are_spelt_as_in_print(typed: str, printed: str) -> None:
    assert spelt(typed, Catalogue()) == printed


@pytest.mark.parametrize(
    "typed",
    [
        # letters, and words before a sign
        "people in the u.s.", "r&d costs", "mail of r@example.org", "block u", "patients in ward r",
        "vitamin r pills", "cu\u0308r", "people in bc", "houses in im",
        # names
        "parcels for moore", "lots of ann secs moore", "people named mosst", "stores of rite aid",
        # words of their own
        "were", "bouts", "bless", "trees", "leases", "moths", "hoses",
        # other languages and scripts
        "où sont les clients", "¿cuántos años tiene", "größer als über", "сколько клиентов",
        "顧客は何人", "πόσοι πελάτες",
    ],
)  # fmt: skip
def test_other_words_stay(typed: str) -> None:
    assert spelt(typed, Catalogue()) == typed
