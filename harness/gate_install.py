"""Where the gate is hooked in: Claude Code's Stop hook, git's pre-push hook, a workflow of GitHub.

What is there is kept: settings are merged, an earlier hook is called first, a workflow is never written over. A second
installation changes nothing, and taking it out again gives back the files as they were, byte for byte.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from harness.errors import ContractError, SetupError
from harness.git import hooks_dir
from harness.project import GitLocation, Project, find_git, write_atomic
from harness.state_file import file_errors, parse_json, read_text

Place = Literal["claude", "git", "ci"]
STOP_SECONDS = 600
"""How long Claude Code waits for its hook."""
_STOP = "harness gate stop-hook"
_MARK = "# harness gate: written by `harness gate install`; `harness gate uninstall` takes it out again"
_BEFORE = "before-harness"


def program() -> str:
    """The command line of this very installation, for a shell; a virtual environment need not be active.

    `-P`: nothing of the directory it is called in is imported.
    """
    return shlex.join([sys.executable, "-P", "-m", "harness"])


def install(directory: Path, place: Place) -> str:
    """Hook the gate in; returns what was done, in words.

    Raises: SetupError: what is there cannot be kept, and how to do it by hand. ContractError: a file is broken.
    """
    return _PLACES[place].install(_at(directory))


def uninstall(directory: Path, place: Place) -> str:
    """Take it out again; returns what was done, in words.

    Raises: SetupError: it was changed since, so it is left. ContractError: a file is broken.
    """
    return _PLACES[place].uninstall(_at(directory))


@dataclass(frozen=True)
class _Where:
    project: Project
    git: GitLocation

    @property
    def settings(self) -> Path:
        """Of Claude Code, for this project; what a link leads to."""
        return Path(os.path.realpath(self.project.directory / ".claude" / "settings.json"))

    @property
    def kept(self) -> Path:
        """Settings as they were before."""
        return self.project.state_dir / "claude-settings.before"


def _at(directory: Path) -> _Where:
    project = Project.find(directory)
    if (git := find_git(project.directory)) is None:
        raise SetupError(f"{project.directory} is not in a git repository.", "Run `harness init`, or `git init` there.")
    project.prepare_state()
    return _Where(project, git)


# --- Claude Code ---


def _install_claude(where: _Where) -> str:
    path = where.settings
    before = path.read_bytes() if path.exists() else None
    data = _read_settings(path) if before is not None else {}
    entry = {"type": "command", "command": _stop_command(), "timeout": STOP_SECONDS}
    wanted = _with_entry(data, entry, path)
    if wanted == data:
        return f"It is installed already, in {path}."
    path.parent.mkdir(exist_ok=True)
    if not _has_entry(data):
        where.kept.unlink(missing_ok=True)
        if before is not None:
            write_atomic(where.kept, before)
    write_atomic(path, _dump(wanted, before))
    return f"{path} calls the gate when Claude Code wants to stop. Restart a session that runs."


def _uninstall_claude(where: _Where) -> str:
    path = where.settings
    if not path.exists() or not _has_entry(data := _read_settings(path)):
        return f"There is nothing to take out of {path}."
    left = _without_entry(data)
    kept = where.kept.read_bytes() if where.kept.exists() else None
    if kept is None and not left:
        path.unlink()
        _remove_empty(path.parent, where.project.directory)
    elif kept is not None and _without_entry(json.loads(kept.decode("utf-8-sig"))) == left:
        write_atomic(path, kept)
    else:
        write_atomic(path, _dump(left, path.read_bytes()))
    where.kept.unlink(missing_ok=True)
    return f"{path} does not call the gate any more."


def _stop_command() -> str:
    return f'{program()} gate stop-hook "$CLAUDE_PROJECT_DIR"'


def _read_settings(path: Path) -> dict[str, Any]:
    with file_errors(path, "settings file of Claude Code"):
        data = parse_json(read_text(path))
    hooks = data.get("hooks", {}) if isinstance(data, dict) else None
    stops = hooks.get("Stop", []) if isinstance(hooks, dict) else None
    if not isinstance(stops, list) or not all(isinstance(each, dict) for each in stops):
        raise ContractError(f"{path} has no such form that a Stop hook could be added.", "It was left as it is.")
    return dict(data)


def _is_ours(entry: Any) -> bool:
    return isinstance(entry, dict) and _STOP in str(entry.get("command", ""))


def _has_entry(data: dict[str, Any]) -> bool:
    return any(_is_ours(hook) for group in data.get("hooks", {}).get("Stop", []) for hook in group.get("hooks", []))


def _with_entry(data: dict[str, Any], entry: dict[str, Any], path: Path) -> dict[str, Any]:
    """The settings with our hook; an older one of ours is put in order in its place."""
    stops = data.get("hooks", {}).get("Stop", [])
    if not _has_entry(data):
        return {**data, "hooks": {**data.get("hooks", {}), "Stop": [*stops, {"hooks": [entry]}]}}
    renewed = [
        {**group, "hooks": [entry if _is_ours(hook) else hook for hook in group["hooks"]]}
        if "hooks" in group
        else group
        for group in stops
    ]
    return {**data, "hooks": {**data["hooks"], "Stop": renewed}}


def _without_entry(data: dict[str, Any]) -> dict[str, Any]:
    """The settings without our hook, and without what is empty then."""
    groups = []
    for group in data.get("hooks", {}).get("Stop", []):
        others = [hook for hook in group.get("hooks", []) if not _is_ours(hook)]
        if len(others) == len(group.get("hooks", [])):
            groups.append(group)
        elif others:
            groups.append({**group, "hooks": others})
    hooks = _put(data.get("hooks", {}), "Stop", groups)
    return _put(data, "hooks", hooks)


def _put(values: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    """With one value, or without it when it is empty; the others stay in their places."""
    return {key: value if key == name else old for key, old in values.items() if key != name or value}


def _dump(data: dict[str, Any], like: bytes | None) -> str:
    """JSON in the manner of a file: its indentation and its last line end."""
    text = (like or b"{\n  \n}\n").decode("utf-8-sig")
    inner = next((line for line in text.split("\n")[1:] if line.strip()), "  ")
    indent = inner[: len(inner) - len(inner.lstrip())] or "  "
    return json.dumps(data, indent=indent, ensure_ascii=False) + ("\n" if text.endswith("\n") else "")


# --- git ---


def _install_git(where: _Where) -> str:
    path = _hook(where)
    text = _pre_push(where.project.directory)
    if path.exists() and _MARK in (there := path.read_text(encoding="utf-8", errors="replace")):
        if there == text:
            return f"It is installed already, in {path}."
        _write_program(path, text)
        return f"{path} calls this installation of harness now."
    if path.exists() or path.is_symlink():
        before = path.with_name(f"{path.name}.{_BEFORE}")
        if before.exists():
            raise SetupError(f"{before} is in the way.", "Move it elsewhere, then install again.")
        path.rename(before)
    path.parent.mkdir(exist_ok=True)
    _write_program(path, text)
    kept = f" The hook that was there is called first: {path.name}.{_BEFORE}." if _before(path).exists() else ""
    return f"{path} calls the gate before a push.{kept} `git push --no-verify` pushes without."


def _uninstall_git(where: _Where) -> str:
    path = _hook(where)
    if not path.exists() or _MARK not in path.read_text(encoding="utf-8", errors="replace"):
        return f"There is nothing to take out of {path}."
    if _before(path).exists() or _before(path).is_symlink():
        _before(path).replace(path)
    else:
        path.unlink()
    return f"{path} does not call the gate any more."


def _before(path: Path) -> Path:
    return path.with_name(f"{path.name}.{_BEFORE}")


def _hook(where: _Where) -> Path:
    """The file that git calls.

    Raises: SetupError: hooks lie where other repositories, or commits, would see a change.
    """
    directory = hooks_dir(where.git.root)
    if directory.is_relative_to(where.git.common_dir):
        return directory / "pre-push"
    raise SetupError(
        f"core.hooksPath says that hooks lie in {directory}, which is not this repository's own, so it is left alone.",
        f"Add this line to {directory / 'pre-push'} yourself:\n  {_call(where.project.directory)}",
    )


def _call(directory: Path) -> str:
    clean = 'env $(git rev-parse --local-env-vars | sed "s/^/-u /")'
    return f"{clean} {program()} gate pre-push {shlex.quote(str(directory))}"


def _pre_push(directory: Path) -> str:
    return f"""#!/bin/sh
{_MARK}
pushed=$(cat)
if [ -x "$0.{_BEFORE}" ]; then
  printf '%s\\n' "$pushed" | "$0.{_BEFORE}" "$@" || exit
