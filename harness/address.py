"""Addresses as a person may see them.

An address can carry a name and a password (`http://name:password@host`). Whatever prints or keeps one shows it through
`shown`; texts of others that may quote it go through `redact`.
"""

from __future__ import annotations

import base64
import re
from urllib.parse import unquote

_USERINFO = re.compile(
    # second: a password with an unquoted "/" makes a broken address, and is hidden all the same; a port is none
    r"^([a-z][a-z0-9+.-]*://)?([^/?#]*|[^/?#@:]*:(?!//|\d+[/?#]).*)@",
    re.IGNORECASE,
)
SHORTEST_SECRET = 6
"""From this length on a name or password is looked for in texts: a shorter one may be any word."""


def shown(address: str) -> str:
    """The address without name and password."""
    return _USERINFO.sub(r"\1", address)


def redact(text: str, address: str) -> str:
    """Take the name and password of an address out of a text, also as a header carries them."""
    for secret in sorted(_spellings(address), key=len, reverse=True):
        text = text.replace(secret, "[secret]")
    return text


def _spellings(address: str) -> set[str]:
    """How the secret of an address may be written."""
    if not (found := _USERINFO.match(address)) or not (given := found[2]):
        return set()
    name, _, password = given.partition(":")
    pair = f"{unquote(name)}:{unquote(password)}"
    header = base64.b64encode(pair.encode()).decode().rstrip("=")
    alone = password or name
    spellings = {given, pair, header, alone, unquote(alone)}
    return {f"{given}@"} | {text for text in spellings if len(text) >= SHORTEST_SECRET}
