"""What other programs read of a release: `server.json` of the public registry, the desktop bundle.

The rules are those of their published schemas, as far as they concern what these files say.
Sources: static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json;
github.com/anthropics/mcpb, schemas/mcpb-manifest-v0.4.schema.json.
"""

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import anyio
import pytest
from jsonschema import Draft7Validator, ValidationError
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from tests.hosts import end_hosts

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SERVER = json.loads((ROOT / "server.json").read_text(encoding="utf-8"))
MANIFEST = json.loads((ROOT / "publishing" / "manifest.json").read_text(encoding="utf-8"))

TEXT = {"type": "string"}
INPUT = {
    "description": TEXT,
    "value": TEXT,
    "default": TEXT,
    "format": {"enum": ["string", "number", "boolean", "filepath"]},
    "isRequired": {"type": "boolean"},
    "isSecret": {"type": "boolean"},
    "isRepeated": {"type": "boolean"},
}


def closed(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    """An object with these members and no others: what a schema does not know is mostly a typo."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def listed(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": of}


ARGUMENT = {
    "anyOf": [
        {
            **closed({**INPUT, "type": {"const": "positional"}, "valueHint": TEXT}, "type"),
            "anyOf": [{"required": ["valueHint"]}, {"required": ["value"]}],
        },
        closed({**INPUT, "type": {"const": "named"}, "name": TEXT}, "type", "name"),
    ]
}
OF_SERVER_JSON = closed(
    {
        "$schema": {
            "const": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
        },
        "name": {"type": "string", "maxLength": 200, "pattern": "^[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+$"},
        "title": {"type": "string", "minLength": 1, "maxLength": 100},
        "description": {"type": "string", "minLength": 1, "maxLength": 100},
        "version": {"type": "string", "pattern": r"^\d+\.\d+\.\d+(-[\w.]+)?$"},
        "packages": listed(
            closed(
                {
                    "registryType": {"const": "pypi"},
                    "registryBaseUrl": {"const": "https://pypi.org"},
                    "identifier": TEXT,
                    "version": {"type": "string", "not": {"const": "latest"}},
                    "runtimeHint": {"const": "uvx"},
                    "runtimeArguments": listed(ARGUMENT),
                    "packageArguments": listed(ARGUMENT),
                    "environmentVariables": listed(closed({**INPUT, "name": TEXT}, "name")),
                    "transport": closed({"type": {"const": "stdio"}}, "type"),
                },
                *("registryType", "identifier", "version", "transport"),
            )
        ),
    },
    *("$schema", "name", "description", "version", "packages"),
)
OF_MANIFEST = closed(
    {
        "manifest_version": {"const": "0.4"},
        **dict.fromkeys(("name", "display_name", "version", "description", "license"), TEXT),
        "author": closed({"name": TEXT}, "name"),
        "keywords": listed(TEXT),
        "server": closed(
            {
                "type": {"enum": ["python", "node", "binary", "uv"]},
                "entry_point": TEXT,
                "mcp_config": closed(
                    {
                        "command": TEXT,
                        "args": listed(TEXT),
                        "env": {"type": "object", "additionalProperties": TEXT},
                    },
                    "command",
                ),
            },
            *("type", "entry_point", "mcp_config"),
        ),
        "user_config": {
            "type": "object",
            "additionalProperties": closed(
                {
                    "type": {"enum": ["string", "number", "boolean", "directory", "file"]},
                    "title": TEXT,
                    "description": TEXT,
                    "default": TEXT,
                    "required": {"type": "boolean"},
                },
                *("type", "title", "description"),
            ),
        },
        "tools_generated": {"type": "boolean"},
        "prompts_generated": {"type": "boolean"},
        "compatibility": closed(
            {
                "platforms": listed({"enum": ["darwin", "win32", "linux"]}),
                "runtimes": closed({"python": TEXT}),
            }
        ),
    },
    *("manifest_version", "name", "version", "description", "author", "server"),
)


@pytest.mark.parametrize(
    ("rules", "file"), [(OF_SERVER_JSON, SERVER), (OF_MANIFEST, MANIFEST)], ids=["server", "bundle"]
)
def test_a_file_is_as_its_schema_asks(rules: dict[str, Any], file: dict[str, Any]) -> None:
    Draft7Validator.check_schema(rules)
    Draft7Validator(rules).validate(file)
    for wrong in ({**file, "verion": "1"}, {**file, "version": 1}, {**file, "description": None}):
        with pytest.raises(ValidationError):
            Draft7Validator(rules).validate(wrong)


def test_both_are_of_this_release_and_the_registry_finds_its_name_in_the_readme() -> None:
    (package,) = SERVER["packages"]
    versions = {SERVER["version"], package["version"], MANIFEST["version"], PROJECT["version"]}
    assert len(versions) == 1
    assert package["identifier"] == PROJECT["name"]
    assert package["runtimeArguments"][0]["value"] == f"{PROJECT['name']}[mcp]=={SERVER['version']}"
    assert SERVER["description"] == MANIFEST["description"]
    assert f"mcp-name: {SERVER['name']}" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert MANIFEST["compatibility"]["runtimes"]["python"] == PROJECT["requires-python"]


def test_the_arguments_are_those_of_the_command() -> None:
    (package,) = SERVER["packages"]
    assert package["runtimeArguments"][1]["value"] in PROJECT["scripts"]
    first, *options = package["packageArguments"]
    help_text = subprocess.run(
        [sys.executable, "-m", "mcp_server", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
    ).stdout
    assert first["value"] == "mcp"  # what `python -m mcp_server` is
    assert [each["name"] for each in options if each["name"] not in help_text] == []


def test_a_bundle_holds_all_that_its_host_needs_and_starts_the_server(tmp_path: Path) -> None:
    wheel = tmp_path / f"borealis_postgres-{PROJECT['version']}-py3-none-any.whl"
    wheel.write_bytes(b"the wheel")
    script = [sys.executable, ROOT / "publishing" / "mcpb.py", tmp_path]
    made = Path(subprocess.run(script, check=True, capture_output=True, text=True).stdout.strip())
    assert made.suffix == ".mcpb"
    with zipfile.ZipFile(made) as archive:
        archive.extractall(tmp_path / "bundle")
    home = tmp_path / "bundle"
    manifest = json.loads((home / "manifest.json").read_text())
    Draft7Validator(OF_MANIFEST).validate(manifest)
    asked = tomllib.loads((home / "pyproject.toml").read_text())
    assert asked["project"]["dependencies"] == ["borealis-postgres[mcp]"]
    source = asked["tool"]["uv"]["sources"]["borealis-postgres"]["path"]
    assert (home / source).read_bytes() == b"the wheel"
    entry = home / manifest["server"]["entry_point"]
    assert entry.name == Path(manifest["server"]["mcp_config"]["args"][-1]).name

    async def names() -> set[str]:
        state = {"BOREALIS_STATE_DIR": str(tmp_path / "state")}
        server = StdioServerParameters(
            command=sys.executable, args=[str(entry)], env={**os.environ, **state}
        )
        async with Client(stdio_client(server)) as client:
            return {tool.name for tool in (await client.list_tools()).tools}

    try:
        assert {"create_cluster", "run_query"} <= anyio.run(names)
    finally:
        end_hosts(tmp_path)


def test_without_a_wheel_there_is_no_bundle(tmp_path: Path) -> None:
    script = [sys.executable, ROOT / "publishing" / "mcpb.py", tmp_path]
    done = subprocess.run(script, check=False, capture_output=True, text=True)
    assert done.returncode != 0
    assert "there is no wheel of borealis-postgres" in done.stderr
    assert list(tmp_path.iterdir()) == []
