"""A `harness` that was forked is the one that was started: streams, variables, directory, signals, exit code."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes import descendants, gone
from warm import WARM

LIST = '{"version": 1, "features": [{"id": "F1", "description": "Adds", "steps": ["See"]}]}'


def cold(*words: object) -> list[str]:
    return [sys.executable, "-m", "harness", *map(str, words)]


@pytest.mark.parametrize(
    ("words", "env"),
    [
        (["status", "--json"], {}),
        (["status", "--json"], {"HARNESS_STATE_DIR": "elsewhere"}),
        (["status", "nowhere"], {}),
        (["plan", "add", "--dir", ".", "-", "--yes"], {"OPENAI_MODEL": ""}),
        (["statsu"], {}),
        (["--version"], {"LC_ALL": "C", "PYTHONUTF8": "0"}),
    ],
)
def test_it_says_and_ends_as_one_that_was_started(words: list[str], env: dict[str, str], project_dir: Path) -> None:
    (project_dir / "features.json").write_text(LIST)
    given = {"cwd": project_dir, "env": {**os.environ, **env}, "input": "a wish", "capture_output": True, "text": True}
    forked, started = (subprocess.run(command(*words), check=False, **given) for command in (WARM.command, cold))
    assert (forked.returncode, forked.stdout, forked.stderr) == (started.returncode, started.stdout, started.stderr)


def test_settings_of_interpreters_are_those_of_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; print('new', file=sys.stderr)")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(WARM.command("--version"), env=env, capture_output=True, text=True, check=True)
    assert done.stderr == "new\n"


def test_signals_reach_it_and_with_its_client_it_is_gone(project_dir: Path) -> None:
    (project_dir / "features.json").write_text(LIST)
    words = ("status", "--watch", "--json", project_dir)
    with subprocess.Popen(WARM.command(*words), stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        assert json.loads(watching.stdout.readline())["totals"]["total"] == 1
        watching.send_signal(signal.SIGINT)
        assert watching.wait(20) in (0, 130)
    with subprocess.Popen(WARM.command(*words), stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        watching.stdout.readline()
        watching.kill()
        assert watching.stdout.read() == "", "it ends when nobody holds the other end any more"


async def test_the_server_keeps_nobody() -> None:
    done = await asyncio.create_subprocess_exec(*WARM.command("--version"), stdout=asyncio.subprocess.DEVNULL)
    assert await done.wait() == 0
    assert await gone(descendants(WARM.server.pid) - {WARM.server.pid}) == set()
