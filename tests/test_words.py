"""Plain English of today: the words that docs/STYLE.md lists stand nowhere else."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STYLE = ROOT / "docs" / "STYLE.md"
NOT_OURS = ("LICENSE", "bench/questions/", "docs/STYLE.md", "tests/test_words.py")
TEXT = {".cfg", ".md", ".py", ".toml", ".yaml", ".yml", ""}


def listed() -> list[str]:
    """The words of the table's left column."""
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", STYLE.read_text(encoding="utf-8"), re.M)
    return [word for row in rows[1:] for word in row.split(", ")]


def pattern(words: list[str]) -> re.Pattern[str]:
    """The words, whole, also as a sentence begins, and across the end of a line (of a comment)."""
    both = [form for word in words for form in (word, word.capitalize())]
    spaced = [re.escape(word).replace(r"\ ", r"[\s#*]+") for word in both]
    return re.compile(rf"\b(?:{'|'.join(spaced)})\b")


def sources() -> list[Path]:
    named = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = [name for name in named.stdout.split("\0") if name and not name.startswith(NOT_OURS)]
    return [path for name in names if (path := ROOT / name).suffix in TEXT and path.is_file()]


def test_no_text_of_ours_has_a_word_of_the_list() -> None:
    words = pattern(listed())
    found = {
        str(path.relative_to(ROOT)): {" ".join(hit.split()) for hit in hits}
        for path in sources()
        if (hits := words.findall(path.read_text(encoding="utf-8")))
    }
    assert found == {}


def test_the_list_is_read() -> None:
    assert {"anew", "for ever", "came to nothing", "in clear"} <= set(listed())
    assert len(sources()) > 200


@pytest.mark.parametrize(
    "text",
    ["Made anew.", "it would wait\n# for ever", "which came\n    to nothing", "Upon that", "shall"],
)
def test_it_is_found_however_it_is_written(text: str) -> None:
    assert pattern(listed()).search(text)


@pytest.mark.parametrize(
    "text", ["a new one", "forever", "in clearer words", "in CLEAR", "Marshall"]
)
def test_other_words_are_not(text: str) -> None:
    assert not pattern(listed()).search(text)
