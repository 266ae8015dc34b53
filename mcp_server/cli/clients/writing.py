"""Puts a server into the configuration of a client, and keeps everything else that is in there."""

import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp_server.cli.clients import jsonc
from mcp_server.cli.clients.known import Client
from mcp_server.errors import McpServerError

BACKUP_SUFFIX = ".before-borealis"
BOM = "\ufeff"
NEW_FILE_MODE = 0o600


class ClientConfigurationError(McpServerError):
    """The configuration of a client cannot be read or changed. The message names file and cure."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was done to a file. backup: the file as it was before; None for a new one."""

    client: str
    file: str
    changed: bool
    backup: str | None
    entry: dict[str, Any]


def server_command() -> str:
    """What starts `borealis` without a search path: editors that start it have another one."""
    beside = Path(sys.executable).with_name("borealis")
    if beside.exists():
        return str(beside)
    found = shutil.which(sys.argv[0]) or shutil.which("borealis")
    return str(Path(found).absolute()) if found else "borealis"


def is_fleeting(command: str) -> bool:
    """Whether a command stands in the cache of `uvx`, where it may be gone tomorrow."""
    return any(part.startswith("archive-v") for part in Path(command).parts)


def write(client: Client, file: Path, name: str, entry: dict[str, Any]) -> Written:
    """Set the server `name` in a client's file, which is made where it does not exist.

    The file is replaced as a whole, and what a link points at is. Raises ClientConfigurationError.
    """
    try:
        file = file.resolve()
        before = _read(file)
        after = _with(client, file, before, name, entry)
        backup = None
        if after != before:
            backup = _keep(file) if before is not None else None
            _replace(file, after)
    except (OSError, UnicodeDecodeError) as error:
        raise ClientConfigurationError(
            f"cannot change {file} of {client.title}: {error}; "
            f"show what belongs there with: borealis init {client.name} --print"
        ) from error
    return Written(client.name, str(file), after != before, backup, entry)


def _with(client: Client, file: Path, before: str | None, name: str, entry: dict[str, Any]) -> str:
    text = before or ""
    mark = BOM if text.startswith(BOM) else ""
    text = text.removeprefix(BOM)
    try:
        holds = jsonc.parse(text).data if text.strip() else {}
    except jsonc.JsonTextError:
        holds = {}
    if isinstance(holds, dict):
        servers = holds.get(client.key)
        if isinstance(servers, dict) and servers.get(name) == entry:
            return before or ""
    try:
        return mark + jsonc.set_member(text, (client.key, name), entry)
    except jsonc.JsonTextError as error:
        raise ClientConfigurationError(
            f"{file} of {client.title} is left as it is: {error}. Mend it, or add by hand what "
            f"this shows: borealis init {client.name} --print"
        ) from error


def _read(file: Path) -> str | None:
    try:
        with open(file, encoding="utf-8", newline="") as opened:  # line ends stay as they are
            return opened.read()
    except FileNotFoundError:
        return None


def _keep(file: Path) -> str:
    backup = file.with_name(file.name + BACKUP_SUFFIX)
    shutil.copy2(file, backup)
    return str(backup)


def _replace(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    mode = file.stat().st_mode & 0o777 if file.exists() else NEW_FILE_MODE
    handle, partial = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with open(handle, "w", encoding="utf-8", newline="") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        os.chmod(partial, mode)
        os.replace(partial, file)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
