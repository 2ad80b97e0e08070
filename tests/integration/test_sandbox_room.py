"""Rooms on real processes: commands, servers, limits, and that nothing is left.

Where mode matters, both are run: `project` in bubblewrap, `off` on the bare machine.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import ShellError
from harness.sandbox import tree
from harness.sandbox.policy import Limits, Policy
from harness.sandbox.processes import Process, Room, reap
from harness.settings import SandboxMode, SandboxSettings

pytestmark = pytest.mark.needs("bwrap")

SETTINGS = SandboxSettings(command_seconds=20)
Opener = Callable[..., AbstractAsyncContextManager[Room]]


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    (tmp_path / "worktree" / ".git").mkdir(parents=True)
    return Policy(
        worktree=tmp_path / "worktree",
        scratch=tmp_path / "scratch",
        data_dir=tmp_path / "data",
        outputs_dir=tmp_path / "outputs",
    )


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture(params=["project", "off"])
async def room(request: pytest.FixtureRequest, policy: Policy, journal: Path) -> AsyncIterator[Room]:
    async with Room.open(replace(policy, mode=request.param), SETTINGS, journal) as room:
        yield room


@pytest.fixture
async def sandboxed(policy: Policy, journal: Path) -> AsyncIterator[Room]:
    async with Room.open(policy, SETTINGS, journal) as room:
        yield room


@pytest.mark.parametrize(
    ("command", "code", "output"),
    [
        ("echo out; echo err >&2", 0, "out\nerr\n"),
        ("exit 7", 7, ""),
        ("false | true", 1, ""),
        ("kill -TERM $$", 143, ""),
        ("cat; echo end", 0, "end\n"),
        ("no-such-program", 127, "bash: line 1: no-such-program: command not found\n"),
        (["printf", "%s|", "a b", "$HOME"], 0, "a b|$HOME|"),
        ("[ -t 0 ] || [ -t 1 ] || echo no terminal", 0, "no terminal\n"),
    ],
)
async def test_a_command_gives_its_exit_code_and_output(room: Room, command: str, code: int, output: str) -> None:
    result = await room.run(command)
    assert (result.exit_code, result.output.replace(shutil.which("bash") or "", "bash"), result.killed_for) == (
        code,
        output,
        "",
    )


async def test_a_nul_is_refused_before_anything_starts(room: Room) -> None:
    """SH-3."""
    with pytest.raises(ValueError, match="NUL"):
        await room.run("touch made; echo \0")
    assert not (room.policy.worktree / "made").exists()


async def test_a_command_starts_in_the_project_and_can_be_sent_elsewhere_in_it(room: Room) -> None:
    (room.policy.worktree / "src").mkdir()
    (room.policy.worktree / "src" / "here").touch()
    assert (await room.run("ls")).output == "src\n" or room.policy.mode == "project"
    assert (await room.run("ls", cwd="src")).output == "here\n"


async def test_a_directory_outside_cannot_be_started_in(sandboxed: Room, tmp_path: Path) -> None:
    with pytest.raises(ShellError):
        await sandboxed.run("ls", cwd=str(tmp_path))


async def test_variables_are_handed_in_and_none_leak(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary")
    assert (await room.run('echo "$PORT:$OPENAI_API_KEY"', env={"PORT": "1"})).output == "1:\n"


async def test_what_a_command_leaves_in_the_background_does_not_hold_it_up_and_ends_with_it(room: Room) -> None:
    started = time.monotonic()
    result = await room.run("sleep 303 & setsid sleep 303 & echo started")
    assert result.output == "started\n"
    assert time.monotonic() - started < 5
    assert not running("sleep\x00303")


async def test_a_time_out_ends_the_whole_tree_also_what_ignores_it(room: Room) -> None:
    """RE-3: the daemon and what ignores TERM."""
    command = "trap '' TERM; setsid bash -c \"trap '' TERM; sleep 304\" & sleep 304; sleep 304"
    result = await room.run(command, timeout_seconds=0.5)
    assert (result.exit_code, result.timed_out, result.killed_for) == (124, True, "time limit 0.5 s")
    assert not running("sleep\x00304")
    assert (await room.run("echo fine")).output == "fine\n"


async def test_a_time_out_leaves_a_second_to_tidy_up(room: Room) -> None:
    result = await room.run("trap 'echo tidied; exit' TERM; while :; do sleep 0.05; done", timeout_seconds=1)
    assert "tidied" in result.output


async def test_a_cancelled_command_is_ended(room: Room) -> None:
    running_command = asyncio.create_task(room.run("touch up; sleep 305"))
    await until(lambda: (room.policy.worktree / "up").exists())
    running_command.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running_command
    assert not running("sleep\x00305")


async def test_long_output_is_cut_and_kept_whole_in_a_file(room: Room, tmp_path: Path) -> None:
    result = await room.run("seq 200000", output_file=tmp_path / "whole")
    assert result.output.startswith("1\n2\n")
    assert result.output.endswith("200000\n")
    assert result.dropped_bytes > 1_000_000
    assert (tmp_path / "whole").read_text().split() == [str(n) for n in range(1, 200001)]


async def test_endless_output_is_ended(policy: Policy, journal: Path, tmp_path: Path) -> None:
    small = replace(policy, limits=Limits(stored_bytes=3_000_000))
    async with Room.open(small, SETTINGS, journal) as room:
        result = await room.run("yes", output_file=tmp_path / "whole")
    assert result.killed_for == "output limit 3 MB"
    assert (tmp_path / "whole").stat().st_size == 3_000_000


async def test_a_huge_file_is_stopped_and_the_limit_named(policy: Policy, journal: Path) -> None:
    for size, named in ((1 << 20, "file size limit 1 MB"), (1 << 30, "")):  # the second is the broken twin
        async with Room.open(replace(policy, limits=Limits(file_bytes=size)), SETTINGS, journal) as room:
            assert (await room.run("exec head -c 2000000 /dev/zero >big")).killed_for == named


async def test_processor_time_is_limited_and_the_limit_named(sandboxed: Room) -> None:
    """RE-3: a spin."""
    result = await sandboxed.run("ulimit -S -t 1; while :; do :; done")
    assert result.killed_for == "processor time limit"


async def test_a_spin_is_ended_by_its_time_and_the_limit_named(sandboxed: Room) -> None:
    """RE-3; with time enough the same command, which is its twin, ends by itself."""
    spin = "timeout 2 bash -c 'while :; do :; done'; echo over"
    ended = await sandboxed.run(spin, timeout_seconds=0.5)
    assert (ended.timed_out, "over" in ended.output) == (True, False)
    assert ended.killed_for
    left = await sandboxed.run(spin, timeout_seconds=60)
    assert (left.timed_out, left.output) == (False, "over\n")


async def test_open_files_are_limited(policy: Policy, journal: Path) -> None:
    """RE-3: open files."""
    held = """
