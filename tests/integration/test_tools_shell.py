"""The shell tools in a real room: what the model reads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ToolFailed, ToolRetry
from harness.sandbox.policy import Policy
from harness.sandbox.processes import Room
from harness.settings import SandboxSettings
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


@pytest.fixture
async def use(tmp_path: Path, project_dir: Path) -> AsyncIterator[Tools]:
    outputs = tmp_path / "outputs"
    policy = Policy(worktree=project_dir, scratch=tmp_path / "s", data_dir=tmp_path / "d", outputs_dir=outputs)
    async with Room.open(policy, SandboxSettings(command_seconds=20), tmp_path / "journal") as room:
        tools = [*file_tools(project_dir, outputs_dir=outputs), *shell_tools(room, outputs, {"PORT": "18500"})]
        yield Tools(tools, project_dir)


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
        "process-1 is started. process_output shows what it prints."
    )
    text = await use("process_output", name="process-1", wait_for="listening")
    assert text == "process-1 is running.\nlistening on 18500"
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