fi
printf '%s\\n' "$pushed" | {_call(directory)}
"""


def _write_program(path: Path, text: str) -> None:
    write_atomic(path, text)
    path.chmod(0o755)


# --- GitHub ---


def _install_ci(where: _Where) -> str:
    path, text = _workflow(where)
    if path.exists():
        if path.read_text(encoding="utf-8", errors="replace") == text:
            return f"It is installed already, in {path}."
        raise SetupError(f"{path} exists, and it is not what would be written; it is left.", _BY_HAND.format(path=path))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text)
    return f"{path} is written; commit it. It says at its top which variable it needs."


def _uninstall_ci(where: _Where) -> str:
    path, text = _workflow(where)
    if not path.exists():
        return f"There is no {path}."
    if path.read_text(encoding="utf-8", errors="replace") != text:
        raise SetupError(f"{path} was changed since it was written, or is not ours; it is left.", "Delete it yourself.")
    path.unlink()
    _remove_empty(path.parent, where.git.root)
    return f"{path} is gone."


def _workflow(where: _Where) -> tuple[Path, str]:
    inside = where.project.directory.relative_to(where.git.root).as_posix()
    text = _WORKFLOW.replace("@PROJECT@", json.dumps(inside))
    return where.git.root / ".github" / "workflows" / "harness.yml", text


_BY_HAND = (
    "Compare: move it away, install again, and put together what you need; or add a step of your own that runs "
    "`harness gate --github --junit harness.xml`. ({path})"
)

_WORKFLOW = f"""{_MARK}
# HARNESS_SOURCE is the address of Harness' own git repository: set it once as a variable of this repository
# (Settings, Secrets and variables, Actions, Variables). Every job is a fresh machine, so everything is replayed.
name: harness
on:
  push:
  pull_request:
