"""`docs/clients`: each page says what `borealis init` writes, in the client's own file format."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mcp_server.cli.clients.jsonc import parse
from mcp_server.cli.clients.known import Client, known
from mcp_server.cli.commands import app

PAGES = Path(__file__).parent.parent.parent.parent / "docs" / "clients"
COMMAND = str(Path(sys.executable).with_name("borealis"))
SHOWN = "/path/to/.venv/bin/borealis"
CLIENTS = {client.name: client for client in known(Path("/home/ada"), {}, "linux")}
ON_MAC = {client.name: client for client in known(Path("/home/ada"), {}, "darwin")}

MEMBERS = {
    # What each client's documentation gives an entry that is started over standard input.
    "vscode": {"type": "stdio", "command": str, "args": list},
    "cursor": {"command": str, "args": list},
    "claude-desktop": {"command": str, "args": list},
    "claude-code": {"type": "stdio", "command": str, "args": list},
    "windsurf": {"command": str, "args": list},
    "zed": {"command": str, "args": list},
}
ROOTS = {"vscode": "servers", "zed": "context_servers"}

every_client = pytest.mark.parametrize("name", CLIENTS)


def page(name: str) -> str:
    return (PAGES / f"{name}.md").read_text(encoding="utf-8")


def blocks(name: str) -> list[Any]:
    """The files that a page shows, as the client reads them."""
    texts = re.findall(r"```(jsonc?)\n(.*?)```", page(name), re.S)
    return [json.loads(text) if kind == "json" else parse(text).data for kind, text in texts]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "BOREALIS_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("mcp_server.cli.clients.known.sys.platform", "linux")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(home: Path, client: Client, *options: str) -> Any:
    """What `borealis init` puts into the file of a client."""
    done = CliRunner().invoke(app, ["init", client.name, *options])
    assert done.exit_code == 0, done.output
    file = home / client.file.relative_to("/home/ada")
    text = file.read_text(encoding="utf-8")
    file.unlink()
    return parse(text.replace(COMMAND, SHOWN)).data


@every_client
def test_a_page_shows_what_init_writes(name: str, home: Path) -> None:
    client = CLIENTS[name]
    plain, reading = blocks(name)
    assert plain == written(home, client)
    assert reading == written(home, client, "--cluster", "notes", "--read-only")
    assert f"borealis init {name} --cluster notes --read-only" in page(name)


@every_client
def test_what_it_shows_has_the_clients_own_form(name: str) -> None:
    for shown in blocks(name):
        ((root, servers),) = shown.items()
        assert root == ROOTS.get(name, "mcpServers")
        ((_, entry),) = servers.items()
        assert entry.keys() == MEMBERS[name].keys()
        for member, form in MEMBERS[name].items():
            value = entry[member]
            assert value == form if isinstance(form, str) else isinstance(value, form)
        assert all(isinstance(each, str) for each in entry["args"])


@every_client
def test_it_names_the_files_of_the_user_and_of_a_project(name: str) -> None:
    text = page(name).replace("\n", " ")
    for client in (CLIENTS[name], ON_MAC[name]):
        assert f"`~/{client.file.relative_to('/home/ada')}`" in text
    project = CLIENTS[name].project_file
    if project is None:
        assert "`--project` is an error here" in text
    else:
        assert f"`borealis init {name} --project` writes `{project}`" in text


def test_each_client_has_a_page_and_each_page_is_listed() -> None:
    index = (PAGES / "index.md").read_text(encoding="utf-8")
    assert {file.stem for file in PAGES.glob("*.md")} - {"index"} == CLIENTS.keys()
    for client in CLIENTS.values():
        assert f"[{client.title}]({client.name}.md) | `{client.key}`" in index
