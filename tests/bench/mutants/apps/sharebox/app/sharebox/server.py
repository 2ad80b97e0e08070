"""HTTP: the page's files, and the questions as JSON."""

from __future__ import annotations

import json
from functools import partial
from http.cookies import SimpleCookie
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from sharebox.api import Api

COOKIE = "sharebox"


class Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, *args: object, api: Api, directory: str) -> None:
        self._api = api
        super().__init__(*args, directory=directory)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        if urlsplit(self.path).path.startswith("/api/"):
            self._answer()
        else:
            super().do_GET()

    def do_POST(self) -> None:
        self._answer()

    do_PATCH = do_DELETE = do_POST

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}")
        url = urlsplit(self.path)
        answer = self._api.answer(self.command, url.path, self._key(), dict(parse_qsl(url.query)), body)
        said = json.dumps(answer.body).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        if answer.key is not None:
            self.send_header("Set-Cookie", f"{COOKIE}={answer.key}; Path=/; HttpOnly; SameSite=Lax")
        self.end_headers()
        self.wfile.write(said)

    def _key(self) -> str:
        cookies = SimpleCookie(self.headers.get("Cookie", ""))
        return cookies[COOKIE].value if COOKIE in cookies else ""

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-store")
        super().end_headers()


def handler(api: Api, web: Path) -> partial[Handler]:
    """What a server makes for each connection."""
    return partial(Handler, api=api, directory=str(web))