permissions:
  contents: read
jobs:
  gate:
    runs-on: ubuntu-latest
    container:
      image: python:3.11-bookworm
      # bubblewrap makes namespaces, which a container forbids unless it is told otherwise
      options: >-
        --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined
    timeout-minutes: 60
    steps:
      - uses: actions/checkout@v4
        with:
          fetch-depth: 0 # the seals of the audit are compared with the commits that carry them
      - name: Install Harness
        env:
          HARNESS_SOURCE: ${{{{ vars.HARNESS_SOURCE }}}}
        run: |
          git clone --depth 1 "$HARNESS_SOURCE" "$RUNNER_TEMP/harness"
          "$RUNNER_TEMP/harness/init.sh" setup
      - name: Gate
        env:
          PROJECT_DIR: @PROJECT@
        run: |
          "$RUNNER_TEMP/harness/.venv/bin/harness" gate "$PROJECT_DIR" --github --junit harness.xml
      - uses: actions/upload-artifact@v4
        if: always()
        with:
          name: harness
          path: harness.xml
"""


# --- all ---


@dataclass(frozen=True)
class _Hooked:
    install: Callable[[_Where], str]
    uninstall: Callable[[_Where], str]


_PLACES: dict[str, _Hooked] = {
    "claude": _Hooked(_install_claude, _uninstall_claude),
    "git": _Hooked(_install_git, _uninstall_git),
    "ci": _Hooked(_install_ci, _uninstall_ci),
}


def _remove_empty(directory: Path, top: Path) -> None:
    """Remove directories that nothing is left in, up to one."""
    while directory != top and directory.is_dir() and not any(directory.iterdir()):
        directory.rmdir()
        directory = directory.parent
