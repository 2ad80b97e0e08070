"""A scripted model that builds a two-feature notes application: for tests of the machinery, not of the judgement.

It answers by conversation, so that a killed and resumed run gets the same answers again.
"""

from __future__ import annotations

from typing import Any

from scripted import Request, call, calls

SPEC = (
    "# Notes\n\n1. A user types a note and presses Enter; it appears in the list and is there after a reload.\n"
    "2. Each note has a Delete button that removes it for good.\n3. The page is titled Notes.\n"
)

PLAN = {
    "features": [
        {
            "description": "A note can be added and stays after a reload.",
            "steps": ["Open the page titled Notes.", "Type 'Buy oat milk' and press Enter.",
                      "Verify that 'Buy oat milk' appears in the list.", "Reload; verify that it is still there."],
            "priority": 1, "covers": ["3", "5"],
        },
        {
            "description": "A note can be deleted.",
            "steps": ["Add the notes 'Rent' and 'Taxes'.", "Press Delete at 'Rent'.",
                      "Verify that 'Rent' is gone and 'Taxes' is left, also after a reload."],
            "priority": 2, "depends_on": ["F001"], "covers": ["4"],
        },
    ]
}  # fmt: skip

INIT = """#!/usr/bin/env bash
set -euo pipefail
prepare() { :; }
serve() { exec python3 -m http.server "$PORT" --bind 127.0.0.1; }
case "${1:-all}" in prepare) prepare ;; serve) serve ;; all) prepare; serve ;; esac
"""

EMPTY = "<!doctype html><title>Empty</title><p>Nothing yet</p>"

PAGE = """<!doctype html><html lang="en"><title>Notes</title><h1>Notes</h1>
<label>New note <input id="new"></label><ul id="list"></ul><script src="app.js"></script></html>
"""

ADD = """const list = document.getElementById("list"), box = document.getElementById("new");
let notes = JSON.parse(localStorage.getItem("notes") || "[]");
const save = () => { localStorage.setItem("notes", JSON.stringify(notes)); draw(); };
function draw() {
  list.replaceChildren(...notes.map((text, i) => {
    const li = document.createElement("li"), span = document.createElement("span");
    span.textContent = text; li.append(span); /*BUTTON*/ return li;
  }));
}
box.addEventListener("keydown", (e) => {
  if (e.key === "Enter" && box.value.trim()) { notes.push(box.value.trim()); box.value = ""; save(); }
});
draw();
"""

FORGETFUL = ADD.replace('localStorage.setItem("notes", JSON.stringify(notes)); ', "")
BUTTON = (
    'const b = document.createElement("button"); b.textContent = "Delete"; '
    "b.onclick = () => { notes.splice(i, 1); save(); }; li.append(b);"
)

CONTRACTS: dict[str, dict[str, Any]] = {
    "F001": {
        "targets": {"note box": "the text box where a note is typed", 'note "Buy oat milk"': "the note in the list"},
        "items": [
            {"step": 1, "act": "navigate", "value": "/"},
            {"step": 1, "expect": "title", "value": "Notes"},
            {"step": 2, "expect": "hidden", "target": 'note "Buy oat milk"'},
            {"step": 2, "act": "fill", "target": "note box", "value": "Buy oat milk"},
            {"step": 2, "act": "press", "target": "note box", "value": "Enter"},
            {"step": 3, "expect": "visible", "target": 'note "Buy oat milk"'},
            {"step": 4, "act": "reload"},
            {"step": 4, "expect": "visible", "target": 'note "Buy oat milk"'},
        ],
    },
    "F002": {
        "targets": {
            "note box": "the text box where a note is typed",
            'note "Rent"': "the note that says Rent",
            'note "Taxes"': "the note that says Taxes",
            'Delete of "Rent"': "the button that deletes the note that says Rent",
        },
        "items": [
            {"step": 1, "act": "navigate", "value": "/"},
            {"step": 1, "act": "fill", "target": "note box", "value": "Rent"},
            {"step": 1, "act": "press", "target": "note box", "value": "Enter"},
            {"step": 1, "act": "fill", "target": "note box", "value": "Taxes"},
            {"step": 1, "act": "press", "target": "note box", "value": "Enter"},
            {"step": 2, "expect": "visible", "target": 'note "Rent"'},
            {"step": 2, "act": "click", "target": 'Delete of "Rent"'},
            {"step": 3, "expect": "hidden", "target": 'note "Rent"'},
            {"step": 3, "expect": "visible", "target": 'note "Taxes"'},
            {"step": 3, "act": "reload"},
            {"step": 3, "expect": "hidden", "target": 'note "Rent"'},
            {"step": 3, "expect": "visible", "target": 'note "Taxes"'},
        ],
    },
}


def _item(text: str) -> dict[str, Any]:
    return {"role": "listitem", "text": text, "exact": False}


LOCATORS = {
    "note box": {"role": "textbox", "name": "New note"},
    'note "Buy oat milk"': _item("Buy oat milk"),
    'note "Rent"': _item("Rent"),
    'note "Taxes"': _item("Taxes"),
    'Delete of "Rent"': {"role": "button", "name": "Delete", "inside": _item("Rent")},
}

WORK: dict[str, list[dict[str, Any]]] = {
    "init": [
        calls([("write_file", {"path": "init.sh", "content": INIT}),
               ("write_file", {"path": "index.html", "content": EMPTY}),
               ("run_command", {"command": "chmod +x init.sh"})]),
        call("finish", summary="A page that answers."),
    ],
    "F001": [
        call("list_files", {}),
        calls([("write_file", {"path": "index.html", "content": PAGE}),
               ("write_file", {"path": "app.js", "content": FORGETFUL})]),
        call("run_command", command="./init.sh serve", background=True),
        call("browser_open", path="/"),
        call("finish", summary="Notes can be added."),
        call("edit_file", path="app.js", edits=[{"search": "const save = () => { draw();",
             "replace": 'const save = () => { localStorage.setItem("notes", JSON.stringify(notes)); draw();'}]),
        call("note", text="Notes must be written to localStorage in save(), or a reload loses them.", kind="note"),
        call("finish", summary="Notes are kept in localStorage, so a reload does not lose them."),
    ],
    "F002": [
        call("recall", query="entries vanish when the page is opened again"),
        call("edit_file", path="app.js", edits=[{"search": "/*BUTTON*/", "replace": BUTTON}]),
        call("finish", summary="Each note has a Delete button."),
    ],
}  # fmt: skip


def answer(request: Request) -> dict[str, Any]:
    """The next message of a conversation."""
    parts = request.conversation.split("/")
    if parts[1] == "plan":
        return call("submit", PLAN)
    if parts[1] == "contract":
        return call("submit", CONTRACTS[parts[2]])
    feature = parts[1].partition("-")[2]
    if len(parts) > 2:
        return call("submit", _bound(request))
    return WORK[feature][request.turn]


def _bound(request: Request) -> dict[str, Any]:
    """Bind every name asked for."""
    asked = request.last.split("The page now:")[0].rpartition("Needed now:")[2]
    return {"found": {name: locator for name, locator in LOCATORS.items() if f"| {name}" in asked}}
