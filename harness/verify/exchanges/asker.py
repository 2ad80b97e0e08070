"""The program that asks a service, inside the sandbox, where its loopback is: a line of JSON in, a line out.

Standard library alone, and nothing of ours is imported: it is handed to an interpreter as a text. Each user has a
cookie jar. It connects to the address it was started for and to no other, and follows no redirect.
"""

from __future__ import annotations

import base64
import http.client
import http.cookiejar
import json
import signal
import sys
import time
import urllib.parse
import urllib.request
from typing import Any

GRACE_SECONDS = 1.0
"""After which a request ends that drips its headers; a body that drips ends by itself before."""
BODY_BYTES = 1 << 20
"""Of one answer; what is longer is cut, and the answer counts as not ended."""
jars: dict[str, http.cookiejar.CookieJar] = {}


def ask(base: str, asked: dict[str, Any]) -> dict[str, Any]:
    """One request and its answer."""
    to = urllib.parse.urlsplit(base)
    kind = http.client.HTTPSConnection if to.scheme == "https" else http.client.HTTPConnection
    deadline = time.monotonic() + asked["seconds"]
    connection = kind(to.hostname or "", to.port, timeout=asked["seconds"])
    try:
        jar = jars.setdefault(asked["user"], http.cookiejar.CookieJar())
        known = urllib.request.Request(base + asked["path"], method=asked["method"])
        jar.add_cookie_header(known)
        cookies = dict(known.header_items())
        names = {name.lower() for name in asked["headers"]}
        headers = {**{n: v for n, v in cookies.items() if n.lower() not in names}, **asked["headers"]}
        body = base64.b64decode(asked["body"]) if asked["body"] is not None else None
        connection.request(asked["method"], to.path.rstrip("/") + asked["path"], body=body, headers=headers)
        response = connection.getresponse()
        jar.extract_cookies(response, known)
        told = {"status": response.status, "headers": response.getheaders()}
        return {**told, **read(connection, response, deadline, asked)}
    finally:
        connection.close()


def read(
    connection: http.client.HTTPConnection, response: http.client.HTTPResponse, deadline: float, asked: dict[str, Any]
) -> dict[str, Any]:
    """The body as it comes: pieces with their times, and when it was over."""
    begun, size, ended = time.monotonic(), 0, False
    pieces: list[tuple[float, str]] = []
    separator = b"\n\n" if "event-stream" in (response.getheader("content-type") or "") else b"\n"
    text = b""
    while size < BODY_BYTES:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        if connection.sock:
            connection.sock.settimeout(left)
        try:
            data = response.read1(1 << 16)
        except TimeoutError:
            break
        except (http.client.HTTPException, OSError) as exc:
            broke = f"{type(exc).__name__}: {exc}"
            return {"pieces": pieces, "ended": False, "over": time.monotonic() - begun, "broke": broke}
        if not data:
            ended = True
            break
        size += len(data)
        text += data
        pieces.append((time.monotonic() - begun, base64.b64encode(data).decode()))
        if asked["parts"] and text.replace(b"\r\n", b"\n").count(separator) >= asked["parts"]:
            break
    return {"pieces": pieces, "ended": ended, "over": time.monotonic() - begun}


def late(*_: object) -> None:
    """Raises: TimeoutError: the whole request took too long."""
    raise TimeoutError


def main() -> None:
    """Answer until standard input closes."""
    base = sys.argv[1]
    signal.signal(signal.SIGALRM, late)
    for line in sys.stdin:
        asked = json.loads(line)
        if asked.get("forget"):
            jars.clear()
            said: dict[str, Any] = {}
        else:
            try:
                signal.setitimer(signal.ITIMER_REAL, asked["seconds"] + GRACE_SECONDS)
                said = ask(base, asked)
            except TimeoutError:
                said = {"why": f"no answer within {asked['seconds']:g} s"}
            except ConnectionRefusedError:
                said = {"why": "nothing listens there"}
            except (OSError, http.client.HTTPException, ValueError) as exc:
                said = {"why": f"{type(exc).__name__}: {exc}"}
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
