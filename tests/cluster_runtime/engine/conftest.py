"""The template of this machine, made once, and servers over copies of it."""

from pathlib import Path

import pytest

from cluster_runtime.engine.home import shared_directory
from cluster_runtime.engine.installation import Installation, find_installation
from cluster_runtime.engine.postmaster import Postmaster
from cluster_runtime.engine.sandbox.os_user import OsUser, engine_user
from cluster_runtime.engine.template import Template, ensure_template


@pytest.fixture(scope="session")
def user() -> OsUser:
    return engine_user()


@pytest.fixture(scope="session")
def installation(user: OsUser) -> Installation:
    return find_installation().reachable_by(user, shared_directory(user))


@pytest.fixture(scope="session")
def template(installation: Installation, user: OsUser) -> Template:
    return ensure_template(installation, user, shared_directory(user))


@pytest.fixture
def stopped(template: Template, engine_dir: Path) -> Postmaster:
    """A PostgreSQL over a copy of the template, not started yet."""
    template.copy_to(engine_dir / "data", 1)
    return Postmaster(
        template.installation,
        template.user,
        engine_dir / "data",
        engine_dir / "s",
        engine_dir / "log",
    )
