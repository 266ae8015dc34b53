"""The pages for those who carry on name what exists."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DECISIONS = ROOT / "docs" / "decisions"
PAGES = [ROOT / "CONTRIBUTING.md", ROOT / "docs" / "glossary.md", *sorted(DECISIONS.glob("*.md"))]
MAPS = [ROOT / "CONTRIBUTING.md", ROOT / "docs" / "glossary.md"]


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    named = re.findall(
        r"`((?:bench|cluster_runtime|docs|mcp_server|memory|tests)(?:/[\w.-]+)*)[` ]",
        page.read_text(encoding="utf-8"),
    )
    missing = {name for name in named if not (ROOT / name).exists()} - {"bench/results"}
    assert missing == set()


def test_the_names_that_contributing_gives_are_in_those_modules() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"\| ((?:`\w+`(?:, )?)+) in `([\w/]+\.py)`", text)
    assert len(rows) >= 4
    for names, module in rows:
        source = (ROOT / module).read_text(encoding="utf-8")
        for name in re.findall(r"`(\w+)`", names):
            assert re.search(rf"^(?:class |def )?{name}\b", source, re.M), (name, module)


@pytest.mark.parametrize(
    "page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda p: str(p.relative_to(ROOT))
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(
        r"\]\(((?!http)[^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8")
    ):
        other = (page.parent / target).resolve() if target else page
        assert other.exists(), target
        if anchor:
            assert anchor in anchors(other), (target, anchor)


def test_every_page_is_in_the_site_and_every_decision_in_the_list() -> None:
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    assert {page for page in pages if f": {page}" not in site} == set()
    listed = (DECISIONS / "README.md").read_text(encoding="utf-8")
    assert {p.name for p in DECISIONS.glob("0*.md") if f"({p.name})" not in listed} == set()


@pytest.mark.parametrize("target", ["install", "dev", "check", "test", "test-long", "docs", "dist"])
def test_what_contributing_and_the_makefile_call_targets_are_the_same(target: str) -> None:
    done = subprocess.run(
        ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_pages_say_what_the_style_asks_for() -> None:
    for page in DECISIONS.glob("0*.md"):
        text = page.read_text(encoding="utf-8")
        assert "**We** " in text, page.name
        assert "**What would change it.**" in text, page.name
    assert [page.name for page in MAPS if len(page.read_text(encoding="utf-8")) < 1000] == []
