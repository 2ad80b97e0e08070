"""Whether an application of a room answers, asked from inside: its loopback is private."""

from __future__ import annotations

import sys
from dataclasses import dataclass

ASK = """
import http.client, sys, time, urllib.parse
url, end, last = urllib.parse.urlsplit(sys.argv[1]), time.monotonic() + float(sys.argv[2]), "nothing listens"
path = (url.path or "/") + ("?" + url.query if url.query else "")
while time.monotonic() < end:
    try:
        site = http.client.HTTPConnection(url.hostname, url.port or 80, timeout=max(end - time.monotonic(), 0.1))
        site.request("GET", path, headers={"Accept": "text/html,*/*"})
        status = site.getresponse().status
        if status < 500:
            sys.exit(0)
        last = f"it answers with status {status}"
    except TimeoutError:
        last = "it accepts connections and does not answer"
    except (OSError, http.client.HTTPException) as exc:
        last = f"{type(exc).__name__}: {exc}"
    time.sleep(0.03)
print(last)
sys.exit(1)
"""
"""A program of the standard library alone; polls, because nothing tells when a port is opened."""


@dataclass(frozen=True)
class Readiness:
    """Whether an application answers."""

    is_ready: bool
    reason: str = ""
    """Why not."""


def asking_for(url: str, timeout_seconds: float) -> list[str]:
    """The command that ends with 0 when the address answers with a status below 500, else says why not."""
    return [sys.executable, "-I", "-S", "-c", ASK, url, str(timeout_seconds)]
