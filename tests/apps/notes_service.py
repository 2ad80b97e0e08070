"""A service without pages, and liars in its place: each passes for it where nobody looks closely."""

from __future__ import annotations

from pathlib import Path

INIT = """#!/usr/bin/env bash
set -euo pipefail
case "${1:-serve}" in prepare) ;; *) exec python3 service.py ;; esac
"""

SERVICE = """import http.cookies, json, os, pathlib, time, urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FILE = pathlib.Path(os.environ["HARNESS_DATA_DIR"], "notes.json")
memory = {}

def load():
    return json.loads(FILE.read_text()) if FILE.exists() else []

def save(notes):
    FILE.write_text(json.dumps(notes))

class Handler(BaseHTTPRequestHandler):
    def answer(self, status, value=None, **headers):
        data = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(data)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()

    def found(self, notes):
        wanted = self.path.rsplit("/", 1)[1]
        return next((note for note in notes if str(note["id"]) == urllib.parse.unquote(wanted)), None)

    def do_GET(self):
        place, _, query = self.path.partition("?")
        notes = load()
        if place == "/":
            return self.answer(200, {"name": "notes"})
        if place == "/notes":
            wanted = dict(urllib.parse.parse_qsl(query)).get("search", "")
            return self.answer(200, [n for n in notes if wanted.lower() in n["title"].lower()])
        if place.startswith("/notes/"):
            note = self.found(notes)
            return self.answer(200, note) if note else self.answer(404, {"error": "there is no such note"})
        if place == "/me":
            name = http.cookies.SimpleCookie(self.headers.get("Cookie", "")).get("user")
            return self.answer(200, {"name": name.value}) if name else self.answer(401, {"error": "log in first"})
        if place == "/elsewhere":
            return self.answer(302, None, Location="http://example.org/")
        if place == "/later":
            memory["asked"] = memory.get("asked", 0) + 1
            return self.answer(200, {"state": "done" if memory["asked"] > 2 else "working"})
        if place == "/events":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            for number in range(1, 4):
                self.wfile.write(f"data: {number}\\n\\n".encode())
                self.wfile.flush()
                time.sleep(0.06)
            return None
        return self.answer(404, {"error": "nothing is here"})

    def do_POST(self):
        if self.path == "/login":
            user = dict(urllib.parse.parse_qsl(self.body())).get("user", "")
            return self.answer(204, None, Set_Cookie=f"user={user}; Path=/; HttpOnly")
        try:
            title = json.loads(self.body())["title"]
        except (ValueError, KeyError, TypeError):
            return self.answer(400, {"error": "a note has a title"})
        notes = load()
        note = {"id": len(notes) + 1, "title": title, "done": False}
        save([*notes, note])
        return self.answer(201, note, Location=f"/notes/{note['id']}")

    def do_DELETE(self):
        notes = load()
        if not (note := self.found(notes)):
            return self.answer(404, {"error": "there is no such note"})
        save([each for each in notes if each != note])
        return self.answer(204)

    def log_message(self, *words):
        pass

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""

LIARS = {
    "forgets after a restart": ("def save(notes):\n    FILE.write_text(json.dumps(notes))",
                                "def save(notes):\n    memory['notes'] = notes"),
    "hard-codes the note": ('note = {"id": len(notes) + 1, "title": title,',
                            'note = {"id": len(notes) + 1, "title": "Buy oat milk",'),
    "says deleted and keeps": ("save([each for each in notes if each != note])", "pass"),
    "says 200 instead of 201": ("return self.answer(201,", "return self.answer(200,"),
    "takes a note without a title": ('return self.answer(400, {"error": "a note has a title"})', 'title = "?"'),
    "knows nobody again": ('Set_Cookie=f"user={user}; Path=/; HttpOnly"', "X_Nothing='1'"),
    "sends all events at once": ("self.wfile.flush()\n                time.sleep(0.06)", "pass"),
}  # fmt: skip
"""What is changed, and into what."""
READS_MEMORY = ("return json.loads(FILE.read_text()) if FILE.exists() else []", "return memory.get('notes', [])")


def make(tree: Path, liar: str = "") -> Path:
    """The service in a directory, honest or a liar."""
    source = SERVICE
    for old, new in [LIARS[liar], *([READS_MEMORY] if "restart" in liar else [])] if liar else []:
        assert old in source, old
        source = source.replace(old, new)
    return write(tree, {"init.sh": INIT, "service.py": source})


def make_empty(tree: Path) -> Path:
    """The service before any feature: it answers at `/` alone."""
    start, end = (
        SERVICE.index('        if place == "/notes"'),
        SERVICE.index('        return self.answer(404, {"error": "nothing'),
    )
    source = SERVICE[:start] + SERVICE[end:]
    gone, after = source.index("    def do_POST"), source.index("    def log_message")
    return write(tree, {"init.sh": INIT, "service.py": source[:gone] + source[after:]})


def write(tree: Path, files: dict[str, str]) -> Path:
    """Files in a directory; programs can be run."""
    tree.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        if text.startswith("#!"):
            path.chmod(0o755)
    return tree


CONTRACT = {
    "feature_id": "F001",
    "items": [
        {"step": 1, "act": "request", "method": "POST", "path": "/notes", "json": {"title": "Buy oat milk"}},
        {"step": 1, "expect": "status", "value": "201"},
        {"step": 1, "expect": "content_type", "value": "application/json"},
        {"step": 1, "expect": "json", "at": "$.title", "value": "Buy oat milk"},
        {"step": 1, "expect": "json_type", "at": "$.id", "value": "integer"},
        {"step": 1, "act": "remember", "name": "id", "at": "$.id"},
        {"step": 1, "act": "remember", "name": "place", "header": "Location"},
        {"step": 2, "act": "request", "method": "POST", "path": "/notes", "json": {"title": "Walk the dog"}},
        {"step": 2, "act": "restart_service"},
        {"step": 2, "act": "request", "method": "GET", "path": "/notes"},
        {"step": 2, "expect": "json_count", "at": "$[*]", "number": 2},
        {"step": 2, "expect": "json_some", "at": "$[*].id", "value": "{id}"},
        {"step": 2, "expect": "json_order", "at": "$[*].title", "values": ["Buy oat milk", "Walk the dog"]},
        {"step": 2, "act": "request", "method": "GET", "path": "/notes?search=Oat"},
        {"step": 2, "expect": "json_count", "at": "$[*]", "number": 1},
        {"step": 3, "act": "request", "method": "GET", "path": "{place}"},
        {"step": 3, "expect": "json", "at": "$.title", "value": "Buy oat milk"},
        {"step": 3, "expect": "json", "at": "$.done", "value": False},
        {"step": 3, "act": "request", "method": "DELETE", "path": "/notes/{id}"},
        {"step": 3, "expect": "status", "value": "204"},
        {"step": 3, "act": "request", "method": "GET", "path": "/notes"},
        {"step": 3, "expect": "json_none", "at": "$[*].title", "value": "Buy oat milk"},
        {"step": 3, "act": "request", "method": "GET", "path": "/notes/{id}"},
        {"step": 3, "expect": "status", "value": "4xx"},
        {"step": 3, "expect": "json_absent", "at": "$.title"},
        {"step": 4, "act": "request", "method": "POST", "path": "/notes", "json": {"name": "No title"}},
        {"step": 4, "expect": "status", "value": "400"},
        {"step": 4, "expect": "json_exists", "at": "$.error"},
        {"step": 5, "act": "request", "method": "POST", "path": "/login", "form": {"user": "ada"}, "as": "ada"},
        {"step": 5, "act": "request", "method": "GET", "path": "/me", "as": "ada"},
        {"step": 5, "expect": "json", "at": "$.name", "value": "ada", "as": "ada"},
        {"step": 5, "act": "request", "method": "GET", "path": "/me", "as": "bob"},
        {"step": 5, "expect": "status", "value": "401", "as": "bob"},
        {"step": 6, "act": "request", "method": "GET", "path": "/events"},
        {"step": 6, "expect": "streamed", "number": 3},
        {"step": 6, "expect": "body", "match": "contains", "value": "data: 2"},
        {"step": 7, "act": "request", "method": "GET", "path": "/elsewhere"},
        {"step": 7, "expect": "status", "value": "302"},
        {"step": 7, "expect": "header", "name": "Location", "value": "http://example.org/"},
        {"step": 7, "act": "request", "method": "GET", "path": "/later", "until": True},
        {"step": 7, "expect": "json", "at": "$.state", "value": "done"},
        {"step": 7, "expect": "no_header", "name": "Location"},
    ],
}
"""All that the language has for services."""
