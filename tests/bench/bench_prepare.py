"""What is saved when `prepare` is not run again: `python tests/bench/bench_prepare.py`.

An npm project and a pip project, installed through the proxy from the registries of the person's own clients. Each
round prepares three fresh trees of the same sources, one after the other so that a noisy machine hits all alike:
one installs, one installs and keeps what was made, one takes that. What is shown is until the application answers.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

from common import row, title, verdict

from harness.sandbox.policy import Policy
from harness.sandbox.processes import Room
from harness.settings import AppSettings, SandboxSettings
from harness.verify.app import serve
from harness.verify.prepare_cache import PrepareCache

ROUNDS = 3
LIMIT_BYTES = 4 << 30
SERVE = "exec python3 -m http.server $PORT --bind 127.0.0.1"
NPM = {"express": "4", "vite": "5", "react": "18", "react-dom": "18", "eslint": "8"}
PIP = ("flask", "sqlalchemy", "pytest", "requests", "jinja2")
PROJECTS = {
    "npm": ("npm install --no-audit --no-fund", {"package.json": json.dumps({"name": "bench", "dependencies": NPM})}),
    "pip": (
        "python3 -m venv .venv && .venv/bin/pip install --quiet -r requirements.txt",
        {"requirements.txt": "\n".join(PIP)},
    ),
}


async def measure(home: Path, prepare: str, files: dict[str, str]) -> tuple[dict[str, list[float]], int]:
    """Seconds of each way, and how many files were made."""
    app, trees = AppSettings(prepare=prepare, serve=SERVE, prepare_seconds=600), home / "trees"
    settings = SandboxSettings(prepare_network="registries")
    found: dict[str, list[float]] = {"installed": [], "installed and kept": [], "taken": []}
    for number in range(ROUNDS):
        for way, seconds in found.items():
            tree = trees / f"{number}-{way.replace(' ', '-')}"
            tree.mkdir(parents=True)
            for name, text in {**files, "round.txt": str(number)}.items():
                (tree / name).write_text(text)
            cache = None if way == "installed" else PrepareCache(home / "cache", LIMIT_BYTES)
            policy = Policy(worktree=tree, scratch=home / "scratch" / tree.name, data_dir=home / "data")
            started = time.perf_counter()
            async with (
                Room.open(policy, settings, home / "journal") as room,
                serve(tree, room, app, home / "data", stamps_dir=home / "stamps", cache=cache),
            ):
                seconds.append(time.perf_counter() - started)
    return found, sum(1 for path in tree.rglob("*") if path.is_file())


def main() -> None:
    """Print medians, and the ratio of installing to taking."""
    title("prepare: seconds until the application of a fresh tree answers")
    row("", "files", *(("installed", "and kept", "taken", "ratio")))
    ratios = []
    for name, (prepare, files) in PROJECTS.items():
        with tempfile.TemporaryDirectory() as home:
            found, count = asyncio.run(measure(Path(home), prepare, files))
        installed, kept, taken = (statistics.median(times) for times in found.values())
        ratios.append(taken / installed)
        row(name, count, installed, kept, taken, installed / taken)
    verdict("taken, of the time of an installation (worst)", max(ratios), 0.5)


if __name__ == "__main__":
    main()
