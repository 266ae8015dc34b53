"""Make the desktop bundle (.mcpb): a zip of a manifest, the wheel, and what starts it.

The host of a bundle of type `uv` installs what its pyproject.toml asks for; the wheel comes along,
so that a checkout can be tried before it is published.

    python publishing/mcpb.py DIST

Source: github.com/anthropics/mcpb, MANIFEST.md (0.4), "UV Runtime".
"""

import json
import sys
import tomllib
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
DISTRIBUTION = "borealis-postgres"
PYPROJECT = """\
[project]
name = "borealis-bundle"
version = "{version}"
requires-python = "{python}"
dependencies = ["{distribution}[mcp]"]

[tool.uv]
package = false

[tool.uv.sources]
{distribution} = {{ path = "wheels/{wheel}" }}
"""


def bundle(dist: Path) -> Path:
    """Make it of the wheel in a folder, beside that; its path.

    Raises FileNotFoundError where there is no wheel of the version that the checkout has.
    """
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = project["version"]
    manifest = json.loads((HERE / "manifest.json").read_text(encoding="utf-8"))
    wheels = sorted(dist.glob(f"{DISTRIBUTION.replace('-', '_')}-{version}-*.whl"))
    if not wheels:
        raise FileNotFoundError(f"there is no wheel of {DISTRIBUTION} {version} in {dist}")
    wheel = wheels[-1]
    made = dist / f"{manifest['name']}-{version}.mcpb"
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", json.dumps({**manifest, "version": version}, indent=2))
        archive.writestr(
            "pyproject.toml",
            PYPROJECT.format(
                version=version,
                python=project["requires-python"],
                distribution=DISTRIBUTION,
                wheel=wheel.name,
            ),
        )
        archive.write(HERE / "main.py", manifest["server"]["entry_point"])
        archive.write(HERE.parent / "LICENSE", "LICENSE")
        archive.write(wheel, f"wheels/{wheel.name}", zipfile.ZIP_STORED)
    return made


if __name__ == "__main__":
    print(bundle(Path(sys.argv[1])))
