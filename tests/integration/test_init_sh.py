"""init.sh as a person meets it: what it says and its exit codes. Whole set-ups are left to .ci/run in a fresh clone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ["bash", "cat", "dirname", "flock", "git", "grep", "head", "mkdir", "mktemp", "readlink", "rm", "sed", "tail"]
TOOLS += ["touch", "uname"]
"""What init.sh itself calls; a test adds the programs it wants the machine to have."""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what set-up reads, under a path with blanks."""
    copy = tmp_path / "a path" / "with blanks"
    copy.mkdir(parents=True)
    for name in ("init.sh", "pyproject.toml", "constraints.txt", "overrides.txt"):
        shutil.copy(ROOT / name, copy)
    return copy


def run(checkout: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "init.sh", *arguments],
        cwd="/",
        env={**os.environ, "CI": "", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def machine_with(tmp_path: Path, **programs: str) -> str:
    """A PATH that has only the tools of init.sh and these scripts."""
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    for name in TOOLS:
        if found := shutil.which(name):
            (bin_dir / name).symlink_to(found)
    for name, body in programs.items():
        (bin_dir / name).write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        (bin_dir / name).chmod(0o755)
    return str(bin_dir)


def fill_venv(checkout: Path) -> None:
    """A virtual environment that says it is complete."""
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(shutil.which("true") or "/bin/true")
    asked_for = [checkout / name for name in ("pyproject.toml", "constraints.txt", "overrides.txt")]
    content = b"".join(path.read_bytes() for path in asked_for) + str(checkout).encode()
    digest = subprocess.run(["git", "hash-object", "--stdin"], input=content, capture_output=True, check=True)
    (checkout / ".venv" / "installed").write_bytes(digest.stdout)


@pytest.mark.parametrize("arguments", [[], ["help"], ["--help"]])
def test_without_a_command_it_says_what_there_is(checkout: Path, arguments: list[str]) -> None:
    done = run(checkout, *arguments)
    assert done.returncode == 0
    for command in ("setup", "demo", "test", "lint", "bench"):
        assert f"\n  {command} " in done.stdout


def test_an_unknown_command_is_a_usage_error(checkout: Path) -> None:
    done = run(checkout, "instal")
    assert done.returncode == 2
    assert "There is no command 'instal'." in done.stderr


def test_without_a_python_that_is_new_enough_it_says_which_is_needed(checkout: Path, tmp_path: Path) -> None:
    path = machine_with(tmp_path, python3="exit 1", chromium="", bwrap="")
    done = run(checkout, "setup", PATH=path)
    assert done.returncode == 3
    assert "No Python 3.11 or newer" in done.stderr
    assert not (checkout / ".venv").exists()


def test_a_complete_set_up_is_left_alone(checkout: Path, tmp_path: Path) -> None:
    fill_venv(checkout)
    done = run(checkout, "setup", PATH=machine_with(tmp_path, chromium="", bwrap=""))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Ready.")


@pytest.mark.parametrize("change", ["constraints.txt", ".venv/unfinished"])
def test_changed_requirements_or_an_interrupted_set_up_are_noticed(checkout: Path, tmp_path: Path, change: str) -> None:
    fill_venv(checkout)
    with (checkout / change).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    done = run(checkout, "setup", PATH=machine_with(tmp_path, chromium="", bwrap="", python3="exit 1"))
    assert not done.stdout.startswith("Ready.")


def test_tests_run_on_all_cores_unless_the_person_says_otherwise(checkout: Path, tmp_path: Path) -> None:
    fill_venv(checkout)
    python = checkout / ".venv" / "bin" / "python"
    python.unlink()
    python.write_text('#!/bin/sh\necho "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    done = run(checkout, "test", "-n", "0", "tests/unit", PATH=machine_with(tmp_path, chromium="", bwrap=""))
    assert done.stdout == "-m pytest -n auto --dist loadfile --no-loadscope-reorder -n 0 tests/unit\n", done.stderr


def test_the_last_number_of_processes_wins(tmp_path: Path) -> None:
    (tmp_path / "test_where.py").write_text(
        "import os\ndef test_where():\n    assert 'PYTEST_XDIST_WORKER' not in os.environ\n", encoding="utf-8"
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:asyncio", "-n", "auto", "--dist", "loadfile"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    alone = subprocess.run([*command, "-n", "0"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert alone.returncode == 0, alone.stdout + alone.stderr
    assert subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, check=False).returncode == 1


def test_missing_programs_are_named_with_what_to_do(checkout: Path, tmp_path: Path) -> None:
    fill_venv(checkout)
    done = run(checkout, "setup", PATH=machine_with(tmp_path))
    assert done.returncode == 0
    assert done.stdout.startswith("Not found: chromium bubblewrap.")


def test_a_chromium_that_is_a_snap_is_none(checkout: Path, tmp_path: Path) -> None:
    fill_venv(checkout)
    release = tmp_path / "os-release"
    release.write_text("NAME=Ubuntu\nID=ubuntu\n", encoding="utf-8")
    asks = 'exec /snap/bin/chromium "$@"'
    path = machine_with(tmp_path, bwrap="", **{"chromium-browser": asks})
    done = run(checkout, "setup", PATH=path, OS_RELEASE=str(release))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Ubuntu's Chromium is a snap, which cannot start inside the sandbox.")
    (tmp_path / "bin" / "google-chrome").write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / "bin" / "google-chrome").chmod(0o755)
    assert run(checkout, "setup", PATH=path, OS_RELEASE=str(release)).stdout.startswith("Ready.")


def test_missing_programs_are_a_failure_in_ci(checkout: Path, tmp_path: Path) -> None:
    fill_venv(checkout)
    done = run(checkout, "setup", PATH=machine_with(tmp_path), CI="true")
    assert done.returncode == 3
    assert "Not found: chromium bubblewrap." in done.stderr


def test_a_failed_package_installation_shows_its_output(checkout: Path, tmp_path: Path) -> None:
    fill_venv(checkout)
    log = tmp_path / "calls"
    path = machine_with(tmp_path, bwrap="", **{"apt-get": f'echo "$@" >>{log}; echo lists are broken; exit 100'})
    done = run(checkout, "setup", PATH=path)
    if os.geteuid() == 0:
        assert done.returncode == 3
        assert "lists are broken" in done.stderr
        assert "update" in log.read_text(encoding="utf-8")
    else:
        assert "As root: apt-get update && apt-get install" in done.stdout
        assert not log.exists()
