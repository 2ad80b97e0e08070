"""What applications with a build, a database and several processes need of the harness, each with its broken twin."""

from __future__ import annotations

import pwd
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from apps.rooms import open_room

from harness.errors import RepoError
from harness.project import Project
from harness.repo import Repo
from harness.sandbox import policy as policies
from harness.sandbox import processes
from harness.sandbox.policy import Policy
from harness.sandbox.processes import Room
from harness.settings import AppSettings, SandboxSettings
from harness.tools.shell import Preparation, shell_tools
from harness.verify import hall
from harness.verify.app import AppNotStarted, serve
from harness.verify.hall import candidate_of

pytestmark = pytest.mark.needs("bwrap")

DATABASE = """
import os, pathlib, signal, time
def write_down(*_):
    time.sleep(0.3)  # what there is to be written takes its time
    pathlib.Path(os.environ["HARNESS_DATA_DIR"], "written").touch()
    raise SystemExit
signal.signal(signal.SIGTERM, write_down)
while True:
    signal.pause()
"""
SERVE = """#!/usr/bin/env bash
python3 database.py &
python3 -m http.server --bind 127.0.0.1 "$PORT" &
wait -n
"""


def write(directory: Path, **files: str) -> Path:
    directory.mkdir(exist_ok=True)
    for name, text in files.items():
        path = directory / name.replace("__", ".")
        path.write_text(text)
        path.chmod(0o755)
    return directory


@pytest.mark.parametrize(("attended", "is_written"), [(processes.ATTENDED, True), ('exec "$@"', False)])
async def test_a_database_below_a_shell_has_the_time_to_write_down_what_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attended: str, is_written: bool
) -> None:
    """The second is the broken twin: the shell is the first process, and the kernel ends the rest with it."""
    monkeypatch.setattr(processes, "ATTENDED", attended)
    tree = write(tmp_path / "tree", database__py=DATABASE, serve__sh=SERVE)
    app = AppSettings(prepare="", serve="./serve.sh")
    async with open_room(tmp_path, tree) as room, serve(tree, room, app, tmp_path / "data") as instance:
        await instance.stop()
        assert (instance.data_dir / "written").exists() == is_written


async def test_a_server_that_ends_by_itself_has_ended_whatever_it_left(tmp_path: Path) -> None:
    """Else an `init.sh` that does not stay in the foreground would be waited for until its limit."""
    async with open_room(tmp_path, write(tmp_path / "tree")) as room:
        process = await room.start("sleep 100 & exit 3")
        assert await process.wait(10)
        assert process.exit_code == 3


async def test_what_a_long_output_begins_with_is_told_too(tmp_path: Path) -> None:
    """npm says in its first lines that package.json and lock file differ, and then at length how it is called."""
    tree = write(tmp_path / "tree", init__sh="#!/bin/bash\necho 'lock file differs'; seq 5000; echo usage; exit 1\n")
    async with open_room(tmp_path, tree) as room:
        with pytest.raises(AppNotStarted) as told:
            async with serve(tree, room, AppSettings(), tmp_path / "data"):
                pass
    assert "lock file differs" in told.value.output
    assert "characters left out]" in told.value.output
    assert told.value.output.endswith("usage")


async def test_who_runs_has_a_name_and_the_persons_accounts_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a name initdb refuses to make a database; the broken twin has no such line."""
    ask = "python3 -c 'import os, pwd; print(pwd.getpwuid(os.getuid()).pw_name)'"
    persons = {entry.pw_name for entry in pwd.getpwall()} - {"root", "nobody"}
    async with open_room(tmp_path, write(tmp_path / "tree")) as room:
        assert (await room.run(ask)).output == "agent\n"
        told = (await room.run("cut -d: -f1 /etc/passwd")).output.split()
    assert not persons & {*told}
    nobody_else = {**policies.ACCOUNTS, "passwd": "root:x:0:0::/:/bin/sh\n"}
    monkeypatch.setattr("harness.sandbox.furnish.ACCOUNTS", nobody_else)
    async with open_room(tmp_path, tmp_path / "tree") as room:
        assert "KeyError" in (await room.run(ask)).output


async def test_a_session_that_gives_just_the_preparation_has_its_network_and_no_other_command_has(
    tmp_path: Path,
) -> None:
    tree = write(tmp_path / "tree", init__sh="#!/bin/bash\necho proxy=${HTTPS_PROXY-none} arguments=$#\n")
    scratch = tmp_path / "scratch"
    policy = Policy(worktree=tree, scratch=scratch, data_dir=tmp_path / "data", outputs_dir=scratch / "outputs")
    how = Preparation("./init.sh prepare", "registries", 60)
    settings = SandboxSettings(prepare_network="registries")
    async with Room.open(policy, settings, tmp_path / "journal") as room:
        run_command, *_ = shell_tools(room, scratch / "outputs", {"PORT": "18000"}, how)
        assert "`./init.sh prepare`, given alone and just so, reaches the package registries" in run_command.description

        async def run(command: str) -> str:
            return await run_command.call(run_command.arguments.model_validate({"command": command}))

        await run("cd /tmp")
        assert "proxy=http" in await run(" ./init.sh prepare\n")
        assert "none" in await run("echo ${HTTPS_PROXY-none}"), "the way out is not exported to the next command"
        for command in ("/project/init.sh prepare", "cd /project; ./init.sh prepare", "/project/./init.sh prepare "):
            assert "proxy=none" in await run(command)


async def test_the_ports_of_an_application_are_those_of_a_session(tmp_path: Path) -> None:
    """What works in the session must work where it is judged; the names are the harness's own protocol."""
    from harness.verify.app import PORTS

    served = "#!/bin/bash\necho $PORT $PORT_1 $PORT_2; exec python3 -m http.server $PORT"
    tree = write(tmp_path / "tree", serve__sh=served)
    app = AppSettings(prepare="", serve="./serve.sh")
    async with open_room(tmp_path, tree) as room, serve(tree, room, app, tmp_path / "data") as instance:
        assert instance.log_tail().split("\n")[0].split() == [str(port) for port in range(18000, 18000 + len(PORTS))]


async def test_what_was_installed_is_not_committed(project_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is a repository refused that has it already; the broken twin looks for no such directory."""
    project = Project.find(project_dir)
    tree = await Repo.open(project_dir).open_worktree(project.worktrees_dir / "t1", "harness/t1")
    parts: Any = SimpleNamespace(project=project, thread_id="t1", repo=Repo.open(project_dir))
    package = tree.directory / "web" / "node_modules" / "left-pad"
    package.mkdir(parents=True)
    (package / "index.js").write_text("0")
    with pytest.raises(RepoError, match=r"would be committed: web/node_modules\.\n.*\.gitignore"):
        await candidate_of(parts, tree)

    (tree.directory / ".gitignore").write_text("node_modules\n")
    assert (await candidate_of(parts, tree))[1].sha

    (tree.directory / ".gitignore").unlink()
    with monkeypatch.context() as twin:
        twin.setattr(hall, "INSTALLED", ("nothing",))
        assert (await candidate_of(parts, tree))[1].sha

    await tree.commit("theirs", "", {"Harness-Thread": "t1"})
    (package / "more.js").write_text("1")
    assert (await candidate_of(parts, tree))[1].sha, "it was committed before"
