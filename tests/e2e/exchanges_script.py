"""Scripted models that build a service and a program, each saying "done" once where it is not so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from scripted import Request, call, calls


@dataclass(frozen=True)
class Script:
    """What is asked for, and what a model answers."""

    spec: str
    plan: dict[str, Any]
    contracts: dict[str, list[dict[str, Any]]]
    work: dict[str, list[dict[str, Any]]]
    mistaken: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """What an author submits first."""
    heard: dict[str, list[str]] = field(default_factory=dict)
    """What authors were told, by feature."""

    def answer(self, request: Request) -> dict[str, Any]:
        """The next message of a conversation."""
        parts = request.conversation.split("/")
        if parts[1] == "plan":
            return call("submit", self.plan)
        if parts[1] == "contract":
            self.heard.setdefault(parts[2], []).append(request.last)
            first = self.mistaken.get(parts[2]) if not request.turn else None
            return call("submit", items=first or self.contracts[parts[2]])
        return self.work[parts[1].partition("-")[2]][request.turn]


SERVICE_INIT = """#!/usr/bin/env bash
set -euo pipefail
case "${1:-all}" in prepare) ;; serve|all) exec python3 service.py ;; esac
"""

SERVICE = """import json, os, pathlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FILE = pathlib.Path(os.environ["HARNESS_DATA_DIR"], "notes.json")

def load():
    return json.loads(FILE.read_text()) if FILE.exists() else []

def save(notes):
    FILE.write_text(json.dumps(notes))

class Handler(BaseHTTPRequestHandler):
    def answer(self, status, value):
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        if self.path == "/notes":
            return self.answer(200, load())
        return self.answer(404, {"error": "there is nothing here"})

    def do_POST(self):
        text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"]
        notes = load()
        note = {"id": len(notes) + 1, "text": text}
        save([*notes, note])
        return self.answer(201, note)

    # DELETE

ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
SERVICE_SKELETON = SERVICE.replace(
    SERVICE[SERVICE.index("        if self.path ==") : SERVICE.index("        return self.answer(404")], ""
).replace(SERVICE[SERVICE.index("    def do_POST") : SERVICE.index("    # DELETE")], "")
KEPT = """    return json.loads(FILE.read_text()) if FILE.exists() else []

def save(notes):
    FILE.write_text(json.dumps(notes))
"""
FORGETFUL = """    return list(memory)

def save(notes):
    memory[:] = notes

memory = []
"""
DELETE = """def do_DELETE(self):
        notes = load()
        left = [note for note in notes if str(note["id"]) != self.path.rpartition("/")[2]]
        save(left)
        return self.answer(200 if len(left) < len(notes) else 404, {"left": len(left)})
"""

OPENAPI = """openapi: 3.1.0
paths:
  /notes:
    get: {summary: List all notes, responses: {"200": {description: all of them}}}
    post:
      summary: Add a note
      requestBody: {content: {application/json: {schema: {$ref: "#/components/schemas/New"}}}}
      responses: {"201": {description: the note}}
  /notes/{id}:
    delete: {summary: Delete a note, responses: {"200": {description: what is left}}}
components:
  schemas:
    New: {type: object, required: [text], properties: {text: {type: string}}}
"""

