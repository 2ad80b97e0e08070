"""Machines that are in a bad way: each is told in one message, with the file and what to do, and nothing is lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from bad_input_support import Person, unchanged

pytestmark = pytest.mark.needs("chromium", "bwrap", "unshare")

SMALL = 'mount -t tmpfs -o size={size} none "$0"'
READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0"'


def after(mount: str, place: Path) -> list[str]:
    """What goes before a command for which a place is to be another file system; it goes with the command."""
    place.mkdir(parents=True, exist_ok=True)
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", "--mount", *as_root, "bash", "-c", f'{mount} && exec "$@"', str(place)]


@pytest.mark.parametrize(
    ("size", "code", "told"),
    [
        ("16k", 3, r"records\.db cannot be written: Input/output error"),
        ("64k", 3, r"records\.db cannot be written: No space left on device"),
        ("200k", 5, "git worktree failed in .*unable to write file"),
    ],
)
def test_a_full_disk_is_told_with_the_file_and_that_room_is_missing(
    person: Person, project: Path, tmp_path: Path, size: str, code: int, told: str
) -> None:
    disk = tmp_path / "disk"
    words, state = after(SMALL.format(size=size), disk), str(disk / "state")
    ran = unchanged(project, lambda: person.run("run", project, wrapped_in=words, HARNESS_STATE_DIR=state))
    ran.is_clear(code, told, "room")


def test_with_room_on_the_disk_the_same_run_gets_as_far_as_the_model(
    person: Person, project: Path, tmp_path: Path
) -> None:
    """The twin of a full disk."""
    disk = after(SMALL.format(size="100m"), tmp_path / "disk")
    ran = person.run("run", project, wrapped_in=disk, HARNESS_STATE_DIR=str(tmp_path / "disk" / "state"))
    ran.is_clear(5, "could not be reached")


@pytest.mark.parametrize(
    ("command", "code", "told"),
    [
        ("run", 3, "cannot be used for state: Read-only file system"),
        ("verify", 3, "cannot be used for state: Read-only file system"),
        ("status", 0, "0 of 2 features pass"),
    ],
)
def test_state_that_is_read_only_is_told_and_what_only_looks_works(
    person: Person, project: Path, tmp_path: Path, command: str, code: int, told: str
) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    words = after(READ_ONLY, state)
    ran = unchanged(project, lambda: person.run(command, project, wrapped_in=words, HARNESS_STATE_DIR=str(state)))
    ran.is_clear(code, told)


def test_a_home_that_is_read_only_is_told_and_another_place_for_the_state_is_enough(
    person: Person, project: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    words = after(READ_ONLY, home)
    person.run("status", project, wrapped_in=words, HOME=str(home)).is_clear(0, "0 of 2 features pass")
    where = {"HARNESS_STATE_DIR": "", "XDG_STATE_HOME": "", "XDG_CONFIG_HOME": "", "HOME": str(home)}
    refused = person.run("run", project, wrapped_in=words, **where)
    refused.is_clear(3, f"{home}/.local/state/harness cannot be used for state", "HARNESS_STATE_DIR")
    elsewhere = where | {"HARNESS_STATE_DIR": str(tmp_path / "state")}
    person.run("run", project, wrapped_in=words, **elsewhere).is_clear(5, "could not be reached")


def test_the_demo_tells_what_a_machine_that_cannot_reach_itself_lacks(person: Person, tmp_path: Path) -> None:
    """All the network it needs is a loopback."""
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    ran = person.run("demo", tmp_path / "demo", wrapped_in=["unshare", "--net", *as_root])
    ran.is_clear(3, "cannot be reached", "ip link set lo up")
