"""The applications that checks are measured on, and the bugs they can be given.

Each lies in `mutants/apps/<name>`: `app` (the tree), `features.json`, `unit/run.sh` (the unit tests its team would
have), `mutants.toml` (edits of the tree, each with the feature whose text it violates) and, once they are authored,
`checks`. Checks are written from the features' text before the mutants, by somebody else.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from pydantic import BaseModel, ConfigDict

from harness.features import FeatureList

APPS = Path(__file__).parent / "mutants" / "apps"

_FETCHING = Lock()


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Edit(_Frozen):
    """One place of one file, relative to the tree."""

    file: str
    old: str
    new: str


class Mutant(_Frozen):
    """A bug that a person notices."""

    id: str
    feature: str
    """Whose text it violates."""
    step: int
    """Where, from 1."""
    notices: str
    edits: tuple[Edit, ...]


class App:
    """One of the applications."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.name = directory.name
        self.checks_dir = directory / "checks"
        self.steps = {feature.id: feature.steps for feature in FeatureList.load(directory / "features.json").features}
        written = tomllib.loads((directory / "mutants.toml").read_text(encoding="utf-8"))
        self.mutants: Sequence[Mutant] = [Mutant.model_validate(each) for each in written["mutant"]]

    def make(self, directory: Path, mutant: Mutant | None = None) -> Path:
        """Copy the application with its unit tests, broken in one way or good; returns its tree.

        Raises: ValueError: an edit does not fit the file.
        """
        tree = directory / "app"
        shutil.copytree(self._directory / "app", tree)
        shutil.copytree(self._directory / "unit", directory / "unit")
        for edit in mutant.edits if mutant else ():
            apply(edit, tree)
        return tree

    def install(self, tree: Path) -> None:
        """Give a tree its packages, fetched once a machine: the application is prepared without network."""
        package = tree / "package.json"
        if not package.exists() or b"ependencies" not in package.read_bytes():
            return
        kept = Path(sys.prefix, "bench", f"{self.name}-{hashlib.sha256(package.read_bytes()).hexdigest()[:12]}")
        with _FETCHING:
            if not (kept / "complete").exists():
                _fetch(package, kept)
        shutil.copytree(kept / "node_modules", tree / "node_modules", symlinks=True)

    def unit_tests_fail(self, directory: Path) -> bool:
        """Whether the unit tests of a copy notice anything; one that does not end in time is noticed too."""
        argv = ["sh", str(directory / "unit" / "run.sh")]
        env = {"PATH": os.environ["PATH"], "PYTHON": sys.executable, "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            return subprocess.run(argv, env=env, capture_output=True, timeout=120, check=False).returncode != 0
        except subprocess.TimeoutExpired:
            return True


def apps(names: Sequence[str] = ()) -> list[App]:
    """All of them, or those named."""
    found = {path.name: path for path in sorted(APPS.iterdir()) if (path / "mutants.toml").exists()}
    return [App(found[name]) for name in names or found]


def apply(edit: Edit, tree: Path) -> None:
    """Make one edit.

    Raises: ValueError: the file does not hold the old text just once.
    """
    path = tree / edit.file
    text = path.read_text(encoding="utf-8")
    if text.count(edit.old) != 1:
        raise ValueError(f"{path} holds {edit.old!r} {text.count(edit.old)} times")
    path.write_text(text.replace(edit.old, edit.new), encoding="utf-8")


def _fetch(package: Path, kept: Path) -> None:
    """No lock file: the versions in the package are exact, and the packages depend on nothing that is not."""
    print(f"fetching the packages of {package.parent.name} into {kept}")
    kept.mkdir(parents=True, exist_ok=True)
    shutil.copy2(package, kept)
    npm = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(npm, cwd=kept, check=True)
    (kept / "complete").touch()
