"""Which hosts may be reached, and which addresses their names may stand for.

A name is allowed by name, an address by being written down as one. What a name resolves to is judged again, because
whoever owns a name decides what it points to: this machine, its network, the metadata of a cloud.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from harness.errors import SetupError

Address = IPv4Address | IPv6Address

HTTPS, HTTP = 443, 80
NAT64 = ip_network("64:ff9b::/96")
CARRIERS = (NAT64, *map(ip_network, ("64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96")))
"""Networks whose addresses end with one of the older protocol. Source: RFC 6052, 8215, 4291, 2765."""
ELSEWHERE = (NAT64, ip_network("2000::/3"))
"""Where hosts elsewhere have their addresses of the newer protocol. Source: IANA, IPv6 address space."""
ASSIGNED = ip_network("192.0.0.0/24")
"""Kept for protocols, not for hosts. Source: RFC 6890."""


@dataclass(frozen=True)
class AllowedHost:
    """One line of a list of hosts."""

    name: str
    """In lower case, without a trailing dot; `*.name`: all below it; or an address."""
    port: int = HTTPS
    may_be_private: bool = False
    """Whether it may lie in the person's own network, as a company's registry does."""
    lies_at: frozenset[str] = frozenset()
    """Addresses that it may have in any case: what is reached there, at this port, is reached by another name too."""

    def fits(self, host: str, port: int) -> bool:
        """Whether this line allows a host as a program names it."""
        if port != self.port:
            return False
        if self.name.startswith("*."):
            return host.endswith(self.name[1:]) and len(host) >= len(self.name)
        return host == self.name

    def judge(self, address: str) -> str:
        """Why an address is not connected to; empty when it may be."""
        faces = _faces(ip_address(address.partition("%")[0]))
        if as_address(self.name) in faces or address in self.lies_at:
            return ""
        if any(face.is_link_local or face.is_multicast or face.is_unspecified for face in faces):
            return f"{address} is no address of a host elsewhere"
        if not self.may_be_private and not all(_is_elsewhere(face) for face in faces):
            return f"{address} is an address of this machine or a private network"
        return ""


def parse_hosts(texts: Iterable[str]) -> tuple[AllowedHost, ...]:
    """Lines such as `api.example.com`, `*.example.org:8443`, `10.0.0.5:5432`, `[::1]:80`.

    Raises: SetupError: a line is no host; the person mends it.
    """
    return tuple(_parse(text) for text in texts)


def hosts_of(urls: Iterable[str], links: Iterable[str] = ()) -> tuple[AllowedHost, ...]:
    """The hosts of some URLs; other schemes than HTTP, and what is no URL, are left out.

    Args:
        urls: what the person's own programs are set up with: these hosts may lie in the person's network.
        links: what pages name: hosts elsewhere, by name, unless `urls` have the same host and port.
    """
    found = {place: AllowedHost(*place, may_be_private=True) for place in _places(urls)}
    for place in _places(links):
        if as_address(place[0]) is None:
            found.setdefault(place, AllowedHost(*place))
    return tuple(found.values())


def find(hosts: Sequence[AllowedHost], host: str, port: int) -> AllowedHost | None:
    """The line that allows a host, if any."""
    return next((allowed for allowed in hosts if allowed.fits(plain(host), port)), None)


def plain(host: str) -> str:
    """One spelling of a name: lower case, ASCII, no trailing dot; of an address the canonical one."""
    name = host.strip("[]").rstrip(".").lower()
    try:
        name = name if name.isascii() else name.encode("idna").decode()
    except UnicodeError:
        return name  # fits nothing
    address = as_address(name)
    return str(address) if address else name


def as_address(name: str) -> Address | None:
    """The address a text is; None for a name."""
    try:
        return ip_address(name)
    except ValueError:
        return None


def _places(urls: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Name and port of each; no name here stands for several."""
    for url in urls:
        with contextlib.suppress(ValueError):  # no URL
            parts = urlsplit(url)
            name = plain(parts.hostname or "")
            if parts.scheme in {"http", "https"} and name and "*" not in name:
                yield name, parts.port or (HTTPS if parts.scheme == "https" else HTTP)


def _parse(text: str) -> AllowedHost:
    host, _, port = (
        text.rpartition(":") if text.rpartition(":")[2].isdigit() and not text.endswith("]") else (text, "", "")
    )
    number = int(port) if port else HTTPS
    if not host or not 0 < number < 1 << 16 or plain(host) in {"*", "*."} or host.count("*") > host.startswith("*."):
        raise SetupError(
            f"{text!r} is no host that can be allowed.", "Write api.example.com, api.example.com:8443 or *.example.com."
        )
    return AllowedHost(plain(host), number)


def _is_elsewhere(address: Address) -> bool:
    """Whether it is a host's and not of this machine or its network; Python's `is_global` lets some of those pass."""
    in_place = address not in ASSIGNED if address.version == 4 else _is_in(address, ELSEWHERE)
    return address.is_global and in_place


def _is_in(address: Address, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    return any(address in network for network in networks)


def _faces(address: Address) -> list[Address]:
    """The address, and those of the older protocol that it carries: all of them must do."""
    faces: list[Address | None] = [address]
    if isinstance(address, IPv6Address):
        faces += [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        faces += [IPv4Address(int(address) & 0xFFFFFFFF)] if _is_in(address, CARRIERS) else []
    found = [face for face in faces if face is not None]
    return found[1:] if isinstance(address, IPv6Address) and address.ipv4_mapped else found
