"""What every test stands on: no network for unit tests, no state of the person who runs them, no silent skip in CI.

Programs and endpoints that a laptop may lack are asked for by marker (`needs`, `live`), so that the one rule about
them lies here: skipped on a laptop, failed in CI. A hang fails too: time limits are in pyproject.toml and here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

UNIT = Path(__file__).parent / "unit"
UNIT_SECONDS = 60
FOREIGN = ("OPENAI_", "LANGSMITH_", "LANGCHAIN_", "MILVUS_", "EMBEDDING_", "HARNESS_", "GIT_")
"""Prefixes of variables that would let the machine change what a test sees; GIT_ is set inside git hooks."""

BY_WORDS = "/nonexistent"
"""An embedding model that is not there: memory recalls by words at once, and no process takes five seconds of a core to
import libraries that the test is not about. A fixture wider than a test sees it too."""
os.environ["EMBEDDING_MODEL"] = BY_WORDS

HASTY = "[verify]\nwait_seconds = 3\n"
"""The person's settings: what never comes is waited for less long than a person's application deserves."""

IDENTITY = """\
[user]
    name = Test Person
    email = person@example.invalid
[init]
    defaultBranch = main
[commit]
    gpgSign = false
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-live", action="store_true", help="run tests that call a real model endpoint")


def pytest_xdist_auto_num_workers() -> int:
    """Half of a test's time is waiting: for a page, a condition, a process."""
    return max((os.cpu_count() or 1) * 3 // 2, 1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    other = "user_only" if os.geteuid() == 0 else "root_only"
    foreign = [item for item in items if item.get_closest_marker(other)]
    if foreign:
        config.hook.pytest_deselected(items=foreign)
        items[:] = [item for item in items if item not in foreign]
    for item in items:
        if item.path.is_relative_to(UNIT):
            item.add_marker(pytest.mark.disable_socket)
            item.add_marker(pytest.mark.timeout(UNIT_SECONDS))
        if item.get_closest_marker("live") and not config.getoption("--run-live"):
            item.add_marker(pytest.mark.skip(reason="needs --run-live"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        for program in marker.args:
            if shutil.which(program) is None and not [*Path("/").glob(program.lstrip("/"))]:
                pytest.skip(f"{program} is not installed; ./init.sh setup puts it in, or .ci/run")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skip is a failure: nobody reads the reasons there."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and not item.get_closest_marker("live"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """The harness's state of this test alone; also keeps the person's settings, keys and git identity away."""
    keep = ("OPENAI_",) if request.node.get_closest_marker("live") else ()
    for name in [n for n in os.environ if n.startswith(FOREIGN) and not n.startswith(keep or "\0")]:
        monkeypatch.delenv(name)
    home = tmp_path.parent / f"{tmp_path.name}-home"  # beside tmp_path: tests may expect that to be empty
    home.mkdir()
    (home / "gitconfig").write_text(IDENTITY, encoding="utf-8")
    if UNIT not in request.path.parents:
        (home / "config/harness").mkdir(parents=True)
        (home / "config/harness/config.toml").write_text(HASTY, encoding="utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("HARNESS_STATE_DIR", str(home / "harness"))
    if not request.node.get_closest_marker("by_meaning") and UNIT not in request.path.parents:
        monkeypatch.setenv("EMBEDDING_MODEL", BY_WORDS)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # models come from the packages, whatever this machine could reach
    return home / "harness"


@pytest.fixture
def project_dir(tmp_path: Path) -> Path:
    """A git repository with one commit on main."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "README.md").write_text("# A project\n", encoding="utf-8")
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "start"]):
        subprocess.run(["git", *command], cwd=project, check=True)
    return project
