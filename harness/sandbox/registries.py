"""Where the person's own package clients get packages from, asked of those clients when it is needed.

No registry is written here: pip and npm tell theirs with their defaults, apt tells its sources, and an index tells on
which hosts its files lie. A client that is not installed has none.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import urllib.request
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from http.client import HTTPException
from urllib.parse import urljoin

from harness.sandbox.egress import resolve
from harness.sandbox.hosts import AllowedHost, hosts_of

CLIENT_SECONDS = 20.0
PAGE_SECONDS = 10.0
PAGE_BYTES = 4 << 20
PAGE = "pip/"
"""The page of an index that is looked at for the hosts of its files: every index that pip uses has pip."""
DEFAULT_INDEX = re.compile(r"--index-url <url>.*?\(default\s+(\S+?)\)", re.DOTALL)
CONFIGURED = re.compile(r"^[^=]*\.(?:(?:extra-)?index-url|find-links)='(.*)'$", re.MULTILINE)
UV_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")


async def find_registries() -> tuple[AllowedHost, ...]:
    """The hosts, as far as the clients tell them; empty when no client is installed. Takes about a second."""
    indexes, *others = await asyncio.gather(_python(), _node(), _debian())
    pages = await asyncio.gather(*(asyncio.to_thread(_links, index) for index in dict.fromkeys(indexes)))
    hosts = hosts_of([*indexes, *(url for urls in others for url in urls)], [link for page in pages for link in page])
    return await _beside_own(hosts)


async def _beside_own(hosts: Sequence[AllowedHost]) -> tuple[AllowedHost, ...]:
    """The hosts; those that a page named may also lie where the person's own do, as behind one gateway for all."""
    own = [host for host in hosts if host.may_be_private]
    found = await asyncio.gather(*(resolve(host.name, host.port) for host in own), return_exceptions=True)
    at: dict[int, set[str]] = {}
    for host, addresses in zip(own, found, strict=True):
        if not isinstance(addresses, BaseException):
            at.setdefault(host.port, set()).update(addresses)
    return tuple(h if h.may_be_private else replace(h, lies_at=frozenset(at.get(h.port, ()))) for h in hosts)


async def npm_registry() -> str:
    """The registry npm would use; empty where there is no npm."""
    return (await _asked("npm", "config", "get", "registry")).strip()


async def _python() -> list[str]:
    told, configured = await asyncio.gather(_asked("pip", "install", "--help"), _asked("pip", "config", "list"))
    indexes = DEFAULT_INDEX.findall(told)
    for value in [*CONFIGURED.findall(configured), *(os.environ.get(name, "") for name in UV_VARIABLES)]:
        indexes += [word.rpartition("=")[2] if "=http" in word else word for word in value.replace("\\n", " ").split()]
    return indexes


async def _node() -> list[str]:
    told = await _asked("npm", "config", "list", "--long", "--json")
    try:
        values = json.loads(told)
    except ValueError:
        return []
    return [str(value) for name, value in values.items() if name == "registry" or name.endswith(":registry")]


async def _debian() -> list[str]:
    return (await _asked("apt-get", "indextargets", "--format", "$(REPO_URI)")).split()


async def _asked(*argv: str) -> str:
    """What a client of the person prints, in the home of the person and not in the project."""
    try:
        client = await asyncio.create_subprocess_exec(
            *argv,
            cwd="/",
            env={**os.environ, "COLUMNS": "300"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return ""
    try:
        async with asyncio.timeout(CLIENT_SECONDS):
            told, _ = await client.communicate()
    except TimeoutError:
        return ""
    finally:
        if client.returncode is None:
            client.kill()
            await client.wait()
    return told.decode(errors="replace")


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]


def _links(index: str) -> list[str]:
    """Where an index keeps its files; empty when it does not answer. Whoever writes the page chooses what they are."""
    if not index.startswith(("http://", "https://")):
        return []
    links, found = _Links(), []
    with contextlib.suppress(OSError, ValueError, HTTPException, AssertionError):  # the last: markup nobody can parse
        page = urljoin(index.rstrip("/") + "/", PAGE)
        asked = urllib.request.Request(page, headers={"Accept": "text/html"})
        with urllib.request.urlopen(asked, timeout=PAGE_SECONDS) as answer:
            links.feed(answer.read(PAGE_BYTES).decode(errors="replace"))
    for link in links.found:
        with contextlib.suppress(ValueError):  # that one is no link
            found.append(urljoin(page, link))
    return found
