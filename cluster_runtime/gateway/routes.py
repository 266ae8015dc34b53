"""Which endpoint a client of the shared port means: by the name it called, or by what it says.

A name comes with TLS (SNI). An option, `endpoint=...` in the startup message, is for clients that
call an address or speak no TLS; it is a name, or enough of its beginning to tell one endpoint, or
an alias: the identifier of a cluster, an instance or a custom endpoint.

Source: RFC 6066, section 3 (server_name); the option is that of Neon's proxy, which clients know.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from cluster_runtime.gateway.authentication.actions import Refusal

NO_SUCH_ENDPOINT = "08004"
"""SQLSTATE sqlserver_rejected_establishment_of_sqlconnection: nobody here takes the connection."""

Target = TypeVar("Target")


@dataclass(frozen=True, slots=True)
class Called:
    """How an endpoint may be called. names: host names; aliases: identifiers, for the option."""

    names: tuple[str, ...]
    aliases: tuple[str, ...] = ()


class Routes(Generic[Target]):
    """The endpoints of a gateway by what they are called."""

    def __init__(self) -> None:
        self._called: dict[Target, Called] = {}
        self._named: dict[str, tuple[Target, ...]] = {}

    def put(self, target: Target, names: Iterable[str], aliases: Iterable[str]) -> None:
        """An endpoint is called so from now on, and not as before."""
        self.remove(target)
        called = Called(tuple(map(_lower, names)), tuple(map(_lower, aliases)))
        self._called[target] = called
        for name in called.names:
            self._named[name] = (*self._named.get(name, ()), target)

    def remove(self, target: Target) -> None:
        """An endpoint is gone."""
        called = self._called.pop(target, None)
        for name in called.names if called is not None else ():
            self._named[name] = tuple(each for each in self._named[name] if each is not target)
            if not self._named[name]:
                del self._named[name]

    def named(self, server_name: str | None) -> Target | None:
        """The endpoint of a host name."""
        found = self._named.get(_plain(server_name), ())
        return found[0] if len(found) == 1 else None

    def domain_of(self, server_name: str | None) -> str | None:
        """The domain of a host name, where that is one of endpoints that are here."""
        domain = _plain(server_name).partition(".")[2]
        ends = f".{domain}"
        return domain if domain and any(name.endswith(ends) for name in self._named) else None

    def find(self, server_name: str | None, option: str | None) -> Target | Refusal:
        """The endpoint of a client. server_name: by TLS; option: what `endpoint` says."""
        by_name = self.named(server_name)
        if option is None:
            return by_name if by_name is not None else _unnamed(server_name)
        found = self._by_option(_plain(option))
        if isinstance(found, Refusal):
            return found
        if by_name is not None and by_name is not found:
            return Refusal(
                NO_SUCH_ENDPOINT,
                f'the host name is {server_name}, and the option endpoint says "{option}", '
                "which is another endpoint; leave one of them out",
            )
        return found

    def _by_option(self, said: str) -> Target | Refusal:
        for fits in (
            lambda called: said in called.names,
            lambda called: said in called.aliases,
            lambda called: any(name.startswith(f"{said}.") for name in called.names),
        ):
            found = self._all(fits)
            if len(found) == 1:
                return found[0]
            if found:
                names = ", ".join(sorted(self._called[each].names[0] for each in found))
                return Refusal(NO_SUCH_ENDPOINT, f'"{said}" may be any of these endpoints: {names}')
        return Refusal(
            NO_SUCH_ENDPOINT,
            f'there is no endpoint "{said}" here; `borealis list` shows the clusters of this host',
        )

    def _all(self, fits: Callable[[Called], bool]) -> list[Target]:
        return [target for target, called in self._called.items() if fits(called)]


def _unnamed(server_name: str | None) -> Refusal:
    called = (
        f'"{server_name}" is no endpoint of this port' if server_name else "no endpoint was named"
    )
    return Refusal(
        NO_SUCH_ENDPOINT,
        f"{called}: connect to the name of one, with TLS, or say options=endpoint=IDENTIFIER",
    )


def _plain(name: str | None) -> str:
    return (name or "").lower().rstrip(".")


def _lower(text: str) -> str:
    """The text itself where it is lower case already: there are several for each cluster."""
    return text if text.islower() else text.lower()
