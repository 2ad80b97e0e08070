"""One initialised project for all end-to-end tests that mistreat one; each test clones it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_input_support import IDENTITY, Person, clone, make_template


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Initialised, nothing built; never changed by a test."""
    directory = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        (directory / "gitconfig").write_text(IDENTITY)
        patch.setenv("GIT_CONFIG_GLOBAL", str(directory / "gitconfig"))
        patch.setenv("HARNESS_STATE_DIR", str(directory / "state"))
        yield make_template(directory)


@pytest.fixture
def project(template: Path, tmp_path: Path) -> Path:
    """A clone for one test."""
    return clone(template, tmp_path / "project")


@pytest.fixture
def person() -> Person:
    """Somebody whose endpoint does not answer."""
    return Person()
