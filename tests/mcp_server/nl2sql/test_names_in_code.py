"""The translator is tuned by rules of English, never by the names of a data set.

Names that come from data look like identifiers (`two_words`, `camelCase`) or like proper names.
The names of tables and columns of the project's own questions, and the texts in their rows, are
looked for as well; so are those of the sets in the folder that BOREALIS_NL2SQL_DATA names, if any.
"""

import ast
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import mcp_server.nl2sql
from mcp_server.nl2sql.words.files import OWN as LEXICON
from mcp_server.nl2sql.words.files import WORDS

PACKAGE = Path(mcp_server.nl2sql.__file__).parent
TRANSLATOR = sorted(
    path
    for path in PACKAGE.rglob("*.py")
    if re.match(
        r"words/(lexicon|related|places|dates|tokens|trigrams|ways)|schema/|translator"
        r"|sql/(compile|conditions|expressions|joined|logical)"
        r"|linking/|grammar/|choosing/",
        str(path.relative_to(PACKAGE)),
    )
)
OF_POSTGRES = re.compile(r"(pg|current|session|system|localtime|information)_\w+|\w+_catalog")
OWN = Path(__file__).parents[3] / "bench" / "questions"
SETS = [OWN, *map(Path, filter(None, [os.environ.get("BOREALIS_NL2SQL_DATA")]))]


def strings(path: Path) -> Iterator[str]:
    """Every string constant of a module that is no docstring, and the constants of f-strings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    statements = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Constant)
        and re.match(r"\s*(select|with)\s", str(node.value.value))
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or id(node) in documentation | statements:
            continue
        if isinstance(node.value, str):
            yield node.value


@cache
def own_names() -> set[str]:
    """Attributes, arguments, functions and keys of its own, which strings may repeat."""
    names = set(WORDS)
    for path in TRANSLATOR:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Attribute(attr=name) | ast.arg(arg=name) | ast.FunctionDef(name=name):
                    names.add(name)
                case ast.AnnAssign(target=ast.Name(id=name)):
                    names.add(name)
    return names


def test_there_are_modules_to_look_at() -> None:
    assert {"lexicon.py", "linking.py", "vocabulary.py", "weights.py"} <= {
        path.name for path in TRANSLATOR
    }


@pytest.mark.parametrize("path", TRANSLATOR, ids=lambda path: path.name)
def test_no_string_of_the_translator_looks_like_the_name_of_a_column(path: Path) -> None:
    found = {
        name
        for text in strings(path)
        if not text.startswith("mcp_server")
        for name in re.findall(r"(?<![\w\\<])[a-z]+_[a-z_]*[a-z]\b|\b[a-z]+[A-Z][a-z]\w*", text)
        if not OF_POSTGRES.fullmatch(name)
    }

    assert found <= own_names()


@pytest.mark.parametrize("sets", SETS, ids=lambda path: path.name)
def test_no_name_and_no_text_of_the_question_sets_is_in_the_code(sets: Path) -> None:
    names, texts = set[str](), set[str]()
    for schema in sets.rglob("schema.sql"):
        names |= set(re.findall(r"\b[a-z]+_[a-z_]*[a-z]\b", schema.read_text("utf-8").lower()))
        names.add(schema.parent.name.lower())
        data = schema.with_name("data.sql")
        if data.exists():
            texts |= set(re.findall(r"'([A-Z][\w']+(?: [A-Z][\w']+)+)'", data.read_text("utf-8")))
    assert names
    names -= {"primary_key", "foreign_key", "not_null", "double_precision"}
    code = "\n".join(text for path in TRANSLATOR for text in strings(path))
    code += "".join(path.read_text("utf-8") for path in LEXICON.glob("en*.toml"))
    words = set(re.findall(r"\b[a-z]+_[a-z_]*[a-z]\b", code.lower()))

    assert not words & names
    assert not {text for text in texts if text in code}


def test_the_look_at_strings_finds_a_name_that_is_planted(tmp_path: Path) -> None:
    planted = tmp_path / "rules.py"
    planted.write_text('"""two_words in a docstring"""\nHINTS = {"two_words": f"{1} x"}\n')

    assert "two_words" in list(strings(planted))
    assert not any("docstring" in text for text in strings(planted))
