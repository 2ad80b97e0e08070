"""The last commit that is proved: whose features all pass, as far as anything has shown.

A pass commit holds a tree whose feature passed, whose earlier features were replayed and whose gate passed. What comes
after it (a person's commits, a merge, code in work) is not proved until the next one. A pass commit is passed over when
the harness later reopened a feature that it lists as passing: until that feature passes again, the commit that proved
it itself is the one that can be relied on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.features import REOPENED_BY_PERSON, FeatureList

if TYPE_CHECKING:
    from harness.commits import Commit
    from harness.repo import Repo

COMMITS = 20_000
"""How far back is looked."""
FEATURES = "features.json"


@dataclass(frozen=True)
class Proved:
    """A commit to be relied on."""

    sha: str
    feature_id: str
    """What it proved."""
    subject: str


async def last_proved(repo: Repo, tips: Sequence[str]) -> Proved | None:
    """The newest one of some branches; None: nothing passed yet.

    Args:
        repo: of the project.
        tips: branches or commits; those that are not there are passed over.
    """
    found = [(commit.date, commit) for tip in tips if (commit := await _newest(repo, tip))]
    if not found:
        return None
    commit = max(found, key=lambda pair: pair[0])[1]
    return Proved(commit.sha, commit.trailers["Harness-Feature"], commit.subject)


async def _newest(repo: Repo, tip: str) -> Commit | None:
    broken: set[str] = set()
    for commit in await repo.log(COMMITS, tip):
        feature, event = commit.trailers.get("Harness-Feature"), commit.trailers.get("Harness-Event")
        if feature and event == "reopened" and not commit.body.startswith(REOPENED_BY_PERSON):
            broken.add(feature)
        elif feature and not event:
            broken.discard(feature)
            if not broken & await _passing(repo, commit, bool(broken)):
                return commit
    return None


async def _passing(repo: Repo, commit: Commit, is_asked: bool) -> set[str]:
    """What a commit lists as passing; looked up only when it matters."""
    text = await repo.read(FEATURES, commit.sha) if is_asked else None
    return {feature.id for feature in FeatureList.parse(text, FEATURES).features if feature.passes} if text else set()