held = []
try:
    while len(held) < 300:
        held.append(open("/dev/null"))
except OSError as exc:
    print(exc.errno)
"""
    for count, said in ((256, "24\n"), (1024, "")):  # the second is the broken twin
        async with Room.open(replace(policy, limits=Limits(open_files=count)), SETTINGS, journal) as room:
            assert (await room.run(["python3", "-c", held])).output == said


EAT = """import sys, time
held = b"x" * (int(sys.argv[1]) << 20)
time.sleep(float(sys.argv[2]))"""


@pytest.mark.parametrize(
    "command", ["python3 -c '{EAT}' 300 60", "for i in 1 2 3 4 5 6; do python3 -c '{EAT}' 60 60 & done; wait"]
)
async def test_memory_of_the_whole_tree_is_limited_and_the_limit_named(
    policy: Policy, journal: Path, command: str
) -> None:
    """RE-2."""
    async with Room.open(policy, SETTINGS.model_copy(update={"memory_mb": 200}), journal) as room:
        result = await room.run(command.replace("{EAT}", EAT))
        assert result.killed_for == "memory limit 200 MB"
        assert (await room.run("echo fine")).output == "fine\n"


async def test_without_that_limit_the_same_program_ends_well(policy: Policy, journal: Path) -> None:
    """RE-2: the twin of the test above."""
    async with Room.open(policy, SETTINGS, journal) as room:
        assert (await room.run(["python3", "-c", EAT, "300", "1"])).exit_code == 0


async def test_the_biggest_tree_is_the_one_that_is_ended(policy: Policy, journal: Path) -> None:
    async with Room.open(policy, SETTINGS.model_copy(update={"memory_mb": 200}), journal) as room:
        small = await room.start("sleep 60", name="small")
        big = await room.start(["python3", "-c", EAT, "300", "60"], name="big")
        assert await big.wait(15)
        assert big.killed_for == "memory limit 200 MB"
        assert small.running


async def test_a_storm_of_processes_ends_with_the_command(sandboxed: Room) -> None:
    """RE-1, also as root: the wall clock ends it."""
    await sandboxed.run("for i in $(seq 300); do sleep 306 & done; wait", timeout_seconds=3)
    assert not running("sleep\x00306")
    assert (await sandboxed.run("echo fine")).output == "fine\n"


@pytest.mark.user_only  # the kernel keeps no process limit for root
async def test_a_fork_bomb_meets_the_process_limit(sandboxed: Room) -> None:
    """RE-1."""
    result = await sandboxed.run("for i in $(seq 600); do sleep 60 & done", timeout_seconds=10)
    assert "Resource temporarily unavailable" in result.output


async def test_a_server_answers_inside_and_is_not_seen_outside(room: Room) -> None:
    """The machine does not reach the loopback; the twin is the room without a sandbox."""
    server, port = await serve(room)
    url = f"http://127.0.0.1:{port}/"
    assert (await room.http_ready(url, 10, server)).is_ready
    assert (await room.run(fetch(url))).exit_code == 0
    assert reachable(port) == (room.policy.mode == "off")
    await server.stop()
    assert not server.running
    assert not (await room.http_ready(url, 0.3)).is_ready


async def test_another_room_does_not_reach_the_server(sandboxed: Room, policy: Policy, tmp_path: Path) -> None:
    """Sessions share no loopback; the twin is the room itself."""
    _, port = await serve(sandboxed)
    url = f"http://127.0.0.1:{port}/"
    assert (await sandboxed.http_ready(url, 10)).is_ready
    async with Room.open(replace(policy, scratch=tmp_path / "other"), SETTINGS, tmp_path / "other-journal") as other:
        assert (await other.run(fetch(url))).exit_code != 0


async def test_a_server_that_ends_is_told_at_once(room: Room) -> None:
    server = await room.start("echo broken; exit 3")
    started = time.monotonic()
    told = await room.http_ready(f"http://127.0.0.1:{await room.free_port()}/", 20, server)
    assert (told.is_ready, told.reason) == (False, "it ended with exit code 3")
    assert time.monotonic() - started < 10
    assert server.output() == "broken\n"


FAULTY = """
from http.server import *
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error({status})
HTTPServer(("127.0.0.1", {port}), Handler).serve_forever()
"""


@pytest.mark.parametrize(("status", "ready"), [(500, False), (404, True)])
async def test_a_server_with_an_error_of_its_own_is_not_ready(sandboxed: Room, status: int, ready: bool) -> None:
    port = await sandboxed.free_port()
    await sandboxed.start(["python3", "-c", FAULTY.format(status=status, port=port)])
    told = await sandboxed.http_ready(f"http://127.0.0.1:{port}/", 10 if ready else 2)
    assert told.is_ready == ready
    assert ready or told.reason == "it answers with status 500"


async def test_a_server_that_never_answers_is_told(sandboxed: Room) -> None:
    port = await sandboxed.free_port()
    await sandboxed.start(
        ["python3", "-c", f"import socket,time; s=socket.create_server(('127.0.0.1',{port})); time.sleep(60)"]
    )
    told = await sandboxed.http_ready(f"http://127.0.0.1:{port}/", 2)
    assert (told.is_ready, told.reason) == (False, "it accepts connections and does not answer")


async def test_output_of_a_server_can_be_read_on(room: Room) -> None:
    server = await room.start("echo one; while [ ! -e go ]; do sleep 0.02; done; echo two; sleep 60")
    await until(lambda: "one" in server.output())
    seen = server.output_bytes
    (room.policy.worktree / "go").touch()
    await until(lambda: "two" in server.output())
    assert server.output(seen) == "two\n"
    assert room.log_path("server").read_text() == "one\ntwo\n"


async def test_ports_are_the_same_in_every_room_of_a_sandbox(sandboxed: Room) -> None:
    assert [await sandboxed.free_port() for _ in range(3)] == [18000, 18001, 18002]


async def test_a_worker_speaks_over_pipes_and_cannot_write_to_the_project(sandboxed: Room) -> None:
    worker = await sandboxed.spawn(["bash", "-c", "read line; echo got $line; touch made || echo refused"])
    assert worker.stdin
    assert worker.stdout
    worker.stdin.write(b"hello\n")
    assert await worker.stdout.read() == b"got hello\nrefused\n"
    assert await worker.wait() == 0
    assert "Read-only" in sandboxed.log_path("worker").read_text()


@pytest.mark.needs("chromium")
async def test_chromium_runs_with_its_own_sandbox_on_the_loopback(sandboxed: Room) -> None:
    (sandboxed.policy.worktree / "index.html").write_text("<p id=x></p><script>x.textContent = 6 * 7</script>")
    _, port = await serve(sandboxed)
    assert (await sandboxed.http_ready(f"http://127.0.0.1:{port}/", 10)).is_ready
    flags = ["--headless", "--disable-gpu", "--user-data-dir=/tmp/profile", "--dump-dom"]
    browser = await sandboxed.spawn(["chromium", *flags, f"http://127.0.0.1:{port}/index.html"])
    page, _ = await asyncio.wait_for(browser.communicate(), 40)
    assert b'<p id="x">42</p>' in page, sandboxed.log_path("worker").read_text()


async def test_commands_of_another_tree_share_the_loopback(sandboxed: Room, policy: Policy, tmp_path: Path) -> None:
    (tmp_path / "baseline").mkdir()
    (tmp_path / "baseline" / "old").touch()
    baseline = replace(policy, worktree=tmp_path / "baseline", protected=())
    _, port = await serve(sandboxed)
    assert (await sandboxed.http_ready(f"http://127.0.0.1:{port}/", 10)).is_ready
    result = await sandboxed.run(f"ls && {fetch(f'http://127.0.0.1:{port}/')}", policy=baseline)
    assert (result.exit_code, result.output.split()[0]) == (0, "old")


async def test_the_machines_network_needs_leave(policy: Policy, journal: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"/dev/tcp/127.0.0.1/{listener.getsockname()[1]}"
        async with Room.open(policy, SETTINGS, journal) as room:
            assert (await room.run(f"exec 3<>{url}")).exit_code != 0
            assert (await room.run(f"exec 3<>{url}", network="none")).exit_code != 0
            with pytest.raises(ShellError, match="not allowed"):
                await room.run(f"exec 3<>{url}", network="host")
        allowed = SETTINGS.model_copy(update={"prepare_network": "on"})
        async with Room.open(policy, allowed, journal) as room:
            assert (await room.run(f"exec 3<>{url}", network="host")).exit_code == 0


async def test_a_failing_sandbox_is_not_shown_as_a_failing_command(sandboxed: Room) -> None:
    shutil.rmtree(sandboxed.policy.data_dir)
    with pytest.raises(ShellError, match="the sandbox did not run the command: bwrap:"):
        await sandboxed.run("echo never")
    sandboxed.policy.data_dir.mkdir()
    assert (await sandboxed.run("echo 'bwrap: no'; exit 1")).output == "bwrap: no\n"


@pytest.mark.parametrize("mode", ["project", "off"])
async def test_closing_ends_everything_and_leaves_nothing(policy: Policy, journal: Path, mode: SandboxMode) -> None:
    before = set(tree.descendants([os.getpid()])[os.getpid()])
    async with Room.open(replace(policy, mode=mode), SETTINGS, journal) as room:
        await room.start("setsid sleep 307 & trap '' TERM; sleep 307; sleep 307")
        await room.spawn(["sleep", "307"])
        await room.run("echo")
        await until(lambda: len(running("sleep\x00307")) == 3)
        assert journal.exists()
    assert not running("sleep\x00307")
    assert set(tree.descendants([os.getpid()])[os.getpid()]) - before == set(), "also no dead entries"
    assert not journal.exists()
    assert names_in(policy.worktree) == [".git"], "stand-ins are put away"


async def test_a_stand_in_that_the_harness_replaced_is_kept(policy: Policy, journal: Path) -> None:
    async with Room.open(policy, SETTINGS, journal) as room:
        (policy.scratch / "new").write_text("[]")
        (policy.scratch / "new").replace(policy.worktree / "features.json")
        assert (await room.run("cat features.json; echo x >features.json")).output.startswith("[]")
    assert (policy.worktree / "features.json").read_text() == "[]"


DOOMED = """
import asyncio, sys
from pathlib import Path
from harness.sandbox.policy import Policy
from harness.sandbox.processes import Room
from harness.settings import SandboxSettings
async def main():
    home, mode, seconds = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    (home / "worktree" / ".git").mkdir(parents=True, exist_ok=True)
    policy = Policy(worktree=home / "worktree", scratch=home / "scratch", data_dir=home / "data", mode=mode)
    async with Room.open(policy, SandboxSettings(), home / "journal") as room:
        await room.start(f"setsid sleep {seconds} & touch up; sleep {seconds}")
        await asyncio.sleep(60)
