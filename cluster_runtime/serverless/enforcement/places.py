"""Where this process is in the hierarchies of cgroups, from what the kernel says. Pure.

Source: cgroups(7), /proc/[pid]/cgroup; proc_pid_mountinfo(5); Linux
Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/cgroups.rst.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class CgroupPlaces:
    """The folders of the cgroups that this process is in; None where there is no such hierarchy.

    v1_cpu, v1_memory: of those controllers, where version 1 has them. tops: of each of the three,
    how far up the mount reaches.
    """

    v2: Path | None = None
    v1_cpu: Path | None = None
    v1_memory: Path | None = None
    tops: tuple[Path, ...] = ()


def places_in(cgroup: str, mountinfo: str) -> CgroupPlaces:
    """The places that /proc/self/cgroup and /proc/self/mountinfo tell."""
    own = dict(_memberships(cgroup))
    found: dict[str, tuple[Path, Path]] = {}
    for root, mount, kind, options in _mounts(mountinfo):
        names = ("",) if kind == "cgroup2" else ("cpu", "memory")
        for name in names:
            has = name in options.split(",") or not name
            if has and name in own and name not in found:
                found[name] = mount / _below(own[name], root), mount
    v2, cpu, memory = (found[name][0] if name in found else None for name in ("", "cpu", "memory"))
    return CgroupPlaces(v2, cpu, memory, tuple(top for _, top in found.values()))


def up_to_the_top(place: Path, tops: tuple[Path, ...]) -> Iterator[Path]:
    """A cgroup, then those that it is in, as far as this process sees them."""
    yield place
    while place not in tops and place != place.parent:
        place = place.parent
        yield place


def _memberships(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(","):
            yield name, path  # version 2 has no name


def _mounts(text: str) -> Iterator[tuple[str, Path, str, str]]:
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, _, options) = before.split(" "), after.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            yield fields[3], Path(_unescaped(fields[4])), kind, options


def _below(path: str, root: str) -> str:
    """A path within a mount of `root`: in a container, the host's own name for it may be told."""
    inside = path.removeprefix(root) if root != "/" and path.startswith(root) else path
    return "." if root != "/" and inside == path else inside.lstrip("/") or "."


def _unescaped(text: str) -> str:
    """Blanks are written as octal numbers."""
    for code, character in ((r"\040", " "), (r"\011", "\t"), (r"\134", "\\")):
        text = text.replace(code, character)
    return text
