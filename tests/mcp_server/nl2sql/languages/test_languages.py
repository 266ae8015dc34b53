"""Questions in other languages: over names in that language, and over names in English."""

import psycopg
import pytest

from mcp_server.nl2sql import Translator
from mcp_server.nl2sql.database.digest import digest
from mcp_server.nl2sql.errors import LexiconError
from mcp_server.nl2sql.languages.telling import languages_of
from tests.mcp_server.nl2sql.conftest import filled

ATLAS = """
create table staedte (id int primary key, name text, einwohner int, "größe" int, gegruendet date);
insert into staedte values
  (1, 'Köln', 1080000, 405, '0050-01-01'), (2, 'Wien', 1900000, 415, '1221-01-01'),
  (3, 'Graz', 290000, 127, '1128-01-01');
create table rios (id int primary key, nombre text, longitud int, "país" text);
insert into rios values (1, 'Ebro', 930, 'España'), (2, 'Tajo', 1007, 'España'),
  (3, 'Sena', 777, 'Francia');
create table commandes (id int primary key, libelle text, prix int, ville text);
insert into commandes values (1, 'chaise', 40, 'Orléans'), (2, 'table', 90, 'Paris');
create table employees (id int primary key, name text, city text, salary int, hired date);
insert into employees values (1, 'Ada', 'Berlin', 5000, '2019-02-01'),
  (2, 'Bo', 'Paris', 4000, '2021-02-01'), (3, 'Cy', 'Paris', 3000, '2022-02-01');
analyze;
"""


@pytest.fixture(scope="module")
def atlas(module_dsn: str) -> str:
    return filled(module_dsn, ATLAS)


@pytest.mark.parametrize(
    ("question", "rows"),
    [
        ("Wie viele Städte gibt es?", [(3,)]),
        ("Welche Staedte haben mehr als 1.000.000 Einwohner?", [("Köln",), ("Wien",)]),
        ("Was ist die maximale Größe der Städte?", [(415,)]),
        ("Welche Mitarbeiter wohnen nicht in Paris?", [("Ada",)]),
        ("Mitarbeiter, die nach 2020 eingestellt wurden", [("Bo",), ("Cy",)]),
        ("¿Cuántos ríos hay en Espana?", [(2,)]),
        ("¿Qué ríos son de España?", [("Ebro",), ("Tajo",)]),
        ("Salario medio de los empleados de Paris", [(3500,)]),
        ("Quels employés habitent à Paris ?", [("Bo",), ("Cy",)]),
        ("Combien de commandes y a-t-il ?", [(2,)]),
        ("Quelles commandes coûtent plus de 50 ?", [("table",)]),
    ],
)
def test_frequent_patterns_are_read(
    atlas: str, question: str, rows: list[tuple[object, ...]]
) -> None:
    found = Translator(atlas).translate(question)
    assert found.sql is not None, found.reason
    with psycopg.connect(atlas) as conn:
        assert digest(conn.execute(found.sql.encode()).fetchall()) == digest(rows)
    assert "read as" in found.assumptions[0]


def test_a_word_that_is_not_understood_declines_and_is_told(atlas: str) -> None:
    found = Translator(atlas).translate("Welche Städte haben einen Bahnhof?")
    assert found.sql is None
    assert found.unused == ("Bahnhof",)
    assert "read as German; not understood: 'Bahnhof'" in found.reason


def test_where_the_language_is_not_sure_it_declines(atlas: str) -> None:
    found = Translator(atlas).translate("la table de Orion")
    assert found.sql is None
    assert "Spanish or French" in found.reason


def test_the_language_may_be_named(atlas: str) -> None:
    assert Translator(atlas, language="es").translate("Ríos").sql is not None
    with pytest.raises(LexiconError, match="no language 'xx'; those it has: de, en, es, fr"):
        Translator(atlas, language="xx")


@pytest.mark.parametrize(
    "question",
    [
        "How many cities are there?",
        "What was the price of die casting in La Paz?",
        "employees without a phone number",
        'customers called "Los Angeles de la Vega"',
        "revenue per month",
    ],
)
def test_english_stays_english(question: str) -> None:
    assert list(languages_of(question)) == ["en"]
