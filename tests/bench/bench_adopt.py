"""`harness init --adopt` on a list of 500: the whole command, with two starts of the application in the sandbox.

No model is configured. Budget: 10 s; the figure is the faster of two, because other work on the machine stretches it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import row, title, verdict

FEATURES, ROUNDS, BUDGET = 500, 2, 10.0
INIT = """#!/usr/bin/env bash
set -euo pipefail
prepare() { :; }
serve() { exec python3 -m http.server "$PORT" --bind 127.0.0.1; }
case "${1:-all}" in prepare) prepare ;; serve) serve ;; all) prepare; serve ;; esac
"""
IDENTITY = "[user]\nname = Bench\nemail = bench@example.invalid\n[init]\ndefaultBranch = main\n"


def main() -> None:
    """Print the seconds of each round, and the faster against the budget."""
    title(f"adopting a list of {FEATURES} features")
    row("", "seconds", "features")
    taken = []
    for number in range(1, ROUNDS + 1):
        with tempfile.TemporaryDirectory() as name:
            seconds, features = adopt(Path(name))
        taken.append(seconds)
        row(f"round {number}", seconds, features)
    verdict("init --adopt", min(taken), BUDGET, " s")


def adopt(root: Path) -> tuple[float, int]:
    """Adopt a project; returns the seconds of the command and the features of the list it made."""
    (root / "gitconfig").write_text(IDENTITY, encoding="utf-8")
    ours = ("OPENAI_", "HARNESS_", "MILVUS_", "GIT_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    env |= {"HARNESS_STATE_DIR": str(root / "state"), "GIT_CONFIG_GLOBAL": str(root / "gitconfig")}
    env |= {"XDG_CONFIG_HOME": str(root / "config")}
    project = make_project(root / "project")
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "-m", "theirs"]):
        subprocess.run(["git", "-C", str(project), *words], check=True, env=env)
    began = time.perf_counter()
    command = [sys.executable, "-m", "harness", "init", "--adopt", str(project)]
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    features = json.loads((project / "features.json").read_text(encoding="utf-8"))["features"]
    return seconds, len(features)


def make_project(directory: Path) -> Path:
    """What an autonomous coder left after a while: a long list, a third of it said to pass."""
    directory.mkdir()
    entries = [
        {
            "category": "functional",
            "description": f"A person can open panel {n} and sees entry {n} there",
            "steps": ["Open the page", f"Click panel {n}", f"Verify that entry {n} is shown", "Reload", "See it again"],
            "passes": n % 3 == 0,
        }
        for n in range(FEATURES)
    ]
    spec = "".join(f"{n}. Panel {n} shows entry {n}, also after a reload.\n" for n in range(FEATURES))
    notes = "".join(f"## Session {n}\n\nBuilt panels {n} to {n + 9}.\n\n" for n in range(0, FEATURES, 10))
    files = {
        "feature_list.json": json.dumps(entries, indent=2),
        "app_spec.txt": f"<project_specification>\n{spec}</project_specification>\n",
        "claude-progress.txt": notes,
        "init.sh": INIT,
        "index.html": "<!doctype html><title>Panels</title><p>Hello",
    }
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8")
    (directory / "init.sh").chmod(0o755)
    return directory


if __name__ == "__main__":
    main()
