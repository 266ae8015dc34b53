"""A password of the master user that is the same each time, and is stored nowhere.

It is derived from the secret half of the state directory's access key, which signs tokens for every
role anyhow, and from the cluster that it is for.
"""

import base64
import configparser
import hashlib
import hmac
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_server.errors import McpServerError

if TYPE_CHECKING:
    from cluster_runtime import ClusterHandle, Runtime

PURPOSE = b"master user password"
PROFILE = "default"


class NoAccessKeyError(McpServerError):
    """The state directory's file of access keys cannot be read. The message names it."""


def set_stable_password(runtime: "Runtime", cluster: "ClusterHandle", state_dir: Path) -> str:
    """Give the master user its stable password, whatever it had before, and return it.

    Raises NoAccessKeyError, and what a change of a cluster raises.
    """
    facts = cluster.describe()
    password = derived(_secret(state_dir), facts.db_cluster_resource_id, facts.master_username)
    runtime.modify_db_cluster(facts.db_cluster_identifier, master_user_password=password)
    return password


def derived(secret: str, resource_id: str, user: str) -> str:
    """32 characters that go into a URI as they are."""
    said = b"\0".join([PURPOSE, resource_id.encode(), user.encode()])
    digest = hmac.digest(secret.encode(), said, hashlib.sha256)
    return base64.urlsafe_b64encode(digest)[:32].decode().replace("-", "x").replace("_", "y")


def _secret(state_dir: Path) -> str:
    file = state_dir / "credentials"
    parser = configparser.ConfigParser(interpolation=None)
    try:
        with file.open(encoding="utf-8") as opened:
            parser.read_file(opened)
        return parser[PROFILE]["aws_secret_access_key"]
    except (OSError, UnicodeDecodeError, configparser.Error, KeyError) as error:
        raise NoAccessKeyError(f"cannot read the access key in {file}: {error}") from error
