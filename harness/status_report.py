"""What is shown at the end of a run: every feature with its commit, proof and evidence.

Apart from `harness.status` because commits are found by their trailers, which needs git.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING

from harness.console import features_table, print_table
from harness.errors import HarnessError
from harness.project import Project
from harness.status import Status, read_status

if TYPE_CHECKING:
    from harness.commits import Commit

COMMITS = 20_000
"""How far back commits are looked for."""


async def print_report(directory: Path, stream: IO[str]) -> None:
    """Print the table and where evidence lies; nothing while there is no list.

    Raises: FeatureFileError, ContractError: a file is broken; it is named.
    """
    status = read_status(directory)
    if not status.features or not status.features.features:
        return
    evidence = _evidence(status.project)
    commits = {name: commit.sha for name, commit in (await proved_commits(status)).items()}
    print_table(features_table(status.features, commits, evidence), stream)
    if evidence:
        print(f"Evidence lies in {status.project.evidence_dir}", file=stream)


async def proved_commits(status: Status) -> dict[str, Commit]:
    """Feature id -> its newest pass commit. A table without commits is better than none."""
    from harness.repo import Repo

    tip = status.project.branch(status.thread.thread_id) if status.thread else "HEAD"
    try:
        repo = Repo.open(status.project.directory)
        newest_first = [*await repo.log(COMMITS, tip), *await repo.log(COMMITS)]
    except HarnessError:
        return {}
    proved = [c for c in newest_first if "Harness-Feature" in c.trailers and "Harness-Event" not in c.trailers]
    return {commit.trailers["Harness-Feature"]: commit for commit in reversed(proved)}


def _evidence(project: Project) -> dict[str, str]:
    """Feature id -> its newest evidence of passing, below the evidence directory."""
    found = sorted(project.evidence_dir.glob("*/passed-*"), key=lambda path: path.name)
    return {path.parent.name: f"{path.parent.name}/{path.name}" for path in found}
