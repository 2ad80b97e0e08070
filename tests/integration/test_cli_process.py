"""The command as a process: exit codes, pipes, what is loaded, and Ctrl-C."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("langgraph", "langchain_core", "openai", "torch", "pymilvus", "pyppeteer", "git")
LOADED = """
import sys
from harness.cli import main
try:
    main()
finally:
    sys.stderr.write("loaded:" + ",".join(name for name in sys.modules if "." not in name))
"""
FEATURE = {"id": "F1", "category": "list", "description": "Keeps ä", "steps": ["See"], "passes": False}


@pytest.fixture
def listed(project_dir: Path) -> Path:
    (project_dir / "features.json").write_text(json.dumps([FEATURE]), encoding="utf-8")
    return project_dir


def harness(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LOADED, *map(str, arguments)]
    env = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env, timeout=60)


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["status"], ["status", "--json"], ["threads"], ["log"], ["run", "--help"], ["demo", "--help"]],
)
def test_light_commands_load_nothing_heavy(listed: Path, arguments: list[str]) -> None:
    where = [] if "--help" in arguments else [listed]
    done = harness(*arguments, *where)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stderr.rpartition("loaded:")[2].split(","))
    assert "harness" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_a_terminal_of_few_letters_is_served(listed: Path) -> None:
    done = harness("status", listed, PYTHONIOENCODING="ascii:strict", LC_ALL="C")
    assert done.returncode == 0, done.stderr
    assert "open    F1  Keeps" in done.stdout


def test_names_of_files_survive_a_locale_without_utf_8(listed: Path, tmp_path: Path) -> None:
    """In it Python by itself cannot even write the name down, which is the twin."""
    few = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    named = listed.rename(tmp_path / "Mein Projekt ü ✓")
    done = harness("status", named, **few, HARNESS_STATE_DIR=str(tmp_path / "Zustand 一"))
    assert done.returncode == 0, done.stderr
    assert f"project   {named}\n" in done.stdout
    assert f"{tmp_path}/Zustand 一/projects/" in done.stdout
    twin = [sys.executable, "-c", "import sys; sys.argv[1].encode()", str(named)]
    alone = subprocess.run(twin, env={**os.environ, **few}, capture_output=True, text=True, check=False)
    assert "surrogates not allowed" in alone.stderr


def test_a_run_without_a_key_says_what_to_set(listed: Path) -> None:
    done = harness("run", listed)
    assert done.returncode == 3
    assert "OPENAI_API_KEY" in done.stderr
    assert "Traceback" not in done.stderr


def test_init_reads_the_specification_from_standard_input(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LOADED, "init", str(tmp_path / "new"), "--spec", "-"]
    done = subprocess.run(command, input="  \n", capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "Standard input is empty" in done.stderr
    assert not (tmp_path / "new").exists()