SERVICE_SCRIPT = Script(
    spec=(
        "# Notes\n\n1. An HTTP service without pages keeps notes: `POST /notes` with the JSON field `text` adds one "
        "and answers 201 with its `id` and `text`.\n2. `GET /notes` lists all notes, also after a restart.\n"
        "3. `DELETE /notes/ID` deletes a note.\n"
    ),
    plan={
        "features": [
            {
                "description": "A note added by `POST /notes` is listed by `GET /notes`, also after a restart.",
                "steps": ["Add the note 'Buy oat milk' by POST /notes.",
                          "Verify that 201 is answered with its id and its text.",
                          "Restart the service; verify that GET /notes lists 'Buy oat milk'."],
                "priority": 1, "covers": ["3", "4"],
            },
            {
                "description": "A note can be deleted by `DELETE /notes/ID`.",
                "steps": ["Add the notes 'Pay rent' and 'File taxes'.", "Delete 'Pay rent'.",
                          "Verify that GET /notes lists only 'File taxes'."],
                "priority": 2, "depends_on": ["F001"], "covers": ["5"],
            },
        ]
    },
    contracts={
        "F001": [
            {"step": 1, "act": "request", "method": "POST", "path": "/notes", "json": {"text": "Buy oat milk"}},
            {"step": 2, "expect": "status", "value": "201"},
            {"step": 2, "expect": "json", "at": "$.text", "value": "Buy oat milk"},
            {"step": 2, "expect": "json_exists", "at": "$.id"},
            {"step": 3, "act": "restart_service"},
            {"step": 3, "act": "request", "method": "GET", "path": "/notes"},
            {"step": 3, "expect": "json_some", "at": "$[*].text", "value": "Buy oat milk"},
        ],
        "F002": [
            {"step": 1, "act": "request", "method": "POST", "path": "/notes", "json": {"text": "Pay rent"}},
            {"step": 1, "act": "remember", "name": "id", "at": "$.id"},
            {"step": 1, "act": "request", "method": "POST", "path": "/notes", "json": {"text": "File taxes"}},
            {"step": 2, "act": "request", "method": "GET", "path": "/notes"},
            {"step": 2, "expect": "json_some", "at": "$[*].text", "value": "Pay rent"},
            {"step": 2, "act": "request", "method": "DELETE", "path": "/notes/{id}"},
            {"step": 2, "expect": "status", "value": "2xx"},
            {"step": 3, "act": "request", "method": "GET", "path": "/notes"},
            {"step": 3, "expect": "json_none", "at": "$[*].text", "value": "Pay rent"},
            {"step": 3, "expect": "json_some", "at": "$[*].text", "value": "File taxes"},
        ],
    },
    work={
        "init": [
            calls([("write_file", {"path": "init.sh", "content": SERVICE_INIT}),
                   ("write_file", {"path": "service.py", "content": SERVICE_SKELETON}),
                   ("write_file", {"path": "openapi.yaml", "content": OPENAPI}),
                   ("run_command", {"command": "chmod +x init.sh"})]),
            call("finish", summary="A service that answers."),
        ],
        "F001": [
            call("write_file", path="service.py", content=SERVICE.replace(KEPT, FORGETFUL)),
            call("run_command", command="./init.sh serve", background=True),
            call("run_command", command="curl -s -i -d '{\"text\": \"x\"}' http://127.0.0.1:$PORT/notes"),
            call("finish", summary="Notes can be added."),
            call("edit_file", path="service.py", edits=[{"search": FORGETFUL, "replace": KEPT}]),
            call("finish", summary="Notes are kept in a file below $HARNESS_DATA_DIR."),
        ],
        "F002": [
            call("edit_file", path="service.py", edits=[{"search": "# DELETE\n", "replace": DELETE}]),
            call("finish", summary="Notes can be deleted."),
        ],
    },
    mistaken={
        "F001": [
            {"step": 1, "act": "request", "method": "POST", "path": "/note", "json": {"text": "Buy oat milk"}},
            {"step": 2, "expect": "status", "value": "201"},
            {"step": 3, "act": "restart_service"},
            {"step": 3, "act": "request", "method": "GET", "path": "/notes"},
            {"step": 3, "expect": "json_some", "at": "$[*].text", "value": "Buy oat milk"},
        ],
    },
)  # fmt: skip

PROGRAM_INIT = """#!/usr/bin/env bash
set -euo pipefail
case "${1:-all}" in prepare) ;; help|all) exec ./bin/tally --help ;; esac
"""
PROGRAM_SKELETON = """#!/usr/bin/env python3
print("tally counts names")
"""
PROGRAM = """#!/usr/bin/env python3
import json, os, pathlib, sys

FILE = pathlib.Path(os.environ["HOME"], ".tally.json")
counts = json.loads(FILE.read_text()) if FILE.exists() else {}

def add(name):
    counts[name] = counts.get(name, 0) + 1
    FILE.write_text(json.dumps(counts))
    print(f"{name}: {counts[name]}")

# REPORT

match sys.argv[1:]:
    case ["add", name]:
        add(name)
    case ["report", path]:
        report(path)
    case ["--help"]:
        print("tally add NAME | tally report FILE")
    case _:
        sys.exit("tally: use add NAME or report FILE")
"""
PRETENDING = PROGRAM.replace('print(f"{name}: {counts[name]}")', 'print(f"Ada Byron: {counts[name]}")')
REPORT = """def report(path):
    lines = [f"{name}: {count}" for name, count in sorted(counts.items())]
    pathlib.Path(path).write_text("\\n".join(lines) + "\\n")
"""

