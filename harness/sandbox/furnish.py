"""What must exist before a policy can be mounted: its directories, and stand-ins for protected files that are absent.

A file that is absent could be created by whoever is to be kept from it, so an empty stand-in takes the mount. It is
removed when the room is closed; never earlier, because the kernel then takes the mount away from what still runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import SetupError
from harness.sandbox.journal import Journal, remove_stand_in
from harness.sandbox.policy import ACCOUNTS, WRITTEN_BY_HARNESS, Policy


def furnish(policy: Policy, journal: Journal) -> list[Path]:
    """Make directories and stand-ins.

    Returns: the stand-ins made now, to be put away later.
    Raises: SetupError: the worktree is missing or a protected path is a link, which could point anywhere.
    """
    if not policy.working_dir.is_dir():
        raise SetupError(f"{policy.working_dir} is not a directory.", "Restore it or start from a fresh checkout.")
    for root in policy.roots().values():
        root.mkdir(parents=True, exist_ok=True)
    policy.empty_file.write_bytes(b"")
    for name, text in ACCOUNTS.items():
        (policy.scratch / name).write_text(text, encoding="utf-8")
    if policy.outputs_dir:
        policy.outputs_dir.mkdir(parents=True, exist_ok=True)
    return _stand_ins(policy, journal) if policy.is_sandboxed else []


def put_away(stand_ins: Sequence[Path]) -> None:
    """Remove what `furnish` made."""
    for path in stand_ins:
        remove_stand_in(path)


def _stand_ins(policy: Policy, journal: Journal) -> list[Path]:
    worktree = policy.worktree.resolve()
    made = []
    for name in policy.protected:
        path = worktree / name
        if path.resolve() != path:
            raise SetupError(f"The protected path {name} is a symbolic link.", "Make it a plain file or directory.")
        if not path.exists():
            journal.stand_in(path)
            _make(path)
            made.append(path)
    return made


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name in WRITTEN_BY_HARNESS:
        path.touch()  # the harness may rename its own over it at any time
    else:
        path.mkdir()  # git does not see empty directories
