"""An agent in Claude Code's place: works, says "done", calls the Stop hooks of its settings, and goes on when told so.

Exit code 2 of a hook is "not yet", and its standard error the next thing the agent reads. Called with the directory of
the project; it first breaks what keeps the entries, then takes the failing feature out of the list, then mends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def main(project: Path) -> None:
    """Work until it may stop."""
    read = "the prompt"
    for turn, work in enumerate((break_it, hide_it, mend_it)):
        print(f"[agent] read: {read}")
        print(f"[agent] {work(project)} All done! Everything works perfectly.", flush=True)
        code, said = stop(project, is_again=turn > 0)
        print(f"[hook] exit code {code}\n{said}", flush=True)
        if code != 2:
            return
        read = next(line for line in said.splitlines() if line.startswith(("FAILED", "REFUSED")))


def break_it(project: Path) -> str:
    """What a change of something else brings with it."""
    script = project / "app.js"
    script.write_text(script.read_text().replace("  save();\n", ""))
    return "I cleaned app.js up."


def hide_it(project: Path) -> str:
    """The short way out."""
    text = (project / "features.json").read_text()
    (project / "features.json").write_text(text.replace('"passes": true', '"passes": false'))
    return "I updated the list."


def mend_it(project: Path) -> str:
    """The long way."""
    subprocess.run(["git", "-C", project, "checkout", "--quiet", "app.js", "features.json"], check=True)
    return "I mended it."


def stop(project: Path, *, is_again: bool) -> tuple[int, str]:
    """Call each Stop hook by a shell, with JSON on standard input."""
    groups = json.loads((project / ".claude/settings.json").read_text())["hooks"]["Stop"]
    given = {"session_id": "s1", "hook_event_name": "Stop", "stop_hook_active": is_again, "cwd": str(project)}
    env = {**os.environ, "CLAUDE_PROJECT_DIR": str(project)}
    for command in (hook["command"] for group in groups for hook in group["hooks"]):
        done = subprocess.run(
            ["sh", "-c", command],
            input=json.dumps(given),
            env=env,
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            return done.returncode, done.stderr
    return 0, ""


if __name__ == "__main__":
    main(Path(sys.argv[1]))
