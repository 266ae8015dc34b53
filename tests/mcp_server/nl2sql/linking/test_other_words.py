"""Words that no name has are read as the names that they stand for, where that is clear."""

import pytest

from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.schema.model import Kind, Profile
from mcp_server.nl2sql.words.tokens import tokenize
from tests.mcp_server.nl2sql.profiles import profile, table


def clinic() -> Profile:
    return profile(
        table("patient", 9, patient_id=Kind.NUMBER, given_name=["Ann"], town=["Oslo"],
              home_phone=["1"], date_departed=Kind.DATE),
        table("treatment", 9, treatment_id=Kind.NUMBER, patient_id=Kind.NUMBER,
              number_remedies=Kind.NUMBER),
        treatment__patient_id=("patient", "patient_id"),
    )  # fmt: skip


def put(text: str, known: Profile) -> str:
    return " ".join(token.lemma for token in Linker(known).prepare(tokenize(text)))


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("how many therapies", "how many treatment"),
        ("which city", "which town"),  # `home` begins another name only
        ("patients without medical care", "patient without treatment"),
        ("the health-care of Ann", "the treatment of ann"),
        ("the leaving date of patients", "the departed date of patient"),
    ],
)
def test_a_word_or_phrase_is_read_as_the_one_word_that_stands_for_it(said: str, read: str) -> None:
    assert put(said, clinic()) == read


@pytest.mark.parametrize(
    "said",
    [
        "patient who be leaving",  # done, and no name beside it
        "the therapy of each treatment",  # the other word is said as well
        "the maximum of what patient have",
        "the quarrel of patient",
    ],
)
def test_a_word_stays_where_no_name_or_more_than_one_is_meant(said: str) -> None:
    assert put(said, clinic()) == said


def test_a_word_that_two_names_stand_for_stays() -> None:
    known = profile(
        table("shop", 9, shop_id=Kind.NUMBER, title=["A"]),
        table("store", 9, store_id=Kind.NUMBER, title=["B"]),
    )

    assert put("how many outlets", known) == "how many outlet"


def test_a_value_that_is_called_so_stays() -> None:
    known = profile(table("offer", 9, offer_id=Kind.NUMBER, product=["goods", "service"]))

    assert put("offers of goods", known) == "offer of goods"


def test_shows_are_things_where_they_stand_as_such() -> None:
    known = profile(table("concert", 9, concert_id=Kind.NUMBER, theme=["Winter"]))

    assert put("the number of shows in each town", known).split()[3] == "concert"
    assert put("show the concerts", known) == "show the concert"


def test_the_name_of_a_thing_that_is_no_row_is_the_column_called_so() -> None:
    singers = table("singer", 9, singer_id=Kind.NUMBER, name=["Ann"], song_name=["Rain"])
    songs = table("song", 9, song_id=Kind.NUMBER, name=["Rain"])

    assert "song name and the age" in put("the name and the age of the song", profile(singers))
    assert "song name and" not in put("the name and the age of the song", profile(singers, songs))


def test_the_number_of_things_that_are_no_rows_is_a_column() -> None:
    shops = profile(table("shop", 9, shop_id=Kind.NUMBER, number_products=Kind.NUMBER))

    linker = Linker(shops)
    found = linker.refs(linker.prepare(tokenize("the highest number of goods")))
    assert [column.name for ref in found for column, _ in ref.columns] == ["number_products"]


def test_rows_are_called_what_the_keys_of_several_tables_call_them() -> None:
    people = table("resident", 9, id=Kind.NUMBER, name=["Ann"])
    friends = table("friend", 9, student_id=Kind.NUMBER, friend_id=Kind.NUMBER)
    likes = table("liking", 9, student_id=Kind.NUMBER, liked_id=Kind.NUMBER)
    keys = {
        "friend__student_id": ("resident", "id"), "friend__friend_id": ("resident", "id"),
        "liking__student_id": ("resident", "id"), "liking__liked_id": ("resident", "id"),
    }  # fmt: skip

    both = Linker(profile(people, friends, likes, **keys))
    assert both.tables(("student",))[0][0] is people
    assert both.tables(("friend",))[0][0] is friends

    one = {place: target for place, target in keys.items() if place.startswith("friend")}
    assert Linker(profile(people, friends, **one)).tables(("student",)) == []


def test_what_takes_place_is_no_place() -> None:
    known = profile(table("fair", 9, fair_id=Kind.NUMBER, location=["Oslo"]))

    assert put("fairs that took place in May", known) == "fair that took place in may"
    assert put("the place of each fair", known) == "the location of each fair"


def test_a_word_of_a_phrase_that_a_name_is_written_together_with_is_kept() -> None:
    tongues = table("tongue", 9, tongue_id=Kind.NUMBER, language=["Sami"], isofficial=["T", "F"])
    plain = table("tongue", 9, tongue_id=Kind.NUMBER, language=["Sami"])
    copies = table("print", 9, print_id=Kind.NUMBER, country=["Peru"], original_date=Kind.DATE)

    assert put("the country of origin", profile(copies)) == "the country"
    assert put("the official language", profile(tongues)) == "the official language"
    assert put("the official language", profile(plain)) == "the language"


@pytest.mark.parametrize(
    ("said", "column"),
    [
        ("given name", "fname"), ("forename", "fname"), ("first name", "fname"),
        ("family name", "lname"), ("surname", "lname"), ("last name", "lname"),
    ],
)  # fmt: skip
def test_names_of_people_by_an_initial_are_the_first_and_the_last(said: str, column: str) -> None:
    known = profile(table("skater", 9, skater_id=Kind.NUMBER, fname=["Ann"], lname=["Moe"]))

    linker = Linker(known)
    found = linker.refs(linker.prepare(tokenize(f"the {said} of each skater")))
    assert found[0].columns[0][0].name == column


def test_kinds_of_things_are_counted_as_different_ones_where_a_column_says_the_kind() -> None:
    tools = profile(table("tool", 9, tool_id=Kind.NUMBER, tool_type=["saw"]))
    kinds = profile(
        table("tool", 9, tool_id=Kind.NUMBER, tool_type=Kind.NUMBER),
        table("tool_type", 9, tool_type=Kind.NUMBER, title=["saw"]),
        tool__tool_type=("tool_type", "tool_type"),
    )

    assert put("how many types of tools are there", tools).startswith("how many different type of")
    assert put("how many kinds of tools are there", tools).startswith("how many different type of")
    assert put("how many types of tools are there", kinds).startswith("how many type of")
    assert put("how many species of tools", tools) == "how many different type of tool"