asyncio.run(main())
"""


async def kill_harness(home: Path, mode: str, seconds: int) -> None:
    harness = await asyncio.create_subprocess_exec(sys.executable, "-c", DOOMED, str(home), mode, str(seconds))
    await until(lambda: len(running(f"sleep\x00{seconds}")) == 2)
    harness.send_signal(signal.SIGKILL)
    await harness.wait()


async def test_a_killed_harness_takes_its_sandbox_with_it(tmp_path: Path) -> None:
    await kill_harness(tmp_path, "project", 308)
    await until(lambda: not running("sleep\x00308"))
    await until(lambda: not any(str(tmp_path) in line for line in running("")))
    assert (tmp_path / "worktree" / "features.json").exists()
    reap(tmp_path / "journal")
    assert names_in(tmp_path / "worktree") == [".git", "up"]
    assert not (tmp_path / "journal").exists()


async def test_what_survives_without_a_sandbox_is_reaped_at_the_next_start(tmp_path: Path) -> None:
    await kill_harness(tmp_path, "off", 309)
    assert running("sleep\x00309"), "the daemon outlives the harness: without reaping it would stay"
    assert reap(tmp_path / "journal")
    await until(lambda: not running("sleep\x00309"))
    assert reap(tmp_path / "journal") == []


def test_reaping_leaves_alone_what_belongs_to_a_harness_at_work(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    note = "import sys; from harness.sandbox.journal import Journal; from pathlib import Path\n"
    note += "Journal(Path(sys.argv[1])).process(int(sys.argv[2]), 'm'); print('noted', flush=True); sys.stdin.read()"
    with subprocess.Popen(["sleep", "60"]) as theirs:
        command = [sys.executable, "-c", note, str(journal), str(theirs.pid)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout
            assert other.stdout.readline() == "noted\n"
            assert reap(journal) == []
            assert theirs.poll() is None
            assert journal.exists()
        assert reap(journal) == [theirs.pid], "the same journal, once who wrote it has ended"


def test_reaping_ends_nobody_who_got_the_same_number(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        (tmp_path / "journal").write_text(f'{{"pid": {stranger.pid}, "started": "1", "mark": "m"}}\n{{"pid": 1, "sta')
        assert reap(tmp_path / "journal") == []
        assert stranger.poll() is None
        stranger.kill()


async def test_a_room_is_not_opened_where_its_processes_would_die_early(policy: Policy, journal: Path) -> None:
    async def open_room() -> None:
        async with Room.open(policy, SETTINGS, journal):
            pass

    with pytest.raises(ShellError, match="worker thread"):
        await asyncio.to_thread(asyncio.run, open_room())


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


async def serve(room: Room) -> tuple[Process, int]:
    port = await room.free_port()
    return await room.start(f"exec python3 -m http.server {port} --bind 127.0.0.1"), port


def fetch(url: str) -> str:
    return f'python3 -c "import urllib.request; urllib.request.urlopen({url!r})"'


def reachable(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True


def running(words: str) -> list[str]:
    """Command lines of live processes that begin with these words."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and tree.is_alive(int(entry.name)):
            try:
                line = (entry / "cmdline").read_text()
            except OSError:
                continue
            found += [line] if line.startswith(words) else []
    return found


async def until(holds: Callable[[], bool], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to pass"
        await asyncio.sleep(0.02)


@pytest.mark.needs("bwrap")
async def test_what_may_be_read_is_there_though_it_lies_below_a_directory_of_the_rooms_own(tmp_path: Path) -> None:
    """A clone in /tmp brings its environment there, and inside, /tmp is the room's."""
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        tool = Path(place).resolve() / "tool"
        tool.mkdir()
        (tool / "said").write_text("here")
        for name in ("tree", "scratch"):
            (tmp_path / name).mkdir()
        policy = Policy(
            worktree=tmp_path / "tree", scratch=tmp_path / "scratch", data_dir=tmp_path / "data", read_only=(tool,)
        )
        async with Room.open(policy, SandboxSettings(), tmp_path / "journal") as room:
            assert (await room.run(f"cat {tool}/said; echo x > {tool}/said")).output.startswith("here")
        assert (tool / "said").read_text() == "here"
