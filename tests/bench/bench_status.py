"""`harness status` on 500 features against `import typer` alone: whole processes, the fastest of several, CPU seconds.

Budget: at most 3 times. CPU seconds of the child are compared, because other work on the machine stretches the clock
of both unevenly; the fastest run is the one least disturbed.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FEATURES, ROUNDS, BUDGET = 500, 15, 3.0
STATUS = "import sys; from harness.cli import main; main(['status', sys.argv[1]])"
TYPER = "import typer"


@dataclass(frozen=True)
class Seconds:
    """What one process took."""

    cpu: float
    wall: float


def main() -> None:
    """Print both, and the ratio."""
    with tempfile.TemporaryDirectory() as name:
        directory = make_project(Path(name))
        os.environ["HARNESS_STATE_DIR"] = str(Path(name, "state"))
        status, typer = [], []
        for _ in range(ROUNDS):  # in turn, so that a busy moment meets both
            typer.append(measure([sys.executable, "-c", TYPER]))
            status.append(measure([sys.executable, "-c", STATUS, str(directory)]))
    ratio = min(s.cpu for s in status) / min(s.cpu for s in typer)
    clock = min(s.wall for s in status) / min(s.wall for s in typer)
    print(f"status, {FEATURES} features  {min(s.cpu for s in status):.3f} s CPU, {min(s.wall for s in status):.3f} s")
    print(f"import typer          {min(s.cpu for s in typer):.3f} s CPU, {min(s.wall for s in typer):.3f} s")
    print(f"ratio                 {ratio:.2f} of CPU, {clock:.2f} of time, budget {BUDGET:g}")
    sys.exit(0)  # a benchmark tells; it does not judge


def make_project(root: Path) -> Path:
    """A project with a long list."""
    directory = root / "project"
    (directory / ".git").mkdir(parents=True)
    (directory / ".git" / "HEAD").write_text("ref: refs/heads/main\n", encoding="utf-8")
    steps = ["Open the page", "Type a title and press Enter", "See the entry in the list", "Reload", "See it again"]
    features = [
        {"id": f"F{n:03}", "category": "list", "description": f"Keeps entry {n} over a reload", "steps": steps,
         "passes": n % 3 == 0, "priority": n}
        for n in range(1, FEATURES + 1)
    ]  # fmt: skip
    text = json.dumps({"version": 1, "features": features})
    (directory / "features.json").write_text(text, encoding="utf-8")
    return directory


def measure(command: Sequence[str]) -> Seconds:
    """Run a process and take its seconds."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Seconds(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall)


if __name__ == "__main__":
    main()
