"""The lexicon's files: users' count as the package's, and none is skipped in silence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mcp_server.nl2sql.errors import LexiconError
from mcp_server.nl2sql.words import LEXICON_VARIABLE
from mcp_server.nl2sql.words.files import OWN, files_of_users, read

OF_USERS = """
format = 1

synonyms = ["patron customer"]
limiting = "ballpark"

[superlatives]
plushest = { columns = "amount", largest = true }
"""
ASK = """
import sys
from mcp_server.nl2sql import Translator
found = Translator(sys.argv[1]).translate(sys.argv[2])
print(found.sql or found.reason)
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, "utf-8")
    return path


def asked(dsn: str, question: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What a process of its own says: it reads the lexicon once."""
    return subprocess.run(
        [sys.executable, "-c", ASK, dsn, question],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_words_of_users_are_understood_as_the_packages_are(shop: str, tmp_path: Path) -> None:
    named = {LEXICON_VARIABLE: str(written(tmp_path, OF_USERS))}
    found = asked(shop, "How many patrons are from Rome?", named)
    assert "customer" in found.stdout, found
    assert "city" in found.stdout


def test_files_of_the_configuration_directory_are_found(shop: str, tmp_path: Path) -> None:
    folder = tmp_path / "borealis" / "lexicon"
    folder.mkdir(parents=True)
    written(folder, OF_USERS)
    environment = {"XDG_CONFIG_HOME": str(tmp_path), LEXICON_VARIABLE: ""}
    found = asked(shop, "Which purchase is the plushest?", environment)
    assert 'order by "amount" desc' in found.stdout.lower().replace(
        "order by amount desc", 'order by "amount" desc'
    ), found


def test_a_bad_file_is_an_error_and_no_answer(shop: str, tmp_path: Path) -> None:
    path = written(tmp_path, "format = 1\nsynonim = []\n")
    found = asked(shop, "How many customers are there?", {LEXICON_VARIABLE: str(path)})
    assert found.returncode
    assert f"{path}, line 2: synonim is not known; did you mean 'synonyms'?" in found.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("synonyms = []", "format must be 1"),
        ("format = 2", "line 1: format must be 1"),
        ("format = 1\nstop = 3", "line 2: stop must be a text with words"),
        ("format = 1\nsynonyms = ['one']", "line 2: synonyms needs two words"),
        ("format = 1\n[superlatives]\nplush = 'amount'", "line 3: superlatives.plush must have"),
        ("format = 1\n[numbers]\n\"half dozen\" = 'six'", "line 3: numbers.half dozen must be a"),
        ("format = 1\n[lemmas]\nmice = 1", "line 3: lemmas.mice must be a text"),
        ("format = 1\nlanguage = 'xx'\n[[order]]\nfrom = '('\nto = ''", "order has no pattern"),
        ("format = = 1", "cannot be read"),
    ],
)
def test_a_mistake_is_told_with_its_file_line_and_key(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(LexiconError) as raised:
        read([*OWN.glob("*.toml"), path])
    assert str(path) in str(raised.value)
    assert said in str(raised.value)


def test_a_file_that_is_named_and_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LexiconError, match="is not there"):
        files_of_users({LEXICON_VARIABLE: str(tmp_path / "none.toml")}, tmp_path)
