"""A history of 10,000 commits into memory: `python tests/bench/bench_history.py [COMMITS]`.

What a person waits for at `harness init` on existing code: reading the log and keeping the records, then what they mean
(which runs beside the planning), then the index; and a second time, when all of it is there already.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from common import row, title

from harness.events import Events
from harness.history import remember_history
from harness.memory.recall import Memory
from harness.project import Project
from harness.repo import Repo
from harness.settings import MemorySettings

COMMITS = 10_000
VERBS = (
    "add",
    "fix",
    "remove",
    "rename",
    "move",
    "test",
    "document",
    "simplify",
    "guard",
    "cache",
    "retry",
    "validate",
)
THINGS = """
login session basket order invoice payment search index filter export import upload image thumbnail queue worker mail
template header footer dialog form field validation migration schema table column query cursor cache token cookie route
handler middleware logger metric alert report chart date zone locale currency discount voucher stock shipping label
""".split()  # noqa: SIM905 - fifty quoted words are not easier to read


def make_repository(directory: Path, commits: int) -> None:
    """Commits that touch one to four of 300 files, every fourth with a reason; written as git's own import format."""
    rng, said = random.Random(1), []
    for n in range(commits):
        verb, thing, other = rng.choice(VERBS), rng.choice(THINGS), rng.choice(THINGS)
        message = f"{verb} {thing} of the {other} ({n})"
        if n % 4 == 0:
            message += f"\n\nThe {other} was shown before the {rng.choice(THINGS)} was known, so the {thing} was stale."
        said.append(f"commit refs/heads/main\ncommitter B <b@example.invalid> {1_500_000_000 + n * 3600} +0000\n")
        said.append(f"data {len(message.encode())}\n{message}\n")
        for _ in range(rng.randint(1, 4)):
            text = f"{n} {rng.random()}"
            path = f"packages/{rng.choice(THINGS)}/{rng.choice(THINGS)}.py"
            said.append(f"M 100644 inline {path}\ndata {len(text)}\n{text}\n")
    subprocess.run(["git", "init", "--quiet", "-b", "main", str(directory)], check=True)
    subprocess.run(["git", "-C", str(directory), "fast-import", "--quiet"], input="".join(said).encode(), check=True)
    subprocess.run(["git", "-C", str(directory), "reset", "--quiet", "--hard"], check=True)


async def measure(root: Path, commits: int) -> None:
    """One row for each thing that is waited for."""
    directory = root / "project"
    make_repository(directory, commits)
    project, repo, events = Project.find(directory), Repo.open(directory), Events()
    project.prepare_state()
    tree = await repo.open_worktree(project.worktrees_dir / "t", "harness/t")
    memory = Memory.open(project.memory_dir, MemorySettings(), "p", events)
    parts = cast("Any", SimpleNamespace(memory=memory, events=events))
    row("", "seconds", "a second")

    async def timed(name: str, work: Any) -> None:
        began = time.perf_counter()
        await work
        taken = time.perf_counter() - began
        row(name, taken, int(commits / taken))

    await timed("read and kept", remember_history(parts, tree, "p"))
    await timed("the same again", remember_history(parts, tree, "p"))
    began = time.perf_counter()
    await timed("embedded and indexed, model included", memory.complete(lambda done, total: None))
    found = await memory.recall("why was the voucher stale")
    print(f"recall by {found.source}: {found.hits[0].record.title!r}; {time.perf_counter() - began:.0f} s in all")
    await memory.close()


def main() -> None:
    """Print the table."""
    commits = int(sys.argv[1]) if len(sys.argv) > 1 else COMMITS
    title(f"a history of {commits:,} commits")
    with tempfile.TemporaryDirectory() as name:
        for variable, value in {"HARNESS_STATE_DIR": f"{name}/state", "GIT_CONFIG_GLOBAL": f"{name}/gitconfig"}.items():
            os.environ[variable] = value
        Path(name, "gitconfig").write_text("[user]\nname = Bench\nemail = bench@example.invalid\n", encoding="utf-8")
        asyncio.run(measure(Path(name), commits))


if __name__ == "__main__":
    main()