PROGRAM_SCRIPT = Script(
    spec=(
        "# Tally\n\n1. A command-line tool `tally` counts names: `tally add NAME` prints the name and how often "
        "it was added, over several runs.\n2. `tally report FILE` writes names with their counts into a file, sorted.\n"
        "3. Without a command it says so on standard error and fails.\n"
    ),
    plan={
        "features": [
            {
                "description": "`tally add NAME` counts a name over several runs.",
                "steps": ["Run `tally add` with 'Ada Byron', twice.",
                          "Verify that the second run prints 'Ada Byron' and 2.",
                          "Verify that `tally` without a command fails and prints to standard error."],
                "priority": 1, "covers": ["3", "5"],
            },
            {
                "description": "`tally report FILE` writes names with their counts, sorted, into a file.",
                "steps": ["Add 'Grace Hopper' and 'Ada Byron'.", "Run `tally report names.txt`.",
                          "Verify that the file names.txt holds 'Ada Byron' before 'Grace Hopper'."],
                "priority": 2, "depends_on": ["F001"], "covers": ["4"],
            },
        ]
    },
    contracts={
        "F001": [
            {"step": 1, "act": "run", "command": ["tally", "add", "Ada Byron"]},
            {"step": 1, "expect": "output", "match": "contains", "value": "1", "source": "assumed"},
            {"step": 1, "act": "run", "command": ["tally", "add", "Ada Byron"]},
            {"step": 2, "expect": "output", "match": "contains", "value": "Ada Byron"},
            {"step": 2, "expect": "output", "match": "contains", "value": "2"},
            {"step": 3, "act": "run", "command": ["tally"]},
            {"step": 3, "expect": "errors", "match": "matches", "value": "\\S"},
            {"step": 3, "expect": "exit_code", "number": 1, "source": "assumed"},
        ],
        "F002": [
            {"step": 1, "act": "run", "command": ["tally", "add", "Grace Hopper"]},
            {"step": 1, "act": "run", "command": ["tally", "add", "Ada Byron"]},
            {"step": 2, "act": "run", "command": ["tally", "report", "names.txt"]},
            {"step": 3, "expect": "file", "name": "names.txt", "match": "matches",
             "value": "Ada Byron.*\\n.*Grace Hopper"},
            {"step": 3, "expect": "golden", "value": "two-names", "name": "names.txt"},
        ],
    },
    work={
        "init": [
            calls([("write_file", {"path": "init.sh", "content": PROGRAM_INIT}),
                   ("write_file", {"path": "bin/tally", "content": PROGRAM_SKELETON}),
                   ("run_command", {"command": "chmod +x init.sh bin/tally"})]),
            call("finish", summary="A program that can be called."),
        ],
        "F001": [
            call("write_file", path="bin/tally", content=PRETENDING),
            call("run_command", command="cd $(mktemp -d) && /project/bin/tally add 'Ada Byron'"),
            call("finish", summary="Names are counted."),
            call("write_file", path="bin/tally", content=PROGRAM),
            call("finish", summary="Names are counted for any name."),
        ],
        "F002": [
            call("edit_file", path="bin/tally", edits=[{"search": "# REPORT\n", "replace": REPORT}]),
            call("finish", summary="Names are written into a file."),
        ],
    },
)  # fmt: skip

SCRIPTS: dict[str, Script] = {"service": SERVICE_SCRIPT, "program": PROGRAM_SCRIPT}
Answer = Callable[[Request], dict[str, Any]]
