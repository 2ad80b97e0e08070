"""The shell tools in a real room: what the model reads."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ToolFailed, ToolRetry
from harness.journal import Journal, Result
from harness.sandbox.policy import Policy
from harness.sandbox.processes import Room
from harness.sandbox.shell import SHELL_FILE
from harness.settings import SandboxMode, SandboxSettings
from harness.tools.files import file_tools
from harness.tools.shell import shell_tools
from harness.tools.tool import Tool

pytestmark = pytest.mark.needs("bwrap")


class Tools:
    """A session's tools, called by name as the session does."""

    def __init__(self, tools: list[Tool], worktree: Path) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self.worktree = worktree

    async def __call__(self, tool: str, **arguments: Any) -> str:
        found = self._tools[tool]
        return await found.call(found.arguments.model_validate(arguments))


@asynccontextmanager
async def at_work(tmp_path: Path, project_dir: Path, mode: SandboxMode = "project") -> AsyncIterator[Tools]:
    outputs = tmp_path / "outputs"
    policy = Policy(project_dir, scratch=tmp_path / "s", data_dir=tmp_path / "d", mode=mode, outputs_dir=outputs)
    async with Room.open(policy, SandboxSettings(command_seconds=20), tmp_path / "journal") as room:
        tools = [*file_tools(project_dir, outputs_dir=outputs), *shell_tools(room, outputs, {"PORT": "18500"})]
        yield Tools(tools, project_dir)


@pytest.fixture
async def use(tmp_path: Path, project_dir: Path) -> AsyncIterator[Tools]:
    async with at_work(tmp_path, project_dir) as tools:
        yield tools


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("echo hello", "exit code 0\nhello"),
        ("true", "exit code 0\n(no output)"),
        ("echo $PORT; exit 3", "exit code 3\n18500"),
        (r"printf '\033[31mred\033[0m 1%%\r2%%\n'", "exit code 0\n2%"),
        ("head -c 6 /dev/zero; printf '\\377'", "exit code 0\n\ufffd"),
    ],
)
async def test_a_command_is_told_by_exit_code_and_output(use: Tools, command: str, text: str) -> None:
    assert await use("run_command", command=command) == text


async def test_a_time_out_is_named(use: Tools) -> None:
    text = await use("run_command", command="echo begun; sleep 60", timeout_seconds=0.5)
    assert text == "exit code 124; ended by the harness: time limit 0.5 s\nbegun"


async def test_long_output_can_be_read_whole_by_tool_and_command(use: Tools) -> None:
    text = await use("run_command", command="seq 100000")
    assert "characters left out; read_file /outputs/command-1.txt has all of it]" in text
    assert len(text) < 17_000
    part = await use("read_file", path="/outputs/command-1.txt", first_line=50_000, last_line=50_000)
    assert part.endswith(" 50000\t50000")
    assert await use("run_command", command="grep -c 7 /outputs/command-1.txt") == "exit code 0\n40951"


async def test_kept_output_cannot_be_changed_by_code_of_the_project(use: Tools) -> None:
    await use("run_command", command="seq 100000")
    text = await use("run_command", command="echo forged >/outputs/command-1.txt; rm /outputs/*; ln -s x /outputs/y")
    assert text.count("Read-only file system") >= 3


async def test_short_output_leaves_no_file(use: Tools) -> None:
    await use("run_command", command="echo short")
    assert await use("run_command", command="ls /outputs") == "exit code 0\n(no output)"


async def test_the_same_commands_give_the_same_text(use: Tools) -> None:
    first = [await use("run_command", command="seq 10; ls") for _ in range(2)]
    assert first[0] == first[1]


async def test_a_server_is_started_read_and_stopped(use: Tools) -> None:
    command = "echo listening on $PORT; exec python3 -m http.server $PORT --bind 127.0.0.1"
    assert await use("run_command", command=command, background=True) == (
        "process-1 is started. process_output shows what it prints.\n[process-1 listens on port 18500 ($PORT).]"
    )
    text = await use("process_output", name="process-1", wait_for="listening")
    assert text.startswith("process-1 is running.\nprocess-1 listens on port 18500 ($PORT).\nlistening on 18500")
    ask = "curl -s -o /dev/null --retry 50 --retry-connrefused --retry-delay 0 127.0.0.1:18500 && echo answered"
    ask = f"for i in $(seq 100); do (: </dev/tcp/127.0.0.1/18500) 2>/dev/null && break; sleep 0.05; done; {ask}"
    assert (await use("run_command", command=ask)).endswith("answered")
    assert await use("stop_process", name="process-1") == "process-1 is stopped."
    assert (await use("process_output", name="process-1")).startswith("process-1 ended with exit code")


