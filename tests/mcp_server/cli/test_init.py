"""`borealis init`, for every client that it knows, in a home folder of the test's own."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from typer.testing import CliRunner, Result

from mcp_server.cli.clients.jsonc import parse
from mcp_server.cli.clients.known import known
from mcp_server.cli.clients.writing import is_fleeting
from mcp_server.cli.commands import app

NAMES = ["vscode", "cursor", "claude-desktop", "claude-code", "windsurf", "zed"]
LINUX_FILES = {
    "vscode": ".config/Code/User/mcp.json",
    "cursor": ".cursor/mcp.json",
    "claude-desktop": ".config/Claude/claude_desktop_config.json",
    "claude-code": ".claude.json",
    "windsurf": ".codeium/windsurf/mcp_config.json",
    "zed": ".config/zed/settings.json",
}
MAC_FILES = LINUX_FILES | {
    "vscode": "Library/Application Support/Code/User/mcp.json",
    "claude-desktop": "Library/Application Support/Claude/claude_desktop_config.json",
}
KEYS = {"vscode": "servers", "zed": "context_servers"}
COMMAND = str(Path(sys.executable).with_name("borealis"))

Init = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "BOREALIS_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("mcp_server.cli.clients.known.sys.platform", "linux")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def init(home: Path) -> Init:
    return lambda *arguments: CliRunner().invoke(app, ["init", *arguments])


def test_it_knows_where_each_client_keeps_its_servers(tmp_path: Path) -> None:
    linux = {one.name: one.file for one in known(tmp_path, {}, "linux")}
    assert linux == {name: tmp_path / path for name, path in LINUX_FILES.items()}
    mac = {one.name: one.file for one in known(tmp_path, {"XDG_CONFIG_HOME": "/x"}, "darwin")}
    assert mac["vscode"] == tmp_path / MAC_FILES["vscode"]
    mac = {one.name: one.file for one in known(tmp_path, {}, "darwin")}
    assert mac == {name: tmp_path / path for name, path in MAC_FILES.items()}
    moved = {one.name: one.file for one in known(tmp_path, {"XDG_CONFIG_HOME": "/x"}, "linux")}
    assert moved["zed"] == Path("/x/zed/settings.json")


@pytest.mark.parametrize("name", NAMES)
def test_a_client_without_a_file_gets_one_in_its_own_form(
    name: str, home: Path, init: Init
) -> None:
    done = init(name)
    assert done.exit_code == 0, done.output
    file = home / LINUX_FILES[name]
    assert (file.stat().st_mode & 0o777) == 0o600
    entry = json.loads(file.read_text())[KEYS.get(name, "mcpServers")]["borealis"]
    kind = {"type": "stdio"} if name in ("vscode", "claude-code") else {}
    assert entry == {**kind, "command": COMMAND, "args": ["mcp"]}
    assert os.access(entry["command"], os.X_OK)
    again = init(name)
    assert "has it already" in again.output
    assert [each.name for each in file.parent.iterdir() if "before" in each.name] == []


def test_without_a_name_it_configures_what_is_installed(home: Path, init: Init) -> None:
    (home / ".cursor").mkdir()
    (home / ".config/zed").mkdir(parents=True)
    done = init("--json", "--cluster", "notes", "--read-only")
    written = json.loads(done.stdout)["clients"]
    assert [one["client"] for one in written] == ["cursor", "zed"]
    assert written[0]["entry"]["args"] == ["mcp", "--cluster", "notes", "--read-only"]
    assert sorted(path.name for path in home.iterdir()) == [".config", ".cursor"]


def test_where_none_is_installed_it_shows_what_to_paste(home: Path, init: Init) -> None:
    done = init()
    assert done.exit_code == 0
    assert json.loads(done.stdout)["mcpServers"]["borealis"]["command"] == COMMAND
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("name", NAMES)
def test_print_shows_and_writes_nothing(name: str, home: Path, init: Init) -> None:
    done = init(name, "--print")
    assert json.loads(done.stdout)[KEYS.get(name, "mcpServers")]["borealis"]["args"] == ["mcp"]
    assert LINUX_FILES[name] in done.stderr.replace("\n", "")
    assert list(home.iterdir()) == []


def test_everything_else_in_a_file_stays_and_is_kept_aside(home: Path, init: Init) -> None:
    settings = home / "dotfiles" / "zed.json"
    settings.parent.mkdir()
    before = '\ufeff// mine\n{\n  "theme": "One", // dark\n}\n'
    settings.write_text(before, encoding="utf-8")
    settings.chmod(0o644)
    (home / ".config/zed").mkdir(parents=True)
    link = home / ".config/zed/settings.json"
    link.symlink_to(settings)
    done = init("zed", "--name", "aurora", "--state-dir", "clusters")
    assert done.exit_code == 0, done.output
    assert link.is_symlink()
    after = settings.read_text(encoding="utf-8")
    assert "// mine" in after
    assert "// dark" in after
    entry = parse(after.removeprefix("\ufeff")).data["context_servers"]["aurora"]
    assert entry["args"] == ["mcp", "--state-dir", str(home / "clusters")]
    assert (settings.stat().st_mode & 0o777) == 0o644
    assert (settings.parent / "zed.json.before-borealis").read_text(encoding="utf-8") == before


@pytest.mark.parametrize("text", ['{"mcpServers": ', '{"mcpServers": []}', "[]", b"\xff\xfe{"])
def test_a_file_that_cannot_be_changed_safely_is_left_as_it_is(
    text: str | bytes, home: Path, init: Init
) -> None:
    file = home / ".cursor/mcp.json"
    file.parent.mkdir()
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    before = file.read_bytes()
    done = init("cursor")
    assert done.exit_code == 1
    assert str(file) in str(done.exception)
    assert "borealis init cursor --print" in str(done.exception)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == ["mcp.json"]


def test_a_project_has_files_of_its_own(home: Path, init: Init) -> None:
    assert init("vscode", "claude-code", "--project").exit_code == 0
    assert "borealis" in json.loads((home / ".vscode/mcp.json").read_text())["servers"]
    assert "borealis" in json.loads((home / ".mcp.json").read_text())["mcpServers"]
    assert "no configuration of a project" in str(init("windsurf", "--project").exception)


def test_an_unknown_client_is_told_the_known_ones(init: Init) -> None:
    done = init("emacs")
    assert done.exit_code == 1
    assert all(name in str(done.exception) for name in NAMES)


def test_a_command_in_the_cache_of_uvx_is_not_one_that_stays() -> None:
    assert is_fleeting("/home/ada/.cache/uv/archive-v0/abc/bin/borealis")
    assert not is_fleeting("/home/ada/.local/bin/borealis")


def test_the_command_that_is_written_serves_the_tools(
    home: Path, init: Init, state_dir: Path
) -> None:
    done = init("cursor", "--json", "--state-dir", str(state_dir / "init"))
    (written,) = json.loads(done.stdout)["clients"]
    entry = json.loads(Path(written["file"]).read_text())["mcpServers"]["borealis"]

    async def names() -> set[str]:
        server = StdioServerParameters(
            command=entry["command"], args=entry["args"], env={**os.environ}
        )
        async with Client(stdio_client(server)) as client:
            return {tool.name for tool in (await client.list_tools()).tools}

    assert {"create_cluster", "run_query", "ask"} <= anyio.run(names)
