"""What words of a question may name."""

from mcp_server.nl2sql.linking.linking import Linker
from mcp_server.nl2sql.linking.matching import word_match
from mcp_server.nl2sql.schema.model import Kind
from mcp_server.nl2sql.words.tokens import tokenize
from tests.mcp_server.nl2sql.profiles import profile, table


def shop() -> Linker:
    return Linker(
        profile(
            table("customer", 9, customer_id=Kind.NUMBER, first_name=["Ada", "Alan"],
                  last_name=["Byron", "Turing"], city=["San Francisco", "Los Angeles"],
                  country=["United States", "Norway"], line_2=["12 Harbour Street, Oslo"]),
            table("invoice", 9, invoice_id=Kind.NUMBER, customer_id=Kind.NUMBER, qty=Kind.NUMBER),
            invoice__customer_id=("customer", "customer_id"),
        )
    )  # fmt: skip


def values(text: str) -> list[str]:
    linker = shop()
    return [value for ref in linker.refs(linker.prepare(tokenize(text))) for _, value in ref.values]


def test_a_name_that_is_spelled_wrong_is_found() -> None:
    assert values("customers in San Franciso") == ["San Francisco"]


def test_a_value_is_found_by_its_first_letters_and_by_what_a_country_is_called() -> None:
    assert values("customers in LA") == ["Los Angeles"]
    assert values("customers from the US") == ["United States"]


def test_a_place_is_found_by_its_people_and_by_its_code() -> None:
    assert values("American customers") == ["United States"]
    assert values("Norwegian customers") == ["Norway"]
    states = profile(table("office", 9, office_id=Kind.NUMBER, state=["TX", "OR"]))
    linker = Linker(states)
    found = [linker.refs(tokenize(text)) for text in ("offices in Texas", "offices in a or b")]

    assert [[value for ref in refs for _, value in ref.values] for refs in found] == [["TX"], []]


def test_a_value_is_found_by_a_word_that_is_made_from_it() -> None:
    linker = Linker(profile(table("doctor", 9, id=Kind.NUMBER, field=["Cardiology", "Surgery"])))

    found = [value for ref in linker.refs(tokenize("cardiologists")) for _, value in ref.values]
    assert found == ["Cardiology"]
    assert linker.refs(tokenize("cardinals")) == []


def test_first_letters_that_several_values_have_tell_none() -> None:
    known = profile(
        table("campus", 9, campus_id=Kind.NUMBER, name=["Upper Old Hill", "Urban Oak Hall"])
    )

    assert [ref.values for ref in Linker(known).refs(tokenize("UOH"))] == []


def test_a_noun_that_two_names_share_is_heard_twice() -> None:
    linker = Linker(
        profile(table("invoice", 9, invoice_id=Kind.NUMBER, customer_id=Kind.NUMBER, type=["a"],
                      type_code=["b"]))
    )  # fmt: skip

    said = [t.lemma for t in linker.prepare(tokenize("invoice and customer id"))]
    assert said == ["invoice", "id", "and", "customer", "id"]
    assert len(linker.prepare(tokenize("type and type code"))) == 4


def test_a_table_that_is_called_like_a_command_is_named_by_its_plural() -> None:
    linker = Linker(profile(table("orders", 9, order_id=Kind.NUMBER, total=Kind.NUMBER)))

    assert [str(ref.tables[0][0]) for ref in linker.refs(tokenize("orders over 50"))] == ["orders"]


def test_first_and_last_name_in_one_pair_of_quotes_are_two_values() -> None:
    assert values("the city of 'Alan Turing'") == ["Alan", "Turing"]


def test_a_quoted_name_of_a_column_is_no_text() -> None:
    linker = shop()
    refs = linker.refs(linker.prepare(tokenize("show the 'first name' of customers")))

    assert [str(refs[0].columns[0][0]), refs[0].values] == ["customer.first_name", []]


def test_a_quoted_text_that_is_part_of_values_tells_their_column() -> None:
    linker = shop()
    (ref,) = linker.refs(linker.prepare(tokenize("'Harbour Street'")))

    assert [str(column) for column in ref.partly] == ["customer.line_2"]


def test_a_misspelled_name_of_a_table_is_found_and_an_everyday_word_is_left() -> None:
    linker = shop()

    assert [t.lemma for t in linker.prepare(tokenize("custmers and county"))] == [
        "customer",
        "and",
        "county",
    ]


def test_a_name_with_a_number_is_two_words_as_in_the_schema() -> None:
    assert [t.lemma for t in shop().prepare(tokenize("line2 abc9"))] == ["line", "2", "abc9"]


def test_an_abbreviation_is_known_by_its_consonants() -> None:
    assert word_match("department", "dprt") > 0.7
    assert word_match("quantity", "qty") > 0.7
    assert word_match("department", "xyz") == 0