async def test_a_server_that_fails_is_told(use: Tools) -> None:
    await use("run_command", command="echo no such port; exit 4", background=True)
    text = await use("process_output", name="process-1", wait_for="never printed")
    assert text == "process-1 ended with exit code 4.\nno such port"


async def test_commands_cannot_end_a_background_process(use: Tools) -> None:
    await use("run_command", command="sleep 60", background=True)
    await use("run_command", command="[ $(ls -d /proc/[0-9]* | wc -l) -lt 10 ] && kill -9 -1")
    assert (await use("process_output", name="process-1")).startswith("process-1 is running.")


async def test_a_wrong_name_is_told_with_the_right_ones(use: Tools) -> None:
    await use("run_command", command="sleep 60", background=True)
    with pytest.raises(ToolRetry, match="known: process-1"):
        await use("stop_process", name="process-9")


async def test_the_number_of_servers_is_bounded(use: Tools) -> None:
    for _ in range(8):
        await use("run_command", command="sleep 60", background=True)
    with pytest.raises(ToolFailed, match="stop one first"):
        await use("run_command", command="sleep 60", background=True)


async def test_a_nul_is_refused(use: Tools) -> None:
    with pytest.raises(ToolRetry, match="NUL"):
        await use("run_command", command="echo \0")


async def test_file_tools_and_commands_see_the_same_tree(use: Tools) -> None:
    await use("write_file", path="src/a.txt", content="one\n")
    assert await use("run_command", command="cat /project/src/a.txt; echo two >>src/a.txt") == "exit code 0\none"
    assert (await use("read_file", path="src/a.txt")).endswith("2\ttwo")


