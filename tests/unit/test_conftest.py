"""The rules that tests/conftest.py holds for every test, tried on a small suite of its own in another process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

SUITE = """
import os, pytest

def test_skips(): pytest.skip("no reason at all")

@pytest.mark.needs("a-program-nobody-has")
def test_needs_a_program(): pass

@pytest.mark.live
def test_live(): pass

def test_sees_no_key_of_the_person(): assert "OPENAI_API_KEY" not in os.environ

def test_hangs():
    while os.environ["TRY"] == "hang": pass
"""


def run_suite(tmp_path: Path, **environment: str) -> str:
    unit = tmp_path / "tests" / "unit"
    unit.mkdir(parents=True)
    (unit / "test_suite.py").write_text(SUITE, encoding="utf-8")
    source = (TESTS / "conftest.py").read_text(encoding="utf-8").replace("UNIT_SECONDS = 60", "UNIT_SECONDS = 2")
    (tmp_path / "tests" / "conftest.py").write_text(source, encoding="utf-8")
    shutil.copy(TESTS.parent / "pyproject.toml", tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "TRY": "", "OPENAI_API_KEY": "secret", "CI": "", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def test_on_a_laptop_what_is_missing_is_skipped(tmp_path: Path) -> None:
    out = run_suite(tmp_path)
    assert "2 passed, 3 skipped" in out


def test_in_ci_what_is_missing_fails_and_live_tests_stay_out(tmp_path: Path) -> None:
    out = run_suite(tmp_path, CI="true")
    assert "1 failed, 2 passed, 1 skipped, 1 error" in out
    assert "a-program-nobody-has is not installed" in out


def test_a_hanging_test_fails(tmp_path: Path) -> None:
    out = run_suite(tmp_path, TRY="hang")
    assert "1 failed, 1 passed, 3 skipped" in out
    assert "Timeout" in out


def test_the_state_of_a_test_is_its_own(state_dir: Path, tmp_path: Path) -> None:
    assert Path(os.environ["HARNESS_STATE_DIR"]) == state_dir
    assert list(tmp_path.iterdir()) == []


def test_a_project_is_a_clean_repository_with_one_commit(project_dir: Path) -> None:
    log = subprocess.run(["git", "log", "--format=%an"], cwd=project_dir, capture_output=True, text=True, check=True)
    status = subprocess.run(["git", "status", "--short"], cwd=project_dir, capture_output=True, check=True)
    assert log.stdout == "Test Person\n"
    assert status.stdout == b""


@pytest.mark.parametrize("name", ["GIT_DIR", "OPENAI_BASE_URL", "MILVUS_URI"])
def test_variables_of_the_machine_are_hidden(name: str) -> None:
    assert name not in os.environ
