"""`harness open`: real HTTP to the last proved commit, whatever lands meanwhile."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from apps.history import commit, git, proved

from harness.green import last_proved
from harness.repo import Repo

pytestmark = [pytest.mark.needs("bwrap")]

SERVER = """
import os, pathlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
NOTES = pathlib.Path(os.environ["HARNESS_DATA_DIR"], "notes")
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(f"{VERSION} {NOTES.read_text()}")
    def do_POST(self):
        word = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if word == "die":
            os._exit(1)
        NOTES.write_text(NOTES.read_text() + word)
        self.answer("kept")
    def answer(self, text):
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
    def log_message(self, *_):
        pass
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
INIT = """#!/bin/sh
case $1 in
  prepare) printf seed >"$HARNESS_DATA_DIR/notes" ;;
  serve) exec python3 -u server.py ;;
esac
"""


def write(directory: Path, version: str, init: str = INIT) -> None:
    (directory / "server.py").write_text(f"VERSION = {version!r}\n{SERVER}")
    (directory / "init.sh").write_text(init)
    (directory / "init.sh").chmod(0o755)


def listed(directory: Path, *passing: str) -> None:
    features = [
        {"id": n, "category": "x", "description": n, "steps": ["See"], "passes": n in passing}
        for n in ("F1", "F2", "F3")
    ]
    (directory / "features.json").write_text(json.dumps({"version": 1, "features": features}))


@contextmanager
def opened(directory: Path, *more: str) -> Iterator[tuple[str, Iterator[str], subprocess.Popen[str]]]:
    """The command at work: its address, its further lines, its process."""
    argv = [sys.executable, "-m", "harness", "open", str(directory), "--port", "0", *more]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            lines = iter(running.stdout.readline, "")
            serving = next((line for line in lines if line.startswith("Serving")), "")
            found = re.search(r"http://127\.0\.0\.1:\d+/", serving)
            assert found, running.stderr.read() if running.stderr else ""
            yield found[0], lines, running
        finally:
            running.send_signal(signal.SIGINT)
            running.wait(60)
    assert running.returncode == 0


def ask(url: str, word: str = "") -> str:
    data = word.encode() if word else None
    with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=60) as answer:
        return str(answer.read().decode())


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def asking_all_the_time(url: str) -> Iterator[list[str]]:
    seen: list[str] = []
    is_over = threading.Event()

    def go_on() -> None:
        while not is_over.is_set():
            try:
                seen.append(ask(url).split()[0])
            except (urllib.error.URLError, OSError) as exc:
                seen.append(f"failed: {exc}")

    asking = threading.Thread(target=go_on)
    asking.start()
    try:
        yield seen
    finally:
        is_over.set()
        asking.join()


def test_it_serves_what_is_proved_moves_on_without_a_gap_and_never_shows_what_is_not(project_dir: Path) -> None:
    write(project_dir, "one")
    listed(project_dir, "F1")
    proved(project_dir, "F1")
    with opened(project_dir) as (url, lines, _), asking_all_the_time(url) as seen:
        assert ask(url) == "one seed"
        assert ask(url, "-more") == "kept"
        write(project_dir, "unproved")
        commit(project_dir, "a person's own")
        write(project_dir, "two")
        proved(project_dir, "F2")
        assert next(lines).startswith("Its data stay in ")
        assert next(lines).startswith("Now serving F2 (")
        assert ask(url) == "two seed-more", "data stay"
        write(project_dir, "broken", INIT.replace("exec python3 -u server.py", "exit 3"))
        proved(project_dir, "F3")
        said = next(lines)
        assert said.startswith("F3 (")
        assert "is not shown: `./init.sh serve` ended with exit code 3" in said
        assert "F2 (" in said
        assert ask(url) == "two seed-more"
    assert list(dict.fromkeys(seen)) == ["one", "two"], "no request failed, and nothing else was shown"
    write(project_dir, "four")
    proved(project_dir, "F3")
    with opened(project_dir) as (url, _, _):
        assert ask(url) == "four seed-more", "from one start to the next"
    with opened(project_dir, "--fresh") as (url, _, running):
        assert ask(url) == "four seed"
        again = subprocess.run(
            [sys.executable, "-m", "harness", "open", str(project_dir)], capture_output=True, text=True, check=False
        )
        assert again.returncode == 3
        assert f"process {running.pid}" in again.stderr
        with pytest.raises((urllib.error.URLError, OSError)):
            ask(url, "die")
        with asking_all_the_time(url) as seen:
            wait_until(lambda: "four" in seen)
        assert ask(url) == "four seed", "what ended is started again"
    assert git(project_dir, "status", "--porcelain") == ""
    assert git(project_dir, "worktree", "list").count("\n") == 1, "no worktree of its own is registered"


def test_where_nothing_is_proved_or_the_port_is_taken_it_says_so(project_dir: Path) -> None:
    write(project_dir, "one")
    listed(project_dir)
    commit(project_dir, "a person's own")
    argv = [sys.executable, "-m", "harness", "open", str(project_dir)]
    nothing = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (nothing.returncode, nothing.stdout) == (3, "")
    assert "Nothing is proved yet" in nothing.stderr
    proved(project_dir, "F1")
    with opened(project_dir) as (url, _, _):
        taken = url.split(":")[2].strip("/")
        clone = project_dir.parent / "clone"
        git(project_dir.parent, "clone", "--quiet", str(project_dir), str(clone))
        argv = [sys.executable, "-m", "harness", "open", str(clone), "--port", taken]
        refused = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert refused.returncode == 3
    assert f"Port {taken} is taken" in refused.stderr


async def test_a_commit_is_passed_over_while_something_it_lists_as_passing_is_known_to_be_broken(
    project_dir: Path,
) -> None:
    async def found() -> str:
        it = await last_proved(Repo.open(project_dir), ["HEAD", "no-such-branch"])
        return it.sha if it else ""

    assert await found() == ""
    listed(project_dir, "F1")
    first = proved(project_dir, "F1")
    listed(project_dir, "F1", "F2")
    second = proved(project_dir, "F2")
    assert await found() == second
    commit(project_dir, "a person's own")
    assert await found() == second
    listed(project_dir, "F2")
    proved(project_dir, "F1", "reopened", "Step 2 fails")
    assert await found() == first, "the second lists F1 as passing, and it is broken there for all that is known"
    proved(project_dir, "F3", "reopened", "second chance; parked before: x")
    assert await found() == first, "what never passed breaks nothing"
    listed(project_dir, "F1", "F2")
    third = proved(project_dir, "F1")
    assert await found() == third
    proved(project_dir, "F1", "reopened", "reopened by a person: other colours")
    assert await found() == third, "a wish is no fault"
