"""A command-line program, and liars in its place."""

from __future__ import annotations

from pathlib import Path

from apps.notes_service import write

INIT = """#!/usr/bin/env bash
set -euo pipefail
case "${1:-help}" in prepare) ;; help) exec ./bin/notes --help ;; esac
"""

PROGRAM = """#!/usr/bin/env python3
import json, os, pathlib, sys

FILE = pathlib.Path(os.environ["HOME"], ".notes.json")

def load():
    return json.loads(FILE.read_text()) if FILE.exists() else []

def save(notes):
    FILE.write_text(json.dumps(notes))

def main(words):
    if words in ([], ["--help"]):
        print("notes add TEXT | list [--json] | remove NUMBER | import | export FILE")
        return 0
    verb, rest, notes = words[0], words[1:], load()
    if verb == "add" and rest:
        save([*notes, rest[0]])
        print(f"added {len(notes) + 1}: {rest[0]}")
    elif verb == "list":
        print(json.dumps(notes) if rest == ["--json"] else "\\n".join(f"{n}. {t}" for n, t in enumerate(notes, 1)))
    elif verb == "remove" and len(rest) == 1 and rest[0].isdigit() and 0 < int(rest[0]) <= len(notes):
        del notes[int(rest[0]) - 1]
        save(notes)
    elif verb == "import":
        save([*notes, *(line.strip() for line in sys.stdin if line.strip())])
    elif verb == "export" and rest:
        pathlib.Path(rest[0]).write_text("\\n".join(notes) + "\\n")
    else:
        print(f"notes: cannot {' '.join(words)}", file=sys.stderr)
        return 2
    return 0

sys.exit(main(sys.argv[1:]))
"""

LIARS = {
    "forgets": ("    FILE.write_text(json.dumps(notes))", "    pass"),
    "prints what is expected": ('print(f"added {len(notes) + 1}: {rest[0]}")', 'print("added 1: Buy oat milk")'),
    "keeps what is removed": ("        del notes[int(rest[0]) - 1]\n", ""),
    "fails with 0": ("return 2", "return 0"),
    "complains on the wrong stream": (", file=sys.stderr", ""),
    "reads nothing": ("for line in sys.stdin", "for line in ['Call Ada Byron']"),
    "writes an empty file": ('write_text("\\\\n".join(notes) + "\\\\n")', 'write_text("")'),
}


def make(tree: Path, liar: str = "") -> Path:
    """The program in a directory, honest or a liar."""
    source = PROGRAM
    if liar:
        old, new = (each.replace("\\\\n", "\\n") for each in LIARS[liar])
        assert old in source, old
        source = source.replace(old, new)
    return write(tree, {"init.sh": INIT, "bin/notes": source})


def make_empty(tree: Path) -> Path:
    """The program before any feature: it tells its name."""
    return write(tree, {"init.sh": INIT, "bin/notes": "#!/usr/bin/env bash\necho notes\n"})


CONTRACT = {
    "feature_id": "F001",
    "items": [
        {"step": 1, "act": "run", "command": ["notes", "add", "Buy oat milk"]},
        {"step": 1, "expect": "exit_code", "number": 0},
        {"step": 1, "expect": "output", "match": "contains", "value": "Buy oat milk"},
        {"step": 1, "expect": "errors", "value": ""},
        {"step": 2, "act": "run", "command": ["notes", "import"], "stdin": "Walk the dog\nCall Ada Byron\n"},
        {"step": 2, "act": "run", "command": ["notes", "list"]},
        {"step": 2, "expect": "lines", "number": 3},
        {"step": 2, "expect": "line", "match": "contains", "value": "Walk the dog"},
        {"step": 2, "expect": "line_order", "values": ["Buy oat milk", "Walk the dog", "Call Ada Byron"]},
        {"step": 2, "expect": "golden", "value": "three-notes"},
        {"step": 2, "act": "remember", "name": "all"},
        {"step": 3, "act": "run", "command": ["notes", "list", "--json"]},
        {"step": 3, "expect": "json_count", "at": "$[*]", "number": 3},
        {"step": 3, "expect": "json", "at": "$[0]", "value": "Buy oat milk"},
        {"step": 3, "expect": "changed", "value": "all"},
        {"step": 3, "act": "run", "command": ["notes", "export", "out.txt"], "files": {"in/a.txt": "a"}},
        {"step": 3, "expect": "file", "name": "out.txt", "match": "contains", "value": "Walk the dog"},
        {"step": 3, "act": "run", "command": ["python3", "{project}/bin/notes", "remove", "2"]},
        {"step": 3, "act": "run", "command": ["notes", "list"]},
        {"step": 4, "expect": "no_line", "match": "contains", "value": "Walk the dog"},
        {"step": 4, "act": "run", "command": ["notes", "remove", "9"], "env": {"LANGUAGE": "en"}},
        {"step": 4, "expect": "exit_code", "number": 2},
        {"step": 4, "expect": "output", "value": ""},
        {"step": 4, "expect": "errors", "match": "contains", "value": "cannot remove"},
    ],
}
"""All that the language has for programs."""