async def test_a_link_made_by_a_command_is_not_followed_by_a_tool(use: Tools, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    await use("run_command", command=f"ln -s {tmp_path}/precious out; ln -s {tmp_path} up")
    for path in ("out", "up/precious"):
        with pytest.raises(ToolFailed):
            await use("read_file", path=path)
        with pytest.raises(ToolFailed):
            await use("write_file", path=path, content="theirs")
    assert (tmp_path / "precious").read_text() == "mine"


async def test_programs_planted_by_the_project_are_not_run_by_the_harness(use: Tools, tmp_path: Path) -> None:
    """LD_PRELOAD, startup files and a searcher of the project's own reach commands, never the tools."""
    plant = 'echo \'open("/project/planted","w")\' | tee sitecustomize.py json.py re.py >/dev/null; echo word >text'
    await use("run_command", command=plant)
    assert "text:1: word" in await use("search_files", pattern="^word")
    assert not (use.worktree / "planted").exists()


# --- background processes and their ports ---

SERVE = "import http.server as h,sys;h.HTTPServer(('',int(sys.argv[1])),h.SimpleHTTPRequestHandler).serve_forever()"


async def test_a_server_on_another_port_than_the_browsers_is_told(use: Tools) -> None:
    started = await use("run_command", command=f'python3 -c "{SERVE}" 3000', background=True)
    assert started.endswith("[process-1 listens on port 3000; $PORT is 18500.]")


async def test_what_becomes_of_a_server_is_told_once_with_the_next_command(use: Tools) -> None:
    command = (
        f'until [ -e go ]; do sleep 0.05; done; python3 -c "{SERVE}" $PORT & until [ -e end ]; do sleep 0.05; done'
    )
    assert (await use("run_command", command=command, background=True)).count("\n") == 0
    ask = "touch go; until (: </dev/tcp/127.0.0.1/18500) 2>/dev/null; do sleep 0.05; done"
    assert await use("run_command", command=ask) == (
        "exit code 0\n(no output)\n[process-1 listens on port 18500 ($PORT).]"
    )
    assert await use("run_command", command="true") == "exit code 0\n(no output)"
    ask = "touch end; while (: </dev/tcp/127.0.0.1/18500) 2>/dev/null; do sleep 0.05; done"
    assert "[process-1 ended with exit code 0.]" in await use("run_command", command=ask)
    assert await use("run_command", command="true") == "exit code 0\n(no output)"


async def test_a_server_that_ends_at_once_is_told_when_it_is_started(use: Tools) -> None:
    started = await use("run_command", command="exit 7", background=True)
    assert started.endswith("\n[process-1 ended with exit code 7.]")


# --- one shell ---


async def test_directory_and_exports_hold_from_one_command_to_the_next(use: Tools) -> None:
    text = await use(
        "run_command", command="mkdir -p 'a b/c'; cd 'a b'; export GREETING='hello; $(touch x) \"you\"' plain=1"
    )
    assert text == "exit code 0; now in /project/a b\n(no output)"
    text = await use("run_command", command='pwd; echo "$GREETING"; echo $plain; cd c; false')
    assert text == 'exit code 1; now in /project/a b/c\n/project/a b\nhello; $(touch x) "you"\n1'
    assert await use("run_command", command="cd - >/dev/null; pwd; unset plain") == (
        "exit code 0; now in /project/a b\n/project/a b"
    )
    assert await use("run_command", command="cd /project; echo [$plain] $#; [ ! -e x ]") == "exit code 0\n[] 0"


@pytest.mark.parametrize(
    "command",
    [
        "cd sub; exit 0",
        "set -eux; cd sub",
        "trap 'echo bye' EXIT; cd sub",
        "cd sub; false; true",
        "set -C; cd sub\n# end",
    ],
)
async def test_however_a_command_ends_its_directory_is_kept(use: Tools, command: str) -> None:
    await use("run_command", command="mkdir sub")
    assert (await use("run_command", command=command)).startswith("exit code 0; now in /project/sub\n")


async def test_without_a_sandbox_the_shell_is_kept_and_ports_are_told_too(tmp_path: Path, project_dir: Path) -> None:
    (tmp_path / "link").symlink_to(project_dir)
    async with at_work(tmp_path, tmp_path / "link", "off") as use:
        assert await use("run_command", command="true") == "exit code 0\n(no output)"
        text = await use("run_command", command="mkdir sub; cd sub; export COLOUR=red")
        assert text.partition("\n")[0].endswith("/sub")
        assert (await use("run_command", command="echo $COLOUR; basename $PWD")).endswith("\nred\nsub")
        program = "import socket,time;s=socket.create_server(('127.0.0.1',0));time.sleep(60)"
        started = await use("run_command", command=f'python3 -c "{program}"', background=True)
        assert re.search(r"\[process-1 listens on port \d+; \$PORT is 18500\.\]$", started)


async def test_a_command_that_a_limit_ended_leaves_the_shell_as_it_was(use: Tools) -> None:
    await use("run_command", command="mkdir one two; cd one")
    text = await use("run_command", command="cd ../two; export LATE=1; sleep 60", timeout_seconds=0.5)
    assert text.startswith("exit code 124; ended by the harness: time limit 0.5 s; now in /project/one")
    assert await use("run_command", command="echo [$LATE]") == "exit code 0; now in /project/one\n[]"


async def test_a_directory_that_is_gone_is_told_and_left(use: Tools) -> None:
    await use("run_command", command="mkdir one; cd one")
    await use("run_command", command="rmdir /project/one")
    text = await use("run_command", command="pwd")
    assert text == "exit code 0\n[/project/one is no longer there; this ran in /project]\n/project"


async def test_a_server_begins_where_the_shell_is_and_does_not_move_it(use: Tools) -> None:
    await use("run_command", command="mkdir one two; cd one; export COLOUR=red")
    await use("run_command", command="pwd; echo $COLOUR; cd ../two; export COLOUR=blue", background=True)
    text = await use("process_output", name="process-1", wait_for="red")
    assert text == "process-1 ended with exit code 0.\n/project/one\nred"
    assert await use("run_command", command="echo $COLOUR") == "exit code 0; now in /project/one\nred"


async def test_questions_of_a_command_find_the_end_of_input(use: Tools) -> None:
    text = await use(
        "run_command", command="read -p 'Go on? ' answer; echo \"[$answer] $?\"; cat; readlink /proc/self/fd/0"
    )
    assert text == "exit code 0\n[] 1\n/dev/null"


async def test_exports_reach_no_process_of_the_harness(use: Tools, tmp_path: Path) -> None:
    """A library to be loaded first is loaded in the sandbox, where it is not there, and nowhere else."""
    planted = f"{tmp_path}/planted"
    await use(
        "run_command",
        command=f"export LD_PRELOAD=/project/evil.so BASH_ENV=/project/evil.sh; echo 'touch {planted}' >evil.sh",
    )
    text = await use("run_command", command="echo $LD_PRELOAD")
    assert text.splitlines()[-1] == "/project/evil.so"
    assert not Path(planted).exists()
    broken_twin = await asyncio.create_subprocess_exec(
        "/usr/bin/env", "true", env={"LD_PRELOAD": "/project/evil.so"}, stderr=asyncio.subprocess.PIPE
    )
    assert b"/project/evil.so" in (await broken_twin.communicate())[1], "given to a process of ours, it is obeyed"
    assert not [line for line in text.splitlines() if "nsenter" in line or "bwrap" in line]


@pytest.mark.parametrize(
    "hostile",
    [
        "ln -sf /etc/passwd ~/.harness-shell",
        "mkdir -p ~/.harness-shell/x",
        "mkfifo ~/.harness-shell",
        "printf 'PWD=/nowhere\\0bad name=1\\0SHELLOPTS=noexec\\0\\377=\\377' >~/.harness-shell",
        "printf 'BASH_FUNC_ls%%%%=() { touch x; }\\0BASH_FUNC_pwd%%%%=() { touch x; }\\0' >~/.harness-shell",
        "head -c 10000000 /dev/zero >~/.harness-shell",
        "rm -rf ~; chmod 0 ~",
        "printf 'PWD=$(touch x)' >~/.harness-shell",
    ],
)
async def test_whatever_a_command_leaves_as_its_state_is_data(use: Tools, hostile: str) -> None:
    await asyncio.wait_for(use("run_command", command=hostile), 10)
    text = await asyncio.wait_for(use("run_command", command="chmod 700 ~; cd /project; pwd"), 10)
    assert text.splitlines()[-1] == "/project"
    assert not (use.worktree / "x").exists()
    assert await use("run_command", command="ls -A ~") == "exit code 0\n(no output)"


@pytest.mark.parametrize("size", [100_000, 1_000_000])
async def test_exports_that_are_too_large_are_told_and_the_earlier_ones_stay(use: Tools, size: int) -> None:
    await use("run_command", command="export SMALL=1")
    text = await use("run_command", command=f"export LARGE=$(head -c {size} /dev/zero | tr '\\0' x)")
    assert "take too much room" in text
    assert await use("run_command", command="echo [$SMALL$LARGE]") == "exit code 0\n[1]"


async def test_variables_of_any_name_do_not_get_in_the_way(use: Tools) -> None:
    names = "harness=1 __harness=2 IFS=: POSIXLY_CORRECT=1 SHELLOPTS BASH_ENV=/dev/null PWD=/tmp OLDPWD=/usr"
    await use("run_command", command=f"mkdir sub; cd sub; export {names}")
    assert await use("run_command", command="cd /project/sub; echo $harness; pwd") == (
        "exit code 0; now in /project/sub\n1\n/project/sub"
    )


async def test_after_a_kill_a_command_begins_where_it_began_and_servers_too(tmp_path: Path, project_dir: Path) -> None:
    """The journal puts the shell back for a call that was cut; without it the second `cd` would lead elsewhere."""
    (project_dir / "web" / "web").mkdir(parents=True)
    calls = tmp_path / "calls.jsonl"

    async def work(use: Tools, journal: Journal, call_id: str, **arguments: Any) -> str:
        async def carry_out(name: str, args: dict[str, Any]) -> Result:
            return Result(await use(name, **args))

        return (await journal.once(call_id, "run_command", arguments, carry_out)).text

    async with at_work(tmp_path, project_dir) as use:
        journal = Journal(calls, project_dir, tmp_path / "s" / SHELL_FILE)
        await work(use, journal, "c1", command="cd web")
        await work(use, journal, "c2", command="pwd >>/project/where; sleep 60", background=True)
        await work(use, journal, "c3", command="cd web")
    calls.write_text("".join(calls.read_text().splitlines(keepends=True)[:-1]))  # killed before c3's result
    kept = (tmp_path / "s" / SHELL_FILE).read_bytes()
    async with at_work(tmp_path, project_dir) as use:
        await use("run_command", command="pwd >>/project/where; sleep 60", background=True)  # as a session restores it
        journal = Journal(calls, project_dir, tmp_path / "s" / SHELL_FILE)
        assert await work(use, journal, "c3", command="cd web") == "exit code 0; now in /project/web/web\n(no output)"
        assert (project_dir / "where").read_text() == "/project/web\n/project/web\n"
        (tmp_path / "s" / SHELL_FILE).write_bytes(kept)  # broken twin: nothing put back
        assert "web/web/web" not in await use("run_command", command="cd web")
        assert "No such file" in await use("run_command", command="cd web")
