"""Which hosts may be reached, and which addresses their names may stand for.

A name is allowed by name, an address by being written down as one. What a name resolves to is judged again, because
whoever owns a name decides what it points to: this machine, its network, the metadata of a cloud.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from harness.errors import SetupError

Address = IPv4Address | IPv6Address

HTTPS, HTTP = 443, 80
NAT64 = ip_network("64:ff9b::/96")


@dataclass(frozen=True)
class AllowedHost:
    """One line of a list of hosts."""

    name: str
    """In lower case, without a trailing dot; `*.name`: all below it; or an address."""
    port: int = HTTPS
    may_be_private: bool = False
    """Whether it may lie in the person's own network, as a company's registry does."""

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
        if as_address(self.name) in faces:
            return ""
        if any(face.is_link_local or face.is_multicast or face.is_unspecified for face in faces):
            return f"{address} is no address of a host elsewhere"
        if not self.may_be_private and not all(face.is_global for face in faces):
            return f"{address} is an address of this machine or a private network"
        return ""


def parse_hosts(texts: Iterable[str]) -> tuple[AllowedHost, ...]:
    """Lines such as `api.example.com`, `*.example.org:8443`, `10.0.0.5:5432`, `[::1]:80`.

    Raises: SetupError: a line is no host; the person mends it.
    """
    return tuple(_parse(text) for text in texts)


def hosts_of(urls: Iterable[str]) -> tuple[AllowedHost, ...]:
    """The hosts of addresses that the person's own programs are set up with; other schemes than HTTP are left out."""
    found = {}
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme in {"http", "https"} and parts.hostname:
            port = parts.port or (HTTPS if parts.scheme == "https" else HTTP)
            host = AllowedHost(plain(parts.hostname), port, may_be_private=True)
            found[host.name, host.port] = host
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


def _faces(address: Address) -> list[Address]:
    """The address, and those of the older protocol that it carries: all of them must do."""
    faces: list[Address | None] = [address]
    if isinstance(address, IPv6Address):
        faces += [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        faces += [IPv4Address(int(address) & 0xFFFFFFFF)] if address in NAT64 else []
    found = [face for face in faces if face is not None]
    return found[1:] if isinstance(address, IPv6Address) and address.ipv4_mapped else found
